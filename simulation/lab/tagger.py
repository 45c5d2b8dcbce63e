"""The time tagger's inputs: which clicks it registers, when, and the records it makes of them."""

from collections import deque
from dataclasses import dataclass
from math import erf, exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.codec import Encoder
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import SYNC, TIMEHARP_260N_T2, TIMEHARP_260N_T3
from simulation.lab.emission import DetectorClicks
from simulation.lab.ports.tagger import TaggerSettings, TriggerInput
from simulation.lab.world_parameters import WorldParameters

Real = NDArray[np.float64]
Integers = NDArray[np.int64]
Records = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrimination:
    """What an input makes of pulses of one height.

    Attributes
    ----------
    registered : float
        Part of the pulses that cross the level.
    delay : float
        From the pulse's start to the edge that counts, s.
    noise_rate : float
        Crossings per s by electronic noise alone, dead time included.
    """

    registered: float
    delay: float
    noise_rate: float


def discriminate(
    trigger: TriggerInput, height: float, parameters: WorldParameters
) -> Discrimination:
    """Return what an input registers of positive detector pulses (exponential fall).

    Noise crosses a level V with the rate r = B e^{−V²/2σ²} (Rice), of which r/(1 + r·dead) count.
    """
    if not trigger.enabled:
        return Discrimination(registered=0.0, delay=0.0, noise_rate=0.0)
    sigma, level = parameters.pulse_noise, trigger.level
    crossings = parameters.noise_bandwidth_hz * exp(-0.5 * min((level / sigma) ** 2, 1e3))
    noise = crossings / (1 + crossings * _dead_time(parameters))
    if height <= 0 or level <= 0:
        return Discrimination(registered=0.0, delay=0.0, noise_rate=noise)
    registered = 0.5 * (1 + erf((height - level) / (sqrt(2) * sigma)))
    width = parameters.pulse_fall * log(max(height / level, 1.0))
    return Discrimination(
        registered=registered, delay=0.0 if trigger.rising else width, noise_rate=noise
    )


def sync_edge(trigger: TriggerInput, parameters: WorldParameters) -> float | None:
    """Return the delay of the trigger pulse's edge in s, or None if the level never sees it."""
    if not (trigger.enabled and 0 < trigger.level < parameters.sync_volts):
        return None
    return 0.0 if trigger.rising else parameters.sync_width


