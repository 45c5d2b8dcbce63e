"""Compiled loops over raw T3 records.

In few cells chunks whose time runs on are gated without a branch; where most clicks are gated,
their trials are joined without one too. In many cells a trial's cells are a list.
"""

import numba
import numpy as np

from analysis.counting.compiled import (
    AGAIN,
    BACKWARDS,
    CELLS,
    CHUNK,
    CLICKED,
    CROWDED_TRIALS,
    GATED,
    HIGHEST,
    LAST,
    MARKERS,
    N_OPEN,
    OVERFLOW,
    RECORDS,
    RESERVED,
    UNKNOWN,
    WRAPPED,
    add_click,
    special,
)
from analysis.counting.tally import NONE

BUILT_WITH = 0xA6096B3A
"""Checksum of what the loops take from other files: numba's cache on disk sees only this one."""

MOST_LANE_CELLS = 7
"""Most cells that are bits of a byte, whose eighth says that one of them clicked again."""

_CROWDED = 1 << 62
"""Bit of a trial in which a cell clicked again, beside the bits of its cells."""

_LOOKED_UP = 1024
"""Records whose places are looked up at a time, so that all that takes stays in the cache."""

_SUMS = 4
"""Sums that each bin is kept in: one sum that grows with every record would wait for itself."""

_DENSE_FROM = CHUNK // 2
"""Gated records of a chunk from which looking at all of them is faster than picking them out."""
_LANES = np.uint64(0x0101010101010101)
_BYTE, _BYTES_2, _BYTES_4, _BYTES_7 = np.uint64(8), np.uint64(16), np.uint64(32), np.uint64(56)
_FIRST_1, _FIRST_2, _FIRST_4 = np.uint64(0xFF), np.uint64(0xFFFF), np.uint64(0xFFFFFFFF)
_CELL_BITS = np.uint64(0x7F)
_AGAIN_BITS = np.uint64(0x8080808080808080)
_ALL = np.uint8(0xFF)


@numba.njit(inline="always")
def _several(clicked):  # type: ignore[no-untyped-def]
    """Tell whether a trial has more to count than a single click."""
    return clicked & (clicked - 1) != 0


@numba.njit
def close_trial(clicked, state, pairs):  # type: ignore[no-untyped-def]
    """Count the coincidences of a finished trial."""
    state[CROWDED_TRIALS] += clicked >> 62
    clicked &= ~_CROWDED
    low = 0
    while clicked:
        if clicked & 1:
            high, rest = low + 1, clicked >> 1
            while rest:
                if rest & 1:
                    pairs[low, high] += 1
                high += 1
                rest >>= 1
        low += 1
        clicked >>= 1


@numba.njit
def _repeat(bit, repeated):  # type: ignore[no-untyped-def]
    """Count a further click in a cell of the same trial."""
    cell = 0
    while bit >> cell != 1:
        cell += 1
    repeated[cell] += 1
    return _CROWDED


@numba.njit
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
def _key(record, pico, width):  # type: ignore[no-untyped-def]
    """Return where a T3 record's place stands: its code's row, and its dtime or the last column."""
    code = np.uint32(record >> (28 if pico else 25))
    dtime = np.uint32((record >> (16 if pico else 10)) & (0xFFF if pico else 0x7FFF))
    return np.uint32(np.uint32(code * width) + min(dtime, np.uint32(width - 1)))


@numba.njit(inline="always")
def _fill(  # type: ignore[no-untyped-def]
    records, pico, width, place_of, keys, bins, pick, kept, waiting
):
    """Count a chunk's records in their bins; list those to be looked at if `pick`, and how many."""
    n = np.uint64(0)
    for start in range(0, len(records), _LOOKED_UP):
        part = records[start : start + _LOOKED_UP]
        for i in range(len(part)):
            keys[i] = _key(part[i], pico, width)
        whole = len(part) // _SUMS * _SUMS
        for i in range(0, whole, _SUMS):
            for lane in range(_SUMS):
                place = place_of[keys[i + lane]]
                bins[place, lane] += np.uint32(1)
                if pick:
                    waiting[n] = start + i + lane
                    n += kept[place]
        for i in range(whole, len(part)):
            place = place_of[keys[i]]
            bins[place, 0] += np.uint32(1)
            if pick:
                waiting[n] = start + i
                n += kept[place]
    return n


