"""Several recordings as one, each beginning where the one before ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.codec import Decoder
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import SYNC
from analysis.tagfile.source import FileWarning, TagSource
from analysis.tagfile.summary import summarise


class MergedSource(EncodedSource):
    """Recordings of one device and one setting, one after the other.

    A recording begins with the sync number (T3) or tick (T2) at which the one before ended; in T2
    with sync records its first sync comes whole periods after the last one before. So trials and
    coincidences are those of the recordings together, and no trial is across a seam.

    Parameters
    ----------
    sources : sequence of TagSource
        One at least, in the order in which they are to stand.

    Attributes
    ----------
    offsets : list of int
        Ticks or syncs added to the times of each.
    unknown_records : int
        Records with a reserved code, which are left out.

    Raises
    ------
    TagFileError
        If a file cannot be read to its end.
    ValueError
        If two differ in mode, resolution, sync period, or what their times count.
    """

    def __init__(self, sources: Sequence[TagSource]) -> None:
        first = sources[0]
        for other in sources[1:]:
            _check_alike(first, other)
        summaries = [summarise(source) for source in sources]
        measured = [source.measured_time for source in sources]
        known = [time for time in measured if time is not None]
        warnings = [
            FileWarning(code=w.code, message=f"{source.path.name}: {w}")
            for source in sources
            for w in Acquisition.of(source).warnings
        ]
        ends = [summary.end_time for summary in summaries]
        self.offsets = _offsets(sources, ends)
        acquisition = replace(
            Acquisition.of(first, end_time=self.offsets[-1] + ends[-1]),
            measured_time=sum(known) if len(known) == len(sources) else None,
            warnings=tuple(warnings),
        )
        super().__init__(first.path, acquisition)
        self.unknown_records = sum(summary.unknown_records for summary in summaries)
        self.format = first.format
        self.sync_divider, self.counts_syncs = first.sync_divider, first.counts_syncs
        self.sources = tuple(sources)

    def read_events(self) -> Iterator[Events]:
        """Yield the events of all recordings."""
        for source, offset in zip(self.sources, self.offsets, strict=True):
            decoder = Decoder(source.layout)
            for block in source.blocks():
                events = decoder.decode(block)
                yield replace(events, time=events.time + offset)


def _check_alike(first: TagSource, other: TagSource) -> None:
    for name, one, two in (
        ("mode", first.layout.mode, other.layout.mode),
        ("resolution", first.resolution, other.resolution),
        ("sync period", first.sync_period, other.sync_period),
        ("sync divider", first.sync_divider, other.sync_divider),
        ("meaning of times", first.counts_syncs, other.counts_syncs),
    ):
        if one != two:
            message = (
                f"recordings to be merged must have one {name}, but {first.path} has {one} and "
                f"{other.path} has {two}"
            )
            raise ValueError(message)


def _offsets(sources: Sequence[TagSource], ends: list[int]) -> list[int]:
    """Return the time that is added to each recording."""
    offsets = [0]
    syncs = [_syncs(source) if source.layout.mode == "T2" else None for source in sources]
    for k in range(1, len(sources)):
        offset = offsets[-1] + ends[k - 1]
        before, after = syncs[k - 1], syncs[k]
        if before is not None and after is not None:
            next_sync = offsets[-1] + before.last + before.gap - after.first
            offset = next_sync + max(-((next_sync - offset) // before.gap), 0) * before.gap
        offsets.append(offset)
    return offsets


@dataclass(frozen=True, slots=True)
class _Syncs:
    """First and last sync record of a T2 recording, and the ticks between two."""

    first: int
    last: int
    gap: int


def _syncs(source: TagSource) -> _Syncs | None:
    decoder = Decoder(source.layout)
    first, last, gap = -1, -1, 0
    for block in source.blocks():
        events = decoder.decode(block)
        times = events.time[events.channel == SYNC]
        if len(times) == 0:
            continue
        if len(times) > 1 and gap == 0:
            gap = int(np.median(np.diff(times)))
        first, last = (int(times[0]) if first < 0 else first), int(times[-1])
    return _Syncs(first, last, gap) if gap > 0 else None
