"""Sources that hold tags in another form and encode them into generic records on the way in.

A table has the columns ``time_ps`` and ``channel``; this is what CSV, NPZ and Parquet share.
``time_ps`` is the time since the start of the measurement in whole picoseconds; ``channel`` is an
input (0-62), 64 for a sync record, or 64 plus the marker bits. Metadata (`Acquisition`) is kept
beside the columns; without it the tags are T2 with ticks of 1 ps.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.codec import Encoder
from analysis.tagfile.events import MAX_TIME, EventError, Events
from analysis.tagfile.picoseconds import Times, from_picoseconds, to_picoseconds
from analysis.tagfile.source import (
    BLOCK_RECORDS,
    FileWarning,
    Records,
    TagFileError,
    TagSource,
)

BLOCK_EVENTS = 1 << 16
"""Events that are read and encoded at a time."""

MOST_EXPANSION = 2_000
"""Bytes of tags that a byte of a compressed file may hold; deflate reaches 1,032."""


class EncodedSource(TagSource):
    """Base of the formats that are no stream of records.

    `n_records` reads the whole file once, and ``blocks(start=…)`` reads it up to there.

    Parameters
    ----------
    path : Path
    acquisition : Acquisition
        What the file says about the measurement.
    """

    def __init__(self, path: Path, acquisition: Acquisition) -> None:
        self.path = path
        self.acquisition = acquisition
        self.layout = acquisition.layout
        self.header = dict(acquisition.to_text())
        self.resolution = acquisition.resolution
        self.sync_period = acquisition.sync_period
        self.sync_rate = acquisition.sync_rate
        self.measured_time = acquisition.measured_time
        self.warnings = acquisition.warnings

    @property
    def device(self) -> str:
        """What took the tags; empty if the file does not say."""
        return self.acquisition.device

    @abstractmethod
    def read_events(self) -> Iterator[Events]:
        """Yield the file's events in order, some at a time.

        An `EventError` raised here counts its index from the start of the next events.
        """

    @cached_property
    def n_records(self) -> int:
        """Number of records that the file's tags make, found by reading it once."""
        return sum(len(records) for records in self._encode())

    def blocks(
        self, start: int = 0, stop: int | None = None, *, size: int = BLOCK_RECORDS
    ) -> Iterator[Records]:
        """Yield records ``start`` to ``stop`` in order, in arrays of at most `size`.

        Raises
        ------
        ValueError
            If the range or the size makes no sense.
        TagFileError
            If a row cannot be read or encoded, or the file ends before ``stop``.
        """
        if not 0 <= start <= (start if stop is None else stop) or size < 1:
            message = (
                "`start`, `stop` and `size` must satisfy 0 <= start <= stop and size >= 1, "
                f"but are {start}, {stop} and {size}"
            )
            raise ValueError(message)
        return self._blocks(start, stop, size)

    def row_name(self, row: int) -> str:
        """Name the place of an event (counted from 0) for messages."""
        return f"row {row}"

    def _blocks(self, start: int, stop: int | None, size: int) -> Iterator[Records]:
        position = 0
        for records in self._encode():
            end = position + len(records)
            last = len(records) if stop is None else min(stop - position, len(records))
            for first in range(max(start - position, 0), last, size):
                yield records[first : min(first + size, last)]
            position = end
            if stop is not None and position >= stop:
                return
        if stop is not None and position < stop:
            message = (
                f"{self.path}: the file must hold {stop} records, but ends at record {position}; "
                "it became shorter while being read"
            )
            raise TagFileError(message)

    def _encode(self) -> Iterator[Records]:
        largest = (1 << self.layout.time_bits) - 1
        encoder = Encoder(self.layout, largest_count=largest)
        rows = 0
        try:
            for events in self.read_events():
                yield encoder.encode(events)
                rows += len(events)
        except EventError as error:
            message = f"{self.path}: {self.row_name(rows + error.index)}: {error.rule}"
            raise TagFileError(message) from None
        end_time = self.acquisition.end_time
        if end_time is not None and end_time > encoder.overflow:
            yield encoder.finish(end_time)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}: {self.layout}>"


