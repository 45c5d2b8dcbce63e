"""A recording of the world's clicks: the world's side of the tagger's connectors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from time import monotonic, sleep
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.layouts import SYNC
from simulation.lab.clock import VirtualClock
from simulation.lab.detector_memory import remembered_rates
from simulation.lab.emission import DetectorClicks
from simulation.lab.operating_point import OperatingPoint
from simulation.lab.ports.tagger import (
    TaggerFlags,
    TaggerPort,
    TaggerRates,
    TaggerSettings,
    TimeTags,
)
from simulation.lab.stretch import Stretch
from simulation.lab.tagger import Fifo, Registrar, discriminate, sync_edge
from simulation.lab.world_parameters import WorldParameters

Real = NDArray[np.float64]

_STRIDE = 60.0
"""Longest time that passes when a reader finds nothing waiting, s."""

_RATE_GATE = 0.1
"""Time over which rates are measured, s."""

_LATENCY = 0.1
"""A reader is not faster than this, s: input rates above some 10 MHz overfill the FIFO."""

_LEASH, _LOOKS = 60.0, 24
"""Time of a recording stands at every multiple of the leash until whoever watches has looked: 60 s,
or so small a part of it that a short recording can be looked at 24 times."""

_PATIENCE = 0.5
"""Who has not looked within so many seconds of the wall does not watch, unless he did before."""

_TRUST = 5.0
"""Who has looked, but not for so many seconds of the wall, watches no longer."""

_WORK = 1 << 17
"""Events expected in the stretch that passes at once: instruments wait meanwhile for the clock."""

_COURTESY = 1e-4
"""Time of the wall in which a reader lets others at the clock before it takes it again, s."""

_FEW, _BRIEF = 1e4, 240.0
"""Records, and seconds in which they came, that may wait for those of the time that passes next."""

_FIRST = 3.0
"""Seconds of a recording's beginning that may wait so: who ends it early finds something there."""

_CHUNK, _TOGETHER = 1 << 21, 1 << 23
"""Triggers lived through, and recorded, together, so that memory stays small."""


@dataclass(slots=True, kw_only=True)
class TaggerTroubles:
    """What is wrong with the tagger's side of the laboratory, set by faults.

    Attributes
    ----------
    sync_off : bool
        The trigger cable is off.
    keep : float
        Part of the events that is not dropped.
    overflow : bool
        The next recorded stretch overfills the FIFO.
    """

    sync_off: bool = False
    keep: float = 1.0
    overflow: bool = False


class ClickSource(Protocol):
    """What a recorder needs of the plant."""

    clock: VirtualClock
    parameters: WorldParameters

    def operating_point(self) -> OperatingPoint:
        """Return the click statistics now."""

    def settings(self) -> tuple[object, ...]:
        """Return everything instruments or faults can change that clicks depend on."""

    def pulse_volts(self) -> tuple[float, float]:
        """Return the height of the detectors' pulses, V."""

    def settle(self) -> None:
        """Let the trigger have its new period, if it has one."""

    def is_triggered(self) -> bool:
        """Tell whether trials are started."""

    def drift(self, seconds: float) -> None:
        """Live without looking at clicks."""

    def pass_through(self, trials: int) -> list[Stretch]:
        """Live through trials; return what their clicks are drawn from."""

    def clicks(self, stretch: Stretch) -> DetectorClicks:
        """Draw the clicks of a stretch of trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """What the tagger's inputs make of clicks, besides its own settings."""

    syncs_arrive: bool
    heights: tuple[float, float]
    swapped: bool
    keep: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """Trials that have passed and are not registered yet: all at once is much cheaper."""

    stretch: Stretch
    inputs: _Inputs


