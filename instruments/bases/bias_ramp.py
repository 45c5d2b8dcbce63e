"""What every SNSPD bias source has in common: caps, ramps, delatching, a quiet snapshot."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from threading import Event, Lock, RLock
from time import monotonic
from typing import TYPE_CHECKING

from qcodes.instrument import Instrument, InstrumentChannel
from qcodes.validators import Numbers

from instruments.bases.parameters import Declared, add_parameters

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

SHORTEST_PAUSE = 1e-3
"""Pauses between a ramp's steps that are shorter are made together, s: no system keeps them."""

FAST_STEPS = 10
"""Steps in which the safe state takes a current down without waiting."""

FAST_TIME = 0.5
"""Seconds for all these steps; electronics that is slower is sent straight to 0."""


class BiasChannel(InstrumentChannel["RampedBias"]):
    """One detector's bias.

    Parameters
    ----------
    parent : RampedBias
    name : str
    number : int
        From 1.
    max_current : float
        A.
    """

    current = Declared[float | None](
        "bias current {number}",
        "A",
        get=lambda self: self.parent.known_current(self.number),
        set=lambda self, current: self.parent.ramp_to(self.number, current),
        vals=lambda self: Numbers(0.0, self.max_current),
        doc="Set current; setting ramps. None: not known, as nothing was set yet.",
    )

    def __init__(self, parent: "RampedBias", name: str, number: int, max_current: float) -> None:
        super().__init__(parent, name)
        self.number, self.max_current = number, max_current
        add_parameters(self)


