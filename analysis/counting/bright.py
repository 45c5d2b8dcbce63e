"""Counting for bright or long files: compiled loops over raw 32-bit records, and their tables."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analysis.counting import t2_loops, t3_loops
from analysis.counting.tally import NONE, Plan, S, Tally
from analysis.tagfile.events import MAX_TIME
from analysis.tagfile.source import Records

MOST_BITS = 62
"""Most cells that the T3 loops keep as bits; with more of them they keep a list."""

_KERNELS: dict[tuple[str, str], Callable[..., None]] = {
    ("hydra", "T3"): t3_loops.hydra_t3,
    ("pico", "T3"): t3_loops.pico_t3,
    ("hydra", "T3, many cells"): t3_loops.hydra_t3_many,
    ("pico", "T3, many cells"): t3_loops.pico_t3_many,
    ("hydra", "T2"): t2_loops.hydra_t2,
    ("pico", "T2"): t2_loops.pico_t2,
}


class BrightCounter:
    """Counts blocks of raw records with compiled loops, made for bright or long files."""

    def __init__(self, plan: Plan, tally: Tally) -> None:
        self.tally = tally
        layout, line = plan.layout, plan.timeline
        # One row more than the tally: T3 special records are looked up like photons, for speed;
        # and in T3 one column more, for clicks later than the sync period.
        rows, columns = tally.histogram.shape
        is_t3 = layout.mode == "T3"
        self._histogram = np.zeros((rows + 1, columns + is_t3), np.int64)
        head = (layout.counted_overflows, layout.wrap)
        sums = (tally.state, self._histogram.reshape(-1), tally.repeated, tally.pairs)
        opened = np.zeros(2 + len(tally.repeated), np.int64)
        kind: str = layout.mode
        if not is_t3:
            row_of = plan.row_of_channel.astype(np.uint32) * np.uint32(columns)
            self._constants: tuple[object, ...] = (
                *head, plan.start_code, plan.period, plan.divider, plan.clock, plan.origin, row_of,
                plan.shift_of_row[plan.row_of_channel], line.starts, line.widths, line.first_bins,
                plan.cell_of.reshape(-1), opened, *sums,
            )  # fmt: skip
        else:
            cell_of = np.full(self._histogram.shape, NONE, np.int16)
            cell_of[:rows, :columns] = plan.cell_of
            width, places = _places(plan)
            if len(tally.repeated) <= MOST_BITS:
                kept, bits = _bits_of(cell_of, rows)
                self._constants = (*head, width, places, kept, *_windows(plan), bits, *sums)
            else:
                kind = "T3, many cells"
                self._constants = (*head, width, places, cell_of.reshape(-1), opened, *sums)
        self._kernel = _KERNELS[layout.family, kind]

    def count(self, records: Records) -> None:
        """Add a block of records."""
        self._kernel(records, *self._constants)
        total = self.tally.histogram
        columns = total.shape[1]
        np.add(total, self._histogram[:-1, :columns], out=total)
        if self._histogram.shape[1] > columns:
            late = self._histogram[:-1, columns]
            total[:, -1] += late
            self.tally.state[S.LATE] += late.sum()
        self._histogram[:] = 0
        wrapped = int(self.tally.state[S.WRAPPED])
        if not 0 <= wrapped <= MAX_TIME:
            message = (
                f"overflow records must add up to at most {MAX_TIME} ticks or syncs, but do not; "
                "the records are corrupt or have another layout"
            )
            raise ValueError(message)

    def finish(self) -> None:
        """Count the coincidences of the last trial, which no further record can add to."""
        tally = self.tally
        # as Python: one trial, against a tenth of a second of compiling
        t3_loops.close_trial.py_func(int(tally.state[S.CLICKED]), tally.state, tally.pairs)
        tally.state[S.CLICKED] = 0


def _bits_of(
    cell_of: NDArray[np.int16], special_row: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return by place whether a record is looked at, and the bit of its cell."""
    bits = np.where(cell_of == NONE, 0, np.int64(1) << np.maximum(cell_of, 0).astype(np.int64))
    kept = (bits != 0).astype(np.uint8)
    kept[special_row] = 1
    return kept.reshape(-1), bits.reshape(-1)


def _windows(plan: Plan) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the first key of each cell and their number, or none if the cells are too many.

    A key is channel and dtime, a record's bits above the sync number; a cell's keys follow one
    another. Both are padded to whole fours of cells.
    """
    cells, rows = len(plan.gates.cells), len(plan.gates.detectors)
    if cells > t3_loops.MOST_LANE_CELLS:
        return np.zeros(0, np.uint32), np.zeros(0, np.uint32)
    firsts, widths = np.zeros((2, -(-cells // 4) * 4), np.uint32)
    ticks = np.arange(plan.layout.dtime_bins)
    for row, channel in enumerate(plan.gates.detectors.values()):
        found = plan.cell_of[row, plan.timeline.bin_of(ticks + plan.shift_of_row[row])]
        for cell in range(row, cells, rows):
            inside = np.flatnonzero(found == cell)
            if len(inside):
                firsts[cell] = channel * len(ticks) + inside[0]
                widths[cell] = len(inside)
    return firsts, widths


def _places(plan: Plan) -> tuple[np.uint32, NDArray[np.uint16] | NDArray[np.uint32]]:
    """Return the places in the flat histogram by a T3 record's code and dtime, and their columns.

    A code is special bit and channel; special records have the row after the last. All dtimes from
    the last column on have its place: so the table is small, for the processor's first cache.
    """
    rows, beyond = plan.cell_of.shape
    columns = beyond + 1
    codes = 16 if plan.layout.family == "pico" else 128
    row_of = np.full(codes, rows, np.int64)
    photons = codes - 1 if plan.layout.family == "pico" else 64
    row_of[:photons] = plan.row_of_channel[:photons]
    bins = np.array([_bins(plan, shift) for shift in (*plan.shift_of_row.tolist(), 0)])
    width = 1 + max(np.flatnonzero(np.diff(each))[-1:].sum() + 1 for each in bins)
    size = np.uint16 if (rows + 1) * columns <= 1 << 16 else np.uint32
    places = (row_of * columns)[:, np.newaxis] + bins[row_of, :width]
    return np.uint32(width), places.astype(size).reshape(-1)


def _bins(plan: Plan, shift: int) -> NDArray[np.int64]:
    """Return the column of each dtime; clicks later than the sync period have one of their own."""
    bins = plan.timeline.bin_of(np.arange(plan.layout.dtime_bins) + shift)
    late = bins[plan.late_from :]
    late[late == plan.timeline.n_bins] = plan.timeline.n_bins + 1
    return bins
