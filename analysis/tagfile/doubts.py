"""Where a header and the records behind it contradict each other."""

from collections.abc import Iterator

import numpy as np

from analysis.tagfile.codec import HYDRA_OVERFLOW, Decoder
from analysis.tagfile.layouts import LAYOUTS, SYNC, RecordLayout
from analysis.tagfile.record_file import RecordFile
from analysis.tagfile.source import FileWarning, Records, TagSource

DURATION_TOLERANCE = 0.01
"""Relative difference between header and records that is not worth a warning."""

DOUBTFUL_PART = 0.01
"""Part of odd records from which the record type itself is doubted."""

_FEWEST_RECORDS = 100

_CLEAN_PART = 0.001
_TRIED_RECORDS = 1 << 16


def falls_short(source: TagSource, reached: float) -> bool:
    """Tell whether the records end long before the header's measured time, in seconds.

    Only files of records reach to the end of the measurement; in other formats the last tag may
    come long before it.
    """
    measured = source.measured_time
    if measured is None or reached <= 0 or not isinstance(source, RecordFile):
        return False
    return measured - reached > _tolerance(source, measured)


def duration_warnings(source: TagSource, reached: float) -> Iterator[FileWarning]:
    """Compare the time in seconds that the records reach with the header's measured time."""
    measured = source.measured_time
    if measured is None or reached <= 0:
        return
    short = falls_short(source, reached)
    if short or reached - measured > _tolerance(source, measured):
        used = "; rates go by the records" if short else ""
        message = (
            f"The header says that {measured:.6g} s were measured, but the records reach "
            f"{reached:.6g} s: overflow records or data are missing, or the sync rate drifted"
            f"{used}."
        )
        yield FileWarning(code="duration", message=message)


def _tolerance(source: TagSource, measured: float) -> float:
    tick = source.resolution if source.layout.mode == "T2" else source.sync_period or 0.0
    return DURATION_TOLERANCE * measured + 2 * source.layout.wrap * tick


def counts_overflows(layout: RecordLayout) -> bool:
    """Tell whether overflow records may say how often; those of a HydraHarp v1 hold 0."""
    return layout.counted_overflows or layout.family == "pico"


def _counts(records: Records, layout: RecordLayout) -> Records:
    overflows = records[records >= np.uint32(HYDRA_OVERFLOW)]
    return overflows & np.uint32((1 << layout.time_bits) - 1)


def layout_warnings(source: TagSource) -> Iterator[FileWarning]:
    """Name the record types that fit the records where that of the header does not."""
    if not isinstance(source, RecordFile):
        return
    stop = min(source.n_records, _TRIED_RECORDS)
    if stop < _FEWEST_RECORDS:
        return
    records = np.concatenate([block.copy() for block in source.blocks(0, stop)])
    if _odd(records, source.layout) <= DOUBTFUL_PART * stop:
        return
    fitting = [
        layout
        for layout in LAYOUTS.values()
        if layout.mode == source.layout.mode and _odd(records, layout) <= _CLEAN_PART * stop
    ]
    if fitting:
        names = ", ".join(map(str, fitting))
        message = (
            f"The records contradict the record type {source.layout}, but fit {names}: if the "
            f"file is mislabelled, read it with --as 0x{fitting[0].record_type:08X}."
        )
        yield FileWarning(code="mislabelled", message=message)


def _odd(records: Records, layout: RecordLayout) -> int:
    """Return how many records are reserved, run backwards, or are on no usual input."""
    if not counts_overflows(layout) and _counts(records, layout).any():
        return len(records)
    decoder = Decoder(layout)
    try:
        events = decoder.decode(records)
    except ValueError:
        return len(records)
    time = events.time[events.channel <= SYNC]
    return decoder.unknown_records + int(np.count_nonzero(np.diff(time) < 0))
