"""A simulated Swabian Time Tagger: an object with the part of the vendor's module that is used."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.lab.ports.tagger import (
    TaggerFlags,
    TaggerPort,
    TaggerSettings,
    TimeTags,
    TriggerInput,
)

TIME_TAG, OVERFLOW_BEGIN, OVERFLOW_END, MISSED_EVENTS = 0, 2, 3, 4
LEVEL_STEP = 1e-3
"""Chosen resolution of the level converters, V."""

SYNC = 0
"""The world's number of the trigger; detectors count from 1."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedBuffer:
    """What one `getData` returns, with the vendor's names."""

    tStart: int
    hasOverflows: bool
    times: NDArray[np.int64]
    channels: NDArray[np.int64]
    kinds: NDArray[np.int64]
    missed: NDArray[np.int64]

    @property
    def size(self) -> int:
        """Number of events."""
        return len(self.times)

    def getTimestamps(self) -> NDArray[np.int64]:
        """Return picoseconds since the tagger was switched on."""
        return self.times

    def getChannels(self) -> NDArray[np.int64]:
        """Return hardware channels."""
        return self.channels

    def getEventTypes(self) -> NDArray[np.int64]:
        """Return what each event is."""
        return self.kinds

    def getMissedEvents(self) -> NDArray[np.int64]:
        """Return how many events each MissedEvents event stands for."""
        return self.missed


class SimulatedTimeTagger:
    """The vendor's module with one tagger; detectors and trigger are wired as given.

    Parameters
    ----------
    port : TaggerPort, optional
    wiring : mapping of int to int, optional
        Hardware channel to the world's channel (0 trigger, 1, 2, … detectors).
    serial : str, optional

    Attributes
    ----------
    switched_on_ps : int
        Stream position at the first start: times do not begin at 0.
    """

    def __init__(
        self,
        port: TaggerPort | None = None,
        wiring: Mapping[int, int] | None = None,
        serial: str = "SIM0002",
    ) -> None:
        self.port = port or TaggerPort()
        self.wiring = dict(wiring or {1: 0, 2: 1, 3: 2})
        self.serial = serial
        self.switched_on_ps = 123_456_789_012_345
        self.in_use = False

    def scanTimeTagger(self) -> tuple[str, ...]:
        """Return the serial numbers of connected taggers."""
        return (self.serial,)

    def createTimeTagger(self, serial: str = "") -> "SimulatedTagger":
        """Open the tagger."""
        if serial not in {"", self.serial} or self.in_use:
            message = "No Time Tagger attached or already in use"
            raise RuntimeError(message)
        self.in_use = True
        return SimulatedTagger(self)

    def freeTimeTagger(self, tagger: "SimulatedTagger") -> None:
        """Close the tagger."""
        self.port.stop()
        self.in_use = False

    def TimeTagStream(
        self, tagger: "SimulatedTagger", n_max_events: int, channels: Sequence[int]
    ) -> "SimulatedStream":
        """Make a stream."""
        return SimulatedStream(self, tagger, n_max_events, channels)

    def Countrate(self, tagger: "SimulatedTagger", channels: Sequence[int]) -> "SimulatedCountrate":
        """Make a rate measurement."""
        return SimulatedCountrate(self, tagger, channels)


