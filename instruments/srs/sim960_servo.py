"""What a SIM960 analog PID controller does, whatever line leads to it."""

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Self

from qcodes.validators import Bool, MultiTypeOr, Numbers

from instruments.bases.number_parameter import add_number
from instruments.bases.servo import Servo, check_output_limits
from instruments.srs.sim900 import check_line

if TYPE_CHECKING:
    from qcodes.parameters import Parameter

    from instruments.roles import LockState

EXECUTION_ERRORS = {
    1: "illegal value",
    2: "wrong token",
    3: "invalid bit",
    16: "invalid parameter",
    17: "missing parameter",
    20: "ramp in progress",
    21: "upper limit below lower limit",
}
"""``LEXE?``; 18 (no change) is no error: the value is what was asked for."""
NO_CHANGE = 18
COMMAND_ERRORS = {2: "undefined command", 4: "illegal set"}
"""``LCME?``; other numbers are reported as they are."""
AT_A_LIMIT = 2 | 4 | 8
"""``INCR?``: upper limit, lower limit, anti-windup."""
RAMP_STATES = {"IDLE": 0, "PENDING": 1, "RAMPING": 2, "PAUSED": 3}
TOKENS = {"OFF": 0, "ON": 1, "MAN": 0, "PID": 1, "INT": 0, "EXT": 1} | RAMP_STATES
"""Words for the integers of replies: the instrument's ``TOKN`` setting is left as it is."""
OUTPUT_STEP, LIMIT_STEP = 1e-3, 10e-3
"""Steps in which the output and its limits are set, V."""


