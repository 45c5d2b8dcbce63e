"""Exact intervals: coverage by the binomial law, posteriors against sampling and known sums."""

import numpy as np
import pytest
from scipy import stats

from analysis.binomial import at_least, share, weighted_sum


@pytest.mark.parametrize("n", [1, 5, 40])
@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.91])
def test_share_covers_at_least_its_level(n, p):
    intervals = [share(k, n, 0.9) for k in range(n + 1)]
    inside = [interval.low <= p <= interval.high for interval in intervals]
    assert stats.binom.pmf(np.arange(n + 1), n, p) @ inside >= 0.9


def test_share_ends_are_where_the_tails_are_half_the_rest():
    interval = share(3, 10, 0.68)
    assert stats.binom.sf(2, 10, interval.low) == pytest.approx(0.16)
    assert stats.binom.cdf(3, 10, interval.high) == pytest.approx(0.16)
    assert share(0, 10).low == 0
    assert share(10, 10).high == 1


def test_tail_is_the_binomial_one():
    assert at_least(60, 70, 0.75) == pytest.approx(stats.binom.sf(59, 70, 0.75), rel=1e-12)
    assert at_least(0, 10, 0.3) == 1


def test_one_share_is_its_beta():
    posterior = weighted_sum([3], [17], [1.0])
    for q in (0.05, 0.5, 0.975):
        assert posterior.quantile(q) == pytest.approx(stats.beta.ppf(q, 4, 15), abs=2e-5)


def test_a_sum_of_flat_shares_is_triangular():
    """x − y of two shares nothing is known of: 1 − |z|."""
    posterior = weighted_sum([0, 0], [0, 0], [1.0, -1.0])
    assert posterior.quantile(0.125) == pytest.approx(-0.5, abs=2e-4)
    assert posterior.above(0.5) == pytest.approx(0.125, abs=2e-4)


@pytest.mark.parametrize("scale", [1, 30, 3000])
def test_a_weighted_sum_agrees_with_sampling(scale):
    good, total, weights = (
        np.array([3, 1, 5]) * scale,
        np.array([7, 9, 5]) * scale,
        [2.0, -2.0, 1.0],
    )
    rng = np.random.default_rng(2)
    draws = rng.beta(good + 1, total - good + 1, (400_000, 3)) @ weights + 0.3
    posterior = weighted_sum(good.tolist(), total.tolist(), weights, constant=0.3)
    for q in (0.16, 0.5, 0.84):
        # 4 σ of a sampled quantile
        error = 4 * np.sqrt(q * (1 - q) / 400_000) * draws.std() * 3
        assert posterior.quantile(q) == pytest.approx(np.quantile(draws, q), abs=error)


@pytest.mark.parametrize(
    ("counts", "message"),
    [((5, 4), "must not exceed"), ((-1, 4), "not be negative"), ((0, 0), "at least 1")],
)
def test_impossible_counts_are_refused(counts, message):
    with pytest.raises(ValueError, match=message):
        share(*counts)
