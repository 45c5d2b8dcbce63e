"""What a pass goes by and what it accumulates: gates on the file's grid, sums, their joining."""

from dataclasses import dataclass
from enum import IntEnum
from math import ceil, floor

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.counting.shifts import Shifts, find_shifts, first_tick
from analysis.counts import DOUBLED_GAP
from analysis.gates import GateSet
from analysis.tagfile.layouts import MARKER, SYNC, RecordLayout

GATE_BINS = 128
GAP_BINS = 64
NO_GATE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A trial cut into segments (gates and the gaps around them), each cut into bins.

    Bin edges coincide with gate edges, so that a click's bin alone says whether it is in a gate,
    and the clicks in a gate are a slice of the histogram.

    Attributes
    ----------
    starts : ndarray of int64, shape (segments + 1,)
        First tick of each segment, counted from `lead` ticks before the trial's start; then the
        first tick that is in none.
    widths : ndarray of int64, shape (segments,)
        Ticks per bin; a segment's last bin may be narrower.
    first_bins : ndarray of int64, shape (segments + 1,)
        Number of the first bin of each segment, then the number of bins.
    gate_of_bin : ndarray of int8, shape (bins + 1,)
        Gate index or ``NO_GATE``; the last entry is for clicks beyond all segments. A bin is in a
        gate if it is for any detector.
    lead : int
    """

    starts: NDArray[np.int64]
    widths: NDArray[np.int64]
    first_bins: NDArray[np.int64]
    gate_of_bin: NDArray[np.int8]
    lead: int = 0

    @property
    def n_bins(self) -> int:
        """Number of bins (the one beyond all segments not counted)."""
        return int(self.first_bins[-1])

    def bin_of(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bin of each tick after the trial's start; ``n_bins`` beyond all segments."""
        segment = np.searchsorted(self.starts, ticks, side="right") - 1
        inside = (segment >= 0) & (segment < len(self.widths))
        segment = np.where(inside, segment, 0)
        bins = self.first_bins[segment] + (ticks - self.starts[segment]) // self.widths[segment]
        return np.where(inside, bins, self.n_bins)

    def edges(self, resolution: float) -> NDArray[np.float64]:
        """Return bin edges in seconds, shape (bins + 1,)."""
        pieces = [
            np.arange(start, stop, width)
            for start, stop, width in zip(
                self.starts[:-1], self.starts[1:], self.widths, strict=True
            )
        ]
        return (np.concatenate([*pieces, self.starts[-1:]]) - self.lead) * resolution


def make_timeline(
    gates: GateSet, resolution: float, *, end: int | None = None, lead: int = 0
) -> Timeline:
    """Lay `gates` on ticks of `resolution` seconds.

    Parameters
    ----------
    gates : GateSet
    resolution : float
        Seconds per tick (T2) or per dtime bin (T3).
    end : int, optional
        First tick that the file cannot hold (T3: number of dtime bins).
    lead : int, optional
        Ticks by which the timeline begins before the trial.

    Raises
    ------
    ValueError
        If a gate lies beyond `end`, or is narrower than one tick.
    """
    starts, widths, bins, gate_of_bin = [0], [], [], []

    def add(stop: int, gate: int) -> None:
        length = stop - starts[-1]
        if length == 0:
            return
        width = ceil(length / (GAP_BINS if gate == NO_GATE else GATE_BINS))
        widths.append(width)
        bins.append(ceil(length / width))
        gate_of_bin.extend([gate] * bins[-1])
        starts.append(stop)

    for index, gate in enumerate(gates.gates):
        edges = []
        for number in gates.detectors:
            first, stop = (first_tick(time, resolution) for time in gate.window(number))
            _check_range(gate.name, first, stop, end, resolution, lead)
            edges += [first + lead, stop + lead]
        first, *rest = sorted(set(edges))
        add(first, NO_GATE)
        for edge in rest:
            add(edge, index)
    span = max(stop - start for start, stop in (gate.span(gates.detectors) for gate in gates.gates))
    tail = starts[-1] + ceil(span / resolution)
    add(min(tail, end or tail, first_tick(gates.period, resolution) + lead), NO_GATE)
    return Timeline(
        starts=np.array(starts, np.int64),
        widths=np.array(widths, np.int64),
        first_bins=np.cumsum([0, *bins]),
        gate_of_bin=np.array([*gate_of_bin, NO_GATE], np.int8),
        lead=lead,
    )


