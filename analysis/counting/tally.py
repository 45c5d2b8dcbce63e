"""What one pass accumulates, and how the passes over two stretches of one file join."""

from dataclasses import dataclass
from enum import IntEnum
from math import floor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.counting.timeline import Timeline, make_timeline
from analysis.gates import GateSet
from analysis.quality import DOUBLED_GAP
from analysis.tagfile.layouts import MARKER, SYNC, RecordLayout

NONE = -1
"""Time of something that has not happened yet."""

MISSING_GAP = 1.5
"""A gap of more than this many periods between trial starts means missing ones."""


class S(IntEnum):
    """Places in a tally's state vector; times are T2 ticks or T3 sync numbers."""

    WRAPPED = 0  # sum of overflows
    LAST = 1  # last tag, to see time run backwards
    TRIAL = 2  # start of the current trial
    CLICKED = 3  # cells clicked in the current trial, one bit each; bit 62: crowded
    FIRST = 4  # first trial start
    TRIALS = 5
    MISSING = 6
    BACKWARDS = 7
    UNKNOWN = 8
    EARLY = 9
    MARKERS = 10
    CROWDED_TRIALS = 11
    RECORDS = 12
    DOUBLED = 13  # trial starts too early after the one before
    HIGHEST = 14  # T3: highest sync number that a lower one followed
    FIRST_DOUBLED = 15  # record of the first trial start that came too early


@dataclass(frozen=True, slots=True, kw_only=True)
class CountingPlan:
    """All that a counting pass must know: layout, gates on the file's grid, channel map.

    Attributes
    ----------
    layout : RecordLayout
    gates : GateSet
    timeline : Timeline
    period : float
        Ticks per trial (T2); 1 sync number (T3).
    row_of_channel : ndarray of uint8, shape (64,)
        Histogram row: the detector's position in ``gates.detectors``, or the last row (foreign).
    bit_of : ndarray of int64, shape (detectors + 1, bins + 1)
        Bit of the cell (gate, detector) that a click in this row and bin belongs to, or 0.
    """

    layout: RecordLayout
    gates: GateSet
    timeline: Timeline
    period: float
    row_of_channel: NDArray[np.uint8]
    bit_of: NDArray[np.int64]

    @property
    def start_code(self) -> int:
        """Channel code that begins a T2 trial; ``NONE`` if the clock does."""
        trial = self.gates.trial
        if trial.kind == "marker":
            return MARKER + (1 << (trial.number - 1))
        return {"sync": SYNC, "channel": trial.number, "clock": NONE}[trial.kind]

    @property
    def clock(self) -> int:
        """Ticks per trial if the clock begins trials, else 0."""
        return round(self.period) if self.gates.trial.kind == "clock" else 0

    def missing_in(self, gap: int) -> int:
        """Return how many trial starts are missing in a gap of so many ticks."""
        if gap <= MISSING_GAP * self.period:
            return 0
        return floor(gap / self.period + 0.5) - 1

    def doubles(self, gaps: ArrayLike) -> NDArray[np.bool_]:
        """Tell which trial starts, so many ticks after the one before, are one too many."""
        gaps = np.asarray(gaps)
        return np.asarray((gaps >= 0) & (gaps < DOUBLED_GAP * self.period))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """Running sums of one pass; arrays are updated in place by the counting kernels.

    Attributes
    ----------
    state : ndarray of int64, shape (16,)
        See `S`.
    histogram : ndarray of int64, shape (detectors + 1, bins + 1)
        The last row holds clicks on foreign channels, the last column those beyond the timeline.
    repeated : ndarray of int64, shape (cells,)
    pairs : ndarray of int64, shape (cells, cells)
        Upper triangle only.
    """

    state: NDArray[np.int64]
    histogram: NDArray[np.int64]
    repeated: NDArray[np.int64]
    pairs: NDArray[np.int64]

    @classmethod
    def empty(cls, plan: CountingPlan) -> "Tally":
        """Return the tally before the first record."""
        state = np.zeros(len(S), np.int64)
        state[[S.LAST, S.TRIAL, S.FIRST, S.HIGHEST, S.FIRST_DOUBLED]] = NONE
        cells = len(plan.gates.cells)
        return cls(
            state=state,
            histogram=np.zeros(plan.bit_of.shape, np.int64),
            repeated=np.zeros(cells, np.int64),
            pairs=np.zeros((cells, cells), np.int64),
        )

    def append(self, later: "Tally", plan: CountingPlan) -> None:
        """Join the tally of the stretch that follows; both began at a trial boundary.

        The later stretch counted its times from 0; the seam is checked for missing trial starts
        and for time running backwards as the kernels do inside a stretch.
        """
        ours, theirs = self.state, later.state
        first_doubled = theirs[S.FIRST_DOUBLED]
        offset = ours[S.WRAPPED]
        if plan.layout.mode == "T2" and theirs[S.FIRST] != NONE:
            seam = theirs[S.FIRST] + offset
            if ours[S.TRIAL] != NONE:
                gap = int(seam - ours[S.TRIAL])
                ours[S.MISSING] += plan.missing_in(gap)
                if plan.doubles(gap):  # a stretch begins with a trial start
                    ours[S.DOUBLED] += 1
                    first_doubled = 0
            ours[S.BACKWARDS] += seam < ours[S.LAST]
        for place in (S.LAST, S.TRIAL):
            if theirs[place] != NONE:
                ours[place] = theirs[place] + offset
        if ours[S.FIRST] == NONE and theirs[S.FIRST] != NONE:
            ours[S.FIRST] = theirs[S.FIRST] + offset
        if ours[S.FIRST_DOUBLED] == NONE and first_doubled != NONE:
            ours[S.FIRST_DOUBLED] = first_doubled + ours[S.RECORDS]
        ours[S.WRAPPED] += theirs[S.WRAPPED]
        ours[S.TRIALS : S.HIGHEST] += theirs[S.TRIALS : S.HIGHEST]
        if theirs[S.HIGHEST] != NONE:
            ours[S.HIGHEST] = max(ours[S.HIGHEST], theirs[S.HIGHEST] + offset)
        for mine, more in (
            (self.histogram, later.histogram),
            (self.repeated, later.repeated),
            (self.pairs, later.pairs),
        ):
            np.add(mine, more, out=mine)


