"""A phase sweep that looks where the fringe is steepest, on simulated counts."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.correlation import GammaPosterior
from labkit.procedures.phase_sweep import (
    CorrelationFringe,
    PhaseSweepOptions,
    both_fringes,
    fit_counts,
    next_phase,
)
from simulation.theory.dlcz import fringe_phase, pair_clicks, riedinger2018

TRIALS, BLOCKS = 100_000_000, 18
PAPER = riedinger2018()
BEST = float(PAPER.delta_phi - fringe_phase(PAPER))


def measured(rng, phases, best, contrast):
    """Pooled events of different and of the same detectors at phases of a lab's read pulse."""
    at = replace(PAPER, delta_phi=np.asarray(phases) - best + BEST, contrast=contrast)
    clicks = pair_clicks(at)
    events = rng.poisson(TRIALS * clicks.coincidences)
    accidentals = TRIALS * clicks.coincidences / clicks.g2
    pooled = []
    for cells in (((0, 1), (1, 0)), ((0, 0), (1, 1))):
        counted = sum(events[:, i, j] for i, j in cells)
        exposure = sum(accidentals[:, i, j] for i, j in cells)
        pooled.append(
            tuple(
                GammaPosterior(events=int(n), exposure=float(e))
                for n, e in zip(counted, exposure, strict=True)
            )
        )
    return CorrelationFringe(x=np.asarray(phases, float), crossed=pooled[0], same=pooled[1])


def joined(one, other):
    return CorrelationFringe(
        x=np.append(one.x, other.x), crossed=one.crossed + other.crossed, same=one.same + other.same
    )


def adaptive(rng, best, contrast):
    fringe = measured(rng, [0.0], best, contrast)
    while len(fringe.x) < BLOCKS:
        fringe = joined(fringe, measured(rng, [next_phase(fringe)], best, contrast))
    return fringe


def miss(found, best):
    return np.pi - np.mod(np.pi - (found - best), 2 * np.pi)


@pytest.mark.long
def test_steepest_points_gain_trials_against_a_grid():
    """80 labs of random phase and contrast, 18 blocks of 1e8 trials each.

    Errors over 200 labs: grid with different detectors alone 0.125 rad, with both fringes 0.085,
    steepest points 0.072, so 1.4 times fewer trials than the grid fitted alike. The ratio of two
    variances over 80 labs has a σ of 0.22 of it.
    """
    rng = np.random.default_rng(11)
    grid, alone, steep = [], [], []
    for _ in range(80):
        best, contrast = rng.uniform(-np.pi, np.pi), rng.uniform(0.7, 1.0)
        fringe = measured(rng, np.arange(BLOCKS) * 2 * np.pi / BLOCKS, best, contrast)
        grid.append(miss(both_fringes(fringe).phase.value, best))
        top = np.pi / 2 - fit_counts(fringe, "crossed", 2 * np.pi).phase.value
        alone.append(miss(top, best))
        steep.append(miss(both_fringes(adaptive(rng, best, contrast)).phase.value, best))
    rms = [float(np.sqrt(np.mean(np.square(errors)))) for errors in (grid, alone, steep)]
    assert rms[2] < 0.09
    assert 1.1 < (rms[0] / rms[2]) ** 2 < 2.2
    assert rms[1] > rms[0]


def test_second_point_is_a_quarter_period_on_and_others_beside_the_maximum():
    rng = np.random.default_rng(3)
    fringe = measured(rng, [3.0], 0.4, 0.95)
    assert next_phase(fringe) == pytest.approx(3.0 + np.pi / 2 - 2 * np.pi)
    fringe = joined(fringe, measured(rng, [next_phase(fringe)], 0.4, 0.95))
    best = both_fringes(fringe).phase.value
    assert abs(miss(next_phase(fringe), best)) == pytest.approx(np.pi / 2)
    after = joined(fringe, measured(rng, [next_phase(fringe)], 0.4, 0.95))
    assert miss(next_phase(after), both_fringes(after).phase.value) == pytest.approx(
        -miss(next_phase(fringe), best)
    )


def test_adaptive_sweep_needs_no_stop():
    assert PhaseSweepOptions(adaptive=True, start=1.0, stop=1.0).adaptive
    with pytest.raises(ValueError, match="`start` and `stop` must differ"):
        PhaseSweepOptions(start=1.0, stop=1.0)
