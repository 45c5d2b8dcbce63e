"""PTU files: the header's meaning, what it gives reason to doubt, and the records behind it.

Source: PicoQuant, "Tag Dictionary": ``TTResult_StopReason``, ``TTResult_MDescWarningFlags``.
"""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

from analysis.tagfile.header import PtuHeader, read_header
from analysis.tagfile.layouts import RecordLayout, find_layout
from analysis.tagfile.ptu_writer import STOPPED_MANUALLY, STOPPED_TIME_OVER
from analysis.tagfile.record_file import RECORD_BYTES, RecordFile
from analysis.tagfile.resolution import exact_resolution
from analysis.tagfile.source import FileWarning, TagFileError, file_size

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


_RATE_TOLERANCE = 0.1


def header_warnings(header: PtuHeader, layout: RecordLayout) -> Iterator[FileWarning]:
    """Yield what the stop reason, the warning flags, the mode and the sync divider say."""
    reason = header.get("TTResult_StopReason", 0)
    if isinstance(reason, int) and reason not in (0, 1):
        code, text = STOP_REASONS.get(reason, ("stopped_unknown", "the reason has no known name"))
        message = f"The measurement was stopped because {text} (stop reason {reason})."
        yield FileWarning(code=code, message=message)
    yield from _flag_warnings(header, layout)
    mode = header.get("Measurement_Mode")
    if mode is not None and mode != int(layout.mode[1]):
        message = f"The header says mode T{mode}, but the records are {layout}; they are read so."
        yield FileWarning(code="mode", message=message)


def _flag_warnings(header: PtuHeader, layout: RecordLayout) -> Iterator[FileWarning]:
    flags = header.get("TTResult_MDescWarningFlags", 0)
    flags = flags if isinstance(flags, int) else 0
    divider = header.get("HWSync_Divider", 1)
    if isinstance(divider, int) and divider > 1:
        flags &= ~0x200
        meaning = (
            "only those are in the file, as sync records: "
            f"`trial: {{sync: {{divider: {divider}}}}}` counts all trials"
            if layout.mode == "T2"
            else "whether sync numbers count all pulses or only those, the file does not say: "
            "compare the number of trials with the measured time times the pulses' rate"
        )
        message = (
            f"The sync divider is {divider}: the device measured one sync pulse in {divider}, and "
            f"{meaning}."
        )
        yield FileWarning(code="sync_divider", message=message)
    for bit in range(flags.bit_length()):
        if flags >> bit & 1:
            code, text = WARNING_FLAGS.get(1 << bit, ("flag_unknown", "the flag has no known name"))
            message = f"The time tagger warned that {text} (warning flag 0x{1 << bit:X})."
            yield FileWarning(code=code, message=message)


class PtuFile(RecordFile):
    """A PTU file of any layout in `analysis.tagfile.layouts.LAYOUTS`.

    The number of records is what the file held when it was opened; a header that was completed
    (the measurement ended by itself or by hand) may name fewer, and then no more are read.

    Parameters
    ----------
    path : str or Path
    record_type : int, optional
        Record type to read the records by, for a file whose header names a wrong one.

    Raises
    ------
    TagFileError
        If the file cannot be read, is no PTU file, or its header is corrupt or lacks what is
        needed to give its records a meaning.
    """

    format = "ptu"

    def __init__(self, path: str | Path, *, record_type: int | None = None) -> None:
        super().__init__(path)
        header = read_header(self.path)
        self.header: PtuHeader = header
        self.data_offset = header.data_offset
        self._record_type = record_type
        said = _integer(header, "TTResultFormat_TTTRRecType") & 0xFFFFFFFF
        try:
            self.layout = find_layout(said if record_type is None else record_type)
        except KeyError as error:
            message = f"{self.path}: {error.args[0]}"
            raise TagFileError(message) from None
        found = _positive(header, "MeasDesc_GlobalResolution")
        is_t3 = self.layout.mode == "T3"
        self.sync_period = exact_resolution(found, decimal=True) if is_t3 else None
        stored = _positive(header, "MeasDesc_Resolution") if is_t3 else found
        self.resolution = exact_resolution(stored)
        self.sync_rate = _rate(header, "TTResult_SyncRate")
        self.sync_divider = _divider(header)
        self.measured_time = _measured_time(header)
        data_bytes = file_size(self.path) - header.data_offset
        present, rest = divmod(data_bytes, RECORD_BYTES)
        self._n_records = _trusted_count(header, present)
        self.warnings = (
            *_size_warnings(header, present, self._n_records, rest),
            *_format_warnings(header, self.layout, said),
            *_resolution_warnings(stored, self.resolution),
            *_period_warnings(self.sync_period, self.sync_rate),
            *header_warnings(header, self.layout),
        )

    def reopened(self) -> "PtuFile":
        """Return the file as it is now: its header is complete only once the recording ended."""
        return PtuFile(self.path, record_type=self._record_type)


