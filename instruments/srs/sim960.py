"""Stanford Research Systems SIM960 analog PID controller: directly, or in a SIM900 mainframe.

Facts are those of the manual, revision 2.3. Not verified on hardware. The module has no protection
against wrong supply voltages: power it from a mainframe, also when the line is direct.
"""

import re
from abc import abstractmethod
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING

from qcodes.instrument import Instrument
from qcodes.validators import Bool, MultiTypeOr, Numbers

from instruments.bases.parameters import Declared, add_parameters, number, number_in, reading
from instruments.bases.safe_state import Servo, check_output_limits
from instruments.links.visa import VisaLink
from instruments.srs.sim900 import SRSSIM900, check_line

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import InstrumentBaseKWArgs, VisaInstrumentKWArgs

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
SIGNED = r"[+-]\d{1,2}\.\d+(?:E[+-]\d+)?"
"""How the module answers with numbers: always with a sign, which no stray digit can precede."""
OUTPUT_STEP, LIMIT_STEP = 1e-3, 10e-3
"""Steps in which the output and its limits are set, V."""


def _token(reply: str) -> int:
    word = reply.strip().upper()
    return TOKENS[word] if word in TOKENS else int(word)


def _value(reply: str) -> float:
    return number_in(reply, SIGNED)


_number = partial(number, get_parser=_value)


def _switch(header: str, label: str) -> Declared[bool]:
    return Declared[bool](
        label,
        get=f"{header}?",
        get_parser=lambda reply: bool(_token(reply)),
        set=f"{header} {{:d}}",
        vals=Bool(),
        doc=f"{label} (``{header}``).",
    )


def kept_digits(smallest_step: float, value: float) -> str:
    """Write a value with the digits that the module keeps: two, but no finer than a step."""
    two = float(f"{value:.2g}")
    return f"{round(two / smallest_step) * smallest_step:.2g}"


def _two_digits(
    header: str, unit: str, label: str, low: float, high: float, *, smallest_step: float
) -> Declared[float]:
    return _number(
        header,
        unit,
        label,
        low,
        high,
        set=f"{header} {{}}",
        set_parser=partial(kept_digits, smallest_step),
        doc=f"{label}; rounded to two digits, not below {smallest_step:g} (``{header}``).",
    )


def _bounded(header: str, label: str, form: str) -> Declared[float]:
    """Declare a voltage within what the actuator bears."""
    return _number(header, "V", label, -10, 10, form=form, vals=Servo.bounds)


def _monitor(header: str, label: str) -> Declared[float]:
    doc = f"{label}, measured within 0.5 s (``{header}``)."
    return reading(f"{header}?", "V", label, get_parser=_value, doc=doc)


