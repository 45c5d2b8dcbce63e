"""Changed rates are found, constant ones are left alone, as often as the formulas say."""

import numpy as np
import pytest
from scipy import stats

from analysis.constancy import ConstancyTest, reference_of, surely_changed, unsteady

TRIALS = 1_000_000


def test_known_rate_is_compared_by_poisson_tails():
    expected = 120.0
    lowest = next(k for k in range(200) if stats.poisson.cdf(k, 0.8 * expected) >= 2.9e-7)
    highest = next(k for k in range(500) if stats.poisson.sf(k - 1, 1.2 * expected) < 2.9e-7)
    changed = [
        surely_changed(k, TRIALS, expected / TRIALS, 0.0, 0.2)
        for k in (lowest - 1, lowest, highest - 1, highest)
    ]
    assert changed == [True, False, False, True]


def test_measured_rate_is_compared_by_binomial_tails():
    known, clicks = 100, 25  # of as many trials
    p = stats.binom.cdf(clicks, known + clicks, 0.8 / 1.8)
    rate, sigma = known / TRIALS, np.sqrt(known) / TRIALS
    assert surely_changed(clicks, TRIALS, rate, sigma, 0.2, tail=4 * p)
    assert not surely_changed(clicks, TRIALS, rate, sigma, 0.2, tail=p / 4)
    assert surely_changed(clicks, TRIALS, rate, 0.0, 0.2)  # the same is sure if the rate is known


def test_no_clicks_and_no_trials_are_allowed_for():
    assert surely_changed(0, TRIALS, 1e-4, 0.0, 0.2)
    assert not surely_changed(0, TRIALS, 1e-6, 0.0, 0.2)
    assert not surely_changed(0, 0, 1e-4, 0.0, 0.2)


@pytest.mark.parametrize("factor", [0.0, 3.0])
def test_twenty_seconds_of_another_rate_are_found_where_they_are(factor):
    rng = np.random.default_rng(3)
    clicks = rng.poisson(30.0, (50, 2, 2))
    clicks[20:22, 0] = rng.poisson(30.0 * factor, (2, 2))
    found = unsteady(clicks)
    assert found is not None
    assert (found.gate, found.first, found.last) == (0, 20, 21)
    assert found.ratio == pytest.approx(factor, abs=0.6)


def test_steady_clicks_and_slow_drifts_are_left_alone():
    rng = np.random.default_rng(4)
    slow = np.linspace(0.8, 1.2, 50)[:, None, None]
    for rate in (0.02, 1.0, 30.0, 3000.0):
        for course in (1.0, slow):
            sample = rng.poisson(rate * course, (40, 50, 2, 2))
            assert [unsteady(one) for one in sample] == [None] * 40
    assert unsteady(np.ones((1, 2, 2))) is None


def observations(rng, rates, number, trials=TRIALS):
    return rng.poisson(np.asarray(rates) * trials, (number, *np.shape(rates)))


def test_a_fall_too_small_for_one_block_is_found_over_several_with_its_beginning():
    rng = np.random.default_rng(5)
    rates = np.full((2, 2), 1.2e-4)
    fallen = rates * [[1.0, 1.0], [1.0, 0.5]]
    test = ConstancyTest(rates, np.zeros((2, 2)), 0.2)
    assert [test.add(c, TRIALS) for c in observations(rng, rates, 20)] == [None] * 20
    course = observations(rng, fallen, 6)
    assert not any(surely_changed(int(c[1, 1]), TRIALS, 1.2e-4, 0.0, 0.2) for c in course)
    change = next(change for c in course if (change := test.add(c, TRIALS)) is not None)
    assert (change.gate, change.detector) == (1, 1)
    assert abs(change.first - 20) <= 1


def test_false_alarms_are_as_rare_as_stated_at_the_outermost_allowed_rates():
    """1,000 runs of 60 blocks at α = 5 %: at most 50 ± 4·6.9 alarms, and in fact fewer."""
    rng = np.random.default_rng(6)
    rates, allowed = np.full((2, 2), 5e-5), 0.2
    alarms = 0
    for edge in (1 - allowed, 1 + allowed):
        for _ in range(500):
            test = ConstancyTest(rates, np.zeros((2, 2)), allowed, alpha=0.05)
            course = observations(rng, rates * edge, 60)
            alarms += any(test.add(clicks, TRIALS) is not None for clicks in course)
    assert alarms < 50 + 4 * 6.9


def test_reference_is_the_sum_of_what_was_seen():
    rates, sigmas = reference_of([np.array([[30, 0]]), np.array([[70, 0]])], [500_000, 500_000])
    assert rates == pytest.approx(np.array([[1e-4, 0.0]]))
    assert sigmas == pytest.approx(np.array([[1e-5, 1e-6]]))


def test_a_cell_without_rate_is_not_watched():
    test = ConstancyTest(np.zeros((1, 1)), np.zeros((1, 1)), 0.2)
    assert [test.add(np.array([[50]]), TRIALS) for _ in range(5)] == [None] * 5
