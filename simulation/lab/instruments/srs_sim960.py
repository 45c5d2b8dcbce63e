"""Simulated SIM960 analog PID controller: 32-byte lines, LEXE and LCME codes, no error queue."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import copysign
from threading import RLock

from simulation.lab.clock import VirtualClock
from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.phase_lock import LockPort, LockSettings
from simulation.lab.servers.scpi_values import plain_number
from simulation.lab.servers.wire import LineConversation

BUFFER_BYTES = 32
ILLEGAL_VALUE, WRONG_TOKEN, MISSING, NO_CHANGE, IN_RAMP, LIMITS = 1, 2, 17, 18, 20, 21
UNDEFINED_COMMAND, ILLEGAL_SET = 2, 4
UPPER_BIT, LOWER_BIT, WINDUP_BIT, AT_REST_BIT = 2, 4, 8, 16
OVERRUN_BIT = 8
MONITORS = ("SMON", "MMON", "EMON", "OMON")
MONITOR_SECONDS = 0.5
"""Time of one reading; the module makes about two per second."""

RAMP_STATES = ("IDLE", "PENDING", "RAMPING", "PAUSED")
IDLE, _, RAMPING, PAUSED = range(4)
RAMP_INTERVAL = 0.01
"""Virtual seconds between two values that a ramp shows to the world."""


@dataclass(frozen=True, slots=True)
class _Number:
    """A fixed-point number, or one of two digits whose exponent is at least `exponent`."""

    low: float
    high: float
    form: str | int
    default: float

    def show(self, value: float) -> str:
        if isinstance(self.form, str):
            return format(value, self.form)
        exponent = self._exponent(value)
        return f"{value / 10.0**exponent:+.1f}E{exponent:+d}"

    def kept(self, value: float) -> float:
        """Return a value with the digits that the module keeps."""
        if isinstance(self.form, str):
            return float(format(value, self.form))
        return round(value, 1 - self._exponent(value))

    def _exponent(self, value: float) -> int:
        assert isinstance(self.form, int)
        written = int(format(value, ".1E").partition("E")[2]) if value else self.form
        return max(self.form, written)


@dataclass(frozen=True, slots=True)
class _Token:
    words: tuple[str, str]
    default: int


_ON_OFF = ("OFF", "ON")
_SETTINGS: dict[str, _Number | _Token] = {
    "PCTL": _Token(_ON_OFF, 1),
    "ICTL": _Token(_ON_OFF, 0),
    "DCTL": _Token(_ON_OFF, 0),
    "OCTL": _Token(_ON_OFF, 0),
    "AMAN": _Token(("MAN", "PID"), 1),
    "INPT": _Token(("INT", "EXT"), 1),
    "RAMP": _Token(_ON_OFF, 0),
    "TOKN": _Token(_ON_OFF, 0),
    "GAIN": _Number(-1000, 1000, 0, 1),
    "INTG": _Number(1e-2, 5e5, -1, 1),
    "DERV": _Number(1e-6, 10, -5, 1e-6),
    "OFST": _Number(-10, 10, "+.3f", 0),
    "SETP": _Number(-10, 10, "+.3f", 0),
    "MOUT": _Number(-10, 10, "+.3f", 0),
    "RATE": _Number(1e-3, 1e4, -2, 1),
    "ULIM": _Number(-10, 10, "+.2f", 10),
    "LLIM": _Number(-10, 10, "+.2f", -10),
}
_LINE = re.compile(r"(\*?[A-Z]{3,4})(\?)?\s*(.*)")


class _Refused(Exception):  # noqa: N818  # a code on its way to LEXE or LCME, not an error here
    def __init__(self, *, execution: int = 0, command: int = 0) -> None:
        super().__init__()
        self.execution, self.command = execution, command


class SimulatedSIM960:
    """The controller on a serial line, or as a module of a simulated SIM900. Thread-safe.

    As left by a careful user: released, integrator on, output 0 V. With RAMP on, SETP begins a
    ramp by itself, in virtual time; STRT only pauses it and lets it go on. That SETP is refused
    during a ramp is a guess: the manual has the error, but not when it comes. Not simulated:
    endless monitor streams, the speed of the line, front-panel entry and with it pending ramps.

    Parameters
    ----------
    port : LockPort
    clock : VirtualClock, optional
        On which set-point ramps and monitor readings take their time.
    """

    def __init__(self, port: LockPort | None = None, clock: VirtualClock | None = None) -> None:
        self.port = port or LockPort()
        self.clock = clock or VirtualClock()
        self.lock = RLock()
        self.faults = InstrumentFaults(lambda header: header.upper() in _SETTINGS)
        self.values: dict[str, float] = {}
        self.setpoint = 0.0
        self.ramp_state = IDLE
        self._ramped_at = 0.0
        self._execution = self._command = self._latched = self._events = 0
        self._known = AT_REST_BIT
        self._reset()
        self.values |= {"AMAN": 0, "ICTL": 1, "INPT": 0}
        self._publish()
        self._queries: dict[str, Callable[[], str]] = {
            "*IDN": lambda: "Stanford_Research_Systems,SIM960,s/n003173,ver2.15",
            "*OPC": lambda: "1",
            "*TST": lambda: "0",
            "*ESR": lambda: self._take("_events"),
            "LEXE": lambda: self._take("_execution"),
            "LCME": lambda: self._take("_command"),
            "INCR": lambda: str(self._conditions()),
            "INSR": self._take_latched,
            "RMPS": lambda: self._show_token(RAMP_STATES, self.ramp_state),
            "MMON": lambda: _volts(self.port.read().measured),
            "SMON": lambda: _volts(self.setpoint),
            "OMON": lambda: _volts(self.port.read().output),
            "EMON": self._amplified_error,
            "APOL": lambda: self._show_token(("NEG", "POS"), int(self.values["GAIN"] > 0)),
        }

    def conversation(self) -> LineConversation:
        """Begin to talk on a new connection."""
        return LineConversation(self)

    def execute(self, line: str) -> str | None:
        """Execute a line; return the reply without terminator, or ``None``."""
        with self.lock:
            self._go_on()
            if len(line) >= BUFFER_BYTES:
                self._events |= OVERRUN_BIT
                return None
            try:
                return self._run(line)
            except _Refused as refused:
                self._execution = refused.execution or self._execution
                self._command = refused.command or self._command
                return None

    def _run(self, line: str) -> str | None:
        found = _LINE.fullmatch(line.strip().upper())
        if not found:
            raise _Refused(command=UNDEFINED_COMMAND)
        name, query, argument = found.groups()
        if query:
            return self._answer(name)
        self._obey(name, argument)
        return None

    def _answer(self, name: str) -> str:
        if name in MONITORS:
            self.clock.advance(MONITOR_SECONDS)
            self._go_on()
        if name in self._queries:
            return self._queries[name]()
        setting = _SETTINGS.get(name)
        if setting is None:
            raise _Refused(command=UNDEFINED_COMMAND)
        if isinstance(setting, _Token):
            return self._show_token(setting.words, int(self.values[name]))
        return setting.show(self.values[name])

    def _obey(self, name: str, argument: str) -> None:
        if name in _SETTINGS:
            self._set(name, argument)
        elif name == "*RST":
            self._reset()
        elif name == "*CLS":
            self._execution = self._command = self._latched = self._events = 0
        elif name == "APOL":
            sign = 1 if self._read_token(("NEG", "POS"), argument) else -1
            self.values["GAIN"] = copysign(self.values["GAIN"], sign)
        elif name == "STRT":
            self._start_or_stop(self._read_token(("STOP", "START"), argument))
        elif name != "SOUT":
            known = ILLEGAL_SET if name in self._queries else UNDEFINED_COMMAND
            raise _Refused(command=known)
        self._publish()

    # --- settings -------------------------------------------------------------------------------

    def _set(self, name: str, argument: str) -> None:
        value = self._read(name, argument)
        if self.faults.take("refuse", acts_on=lambda header: header.upper() == name):
            raise _Refused(execution=ILLEGAL_VALUE)
        if self.faults.take("stick", acts_on=lambda header: header.upper() == name):
            return
        if name == "SETP" and self.ramp_state in (RAMPING, PAUSED):
            raise _Refused(execution=IN_RAMP)
        limits = {limit: self.values.get(limit, 0.0) for limit in ("LLIM", "ULIM")} | {name: value}
        if limits["LLIM"] > limits["ULIM"]:
            raise _Refused(execution=LIMITS)
        before = self.values[name]
        self.values[name] = value
        if name == "SETP":
            self._begin(value)
        if before == value:
            raise _Refused(execution=NO_CHANGE)

    def _read(self, name: str, argument: str) -> float:
        setting = _SETTINGS[name]
        if not argument:
            raise _Refused(execution=MISSING)
        if isinstance(setting, _Token):
            return self._read_token(setting.words, argument)
        try:
            value = plain_number(argument)
        except ValueError:
            raise _Refused(execution=ILLEGAL_VALUE) from None
        too_small = name == "GAIN" and abs(value) < 0.1
        if not setting.low <= value <= setting.high or too_small:
            raise _Refused(execution=ILLEGAL_VALUE)
        return setting.kept(value)

    @staticmethod
    def _read_token(words: tuple[str, ...], argument: str) -> int:
        if not argument:
            raise _Refused(execution=MISSING)
        if argument in words:
            return words.index(argument)
        if argument in [str(number) for number in range(len(words))]:
            return int(argument)
        raise _Refused(execution=WRONG_TOKEN)

    def _show_token(self, words: tuple[str, ...], value: int) -> str:
        return words[value] if self.values["TOKN"] else str(value)

    def _reset(self) -> None:
        """Take the state of ``*RST``: live, within ±10 V."""
        self.values = {name: setting.default for name, setting in _SETTINGS.items()}
        self.setpoint = 0.0
        self.ramp_state = IDLE

    # --- set-point ramp -------------------------------------------------------------------------

    def _begin(self, target: float) -> None:
        if not self.values["RAMP"]:
            self.setpoint = target
        elif self.setpoint != target:
            self._run_ramp()

    def _run_ramp(self) -> None:
        self.ramp_state, self._ramped_at = RAMPING, self.clock.now()
        self._conditions()
        self._plan()

    def _plan(self) -> None:
        self.clock.at(self.clock.now() + RAMP_INTERVAL, self._tick)

    def _tick(self) -> None:
        if self.ramp_state == RAMPING:
            self._go_on()
            self._publish()
        if self.ramp_state == RAMPING:
            self._plan()

    def _go_on(self) -> None:
        """Bring a running ramp to the present time."""
        if self.ramp_state != RAMPING:
            return
        now = self.clock.now()
        reach, self._ramped_at = (now - self._ramped_at) * self.values["RATE"], now
        left = self.values["SETP"] - self.setpoint
        if abs(left) <= reach:
            self.setpoint, self.ramp_state = self.values["SETP"], IDLE
            self._conditions()
        else:
            self.setpoint += copysign(reach, left)

    def _start_or_stop(self, start: int) -> None:
        if start and self.ramp_state == PAUSED:
            self._run_ramp()
        elif not start and self.ramp_state == RAMPING:
            self.ramp_state = PAUSED

    # --- status and world -----------------------------------------------------------------------

    def _take(self, register: str) -> str:
        value: int = getattr(self, register)
        setattr(self, register, 0)
        return str(value)

    def _conditions(self) -> int:
        limit = self.port.read().limit if self.values["AMAN"] else 0
        bits = {1: UPPER_BIT | WINDUP_BIT, 0: 0, -1: LOWER_BIT | WINDUP_BIT}[limit]
        bits |= 0 if self.ramp_state in (RAMPING, PAUSED) else AT_REST_BIT
        self._latched |= bits & ~self._known
        self._known = bits
        return bits

    def _take_latched(self) -> str:
        self._conditions()
        return self._take("_latched")

    def _amplified_error(self) -> str:
        return _volts(self.values["GAIN"] * (self.setpoint - self.port.read().measured))

    def _publish(self) -> None:
        value = self.values
        self.port.configure(
            LockSettings(
                engaged=bool(value["AMAN"]),
                gain=value["GAIN"],
                proportional=bool(value["PCTL"]),
                integral_rate=value["INTG"] if value["ICTL"] else 0.0,
                derivative_time=value["DERV"] if value["DCTL"] else 0.0,
                offset=value["OFST"] if value["OCTL"] else 0.0,
                manual_output=value["MOUT"],
                setpoint=self.setpoint if not value["INPT"] else 0.0,
                low=value["LLIM"],
                high=value["ULIM"],
            )
        )


def _volts(value: float) -> str:
    return format(value, "+010.6f")
