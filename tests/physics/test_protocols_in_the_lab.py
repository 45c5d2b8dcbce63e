"""Dry runs of later protocols on the hardware of seed 003: a Bell test, heralded single phonons."""

import numpy as np
import pytest

from labkit.procedures.bell import PUMP_ANGLES, READ_ANGLES, BellOptions, bell
from labkit.procedures.session import only
from labkit.procedures.single_phonons import SinglePhononsOptions, single_phonons

pytestmark = pytest.mark.long


def expected_correlation(lab, theta):
    """E of the plant's click model at a fringe phase."""
    best = float(lab.sequence.pulse("read").phase)
    lab.session.arm(lab.sequence.with_read_phase(best + theta))
    _, pairs = lab.expected(1)
    return (2 * np.trace(pairs) - pairs.sum()) / pairs.sum()


def test_a_bell_test_finds_the_S_of_the_click_model(bright):
    """4 sigma of some 500 coincidences per setting (sigma of S about 0.08), and 1 % of phase."""
    result = bell(bright.session, bright.sequence, BellOptions(trials=4_000_000, block=2_000_000))
    thetas = [PUMP_ANGLES[b] + READ_ANGLES[r] for b, r in (name.split() for name in result.test.E)]
    model = np.array([expected_correlation(bright, theta) for theta in thetas])
    found = np.array(list(result.test.E.values()))
    numbers = np.array(list(result.test.coincidences.values()))
    assert numbers.min() > 200
    pulls = (found - model) / np.hypot(np.sqrt((1 - model**2) / numbers), 0.02)
    assert np.max(np.abs(pulls)) < 4
    expected = abs(model @ [1, 1, 1, -1])
    assert abs(result.test.S.value - expected) < 4 * np.hypot(result.test.sigma, 0.04)
    assert "fairly sampled" in str(result)
    assert result.plot().axes


def test_heralded_read_photons_of_one_device_are_antibunched_as_the_model_says(bright):
    """Inside the 99.99 % interval of some 12 triples, of which fewer than 3 come once in 1,500."""
    sequence = bright.sequence
    options = SinglePhononsOptions(device="A", trials=150_000_000, block=75_000_000)
    with only(bright.session, "A"):
        p = bright.patterns()
    result = single_phonons(bright.session, sequence, options)
    number = np.arange(16)

    def clicked(*names):
        wanted = sum({"p1": 8, "p2": 4, "r1": 2, "r2": 1}[name] for name in names)
        return p[(number & wanted) == wanted].sum()

    def heralded(*reads):
        return clicked("p1", *reads) + clicked("p2", *reads)

    model = heralded("r1", "r2") * heralded() / (heralded("r1") * heralded("r2"))
    low, high = result.g2.posterior.quantile([5e-5, 1 - 5e-5])
    assert result.triples >= 3
    assert low < model < high
    assert model < 1