class SIM960Servo(Servo):
    """Base of the SIM960 drivers; fulfils `instruments.roles.PhaseLock`.

    Output = P (ε + I ∫ε dt + D dε/dt) + offset with ε = set-point − measured, within the limits:
    the integral and derivative gains are multiplied by P. All settings outlast a power cycle.

    Connecting narrows the output limits to the given ones and changes nothing else. ``*RST`` is
    never sent, because it leaves the output live within ±10 V. Safe state: released, output at the
    middle of the limits. Thread-safe: a command and the check for its errors hold `lock` together.
    """

    @abstractmethod
    def _send(self, line: str) -> None:
        """Send a line."""

    @abstractmethod
    def _query(self, line: str) -> str:
        """Send a line and return its reply."""

    def write_raw(self, cmd: str) -> None:
        """Send a command and ask whether it was executed.

        Raises
        ------
        RuntimeError
            If it was not.
        """
        check_line(self.name, cmd)
        with self.lock:
            self._send(cmd)
            execution, command = int(self._query("LEXE?")), int(self._query("LCME?"))
        if execution not in (0, NO_CHANGE):
            reason = EXECUTION_ERRORS.get(execution, f"execution error {execution}")
        elif command:
            reason = COMMAND_ERRORS.get(command, f"command error {command}")
        else:
            return
        message = f"{self.name} refused {cmd!r}: {reason}"
        raise RuntimeError(message)

    def ask_raw(self, cmd: str) -> str:
        """Send a query and return its reply."""
        check_line(self.name, cmd)
        with self.lock:
            return self._query(cmd)

    def prepare(self, output_min: float, output_max: float) -> None:
        """Add the parameters and narrow the output limits; called once, by the constructor."""
        check_output_limits(self.name, output_min, output_max, reach=10)
        self.output_min, self.output_max = output_min, output_max
        self._add_gains()
        self._add_voltages()
        self._query("LEXE?")
        self._query("LCME?")
        self._narrow_limits()

    def _add_gains(self) -> None:
        number = partial(add_number, self)
        self.gain: Parameter[float, Self] = self.add_parameter(
            "gain",
            label="Proportional gain, with sign",
            unit="V/V",
            get_cmd="GAIN?",
            get_parser=float,
            set_cmd="GAIN {:.2g}",
            vals=MultiTypeOr(Numbers(-1000, -0.1), Numbers(0.1, 1000)),
            docstring="±0.1 to ±1000, two digits (``GAIN``).",
        )
        self.integral_rate = number(
            "integral_rate", "INTG", "1/s", "Integral gain over P", 1e-2, 5e5, form=".2g"
        )
        self.derivative_time = number(
            "derivative_time", "DERV", "s", "Derivative gain over P", 1e-6, 10, form=".2g"
        )
        self.proportional_on = self._switch("proportional_on", "PCTL", "Proportional term on")
        self.integral_on = self._switch("integral_on", "ICTL", "Integral term on")
        self.derivative_on = self._switch("derivative_on", "DCTL", "Derivative term on")
        self.offset_on = self._switch("offset_on", "OCTL", "Output offset on")
        self.external_setpoint = self._switch(
            "external_setpoint", "INPT", "Set-point from the external input"
        )
        self.ramp_on = self._switch("ramp_on", "RAMP", "Set-point changes at the ramp rate")
        self.ramp_rate = number(
            "ramp_rate", "RATE", "V/s", "Slew rate of the set-point", 1e-3, 1e4, form=".3g"
        )

    def _add_voltages(self) -> None:
        number = partial(add_number, self)
        self.offset = number("offset", "OFST", "V", "Output offset", -10, 10, form=".3f")
        self.setpoint = number(
            "setpoint", "SETP", "V", "Error-signal voltage to hold", -10, 10, form=".3f"
        )
        low, high = self.output_min, self.output_max
        self.upper_limit = number(
            "upper_limit", "ULIM", "V", "Upper output limit", low, high, form=".2f"
        )
        self.lower_limit = number(
            "lower_limit", "LLIM", "V", "Lower output limit", low, high, form=".2f"
        )
        self.manual_output = number(
            "manual_output", "MOUT", "V", "Released output", low, high, form=".3f"
        )
        self.measured = self._monitor("measured", "MMON", "Error signal")
        self.amplified_error = self._monitor(
            "amplified_error", "EMON", "P times (set-point − measured)"
        )
        self.error: Parameter[float, Self] = self.add_parameter(
            "error",
            label="Measured error signal minus set-point",
            unit="V",
            get_cmd=lambda: float(self.ask("MMON?")) - float(self.ask("SMON?")),
            docstring="Difference of the monitors ``MMON?`` and ``SMON?``.",
        )
        self.output: Parameter[float, Self] = self.add_parameter(
            "output",
            label="Actuator voltage",
            unit="V",
            get_cmd="OMON?",
            get_parser=float,
            set_cmd=self._drive,
            vals=Numbers(low, high),
            docstring="``OMON?``; set while released only (``MOUT``).",
        )
        self.engaged: Parameter[bool, Self] = self.add_parameter(
            "engaged",
            label="Loop closed",
            get_cmd="AMAN?",
            get_parser=lambda reply: bool(_token(reply)),
            docstring="Changed by `engage` and `release` only.",
        )

    def engage(self) -> None:
        """Close the loop; bumpless, because the integrator starts from the present output.

        Raises
        ------
        RuntimeError
            If the integrator is off: then the output would step.
        """
        with self.lock:
            if not self.integral_on():
                message = f"{self.name}: set `integral_on` before engaging, else the output steps"
                raise RuntimeError(message)
            self.write("AMAN 1")
            self._check_engaged(True)

    def release(self) -> None:
        """Open the loop and hold the output where it is, to 1 mV."""
        with self.lock:
            if self.engaged():
                held = min(max(self.output(), self.output_min), self.output_max)
                self.manual_output(held)
                self.write("AMAN 0")
            self._check_engaged(False)

    def lock_state(self) -> "LockState":
        """Tell whether the loop is open, holding, or at an output limit."""
        with self.lock:
            if not self.engaged():
                return "off"
            return "saturated" if int(self.ask("INCR?")) & AT_A_LIMIT else "locked"

    def ramp_setpoint(self, target: float, rate: float) -> None:
        """Let the set-point run to `target` (V) at `rate` (V/s); returns at once."""
        with self.lock:
            self.ramp_rate(rate)
            self.ramp_on(True)
            self.setpoint(target)
            if self.ramp_state() in ("pending", "paused"):
                self.write("STRT 1")

    def ramp_state(self) -> str:
        """Return ``idle``, ``pending``, ``ramping`` or ``paused``."""
        state = _token(self.ask("RMPS?"))
        return next(name.lower() for name, number in RAMP_STATES.items() if number == state)

    def resting_lines(self) -> tuple[str, str]:
        """Return what releases the loop with the output at the middle of its limits."""
        return f"MOUT {self.middle:.3f}", "AMAN 0"

    def _go_to_the_middle(self) -> None:
        for line in self.resting_lines():
            self._send(line)
        self._query("LEXE?")
        self._check_engaged(False)
        now = self.manual_output()
        if not abs(now - self.middle) <= OUTPUT_STEP:
            message = (
                f"{self.name}: the released output must be {self.middle:g} V, but reads {now:g} V; "
                "set it at the front panel"
            )
            raise RuntimeError(message)

    def _is_engaged(self) -> bool:
        return self.engaged()

    def _put_released(self, volts: float) -> None:
        self.manual_output(volts)

    def _narrow_limits(self) -> None:
        upper, lower = float(self.ask("ULIM?")), float(self.ask("LLIM?"))
        wanted = {
            "ULIM": min(max(upper, self.output_min), self.output_max),
            "LLIM": max(min(lower, self.output_max), self.output_min),
        }
        if wanted["ULIM"] == wanted["LLIM"]:
            wanted = {"ULIM": self.output_max, "LLIM": self.output_min}
        order = ["LLIM", "ULIM"] if self.output_max < lower else ["ULIM", "LLIM"]
        present = {"ULIM": upper, "LLIM": lower}
        for limit in order:
            if present[limit] != wanted[limit]:
                self.write(f"{limit} {wanted[limit]:.2f}")
                now = float(self.ask(f"{limit}?"))
                if not abs(now - wanted[limit]) <= LIMIT_STEP / 2:
                    message = (
                        f"{self.name}: {limit} must be {wanted[limit]:g} V, but reads {now:g} V; "
                        "set the output limits at the front panel, then connect again"
                    )
                    raise RuntimeError(message)

    def _monitor(self, name: str, header: str, label: str) -> "Parameter[float, Self]":
        return self.add_parameter(
            name,
            label=label,
            unit="V",
            get_cmd=f"{header}?",
            get_parser=float,
            docstring=f"{label}, measured within 0.5 s (``{header}``).",
        )

    def _switch(self, name: str, header: str, label: str) -> "Parameter[bool, Self]":
        return self.add_parameter(
            name,
            label=label,
            get_cmd=f"{header}?",
            get_parser=lambda reply: bool(_token(reply)),
            set_cmd=f"{header} {{:d}}",
            vals=Bool(),
            docstring=f"{label} (``{header}``).",
        )


def _token(reply: str) -> int:
    word = reply.strip().upper()
    return TOKENS[word] if word in TOKENS else int(word)
