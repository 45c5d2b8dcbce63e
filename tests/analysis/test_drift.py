"""Drift tests hold their level, see drifts, and g² within segments is not fooled by them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.correlation import g2
from analysis.counts import Counts, Quality, exact_trials
from analysis.gates import Gate, GateSet
from analysis.questions.drift import drift, g2_course, rate_drifts

GATES = GateSet(
    period=1e-6, detectors={1: 0},
    gates=(Gate(name="pump", start=0.0, stop=1e-8), Gate(name="read", start=2e-8, stop=3e-8)),
)  # fmt: skip
A, B = ("pump", 1), ("read", 1)


def segment(trials, pump, read, both):
    return Counts(
        gates=GATES, trials=exact_trials(trials, "made"), singles=np.array([[pump], [read]]),
        pairs=np.array([[0, both], [both, 0]]), repeated=np.zeros((2, 1), np.int64),
        histogram=np.zeros((1, 1), np.int64), bin_edges=np.array([0.0, 1.0]),
        gate_of_bin=np.array([0], np.int8), quality=Quality(),
    )  # fmt: skip


@pytest.mark.parametrize("mean", [2.0, 200.0])
def test_p_values_of_constant_rates_are_uniform_or_above(mean):
    rng = np.random.default_rng(1)
    tests = [drift(rng.poisson(mean, 12), np.ones(12)) for _ in range(200)]
    for name in ("p_scatter", "p_trend"):
        found = np.array([getattr(each, name) for each in tests])
        for level in (0.05, 0.2, 0.5):  # binomial, 200 tests: four σ
            assert abs((found <= level).mean() - level) < 4 * np.sqrt(level * (1 - level) / 200)


def test_few_counts_have_the_exact_multinomial_probability():
    # Two segments, all of 6 counts in one: as extreme only 0:6 and 6:0, 2/2**6; four σ of 9,999.
    found = drift([6, 0], [1.0, 1.0])
    exact = 2 / 2**6
    assert found.p_scatter == pytest.approx(exact, abs=4 * np.sqrt(exact / 9_999))
    assert found.p_trend == found.p_scatter


def test_many_counts_have_the_chi_square_of_the_textbook():
    counts = np.array([480, 530, 510, 470])
    _, p = stats.chisquare(counts)
    assert drift(counts, np.ones(4)).p_scatter == pytest.approx(p)


def test_a_linear_drift_is_seen_with_its_size():
    found = drift(np.linspace(950, 1050, 11).round(), np.full(11, 1e6))
    assert found.change == pytest.approx(0.1, rel=1e-3)
    assert found.p_trend < 0.01 < found.p_scatter


def test_unequal_segments_of_one_rate_have_no_drift():
    found = drift([100, 200, 400], [1e6, 2e6, 4e6])
    assert (found.p_scatter, found.p_trend, found.change) == pytest.approx((1.0, 1.0, 0.0))


def test_rates_that_drift_together_bunch_the_pooled_g2_only():
    # independent gates at 1 % and 3 %: g² is 1 in each half, pooled 1.25
    halves = [segment(10**6, 10_000, 10_000, 100), segment(10**6, 30_000, 30_000, 900)]
    found = g2_course(halves, A, B)
    assert found.pooled == pytest.approx(1.25)
    assert found.within.value == pytest.approx(1.0)
    assert found.drift.p_scatter == pytest.approx(1.0)
    assert rate_drifts(halves)[A].p_scatter < 1e-9


def test_one_segment_has_the_interval_of_g2():
    one = segment(10**6, 1000, 2000, 17)
    found, expected = g2_course([one], A, B), g2(17, 1000, 2000, 10**6)
    assert (found.within.value, found.within.low, found.within.high) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )
    assert found.bootstrap is None


def test_bootstrap_agrees_with_poisson_counts_and_widens_with_blinking():
    rng = np.random.default_rng(3)
    steady = [segment(10**6, 10_000, 10_000, int(c)) for c in rng.poisson(100, 60)]
    blinking = [segment(10**6, 10_000, 10_000, int(c)) for c in rng.choice([20, 180], 60)]

    def widths(parts):
        found = g2_course(parts, A, B)
        return found.bootstrap.high - found.bootstrap.low, found.within.high - found.within.low

    boot, poisson = widths(steady)
    assert boot == pytest.approx(poisson, rel=0.4)  # σ of a width from 60 segments: 9 %
    boot, poisson = widths(blinking)
    assert boot > 5 * poisson


def test_few_coincidences_are_not_resampled():
    assert g2_course([segment(10**6, 1000, 1000, 2)] * 9, A, B).bootstrap is None
    assert g2_course([segment(10**6, 1000, 1000, 3)] * 9, A, B).bootstrap is not None


def test_empty_segments_change_nothing():
    parts = [segment(10**6, 1000, 1000, 3)] * 3
    assert g2_course([*parts, replace(parts[0], trials=exact_trials(0, "made"))], A, B).within == (
        g2_course(parts, A, B).within
    )
