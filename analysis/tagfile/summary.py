"""What is in a tag file: one pass over its records."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from analysis.counts import DOUBLED_GAP, doubled_syncs_warning
from analysis.tagfile.codec import Decoder
from analysis.tagfile.doubts import (
    DOUBTFUL_PART,
    counts_overflows,
    duration_warnings,
    falls_short,
    layout_warnings,
)
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import MARKER, SYNC, RecordLayout
from analysis.tagfile.record_file import RecordFile
from analysis.tagfile.source import FileWarning, TagFileError, TagSource

Progress = Callable[[int], None]
"""Told the number of records done so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSummary:
    """Counts, rates and warnings of one tag file.

    Attributes
    ----------
    path : str
    format : str
    layout : RecordLayout
    device : str
        What took the tags; empty if the file does not say.
    holds_records : bool
        Whether the file holds the records themselves; others are made from its tags.
    resolution : float
        Seconds per T2 tick, or per T3 dtime bin.
    sync_period : float or None
        Nominal seconds per sync (T3).
    records : int
    photons : dict
        Photons by channel.
    syncs : int
        Sync records (T2).
    markers : dict
        Marker records by marker bits (1-15).
    overflow_records : int
    unknown_records : int
        Records with a reserved code; they are in none of the other counts.
    out_of_order : int
        Photons and syncs that come before the one that stands before them in the file.
    doubled_syncs : int
        Sync records (T2) less than half a period of the header's sync rate after the one before.
    end_time : int
        T2 ticks or T3 syncs that the records reach.
    duration : float
        Seconds measured.
    duration_source : {"header", "records"}
        What `duration` comes from.
    warnings : tuple of FileWarning
        Those of the file, and those that the pass gave reason for.
    """

    path: str
    format: str
    layout: RecordLayout
    device: str
    holds_records: bool
    resolution: float
    sync_period: float | None
    records: int
    photons: dict[int, int]
    syncs: int
    markers: dict[int, int]
    overflow_records: int
    unknown_records: int
    out_of_order: int
    doubled_syncs: int
    end_time: int
    duration: float
    duration_source: str
    warnings: tuple[FileWarning, ...]

    @property
    def counts(self) -> dict[int, int]:
        """Tags by channel number: photons, syncs and markers."""
        syncs = {SYNC: self.syncs} if self.syncs else {}
        markers = {MARKER + bits: count for bits, count in self.markers.items()}
        return self.photons | syncs | markers

    @property
    def rates(self) -> dict[int, float]:
        """Photons per second by channel; empty if the duration is 0."""
        if self.duration <= 0:
            return {}
        return {channel: count / self.duration for channel, count in self.photons.items()}

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "path": self.path,
            "format": self.format,
            "layout": str(self.layout) if self.holds_records else None,
            "device": self.device,
            "mode": self.layout.mode,
            "resolution": self.resolution,
            "sync_period": self.sync_period,
            "records": self.records,
            "photons": {str(channel): count for channel, count in self.photons.items()},
            "rates": {str(channel): rate for channel, rate in self.rates.items()},
            "syncs": self.syncs,
            "markers": {str(bits): count for bits, count in self.markers.items()},
            "overflow_records": self.overflow_records,
            "unknown_records": self.unknown_records,
            "out_of_order": self.out_of_order,
            "doubled_syncs": self.doubled_syncs,
            "end_time": self.end_time,
            "duration": self.duration,
            "duration_source": self.duration_source,
            "warnings": [{"code": w.code, "message": w.message} for w in self.warnings],
        }

    def __str__(self) -> str:
        return "\n".join(f"{name:<12}{text}" for name, text in self._lines())

    def _lines(self) -> Iterator[tuple[str, str]]:
        yield "file", self.path
        if self.holds_records:
            yield "records", f"{self.records} {self.layout}"
        else:
            device = f"of a {self.device}" if self.device else "of a device that it does not name"
            yield "tags", f"{sum(self.counts.values())} {self.layout.mode} {device}"
        yield "resolution", f"{self.resolution * 1e12:.6g} ps"
        if self.sync_period is not None:
            yield "sync period", f"{self.sync_period * 1e9:.9g} ns"
        yield "duration", f"{self.duration:.6g} s (from the {self.duration_source})"
        for channel, count in self.photons.items():
            rate = f", {self.rates[channel]:.6g} 1/s" if self.rates else ""
            yield f"channel {channel}", f"{count} photons{rate}"
        if self.syncs:
            yield "syncs", str(self.syncs)
        for bits, count in self.markers.items():
            yield f"marker {bits}", str(count)
        if self.holds_records:
            yield "overflows", f"{self.overflow_records} records"
        for warning in self.warnings:
            yield "warning", f"{warning} [{warning.code}]"


