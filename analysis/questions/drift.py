"""Whether rates and g² held still over the segments of a recording, and what that does to g²."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from analysis.binomial import Interval
from analysis.correlation import LEVEL, GammaPosterior
from analysis.counts import Counts
from analysis.fits import FringeFit, fit_fringe

_MANY: Final = 20.0
"""Expected counts per segment from which the χ² distribution stands for the exact one."""

_DRAWS: Final = 9_999
_RESAMPLES: Final = 4_000
_SEED: Final = 20_180_425
_FEWEST: Final = 8
_FEWEST_EVENTS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Test of constant rate.

    Attributes
    ----------
    total : int
        Events in all segments.
    p_scatter : float
        Probability, at constant rate, of a χ² of the segments at least as large.
    p_trend : float
        Probability, at constant rate, of a linear trend at least as steep, either way.
    change : float
        Fitted relative change of the rate from the first to the last segment's middle.
    """

    total: int
    p_scatter: float
    p_trend: float
    change: float

    def __str__(self) -> str:
        change = 100.0 * self.change
        digits = "+.0f" if abs(change) >= 10.0 else "+.2g"
        return (
            f"{self.total:,} events, p(scatter) {self.p_scatter:.3g}, "
            f"p(trend) {self.p_trend:.3g}, change {change:{digits}} %"
        )

    def to_dict(self) -> dict[str, float]:
        """Return all fields, as the command line prints them in JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def drift(events: ArrayLike, exposures: ArrayLike, times: ArrayLike | None = None) -> Drift:
    """Test whether Poisson counts have one rate per exposure.

    Given their total C, counts of a constant rate are multinomial with shares w = e/Σe. The scatter
    is Pearson's χ² = Σ (c − Cw)²/(Cw), the trend Σ t(c − Cw) (Cochran and Armitage). With fewer
    than 20 expected counts in a segment both are compared with 9,999 multinomial draws (fixed
    seed), p = (1 + draws at least as extreme)/10,000; else with χ² and the normal distribution.

    Parameters
    ----------
    events : array_like of int, shape (n,)
    exposures : array_like of float, shape (n,)
        Trials of each segment for singles, accidentals for coincidences.
    times : array_like of float, shape (n,), optional
        Middle of each segment; by default equal steps.

    Raises
    ------
    ValueError
        If there are fewer than two segments with exposure, no events, or unequal lengths.
    """
    c, e = np.asarray(events, np.int64), np.asarray(exposures, float)
    t = np.arange(len(c), dtype=float) if times is None else np.asarray(times, float)
    if not (c.ndim == 1 and c.shape == e.shape == t.shape):
        message = (
            "`events`, `exposures` and `times` must be of one length, but have shapes "
            f"{c.shape}, {e.shape} and {t.shape}"
        )
        raise ValueError(message)
    if (c < 0).any() or not (e >= 0).all() or (c[e == 0] > 0).any():
        message = "`events` and `exposures` must be >= 0, and no event may come without exposure"
        raise ValueError(message)
    c, t, e = c[e > 0], t[e > 0], e[e > 0]
    total = int(c.sum())
    if len(c) < 2 or total == 0:
        message = (
            "a drift test needs events and at least two segments with exposure, but has "
            f"{total} events in {len(c)}"
        )
        raise ValueError(message)
    shares = e / e.sum()
    centred = t - shares @ t
    p_scatter, p_trend = _probabilities(c, shares, centred)
    variance = shares @ centred**2
    slope = float(centred @ (c - total * shares)) / total / variance
    return Drift(
        total=total, p_scatter=p_scatter, p_trend=p_trend, change=slope * float(t[-1] - t[0])
    )


def _probabilities(
    c: NDArray[np.int64], shares: NDArray[np.float64], centred: NDArray[np.float64]
) -> tuple[float, float]:
    total = int(c.sum())
    expected = total * shares

    def scatter(found: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(((found - expected) ** 2 / expected).sum(axis=-1))

    def trend(found: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(np.abs((found - expected) @ centred))

    if expected.min() >= _MANY:
        sigma = float(np.sqrt(total * (shares @ centred**2)))
        return (
            float(special.chdtrc(len(c) - 1, scatter(c))),
            float(special.erfc(trend(c) / sigma / np.sqrt(2.0))),
        )
    draws = np.random.default_rng(_SEED).multinomial(total, shares, size=_DRAWS)
    tiny = 1 + 1e-12  # equal sums may differ by rounding
    return tuple(
        float(1 + np.count_nonzero(of(draws) * tiny >= of(c))) / (_DRAWS + 1)
        for of in (scatter, trend)
    )  # type: ignore[return-value]


Cell = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class G2Course:
    """g² of two cells over the segments of a recording.

    Attributes
    ----------
    events : ndarray of int64, shape (segments,)
        Coincidences.
    accidentals : ndarray of float64, shape (segments,)
        n_a n_b/N of each segment.
    pooled : float
        ΣC N/(Σn_a Σn_b), as without segments; rates that drift together raise it.
    within : Interval
        ΣC/Σ(n_a n_b/N) with the quantiles of Gamma(ΣC + 1, Σλ): rates need to be constant within
        segments only.
    bootstrap : Interval or None
        The same value with the percentiles of 4,000 resamplings of the segments (fixed seed),
        which need no Poisson law; None with fewer than 8 segments or 20
        coincidences, which resampling cannot speak for.
    drift : Drift or None
        Of the coincidences against the accidentals; None without coincidences.
    """

    events: NDArray[np.int64]
    accidentals: NDArray[np.float64]
    pooled: float
    within: Interval
    bootstrap: Interval | None
    drift: Drift | None


def g2_course(segments: Sequence[Counts], a: Cell, b: Cell, level: float = LEVEL) -> G2Course:
    """Follow g² = C N/(n_a n_b) of two cells over segments.

    Parameters
    ----------
    segments : sequence of Counts
    a, b : (gate, detector)
    level : float

    Raises
    ------
    KeyError
        If there is no such gate or detector.
    ValueError
        If one of the cells has no click in any segment that the other has one in.
    """
    kept = [each for each in segments if each.trials.number]
    events = np.array([each.coincidence(a, b) for each in kept], np.int64)
    n_a, n_b = (np.array([each.single(*cell) for each in kept], float) for cell in (a, b))
    trials = np.array([each.trials.number for each in kept], float)
    accidentals = n_a * n_b / trials
    if not accidentals.sum() > 0:
        message = (
            f"g² of {a} and {b} needs clicks of both in one segment, but there are none; use "
            "longer segments"
        )
        raise ValueError(message)
    total, exposure = int(events.sum()), float(accidentals.sum())
    return G2Course(
        events=events,
        accidentals=accidentals,
        pooled=total * float(trials.sum()) / float(n_a.sum() * n_b.sum()),
        within=_gamma_interval(total, exposure, level),
        bootstrap=_bootstrap(events, accidentals, level),
        drift=drift(events, accidentals) if total and np.count_nonzero(accidentals) > 1 else None,
    )


def _gamma_interval(events: int, exposure: float, level: float) -> Interval:
    posterior = GammaPosterior(events=events, exposure=exposure)
    tails = (0.0, level) if events == 0 else ((1 - level) / 2, (1 + level) / 2)
    low, high = (float(posterior.quantile(tail)) for tail in tails)
    return Interval(value=posterior.mode, low=low, high=high, level=level)


def _bootstrap(
    events: NDArray[np.int64], accidentals: NDArray[np.float64], level: float
) -> Interval | None:
    number = len(events)
    if number < _FEWEST or events.sum() < _FEWEST_EVENTS:
        return None
    rng = np.random.default_rng(_SEED)
    weights = rng.multinomial(number, np.full(number, 1 / number), size=_RESAMPLES)
    exposure = weights @ accidentals
    ratios = (weights @ events)[exposure > 0] / exposure[exposure > 0]
    low, high = np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2])
    value = float(events.sum() / accidentals.sum())
    return Interval(value=value, low=float(low), high=float(high), level=level)


def fringe_of(course: G2Course, first: int = 0, *, period: float | None = None) -> FringeFit:
    """Fit a fringe to g² = C/λ against the segment's number, as of a phase scan in one file.

    Each value has the standard deviation √(C + 1)/λ; segments without accidentals are left out.

    Parameters
    ----------
    course : G2Course
    first : int
        Segment to begin with: 1 where segment 0 is what came before the first marker.
    period : float, optional
        Segments per period, if known.

    Raises
    ------
    ValueError
        If too few segments have clicks to fit.
    """
    number = np.flatnonzero(course.accidentals > 0)
    number = number[number >= first]
    exposure, events = course.accidentals[number], course.events[number]
    return fit_fringe(number, events / exposure, np.sqrt(events + 1) / exposure, period=period)


def rate_drifts(segments: Iterable[Counts], times: ArrayLike | None = None) -> dict[Cell, Drift]:
    """Test each cell's clicks per trial for drift; cells without clicks are left out.

    Raises
    ------
    ValueError
        As `drift`.
    """
    parts = tuple(segments)
    trials = [each.trials.number for each in parts]
    singles = np.stack([each.singles.ravel() for each in parts])
    return {
        cell: drift(clicks, trials, times)
        for cell, clicks in zip(parts[0].gates.cells, singles.T, strict=True)
        if clicks.any()
    }
