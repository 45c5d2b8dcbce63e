"""Counting with array operations for sparse or short files: starts at once, nothing to compile."""

import numpy as np
from numpy.typing import NDArray

from analysis.counting.tally import NONE, Plan, S, Tally
from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import MARKER, SYNC
from analysis.tagfile.source import Records

IntArray = NDArray[np.int64]
_EMPTY = np.empty(0, np.int64)
_MOST_HELD = 1 << 16


class SparseCounter:
    """Counts blocks of raw records with numpy; same results as `BrightCounter`, bit for bit.

    The clicks of the trial that a block ends in are held back until the next block, because more
    of them may follow; `finish` counts them.
    """

    def __init__(self, plan: Plan, tally: Tally) -> None:
        self.plan = plan
        self.tally = tally
        self._decoder = Decoder(plan.layout)
        self._held_trials, self._held_cells = _EMPTY, _EMPTY
        self._bin_of_dtime: IntArray | None = None
        self._trial_number = 0
        self._block_start = 0

    def count(self, records: Records) -> None:
        """Add a block of records."""
        state = self.tally.state
        events = self._decoder.decode(records)
        self._block_start = int(state[S.RECORDS])
        state[S.RECORDS] += len(records)
        state[S.WRAPPED] = self._decoder.overflow
        state[S.UNKNOWN] = self._decoder.unknown_records
        if len(events) == 0:
            return
        if events.dtime is not None:
            self._count_t3(events.time, events.dtime, events.channel)
        else:
            self._count_t2(events.time, events.channel)

    def finish(self) -> None:
        """Count the clicks held back."""
        self._count_groups(self._held_trials, self._held_cells)
        self._held_trials, self._held_cells = _EMPTY, _EMPTY

    def _count_t3(
        self, sync: IntArray, dtime: NDArray[np.int32], channel: NDArray[np.uint8]
    ) -> None:
        state = self.tally.state
        photon = channel < SYNC
        if not photon.all():
            state[S.MARKERS] += np.count_nonzero(~photon)
            sync, dtime, channel = sync[photon], dtime[photon], channel[photon]
        if len(sync) == 0:
            return
        before = state[S.LAST]
        steps = np.diff(sync, prepend=before)
        if steps.min() < 0:
            peak = np.concatenate([[before], sync[:-1]])[steps < 0].max()
            state[S.HIGHEST] = max(state[S.HIGHEST], peak)
            state[S.BACKWARDS] += np.count_nonzero(steps < 0)
        state[S.LAST] = sync[-1]
        trial = self._trial_number + np.cumsum(steps != 0)
        self._trial_number = int(trial[-1])
        rows = self.plan.row_of_channel[channel]
        bins = self._bins(dtime, rows)
        late = dtime >= self.plan.late_from
        if late.any():
            state[S.LATE] += np.count_nonzero(late & (bins == self.plan.timeline.n_bins))
        self._add_clicks(trial, rows, bins)

    def _bins(self, dtime: NDArray[np.int32], rows: NDArray[np.uint8]) -> IntArray:
        """Return bins, for many clicks from a table if all detectors share it."""
        plan = self.plan
        if len(set(plan.shift_of_row.tolist())) > 1 or (
            self._bin_of_dtime is None and len(dtime) < plan.layout.dtime_bins
        ):
            return plan.timeline.bin_of(dtime + plan.shift_of_row[rows])
        if self._bin_of_dtime is None:
            ticks = np.arange(plan.layout.dtime_bins) + plan.shift_of_row[0]
            self._bin_of_dtime = plan.timeline.bin_of(ticks)
        return self._bin_of_dtime[dtime]

    def _count_t2(self, time: IntArray, channel: NDArray[np.uint8]) -> None:
        state, plan = self.tally.state, self.plan
        state[S.BACKWARDS] += np.count_nonzero(np.diff(time, prepend=state[S.LAST]) < 0)
        state[S.LAST] = time[-1]
        begins = _begins(channel, plan.start_code)
        state[S.MARKERS] += np.count_nonzero((channel > MARKER) & ~begins)
        photon = (channel < SYNC) & ~begins
        if plan.clock:
            if state[S.FIRST] == NONE:
                state[S.FIRST] = time[0]
            time, channel = time[photon], channel[photon]
            before = time < plan.origin
            own = plan.row_of_channel[channel] < len(plan.gates.detectors)
            state[S.EARLY] += np.count_nonzero(before & own)
            time, channel = time[~(before & own)], channel[~(before & own)]
            self._clock_clicks(time - (time - plan.origin) % plan.clock, time, channel)
            return
        starts = np.flatnonzero(begins)
        trial = self._trial_number + np.cumsum(begins)[photon]
        start_times = np.concatenate([state[[S.TRIAL]], time[starts]])
        start = start_times[trial - self._trial_number]
        if plan.divider > 1:
            slot = slots(time[photon] - start, plan.period, plan.divider)
            start = np.where(start == NONE, NONE, start + slot_starts(slot, plan.period))
            trial = trial * plan.divider + slot
        self._begin_trials(time[starts], starts)
        rows = plan.row_of_channel[channel[photon]]
        early = start == NONE
        own = rows < len(plan.gates.detectors)
        state[S.EARLY] += np.count_nonzero(early & own)
        keep = ~(early & own)
        ticks = np.where(own, time[photon] - start + plan.shift_of_row[rows], NONE)
        self._add_clicks(trial[keep], rows[keep], plan.timeline.bin_of(ticks[keep]))

    def _clock_clicks(self, start: IntArray, time: IntArray, channel: NDArray[np.uint8]) -> None:
        plan, state = self.plan, self.tally.state
        rows = plan.row_of_channel[channel]
        own = rows < len(plan.gates.detectors)
        foreign = np.full(np.count_nonzero(~own), plan.timeline.n_bins)
        self._add_clicks(np.zeros_like(foreign), rows[~own], foreign)
        start, time, rows = start[own], time[own], rows[own]
        if len(start) == 0:
            return
        trial = self._trial_number + np.cumsum(np.diff(start, prepend=state[S.TRIAL]) != 0)
        self._trial_number, state[S.TRIAL] = int(trial[-1]), start[-1]
        ticks = time - start + plan.shift_of_row[rows]
        self._add_clicks(trial, rows, plan.timeline.bin_of(ticks))

    def _begin_trials(self, times: IntArray, events: NDArray[np.intp]) -> None:
        state = self.tally.state
        if len(times) == 0:
            return
        before = [] if state[S.TRIAL] == NONE else [state[S.TRIAL]]
        if state[S.FIRST] == NONE:
            state[S.FIRST] = times[0]
        gaps = np.diff(np.concatenate([before, times]).astype(np.int64))
        long = gaps[gaps > int(self.plan.start_period)]
        state[S.MISSING] += sum(self.plan.missing_in(int(gap)) for gap in long)
        early = np.flatnonzero(self.plan.doubles(gaps))
        if len(early):
            if state[S.DOUBLED] == 0:
                event = events[early[0] + len(times) - len(gaps)]
                state[S.FIRST_DOUBLED] = self._block_start + self._decoder.record_of(int(event))
            state[S.DOUBLED] += len(early)
        state[S.TRIALS] += len(times)
        state[S.TRIAL] = times[-1]
        self._trial_number += len(times)

    def _add_clicks(self, trial: IntArray, rows: NDArray[np.uint8], bins: IntArray) -> None:
        shape = self.tally.histogram.shape
        places = rows * np.int64(shape[1]) + bins
        self.tally.histogram[:] += np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape)
        clicked = self.plan.cell_of.reshape(-1)[places]
        gated = clicked != NONE
        trials = np.concatenate([self._held_trials, trial[gated]])
        cells = np.concatenate([self._held_cells, clicked[gated].astype(np.int64)])
        done = np.searchsorted(trials, self._trial_number * self.plan.divider)
        self._count_groups(trials[:done], cells[:done])
        self._hold(trials[done:], cells[done:])

    def _hold(self, trials: IntArray, cells: IntArray) -> None:
        """Hold clicks back; of a great many in one trial, two of each cell say the same."""
        if len(trials) > _MOST_HELD:
            number = len(self.tally.repeated)
            clicks, times = np.unique(trials * number + cells, return_counts=True)
            np.add.at(self.tally.repeated, clicks % number, np.maximum(times - 2, 0))
            trials, cells = np.divmod(np.repeat(clicks, np.minimum(times, 2)), number)
        self._held_trials, self._held_cells = trials, cells

    def _count_groups(self, trials: IntArray, cells: IntArray) -> None:
        """Count coincidences and repeated clicks of whole trials; `trials` must not decrease."""
        shared = np.flatnonzero(np.diff(trials) == 0)
        if len(shared) == 0:
            return
        member = np.zeros(len(trials), np.bool_)
        member[shared] = member[shared + 1] = True
        number = len(self.tally.repeated)
        clicks = np.sort(trials[member] * number + cells[member])
        first = np.diff(clicks, prepend=NONE) != 0
        again = clicks[~first]
        self.tally.repeated[:] += np.bincount(again % number, minlength=number)
        crowded = np.diff(again // number, prepend=NONE) != 0
        self.tally.state[S.CROWDED_TRIALS] += np.count_nonzero(crowded)
        trial, cell = np.divmod(clicks[first], number)
        pairs = self.tally.pairs.reshape(-1)
        for step in range(1, len(cell)):  # a pair of cells stands so far apart in its trial
            together = np.flatnonzero(trial[step:] == trial[:-step])
            if len(together) == 0:
                return
            places = cell[together] * number + cell[together + step]
            pairs += np.bincount(places, minlength=len(pairs))


def slots(ticks: IntArray, period: float, divider: int) -> IntArray:
    """Return which of the trials after a sync record a tick so long after it belongs to."""
    slot: IntArray = np.clip(np.floor((ticks + 0.5) / period), 0, divider - 1).astype(np.int64)
    return slot


def slot_starts(slot: IntArray, period: float) -> IntArray:
    """Return how many ticks after the sync record such a trial begins."""
    ticks: IntArray = np.floor(slot * period + 0.5).astype(np.int64)
    return ticks


def _begins(channel: NDArray[np.uint8], start_code: int) -> NDArray[np.bool_]:
    """Tell which T2 tags begin a trial; markers match by bit."""
    if start_code > MARKER:
        bit = start_code - MARKER
        return np.asarray((channel > MARKER) & ((channel.astype(np.int64) - MARKER) & bit != 0))
    return np.asarray(channel == start_code)