@numba.njit
def _count_picked(  # type: ignore[no-untyped-def]
    records, pico, counted, wrap, width, place_of, kept, keys, bins, waiting, bit_of, state,
    repeated, pairs,
):  # fmt: skip
    """Count a chunk that runs on: fill the bins, then look at gated clicks alone."""
    special_from = 0xF0000000 if pico else 0x80000000
    sync_mask = 0xFFFF if pico else 0x3FF
    n = _fill(records, pico, width, place_of, keys, bins, True, kept, waiting)
    wrapped, trial, clicked = state[WRAPPED], state[LAST], state[CLICKED]
    for k in range(n):
        record = np.int64(records[waiting[k]])
        if record >= special_from:
            wrapped += special(record, pico, counted, wrap, True)[1]
            continue
        sync = wrapped + (record & sync_mask)
        if sync != trial:
            if _several(clicked):
                close_trial(clicked, state, pairs)
            clicked = 0
            trial = sync
        bit = bit_of[place_of[_key(records[waiting[k]], pico, width)]]
        if clicked & bit:
            clicked |= _repeat(bit, repeated)
        clicked |= bit
    state[WRAPPED] = wrapped
    i = len(records) - 1
    while i >= 0 and records[i] >= special_from:
        wrapped -= special(np.int64(records[i]), pico, counted, wrap, True)[1]
        i -= 1
    if i >= 0 and wrapped + np.int64(records[i] & sync_mask) != trial:
        if _several(clicked):
            close_trial(clicked, state, pairs)
        clicked = 0
        trial = wrapped + np.int64(records[i] & sync_mask)
    state[LAST], state[CLICKED] = trial, clicked
    return n


@numba.njit
def _mark_continued(records, pico, continued):  # type: ignore[no-untyped-def]
    """Set all bits where a record is a photon of the same trial as the one before, else none."""
    special_from = np.uint32(0xF0000000 if pico else 0x80000000)
    sync_mask = np.uint32(0xFFFF if pico else 0x3FF)
    for i in range(len(records) - 1):
        one, other = records[i], records[i + 1]
        same = (max(one, other) < special_from) & (((one ^ other) & sync_mask) == np.uint32(0))
        continued[i + 1] = _ALL * np.uint8(same)


@numba.njit
def _mark_cells(records, key_at, firsts, widths, cells):  # type: ignore[no-untyped-def]
    """Set the bit of the cell that each record is in; four cells in a pass over the records."""
    for c in range(0, len(firsts), 4):
        a, b, d, e = firsts[c], firsts[c + 1], firsts[c + 2], firsts[c + 3]
        p, q, r, s = widths[c], widths[c + 1], widths[c + 2], widths[c + 3]
        shift = np.uint32(c)
        for i in range(len(records)):
            key = np.uint32(records[i] >> key_at)
            bit = np.uint32(0)
            bit = np.uint32(1) if np.uint32(key - a) < p else bit
            bit = np.uint32(2) if np.uint32(key - b) < q else bit
            bit = np.uint32(4) if np.uint32(key - d) < r else bit
            bit = np.uint32(8) if np.uint32(key - e) < s else bit
            cells[i] = np.uint8(bit) if c == 0 else cells[i] | np.uint8(bit << shift)


