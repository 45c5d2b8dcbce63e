"""g² without the background that a gate beside the pulses shows, with its uncertainty."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.binomial import Interval
from analysis.correlation import LEVEL, check_level
from analysis.counts import Counts

Cell = tuple[str, int]
_DRAWS: Final = 40_000
_SEED: Final = 20_180_425


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """g² of two cells as counted and corrected.

    Attributes
    ----------
    raw, corrected : Interval
    shares : tuple of float
        What was corrected, in parts of the clicks: of each cell, the background.
    """

    raw: Interval
    corrected: Interval
    shares: tuple[float, float]

    def described(self, what: str) -> str:
        """Return one line that says what the correction took out."""
        a, b = (f"{100 * share:.3g} %" for share in self.shares)
        return f"raw {self.raw}, without {what} ({a}, {b}) {self.corrected}"


def without_background(
    counts: Counts, a: Cell, b: Cell, off: str, level: float = LEVEL
) -> Corrected:
    """Subtract the clicks of an off-gate, scaled to each gate's width, from g² = C N/(n_a n_b).

    Background b = n_off w/w_off of the same detector is steady in time and independent of
    everything else, so that C = C_s + (s_a b_b + b_a s_b + b_a b_b)/N with s = n − b, and
    g² = C_s N/(s_a s_b). The intervals are quantiles of 40,000 draws (fixed seed) of all counts
    from Gamma(n + 1), from the lowest value up without coincidences; `raw` is drawn alike, so that
    both compare. Clicks must be rare (n ≪ N).

    Parameters
    ----------
    counts : Counts
    a, b : (gate, detector)
    off : str
        Gate without light.
    level : float

    Raises
    ------
    KeyError
        If there is no such gate or detector.
    ValueError
        If a cell has no more clicks than its background explains, or the level is not allowed.
    """
    check_level(level)
    rng = np.random.default_rng(_SEED)
    n = counts.trials.number
    dark = {detector: counts.single(off, detector) for _, detector in (a, b)}
    below_off = {detector: drawn(rng, number) for detector, number in dark.items()}
    clicks = [drawn(rng, counts.single(*cell)) for cell in (a, b)]
    background = [
        below_off[cell[1]] * gate_width(counts, cell[0]) / gate_width(counts, off)
        for cell in (a, b)
    ]
    for cell, all_clicks, below in zip((a, b), clicks, background, strict=True):
        if (all_clicks[0] <= below[0]) or np.mean(all_clicks <= below) > (1 - level) / 100:
            message = (
                f"gate {cell[0]} has {counts.single(*cell):,} clicks of detector {cell[1]}, of "
                f"which gate {off} explains {below[0]:.4g}: no signal is left to correct g² for"
            )
            raise ValueError(message)
    together = drawn(rng, counts.coincidence(a, b))
    signal = [np.maximum(all_, 1e-9) - np.minimum(low, all_ * (1 - 1e-9)) for all_, low in
              zip(clicks, background, strict=True)]  # fmt: skip
    accidental = (
        signal[0] * background[1] + background[0] * signal[1] + background[0] * background[1]
    ) / n
    return Corrected(
        raw=interval_of(together * n / (clicks[0] * clicks[1]), together[0], level),
        corrected=interval_of(
            (together - accidental) * n / (signal[0] * signal[1]), together[0], level
        ),
        shares=(background[0][0] / clicks[0][0], background[1][0] / clicks[1][0]),
    )


def drawn(rng: np.random.Generator, number: int) -> NDArray[np.float64]:
    """Return the count itself, then draws of its expectation."""
    return np.append(float(number), rng.gamma(number + 1, size=_DRAWS))


def gate_width(counts: Counts, gate: str) -> float:
    """Return the width of a gate in seconds, all its detectors together."""
    edges, _ = counts.arrivals(gate)
    return float(edges[-1] - edges[0])


def interval_of(values: NDArray[np.float64], events: float, level: float) -> Interval:
    """Return the first value and the quantiles of the others; from below without any event."""
    tails = ((1 - level) / 2, (1 + level) / 2) if events else (0.0, level)
    low, high = np.quantile(values[1:], tails)
    low = low if events else min(values[0], low)
    return Interval(value=float(values[0]), low=float(low), high=float(high), level=level)