def summarise(source: TagSource, *, progress: Progress | None = None) -> TagSummary:
    """Count what is in a tag file.

    Parameters
    ----------
    source : TagSource
    progress : callable, optional
        Called after every block with the number of records done.

    Raises
    ------
    TagFileError
        If the file cannot be read to its end, or its overflows add up to an impossible time.
    """
    decoder = Decoder(source.layout)
    tally = _Tally(source)
    doubled = _DoubledSyncs(source)
    for block in source.blocks():
        try:
            events = decoder.decode(block)
        except ValueError as error:
            message = f"{source.path}: {error}"
            raise TagFileError(message) from None
        tally.add(events)
        doubled.add(events, decoder, tally.records)
        tally.records += len(block)
        if progress is not None:
            progress(tally.records)
    end_time = max(decoder.overflow, tally.latest + 1)
    tick = source.resolution if source.layout.mode == "T2" else source.sync_period or 0.0
    measured = source.measured_time
    if falls_short(source, end_time * tick):
        measured = None
    counts = tally.counts
    return TagSummary(
        path=str(source.path),
        format=source.format,
        layout=source.layout,
        device=source.device,
        holds_records=isinstance(source, RecordFile),
        resolution=source.resolution,
        sync_period=source.sync_period,
        records=tally.records,
        photons={int(channel): int(counts[channel]) for channel in np.flatnonzero(counts[:SYNC])},
        syncs=int(counts[SYNC]),
        markers={
            bits: int(counts[MARKER + bits]) for bits in range(1, 16) if counts[MARKER + bits]
        },
        overflow_records=decoder.overflow_records,
        unknown_records=decoder.unknown_records,
        out_of_order=tally.out_of_order,
        doubled_syncs=doubled.number,
        end_time=end_time,
        duration=end_time * tick if measured is None else measured,
        duration_source="records" if measured is None else "header",
        warnings=(
            *source.warnings,
            *_content_warnings(tally.out_of_order, decoder.unknown_records),
            *_late_warnings(source, tally.late),
            *(layout_warnings(source) if tally.doubtful(decoder) else ()),
            *doubled.warnings(),
            *duration_warnings(source, end_time * tick),
        ),
    )


class _Tally:
    """Running counts over the blocks of one file."""

    def __init__(self, source: TagSource) -> None:
        counts_syncs = source.layout.mode == "T3" and source.counts_syncs
        period = source.sync_period if counts_syncs else None
        self._latest_dtime = 1.001 * (period or np.inf) / source.resolution + 1
        self.late = 0
        self.records = 0
        self.counts = np.zeros(MARKER + 16, dtype=np.int64)
        self.out_of_order = 0
        self.latest = -1
        self._previous = 0

    def add(self, events: Events) -> None:
        if len(events) == 0:
            return
        self.counts += np.bincount(events.channel, minlength=MARKER + 16)
        self.latest = max(self.latest, int(events.time.max()))
        if events.dtime is not None:
            late = (events.dtime > self._latest_dtime) & (events.channel < SYNC)
            self.late += int(np.count_nonzero(late))
        # Markers have a coarser clock and may stand a little out of order by design.
        time = events.time[events.channel <= SYNC]
        if len(time):
            self.out_of_order += int(np.count_nonzero(np.diff(time, prepend=self._previous) < 0))
            self._previous = int(time[-1])

    def doubtful(self, decoder: Decoder) -> bool:
        """Tell whether so much is odd that the records may have another layout."""
        odd = self.out_of_order + decoder.unknown_records + self.late
        return odd > DOUBTFUL_PART * self.records or not counts_overflows(decoder.layout)


class _DoubledSyncs:
    """Counts sync records that follow the one before too early for the header's sync rate."""

    def __init__(self, source: TagSource) -> None:
        rate = source.sync_rate if source.layout.mode == "T2" else None
        self._shortest = DOUBLED_GAP / (rate * source.resolution) if rate else 0.0
        self._previous: list[int] = []
        self._first = 0
        self.number = 0

    def add(self, events: Events, decoder: Decoder, records_before: int) -> None:
        syncs = np.flatnonzero(events.channel == SYNC)
        if not self._shortest or len(syncs) == 0:
            return
        gaps = np.diff(events.time[syncs], prepend=self._previous)
        early = np.flatnonzero((gaps >= 0) & (gaps < self._shortest))
        if len(early) and not self.number:
            event = int(syncs[early[0] + len(syncs) - len(gaps)])
            self._first = records_before + decoder.record_of(event)
        self.number += len(early)
        self._previous = [int(events.time[syncs[-1]])]

    def warnings(self) -> Iterator[FileWarning]:
        if self.number:
            message = doubled_syncs_warning(self.number, self._first)
            yield FileWarning(code="doubled_syncs", message=f"{message}.")


def _content_warnings(out_of_order: int, unknown_records: int) -> Iterator[FileWarning]:
    if out_of_order:
        message = (
            f"{out_of_order} tags come before the tag that precedes them in the file: time runs "
            "backwards, for example because overflow records were lost."
        )
        yield FileWarning(code="out_of_order", message=message)
    if unknown_records:
        message = f"{unknown_records} records have a reserved code and were left out of the counts."
        yield FileWarning(code="unknown_records", message=message)


def _late_warnings(source: TagSource, late: int) -> Iterator[FileWarning]:
    if late:
        message = (
            f"{late} photons are later than the sync period of {source.sync_period:.9g} s: the "
            "resolution, the period or the record type in the header is wrong, or the sync was "
            "divided."
        )
        yield FileWarning(code="late_dtime", message=message)
