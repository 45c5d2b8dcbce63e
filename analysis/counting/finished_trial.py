"""What the compiled loops share: special records, and what a finished trial adds.

A test tells the new `BUILT_WITH` of the loops' own files after a change here.
"""

import numba

from analysis.counting.tally import S
from analysis.tagfile.layouts import MARKER

OVERFLOW = -1
RESERVED = -2
CROWDED = 1 << 62
CROWDED_TRIALS = int(S.CROWDED_TRIALS)


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
def several(clicked):  # type: ignore[no-untyped-def]
    """Tell whether a trial has more to count than a single click."""
    return clicked & (clicked - 1) != 0


@numba.njit
def close_trial(clicked, state, pairs):  # type: ignore[no-untyped-def]
    """Count the coincidences of a finished trial."""
    state[CROWDED_TRIALS] += clicked >> 62
    clicked &= ~CROWDED
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
def repeat(bit, repeated):  # type: ignore[no-untyped-def]
    """Count a further click in a cell of the same trial."""
    cell = 0
    while bit >> cell != 1:
        cell += 1
    repeated[cell] += 1
    return CROWDED
