"""What the compiled loops share: the state's places, special records, a trial's list of cells."""

import numba

from analysis.counting.tally import S
from analysis.tagfile.layouts import MARKER

# The state vector's places as plain integers, which compiled code can use.
WRAPPED, LAST, TRIAL, CLICKED, FIRST, TRIALS, MISSING, BACKWARDS = map(int, list(S)[:8])
UNKNOWN, EARLY, MARKERS, CROWDED_TRIALS, RECORDS, DOUBLED = map(int, list(S)[8:14])
HIGHEST, FIRST_DOUBLED, SLOT = map(int, list(S)[14:17])
GATED = int(S.GATED)

OVERFLOW = -1
RESERVED = -2
"""Codes of special records that are no channels."""

CHUNK = 4096
"""Records looked at together, so that all that takes stays in the cache."""

N_OPEN, AGAIN, CELLS = 0, 1, 2
"""Places of the list of cells that the open trial clicked in: how many, if again, which."""


@numba.njit(inline="always")
def special(record, pico, counted, wrap, t3):  # type: ignore[no-untyped-def]
    """Return (channel code, ticks or syncs to add) of a special record."""
    if pico:
        bits = (record >> 16) & 0xFFF if t3 else record & 15
        if bits == 0:
            return OVERFLOW, wrap
        return (MARKER + bits, 0) if bits < 16 else (RESERVED, 0)
    channel = (record >> 25) & 63
    if channel == 63:
        count = record & (1023 if t3 else 0x1FFFFFF)
        return OVERFLOW, wrap * count if counted and count > 0 else wrap
    if channel <= 15 and not (t3 and channel == 0):
        return MARKER + channel, 0
    return RESERVED, 0


@numba.njit(inline="always")
def add_click(cell, opened, state, repeated, pairs):  # type: ignore[no-untyped-def]
    """Add a click to the open trial, whose cells are a list, and count its coincidences."""
    n = opened[N_OPEN]
    for k in range(CELLS, CELLS + n):
        if opened[k] == cell:
            repeated[cell] += 1
            state[CROWDED_TRIALS] += 1 - opened[AGAIN]
            opened[AGAIN] = 1
            return
    for k in range(CELLS, CELLS + n):
        pairs[min(cell, opened[k]), max(cell, opened[k])] += 1
    opened[CELLS + n] = cell
    opened[N_OPEN] = n + 1
