"""Exact intervals of counted shares: one binomial share, and weighted sums of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.correlation import LEVEL, check_level
from analysis.counts_file import count_of, must_not_exceed

Real = NDArray[np.float64]

_CELLS_PER_SIGMA: Final = 40
_REACH: Final = 12
"""Standard deviations of each share that a sum's distribution covers (tails below 1e-30)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with an interval that holds the true one with probability `level`."""

    value: float
    low: float
    high: float
    level: float

    def to_dict(self) -> dict[str, float]:
        """Return value and ends, as the command line prints them in JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.value:.4f}  [{self.low:.4f}, {self.high:.4f}]"


def share(successes: int, trials: int, level: float = LEVEL) -> Interval:
    """Return k/n with the Clopper–Pearson interval: exact coverage of at least `level`.

    The ends are the shares at which so few or so many successes have probability (1 − level)/2;
    they exist for any k, 0 and n included, and need no prior.

    Raises
    ------
    ValueError
        If there were no trials, a count is impossible or the level is outside (0, 1).
    """
    k, n = _of(successes, trials)
    check_level(level)
    if n == 0:
        message = "`trials` must be at least 1 for a share, but is 0; measure longer"
        raise ValueError(message)
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1 - tail))
    return Interval(value=k / n, low=low, high=high, level=level)


def at_least(successes: int, trials: int, probability: float) -> float:
    """Probability of `successes` or more in `trials`, each with `probability`: exact tail."""
    k, n = _of(successes, trials)
    return 1.0 if k == 0 else float(special.betainc(k, n - k + 1, probability))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SumPosterior:
    """Distribution of Σ w_k x_k + constant for independent shares x_k, on a grid.

    Attributes
    ----------
    grid : ndarray, shape (n,)
        Upper ends of equal cells.
    cumulative : ndarray, shape (n,)
        Probability below each.
    """

    grid: Real
    cumulative: Real

    def quantile(self, q: float) -> float:
        """Value below which the sum lies with probability q."""
        return float(np.interp(q, self.cumulative, self.grid))

    def above(self, value: float) -> float:
        """Probability that the sum is above `value`."""
        return float(1 - np.interp(value, self.grid, self.cumulative, left=0.0, right=1.0))


def weighted_sum(
    successes: Sequence[int], trials: Sequence[int], weights: Sequence[float], constant: float = 0.0
) -> SumPosterior:
    """Posterior of Σ w_k x_k + constant, x_k with flat prior: Beta(k + 1, n − k + 1).

    The distributions are convolved exactly, on cells of 1/40 of the narrowest term's σ.

    Raises
    ------
    ValueError
        If a count is impossible or all weights are 0.
    """
    terms = []
    for k, n, weight in zip(successes, trials, weights, strict=True):
        good, total = _of(k, n)
        if weight:
            terms.append((good + 1.0, total - good + 1.0, float(weight)))
    if not terms:
        message = "`weights` must hold at least one that is not 0"
        raise ValueError(message)
    step = min(abs(w) * _sigma(a, b) for a, b, w in terms) / _CELLS_PER_SIGMA
    cells, start = np.ones(1), constant
    for a, b, weight in terms:
        part, first = _cells(a, b, weight, step)
        cells = _convolved(cells, part)
        start += first
    cumulative = np.cumsum(cells)
    # cell i of the sum holds values about start + i·step (each term's cell by its middle)
    grid = np.asarray(start + step * (np.arange(len(cells)) + 0.5), np.float64)
    return SumPosterior(grid=grid, cumulative=cumulative / cumulative[-1])


def _sigma(a: float, b: float) -> float:
    return float(np.sqrt(a * b / (a + b + 1)) / (a + b))


def _cells(a: float, b: float, weight: float, step: float) -> tuple[Real, float]:
    """Probabilities of w x in cells of width `step`, and the middle of the first."""
    sigma, mean = _sigma(a, b), a / (a + b)
    low, high = max(0.0, mean - _REACH * sigma), min(1.0, mean + _REACH * sigma)
    number = int(np.ceil((high - low) * abs(weight) / step)) + 1
    width = step / abs(weight)
    edges = low + width * (np.arange(number + 1) - 0.5)
    parts = np.diff(special.betainc(a, b, np.clip(edges, 0.0, 1.0)))
    if weight > 0:
        return parts, weight * low
    return parts[::-1], weight * (low + width * (number - 1))


def _convolved(a: Real, b: Real) -> Real:
    if min(len(a), len(b)) < 64:
        return np.convolve(a, b)
    size = len(a) + len(b) - 1
    product = np.fft.rfft(a, size) * np.fft.rfft(b, size)
    return np.maximum(np.fft.irfft(product, size), 0.0)


def _of(successes: int, trials: int) -> tuple[int, int]:
    k, n = count_of("successes", successes), count_of("trials", trials)
    must_not_exceed("successes", k, "trials", n)
    return k, n
