"""Compiled loops over raw T2 records: strides of regular sync records are skipped at once."""

import numba
import numpy as np

from analysis.counting.compiled import (
    AGAIN,
    BACKWARDS,
    CHUNK,
    DOUBLED,
    EARLY,
    FIRST,
    FIRST_DOUBLED,
    LAST,
    MARKERS,
    MISSING,
    N_OPEN,
    RECORDS,
    RESERVED,
    SLOT,
    TRIAL,
    TRIALS,
    UNKNOWN,
    WRAPPED,
    add_click,
    special,
)
from analysis.counting.tally import MISSING_GAP, NONE
from analysis.counts import DOUBLED_GAP
from analysis.tagfile.layouts import MARKER, SYNC

BUILT_WITH = 0xA6096B3A
"""Checksum of what the loops take from other files: numba's cache on disk sees only this one."""

_STRIDE = 8


@numba.njit
def _mark_irregular(records, start, stop, shortest, longest, marks):  # type: ignore[no-untyped-def]
    """Mark all records but syncs that follow a sync after a regular time."""
    sync, bits = np.uint32(0x80000000), np.uint32(0xFE000000)
    span = np.uint32(longest - shortest)
    marks[0] = 1
    part, out = records[start:stop], marks[1:]
    for i in range(len(part) - 1):
        one, other = part[i], part[i + 1]
        odd = ((one ^ sync) | (other ^ sync)) & bits
        # a gap that is too short wraps round and is too long as well
        excess = np.uint32(np.uint32(other - one) - shortest)
        out[i] = np.uint8((odd != np.uint32(0)) | (excess > span))
    marks[len(part) : len(part) + _STRIDE] = 1


@numba.njit(inline="always")
def _is_start(code, start_code):  # type: ignore[no-untyped-def]
    """Tell whether a tag begins a trial; markers match by bit."""
    if start_code > MARKER:
        return code > MARKER and ((code - MARKER) & (start_code - MARKER)) != 0
    return code == start_code


@numba.njit(inline="always")
def _missing(gap, period):  # type: ignore[no-untyped-def]
    """Return how many trial starts are missing in a gap."""
    return np.int64(np.floor(gap / period + 0.5)) - 1 if gap > MISSING_GAP * period else 0


@numba.njit(inline="always")
def _slot_of(ticks, period, divider):  # type: ignore[no-untyped-def]
    """Return which of the trials after a sync record a tick so long after it belongs to."""
    return min(max(np.int64(np.floor((ticks + 0.5) / period)), 0), divider - 1)


@numba.njit(inline="always")
def _slot_start(slot, period):  # type: ignore[no-untyped-def]
    """Return how many ticks after the sync record such a trial begins."""
    return np.int64(np.floor(slot * period + 0.5))


@numba.njit(inline="always")
def _bin(ticks, starts, widths, first_bins):  # type: ignore[no-untyped-def]
    if ticks < 0 or ticks >= starts[-1]:
        return first_bins[-1]
    segment = 0
    while ticks >= starts[segment + 1]:
        segment += 1
    return first_bins[segment] + (ticks - starts[segment]) // widths[segment]


