"""g²(τ) of two channels: all pairs, or start–stop, in one pass; in T3 the pairs of a trial."""

from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.correlation import LEVEL, check_level
from analysis.questions.trial_delays import TrialPairs
from analysis.tagfile import TagSource, open_tags
from analysis.tagfile.codec import Decoder
from analysis.tagfile.source import TagFileError

Kind = Literal["full", "start-stop"]
IntArray = NDArray[np.int64]
_EMPTY = np.empty(0, np.int64)
_MOST_PAIRS = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DelayHistogram:
    """Pairs of clicks by their delay; histograms of equal bins add.

    Attributes
    ----------
    kind : {"full", "start-stop"}
    edges : ndarray of float64, shape (bins + 1,)
        Delays in seconds, stop after start.
    pairs : ndarray of int64, shape (bins,)
    clicks : tuple of int
        Of the start and the stop channel; with start–stop, starts that were used, and stops.
    seconds : float
        Measured time.
    expected : ndarray of float64, shape (bins,)
        Pairs expected of Poisson light of the same rates; in T3 of independent trials.
    """

    kind: Kind
    edges: NDArray[np.float64]
    pairs: IntArray
    clicks: tuple[int, int]
    seconds: float
    expected: NDArray[np.float64]

    def __add__(self, other: Self) -> "DelayHistogram":
        if self.kind != other.kind or not np.array_equal(self.edges, other.edges):
            message = (
                "delay histograms to be added must have one kind and equal bins, but are "
                f"{self.kind} of {len(self.pairs)} and {other.kind} of {len(other.pairs)} bins"
            )
            raise ValueError(message)
        return DelayHistogram(
            kind=self.kind,
            edges=self.edges,
            pairs=self.pairs + other.pairs,
            clicks=(self.clicks[0] + other.clicks[0], self.clicks[1] + other.clicks[1]),
            seconds=self.seconds + other.seconds,
            expected=self.expected + other.expected,
        )

    @property
    def g2(self) -> NDArray[np.float64]:
        """Pairs over expected pairs, shape (bins,); nan where none can come."""
        values: NDArray[np.float64] = np.full(len(self.pairs), nan)
        np.divide(self.pairs, self.expected, out=values, where=self.expected > 0)
        return values

    def interval(self, level: float = LEVEL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Quantiles of Gamma(C + 1, expected) of each bin; from 0 where there is no pair.

        The clicks of a pulse or a bunch share their pairs, which makes bins depend on each other;
        the interval is that of each bin alone.
        """
        check_level(level)
        none = self.pairs == 0
        expected = np.where(self.expected > 0, self.expected, nan)
        low = special.gammaincinv(self.pairs + 1, (1 - level) / 2) / expected
        tail = np.where(none, level, (1 + level) / 2)
        high = special.gammaincinv(self.pairs + 1, tail) / expected
        return np.where(none, 0.0, low), np.asarray(high)


def correlate(
    path: str | Path | TagSource,
    start: int,
    stop: int,
    *,
    delay: float,
    width: float,
    kind: Kind = "full",
) -> DelayHistogram:
    """Histogram the delays t_stop − t_start of a file.

    ``full`` takes every pair with −L ≤ τ < L, where L is `delay` rounded up to whole bins; Poisson
    light gives n_a n_b w/T (1 − |τ|/T) in a bin of width w. If both channels are one, a click is
    not paired with itself. ``start-stop`` takes the first stop after each start and ignores further
    starts until then, with 0 ≤ τ < L (0 < τ if both channels are one); stops of rate r give
    n_start e^(−rτ)(1 − e^(−rw)).

    In T3 only clicks of the same trial are paired (``full``), and compared with independent trials
    of the same arrival times, see `analysis.questions.trial_delays.TrialPairs.expected`.

    Parameters
    ----------
    path : path or open source
    start, stop : int
        Input channels as they stand in the file.
    delay, width : float
        Largest delay and width of a bin in seconds; a width is rounded to whole ticks.
    kind : {"full", "start-stop"}

    Returns
    -------
    DelayHistogram

    Raises
    ------
    TagFileError
        If the file cannot be read, or its tags are not in order of time.
    ValueError
        If delay and width are not allowed, a channel has no click, or start–stop is asked of T3.
    """
    source = path if isinstance(path, TagSource) else open_tags(path)
    if not (isfinite(delay) and isfinite(width) and 0 < width <= delay):
        message = f"must have 0 < width <= delay in seconds, but have {width!r} and {delay!r}"
        raise ValueError(message)
    ticks = max(round(width / source.resolution), 1)
    bins = int(np.ceil(delay / (ticks * source.resolution) - 1e-6))
    if source.layout.mode == "T3":
        return _within_trials(source, start, stop, ticks, bins, kind)
    counter = (_FullCounter if kind == "full" else _StartStopCounter)(
        ticks, bins, same=start == stop
    )
    span = _run(source, counter, start, stop)
    _check_clicks(source, (start, stop), counter.seen)
    seconds = max(source.measured_time or 0.0, span * source.resolution)
    edges = np.asarray(counter.edges() * source.resolution, np.float64)
    return DelayHistogram(
        kind=kind,
        edges=edges,
        pairs=counter.pairs,
        clicks=counter.clicks,
        seconds=seconds,
        expected=_expected(kind, edges, counter.clicks, counter.seen[1], seconds),
    )


def _check_clicks(source: TagSource, channels: tuple[int, int], seen: list[int]) -> None:
    if 0 in seen:
        channel = channels[seen.index(0)]
        message = f"{source.path}: channel {channel} has no click; see `labkit info`"
        raise ValueError(message)


def _within_trials(
    source: TagSource, start: int, stop: int, ticks: int, bins: int, kind: Kind
) -> DelayHistogram:
    if kind != "full":
        message = (
            f"{source.path}: start–stop needs one clock (T2), but this is {source.layout}; "
            "without it pairs of the same trial are taken"
        )
        raise ValueError(message)
    if not source.counts_syncs or source.sync_period is None:
        message = (
            f"{source.path}: its times count no syncs, so it has no trials to correlate within"
        )
        raise ValueError(message)
    found = TrialPairs(source, start, stop, ticks * bins)
    _check_clicks(source, (start, stop), found.clicks)
    return DelayHistogram(
        kind=kind,
        edges=np.asarray(np.arange(-bins, bins + 1) * ticks * source.resolution, np.float64),
        pairs=found.pairs.reshape(-1, ticks).sum(axis=1),
        clicks=(found.clicks[0], found.clicks[1]),
        seconds=found.trials * source.sync_period,
        expected=found.expected().reshape(-1, ticks).sum(axis=1),
    )


def _run(source: TagSource, counter: "_Counter", start: int, stop: int) -> int:
    """Feed all clicks to a counter; return the ticks from the first to the last tag."""
    decoder = Decoder(source.layout)
    first, last = -1, 0
    for block in source.blocks():
        events = decoder.decode(block)
        if not len(events):
            continue
        time = events.time
        if time[0] < last or np.any(np.diff(time) < 0):
            message = (
                f"{source.path}: tags must be in order of time to be correlated, but some run "
                "backwards; see `labkit info`"
            )
            raise TagFileError(message)
        first, last = (int(time[0]) if first < 0 else first), int(time[-1])
        counter.add(time[events.channel == start], time[events.channel == stop], last)
    return last - first + 1


def _expected(
    kind: Kind, edges: NDArray[np.float64], clicks: tuple[int, int], stops: int, seconds: float
) -> NDArray[np.float64]:
    width = np.diff(edges)
    if kind == "start-stop":
        rate = stops / seconds
        return np.asarray(clicks[0] * np.exp(-rate * edges[:-1]) * -np.expm1(-rate * width))
    overlap = np.maximum(1 - np.abs(edges[:-1] + width / 2) / seconds, 0.0)
    return np.asarray(clicks[0] * clicks[1] * width / seconds * overlap)


class _Counter:
    """Base of both ways to pair clicks.

    Attributes
    ----------
    pairs : ndarray of int64, shape (bins,)
    seen : list of int
        Clicks of both channels.
    """

    def __init__(self, ticks: int, bins: int, *, same: bool) -> None:
        self.ticks, self.bins, self.same = ticks, bins, same
        self.pairs = np.zeros(self.edges().size - 1, np.int64)
        self.seen = [0, 0]

    @property
    def clicks(self) -> tuple[int, int]:
        return self.seen[0], self.seen[1]

    def edges(self) -> IntArray:
        raise NotImplementedError

    def add(self, a: IntArray, b: IntArray, last: int) -> None:
        raise NotImplementedError


class _FullCounter(_Counter):
    """Counts a pair when the later of both clicks comes; keeps the clicks of the last L."""

    def __init__(self, ticks: int, bins: int, *, same: bool) -> None:
        super().__init__(ticks, bins, same=same)
        self._old_a, self._old_b = _EMPTY, _EMPTY

    def edges(self) -> IntArray:
        return np.arange(-self.bins, self.bins + 1, dtype=np.int64) * self.ticks

    def add(self, a: IntArray, b: IntArray, last: int) -> None:
        self.seen[0] += len(a)
        self.seen[1] += len(b)
        every_b = np.concatenate([self._old_b, b])
        self._pair(a, every_b)
        self._pair(self._old_a, b)
        if self.same:
            self.pairs[self.bins] -= len(a)  # each click with itself, at delay 0
        keep = last - self.bins * self.ticks
        every_a = np.concatenate([self._old_a, a])
        self._old_a, self._old_b = every_a[every_a >= keep], every_b[every_b >= keep]

    def _pair(self, a: IntArray, b: IntArray) -> None:
        reach = self.bins * self.ticks
        low = np.searchsorted(b, a - reach)
        number = np.searchsorted(b, a + reach) - low
        ends = np.cumsum(number)
        begin = 0
        while begin < len(a):  # in parts, so that memory stays bounded at any rate
            done = ends[begin - 1] if begin else 0
            end = max(int(np.searchsorted(ends, done + _MOST_PAIRS, side="right")), begin + 1)
            n = number[begin:end]
            first = np.repeat(low[begin:end] - np.cumsum(n) + n, n)
            tau = b[first + np.arange(len(first))] - np.repeat(a[begin:end], n)
            places = (tau + reach) // self.ticks
            self.pairs += np.bincount(places, minlength=len(self.pairs))
            begin = end


class _StartStopCounter(_Counter):
    """Pairs the oldest waiting start with the next stop."""

    def __init__(self, ticks: int, bins: int, *, same: bool) -> None:
        super().__init__(ticks, bins, same=same)
        self._waiting = _EMPTY
        self._starts = 0

    @property
    def clicks(self) -> tuple[int, int]:
        return self._starts, self.seen[1]

    def edges(self) -> IntArray:
        return np.arange(self.bins + 1, dtype=np.int64) * self.ticks

    def add(self, a: IntArray, b: IntArray, last: int) -> None:
        self.seen[0] += len(a)
        self.seen[1] += len(b)
        starts = np.concatenate([self._waiting, a])
        side: Literal["left", "right"] = "right" if self.same else "left"
        next_stop = np.searchsorted(b, starts, side=side)
        armed = np.flatnonzero(np.diff(next_stop, prepend=-1))
        starts, next_stop = starts[armed], next_stop[armed]
        met = next_stop < len(b)
        self._waiting = starts[~met]
        self._starts += int(np.count_nonzero(met))
        tau = b[next_stop[met]] - starts[met]
        places = tau[tau < self.bins * self.ticks] // self.ticks
        self.pairs += np.bincount(places, minlength=self.bins)
