"""Counts of a recording cut at times or markers: each segment counts, and all of them add up."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count as count_up
from itertools import pairwise, takewhile
from math import ceil, isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.counting.count import BRIGHT_FROM, Kernel, _count_block, _make_counter, plan_for
from analysis.counting.report import report_counts
from analysis.counting.shifts import first_tick
from analysis.counting.sparse import _begins
from analysis.counting.tally import Plan, S, Tally
from analysis.counts import Counts, Trials, exact_trials
from analysis.gates import GateSet, as_gates, gates_path
from analysis.tagfile import TagSource, open_tags
from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import MARKER
from analysis.tagfile.source import TagFileError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """Counts of consecutive segments of one recording.

    Attributes
    ----------
    counts : tuple of Counts
        Of each segment; a trial belongs to the segment that it begins in.
    edges : ndarray of float64, shape (segments + 1,)
        Seconds after the first trial at which the first trial of each segment begins; then the
        end.
    """

    counts: tuple[Counts, ...]
    edges: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(frozen=True, slots=True)
class _Cut:
    record: int
    trial: int  # T3: sync number; T2: tick of the trial's start


def count_every(
    path: str | Path | TagSource, gates: GateSet | str | Path | None, seconds: float
) -> Segments:
    """Count in segments of equal length; the last may be shorter.

    Parameters
    ----------
    path : path or open source
    gates : GateSet or path of a gates file, or None for the one beside the tag file
    seconds : float
        Length of a segment, at least one period.

    Raises
    ------
    TagFileError
        If the file cannot be read, or its tags are not in order of time.
    ValueError
        If the gates do not fit the file, or the length is not allowed.
    """
    source, plan = _opened(path, gates)
    if not (isfinite(seconds) and seconds >= plan.gates.period):
        message = (
            f"`seconds` must be at least one period of {plan.gates.period:g} s, but is {seconds!r}"
        )
        raise ValueError(message)
    return _count(source, plan, times=(seconds * k for k in count_up(1)))


def count_at_times(
    path: str | Path | TagSource, gates: GateSet | str | Path | None, times: Sequence[float]
) -> Segments:
    """Count in segments that end at times, in one pass over the file.

    Parameters
    ----------
    path : path or open source
    gates : GateSet or path of a gates file, or None for the one beside the tag file
    times : sequence of float
        Rising, in seconds after the first trial, each above 0. Of those after the last trial some
        have no segment.

    Raises
    ------
    TagFileError
        If the file cannot be read, or its tags are not in order of time.
    ValueError
        If the gates do not fit the file, or the times do not rise.
    """
    if any(later <= earlier for earlier, later in pairwise((0.0, *times))):
        message = f"`times` must rise, and be above 0, but are {list(times)[:10]}"
        raise ValueError(message)
    source, plan = _opened(path, gates)
    return _count(source, plan, times=times)


def count_at_markers(
    path: str | Path | TagSource, gates: GateSet | str | Path | None, marker: int
) -> Segments:
    """Count in segments that begin with the first trial after each record of a marker input.

    Segment 0 is what comes before the first marker.

    Parameters
    ----------
    path : path or open source
    gates : GateSet or path of a gates file, or None for the one beside the tag file
    marker : int
        Marker input, 1 to 4, for example stepped with the phase of a scan.

    Raises
    ------
    TagFileError
        If the file cannot be read, or its tags are not in order of time.
    ValueError
        If the gates do not fit the file, or it has no such marker.
    """
    source, plan = _opened(path, gates)
    if not 1 <= marker <= 4:
        message = f"`marker` must be 1 to 4, but is {marker}"
        raise ValueError(message)
    if plan.gates.trial.kind == "marker" and plan.gates.trial.number == marker:
        message = f"`marker` must not be the trial's own marker {marker}; choose another input"
        raise ValueError(message)
    found = _count(source, plan, marker=marker)
    if len(found) == 1:
        message = f"{source.path}: holds no record of marker {marker}; see `labkit info`"
        raise ValueError(message)
    return found


def count_between(
    path: str | Path | TagSource,
    gates: GateSet | str | Path | None,
    start: float = 0.0,
    stop: float = float("inf"),
) -> Counts:
    """Count the trials that begin in [start, stop), in seconds after the first trial.

    Raises
    ------
    TagFileError
        If the file cannot be read, or its tags are not in order of time.
    ValueError
        If the gates do not fit the file, or no trial begins in that time.
    """
    if not 0 <= start < stop:
        message = f"must have 0 <= start < stop in seconds, but have {start!r} and {stop!r}"
        raise ValueError(message)
    source, plan = _opened(path, gates)
    wanted = (start, stop) if isfinite(stop) else (start,)
    found = _count(source, plan, times=wanted)
    counts = found.counts[1] if len(found) > 1 else None
    if counts is None or counts.trials.number == 0:
        message = (
            f"{source.path}: must hold trials from {start:g} s to {stop:g} s, but has none; it "
            f"lasts {found.edges[-1]:g} s"
        )
        raise ValueError(message)
    return counts


def _opened(
    path: str | Path | TagSource, gates: GateSet | str | Path | None
) -> tuple[TagSource, Plan]:
    source = path if isinstance(path, TagSource) else open_tags(path)
    source, plan = plan_for(source, as_gates(gates_path(source.path) if gates is None else gates))
    if plan.clock:
        message = (
            f"{source.path}: segments need trials that begin with a record (sync, marker or "
            "channel), but `trial` is clock"
        )
        raise ValueError(message)
    if source.n_records == 0:
        message = f"{source.path}: holds no records, so there is nothing to count"
        raise TagFileError(message)
    return source, plan


def _count(
    source: TagSource, plan: Plan, *, times: Iterable[float] = (), marker: int = 0
) -> Segments:
    finder = _CutFinder(source, plan, iter(times), marker)
    cuts = finder.find()
    records = [0, *(cut.record for cut in cuts), source.n_records]
    tallies = _tallies(source, plan, records)
    segments = [report_counts(source, plan, tally, final=False) for tally in tallies]
    whole, *rest = tallies
    for tally in rest:
        whole.append(tally, plan)
    total = report_counts(source, plan, whole, final=True)
    if plan.layout.mode == "T2":
        edges = np.array([finder.zero, *(cut.trial for cut in cuts), 0], float) - finder.zero
        edges[-1] = whole.state[S.TRIAL] - finder.zero + plan.start_period
        return _segments(segments, [each.trials for each in segments], edges * source.resolution)
    limit = total.trials.number
    late = list(takewhile(lambda n: n < limit, finder.beyond()))
    numbers = [min(n, limit) for n in (0, *(cut.trial for cut in cuts), *late)]
    trials = [
        exact_trials(stop - start, "sync numbers of the segment's ends")
        for start, stop in pairwise(numbers)
    ]
    trials.append(_rest(total.trials, numbers[-1]))
    empty = [report_counts(source, plan, Tally.empty(plan), final=False) for _ in late]
    edges = np.array([*numbers, limit]) * plan.gates.period
    return _segments([*segments, *empty], trials, edges)


def _tallies(source: TagSource, plan: Plan, edges: list[int]) -> list[Tally]:
    """Count each stretch of records between two edges, in one pass over the file."""
    tallies = [Tally.empty(plan) for _ in edges[1:]]
    counter, stretch, position = None, 0, 0
    for block in source.blocks(0, edges[-1]):
        done = 0
        while done < len(block):
            while edges[stretch + 1] <= position + done:
                if counter is not None:
                    counter.finish()
                counter, stretch = None, stretch + 1
            if counter is None:
                records = edges[stretch + 1] - edges[stretch]
                kernel: Kernel = "bright" if records >= BRIGHT_FROM else "sparse"
                counter = _make_counter(plan, tallies[stretch], kernel)
            stop = min(len(block), edges[stretch + 1] - position)
            _count_block(source, counter, block[done:stop])
            done = stop
        position += len(block)
    if counter is not None:
        counter.finish()
    return tallies


def _rest(total: Trials, before: int) -> Trials:
    return Trials(
        number=total.number - before,
        low=max(total.low - before, 0),
        high=total.high - before,
        source=total.source,
    )


def _segments(counts: list[Counts], trials: list[Trials], edges: NDArray[np.float64]) -> Segments:
    """Give each segment its trials; sentences about the whole file are not about a segment."""
    return Segments(
        counts=tuple(
            replace(each, trials=number, quality=replace(each.quality, warnings=()))
            for each, number in zip(counts, trials, strict=True)
        ),
        edges=edges,
    )


class _CutFinder:
    """Finds the record that each segment begins with, in one pass over the tags.

    A cut is asked for by the sync number (T3) or tick (T2) that its first trial must have reached.
    """

    def __init__(self, source: TagSource, plan: Plan, times: Iterator[float], marker: int) -> None:
        self._source, self._plan = source, plan
        self._times, self._bit = times, 1 << (marker - 1) if marker else 0
        self._wanted: list[int] = []
        self.zero: int | None = None

    def find(self) -> list[_Cut]:
        found: list[_Cut] = []
        decoder = Decoder(self._plan.layout)
        base, last = 0, 0
        for block in self._source.blocks():
            events = decoder.decode(block)
            if len(events):
                if events.time[0] < last or np.any(np.diff(events.time) < 0):
                    message = (
                        f"{self._source.path}: tags must be in order of time to be cut into "
                        "segments, but some run backwards; see `labkit info`"
                    )
                    raise TagFileError(message)
                last = int(events.time[-1])
                for trial, event in self._cuts_in(events.time, events.channel):
                    found.append(_Cut(base + decoder.record_of(event), trial))
            base += len(block)
        if self._bit and self._plan.layout.mode == "T3":  # no tag in a trial after the marker
            found += [_Cut(base, trial) for trial in self._wanted]
        return found

    def beyond(self) -> Iterator[int]:
        """Yield the T3 cuts at times that no tag has reached."""
        if not self._bit:
            yield from self._wanted
        for seconds in self._times:
            yield self._target(seconds)

    def _cuts_in(
        self, time: NDArray[np.int64], channel: NDArray[np.uint8]
    ) -> Iterator[tuple[int, int]]:
        t3 = self._plan.layout.mode == "T3"
        where = (
            np.arange(len(time)) if t3 else np.flatnonzero(_begins(channel, self._plan.start_code))
        )
        if self.zero is None and len(where):
            self.zero = 0 if t3 else int(time[where[0]])
        self._want_markers(time, channel, after=int(t3))
        if self.zero is None or len(where) == 0:
            return
        starts = time[where]
        while self._next(int(starts[-1])):
            target = self._wanted.pop(0)
            at = int(np.searchsorted(starts, target))
            yield (target if t3 else int(starts[at])), int(where[at])

    def _want_markers(
        self, time: NDArray[np.int64], channel: NDArray[np.uint8], *, after: int
    ) -> None:
        bits = channel.astype(np.int64) - MARKER
        self._wanted += (time[(bits > 0) & (bits & self._bit != 0)] + after).tolist()

    def _next(self, reached: int) -> bool:
        if not self._wanted and not self._bit:
            seconds = next(self._times, None)
            if seconds is not None:
                self._wanted.append(self._target(seconds))
        return bool(self._wanted) and self._wanted[0] <= reached

    def _target(self, seconds: float) -> int:
        if self._plan.layout.mode == "T2":
            return (self.zero or 0) + first_tick(seconds, self._source.resolution)
        number = seconds / self._plan.gates.period
        return round(number) if abs(number - round(number)) < 1e-6 else ceil(number)