@numba.njit(inline="always")
def _t2(  # type: ignore[no-untyped-def]  # noqa: C901  # one loop keeps its state in registers
    records, pico, counted, wrap, start_code, trial_period, divider, clock, origin,
    row_of, shift_of, starts, widths, first_bins, cell_of, opened, state, histogram, repeated,
    pairs,
):  # fmt: skip
    special_from = 0xF0000000 if pico else 0x80000000
    channel_at = 28 if pico else 25
    time_mask = 0xFFFFFFF if pico else 0x1FFFFFF
    beyond = first_bins[-1]
    foreign = len(cell_of) - beyond - 1
    period = trial_period * divider
    longest = np.uint32(min(MISSING_GAP * period, time_mask))
    shortest = np.uint32(min(np.ceil(DOUBLED_GAP * period), time_mask))
    by_sync = start_code == SYNC and not pico
    wrapped, last, trial = state[WRAPPED], state[LAST], state[TRIAL]
    trials, backwards, slot = state[TRIALS], 0, state[SLOT]
    n = len(records)
    marks = np.ones(CHUNK + _STRIDE, np.uint8)
    strides = marks.view(np.uint64)
    for i in range(0, n, _STRIDE):
        if by_sync:
            if i % CHUNK == 0:
                _mark_irregular(records, i, min(i + CHUNK, n), shortest, longest, marks)
            if strides[i % CHUNK // _STRIDE] == np.uint64(0):
                last = trial = wrapped + (records[i + _STRIDE - 1] & time_mask)
                trials += _STRIDE
                slot = opened[N_OPEN] = opened[AGAIN] = 0
                continue
        for k in range(i, min(i + _STRIDE, n)):
            record = np.int64(records[k])
            if by_sync and marks[k % CHUNK] == 0:
                last = trial = wrapped + (record & time_mask)
                trials += 1
                slot = opened[N_OPEN] = opened[AGAIN] = 0
                continue
            code = record >> channel_at
            if record >= special_from:
                code, add = special(record, pico, counted, wrap, False)
                wrapped += add
                if code == RESERVED:
                    state[UNKNOWN] += 1
                if code < 0:
                    continue
            time = wrapped + (record & time_mask)
            backwards += time < last
            last = time
            if _is_start(code, start_code):
                if trial == NONE:
                    state[FIRST] = time
                else:
                    state[MISSING] += _missing(time - trial, period)
                    if 0 <= time - trial < DOUBLED_GAP * period:
                        if state[DOUBLED] == 0:
                            state[FIRST_DOUBLED] = state[RECORDS] + k
                        state[DOUBLED] += 1
                trial = time
                trials += 1
                slot = opened[N_OPEN] = opened[AGAIN] = 0
                continue
            if code >= SYNC:
                if clock > 0 and state[FIRST] == NONE:
                    state[FIRST] = time
                state[MARKERS] += code > MARKER
                continue
            row = row_of[code]
            if clock > 0 and state[FIRST] == NONE:
                state[FIRST] = time
            if row == foreign:
                histogram[foreign + beyond] += 1
                continue
            shift = 0
            if clock > 0:
                if time < origin:
                    state[EARLY] += 1
                    continue
                start = time - (time - origin) % clock
                if start != trial:
                    opened[N_OPEN] = opened[AGAIN] = 0
                    trial = start
            elif trial == NONE:
                state[EARLY] += 1
                continue
            elif divider > 1:
                now = _slot_of(time - trial, trial_period, divider)
                if now != slot:
                    opened[N_OPEN] = opened[AGAIN] = 0
                    slot = now
                shift = _slot_start(slot, trial_period)
            ticks = time - trial - shift + shift_of[code]
            place = row + _bin(ticks, starts, widths, first_bins)
            histogram[place] += 1
            if cell_of[place] != NONE:
                add_click(cell_of[place], opened, state, repeated, pairs)
    state[WRAPPED], state[LAST], state[TRIAL] = wrapped, last, trial
    state[TRIALS], state[SLOT] = trials, slot
    state[BACKWARDS] += backwards
    state[RECORDS] += n


@numba.njit(cache=True, nogil=True)
def hydra_t2(  # type: ignore[no-untyped-def]
    records, counted, wrap, start_code, trial_period, divider, clock, origin,
    row_of, shift_of, starts, widths, first_bins, cell_of, opened, state, histogram, repeated,
    pairs,
):  # fmt: skip
    """Count T2 records of the HydraHarp family."""
    _t2(
        records, False, counted, wrap, start_code, trial_period, divider, clock, origin,
        row_of, shift_of, starts, widths, first_bins, cell_of, opened, state, histogram, repeated,
        pairs,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def pico_t2(  # type: ignore[no-untyped-def]
    records, counted, wrap, start_code, trial_period, divider, clock, origin,
    row_of, shift_of, starts, widths, first_bins, cell_of, opened, state, histogram, repeated,
    pairs,
):  # fmt: skip
    """Count T2 records of the PicoHarp 300."""
    _t2(
        records, True, counted, wrap, start_code, trial_period, divider, clock, origin,
        row_of, shift_of, starts, widths, first_bins, cell_of, opened, state, histogram, repeated,
        pairs,
    )  # fmt: skip
