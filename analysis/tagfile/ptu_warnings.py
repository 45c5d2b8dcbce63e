"""What a PTU header itself gives reason to doubt.

Source: PicoQuant, "Tag Dictionary": ``TTResult_StopReason``, ``TTResult_MDescWarningFlags``.
"""

from collections.abc import Iterator

from analysis.tagfile.header import PtuHeader
from analysis.tagfile.layouts import RecordLayout
from analysis.tagfile.source import FileWarning

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