def _divider(header: PtuHeader) -> int:
    value = header.get("HWSync_Divider", 1)
    return value if isinstance(value, int) and value > 1 else 1


def _trusted_count(header: PtuHeader, present: int) -> int:
    """Return how many records to read: what a completed header says, else all there are."""
    claimed = int(_finite(header, "TTResult_NumberOfRecords"))
    ended = header.get("TTResult_StopReason", STOPPED_TIME_OVER)
    if 0 < claimed < present and ended in (STOPPED_TIME_OVER, STOPPED_MANUALLY):
        return claimed
    return present


def _format_warnings(header: PtuHeader, layout: RecordLayout, said: int) -> Iterator[FileWarning]:
    """Say what was assumed about the records against the header; refuse what cannot be."""
    bits = _integer(header, "TTResultFormat_BitsPerRecord")
    if bits not in (0, 8 * RECORD_BYTES):
        message = (
            f"{header.name}: records must have 32 bits, but TTResultFormat_BitsPerRecord is "
            f"{bits}; no known device writes such records"
        )
        raise TagFileError(message)
    if bits == 0:
        message = (
            "The header says 0 bits per record (TTResultFormat_BitsPerRecord); they are read as "
            "the 32 bits that every known device writes."
        )
        yield FileWarning(code="record_bits", message=message)
    if said != layout.record_type:
        message = (
            f"The header says record type 0x{said:08X}, but the records are read as {layout}, "
            "as was asked for."
        )
        yield FileWarning(code="record_type", message=message)


def _resolution_warnings(stored: float, used: float) -> Iterator[FileWarning]:
    if abs(stored - used) > 1e-9 * used:
        message = (
            f"The header says a resolution of {stored!r} s, a number in single precision; the "
            f"{used * 1e12:.9g} ps that it stands for are used."
        )
        yield FileWarning(code="resolution", message=message)


def _period_warnings(period: float | None, rate: float | None) -> Iterator[FileWarning]:
    """Compare the header's sync period with its sync rate, which is measured once at the start."""
    if period is not None and rate is not None and abs(period * rate - 1) > _RATE_TOLERANCE:
        message = (
            f"The header's sync period of {period:g} s (MeasDesc_GlobalResolution) and its sync "
            f"rate of {rate:g} /s contradict each other: one of them is wrong. Trials are counted "
            "by sync numbers; durations and rates go by the period."
        )
        yield FileWarning(code="sync_period", message=message)


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


def _size_warnings(
    header: PtuHeader, n_records: int, used: int, rest: int
) -> Iterator[FileWarning]:
    claimed = int(_finite(header, "TTResult_NumberOfRecords"))
    if claimed == 0 and n_records:
        yield FileWarning(
            code="record_count",
            message=(
                f"The header says 0 records, but the file holds {n_records}: the acquisition did "
                "not end properly, or still runs; all of them are read."
            ),
        )
    elif used != n_records:
        yield FileWarning(
            code="record_count",
            message=(
                f"The header says {claimed} records and that the measurement ended properly, but "
                f"the file holds {n_records}; the last {n_records - used} are left out."
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
