"""Counting for bright or long files: compiled loops over raw 32-bit records."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from analysis.counting.bright_t2 import hydra_t2, pico_t2
from analysis.counting.bright_t3 import hydra_t3, pico_t3
from analysis.counting.finished_trial import close_trial
from analysis.counting.tally import CountingPlan, S, Tally
from analysis.tagfile.limits import MAX_TIME
from analysis.tagfile.source import Records

_KERNELS: dict[tuple[str, str], Callable[..., None]] = {
    ("hydra", "T3"): hydra_t3,
    ("pico", "T3"): pico_t3,
    ("hydra", "T2"): hydra_t2,
    ("pico", "T2"): pico_t2,
}


class BrightCounter:
    """Counts blocks of raw records with compiled loops, made for bright or long files."""

    def __init__(self, plan: CountingPlan, tally: Tally) -> None:
        self.tally = tally
        layout, line = plan.layout, plan.timeline
        head = (layout.counted_overflows, layout.wrap)
        self._kernel = _KERNELS[layout.family, layout.mode]
        # One row more than the tally: T3 special records are looked up like photons, for speed.
        rows, columns = tally.histogram.shape
        self._histogram = np.zeros((rows + 1, columns), np.int64)
        sums = (tally.state, self._histogram.reshape(-1), tally.repeated, tally.pairs)
        if layout.mode == "T3":
            bit_of = np.zeros(self._histogram.size, np.int64)
            bit_of[: plan.bit_of.size] = plan.bit_of.reshape(-1)
            kept = (bit_of != 0).astype(np.uint8)
            kept[plan.bit_of.size :] = 1
            places = _places(plan)
            self._constants: tuple[object, ...] = (*head, places, kept, bit_of, *sums)
        else:
            row_of = plan.row_of_channel.astype(np.uint32) * np.uint32(columns)
            self._constants = (
                *head, plan.start_code, plan.period, plan.clock, row_of,
                line.starts, line.widths, line.first_bins, plan.bit_of.reshape(-1), *sums,
            )  # fmt: skip

    def count(self, records: Records) -> None:
        """Add a block of records."""
        self._kernel(records, *self._constants)
        total = self.tally.histogram
        np.add(total, self._histogram[:-1], out=total)
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
        close_trial(tally.state[S.CLICKED], tally.state, tally.pairs)
        tally.state[S.CLICKED] = 0


def _places(plan: CountingPlan) -> NDArray[np.uint16]:
    """Return the place in the flat histogram by a T3 record's bits above the sync number.

    These are special bit, channel and dtime; special records have the row after the last.
    """
    rows, columns = plan.bit_of.shape
    codes = 16 if plan.layout.family == "pico" else 128
    row_of = np.full(codes, rows, np.int64)
    photons = codes - 1 if plan.layout.family == "pico" else 64
    row_of[:photons] = plan.row_of_channel[:photons]
    bins = plan.timeline.bin_of(np.arange(plan.layout.dtime_bins))
    places: NDArray[np.uint16] = np.add.outer(row_of * columns, bins).astype(np.uint16)
    return places.reshape(-1)