@numba.njit
def _end_trials(clicked, continued, cells, ends):  # type: ignore[no-untyped-def]
    """Put each trial's cells where the next one begins, and nothing elsewhere; return the open one.

    Eight records to a word, the first in its lowest byte. Bit 7 says that a cell clicked again. A
    byte takes over those before it, then those of two and of four, as far as its trial goes back.
    """
    # two carries, since the next union need not wait to hear which cells clicked again
    cells_before, again_before = np.uint64(clicked) & _CELL_BITS, np.uint64(clicked) & ~_CELL_BITS
    for w in range(len(ends)):
        same, own = continued[w], cells[w]
        two = same & ((same << _BYTE) | _FIRST_1)
        four = two & ((two << _BYTES_2) | _FIRST_2)
        eight = four & ((four << _BYTES_4) | _FIRST_4)
        union = own | ((own << _BYTE) & same)
        union |= (union << _BYTES_2) & two
        union |= (union << _BYTES_4) & four
        union |= (cells_before * _LANES) & eight
        before = (union << _BYTE) | cells_before
        again = ((own & before & same) + _CELL_BITS * _LANES) & _AGAIN_BITS
        again |= (again << _BYTE) & same
        again |= (again << _BYTES_2) & two
        again |= (again << _BYTES_4) & four
        again |= (again_before * _LANES) & eight
        ends[w] = (before | (again << _BYTE) | again_before) & ~same
        cells_before, again_before = union >> _BYTES_7, again >> _BYTES_7
    return np.int64(cells_before | again_before)


@numba.njit
def _lane_sum(word):  # type: ignore[no-untyped-def]
    total = np.int64(0)
    for k in range(8):
        total += np.int64((word >> np.uint64(8 * k)) & np.uint64(255))
    return total


@numba.njit
def _lanes_with(words, one, other):  # type: ignore[no-untyped-def]
    """Count the bytes that have both bits."""
    total = 0
    for start in range(0, len(words), 248):  # a byte holds no more
        part = words[start : start + 248]
        count = np.uint64(0)
        if one == other:
            for i in range(len(part)):
                count += (part[i] >> np.uint64(one)) & _LANES
        else:
            for i in range(len(part)):
                count += (part[i] >> np.uint64(one)) & (part[i] >> np.uint64(other)) & _LANES
        total += _lane_sum(count)
    return total


@numba.njit
def _sum_of_overflows(records, pico, counted, wrap):  # type: ignore[no-untyped-def]
    """Return the syncs added by a chunk whose only special records are overflows."""
    special_from = np.uint32(0xF0000000 if pico else 0x80000000)
    mask = np.uint32(0x3FF if counted and not pico else 0)
    total = np.uint32(0)
    for i in range(len(records)):
        total += max(records[i] & mask, np.uint32(1)) * np.uint32(records[i] >= special_from)
    return np.int64(total) * wrap