class SIM960Servo(Servo):
    """Base of the SIM960 drivers; fulfils `instruments.roles.PhaseLock`.

    Output = P (ε + I ∫ε dt + D dε/dt) + offset with ε = set-point − measured, within the limits:
    the integral and derivative gains are multiplied by P. All settings outlast a power cycle.

    Connecting narrows the output limits to the given ones and changes nothing else. ``*RST`` is
    never sent, because it leaves the output live within ±10 V. Safe state: released, output at the
    middle of the limits. Thread-safe: a command and the check for its errors hold `lock` together.
    """

    gain = reading(
        "GAIN?",
        "V/V",
        "Proportional gain, with sign",
        get_parser=_value,
        set="GAIN {}",
        set_parser=partial(kept_digits, 0.1),
        vals=MultiTypeOr(Numbers(-1000, -0.1), Numbers(0.1, 1000)),
        doc="±0.1 to ±1000, rounded to two digits, not below 0.1 (``GAIN``).",
    )
    integral_rate = _two_digits(
        "INTG", "1/s", "Integral gain over P", 1e-2, 5e5, smallest_step=1e-2
    )
    derivative_time = _two_digits(
        "DERV", "s", "Derivative gain over P", 1e-6, 10, smallest_step=1e-6
    )
    proportional_on = _switch("PCTL", "Proportional term on")
    integral_on = _switch("ICTL", "Integral term on")
    derivative_on = _switch("DCTL", "Derivative term on")
    offset_on = _switch("OCTL", "Output offset on")
    external_setpoint = _switch("INPT", "Set-point from the external input")
    ramp_on = _switch("RAMP", "Set-point changes at the ramp rate")
    ramp_rate = _two_digits(
        "RATE", "V/s", "Slew rate of the set-point", 1e-3, 1e4, smallest_step=1e-3
    )
    offset = _number("OFST", "V", "Output offset", -10, 10, form=".3f")
    setpoint = _number("SETP", "V", "Error-signal voltage to hold", -10, 10, form=".3f")
    upper_limit = _bounded("ULIM", "Upper output limit", ".2f")
    lower_limit = _bounded("LLIM", "Lower output limit", ".2f")
    manual_output = _bounded("MOUT", "Released output", ".3f")
    measured = _monitor("MMON", "Error signal")
    amplified_error = _monitor("EMON", "P times (set-point − measured)")
    error = Declared[float](
        "Measured error signal minus set-point",
        "V",
        get=lambda self: _value(self.ask("MMON?")) - _value(self.ask("SMON?")),
        doc="Difference of the monitors ``MMON?`` and ``SMON?``.",
    )
    output = reading(
        "OMON?",
        "V",
        "Actuator voltage",
        get_parser=_value,
        set=Servo.drive,
        vals=Servo.bounds,
        doc="``OMON?``; set while released only (``MOUT``).",
    )
    engaged = Declared[bool](
        "Loop closed",
        get="AMAN?",
        get_parser=lambda reply: bool(_token(reply)),
        doc="Changed by `engage` and `release` only.",
    )

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
        add_parameters(self)
        self._query("LEXE?")
        self._query("LCME?")
        self._narrow_limits()

    def engage(self, near: float | None = None) -> None:
        """Close the loop; bumpless, because the integrator starts from the present output.

        Parameters
        ----------
        near : float, optional
            Put the output here before, V.

        Raises
        ------
        RuntimeError
            If the integrator is off: then the output would step. If the set-point comes from
            elsewhere: then `setpoint` is not what the loop holds.
        """
        with self.lock:
            if not self.integral_on():
                message = f"{self.name}: set `integral_on` before engaging, else the output steps"
                raise RuntimeError(message)
            if self.external_setpoint.get():
                message = (
                    f"{self.name}: `external_setpoint` must be False before engaging, but is True: "
                    "the loop would not hold `setpoint`"
                )
                raise RuntimeError(message)
            if near is not None:
                self.output(near)
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
        """Let the set-point run to `target` (V) at `rate` (V/s); returns at once.

        Raises
        ------
        RuntimeError
            If a ramp is running or paused, or this one does not start by itself.
        """
        with self.lock:
            if (state := self.ramp_state()) in ("ramping", "paused"):
                message = (
                    f"{self.name}: a new ramp of the set-point must wait for the end of the one "
                    f"that is {state}; pause_ramp and resume_ramp act on that one"
                )
                raise RuntimeError(message)
            self.ramp_rate(rate)
            self.ramp_on(True)
            self.setpoint(target)
            if self.ramp_state() == "pending":
                message = (
                    f"{self.name}: the ramp waits for the start button at the front panel; press it"
                )
                raise RuntimeError(message)

    def pause_ramp(self) -> None:
        """Hold the set-point of a running ramp where it is."""
        self.write("STRT 0")

    def resume_ramp(self) -> None:
        """Let a paused ramp go on."""
        self.write("STRT 1")

    def ramp_state(self) -> str:
        """Return ``idle``, ``pending``, ``ramping`` or ``paused``."""
        state = _token(self.ask("RMPS?"))
        return next(name.lower() for name, number in RAMP_STATES.items() if number == state)

    def _resting_lines(self) -> tuple[str, str]:
        """Return what releases the loop with the output at the middle of its limits."""
        return f"MOUT {self.middle:.3f}", "AMAN 0"

    def _make_safe(self) -> None:
        for line in self._resting_lines():
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
        upper, lower = _value(self.ask("ULIM?")), _value(self.ask("LLIM?"))
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
                now = _value(self.ask(f"{limit}?"))
                if not abs(now - wanted[limit]) <= LIMIT_STEP / 2:
                    message = (
                        f"{self.name}: {limit} must be {wanted[limit]:g} V, but reads {now:g} V; "
                        "set the output limits at the front panel, then connect again"
                    )
                    raise RuntimeError(message)


class SRSSIM960(SIM960Servo, VisaLink):
    """SIM960 on a serial line of its own.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name of the serial line.
    output_min, output_max : float
        Voltages that the actuator bears, V: they depend on the piezo and have no default.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "SIM960"
    default_terminator = "\r\n"
    hardware_handshake = True

    def __init__(
        self,
        name: str,
        address: str,
        *,
        output_min: float,
        output_max: float,
        **kwargs: "Unpack[VisaInstrumentKWArgs]",
    ) -> None:
        super().__init__(name, address, **kwargs)
        try:
            self.prepare(output_min, output_max)
        except BaseException:
            self.close()
            raise

    def _send_ahead(self) -> None:
        self.send_blindly(*self._resting_lines())

    def _send(self, line: str) -> None:
        VisaLink.write_raw(self, line)

    def _query(self, line: str) -> str:
        return VisaLink.ask_raw(self, line)


class SRSSIM960InFrame(SIM960Servo):
    """SIM960 in a slot of a SIM900 mainframe.

    Parameters
    ----------
    name : str
        Name in the station.
    mainframe : SRSSIM900 or str
        The mainframe's driver, or its name in the station.
    slot : int
        1 to 8.
    output_min, output_max : float
        Voltages that the actuator bears, V: they depend on the piezo and have no default.
    **kwargs
        Of `qcodes.instrument.Instrument`.
    """

    def __init__(
        self,
        name: str,
        mainframe: SRSSIM900 | str,
        slot: int,
        *,
        output_min: float,
        output_max: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        super().__init__(name, **kwargs)
        if isinstance(mainframe, str):
            mainframe = Instrument.find_instrument(mainframe, SRSSIM900)
        self.lock = RLock()
        self.port = mainframe.port(slot)
        reply = self.port.ask("*IDN?")
        if not re.search("SIM960", reply):
            message = (
                f"{name}: the module in slot {slot} of {mainframe.name} must be a SIM960, "
                f"but answers {reply!r}; correct the slot"
            )
            raise ValueError(message)
        self.prepare(output_min, output_max)

    def _send(self, line: str) -> None:
        self.port.write(line)

    def _query(self, line: str) -> str:
        return self.port.ask(line)