def _check_range(
    name: str, first: int, stop: int, end: int | None, resolution: float, lead: int
) -> None:
    if stop <= first:
        message = (
            f"gate {name!r} must be at least one tick of {resolution:g} s wide, but covers none"
        )
        raise ValueError(message)
    if end is not None and stop + lead > end:
        message = (
            f"gate {name!r} must stop within the file's T3 range of {end} bins × {resolution:g} s "
            f"= {end * resolution:g} s, but stops at {stop * resolution:g} s; later clicks are not "
            "in the file: record with a coarser binning, or in T2"
        )
        raise ValueError(message)


NONE = -1
"""Time of something that has not happened yet, cell of a click in no gate."""

MISSING_GAP = 1.5
"""A gap of more than this many periods between trial starts means missing ones."""


class S(IntEnum):
    """Places in a tally's state vector; times are T2 ticks or T3 sync numbers."""

    WRAPPED = 0  # sum of overflows
    LAST = 1  # last tag, to see time run backwards
    TRIAL = 2  # start of the current trial
    CLICKED = 3  # of the current trial, as the kernel keeps it
    FIRST = 4  # first trial start; with a clock, first tag
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
    SLOT = 16  # which of the trials of one sync record
    LATE = 17  # T3 clicks later than the sync period
    GATED = 18  # gated records of the T3 loop's last chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a counting pass must know: layout, gates on the file's grid, channel map.

    Attributes
    ----------
    layout : RecordLayout
    gates : GateSet
    timeline : Timeline
    period : float
        Ticks per trial (T2); 1 sync number (T3).
    origin : int
        Tick at which trial 0 begins if the clock begins trials.
    late_from : int
        First dtime bin that lies beyond the sync period (T3).
    row_of_channel : ndarray of uint8, shape (64,)
        Histogram row: the detector's position in ``gates.detectors``, or the last row (foreign).
    shift_of_row : ndarray of int64, shape (detectors + 1,)
        Ticks added to a click's time after the trial's start before its bin is looked up.
    cell_of : ndarray of int16, shape (detectors + 1, bins + 1)
        Cell (gate, detector) that a click in this row and bin belongs to, or ``NONE``.
    """

    layout: RecordLayout
    gates: GateSet
    timeline: Timeline
    period: float
    origin: int
    late_from: int
    row_of_channel: NDArray[np.uint8]
    shift_of_row: NDArray[np.int64]
    cell_of: NDArray[np.int16]

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

    @property
    def divider(self) -> int:
        """Trials per trial start in the records."""
        return self.gates.trial.divider or 1

    @property
    def start_period(self) -> float:
        """Ticks from one trial start in the records to the next."""
        return self.period * self.divider

    def missing_in(self, gap: int) -> int:
        """Return how many trial starts are missing in a gap of so many ticks."""
        if gap <= MISSING_GAP * self.start_period:
            return 0
        return floor(gap / self.start_period + 0.5) - 1

    def doubles(self, gaps: ArrayLike) -> NDArray[np.bool_]:
        """Tell which trial starts, so many ticks after the one before, are one too many."""
        gaps = np.asarray(gaps)
        return np.asarray((gaps >= 0) & (gaps < DOUBLED_GAP * self.start_period))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """Running sums of one pass; arrays are updated in place by the counting kernels.

    Attributes
    ----------
    state : ndarray of int64, shape (19,)
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
    def empty(cls, plan: Plan) -> "Tally":
        """Return the tally before the first record."""
        state = np.zeros(len(S), np.int64)
        state[[S.LAST, S.TRIAL, S.FIRST, S.HIGHEST, S.FIRST_DOUBLED]] = NONE
        cells = len(plan.gates.cells)
        return cls(
            state=state,
            histogram=np.zeros(plan.cell_of.shape, np.int64),
            repeated=np.zeros(cells, np.int64),
            pairs=np.zeros((cells, cells), np.int64),
        )

    def append(self, later: "Tally", plan: Plan) -> None:
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
        if ours[S.FIRST_DOUBLED] == NONE and first_doubled != NONE:
            ours[S.FIRST_DOUBLED] = first_doubled + ours[S.RECORDS]
        ours[S.WRAPPED] += theirs[S.WRAPPED]
        ours[S.TRIALS : S.HIGHEST] += theirs[S.TRIALS : S.HIGHEST]
        ours[S.LATE] += theirs[S.LATE]
        if theirs[S.HIGHEST] != NONE:
            ours[S.HIGHEST] = max(ours[S.HIGHEST], theirs[S.HIGHEST] + offset)
        for mine, more in (
            (self.histogram, later.histogram),
            (self.repeated, later.repeated),
            (self.pairs, later.pairs),
        ):
            np.add(mine, more, out=mine)


