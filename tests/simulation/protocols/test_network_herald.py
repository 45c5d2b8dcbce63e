"""n devices behind an interferometer: 40-digit values, invariance, single quanta."""

import numpy as np
import pytest

from simulation.theory.models import point
from simulation.theory.protocols.network_herald import MODEL, detected, fourier, hadamard

UNEQUAL = {"p_pump_B": 0.02, "n_heat_B": 0.05, "eta_s_C": 0.05, "n_0_C": 0.04}
REFERENCE_16 = [1.1561664203004e-5, 7.4655885638466e-9, 0.0040142177443608, 0.00020552046068257]
COLD = {"n_0": 0.0, "n_env": 0.0, "n_heat": 0.0, "dark": 0.0}


def on_first_two(n):
    return "11" + "x" * (n - 2)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_equal_devices_are_invariant_under_the_interferometer(n):
    single = point(MODEL, n=n)
    assert single["P_herald"] == pytest.approx(1.01906055823e-3, rel=5e-12)
    assert single["P_reads"] == pytest.approx(0.00992040219054, rel=5e-12)
    assert single["g2"] == pytest.approx(21.1383365303, rel=5e-12)
    both = on_first_two(n)
    pair = MODEL.evaluate(["P_herald", "P_reads_h"], n=n, herald=both, reads=both)
    assert pair["P_herald"] == pytest.approx(1.03848442134e-6, rel=5e-12)
    assert pair["P_reads_h"] == pytest.approx(0.0439744255287, rel=5e-12)


def test_other_outputs_of_equal_devices_are_uncorrelated():
    for reads in ("x1x", "xx1"):
        assert point(MODEL, reads=reads)["g2"] == pytest.approx(1, rel=1e-13)


def test_three_unequal_devices():
    correlations = []
    for reads in ("1xx", "x1x", "xx1"):
        found = point(MODEL, reads=reads, **UNEQUAL)
        assert found["P_herald"] == pytest.approx(1.192010867032e-3, rel=5e-12)
        assert found["P_reads"] == pytest.approx(0.01383228818002, rel=5e-12)
        correlations.append(found["g2"])
    assert correlations == pytest.approx(
        [14.43428038367, 1.507137491679, 1.507137491679], rel=5e-12
    )
    pair = point(MODEL, herald="11x", reads="11x", **UNEQUAL)
    assert pair["P_herald"] == pytest.approx(1.619982314603e-6, rel=5e-12)
    assert pair["P_reads_h"] == pytest.approx(0.03834570920069, rel=5e-12)


@pytest.mark.parametrize(
    ("word", "probability"), [("110", 6.1023480686e-8), ("100", 2.3047695545277e-4)]
)
def test_full_patterns_of_unequal_devices(word, probability):
    found = MODEL.evaluate(["P_joint"], herald=word, reads=word, dark=0.0, **UNEQUAL)
    assert found["P_joint"] == pytest.approx(probability, rel=1e-11)


def test_sixteen_unequal_devices():
    """Reference: inclusion–exclusion of silences, 60 digits, mpmath."""
    herald, reads = "1x1" + "x" * 13, "x1x1" + "0" * 12
    found = point(
        MODEL, n=16, interferometer="hadamard", herald=herald, reads=reads, p_pump_P=0.3, dark=1e-9
    )
    assert [found[name] for name in ("P_herald", "P_joint", "F_W", "P_vacuum")] == pytest.approx(
        REFERENCE_16, rel=1e-10
    )


def test_more_clicks_than_memory_holds_are_refused():
    with pytest.raises(ValueError, match="at most 13 clicks together, but ask for 16"):
        point(MODEL, n=8, herald="1" * 8, reads="1" * 8)


def test_weak_cold_herald_leaves_the_w_state():
    found = point(MODEL, n=4, p_pump=1e-5, lifetime=np.inf, **COLD)
    assert found["F_W"] == pytest.approx(1, abs=2e-4)
    assert found["P_vacuum"] < 1e-12


def test_any_unitary_gives_the_same_singles_for_equal_devices():
    rng = np.random.default_rng(1)
    u, _ = np.linalg.qr(rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3)))
    state = detected(MODEL.parameters(), u)
    for output in range(3):
        click = state.probability(clicked=f"p{output}", dark=1e-7)
        assert click == pytest.approx(1.01906055823e-3, rel=5e-12)


@pytest.mark.parametrize("unitary", [fourier(5), hadamard(4)])
def test_interferometers_are_unitary(unitary):
    assert unitary @ unitary.conj().T == pytest.approx(np.eye(len(unitary)), abs=1e-15)


def test_words_and_numbers_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="one letter for each of the 3 outputs"):
        point(MODEL, herald="11")
    with pytest.raises(ValueError, match="power of 2"):
        point(MODEL, interferometer="hadamard")
    with pytest.raises(ValueError, match="whole number"):
        point(MODEL, n=2.5)