def make_plan(gates: GateSet, layout: RecordLayout, resolution: float) -> CountingPlan:
    """Lay gates and channels on a file's grid of `resolution` seconds per tick or dtime bin.

    Raises
    ------
    ValueError
        If the gates do not fit the file: its T3 range, how its trials can begin, or a clock
        period that is not a whole number of ticks.
    """
    _check_trial_start(gates, layout)
    period = 1.0 if layout.mode == "T3" else gates.period / resolution
    if gates.trial.kind == "clock" and abs(period - round(period)) > 1e-6:
        message = (
            f"`period` must be a whole number of the file's ticks of {resolution:g} s when the "
            f"clock begins trials, but is {period!r} ticks"
        )
        raise ValueError(message)
    timeline = make_timeline(gates, resolution, end=layout.dtime_bins or None)
    n_detectors = len(gates.detectors)
    row_of_channel = np.full(64, n_detectors, np.uint8)
    bit_of = np.zeros((n_detectors + 1, timeline.n_bins + 1), np.int64)
    for row, channel in enumerate(gates.detectors.values()):
        row_of_channel[channel] = row
        gated = timeline.gate_of_bin >= 0
        cells = timeline.gate_of_bin[gated].astype(np.int64) * n_detectors + row
        bit_of[row, gated] = 1 << cells
    return CountingPlan(
        layout=layout,
        gates=gates,
        timeline=timeline,
        period=period,
        row_of_channel=row_of_channel,
        bit_of=bit_of,
    )


def _check_trial_start(gates: GateSet, layout: RecordLayout) -> None:
    kind = gates.trial.kind
    if layout.mode == "T3" and kind != "sync":
        message = (
            f"`trial` must be sync in a T3 file, which counts trials by sync number, but is {kind}"
        )
        raise ValueError(message)
    if layout.mode == "T2" and layout.family == "pico" and kind == "sync":
        message = (
            "`trial: sync` needs sync records, which PicoHarp 300 T2 files lack: the sync input "
            "is channel 0; use `trial: {channel: 0}`"
        )
        raise ValueError(message)