class RampedBias(Instrument):
    """Base of bias sources: currents only ever move in ramps, below a cap per channel.

    Thread-safe: one ramp at a time; `safe_state` interrupts a ramp of another thread.

    Parameters
    ----------
    name : str
    max_currents : sequence of float
        Hard cap of each channel, A: what its nanowire survives.
    ramp_rate : float
        A/s.
    ramp_step : float
        Largest step, A.
    delatch_wait : float
        Time at zero current when delatching, s.
    """

    def __init__(
        self,
        name: str,
        max_currents: Sequence[float],
        ramp_rate: float,
        ramp_step: float,
        delatch_wait: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        settings = {"ramp_rate": ramp_rate, "ramp_step": ramp_step, "delatch_wait": delatch_wait}
        for setting, value in settings.items():
            if not 0 < value < math.inf:
                message = f"{name}: `{setting}` must be positive and finite, but is {value}"
                raise ValueError(message)
        self._check_caps(name, max_currents)
        super().__init__(name, **kwargs)
        self._ramp_rate = ramp_rate
        self._ramp_step = ramp_step
        self._delatch_wait = delatch_wait
        self._known: list[float | None] = [None] * len(max_currents)
        self._lock = RLock()
        self._ramping = Lock()
        self._abort = Event()
        self._hurry_from = 0.0
        self.channels = tuple(
            BiasChannel(self, f"channel{number}", number, cap)
            for number, cap in enumerate(max_currents, start=1)
        )
        for channel in self.channels:
            self.add_submodule(channel.short_name, channel)

    @property
    def n_channels(self) -> int:
        """Number of channels, numbered from 1."""
        return len(self.channels)

    @property
    @abstractmethod
    def full_scale(self) -> float:
        """Largest current that the hardware can set, A."""

    @abstractmethod
    def _write(self, channel: int, current: float) -> None:
        """Make the hardware put out `current` (A)."""

    def _confirm(self, channel: int, current: float) -> None:
        """Check by reading back, where the hardware can, that a ramp has ended at `current`."""

    def known_current(self, channel: int) -> float | None:
        """Return the channel's set current in A; None if it is not known."""
        return self._known[self._index(channel)]

    def current(self, channel: int) -> float:
        """Return the channel's set current in A.

        Raises
        ------
        RuntimeError
            If it is not known: the hardware cannot be asked, and nothing was set yet.
        """
        known = self.known_current(channel)
        if known is None:
            message = (
                f"{self.name}: the current of channel {channel} must be set before it is known: "
                "the hardware has no read-back; ramp it to 0 first"
            )
            raise RuntimeError(message)
        return known

    def ramp_to(self, channel: int, current: float) -> None:
        """Ramp a channel to a current in A; one whose current is not known is set to 0 first.

        Raises
        ------
        ValueError
            If `current` is beyond the channel's cap, or negative.
        RuntimeError
            If `safe_state` interrupts the ramp.
        """
        cap = self.channels[self._index(channel)].max_current
        if not 0 <= current <= cap:
            message = (
                f"{self.name}: `current` of channel {channel} must be 0 to {cap * 1e6:g} µA, its "
                f"configured cap, but is {current * 1e6:g} µA"
            )
            raise ValueError(message)
        self.channels[channel - 1].current.validate(current)
        with self._ramping:
            self._abort.clear()
            if self._known[self._index(channel)] is None:
                self._put(channel, 0.0)
            self._ramp(channel, current)

    def delatch(self, channel: int) -> None:
        """Bring a latched detector back: ramp to 0, wait, ramp to the current it had.

        Raises
        ------
        RuntimeError
            If its current is not known, or `safe_state` interrupts.
        """
        with self._ramping:
            before = self.current(channel)
            self._abort.clear()
            self._ramp(channel, 0.0)
            self._pause(channel, self._delatch_wait)
            self._ramp(channel, before)

    def safe_state(self) -> None:
        """Take all currents to 0 in a few steps without waiting, and stop ramps.

        Raises
        ------
        ExceptionGroup
            If that fails for some channels; the others are at 0.
        """
        self._abort.set()
        failures: list[Exception] = []
        self._hurry_from = monotonic() + FAST_TIME
        with self._lock:
            for channel in range(1, self.n_channels + 1):
                try:
                    self._drop(channel)
                except (OSError, RuntimeError) as error:
                    failures.append(error)
        if failures:
            message = (
                f"{self.name}: {len(failures)} of {self.n_channels} currents could not be taken "
                "to 0; switch the bias electronics off by hand"
            )
            raise ExceptionGroup(message, failures)

    def _drop(self, channel: int) -> None:
        start = self._known[channel - 1] or 0.0
        for left in range(FAST_STEPS - 1, 0, -1):
            if monotonic() > self._hurry_from:
                break
            self._put(channel, start * left / FAST_STEPS, even_if_stopped=True)
        self._put(channel, 0.0, even_if_stopped=True)
        self._confirm(channel, 0.0)

    def _ramp(self, channel: int, current: float) -> None:
        start = self.current(channel)
        steps = math.ceil(abs(current - start) / self._ramp_step * (1 - 1e-9))
        owed = 0.0
        for step in range(1, steps + 1):
            owed += abs(current - start) / steps / self._ramp_rate
            if owed >= SHORTEST_PAUSE or step == steps:
                self._pause(channel, owed)
                owed = 0.0
            self._put(channel, current - (current - start) * (steps - step) / steps)
        self._confirm(channel, current)

    def _pause(self, channel: int, seconds: float) -> None:
        if self._abort.wait(seconds):
            self._refuse_after_stop(channel)

    def _put(self, channel: int, current: float, *, even_if_stopped: bool = False) -> None:
        """Write one step; what the channel carries is not known if that fails."""
        with self._lock:
            if self._abort.is_set() and not even_if_stopped:
                self._refuse_after_stop(channel)
            self._known[channel - 1] = None
            self._write(channel, current)
            self._known[channel - 1] = current

    def _refuse_after_stop(self, channel: int) -> None:
        message = f"{self.name}: the ramp of channel {channel} was interrupted by safe_state"
        raise RuntimeError(message)

    def _index(self, channel: int) -> int:
        if not 1 <= channel <= self.n_channels:
            message = f"{self.name}: `channel` must be 1 to {self.n_channels}, but is {channel}"
            raise ValueError(message)
        return channel - 1

    def _check_caps(self, name: str, max_currents: Sequence[float]) -> None:
        for number, cap in enumerate(max_currents, start=1):
            if not 0 < cap <= self.full_scale:
                message = (
                    f"{name}: `max_currents` of channel {number} must be above 0 and at most "
                    f"{self.full_scale * 1e6:.4g} µA, the hardware's full scale, "
                    f"but is {cap * 1e6:g} µA"
                )
                raise ValueError(message)
