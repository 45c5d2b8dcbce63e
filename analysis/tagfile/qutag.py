"""qutools quTAG and quTAU: binary files of 10-byte records, and text of two columns.

Binary: a header of 40 bytes, then per tag a time (64 bits, in ticks of the device) and a channel
(16 bits), little-endian. No such file was at hand: the layout rests on what public readers do. The
tick does not stand in the file; it is 1 ps for the quTAG.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import EncodedSource, as_channel
from analysis.tagfile.events import Events
from analysis.tagfile.source import FileWarning, TagFileError, file_size, open_file, text_lines

HEADER_BYTES = 40
RECORD = np.dtype([("time", "<i8"), ("channel", "<u2")])
_BLOCK = 1 << 16
_TICK = FileWarning(
    code="time_unit",
    message=(
        "The file does not say its time unit; ticks are taken as the 1 ps of a quTAG. For another "
        "device (a quTAU has coarser ticks) convert to a table with `time_ps`."
    ),
)


class QutagFile(EncodedSource):
    """A binary quTAG file."""

    format = "qutag"

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        size, rest = divmod(file_size(path) - HEADER_BYTES, RECORD.itemsize)
        if size < 0:
            message = f"{path}: a quTAG file must begin with {HEADER_BYTES} bytes, but is shorter"
            raise TagFileError(message)
        super().__init__(path, Acquisition(device="quTAG", warnings=(_TICK,)))
        if rest:
            message = f"The file ends with {rest} bytes of a record of 10; they are left out."
            self.warnings = (*self.warnings, FileWarning(code="truncated", message=message))

    def read_events(self) -> Iterator[Events]:
        """Yield the tags."""
        with open_file(self.path) as stream:
            stream.seek(HEADER_BYTES)
            while raw := stream.read(_BLOCK * RECORD.itemsize):
                tags = np.frombuffer(raw[: len(raw) // RECORD.itemsize * RECORD.itemsize], RECORD)
                channel = as_channel(tags["channel"].astype(np.int64))
                yield Events(time=tags["time"], dtime=None, channel=channel)


class QutagText(EncodedSource):
    """A quTAG text file: lines of time and channel, after any lines that begin otherwise."""

    format = "qutag-text"

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        file_size(path)
        super().__init__(path, Acquisition(device="quTAG", warnings=(_TICK,)))

    def read_events(self) -> Iterator[Events]:
        """Yield the tags, parsed some lines at a time."""
        rows: list[tuple[int, int]] = []
        begun = False
        for number, line in enumerate(text_lines(self.path), 1):
            row = _parse(line)
            if row is not None:
                rows.append(row)
                begun = True
            elif begun and line.strip():
                message = (
                    f"{self.path}: line {number}: a row must hold a time and a channel as whole "
                    f"numbers, but is {line.strip()[:80]!r}"
                )
                raise TagFileError(message)
            if len(rows) == _BLOCK:
                yield _events(rows)
                rows.clear()
        if rows:
            yield _events(rows)


def _parse(line: str) -> tuple[int, int] | None:
    for mark in (";", ",", "\t"):
        line = line.replace(mark, " ")
    fields = line.split()
    if len(fields) != 2 or not all(field.isascii() and field.isdecimal() for field in fields):
        return None
    time, channel = int(fields[0][:20]), int(fields[1][:4])
    return (time, channel) if time < 1 << 63 else None


def _events(rows: list[tuple[int, int]]) -> Events:
    table = np.array(rows, dtype=np.int64)
    return Events(time=table[:, 0], dtime=None, channel=as_channel(table[:, 1]))
