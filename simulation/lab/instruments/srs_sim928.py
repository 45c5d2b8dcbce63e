"""Simulated SIM928 isolated voltage source in a SIM900: bias of a detector through a resistor.

The formats of its replies and its output at power-on are not public: here a signed number with
three decimals, 0 or 1, and off.
"""

import re

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import BiasPort
from simulation.lab.servers.scpi_values import plain_number

ILLEGAL_VALUE, WRONG_TOKEN, UNDEFINED_COMMAND = 1, 2, 2
OVERLOAD, SWITCHED_OVER = 1, 4
LIMIT, CURRENT_LIMIT = 20.0, 10e-3
SWITCH = {"0": False, "1": True, "OFF": False, "ON": True}
_LINE = re.compile(r"\s*(\*?[A-Z]{3,4})\s*(\??)\s*(.*?)\s*", re.IGNORECASE)


class SimulatedSIM928:
    """The module, as a line protocol.

    Parameters
    ----------
    port : BiasPort, optional
    resistance : float
        In series with the detector, Ω.

    Attributes
    ----------
    faults : InstrumentFaults
        ``stick`` and ``refuse`` with setting ``VOLT``, ``OPON``, ``OPOF`` or ``EXON``.
    """

    SETTINGS = ("VOLT", "OPON", "OPOF", "EXON")

    def __init__(self, port: BiasPort | None = None, resistance: float = 100e3) -> None:
        self.port = port or BiasPort()
        self.resistance = resistance
        self.faults = InstrumentFaults(lambda setting: setting in self.SETTINGS)
        self._volts, self._on = 0.0, False
        self._execution_error = self._command_error = self._events = 0

    def switch_battery(self) -> None:
        """Change over to the other battery."""
        self._events |= SWITCHED_OVER

    def execute(self, line: str) -> str | None:
        """Execute one line; return its reply without terminator, None if it has none."""
        found = _LINE.fullmatch(line)
        if found is None:
            self._command_error = UNDEFINED_COMMAND
            return None
        command, is_query, argument = found[1].upper(), bool(found[2]), found[3]
        if is_query:
            return self._answer(command)
        if command == "*CLS":
            self._execution_error = self._command_error = self._events = 0
        elif command not in self.SETTINGS:
            self._command_error = UNDEFINED_COMMAND
        elif self.faults.take("refuse", acts_on=lambda setting: setting == command):
            self._execution_error = ILLEGAL_VALUE
        elif not self.faults.take("stick", acts_on=lambda setting: setting == command):
            self._set(command, argument)
        return None

    def _answer(self, command: str) -> str | None:
        match command:
            case "*IDN":
                return "Stanford_Research_Systems,SIM928,s/n028001,ver2.2"
            case "VOLT":
                return f"{self._volts:+.3f}"
            case "EXON":
                return str(int(self._on))
            case "TERM":
                return "3"  # CR LF
            case "BAUD":
                return "9470"  # what 9600 becomes
            case "OVSR":
                events, self._events = self._events, 0
                return str(events)
            case "LEXE":
                error, self._execution_error = self._execution_error, 0
                return str(error)
            case "LCME":
                error, self._command_error = self._command_error, 0
                return str(error)
            case _:
                self._command_error = UNDEFINED_COMMAND
                return None

    def _set(self, command: str, argument: str) -> None:
        if command == "VOLT":
            try:
                volts = plain_number(argument)
            except ValueError:
                self._execution_error = ILLEGAL_VALUE
                return
            if abs(volts) > LIMIT:
                self._execution_error = ILLEGAL_VALUE
                return
            self._volts = round(volts, 3)
        elif command == "EXON":
            if argument.upper() not in SWITCH:
                self._execution_error = WRONG_TOKEN
                return
            self._on = SWITCH[argument.upper()]
        else:
            self._on = command == "OPON"
        current = self._volts / self.resistance if self._on else 0.0
        if abs(current) > CURRENT_LIMIT:
            self._events |= OVERLOAD
        self.port.apply(current)
