"""Phase of two fringes of opposite sign from events."""

import numpy as np
import pytest

from analysis.opposite_fringes import fit_opposite_fringes

EXPOSURE = np.full(6, 10.0)


def expected(phase, height=4.0, contrast=0.8, best=0.7):
    wave = contrast * np.cos(np.asarray(phase) - best)
    return 1 + height * (1 + wave), 1 + height * (1 - wave)


def test_expected_events_give_the_fringes_back():
    phases = [0.0, np.pi / 2]
    crossed, same = expected(phases)
    fit = fit_opposite_fringes(phases, (crossed * 10, [10, 10]), (same * 10, [10, 10]))
    assert fit.phase.value == pytest.approx(0.7, abs=1e-7)
    assert fit.contrast.value == pytest.approx(0.8, abs=1e-7)
    assert fit.height == pytest.approx(4.0, abs=1e-6)


def test_errors_are_those_of_repeated_draws():
    """400 draws: scatter of phase and contrast as stated, within 4 σ of a standard deviation."""
    rng = np.random.default_rng(2)
    phases = np.linspace(-3, 3, 6)
    crossed, same = expected(phases)
    found, stated = [], []
    for _ in range(400):
        fit = fit_opposite_fringes(
            phases, (rng.poisson(10 * crossed), EXPOSURE), (rng.poisson(10 * same), EXPOSURE)
        )
        found.append((fit.phase.value, fit.contrast.value))
        stated.append((fit.phase.sigma, fit.contrast.sigma))
    ratio = np.std(found, axis=0) / np.mean(stated, axis=0)
    assert np.all(np.abs(ratio - 1) < 4 / np.sqrt(800))
    assert np.mean(found, axis=0) == pytest.approx([0.7, 0.8], abs=0.03)


def test_cells_without_events_are_no_obstacle():
    fit = fit_opposite_fringes([0.0, np.pi / 2], ([9, 4], [1, 1]), ([0, 4], [1, 1]))
    assert fit.phase.value == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("phases", [[0.0], [0.0, np.pi], [0.3, 0.3]])
def test_phases_that_tell_nothing_are_refused(phases):
    number = len(phases)
    with pytest.raises(ValueError, match="two phases that are not half a period apart"):
        fit_opposite_fringes(phases, ([5] * number, [1] * number), ([3] * number, [1] * number))


def test_events_without_a_fringe_are_refused():
    with pytest.raises(ValueError, match="show a fringe"):
        fit_opposite_fringes([0.0, 1.0], ([1, 1], [10, 10]), ([1, 1], [10, 10]))
