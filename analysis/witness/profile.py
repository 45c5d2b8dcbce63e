"""Likelihood of the symmetrised witness R: point, interval and test after a fixed sample.

Each coincidence count is Poisson with mean gΛ. R depends on the mean g² of the low and of the high
cells only; the other combinations of the g² are profiled out.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.roots import root_between
from analysis.witness.cells import Array, Cells
from analysis.witness.separable import symmetrised_witness

_NEWTON_STEPS = 40
_DROP = 0.98894
_LARGEST_RATIO = 1e9
_STEPS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
MIN_COINCIDENCES = 20
"""Coincidences of each herald below which the fixed-sample test is not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioEstimate:
    """Maximum-likelihood R with its 68 % profile-likelihood interval.

    Attributes
    ----------
    value, low, high : float
        Infinite where equal means of g² (c = s) are the most likely, or inside.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanLikelihood:
    """Profile log-likelihood of the mean g² of some cells, of which some may be taken as 1.

    Attributes
    ----------
    filled : tuple of (float, float)
        Coincidences and accidentals of the free cells that have coincidences.
    empty : tuple of float
        Accidentals of the free cells without coincidences.
    assumed : int
        Number of further cells that are taken as g² = 1.
    """

    filled: tuple[tuple[float, float], ...]
    empty: tuple[float, ...] = ()
    assumed: int = 0

    @property
    def size(self) -> int:
        """Number of cells in the mean."""
        return len(self.filled) + len(self.empty) + self.assumed

    @property
    def free(self) -> bool:
        """Whether any cell is read rather than taken as 1."""
        return bool(self.filled or self.empty)

    @property
    def best(self) -> float:
        """Mean at the maximum of the likelihood."""
        return (sum(count / exposure for count, exposure in self.filled) + self.assumed) / self.size

    def at(self, mean: float) -> tuple[float, float]:
        """Return max Σ(C log u - Λu) over the u of that mean, less its maximum, and its slope.

        With a multiplier ν, u = C/(Λ + ν). A cell without coincidences takes what is left.
        """
        if not self.free:
            return 0.0, 0.0
        total = max(mean * self.size - self.assumed, math.ulp(0.0))
        floor = -min(self.empty, default=math.inf)
        nu = self._multiplier(total)
        value = 0.0
        if nu <= floor:
            nu = floor
            left = total - sum(count / (exposure + nu) for count, exposure in self.filled)
            value = floor * max(left, 0.0)
        for count, exposure in self.filled:
            shift = -nu / (exposure + nu)  # relative difference to the most likely u
            value += count * (math.log1p(shift) - shift)
        return value, self.size * nu

    def _multiplier(self, total: float) -> float:
        """Solve Σ C/(Λ + ν) = total by Newton's method for 1/Σ, a rising concave function."""
        filled = self.filled
        nu = max((count / total - exposure for count, exposure in filled), default=-math.inf)
        if len(filled) < 2:
            return nu
        for _ in range(_NEWTON_STEPS):
            found = slope = 0.0
            for count, exposure in filled:
                u = count / (exposure + nu)
                found += u
                slope += u / (exposure + nu)
            step = found / total * (found - total) / slope
            nu += step
            if step <= 1e-14 * abs(nu):
                break
        return nu


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessLikelihood:
    """Likelihood of the mean g² of low and high cells, within s >= 1 and c >= s.

    Attributes
    ----------
    low, high : MeanLikelihood
    """

    low: MeanLikelihood
    high: MeanLikelihood

    @property
    def best(self) -> tuple[float, float, float]:
        """The most likely (s, c) and its log-likelihood, counted from the free maximum."""
        s, c = max(self.low.best, 1.0), self.high.best
        if c < s:
            mean, value = self._flat_point()
            return mean, mean, value
        return s, c, self.low.at(s)[0] + self.high.at(c)[0]

    def at(self, x: float) -> float:
        """Return the profile log-likelihood of R = x, counted from the free maximum.

        On the boundary s = (w² - 1 + x)/(2x), c = ((w + 2)² - 1 + x)/(2x) the best w lies between
        the w of the most likely s and that of the most likely c.
        """

        def point(w: float) -> tuple[float, float]:
            return (w * w - 1.0 + x) / (2.0 * x), ((w + 2.0) ** 2 - 1.0 + x) / (2.0 * x)

        def slope(w: float) -> float:
            s, c = point(w)
            return self.low.at(s)[1] * w + self.high.at(c)[1] * (w + 2.0)

        first = math.sqrt(1.0 + x)
        ends = (
            max(math.sqrt(max(1.0 + x * (2.0 * self.low.best - 1.0), 0.0)), first),
            max(math.sqrt(max(1.0 + x * (2.0 * self.high.best - 1.0), 0.0)) - 2.0, first),
        )
        if not self.low.free:  # nothing but the high cells says where on the boundary
            ends = first, first
        s, c = point(_falling_root(slope, min(ends), max(ends)))
        return self.low.at(s)[0] + self.high.at(c)[0]

    @property
    def flat(self) -> float:
        """Profile log-likelihood of c = s, where R is infinite."""
        return self._flat_point()[1]

    def _flat_point(self) -> tuple[float, float]:
        def slope(mean: float) -> float:
            return self.low.at(mean)[1] + self.high.at(mean)[1]

        ends = sorted((max(self.low.best, 1.0), max(self.high.best, 1.0)))
        mean = _falling_root(slope, *ends) if self.low.free else 1.0
        return mean, self.low.at(mean)[0] + self.high.at(mean)[0]


