"""Compiled counting loop for T2 records: strides of regular sync records are skipped at once."""

import numba
import numpy as np

from analysis.counting.finished_trial import RESERVED, close_trial, repeat, several, special
from analysis.counting.tally import MISSING_GAP, NONE, S
from analysis.quality import DOUBLED_GAP
from analysis.tagfile.layouts import MARKER, SYNC

BUILT_WITH = 0xC17DFC38
"""Checksum of what the loops take from other files: numba's cache on disk sees only this one."""

# The state vector's places as plain integers, which compiled code can use.
_WRAPPED, _LAST, _TRIAL, _CLICKED, _FIRST, _TRIALS = map(int, list(S)[:6])
_MISSING, _BACKWARDS, _UNKNOWN, _EARLY, _MARKERS, _ = map(int, list(S)[6:12])
_RECORDS, _DOUBLED, _FIRST_DOUBLED = int(S.RECORDS), int(S.DOUBLED), int(S.FIRST_DOUBLED)
_STRIDE = 8


@numba.njit(inline="always")
def _all_regular_syncs(records, i, shortest, longest):  # type: ignore[no-untyped-def]
    """Tell whether the next stride is sync records only, none of them late or early."""
    odd = np.uint32(0)
    for j in range(_STRIDE):
        odd |= (records[i + j] ^ np.uint32(0x80000000)) & np.uint32(0xFE000000)
    if odd:
        return False
    excess = np.uint32(0)  # a gap that is too short wraps round and is too long as well
    for j in range(1, _STRIDE):
        excess = max(excess, np.uint32(records[i + j] - records[i + j - 1] - shortest))
    return excess <= np.uint32(longest - shortest)


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
def _bin(ticks, starts, widths, first_bins):  # type: ignore[no-untyped-def]
    if ticks < 0 or ticks >= starts[-1]:
        return first_bins[-1]
    segment = 0
    while ticks >= starts[segment + 1]:
        segment += 1
    return first_bins[segment] + (ticks - starts[segment]) // widths[segment]


@numba.njit(inline="always")
def _t2(  # type: ignore[no-untyped-def]  # noqa: C901  # one loop keeps its state in registers
    records, pico, counted, wrap, start_code, period, clock,
    row_of, starts, widths, first_bins, bit_of, state, histogram, repeated, pairs,
):  # fmt: skip
    special_from = 0xF0000000 if pico else 0x80000000
    channel_at = 28 if pico else 25
    time_mask = 0xFFFFFFF if pico else 0x1FFFFFF
    beyond = first_bins[-1]
    foreign = len(bit_of) - beyond - 1
    longest = np.uint32(min(MISSING_GAP * period, time_mask))
    shortest = np.uint32(min(np.ceil(DOUBLED_GAP * period), time_mask))
    by_sync = start_code == SYNC and not pico
    wrapped, last, trial = state[_WRAPPED], state[_LAST], state[_TRIAL]
    clicked, trials, backwards = state[_CLICKED], state[_TRIALS], 0
    n = len(records)
    i = 0
    while i < n:
        if by_sync and i + _STRIDE <= n and trial != NONE:
            time = wrapped + (records[i] & time_mask)
            regular = max(last, trial + shortest) <= time <= trial + longest
            if regular and _all_regular_syncs(records, i, shortest, longest):
                if several(clicked):
                    close_trial(clicked, state, pairs)
                i += _STRIDE
                last = trial = wrapped + (records[i - 1] & time_mask)
                trials += _STRIDE
                clicked = 0
                continue
        for k in range(i, min(i + _STRIDE, n)):
            record = np.int64(records[k])
            code = record >> channel_at
            if record >= special_from:
                code, add = special(record, pico, counted, wrap, False)
                wrapped += add
                if code == RESERVED:
                    state[_UNKNOWN] += 1
                if code < 0:
                    continue
            time = wrapped + (record & time_mask)
            backwards += time < last
            last = time
            if _is_start(code, start_code):
                if trial == NONE:
                    state[_FIRST] = time
                else:
                    state[_MISSING] += _missing(time - trial, period)
                    if 0 <= time - trial < DOUBLED_GAP * period:
                        if state[_DOUBLED] == 0:
                            state[_FIRST_DOUBLED] = state[_RECORDS] + k
                        state[_DOUBLED] += 1
                if several(clicked):
                    close_trial(clicked, state, pairs)
                trial = time
                trials += 1
                clicked = 0
                continue
            if code >= SYNC:
                state[_MARKERS] += code > MARKER
                continue
            row = row_of[code]
            if row == foreign:
                histogram[foreign + beyond] += 1
                continue
            if clock > 0:
                start = time - time % clock
                if start != trial:
                    close_trial(clicked, state, pairs)
                    clicked = 0
                    trial = start
            elif trial == NONE:
                state[_EARLY] += 1
                continue
            place = row + _bin(time - trial, starts, widths, first_bins)
            histogram[place] += 1
            bit = bit_of[place]
            if clicked & bit:
                clicked |= repeat(bit, repeated)
            clicked |= bit
        i += _STRIDE
    state[_WRAPPED], state[_LAST], state[_TRIAL] = wrapped, last, trial
    state[_CLICKED], state[_TRIALS] = clicked, trials
    state[_BACKWARDS] += backwards
    state[_RECORDS] += n


@numba.njit(cache=True, nogil=True)
def hydra_t2(  # type: ignore[no-untyped-def]
    records, counted, wrap, start_code, period, clock,
    row_of, starts, widths, first_bins, bit_of, state, histogram, repeated, pairs,
):  # fmt: skip
    """Count T2 records of the HydraHarp family."""
    _t2(
        records, False, counted, wrap, start_code, period, clock,
        row_of, starts, widths, first_bins, bit_of, state, histogram, repeated, pairs,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def pico_t2(  # type: ignore[no-untyped-def]
    records, counted, wrap, start_code, period, clock,
    row_of, starts, widths, first_bins, bit_of, state, histogram, repeated, pairs,
):  # fmt: skip
    """Count T2 records of the PicoHarp 300."""
    _t2(
        records, True, counted, wrap, start_code, period, clock,
        row_of, starts, widths, first_bins, bit_of, state, histogram, repeated, pairs,
    )  # fmt: skip