class Recorder(TaggerPort):
    """Recordings of a plant's clicks.

    Parameters
    ----------
    plant : ClickSource
    rng : numpy.random.Generator

    Attributes
    ----------
    stride : float
        Longest virtual time that passes when a reader finds nothing waiting, s.
    troubles : TaggerTroubles
    """

    def __init__(self, plant: ClickSource, rng: np.random.Generator) -> None:
        self._plant, self._rng = plant, rng
        self._clock = plant.clock
        self.stride = _STRIDE
        self.troubles = TaggerTroubles()
        self._registrar: Registrar | None = None
        self._fifo = Fifo(self._parameters.fifo_records)
        self._pending: _Pending | None = None
        self._known: tuple[OperatingPoint, float, Real] | None = None
        self._lived, self._registered, self._last_trial = 0, 0, 0
        self._began = self._end = 0.0
        self._running = False
        self._seen, self._limit, self._waits_until = 0.0, 0.0, -inf
        self._was_held = self._is_watched = False
        self._settings: tuple[object, ...] = ()
        self._leash = _LEASH
        self._flags = TaggerFlags()

    def rates(self, settings: TaggerSettings) -> TaggerRates:
        """Return count rates with these settings, measured over 100 ms."""
        with self._clock.lock:
            light = self._click_rates(self._plant.operating_point(), self._parameters.period)
            clicks = self._cabled(remembered_rates(light, self._parameters))
            heights = self._cabled(self._plant.pulse_volts())
            inputs = []
            for number, trigger in enumerate(settings.inputs):
                rate, height = (clicks[number], heights[number]) if number < 2 else (0.0, 0.0)
                seen = discriminate(trigger, height, self._parameters)
                mean = rate * seen.registered + seen.noise_rate
                inputs.append(float(self._rng.poisson(mean * _RATE_GATE)) / _RATE_GATE)
            has_sync = sync_edge(settings.sync, self._parameters) is not None
            seen_sync = has_sync and self._sync_arrives()
        return TaggerRates(
            sync=1 / self._parameters.period if seen_sync else 0.0, inputs=tuple(inputs)
        )

    def start(self, settings: TaggerSettings, duration: float) -> None:
        """Begin a recording of `duration` s of virtual time; clears FIFO and flags."""
        with self._clock.lock:
            self._plant.settle()
            self._registrar = Registrar(settings, self._parameters, self._rng)
            self._fifo = Fifo(self._parameters.fifo_records)
            self._flags = TaggerFlags()
            self._pending = None
            self._lived, self._registered = 0, 0
            self._last_trial = round(duration / self._parameters.period)
            self._began = self._clock.now()
            self._end = self._began + duration
            self._leash = _LEASH / max(1, ceil(_LEASH * _LOOKS / max(duration, 1e-3)))
            self._seen, self._limit = self._began, self._began + self._leash
            self._waits_until = monotonic() + (_TRUST if self._is_watched else _PATIENCE)
            self._is_watched = False
            self._settings = self._plant.settings()
            self._running = True

    def stop(self) -> None:
        """End the recording early; what is in the FIFO stays readable."""
        with self._clock.lock:
            if self._running:
                self._end = self._clock.now()
            self._running = False
            self._register_pending()

    def running(self) -> bool:
        """Tell whether the recording's time is still running."""
        return self._running

    def elapsed(self) -> float:
        """Return the seconds of the present or last recording.

        Whoever asks twice has looked at all that he wanted to see where he asked first: time may
        go on from there to the next multiple of the leash, and does so at once if few records wait.
        So an hour that passes in a second is watched as evenly as a real one, however often he
        looks in between, and need not wait for the reader. Who has set something since he asked
        wants to know when that was: time does not go on at his first question.
        """
        with self._clock.lock:
            self._is_watched |= self._running
            settings = self._plant.settings()
            if settings != self._settings:
                self._settings, self._seen = settings, self._clock.now()
                self._waits_until = monotonic() + _TRUST
                return self._so_far()
            leashes = int((self._seen - self._began) / self._leash + 1e-9) + 1
            self._limit = self._began + leashes * self._leash
            self._waits_until = monotonic() + _TRUST
            self._go_on(at_most_waiting=self._parameters.fifo_records // 4)
            self._seen = self._clock.now()
            return self._surely_passed()

    def _so_far(self) -> float:
        return round(min(self._seen, self._end) - self._began, 9)

    def _surely_passed(self) -> float:
        """Return how much time has passed, to the last place where it stood, or to the end.

        Between two such places it is where the reader has got to, which depends on the computer.
        """
        passed = self._so_far()
        if not self._running:
            return passed
        return round(self._leash * int(passed / self._leash + 1e-9), 9)

    def records(self, limit: int) -> NDArray[np.uint32]:
        """Return up to `limit` waiting records; lets time pass if there are none."""
        self._wait_for_data()
        with self._clock.lock:
            blocks = [cast("NDArray[np.uint32]", block[0]) for block in self._fifo.take(limit)]
        return np.concatenate([np.empty(0, np.uint32), *blocks])

    def times(self, limit: int) -> TimeTags:
        """Return up to `limit` waiting events of a ``stream`` recording."""
        self._wait_for_data()
        with self._clock.lock:
            blocks = self._fifo.take(limit)
        times = [cast("NDArray[np.int64]", block[0]) for block in blocks]
        channels = [cast("NDArray[np.uint8]", block[1]) for block in blocks]
        return TimeTags(
            times_ps=np.concatenate([np.empty(0, np.int64), *times]),
            channels=np.concatenate([np.empty(0, np.uint8), *channels]),
        )

    def flags(self) -> TaggerFlags:
        """Return what went wrong since the start, in the trials that are registered."""
        return self._flags

    def live(self, start: float, stop: float) -> None:
        """Live through an interval of the clock: record, or only drift."""
        if not self._running:
            self._plant.drift(stop - start)
            return
        self._record_until(min(stop, self._end))
        if stop >= self._end:
            self._running = False
            self._register_pending()
            if stop > self._end:
                self._plant.drift(stop - self._end)

    @property
    def _parameters(self) -> WorldParameters:
        return self._plant.parameters

    def _cabled(self, of_detectors: Sequence[float] | Real) -> Sequence[float] | Real:
        """Return values of detectors 1, 2 in the order of the inputs they are plugged into."""
        return of_detectors[::-1] if self._parameters.swapped_detectors else of_detectors

    def _sync_arrives(self) -> bool:
        return self._plant.is_triggered() and not self.troubles.sync_off

    def _wait_for_data(self) -> None:
        """Let time pass if nothing is waiting."""
        was_held, self._was_held = self._was_held, self._is_held()
        if self._was_held:
            return  # at once: a vendor's library lets nobody else in meanwhile, who would look
        if not was_held:
            sleep(_COURTESY)  # a lock that is freed and taken at once starves the instruments
        with self._clock.lock:
            while self._running and not self._fifo.waiting and self._time_left() > 0:
                self._go_on(at_most_waiting=0)

    def _go_on(self, *, at_most_waiting: int) -> None:
        """Let time pass unless more records wait, but not more than the FIFO can take."""
        left = self._time_left()
        if not self._running or self._fifo.waiting > at_most_waiting or left <= 0:
            return
        settings = self._registrar.settings if self._registrar else TaggerSettings()
        rate = 1 / self._parameters.period if settings.mode == "T2" else 0.0
        rate += sum(self.rates(settings).inputs)
        events = min(0.5 * self._parameters.fifo_records, _WORK)
        room = max(events / max(rate, 1e-3), _LATENCY)
        end = max(self._end - self._clock.now(), 0.0)
        # not beyond a multiple of the leash, watched or not: how time is cut decides what is drawn
        to_look = self._leash - (self._clock.now() - self._began + 1e-9) % self._leash + 1e-9
        self._clock.advance(min(self.stride, room, end, left, to_look))

    def _is_little(self, pending: _Pending) -> bool:
        """Tell whether more trials can be put off with these: their records fit the FIFO easily."""
        period = pending.stretch.parameters.period
        seconds = pending.stretch.trials * period
        if seconds > (_BRIEF if self._registered else _FIRST):
            return False
        rate = float(np.sum(self._click_rates(pending.stretch.point, period)))
        if self._registrar is not None and self._registrar.settings.mode == "T2":
            rate += 1 / period
        return seconds * rate <= min(_FEW, self._parameters.fifo_records / 8)

    def _click_rates(self, point: OperatingPoint, period: float) -> Real:
        """Return the click rates of a point, worked out once for each."""
        if self._known is None or self._known[0] is not point or self._known[1] != period:
            self._known = point, period, point.click_rates(period)
        return self._known[2]

    def _is_held(self) -> bool:
        """Tell whether nothing is waiting, and time may not pass before somebody has looked."""
        return self._running and not self._fifo.waiting and self._time_left() <= 0

    def _time_left(self) -> float:
        """Return how long time may pass now, s: whoever watches must be waited for."""
        if monotonic() >= self._waits_until:
            return inf
        left = self._limit - self._clock.now()
        return left if left > 1e-9 else 0.0

    def _record_until(self, time: float) -> None:
        # a trigger belongs to the interval in which its whole trial has passed
        passed = int((time - self._began) / self._parameters.period + 1e-6)
        while self._lived < min(passed, self._last_trial):
            trials = min(_CHUNK, min(passed, self._last_trial) - self._lived)
            for stretch in self._plant.pass_through(trials):
                self._put_off(stretch)
                self._lived += stretch.trials

    def _put_off(self, stretch: Stretch) -> None:
        """Keep trials for later, after those before; these are registered if they differ.

        What is drawn together depends on virtual time alone, not on when a reader comes: else the
        same seed would not give the same tags.
        """
        inputs = _Inputs(
            syncs_arrive=self._sync_arrives(), heights=self._plant.pulse_volts(),
            swapped=self._parameters.swapped_detectors, keep=self.troubles.keep,
        )  # fmt: skip
        before = self._pending
        if before is not None:
            small = before.stretch.trials + stretch.trials <= _TOGETHER
            if small and inputs == before.inputs and before.stretch.goes_on_with(stretch):
                stretch = before.stretch.followed_by(stretch)
            else:
                self._register_pending()
        self._pending = _Pending(stretch=stretch, inputs=inputs)
        if not self._is_little(self._pending):
            self._register_pending()

    def _register_pending(self) -> None:
        """Draw the clicks of the trials that have passed, and let the tagger register them."""
        pending, self._pending = self._pending, None
        if pending is None:
            return
        if self._registrar is not None and not self._flags.fifo_full:
            clicks = self._plant.clicks(pending.stretch)
            self._register(self._registrar, clicks, pending.stretch.trials, pending.inputs)
        self._registered += pending.stretch.trials

    def _register(
        self, registrar: Registrar, clicks: DetectorClicks, trials: int, inputs: _Inputs
    ) -> None:
        troubles = self.troubles
        has_sync = registrar.has_sync and inputs.syncs_arrive
        first, second = inputs.heights
        if inputs.swapped:
            first, second = second, first
            clicks = replace(clicks, detector=1 - clicks.detector)
        time, channel = registrar.register(
            clicks,
            self._registered,
            trials,
            (first, second),
            syncs_seen=has_sync,
            keep=inputs.keep,
        )
        needs_sync = registrar.settings.mode == "T3"
        if registrar.settings.mode == "stream":
            complete = self._fifo.put(time, np.where(channel == SYNC, 0, channel + 1))
        elif needs_sync and not has_sync:
            complete = True
        else:
            until = self._registered + trials
            complete = self._fifo.put(registrar.records(time, channel, until))
        overfull, troubles.overflow = troubles.overflow, False
        self._flags = TaggerFlags(
            fifo_full=self._flags.fifo_full or not complete or overfull,
            dropped_events=self._flags.dropped_events or inputs.keep < 1,
            sync_lost=self._flags.sync_lost or (needs_sync and not has_sync),
        )