def witness_likelihood(
    cells: Cells, assumed: tuple[bool, bool] = (False, False)
) -> WitnessLikelihood:
    """Return the likelihood of counts.

    Parameters
    ----------
    cells : Cells
        Every cell must expect accidentals.
    assumed : tuple of two bool
        Heralds whose low cells are taken as g² = 1 instead of being read.

    Raises
    ------
    ValueError
        If a cell expects no accidentals.
    """
    if not cells.complete:
        message = "every detector must have clicks in every gate, or g² is undefined"
        raise ValueError(message)
    free = ~np.array(assumed)
    low = cells.low[free], cells.low_accidentals[free]
    return WitnessLikelihood(
        low=_mean_likelihood(*low, assumed=cells.n - low[0].size),
        high=_mean_likelihood(cells.high, cells.high_accidentals),
    )


def _mean_likelihood(counts: Array, accidentals: Array, assumed: int = 0) -> MeanLikelihood:
    pairs = list(zip(counts.ravel().tolist(), accidentals.ravel().tolist(), strict=True))
    return MeanLikelihood(
        filled=tuple(pair for pair in pairs if pair[0] > 0.0),
        empty=tuple(exposure for count, exposure in pairs if count == 0.0),
        assumed=assumed,
    )


def ratio_estimate(cells: Cells) -> RatioEstimate:
    """Return the most likely R and {R : 2[max log L - profile log L(R)] <= 0.98894} (68 %).

    The point lies inside by construction. The upper end is infinite if c = s is inside; without
    counts so is the point.

    Raises
    ------
    ValueError
        If a cell expects no accidentals.
    """
    likelihood = witness_likelihood(cells)
    s, c, best = likelihood.best
    value = float(symmetrised_witness(s, c))

    def miss(log_x: float) -> float:
        return 2.0 * (best - likelihood.at(math.exp(log_x))) - _DROP

    if not cells.by_herald.any():
        return RatioEstimate(value=math.inf, low=0.0, high=math.inf)
    start = math.log(min(value, _LARGEST_RATIO))
    # where same-detector counts exceed by far, only ratios beyond the largest are likely
    low = _crossing(miss, start, -1.0) if miss(start) <= 0.0 else math.exp(start)
    flat = 2.0 * (best - likelihood.flat) <= _DROP
    return RatioEstimate(
        value=value, low=low, high=math.inf if flat else _crossing(miss, start, 1.0)
    )


def fixed_sample_statistic(
    cells: Cells, x: float, assumed: tuple[bool, bool] = (False, False)
) -> float:
    """Return T = 2[max log L - max over R = x of log L]; 0 if the most likely R is at least x.

    Raises
    ------
    ValueError
        If a cell expects no accidentals or x is outside (0, 1].
    """
    if not 0.0 < x <= 1.0:
        message = f"`x` must lie above 0 and not above 1, but is {x}"
        raise ValueError(message)
    likelihood = witness_likelihood(cells, assumed)
    s, c, best = likelihood.best
    if symmetrised_witness(s, c) >= x:
        return 0.0
    return max(2.0 * (best - likelihood.at(x)), 0.0)


def fixed_sample_confidence(statistic: float) -> float:
    """Return 1 - P(chi²_1 > T)/2, for a number of trials fixed before the run."""
    return 1.0 - math.erfc(math.sqrt(statistic / 2.0)) / 2.0


def least_fixed_sample_statistic(cells: Cells, x: float) -> float:
    """Return the smallest T over the sets of heralds whose low cells are taken as g² = 1.

    As for the always-valid test: blindness of one detector may hide what another one adds.
    """
    return min(
        fixed_sample_statistic(cells, x, (first, second))
        for first in (False, True)
        for second in (False, True)
    )


def _crossing(miss: Callable[[float], float], start: float, sign: float) -> float:
    """Return where `miss` of log R becomes positive on the way from `start` up (+1) or down (-1).

    Its root is searched between two steps that enclose it; 0 or infinity if none do.
    """
    before = 0.0
    for step in _STEPS:
        if miss(start + sign * step) > 0.0:
            inside, outside = start + sign * before, start + sign * step
            return math.exp(root_between(miss, inside, outside, xtol=1e-13, rtol=1e-9))
        before = step
    return 0.0 if sign < 0.0 else math.inf


def _falling_root(slope: Callable[[float], float], low: float, high: float) -> float:
    """Return where a slope changes from positive to negative; an end if it does not."""
    if not slope(low) > 0.0:
        return low
    if not slope(high) < 0.0:
        return high
    return root_between(slope, low, high, xtol=1e-12, rtol=1e-8)
