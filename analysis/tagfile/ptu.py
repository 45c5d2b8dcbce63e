"""PTU files: the header's meaning, what it gives reason to doubt, and the records behind it.

Source: PicoQuant, "Tag Dictionary": ``TTResult_StopReason``, ``TTResult_MDescWarningFlags``.
"""

import time
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import BinaryIO

import numpy as np

from analysis.tagfile.header import PtuHeader, read_header
from analysis.tagfile.layouts import RecordLayout, find_layout
from analysis.tagfile.ptu_writer import STOPPED_TIME_OVER
from analysis.tagfile.source import (
    BLOCK_RECORDS,
    FileWarning,
    Records,
    TagFileError,
    TagSource,
    file_size,
    open_file,
)

STOP_REASONS: dict[int, tuple[str, str]] = {
    2: ("stopped_overflow", "a counter reached its limit"),
    3: ("stopped_error", "an error occurred"),
    -1: ("stopped_unknown", "the reason is unknown (a crash, or the file is still being written)"),
    -2: ("fifo_overrun", "the device's FIFO overran, so tags were lost"),
    -3: ("stopped_error", "an error occurred (converted file)"),
    -4: ("stopped_error", "the time tagger reported an error"),
    -5: ("file_error", "the file could not be written, for example because the disk was full"),
    -6: ("stopped_error", "memory ran out"),
    -7: ("stopped_error", "the computer was suspended"),
    -8: ("stopped_error", "the time tagger reported a system error"),
    -9: ("queue_overrun", "the software's queue overran, so tags were lost"),
    -10: ("transfer_error", "data could not be transferred from the device"),
    -11: ("transfer_error", "the device sent an illegal record"),
    -12: ("clock_lost", "the reference clock was lost"),
    -13: ("sync_lost", "the sync signal was lost"),
}
"""Reasons for the end of a measurement that deserve a warning: code and explanation."""

WARNING_FLAGS: dict[int, tuple[str, str]] = {
    0x1: ("sync_rate_zero", "no sync signal was seen"),
    0x2: ("sync_rate_low", "the sync rate was very low"),
    0x4: ("sync_rate_high", "the sync rate was too high"),
    0x10: ("input_rate_zero", "an input had no counts"),
    0x40: ("input_rate_high", "an input rate was too high"),
    0x80: ("events_dropped", "events were dropped"),
    0x100: ("input_rate_ratio", "the input rate was too high for the sync rate"),
    0x200: ("sync_divider", "the sync divider was larger than one"),
    0x400: ("time_span_small", "the time span was shorter than the sync period"),
    0x800: ("offset_unnecessary", "an offset was set without need"),
    0x1000: ("sync_divider_small", "the sync divider was too small for the sync rate"),
    0x2000: ("events_dropped", "counts were dropped"),
}
"""Bits of ``TTResult_MDescWarningFlags``; the last two as the TimeHarp 260 library has them."""


def header_warnings(header: PtuHeader, layout: RecordLayout) -> Iterator[FileWarning]:
    """Yield what the stop reason, the warning flags, the mode and the sync divider say."""
    reason = header.get("TTResult_StopReason", 0)
    if isinstance(reason, int) and reason not in (0, 1):
        code, text = STOP_REASONS.get(reason, ("stopped_unknown", "the reason has no known name"))
        message = f"The measurement was stopped because {text} (stop reason {reason})."
        yield FileWarning(code=code, message=message)
    yield from _flag_warnings(header)
    mode = header.get("Measurement_Mode")
    if mode is not None and mode != int(layout.mode[1]):
        message = f"The header says mode T{mode}, but the records are {layout}; they are read so."
        yield FileWarning(code="mode", message=message)


def _flag_warnings(header: PtuHeader) -> Iterator[FileWarning]:
    flags = header.get("TTResult_MDescWarningFlags", 0)
    flags = flags if isinstance(flags, int) else 0
    divider = header.get("HWSync_Divider", 1)
    if isinstance(divider, int) and divider > 1:
        flags &= ~0x200
        message = (
            f"The sync divider is {divider}: the device measured one sync pulse in {divider}, "
            "and in T2 only those are in the file."
        )
        yield FileWarning(code="sync_divider", message=message)
    for bit in range(flags.bit_length()):
        if flags >> bit & 1:
            code, text = WARNING_FLAGS.get(1 << bit, ("flag_unknown", "the flag has no known name"))
            message = f"The time tagger warned that {text} (warning flag 0x{1 << bit:X})."
            yield FileWarning(code=code, message=message)


