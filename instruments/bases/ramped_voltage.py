"""A voltage that only moves within limits and at a limited slew rate, on any QCoDeS parameter."""

import math
from functools import reduce
from threading import Event, RLock, Thread
from typing import Any

from qcodes.instrument import Instrument
from qcodes.parameters import Parameter

INTERVAL = 0.01
"""Seconds between the steps of a ramp."""

SAFE_WAIT = 1.0
"""Longest wait of `head_for`, s."""


_SWITCHES = ("output", "output_enabled")
"""Names by which QCoDeS's drivers of voltage sources call the switch of their output."""


def _is_off(state: object) -> bool:
    return state is False or (isinstance(state, str) and state.lower() == "off")


def _output_switch(source: Parameter[float, Any]) -> Parameter[Any, Any] | None:
    """Return the switch of a source's output, if its instrument or channel has one."""
    owner = source.instrument
    found = (getattr(owner, "parameters", {}).get(name) for name in _SWITCHES)
    return next((switch for switch in found if switch is not None and switch is not source), None)


def find_parameter(path: str) -> Parameter[float, Any]:
    """Return the parameter of an open instrument, as ``gs200.voltage`` or ``daq.voa.voltage``.

    Raises
    ------
    KeyError
        If the instrument is not open.
    ValueError
        If it has no such parameter.
    """
    name, _, rest = path.partition(".")
    if not Instrument.exist(name):
        message = (
            f"`source` is {path!r}, but no instrument {name!r} is open; it must stand before this "
            "one in the station file, and open without an error"
        )
        raise KeyError(message)
    try:
        found: Any = reduce(getattr, rest.split("."), Instrument.find_instrument(name))
    except AttributeError as error:
        message = f"`source` must name a parameter, like gs200.voltage, but is {path!r} ({error})"
        raise ValueError(message) from error
    if not isinstance(found, Parameter):
        message = f"`source` must name a parameter, but {path!r} is a {type(found).__name__}"
        raise ValueError(message)
    return found


class RampedVoltage:
    """A voltage source's parameter with the limits of what hangs on it.

    Thread-safe: one ramp at a time; `put_at_once` and `head_for` interrupt a ramp of another
    thread.

    Parameters
    ----------
    source : str or Parameter
        Voltage in V, gettable and settable; a string as for `find_parameter`.
    minimum, maximum : float
        V: the most that the driven device stands.
    slew_rate : float
        V/s, at most.
    owner : str
        Name of the instrument, for messages.

    Raises
    ------
    ValueError
        If the limits make no sense, or the source is outside of them now.
    """

    def __init__(
        self,
        source: str | Parameter[float, Any],
        minimum: float,
        maximum: float,
        slew_rate: float,
        owner: str,
    ) -> None:
        if not -math.inf < minimum < maximum < math.inf:
            message = f"{owner}: `minimum` must be below `maximum`, but are {minimum}, {maximum}"
            raise ValueError(message)
        if not 0 < slew_rate < math.inf:
            message = f"{owner}: `slew_rate` must be positive and finite, but is {slew_rate}"
            raise ValueError(message)
        self.minimum, self.maximum = minimum, maximum
        self._slew_rate = slew_rate
        self._owner = owner
        self._source = find_parameter(source) if isinstance(source, str) else source
        self._put = self._source.set  # as it is now: rules across instruments ask at this border
        self._lock = RLock()
        self._ramping = RLock()
        self._abort = Event()
        self._heading: Thread | None = None
        self._failure: Exception | None = None
        self._switch = _output_switch(self._source)
        present = self._set_to()
        if not minimum <= present <= maximum:
            message = (
                f"{owner}: the source {self._source.full_name} must be within {minimum:g} to "
                f"{maximum:g} V when connecting, but is at {present:g} V; bring it there by hand"
            )
            raise ValueError(message)

    def read(self) -> float:
        """Return what the source puts out, V.

        Raises
        ------
        RuntimeError
            If the source has an output switch, and that is off: nothing is applied then.
        """
        with self._lock:
            self._require_output()
            return self._set_to()

    def _set_to(self) -> float:
        return float(self._source.get())

    def _require_output(self) -> None:
        if self._switch is not None and _is_off(self._switch.get()):
            message = (
                f"{self._owner}: {self._switch.full_name} must be on, but is off: the voltage of "
                f"{self._source.full_name}, {self._set_to():g} V, is not applied; bring it to a "
                "voltage that is safe to switch on, then switch the output on"
            )
            raise RuntimeError(message)

    def check(self, voltage: float, lowest: float | None = None) -> None:
        """Refuse a voltage outside the limits.

        Raises
        ------
        ValueError
            Naming the limits.
        """
        low = self.minimum if lowest is None else lowest
        if not low <= voltage <= self.maximum:
            message = (
                f"{self._owner}: `voltage` must be {low:g} to {self.maximum:g} V, its configured "
                f"limits, but is {voltage:g} V"
            )
            raise ValueError(message)

    def ramp_to(self, voltage: float) -> None:
        """Ramp to a voltage at the slew rate.

        Raises
        ------
        ValueError
            If it is outside the limits.
        RuntimeError
            If the source's output is off, or another thread interrupts the ramp.
        """
        self.check(voltage)
        self._interrupt()
        with self._lock:
            self._require_output()
        with self._ramping:
            self._abort.clear()
            if not self._ramp(voltage):
                message = f"{self._owner}: the ramp to {voltage:g} V was interrupted"
                raise RuntimeError(message)

    def put_at_once(self, voltage: float) -> None:
        """Set a voltage in one step, whatever the slew rate: for what protects others."""
        self.check(voltage)
        self._abort.set()
        with self._lock:
            self._put(voltage)

    def head_for(self, voltage: float) -> None:
        """Begin to ramp to a voltage; returns when there, or after 1 s while the ramp goes on.

        Raises
        ------
        RuntimeError
            If the source fails meanwhile; `finish` raises it if that happens later.
        """
        self.check(voltage)
        self._interrupt()
        self._abort.set()
        with self._ramping:
            self._abort.clear()
            self._failure = None
            self._heading = Thread(target=self._go, args=(voltage,), name=f"{self._owner}-ramp")
            self._heading.start()
        self._heading.join(SAFE_WAIT)
        self._raise_failure(voltage)

    def finish(self) -> None:
        """Wait until a ramp begun by `head_for` has ended."""
        if self._heading is not None:
            self._heading.join()
            self._raise_failure(None)

    def _go(self, voltage: float) -> None:
        with self._ramping:
            try:
                self._ramp(voltage)
            except Exception as error:
                self._failure = error

    def _raise_failure(self, voltage: float | None) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            where = "" if voltage is None else f" to {voltage:g} V"
            message = f"{self._owner}: the ramp{where} failed: {failure}"
            raise RuntimeError(message) from failure

    def _interrupt(self) -> None:
        """Stop a ramp begun by `head_for`, so that a new one may start."""
        if self._heading is not None and self._heading.is_alive():
            self._abort.set()
            self._heading.join()

    def _ramp(self, voltage: float) -> bool:
        """Step to a voltage; tell whether it was reached."""
        with self._lock:
            start = self._set_to()
        steps = max(1, math.ceil(abs(voltage - start) / (self._slew_rate * INTERVAL) - 1e-9))
        pause = abs(voltage - start) / self._slew_rate / steps
        for step in range(1, steps + 1):
            if self._abort.wait(pause):
                return False
            with self._lock:
                if self._abort.is_set():
                    return False
                left = (steps - step) / steps
                self._put(voltage - (voltage - start) * left)
        return True