@numba.njit
def _count_dense(  # type: ignore[no-untyped-def]
    records, pico, counted, wrap, width, place_of, kept, keys, bins, waiting, firsts, widths, lanes,
    state, repeated, pairs,
):  # fmt: skip
    """Count a chunk that runs on and is mostly gated, without a branch per record.

    A byte per record says which cell it is in, another which cells the trial has clicked in that
    it ends. Return the number of gated records.
    """
    special_from = 0xF0000000 if pico else 0x80000000
    key_at = np.uint32(16 if pico else 10)
    sync_mask = 0xFFFF if pico else 0x3FF
    n = len(records)
    continued, cells, ends = lanes[0], lanes[1], lanes[2]
    _fill(records, pico, width, place_of, keys, bins, False, kept, waiting)
    _mark_cells(records, key_at, firsts, widths, cells)
    wrapped, last, clicked = state[WRAPPED], state[LAST], state[CLICKED]
    joins = records[0] < special_from and wrapped + np.int64(records[0] & sync_mask) == last
    continued[0] = _ALL * np.uint8(joins)
    _mark_continued(records, pico, continued)
    byte = (clicked & 0x7F) | (0x80 if clicked & _CROWDED else 0)
    cells[n : n + 8] = 0
    continued[n : n + 8] = _ALL
    words = (n + 7) // 8
    own, ended = cells.view(np.uint64)[:words], ends.view(np.uint64)[:words]
    still_open = _end_trials(byte, continued.view(np.uint64)[:words], own, ended)
    gated = 0
    for one in range(len(repeated)):
        clicks = _lanes_with(own, one, one)
        gated += clicks
        singles = _lanes_with(ended, one, one) + (still_open >> one & 1)
        repeated[one] += clicks + (clicked >> one & 1) - singles
        for other in range(one + 1, len(repeated)):
            pairs[one, other] += _lanes_with(ended, one, other)
    state[CROWDED_TRIALS] += _lanes_with(ended, 7, 7)
    state[CLICKED] = (still_open & 0x7F) | (_CROWDED if still_open & 0x80 else 0)
    wrapped += _sum_of_overflows(records, pico, counted, wrap)
    state[WRAPPED] = wrapped
    i = n - 1
    while i >= 0 and records[i] >= special_from:
        wrapped -= special(np.int64(records[i]), pico, counted, wrap, True)[1]
        i -= 1
    if i >= 0:
        state[LAST] = wrapped + np.int64(records[i] & sync_mask)
    return gated


@numba.njit
def _note_special(record, pico, counted, wrap, state):  # type: ignore[no-untyped-def]
    """Note a marker or a reserved code; return the syncs to add."""
    code, add = special(record, pico, counted, wrap, True)
    state[UNKNOWN] += code == RESERVED
    state[MARKERS] += code > OVERFLOW
    return add


@numba.njit
def _note_backwards(last, state):  # type: ignore[no-untyped-def]
    """Note a sync before the last one."""
    state[BACKWARDS] += 1
    state[HIGHEST] = max(state[HIGHEST], last)


@numba.njit
def _count_any(  # type: ignore[no-untyped-def]
    records, pico, counted, wrap, width, place_of, bit_of, state, histogram, repeated, pairs
):
    """Count a chunk with markers, reserved codes or disorder, record by record."""
    special_from = 0xF0000000 if pico else 0x80000000
    sync_mask = 0xFFFF if pico else 0x3FF
    wrapped, last, clicked = state[WRAPPED], state[LAST], state[CLICKED]
    for raw in records:
        record = np.int64(raw)
        if record >= special_from:
            wrapped += _note_special(record, pico, counted, wrap, state)
            continue
        # Only rare things branch from here on: a mispredicted branch costs more than the rest.
        sync = wrapped + (record & sync_mask)
        new = sync != last
        if new & _several(clicked):
            close_trial(clicked, state, pairs)
        clicked = 0 if new else clicked
        if sync < last:
            _note_backwards(last, state)
        last = sync
        place = place_of[_key(raw, pico, width)]
        histogram[place] += 1
        bit = bit_of[place]
        if clicked & bit:
            clicked |= _repeat(bit, repeated)
        clicked |= bit
    state[WRAPPED], state[LAST], state[CLICKED] = wrapped, last, clicked


@numba.njit(inline="always")
def _t3(  # type: ignore[no-untyped-def]
    records, pico, counted, wrap, width, place_of, kept, firsts, widths, bit_of, state, histogram,
    repeated, pairs,
):  # fmt: skip
    waiting = np.empty(CHUNK + 1, np.uint32)
    keys = np.empty(_LOOKED_UP, np.uint32)
    bins = np.zeros((len(histogram), _SUMS), np.uint32)
    lanes = np.zeros((3, CHUNK + 8), np.uint8)
    gated = state[GATED]
    for start in range(0, len(records), CHUNK):
        chunk = records[start : start + CHUNK]
        if not _runs_on(chunk, pico, state[WRAPPED], state[LAST]):
            _count_any(
                chunk, pico, counted, wrap, width, place_of, bit_of, state, histogram, repeated,
                pairs,
            )  # fmt: skip
        elif gated >= _DENSE_FROM and len(firsts) > 0:
            gated = _count_dense(
                chunk, pico, counted, wrap, width, place_of, kept, keys, bins, waiting, firsts,
                widths, lanes, state, repeated, pairs,
            )  # fmt: skip
        else:
            gated = _count_picked(
                chunk, pico, counted, wrap, width, place_of, kept, keys, bins, waiting, bit_of,
                state, repeated, pairs,
            )  # fmt: skip
    for place in range(len(histogram)):
        for lane in range(_SUMS):
            histogram[place] += np.int64(bins[place, lane])
    state[GATED] = gated
    state[RECORDS] += len(records)