RECORD_BYTES = 4


class PtuFile(TagSource):
    """A PTU file of any layout in `analysis.tagfile.layouts.LAYOUTS`.

    Only the header is read here; `blocks` opens the file anew for every iteration, so several
    threads may read one `PtuFile`. The number of records is what the file held when it was
    opened, whatever its header says.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    TagFileError
        If the file cannot be read, is no PTU file, or its header is corrupt or lacks what is
        needed to give its records a meaning.
    """

    format = "ptu"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        header = read_header(self.path)
        self.header: PtuHeader = header
        if _integer(header, "TTResultFormat_BitsPerRecord") != 8 * RECORD_BYTES:
            message = (
                f"{self.path}: records must have 32 bits, but TTResultFormat_BitsPerRecord is "
                f"{header['TTResultFormat_BitsPerRecord']}; no known device writes such records"
            )
            raise TagFileError(message)
        try:
            self.layout = find_layout(_integer(header, "TTResultFormat_TTTRRecType") & 0xFFFFFFFF)
        except KeyError as error:
            message = f"{self.path}: {error.args[0]}"
            raise TagFileError(message) from None
        global_resolution = _positive(header, "MeasDesc_GlobalResolution")
        is_t3 = self.layout.mode == "T3"
        self.resolution = _positive(header, "MeasDesc_Resolution") if is_t3 else global_resolution
        self.sync_period = global_resolution if is_t3 else None
        self.sync_rate = _rate(header, "TTResult_SyncRate")
        self.measured_time = _measured_time(header)
        data_bytes = file_size(self.path) - header.data_offset
        self._n_records, rest = divmod(data_bytes, RECORD_BYTES)
        self.warnings = (
            *_size_warnings(header, self._n_records, rest),
            *header_warnings(header, self.layout),
        )

    @property
    def n_records(self) -> int:
        """Number of whole records the file held when it was opened."""
        return self._n_records

    def blocks(
        self, start: int = 0, stop: int | None = None, *, size: int = BLOCK_RECORDS
    ) -> Iterator[Records]:
        """Yield records ``start`` to ``stop`` in order, in arrays of at most `size`.

        The array is a view of a buffer that the next step overwrites: use it or copy it.

        Raises
        ------
        ValueError
            If the range or the size makes no sense.
        TagFileError
            If the file ends before ``stop`` (it shrank while being read).
        """
        stop = self.n_records if stop is None else stop
        if not 0 <= start <= stop or size < 1:
            message = (
                "`start`, `stop` and `size` must satisfy 0 <= start <= stop and size >= 1, "
                f"but are {start}, {stop} and {size}"
            )
            raise ValueError(message)
        return self._blocks(start, stop, size)

    def follow(
        self,
        *,
        start: int = 0,
        poll: float = 0.1,
        idle_timeout: float | None = None,
        stop: Callable[[], bool] | None = None,
        size: int = BLOCK_RECORDS,
    ) -> Iterator[Records]:
        """Yield the records of a file that is still growing, as they arrive.

        Parameters
        ----------
        start : int, optional
            First record.
        poll : float, optional
            Seconds between looks at the file when nothing new is there.
        idle_timeout : float, optional
            End after so many seconds without a new record; by default never.
        stop : callable, optional
            Asked at every look; once it returns True, what is in the file by then is still
            yielded, and then the iteration ends.
        size : int, optional
            Most records per block.

        Raises
        ------
        TagFileError
            If the file becomes shorter than what was already read.
        """
        position = start
        last_growth = time.monotonic()
        while True:
            stopping = stop is not None and stop()
            available = self._records_now(position)
            grew = available > position
            if grew:
                yield from self._blocks(position, available, size)
                position = available
                last_growth = time.monotonic()
            if stopping:
                return
            if not grew:
                idle = time.monotonic() - last_growth
                if idle_timeout is not None and idle >= idle_timeout:
                    return
                time.sleep(poll)

    def reopened(self) -> "PtuFile":
        """Return the file as it is now: its header is complete only once the recording ended."""
        return PtuFile(self.path)

    def _blocks(self, start: int, stop: int, size: int) -> Iterator[Records]:
        buffer: Records = np.empty(min(size, max(stop - start, 1)), dtype=np.uint32)
        view = buffer.view(np.uint8).data
        with open_file(self.path, buffering=0) as stream:
            stream.seek(self.header.data_offset + start * RECORD_BYTES)
            for first in range(start, stop, size):
                count = min(size, stop - first)
                filled = _fill(stream, view[: count * RECORD_BYTES])
                if filled < count * RECORD_BYTES:
                    raise TagFileError(self._shrunk(first + filled // RECORD_BYTES, stop))
                yield buffer[:count]

    def _records_now(self, position: int) -> int:
        available = (file_size(self.path) - self.header.data_offset) // RECORD_BYTES
        if available < position:
            raise TagFileError(self._shrunk(max(available, 0), position))
        return available

    def _shrunk(self, record: int, expected: int) -> str:
        byte = self.header.data_offset + record * RECORD_BYTES
        return (
            f"{self.path}: the file must hold {expected} records, but ends at record {record} "
            f"(byte {byte}): it became shorter while being read; open it again"
        )

    def __repr__(self) -> str:
        return f"<PtuFile {self.path}: {self.layout}, {self.n_records} records>"


def _fill(stream: BinaryIO, view: memoryview) -> int:
    """Read until the view is full or the file ends; return the bytes read."""
    filled = 0
    while filled < len(view):
        got = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not got:
            break
        filled += got
    return filled


def _number(header: PtuHeader, key: str) -> float:
    value = header.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        message = (
            f"{header.name}: header tag {key!r} must be a number, but is {value!r}; "
            "the header is corrupt"
        )
        raise TagFileError(message)
    return value


def _finite(header: PtuHeader, key: str) -> float:
    value = _number(header, key)
    if not isfinite(value):
        message = (
            f"{header.name}: header tag {key!r} must be finite, but is {value}; "
            "the header is corrupt"
        )
        raise TagFileError(message)
    return value


def _integer(header: PtuHeader, key: str) -> int:
    return int(_finite(_require(header, key), key))


def _positive(header: PtuHeader, key: str) -> float:
    value = float(_number(_require(header, key), key))
    if not 0 < value < float("inf"):
        message = f"{header.name}: header tag {key!r} must be a positive time, but is {value}"
        raise TagFileError(message)
    return value


def _rate(header: PtuHeader, key: str) -> float | None:
    """Return a rate in 1/s; None if the file does not say (0 or no such tag)."""
    value = _finite(header, key)
    if value < 0:
        message = f"{header.name}: header tag {key!r} must not be negative, but is {value}"
        raise TagFileError(message)
    return value or None


def _require(header: PtuHeader, key: str) -> PtuHeader:
    if key not in header:
        message = (
            f"{header.name}: the header must have tag {key!r}, without which the records have no "
            "meaning; the file was not written completely, or not by a time tagger"
        )
        raise TagFileError(message)
    return header


def _measured_time(header: PtuHeader) -> float | None:
    """Return the measured time in s: the actual one, else the planned one if it had passed."""
    milliseconds = _finite(header, "TTResult_StopAfter")
    if milliseconds <= 0 and header.get("TTResult_StopReason") == STOPPED_TIME_OVER:
        milliseconds = _finite(header, "MeasDesc_AcquisitionTime")
    return milliseconds * 1e-3 if milliseconds > 0 else None


def _size_warnings(header: PtuHeader, n_records: int, rest: int) -> Iterator[FileWarning]:
    claimed = int(_finite(header, "TTResult_NumberOfRecords"))
    if claimed == 0 and n_records:
        yield FileWarning(
            code="record_count",
            message=(
                f"The header says 0 records, but the file holds {n_records}: the acquisition did "
                "not end properly, or still runs; all of them are read."
            ),
        )
    elif claimed != n_records:
        yield FileWarning(
            code="record_count",
            message=(
                f"The header says {claimed} records, but the file holds {n_records}; "
                "those in the file are read."
            ),
        )
    elif n_records == 0:
        yield FileWarning(code="no_records", message="The file holds no records.")
    if rest:
        yield FileWarning(
            code="truncated",
            message=(
                f"The file ends with {rest} bytes of a record of {RECORD_BYTES}: it was cut off "
                f"after record {n_records}; these bytes are left out."
            ),
        )
