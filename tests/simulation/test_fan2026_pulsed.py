"""Pulsed scheme of seed 000 as a model: given or derived r, W, R."""

import numpy as np
import pytest

from simulation.theory.models import get, point

MODEL = "fan2026_pulsed"


def test_published_point():
    results = point(get(MODEL), r=1.44, W=0.80, R=0.5)
    assert results["E_12"] == pytest.approx(0.7868414526, rel=1e-9)


def test_pulses_of_the_text_make_r_and_w():
    results = point(get(MODEL))
    assert results["r"] == pytest.approx(2.1703, abs=5e-5)
    assert results["W"] == pytest.approx(0.94980, abs=5e-6)
    assert results["R"] == 0


def test_given_values_win_over_pulses_and_fibre():
    results = point(get(MODEL), r=1.0, W=0.5, R=0.25, energy_1=0.0, fibre_km=100.0)
    assert [results[name] for name in "rWR"] == [1.0, 0.5, 0.25]


def test_fifteen_kilometres_halve_the_light():
    half = point(get(MODEL), fibre_km=10 * np.log10(2) / 0.2)
    assert half["R"] == pytest.approx(0.5, rel=1e-12)
    assert half["E_12"] == pytest.approx(point(get(MODEL), R=0.5)["E_12"], rel=1e-12)


def test_longer_and_stronger_pulses_squeeze_and_swap_more():
    energy = np.array([1.0, 2.0, 4.0]) * 1e-12
    results = get(MODEL).evaluate(["r", "W"], energy_1=energy, energy_2=10 * energy)
    assert np.all(np.diff(results["r"]) > 0)
    assert np.all(np.diff(results["W"]) > 0)


def test_covariance_comes_row_by_row():
    cov = np.reshape(point(get(MODEL), r=0.7, W=1.0, R=0.0)["cov"], (4, 4))
    np.testing.assert_allclose(cov, cov.T)
    assert cov[0, 2] == pytest.approx(-0.5 * np.sinh(1.4))


def test_losses_beyond_one_are_refused():
    with pytest.raises(ValueError, match=r"`R` must lie in \[0, 1\], but is 1.5"):
        point(get(MODEL), R=1.5)


@pytest.mark.parametrize("r", [0.01, 3.0, 8.0, 12.0, 18.0, 170.0])
def test_nothing_lost_is_two_r_however_strong_the_squeezing(r):
    assert point(get(MODEL), r=r, W=1.0, R=0.0)["E_12"] == pytest.approx(2 * r, rel=1e-13)


@pytest.mark.parametrize("r", np.arange(1.0, 19.0))
def test_large_squeezing_agrees_with_sixty_digits(r):
    import mpmath as mp

    with mp.workdps(60):
        kept = mp.mpf(0.95) * (1 - mp.mpf(0.01))
        a, c = mp.cosh(2 * mp.mpf(r)) / 2, mp.sqrt(kept) * mp.sinh(2 * mp.mpf(r)) / 2
        b = kept * mp.sinh(r) ** 2 + mp.mpf(0.5)
        nu = (a + b - mp.sqrt((a - b) ** 2 + 4 * c**2)) / 2
        exact = float(-mp.log(2 * nu))
    assert point(get(MODEL), r=r, W=0.95, R=0.01)["E_12"] == pytest.approx(exact, rel=1e-13)


def test_pulses_that_squeeze_beyond_all_floating_numbers_are_refused():
    with pytest.raises(ValueError, match=r"`r` must lie in \[0, 170\], but is"):
        point(get(MODEL), energy_1=5e-10)
