"""A first look at a recording without any gates: arrival histograms, rates, pulses, a proposal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt

import numpy as np
from numpy.typing import NDArray

from analysis.gates import Gate, GateSet, TrialStart
from analysis.tagfile import summarise
from analysis.tagfile.codec import Decoder
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import SYNC
from analysis.tagfile.source import TagSource
from analysis.tagfile.summary import TagSummary

IntArray = NDArray[np.int64]

FINE_BINS = 1 << 15
"""Most bins of an arrival histogram."""

SLICES = 60
"""Parts into which the measurement is cut to see the rates over time."""

SIGMAS = 6.0
"""How far a pulse must stand above the background, in standard deviations of the counts."""

FAINT_PART = 0.01
"""A channel with less than this part of the clicks of the brightest is left out of a proposal."""

_FEWEST_BINS = 72
"""Arrival bins that are shown at least: one for each character of a line."""

_MERGE_BINS = 2
_WINDOWS = (1, 4, 16, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickPulse:
    """Clicks that stand above the background, in seconds after the trial's start."""

    start: float
    stop: float
    clicks: int
    background: float

    @property
    def sigmas(self) -> float:
        """Excess over the background in standard deviations of the background (at least 1)."""
        return (self.clicks - self.background) / sqrt(max(self.background, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FirstLook:
    """What a recording looks like before anything is known about the experiment.

    Attributes
    ----------
    summary : TagSummary
    period : float or None
        Seconds from one sync to the next; None if the file has no syncs to tell it by.
    trial : TrialStart
        What begins a trial.
    edges : ndarray of float64, shape (bins + 1,)
        Seconds after the sync.
    arrivals : dict of int to ndarray of int64, shape (bins,)
        Clicks by channel and arrival time.
    rate_edges : ndarray of float64, shape (slices + 1,)
        Seconds since the start.
    rates : dict of int to ndarray of float64, shape (slices,)
        Clicks per second by channel.
    pulses : tuple of ClickPulse
        Found in the clicks of all channels together.
    """

    summary: TagSummary
    period: float | None
    trial: TrialStart
    edges: NDArray[np.float64]
    arrivals: dict[int, IntArray]
    rate_edges: NDArray[np.float64]
    rates: dict[int, NDArray[np.float64]]
    pulses: tuple[ClickPulse, ...]

    @property
    def bins_of_interest(self) -> int:
        """Arrival bins up to a quarter beyond the last pulse's end; all if there is no pulse."""
        bins = len(self.edges) - 1
        if not self.pulses:
            return bins
        last = int(np.searchsorted(self.edges, 1.25 * self.pulses[-1].stop))
        return min(max(last, _FEWEST_BINS), bins)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Gates found in the data, and how far they can be trusted.

    Attributes
    ----------
    gates : GateSet
    found : tuple of str
        What the data say.
    unknown : tuple of str
        What the data cannot say, and was assumed.
    """

    gates: GateSet
    found: tuple[str, ...]
    unknown: tuple[str, ...]

    def to_yaml(self) -> str:
        """Return a gates file with the doubts as comments."""
        lines = ["A PROPOSAL found in the data, not the gates of the experiment. Check it."]
        lines += [*self.found, *self.unknown]
        return "".join(f"# {line}\n" for line in lines) + self.gates.to_yaml()


def look(source: TagSource, *, progress: Callable[[int], None] | None = None) -> FirstLook:
    """Read a recording twice and say what it looks like.

    Parameters
    ----------
    source : TagSource
    progress : callable, optional
        Called with the number of records done.

    Raises
    ------
    TagFileError
        If the file cannot be read to its end.
    """
    summary = summarise(source, progress=progress)
    clock = _clock(source, summary)
    channels = list(summary.photons)
    period_ticks = clock.ticks if clock else 0
    width = max(ceil(period_ticks / FINE_BINS), 1)
    bins = ceil(period_ticks / width)
    row_of = np.full(256, len(channels), np.int64)
    row_of[channels] = np.arange(len(channels))
    arrivals = np.zeros((len(channels) + 1, bins), np.int64)
    slices = np.zeros((len(channels) + 1, SLICES), np.int64)
    scale = SLICES / max(summary.end_time, 1)
    for events, since in _since_sync(source):
        photon = events.channel < SYNC
        rows = row_of[events.channel[photon]]
        part = np.minimum((events.time[photon] * scale).astype(np.int64), SLICES - 1)
        np.add.at(slices, (rows, part), 1)
        ticks = since[photon]
        inside = (ticks >= 0) & (ticks < bins * width)
        np.add.at(arrivals, (rows[inside], ticks[inside] // width), 1)
    tick = source.resolution if source.layout.mode == "T2" else source.sync_period or 0.0
    rate_edges = np.linspace(0, summary.end_time * tick, SLICES + 1)
    length = rate_edges[1] or 1.0
    edges = _rounded(np.arange(bins + 1, dtype=np.float64) * width * source.resolution)
    return FirstLook(
        summary=summary,
        period=clock.seconds if clock else None,
        trial=TrialStart(divider=clock.divider if clock and clock.divider > 1 else None),
        edges=edges,
        arrivals={channel: arrivals[row] for row, channel in enumerate(channels)},
        rate_edges=rate_edges,
        rates={channel: slices[row] / length for row, channel in enumerate(channels)},
        pulses=tuple(find_pulses(arrivals.sum(axis=0), edges)),
    )


def _rounded(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return times to twelve digits of the last: 1.83e-7, not 1.8300000000000001e-7."""
    last = float(seconds[-1])
    return np.round(seconds, 12 - floor(log10(last)) - 1) if last > 0 else seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clock:
    ticks: int
    seconds: float
    divider: int = 1


def _clock(source: TagSource, summary: TagSummary) -> _Clock | None:
    """Return the sync period in ticks or dtime bins; None if the file cannot tell it."""
    if source.layout.mode == "T3":
        if not source.counts_syncs or not source.sync_period:
            return None
        seconds = source.sync_period
        ticks = min(ceil(seconds / source.resolution), source.layout.dtime_bins)
        return _Clock(ticks=ticks, seconds=seconds)
    if summary.syncs < 2:
        return None
    gap = _sync_gap(source) or summary.end_time / summary.syncs
    whole = _round_period(gap * source.resolution / source.sync_divider)
    return _Clock(ticks=ceil(gap / source.sync_divider), seconds=whole, divider=source.sync_divider)


def _sync_gap(source: TagSource) -> float:
    """Return the median gap of the first syncs in ticks."""
    decoder = Decoder(source.layout)
    for block in source.blocks():
        events = decoder.decode(block)
        times = events.time[events.channel == SYNC]
        if len(times) > 1:
            return float(np.median(np.diff(times)))
    return 0.0


def _round_period(seconds: float) -> float:
    """Return the period to six digits: clocks of two devices agree no better than that."""
    return float(f"{seconds:.6g}")


def _since_sync(source: TagSource) -> Iterator[tuple[Events, IntArray]]:
    """Yield blocks of events and their ticks (T3: bins) since the last sync."""
    decoder = Decoder(source.layout)
    last = -1
    divided = source.sync_divider
    period = _sync_gap(source) / divided if source.layout.mode == "T2" and divided > 1 else 0.0
    for block in source.blocks():
        events = decoder.decode(block)
        if events.dtime is not None:
            yield events, events.dtime.astype(np.int64)
            continue
        is_sync = events.channel == SYNC
        starts = np.concatenate([[last], events.time[is_sync]])
        start = starts[np.cumsum(is_sync)]
        since = np.where(start < 0, -1, events.time - start)
        if period:
            since = np.where(since < 0, -1, np.floor(since % period)).astype(np.int64)
        last = int(starts[-1])
        yield events, since


def find_pulses(histogram: IntArray, edges: NDArray[np.float64]) -> Iterator[ClickPulse]:
    """Yield what stands above a flat background.

    The background is the median of the bins, or their mean once pulses are taken out; a pulse is a
    run of bins, in windows of 1 to 64, more than `SIGMAS` standard deviations above it.

    Parameters
    ----------
    histogram : ndarray of int64, shape (bins,)
    edges : ndarray of float64, shape (bins + 1,)
    """
    if len(histogram) == 0 or histogram.sum() == 0:
        return
    background = float(np.median(histogram))
    inside = np.zeros(len(histogram), bool)
    for _ in range(3):
        inside = _above(histogram, background)
        if inside.all():
            return
        background = float(histogram[~inside].mean())
    steps = np.diff(np.concatenate([[0], inside.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    for start, stop in zip(*_merge(starts, stops), strict=True):
        clicks = int(histogram[start:stop].sum())
        pulse = ClickPulse(
            start=float(edges[start]),
            stop=float(edges[stop]),
            clicks=clicks,
            background=background * (stop - start),
        )
        if pulse.sigmas > SIGMAS:
            yield pulse


def _above(histogram: IntArray, background: float) -> NDArray[np.bool_]:
    """Tell which bins belong to a window that stands above the background."""
    inside = np.zeros(len(histogram), bool)
    sums = np.concatenate([[0], np.cumsum(histogram)])
    for width in _WINDOWS:
        if width > len(histogram):
            break
        expected = background * width
        clicks = sums[width:] - sums[:-width]
        for first in np.flatnonzero(clicks - expected > SIGMAS * sqrt(expected) + SIGMAS):
            filled = np.flatnonzero(
                histogram[first : first + width] > background + sqrt(background)
            )
            if len(filled):
                inside[first + filled[0] : first + filled[-1] + 1] = True
    return inside


def _merge(starts: IntArray, stops: IntArray) -> tuple[list[int], list[int]]:
    """Join runs that only a few bins, or less than their own length, part."""
    merged: list[list[int]] = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        near = merged and start - merged[-1][1] <= max(
            _MERGE_BINS, min(stop - start, merged[-1][1] - merged[-1][0]) // 2
        )
        if near:
            merged[-1][1] = stop
        else:
            merged.append([start, stop])
    return [run[0] for run in merged], [run[1] for run in merged]


def _clearly(sigmas: float) -> str:
    return f"{sigmas:.0f}" if sigmas < 100 else "over 100"


def propose_gates(seen: FirstLook) -> Proposal:
    """Propose gates for a recording from what it looks like.

    Raises
    ------
    ValueError
        If the file has no sync to tell trials by, or no pulse stands above the background.
    """
    path = seen.summary.path
    if seen.period is None:
        message = (
            f"{path}: gates cannot be proposed: no sync in the file tells when a trial begins; "
            "write a gates file with `trial: {marker: …}`, `{channel: …}` or `clock`"
        )
        raise ValueError(message)
    if not seen.pulses:
        message = (
            f"{path}: gates cannot be proposed: no pulse stands {SIGMAS:g} σ above the background; "
            "look at `labkit info --plot`, and write a gates file"
        )
        raise ValueError(message)
    brightest = max(seen.summary.photons.values())
    channels = [c for c, n in seen.summary.photons.items() if n >= FAINT_PART * brightest]
    left_out = [c for c in seen.summary.photons if c not in channels]
    room = max(62 // len(channels), 1)
    pulses = sorted(
        sorted(seen.pulses, key=lambda pulse: -pulse.clicks)[:room], key=lambda pulse: pulse.start
    )
    names = ["pump", "read"] if len(pulses) == 2 else [f"pulse{i}" for i in range(1, 63)]
    gates = [
        Gate(name=name, start=pulse.start, stop=min(pulse.stop, seen.period))
        for name, pulse in zip(names, pulses, strict=False)
        if pulse.start < seen.period
    ]
    found = [
        f"{gate.name}: {pulse.clicks:,} clicks, {pulse.background:,.0f} of them background, "
        f"{_clearly(pulse.sigmas)} sigma above it."
        for gate, pulse in zip(gates, pulses, strict=False)
    ]
    if left_out:
        found.append(f"Channels {left_out} are left out: under {FAINT_PART:.0%} of the brightest.")
    unknown = [
        "Unknown: which pulse is which (named in time order), and whether light was in all of it.",
        "Unknown: which channel is detector 1 (numbered in the order of the channels).",
        "Unknown: whether each sync began a trial, and whether pulses lie beyond the file's range.",
    ]
    if len(pulses) != 2:
        found_were = "1 pulse was" if len(pulses) == 1 else f"{len(pulses)} pulses were"
        unknown.append(f"{found_were} found; a pump and a read pulse would be two.")
    gate_set = GateSet(
        period=seen.period,
        detectors=dict(enumerate(channels, 1)),
        gates=tuple(gates),
        trial=seen.trial,
    )
    return Proposal(gates=gate_set, found=tuple(found), unknown=tuple(unknown))