class SimulatedTagger:
    """An opened tagger: levels and delays by hardware channel."""

    def __init__(self, module: SimulatedTimeTagger) -> None:
        self._module = module
        self._levels: dict[int, float] = {}
        self._delays: dict[int, int] = {}

    def getModel(self) -> str:
        """Return the model."""
        return "Time Tagger Ultra (simulated)"

    def getSerial(self) -> str:
        """Return the serial number."""
        return self._module.serial

    def getTriggerLevelRange(self, channel: int) -> tuple[float, float]:
        """Return the range of levels in V."""
        self._check(channel)
        return (-2.5, 2.5)

    def setTriggerLevel(self, channel: int, voltage: float) -> None:
        """Set a level, rounded to the converter."""
        self._check(channel)
        self._levels[abs(channel)] = round(voltage / LEVEL_STEP) * LEVEL_STEP

    def getTriggerLevel(self, channel: int) -> float:
        """Return a level."""
        self._check(channel)
        return self._levels.get(abs(channel), 0.5)

    def setInputDelay(self, channel: int, delay: int) -> None:
        """Set a delay in ps."""
        self._check(channel)
        self._delays[channel] = delay

    def sync(self) -> None:
        """Wait until settings have taken effect."""

    def settings(self, channels: Sequence[int]) -> TaggerSettings:
        """Return what the world has to know when these channels are streamed."""
        used = {self._module.wiring[abs(channel)]: channel for channel in channels}
        n_inputs = max(self._module.wiring.values())
        inputs = [self._input(used.get(number)) for number in range(n_inputs + 1)]
        return TaggerSettings(
            mode="stream", resolution=1e-12, sync=inputs[SYNC], inputs=tuple(inputs[1:])
        )

    def _input(self, channel: int | None) -> TriggerInput:
        if channel is None:
            return TriggerInput(enabled=False)
        return TriggerInput(
            level=self.getTriggerLevel(channel),
            rising=channel > 0,
            offset=self._delays.get(channel, 0) * 1e-12,
        )

    def _check(self, channel: int) -> None:
        if abs(channel) not in self._module.wiring:
            message = f"channel {channel} does not exist"
            raise ValueError(message)


class SimulatedStream:
    """A tag stream of the world's events in hardware channels."""

    def __init__(
        self,
        module: SimulatedTimeTagger,
        tagger: SimulatedTagger,
        n_max_events: int,
        channels: Sequence[int],
    ) -> None:
        self._module = module
        self._tagger = tagger
        self._limit = n_max_events
        self._channels = list(channels)
        self._reported = TaggerFlags()

    def startFor(self, duration: int) -> None:
        """Record for a number of picoseconds."""
        self._reported = TaggerFlags()
        self._module.port.start(self._tagger.settings(self._channels), duration * 1e-12)

    def isRunning(self) -> bool:
        """Tell whether the recording goes on."""
        return self._module.port.running()

    def stop(self) -> None:
        """End the recording."""
        self._module.port.stop()

    def getCaptureDuration(self) -> int:
        """Return the picoseconds captured."""
        return round(self._module.port.elapsed() * 1e12)

    def getData(self) -> SimulatedBuffer:
        """Return the events since the last call."""
        tags = self._module.port.times(self._limit)
        times = tags.times_ps + self._module.switched_on_ps
        here = int(times[-1]) if len(times) else self._module.switched_on_ps
        marks = self._marks()
        return SimulatedBuffer(
            tStart=self._module.switched_on_ps,
            hasOverflows=any(kind == OVERFLOW_BEGIN for kind, _ in marks),
            times=np.append(times, [here] * len(marks)).astype(np.int64),
            channels=np.append(self._hardware_of(tags), [0] * len(marks)).astype(np.int64),
            kinds=np.append(np.zeros(len(times)), [kind for kind, _ in marks]).astype(np.int64),
            missed=np.append(np.zeros(len(times)), [count for _, count in marks]).astype(np.int64),
        )

    def _marks(self) -> list[tuple[int, int]]:
        """Return events that tell of lost tags: (kind, how many), once per loss."""
        before, now = self._reported, self._module.port.flags()
        self._reported = now
        marks = []
        if now.dropped_events and not before.dropped_events:
            marks.append((MISSED_EVENTS, 1))
        if now.fifo_full and not before.fifo_full:
            marks += [(OVERFLOW_BEGIN, 0), (OVERFLOW_END, 0)]
        return marks

    def _hardware_of(self, tags: TimeTags) -> NDArray[np.int64]:
        hardware = np.zeros(len(tags.channels), np.int64)
        for channel in self._channels:
            hardware[tags.channels == self._module.wiring[abs(channel)]] = channel
        return hardware


class SimulatedCountrate:
    """Mean rates of some channels; the world's time does not pass."""

    def __init__(
        self, module: SimulatedTimeTagger, tagger: SimulatedTagger, channels: Sequence[int]
    ) -> None:
        rates = module.port.rates(tagger.settings(channels))
        by_number = (rates.sync, *rates.inputs)
        self._rates = [by_number[module.wiring[abs(channel)]] for channel in channels]

    def startFor(self, duration: int) -> None:
        """Begin to count."""

    def waitUntilFinished(self, timeout: int = -1) -> bool:
        """Wait for the end."""
        return True

    def getData(self) -> NDArray[Any]:
        """Return the rates per second."""
        return np.array(self._rates)