def make_plan(
    gates: GateSet,
    layout: RecordLayout,
    resolution: float,
    *,
    origin: int = 0,
    sync_period: float | None = None,
    shifts: Shifts | None = None,
) -> Plan:
    """Lay gates and channels on a file's grid of `resolution` seconds per tick or dtime bin.

    Parameters
    ----------
    gates : GateSet
    layout : RecordLayout
    resolution : float
    origin : int, optional
        Tick at which trial 0 begins if the clock begins trials.
    sync_period : float, optional
        Seconds (T3), beyond which no dtime can be meant.
    shifts : Shifts, optional
        As found before the clicks were moved; by default they need not be.

    Raises
    ------
    ValueError
        If the gates do not fit the file: its T3 range, how its trials can begin, a clock period
        that is not a whole number of ticks, or clicks that must be moved first.
    """
    _check_trial_start(gates, layout)
    period = 1.0 if layout.mode == "T3" else gates.period / resolution
    if gates.trial.kind == "clock" and abs(period - round(period)) > 1e-6:
        message = (
            f"`period` must be a whole number of the file's ticks of {resolution:g} s when the "
            f"clock begins trials, but is {period!r} ticks"
        )
        raise ValueError(message)
    if shifts is None:
        shifts = find_shifts(gates, layout, resolution, sync_period=sync_period)
        if shifts.moved:
            message = "a gate reaches into another trial, but clicks cannot be moved here"
            raise ValueError(message)
    end = layout.dtime_bins - bool(shifts.moved)  # there the last bin holds all that is beyond
    timeline = make_timeline(
        gates, resolution, end=end if layout.dtime_bins else None, lead=shifts.lead
    )
    n_detectors = len(gates.detectors)
    row_of_channel = np.full(64, n_detectors, np.uint8)
    shift_of_row = np.zeros(n_detectors + 1, np.int64)
    cell_of = np.full((n_detectors + 1, timeline.n_bins + 1), NONE, np.int16)
    for row, (number, channel) in enumerate(gates.detectors.items()):
        row_of_channel[channel] = row
        shift_of_row[row] = shifts.looked_up[number]
        for index, gate in enumerate(gates.gates):
            edges = [first_tick(t, resolution) + shifts.lead for t in gate.window(number)]
            inside = slice(*timeline.bin_of(np.array(edges)))
            cell_of[row, inside] = index * n_detectors + row
    return Plan(
        layout=layout,
        gates=gates,
        timeline=timeline,
        period=period,
        origin=origin,
        late_from=_late_from(layout, resolution, sync_period),
        row_of_channel=row_of_channel,
        shift_of_row=shift_of_row,
        cell_of=cell_of,
    )


def _late_from(layout: RecordLayout, resolution: float, sync_period: float | None) -> int:
    """Return the first dtime bin beyond the sync period; a measured period may be a bin off."""
    if sync_period is None or layout.mode == "T2":
        return layout.dtime_bins
    return min(ceil(1.001 * sync_period / resolution) + 1, layout.dtime_bins)


def _check_trial_start(gates: GateSet, layout: RecordLayout) -> None:
    kind = gates.trial.kind
    if layout.mode == "T3" and gates.trial.divider not in (None, 1):
        message = (
            "`trial` must be sync without a divider in a T3 file, whose sync numbers count every "
            f"sync, but is {gates.trial}"
        )
        raise ValueError(message)
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
