"""Tags as a table with columns ``time_ps`` and ``channel``: what CSV, NPZ and Parquet share.

``time_ps`` is the time since the start of the measurement in whole picoseconds; ``channel`` is an
input (0-62), 64 for a sync record, or 64 plus the marker bits. Metadata (`Acquisition`) is kept
beside the columns; without it the tags are T2 with ticks of 1 ps.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import EncodedSource, as_channel
from analysis.tagfile.events import Events
from analysis.tagfile.picoseconds import Times, from_picoseconds, to_picoseconds
from analysis.tagfile.sink import TagSink
from analysis.tagfile.source import TagFileError

TIME = "time_ps"
CHANNEL = "channel"

Column = NDArray[Any]


class TableSource(EncodedSource):
    """A table of tags, read some rows at a time."""

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

    @abstractmethod
    def read_metadata(self, path: Path) -> Mapping[str, str]:
        """Return the metadata beside the columns, having checked that both are there."""

    @abstractmethod
    def read_rows(self) -> Iterator[tuple[Column, Column]]:
        """Yield ``time_ps`` and ``channel`` in order, some rows at a time."""

    def read_events(self) -> Iterator[Events]:
        """Yield the rows as events in the units of the metadata."""
        for times, channel in self.read_rows():
            for name, column in ((TIME, times), (CHANNEL, channel)):
                if not np.issubdtype(column.dtype, np.integer):
                    message = (
                        f"{self.path}: column {name!r} must hold integers, but holds {column.dtype}"
                    )
                    raise TagFileError(message)
            yield from_picoseconds(as_times(times), as_channel(channel), self.acquisition)


class TableSink(TagSink):
    """A table of tags being written.

    Parameters
    ----------
    path : Path
    acquisition : Acquisition
    n_events : int
        How many will be written.
    round_times : bool
        Accept that events may not follow back exactly from their times in ps.
    """

    def __init__(
        self, path: Path, acquisition: Acquisition, *, n_events: int, round_times: bool = False
    ) -> None:
        self.path = path
        self.acquisition = acquisition
        self.n_events = n_events
        self.round_times = round_times

    def write(self, events: Events) -> None:
        """Append events given in the units of the acquisition."""
        times = to_picoseconds(events, self.acquisition, round_times=self.round_times)
        self.write_rows(times, events.channel)

    @abstractmethod
    def write_rows(self, times_ps: Times, channel: NDArray[np.uint8]) -> None:
        """Append rows."""


def as_times(column: Column) -> Times:
    """Return integers of any width as int64; what does not fit becomes negative."""
    return column.astype(np.int64)


def missing_columns(path: Path, found: list[str]) -> TagFileError:
    """Return the error for a table that lacks a column."""
    message = (
        f"{path}: a table of tags must have the columns {TIME!r} and {CHANNEL!r}, "
        f"but has {', '.join(map(repr, found)) or 'none'}"
    )
    return TagFileError(message)