@numba.njit(cache=True, nogil=True)
def hydra_t3(  # type: ignore[no-untyped-def]
    records, counted, wrap, width, place_of, kept, firsts, widths, bit_of, state, histogram,
    repeated, pairs,
):  # fmt: skip
    """Count T3 records of the HydraHarp family."""
    _t3(
        records, False, counted, wrap, width, place_of, kept, firsts, widths, bit_of, state,
        histogram, repeated, pairs,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def pico_t3(  # type: ignore[no-untyped-def]
    records, counted, wrap, width, place_of, kept, firsts, widths, bit_of, state, histogram,
    repeated, pairs,
):  # fmt: skip
    """Count T3 records of the PicoHarp 300."""
    _t3(
        records, True, counted, wrap, width, place_of, kept, firsts, widths, bit_of, state,
        histogram, repeated, pairs,
    )  # fmt: skip


@numba.njit(inline="always")
def _t3_many(  # type: ignore[no-untyped-def]
    records, pico, counted, wrap, width, place_of, cell_of, opened, state, histogram, repeated,
    pairs,
):  # fmt: skip
    """Count T3 records in any number of cells, which are kept as a list."""
    special_from = 0xF0000000 if pico else 0x80000000
    sync_mask = 0xFFFF if pico else 0x3FF
    wrapped, last = state[WRAPPED], state[LAST]
    n_open = opened[N_OPEN]
    for raw in records:
        record = np.int64(raw)
        if record >= special_from:
            wrapped += _note_special(record, pico, counted, wrap, state)
            continue
        sync = wrapped + (record & sync_mask)
        n_open = n_open if sync == last else 0
        if sync < last:
            _note_backwards(last, state)
        last = sync
        place = place_of[_key(raw, pico, width)]
        histogram[place] += 1
        cell = cell_of[place]
        if n_open == 0:  # the first click of a trial needs no look at others: no branch
            opened[CELLS] = cell
            opened[AGAIN] = 0
            n_open = np.int64(cell != NONE)
        elif cell != NONE:
            opened[N_OPEN] = n_open
            add_click(cell, opened, state, repeated, pairs)
            n_open = opened[N_OPEN]
    opened[N_OPEN] = n_open
    state[WRAPPED], state[LAST] = wrapped, last
    state[RECORDS] += len(records)


@numba.njit(cache=True, nogil=True)
def hydra_t3_many(  # type: ignore[no-untyped-def]
    records, counted, wrap, width, place_of, cell_of, opened, state, histogram, repeated, pairs
):
    """Count T3 records of the HydraHarp family in many cells."""
    _t3_many(
        records, False, counted, wrap, width, place_of, cell_of, opened, state, histogram, repeated,
        pairs,
    )  # fmt: skip


@numba.njit(cache=True, nogil=True)
def pico_t3_many(  # type: ignore[no-untyped-def]
    records, counted, wrap, width, place_of, cell_of, opened, state, histogram, repeated, pairs
):
    """Count T3 records of the PicoHarp 300 in many cells."""
    _t3_many(
        records, True, counted, wrap, width, place_of, cell_of, opened, state, histogram, repeated,
        pairs,
    )  # fmt: skip
