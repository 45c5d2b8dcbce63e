"""Overflow records: how many wraps one stands for, and where they go between events."""

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.layouts import RecordLayout
from analysis.tagfile.limits import EventError
from analysis.tagfile.source import Records

MAX_OVERFLOW_RECORDS = 1 << 26
"""Most overflow records that one block of events may need."""

HYDRA_OVERFLOW = 0xFE000000
PICO_OVERFLOW = 0xF0000000


def max_overflow_count(layout: RecordLayout) -> int:
    """Return the largest number of overflows that `Encoder` puts into one record.

    In T3 this is what the field holds. In T2 it is 127, because some readers multiply count and
    wrap in 32 bits and would silently lose time beyond 2**32 ticks.
    """
    if not layout.counted_overflows:
        return 1
    return 127 if layout.mode == "T2" else (1 << layout.time_bits) - 1


def insert_overflows(
    words: Records, steps: NDArray[np.int64], layout: RecordLayout, largest: int
) -> Records:
    """Put overflow records before each word so that ``steps`` wraps pass there.

    Raises
    ------
    EventError
        If that needs more than `MAX_OVERFLOW_RECORDS`, naming the longest gap.
    """
    needed = -(-steps // largest)
    total = int(needed.sum())
    if total > MAX_OVERFLOW_RECORDS:
        index = int(np.argmax(needed))
        rule = (
            f"the {total} overflow records up to it must be at most {MAX_OVERFLOW_RECORDS} "
            f"in {layout}; check its time, or use a layout with counted overflows"
        )
        raise EventError(index, rule)
    marker = HYDRA_OVERFLOW if layout.family == "hydra" else PICO_OVERFLOW
    full = marker | largest if layout.counted_overflows else marker
    records = np.full(len(words) + total, full, dtype=np.uint32)
    position = np.arange(len(words)) + np.cumsum(needed)
    if layout.counted_overflows:
        late = needed > 0
        rest = steps[late] - (needed[late] - 1) * largest
        records[position[late] - 1] = (marker | rest).astype(np.uint32)
    records[position] = words
    return records
