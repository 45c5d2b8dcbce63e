"""Compiled counting loop for T3 records: chunks whose time runs on are gated without a branch."""

import numba
import numpy as np

from analysis.counting.finished_trial import (
    OVERFLOW,
    RESERVED,
    close_trial,
    repeat,
    several,
    special,
)
from analysis.counting.tally import S

BUILT_WITH = 0xC17DFC38
"""Checksum of what the loops take from other files: numba's cache on disk sees only this one."""

# The state vector's places as plain integers, which compiled code can use.
_WRAPPED, _LAST, _CLICKED = int(S.WRAPPED), int(S.LAST), int(S.CLICKED)
_BACKWARDS, _UNKNOWN, _MARKERS = int(S.BACKWARDS), int(S.UNKNOWN), int(S.MARKERS)
_HIGHEST, _RECORDS = int(S.HIGHEST), int(S.RECORDS)
_CHUNK = 4096


@numba.njit(inline="always")
def _runs_on(records, pico, wrapped, last):  # type: ignore[no-untyped-def]
    """Tell whether a chunk holds only photons and overflows, none earlier than the one before."""
    special_from = np.uint32(0xF0000000 if pico else 0x80000000)
    not_overflow_from = np.uint32(0xF0010000 if pico else 0x80000000)
    not_overflows = np.uint32(0x0FFF0000 if pico else 0x7E000000)
    sync_mask = np.uint32(0xFFFF if pico else 0x3FF)
    odd = records[0] < special_from and wrapped + np.int64(records[0] & sync_mask) < last
    for i in range(len(records)):
        odd |= (records[i] - not_overflow_from) < not_overflows
    for i in range(len(records) - 1):
        one, other = records[i], records[i + 1]
        odd |= (max(one, other) < special_from) & ((other & sync_mask) < (one & sync_mask))
    return not odd


@numba.njit(inline="always")
def _count_orderly(  # type: ignore[no-untyped-def]
    records, pico, counted, wrap, place_of, kept, waiting, bit_of, state, histogram, repeated, pairs
):
    """Count a chunk that runs on: fill the histogram, then look at gated clicks alone."""
    special_from = 0xF0000000 if pico else 0x80000000
    key_at = np.uint32(16 if pico else 10)
    sync_mask = 0xFFFF if pico else 0x3FF
    n = np.uint64(0)
    for i in range(len(records)):
        place = place_of[records[i] >> key_at]
        histogram[place] += 1
        waiting[n] = i
        n += kept[place]
    wrapped, trial, clicked = state[_WRAPPED], state[_LAST], state[_CLICKED]
    for k in range(n):
        record = np.int64(records[waiting[k]])
        if record >= special_from:
            wrapped += special(record, pico, counted, wrap, True)[1]
            continue
        sync = wrapped + (record & sync_mask)
        if sync != trial:
            if several(clicked):
                close_trial(clicked, state, pairs)
            clicked = 0
            trial = sync
        bit = bit_of[place_of[record >> key_at]]
        if clicked & bit:
            clicked |= repeat(bit, repeated)
        clicked |= bit
    state[_WRAPPED] = wrapped
    i = len(records) - 1
    while i >= 0 and records[i] >= special_from:
        wrapped -= special(np.int64(records[i]), pico, counted, wrap, True)[1]
        i -= 1
    if i >= 0 and wrapped + np.int64(records[i] & sync_mask) != trial:
        if several(clicked):
            close_trial(clicked, state, pairs)
        clicked = 0
        trial = wrapped + np.int64(records[i] & sync_mask)
    state[_LAST], state[_CLICKED] = trial, clicked


@numba.njit(inline="always")
def _count_any(  # type: ignore[no-untyped-def]
    records, pico, counted, wrap, place_of, bit_of, state, histogram, repeated, pairs
):
    """Count a chunk with markers, reserved codes or disorder, record by record."""
    special_from = 0xF0000000 if pico else 0x80000000
    key_at = 16 if pico else 10
    sync_mask = 0xFFFF if pico else 0x3FF
    wrapped, last, clicked = state[_WRAPPED], state[_LAST], state[_CLICKED]
    for raw in records:
        record = np.int64(raw)
        if record >= special_from:
            code, add = special(record, pico, counted, wrap, True)
            wrapped += add
            state[_UNKNOWN] += code == RESERVED
            state[_MARKERS] += code > OVERFLOW
            continue
        # Only rare things branch from here on: a mispredicted branch costs more than the rest.
        sync = wrapped + (record & sync_mask)
        new = sync != last
        if new & several(clicked):
            close_trial(clicked, state, pairs)
        clicked = 0 if new else clicked
        if sync < last:
            state[_BACKWARDS] += 1
            state[_HIGHEST] = max(state[_HIGHEST], last)
        last = sync
        place = place_of[record >> key_at]
        histogram[place] += 1
        bit = bit_of[place]
        if clicked & bit:
            clicked |= repeat(bit, repeated)
        clicked |= bit
    state[_WRAPPED], state[_LAST], state[_CLICKED] = wrapped, last, clicked


@numba.njit(inline="always")
def _t3(  # type: ignore[no-untyped-def]
    records, pico, counted, wrap, place_of, kept, bit_of, state, histogram, repeated, pairs
):
    waiting = np.empty(_CHUNK, np.uint32)
    for start in range(0, len(records), _CHUNK):
        chunk = records[start : start + _CHUNK]
        if _runs_on(chunk, pico, state[_WRAPPED], state[_LAST]):
            _count_orderly(
                chunk, pico, counted, wrap, place_of, kept, waiting, bit_of, state, histogram,
                repeated, pairs,
            )  # fmt: skip
        else:
            _count_any(
                chunk, pico, counted, wrap, place_of, bit_of, state, histogram, repeated, pairs
            )
    state[_RECORDS] += len(records)


# One compiled loop per family: with the bit positions known it runs a fifth faster.
@numba.njit(cache=True, nogil=True)
def hydra_t3(  # type: ignore[no-untyped-def]
    records, counted, wrap, place_of, kept, bit_of, state, histogram, repeated, pairs
):
    """Count T3 records of the HydraHarp family."""
    _t3(records, False, counted, wrap, place_of, kept, bit_of, state, histogram, repeated, pairs)


@numba.njit(cache=True, nogil=True)
def pico_t3(  # type: ignore[no-untyped-def]
    records, counted, wrap, place_of, kept, bit_of, state, histogram, repeated, pairs
):
    """Count T3 records of the PicoHarp 300."""
    _t3(records, True, counted, wrap, place_of, kept, bit_of, state, histogram, repeated, pairs)
