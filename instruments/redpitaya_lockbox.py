"""Red Pitaya with the rp-lockbox firmware, as the second choice of phase lock.

Facts are those of rp-lockbox's own command list, server and gateware (schmidf/rp-lockbox). Not
verified on hardware. Forks give ``KD`` different units, so the derivative is not offered. A start
of the lockbox service reloads the gateware: a running lock is lost.
"""

from math import isclose
from typing import TYPE_CHECKING, Literal

from instruments.bases.parameters import (
    Declared,
    add_parameters,
    number,
    number_in,
    reading,
    switch,
)
from instruments.bases.safe_state import Servo, check_output_limits
from instruments.bases.scpi import ScpiInstrument

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs

    from instruments.roles import LockState

RESOLUTION = 2e-3
"""Voltages nearer than this are the same: 14 bits over ±1 V, and calibration, V."""
ON_OFF = {True: "ON", False: "OFF"}


class RedPitayaLockbox(Servo, ScpiInstrument):
    """One PID of an rp-lockbox; fulfils `instruments.roles.PhaseLock`.

    Output = KP e + KI ∫e dt with e = measured − set-point (the opposite of a SIM960; `inverted`
    changes the sign), between the output limits. Released, everything is held as it is (``HOLD``).
    The output cannot be set by itself: `output` parks it by drawing both limits together.

    Connecting narrows the output limits to the given ones and changes nothing else. Safe state:
    held, and parked at the middle of the limits. Thread-safe.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name, port 5000.
    input_channel, output_channel : {1, 2}
        Of the PID.
    output_min, output_max : float
        Voltages that the actuator's amplifier bears, V, within ±1: no default.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "^REDPITAYA,"
    default_terminator = "\r\n"

    setpoint = number("{_pid}:SETP", "V", "Error-signal voltage to hold", -1, 1)
    proportional_gain = number("{_pid}:KP", "V/V", "Proportional gain", 0, 4096)
    integral_rate = number("{_pid}:KI", "1/s", "Integral rate", 0, 7_812_499)
    inverted = switch(
        "{_pid}:INV",
        "Output sign inverted",
        words=ON_OFF,
        doc="Off: the output rises while the measured voltage is above the set-point.",
    )
    held = Declared[bool](
        "State held",
        get="{_pid}:HOLD?",
        val_mapping=ON_OFF,
        doc="Whether P and I are frozen; changed by `engage` and `release` only.",
    )
    measured = reading("{_input}:VOLT?", "V", "Error signal", doc="Voltage at the fast input.")
    error = Declared[float](
        "Measured error signal minus set-point",
        "V",
        get=lambda self: self.measured() - self.setpoint(),
        doc="Difference of input voltage and set-point.",
    )
    output = reading(
        "{_output}:VOLT?",
        "V",
        "Actuator voltage",
        set=Servo.drive,
        vals=Servo.bounds,
        doc="Voltage at the fast output; setting parks it there, while released only.",
    )

    def __init__(
        self,
        name: str,
        address: str,
        *,
        input_channel: Literal[1, 2],
        output_channel: Literal[1, 2],
        output_min: float,
        output_max: float,
        **kwargs: "Unpack[VisaInstrumentKWArgs]",
    ) -> None:
        check_output_limits(name, output_min, output_max, reach=1)
        super().__init__(name, address, **kwargs)
        self.output_min, self.output_max = output_min, output_max
        self._pid = f"PID:IN{input_channel}:OUT{output_channel}"
        self._limit = f"OUT{output_channel}:LIM"
        self._input = f"ANALOG:IN{input_channel}"
        self._output = f"ANALOG:OUT{output_channel}"
        add_parameters(self)
        self._narrow_limits()

    def engage(self, near: float | None = None) -> None:
        """Close the loop without a step of the output.

        From a released loop it goes on where it was. From a parked output the integrator starts
        anew, which it does at 0 V only.

        Parameters
        ----------
        near : float, optional
            Park the output before: at 0 V, whatever is asked for, because it can begin there only.

        Raises
        ------
        RuntimeError
            If the output is parked elsewhere than at 0 V.
        """
        with self.lock:
            if near is not None:
                self.output(0.0)
            low, high = self._limits()
            if isclose(low, high, abs_tol=RESOLUTION):
                if abs(low) > RESOLUTION:
                    message = (
                        f"{self.name}: park the output at 0 V before engaging, not at {low:g} V"
                    )
                    raise RuntimeError(message)
                self.write(f"{self._pid}:INT:RES ON")
                self._set_limits(self.output_min, self.output_max)
            self.write(f"{self._pid}:INT:RES OFF")
            self.write(f"{self._pid}:HOLD OFF")
            self._check_engaged(True)

    def release(self) -> None:
        """Open the loop and hold the output where it is."""
        with self.lock:
            self.write(f"{self._pid}:HOLD ON")
            self._check_engaged(False)

    def lock_state(self) -> "LockState":
        """Tell whether the loop is open, holding, or at an output limit."""
        with self.lock:
            if self.held():
                return "off"
            now = self.output()
            at_limit = any(abs(now - limit) < RESOLUTION for limit in self._limits())
            return "saturated" if at_limit else "locked"

    def _make_safe(self) -> None:
        middle = self.middle
        for command in (
            f"{self._limit}:MAX {middle:.6g}",
            f"{self._limit}:MIN {middle:.6g}",
            f"{self._pid}:HOLD ON",
        ):
            self.write_unchecked(command)
        now = self._limits()
        if not all(isclose(limit, middle, abs_tol=RESOLUTION) for limit in now):
            message = (
                f"{self.name}: the output must be parked at {middle:g} V, but its limits read "
                f"{now}; disconnect the actuator"
            )
            raise RuntimeError(message)
        self._check_engaged(False)

    def _is_engaged(self) -> bool:
        return not self.held()

    def _put_released(self, volts: float) -> None:
        self._set_limits(volts, volts)

    def _limits(self) -> tuple[float, float]:
        low, high = (self.ask(f"{self._limit}:{end}?") for end in ("MIN", "MAX"))
        return number_in(low, low=-1, high=1), number_in(high, low=-1, high=1)

    def _set_limits(self, low: float, high: float) -> None:
        self.write(f"{self._limit}:MIN {low:.6g}")
        self.write(f"{self._limit}:MAX {high:.6g}")
        now = self._limits()
        if not (
            isclose(now[0], low, abs_tol=RESOLUTION) and isclose(now[1], high, abs_tol=RESOLUTION)
        ):
            message = f"{self.name}: output limits must be {low:g} and {high:g} V, but read {now}"
            raise RuntimeError(message)

    def _narrow_limits(self) -> None:
        low, high = self._limits()
        inside = [min(max(limit, self.output_min), self.output_max) for limit in (low, high)]
        if inside != [low, high]:
            self._set_limits(inside[0], inside[1])
