"""Cut a tag file into stretches that can be counted apart and joined exactly."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analysis.counting.tally import CountingPlan
from analysis.tagfile.layouts import SYNC
from analysis.tagfile.source import Records, TagSource

Stretch = tuple[int, int]


def cut(source: TagSource, plan: CountingPlan, parts: int) -> list[Stretch]:
    """Return up to `parts` record ranges that begin where no trial can be open.

    In T3 that is an overflow record: sync numbers before it are smaller than all after it. In T2
    with trials begun by sync records it is such a record. Other T2 files are not cut.
    """
    begins = _boundary_test(plan)
    total = source.n_records
    if begins is None or parts < 2:
        return [(0, total)]
    edges = [0]
    for part in range(1, parts):
        edge = _next_boundary(source, max(edges[-1] + 1, total * part // parts), begins)
        if edge is None:
            break
        edges.append(edge)
    return list(zip(edges, [*edges[1:], total], strict=True))


def _boundary_test(plan: CountingPlan) -> Callable[[Records], NDArray[np.bool_]] | None:
    layout = plan.layout
    if layout.family == "pico":
        if layout.mode == "T2":
            return None
        return lambda records: (records & np.uint32(0xFFFF0000)) == np.uint32(0xF0000000)
    if layout.mode == "T3":
        return lambda records: records >= np.uint32(0xFE000000)
    if plan.start_code != SYNC:
        return None
    return lambda records: (records & np.uint32(0xFE000000)) == np.uint32(0x80000000)


def _next_boundary(
    source: TagSource, start: int, begins: Callable[[Records], NDArray[np.bool_]]
) -> int | None:
    for block in source.blocks(start):
        hits = np.flatnonzero(begins(block))
        if len(hits):
            return start + int(hits[0])
        start += len(block)
    return None