class Registrar:
    """Turn the clicks of stretches of trials into records (T2, T3) or picosecond times.

    Parameters
    ----------
    settings : TaggerSettings
    pulse_volts : sequence of float
        Height of the detectors' pulses at the start; see `register`.
    parameters : WorldParameters
    rng : numpy.random.Generator
    """

    def __init__(
        self, settings: TaggerSettings, parameters: WorldParameters, rng: np.random.Generator
    ) -> None:
        self.settings = settings
        self._parameters, self._rng = parameters, rng
        self._tick = 1e-12 if settings.mode == "stream" else settings.resolution
        self._period = round(parameters.period / self._tick)
        self._edge = sync_edge(settings.sync, parameters)
        layout = TIMEHARP_260N_T3 if settings.mode == "T3" else TIMEHARP_260N_T2
        self._encoder = Encoder(layout)
        self._late_time = np.empty(0, np.int64)
        self._late_channel = np.empty(0, np.uint8)
        self._last = np.full(len(settings.inputs), -(1 << 62), np.int64)

    @property
    def has_sync(self) -> bool:
        """Whether triggers are seen."""
        return self._edge is not None

    def register(
        self,
        clicks: DetectorClicks,
        first_trial: int,
        trials: int,
        heights: tuple[float, float],
        *,
        syncs_seen: bool = True,
        keep: float = 1.0,
    ) -> tuple[Integers, NDArray[np.uint8]]:
        """Return ticks and channels of what the inputs register, in time order, syncs included.

        Events beyond the stretch wait for the next call.

        Parameters
        ----------
        clicks : DetectorClicks
        first_trial, trials : int
            The stretch, counted from the start of the recording.
        heights : tuple of float
            Height of the detectors' pulses, V.
        syncs_seen : bool
            False while the trigger cable is off.
        keep : float
            Part of the detector events that is not dropped.
        """
        parts = [
            self._input(number, clicks, first_trial, trials, heights[number], keep)
            for number in range(min(len(self.settings.inputs), 2))
        ]
        time = np.concatenate([self._late_time, *(times for times, _ in parts)])
        channel = np.concatenate([self._late_channel, *(codes for _, codes in parts)])
        order = np.argsort(time, kind="stable")
        time, channel = time.take(order), channel.take(order)
        end = (first_trial + trials) * self._period
        first, last = (int(place) for place in np.searchsorted(time, (0, end)))
        self._late_time, self._late_channel = time[last:].copy(), channel[last:].copy()
        time, channel = time[first:last], channel[first:last]
        if self.settings.mode != "T3" and self.has_sync and syncs_seen:
            syncs = self._sync_times(first_trial, trials)
            if self.settings.sync_only_with_clicks:
                syncs = _last_before(syncs, time)
            time = np.concatenate([time, syncs])
            channel = np.concatenate([channel, np.full(len(syncs), SYNC, np.uint8)])
            order = np.argsort(time, kind="stable")
            time, channel = time.take(order), channel.take(order)
        return time, channel

    def records(self, time: Integers, channel: NDArray[np.uint8], until_trial: int) -> Records:
        """Encode registered events of T2 or T3, overflows up to trial `until_trial` included."""
        if self.settings.mode == "T2":
            events = Events(time=time, dtime=None, channel=channel)
            end = until_trial * self._period
        else:
            events = self._start_stop(time, channel)
            end = until_trial
        encoded = self._encoder.encode(events)
        last = self._encoder.overflow
        return np.concatenate([encoded, self._encoder.finish(max(end - 1, last))])

    def _input(
        self,
        number: int,
        clicks: DetectorClicks,
        first_trial: int,
        trials: int,
        height: float,
        keep: float,
    ) -> tuple[Integers, NDArray[np.uint8]]:
        """Ticks of one input: jitter, level, offset, noise, dead times."""
        trigger = self.settings.inputs[number]
        seen = discriminate(trigger, height, self._parameters)
        mine = np.flatnonzero(clicks.detector == number)
        kept = mine[self._rng.random(len(mine)) < seen.registered * keep]
        trial, time = clicks.trial.take(kept), clicks.time.take(kept)
        # in place: new arrays of this size cost more than what is done to them
        jitter = self._rng.standard_normal(len(time))
        jitter *= self._parameters.jitter
        jitter += seen.delay
        jitter += trigger.offset
        time += jitter
        time /= self._tick
        ticks = trial
        ticks += first_trial
        ticks *= self._period
        ticks += np.floor(time, out=time).astype(np.int64)
        noise = self._noise(seen.noise_rate * keep, first_trial, trials)
        if len(noise):
            ticks = np.append(ticks, noise)
        ticks.sort()
        dead = round(_dead_time(self._parameters) / self._tick)
        ticks = _with_dead_time(ticks, dead, int(self._last[number]))
        if len(ticks):
            self._last[number] = ticks[-1]
        return ticks, np.full(len(ticks), number, np.uint8)

    def _noise(self, rate: float, first_trial: int, trials: int) -> Integers:
        """Ticks of noise, dead time between them; no more than fill the FIFO, the earliest."""
        start, length = first_trial * self._period, trials * self._period
        if rate * length * self._tick < 1e-9:
            return np.empty(0, np.int64)
        dead = _dead_time(self._parameters) / self._tick
        mean = rate * length * self._tick
        number = int(min(mean + 6 * sqrt(mean) + 10, self._parameters.fifo_records + 1))
        free = max(1 / (rate * self._tick) - dead, 0.0)
        gaps = dead + free * self._rng.standard_exponential(number)
        after = np.floor(np.cumsum(gaps)).astype(np.int64)
        return np.asarray(start + after[after < length])

    def _sync_times(self, first_trial: int, trials: int) -> Integers:
        divider = self.settings.sync_divider
        first = -(-first_trial // divider) * divider
        trial = np.arange(first, first_trial + trials, divider, dtype=np.int64)
        shift = round((self.settings.sync.offset + (self._edge or 0.0)) / self._tick)
        return np.asarray(np.maximum(trial * self._period + shift, 0))

    def _start_stop(self, time: Integers, channel: NDArray[np.uint8]) -> Events:
        """T3: sync number and bin, where the bin is in range."""
        shift = round((self.settings.sync.offset + (self._edge or 0.0)) / self._tick)
        trial = (time - shift) // self._period
        inside = time - trial * self._period
        inside -= shift + round(self.settings.t3_offset / self._tick)
        bins = inside >> self.settings.binning
        good = (inside >= 0) & (bins < TIMEHARP_260N_T3.dtime_bins) & (trial >= 0)
        if not good.all():
            trial, bins, channel = trial[good], bins[good], channel[good]
        return Events(time=trial, dtime=bins.astype(np.int32), channel=channel)


class Fifo:
    """First in, first out, with a limit.

    Parameters
    ----------
    capacity : int
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._blocks: deque[tuple[NDArray[np.generic], ...]] = deque()
        self.waiting = 0

    def put(self, *columns: NDArray[np.generic]) -> bool:
        """Append what fits; tell whether all of it did."""
        room = self._capacity - self.waiting
        fitting = tuple(column[:room] for column in columns)
        if len(fitting[0]):
            self._blocks.append(fitting)
            self.waiting += len(fitting[0])
        return len(columns[0]) <= room

    def take(self, limit: int) -> list[tuple[NDArray[np.generic], ...]]:
        """Remove and return up to `limit` entries, oldest first, in blocks."""
        taken = []
        while limit > 0 and self._blocks:
            block = self._blocks.popleft()
            if len(block[0]) > limit:
                self._blocks.appendleft(tuple(column[limit:] for column in block))
                block = tuple(column[:limit] for column in block)
            taken.append(block)
            limit -= len(block[0])
            self.waiting -= len(block[0])
        return taken


def _dead_time(parameters: WorldParameters) -> float:
    """Dead time of an input with its detector, s."""
    return max(parameters.detector_dead_time, parameters.tagger_dead_time)


def _with_dead_time(ticks: Integers, dead: int, last: int) -> Integers:
    """Drop events that come within `dead` ticks of one that was kept; `ticks` are sorted."""
    ticks = ticks[ticks - last >= dead]
    # whom nobody precedes closely is kept; in the group that begins there each one kept leads on
    begins = np.flatnonzero(np.diff(ticks, prepend=last - dead) >= dead)
    if len(begins) == len(ticks):
        return ticks
    ends = np.append(begins[1:], len(ticks))
    kept, at = [begins], begins
    several = ends - begins > 1
    while several.any():
        at, ends = at[several], ends[several]
        at = np.searchsorted(ticks, ticks[at] + dead)
        several = at < ends
        kept.append(at[several])
    return ticks[np.sort(np.concatenate(kept))]


def _last_before(syncs: Integers, clicks: Integers) -> Integers:
    """Return the syncs that are the last before at least one click."""
    before = np.unique(np.searchsorted(syncs, clicks, side="right"))
    return np.asarray(syncs[before[before > 0] - 1])
