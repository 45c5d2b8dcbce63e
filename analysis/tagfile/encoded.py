"""Sources that hold tags in another form and encode them into generic records on the way in."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.codec import Encoder
from analysis.tagfile.events import Events
from analysis.tagfile.limits import EventError
from analysis.tagfile.source import BLOCK_RECORDS, Records, TagFileError, TagSource

BLOCK_EVENTS = 1 << 16
"""Events that are read and encoded at a time."""


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
