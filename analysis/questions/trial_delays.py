"""g²(τ) within trials: pairs of clicks of one trial against those of independent trials (T3)."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from analysis.counts import trials_from_sync_numbers
from analysis.tagfile import TagSource
from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import SYNC
from analysis.tagfile.source import TagFileError

IntArray = NDArray[np.int64]


class TrialPairs:
    """Delays between the clicks of two channels in the same trial of a T3 file.

    Attributes
    ----------
    pairs : ndarray of int64, shape (2 · reach,)
        Pairs by t_stop − t_start from −reach to reach − 1 dtime bins.
    clicks : list of int
        Of the start and the stop channel.
    trials : int
    """

    def __init__(self, source: TagSource, start: int, stop: int, reach: int) -> None:
        self.reach, self.same = reach, start == stop
        self.pairs = np.zeros(2 * reach, np.int64)
        self._arrivals = np.zeros((2, source.layout.dtime_bins), np.int64)
        self._channels = (start, stop)
        self._run(source)

    @property
    def clicks(self) -> list[int]:
        """Clicks of the start and the stop channel."""
        return [int(n) for n in self._arrivals.sum(axis=1)]

    def expected(self) -> NDArray[np.float64]:
        """Return the pairs expected of independent trials with these arrival times.

        Σ_t h_a(t) h_b(t + τ)/N of the arrival histograms h over N trials: right for pulses of any
        shape, and for clicks that the file does not hold.
        """
        size = 2 * self._arrivals.shape[1]
        a, b = (np.fft.rfft(each.astype(float), size) for each in self._arrivals)
        by_delay = np.fft.irfft(np.conj(a) * b, size)
        delays = np.arange(-self.reach, self.reach)
        inside = np.abs(delays) < self._arrivals.shape[1]
        return np.where(inside, np.maximum(by_delay[delays % size], 0.0), 0.0) / self.trials

    def _run(self, source: TagSource) -> None:
        decoder = Decoder(source.layout)
        last, held = -1, np.empty((0, 3), np.int64)
        for sync, dtime, which in self._clicks(source, decoder):
            if len(sync) and (sync[0] < last or np.any(np.diff(sync) < 0)):
                message = (
                    f"{source.path}: tags must be in order of time to be correlated, but some run "
                    "backwards; see `labkit info`"
                )
                raise TagFileError(message)
            rows = np.concatenate([held, np.stack([sync, dtime, which], axis=1)])
            if len(rows) == 0:
                continue
            last = int(rows[-1, 0])
            done = int(np.searchsorted(rows[:, 0], last))
            self._add(rows[:done])
            held = rows[done:]
        self._add(held)
        seen = max(decoder.overflow, last + 1)
        found, _ = trials_from_sync_numbers(
            seen, wrap=source.layout.wrap, measured_time=source.measured_time,
            sync_rate=source.sync_rate,
        )  # fmt: skip
        self.trials = max(found.number, 1)

    def _clicks(
        self, source: TagSource, decoder: Decoder
    ) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
        """Yield sync, dtime and which of both channels (0, 1; 0 if they are one)."""
        which_of = np.full(256, -1, np.int64)
        which_of[self._channels[1]] = 1
        which_of[self._channels[0]] = 0
        for block in source.blocks():
            events = decoder.decode(block)
            which = which_of[events.channel]
            chosen = (which >= 0) & (events.channel < SYNC)
            dtime = np.asarray(events.dtime, np.int64)[chosen]
            for row in (0, 1):
                clicks = dtime if self.same else dtime[which[chosen] == row]
                self._arrivals[row] += np.bincount(clicks, minlength=self._arrivals.shape[1])
            yield events.time[chosen], dtime, which[chosen]

    def _add(self, rows: IntArray) -> None:
        """Count the pairs of whole trials."""
        sync, dtime, which = rows[np.lexsort((rows[:, 1], rows[:, 0]))].T
        for step in range(1, len(sync)):
            together = np.flatnonzero(sync[step:] == sync[:-step])
            if len(together) == 0:
                return
            tau = dtime[together + step] - dtime[together]
            if self.same:
                self._put(tau)
                self._put(-tau)
                continue
            first, second = which[together], which[together + step]
            self._put(np.where(first < second, tau, -tau)[first != second])

    def _put(self, tau: IntArray) -> None:
        inside = (tau >= -self.reach) & (tau < self.reach)
        self.pairs += np.bincount(tau[inside] + self.reach, minlength=2 * self.reach)