def as_channel(
    values: np.ndarray[tuple[int], np.dtype[np.integer]],
) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return channel numbers as bytes.

    Raises
    ------
    EventError
        If one is not 0 to 255.
    """
    wrong = (values < 0) | (values > 255)
    if wrong.any():
        index = int(np.argmax(wrong))
        raise EventError(index, f"channel must be 0 to 62, 64 or 65 to 79, but is {values[index]}")
    return values.astype(np.uint8)


TIME = "time_ps"
CHANNEL = "channel"

Column = NDArray[Any]


class TableSource(EncodedSource):
    """A table of tags, read some rows at a time.

    Attributes
    ----------
    time_type : numpy dtype
        Of the column of times.
    """

    time_type: np.dtype[Any] = np.dtype(np.int64)

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        try:
            acquisition = Acquisition.from_text(self.read_metadata(path))
        except TagFileError:
            raise
        except ValueError as error:
            message = f"{path}: {error}"
            raise TagFileError(message) from error
        super().__init__(path, acquisition)
        self.warnings = (*self.warnings, *coarse_times(self.time_type))

    @abstractmethod
    def read_metadata(self, path: Path) -> Mapping[str, str]:
        """Return the metadata beside the columns, having checked that both are there.

        Set `time_type` if the times may be durations.
        """

    @abstractmethod
    def read_rows(self) -> Iterator[tuple[Column, Column]]:
        """Yield ``time_ps`` and ``channel`` in order, some rows at a time."""

    def read_events(self) -> Iterator[Events]:
        """Yield the rows as events in the units of the metadata."""
        for times, channel in self.read_rows():
            if channel.dtype.kind not in "iu":
                raise wrong_type(self.path, CHANNEL, channel.dtype)
            times = as_times(self.path, times)
            yield from_picoseconds(times, as_channel(channel), self.acquisition)


class TagSink(ABC):
    """A tag file that takes events in the units of its acquisition; use it in ``with``.

    Parameters
    ----------
    path : Path
    acquisition : Acquisition
    counts : mapping of int to int
        Tags by channel number (syncs and markers included), as they will be written.
    origin : TagSource, optional
        The file they come from.
    round_times : bool, optional
        Accept that events may not follow back exactly from their times in the file.
    """

    def __init__(
        self,
        path: Path,
        acquisition: Acquisition,
        *,
        counts: Mapping[int, int],
        origin: TagSource | None = None,
        round_times: bool = False,
    ) -> None:
        self.path = path
        self.acquisition = acquisition
        self.counts = counts
        self.origin = origin
        self.round_times = round_times
        self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Make the file and write what stands before the events."""

    def takes_records_of(self, source: TagSource) -> bool:
        """Tell whether the records of a source can be appended as they are (`write_records`)."""
        return False

    def write_records(self, records: Records) -> None:
        """Append records as they are; only where `takes_records_of` says so."""
        raise NotImplementedError

    @abstractmethod
    def write(self, events: Events) -> None:
        """Append events.

        Raises
        ------
        EventError
            If the format cannot hold one of them.
        """

    @abstractmethod
    def close(self) -> None:
        """Complete the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TableSink(TagSink):
    """A table of tags being written."""

    def write(self, events: Events) -> None:
        """Append events given in the units of the acquisition."""
        times = to_picoseconds(events, self.acquisition, round_times=self.round_times)
        self.write_rows(times, events.channel)

    @abstractmethod
    def write_rows(self, times_ps: Times, channel: NDArray[np.uint8]) -> None:
        """Append rows."""


_UNITS = {"W": 604800, "D": 86400, "h": 3600, "m": 60, "s": 1}
_FRACTIONS = {"ms": 10**9, "us": 10**6, "ns": 1000, "ps": 1}
PICOSECONDS = {unit: number * 10**12 for unit, number in _UNITS.items()} | _FRACTIONS
"""Picoseconds in the units of a column of durations."""


def as_times(path: Path, column: Column) -> Times:
    """Return times in whole picoseconds: integers as they are, durations by their unit.

    Durations beyond 64 bits become negative.

    Raises
    ------
    TagFileError
        If the column holds anything else, such as dates or numbers with a fraction.
    EventError
        If a duration is not there, or an integer too large.
    """
    if column.dtype.kind in "iu":
        if column.dtype.kind == "u" and (large := column > MAX_TIME).any():
            index = int(np.argmax(large))
            raise EventError(index, f"time_ps must be 0 to {MAX_TIME}, but is {column[index]}")
        return column.astype(np.int64)
    if column.dtype.kind != "m":
        raise wrong_type(path, TIME, column.dtype)
    unit, steps = np.datetime_data(column.dtype)
    if unit not in PICOSECONDS:
        raise wrong_type(path, TIME, column.dtype)
    factor = PICOSECONDS[unit] * steps
    if (absent := np.isnat(column)).any():
        raise EventError(int(np.argmax(absent)), "time_ps must not be empty (NaT)")
    counts = column.astype(np.int64)
    return np.where((counts < 0) | (counts > MAX_TIME // factor), -1, counts * factor)


def coarse_times(dtype: np.dtype[Any]) -> Iterator[FileWarning]:
    """Say that durations are whole multiples of more than a nanosecond."""
    if dtype.kind != "m":
        return
    unit, steps = np.datetime_data(dtype)
    if PICOSECONDS.get(unit, 1) * steps > PICOSECONDS["ns"]:
        message = (
            f"Times are whole multiples of {max(1, steps)} {unit}: gates, delays and "
            "arrival times that are finer than that mean nothing."
        )
        yield FileWarning(code="coarse_times", message=message)


def wrong_type(path: Path, name: str, found: object) -> TagFileError:
    """Return the error for a column that holds neither integers nor (times) durations."""
    or_durations = " or durations in a unit of seconds" if name == TIME else ""
    message = f"{path}: column {name!r} must hold integers{or_durations}, but holds {found}"
    return TagFileError(message)


def missing_columns(path: Path, found: list[str]) -> TagFileError:
    """Return the error for a table that lacks a column."""
    shown = ", ".join(repr(name[:40]) for name in found[:8]) or "none"
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    message = (
        f"{path}: a table of tags must have the columns {TIME!r} (whole picoseconds) and "
        f"{CHANNEL!r}, but has {shown}{more}"
    )
    return TagFileError(message)
