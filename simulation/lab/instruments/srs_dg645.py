"""Simulated DG645 delay generator: the trigger of the laboratory."""

import re
from collections.abc import Callable

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import TriggerPort
from simulation.lab.servers.scpi_values import plain_number
from simulation.lab.servers.wire import LineConversation

ILLEGAL_VALUE, ILLEGAL_DELAY, ILLEGAL_LINK, UNDEFINED, PARAMETER = 10, 12, 13, 111, 112
INTERNAL, SINGLE = 0, 5
BUSY_RATE = 2
MOST = 2**31 - 1
_LINE = re.compile(r"\s*(\*?[A-Z]{3,4})\s*(\??)\s*(.*?)\s*", re.IGNORECASE)
_NUMBERS = {
    "TRAT": (1000.0, 1e-3, 1e6, "{:+.6f}"),
    "TLVL": (1.0, -3.5, 3.5, "{:+.3f}"),
    "HOLD": (0.0, 0.0, 1000.0, "{:+.12f}"),
    "BURP": (1e-4, 1e-7, 2000.0, "{:+.12f}"),
    "TSRC": (5, 0, 6, "{:d}"),
    "INHB": (0, 0, 5, "{:d}"),
    "ADVT": (0, 0, 1, "{:d}"),
    "BURM": (0, 0, 1, "{:d}"),
    "BURC": (5, 1, MOST, "{:d}"),
    "BURT": (0, 0, 1, "{:d}"),
}
"""Value at power-on, lowest, highest, format; whole numbers where the format is one."""
_INDEXED = {
    "LAMP": (range(5), 2.5, 0.5, 5.0, "{:+.2f}"),
    "LOFF": (range(5), 0.0, -3.0, 3.0, "{:+.2f}"),
    "LPOL": (range(5), 1, 0, 1, "{:d}"),
    "PRES": (range(5), 1, 1, MOST, "{:d}"),
    "PHAS": (range(1, 5), 0, 0, MOST, "{:d}"),
}
"""The same for settings that each output or prescaler has, after their numbers."""
_ARGUMENTS = dict.fromkeys(_NUMBERS, 1) | dict.fromkeys(_INDEXED, 2) | {"LINK": 2, "DLAY": 3}


class SimulatedDG645:
    """The generator on a line. It fires while its source is internal, at its own rate.

    Prescalers, inhibit and bursts keep their settings and move nothing.

    Parameters
    ----------
    port : TriggerPort, optional

    Attributes
    ----------
    faults : InstrumentFaults
        ``stick`` and ``refuse`` with a command as setting.
    """

    def __init__(self, port: TriggerPort | None = None) -> None:
        self.port = port or TriggerPort()
        self.faults = InstrumentFaults(
            lambda setting: setting in {*_NUMBERS, *_INDEXED, "DLAY", "LINK"}
        )
        self._errors: list[int] = []
        self._reset()

    def conversation(self) -> LineConversation:
        """Begin to talk on a new connection."""
        return LineConversation(self)

    def execute(self, line: str) -> str | None:
        """Execute one line; return its reply without terminator, None if it has none."""
        found = _LINE.fullmatch(line)
        if found is None:
            self._refuse(UNDEFINED)
            return None
        command, is_query, arguments = found[1].upper(), bool(found[2]), found[3]
        if is_query:
            return self._answer(command, arguments)
        if self.faults.take("refuse", acts_on=lambda setting: setting == command):
            self._refuse(ILLEGAL_VALUE)
        elif not self.faults.take("stick", acts_on=lambda setting: setting == command):
            self._obey(command, arguments)
        return None

    def _reset(self) -> None:
        self._values = {name: row[0] for name, row in _NUMBERS.items()}
        self._delays = dict.fromkeys(range(2, 10), (0, 0.0))
        self._levels = {(name, n): row[1] for name, row in _INDEXED.items() for n in row[0]}
        self._publish()

    # --- queries ------------------------------------------------------------------------------

    def _answer(self, command: str, arguments: str) -> str | None:
        replies: dict[str, Callable[[], str]] = {
            "*IDN": lambda: "Stanford Research Systems,DG645,s/n008011,ver1.19.118",
            "*OPC": lambda: "1",
            "LERR": lambda: str(self._errors.pop() if self._errors else 0),
            "INSR": lambda: str(self._events()),
            "TIMB": lambda: "0",
        }
        if command in replies or command in _NUMBERS:
            if arguments:
                self._refuse(PARAMETER)
                return None
            if command in replies:
                return replies[command]()
            return _NUMBERS[command][3].format(self._values[command])
        if command in _INDEXED or command in ("DLAY", "LINK"):
            return self._show_indexed(command, arguments)
        self._refuse(UNDEFINED)
        return None

    def _show_indexed(self, command: str, arguments: str) -> str | None:
        numbers = self._read(arguments, 1)
        if numbers is None or not numbers[0].is_integer():
            self._refuse(PARAMETER)
            return None
        number = int(numbers[0])
        if (command, number) in self._levels:
            return _INDEXED[command][4].format(self._levels[command, number])
        if command in ("DLAY", "LINK") and number in self._delays:
            reference, seconds = self._delays[number]
            return f"{reference},{seconds:+.12f}" if command == "DLAY" else str(reference)
        self._refuse(ILLEGAL_VALUE)
        return None

    # --- commands -----------------------------------------------------------------------------

    def _obey(self, command: str, arguments: str) -> None:
        if command not in _ARGUMENTS:
            self._obey_common(command, arguments)
        elif (numbers := self._read(arguments, _ARGUMENTS[command])) is None:
            self._refuse(PARAMETER)
        elif command in _NUMBERS:
            _, low, high, form = _NUMBERS[command]
            if self._fits(numbers[0], low, high, form):
                self._values[command] = _kept(numbers[0], form)
                self._publish()
        elif command in _INDEXED:
            self._set_level(command, int(numbers[0]), numbers[1])
        else:
            channel = int(numbers[0])
            same = self._delays.get(channel, (0, 0.0))[1]
            self._delay(channel, int(numbers[1]), numbers[2] if command == "DLAY" else same)

    def _obey_common(self, command: str, arguments: str) -> None:
        if arguments or command not in ("*CLS", "*RST", "*TRG"):
            self._refuse(PARAMETER if command.startswith("*") else UNDEFINED)
        elif command == "*RST":
            self._reset()
        elif command == "*CLS":
            self._errors.clear()

    @staticmethod
    def _read(arguments: str, wanted: int) -> list[float] | None:
        """Return so many numbers, all but the last one whole; None otherwise."""
        try:
            numbers = [plain_number(text) for text in arguments.split(",")]
        except ValueError:
            return None
        whole = all(number.is_integer() for number in numbers[:-1])
        return numbers if whole and len(numbers) == wanted else None

    def _fits(self, value: float, low: float, high: float, form: str) -> bool:
        if low <= value <= high and (form != "{:d}" or value.is_integer()):
            return True
        self._refuse(ILLEGAL_VALUE)
        return False

    def _set_level(self, command: str, number: int, value: float) -> None:
        _, _, low, high, form = _INDEXED[command]
        if (command, number) not in self._levels:
            self._refuse(ILLEGAL_VALUE)
        elif self._fits(value, low, high, form):
            self._levels[command, number] = _kept(value, form)

    def _delay(self, channel: int, reference: int, seconds: float) -> None:
        if channel not in self._delays or reference not in {0, 1, *self._delays}:
            self._refuse(ILLEGAL_VALUE)
        elif channel == reference or self._leads_to(reference, channel):
            self._refuse(ILLEGAL_LINK)
        elif not 0 <= seconds <= 2000:
            self._refuse(ILLEGAL_DELAY)
        else:
            self._delays[channel] = reference, seconds

    def _leads_to(self, start: int, end: int) -> bool:
        """Tell whether a channel is linked, over others, to another one."""
        while start in self._delays:
            start = self._delays[start][0]
            if start == end:
                return True
        return False

    def _after_trigger(self, channel: int) -> float:
        """Return the time of a channel's edge after the trigger, s."""
        total = 0.0
        while channel in self._delays:
            channel, seconds = self._delays[channel]
            total += seconds
        return total

    def _events(self) -> int:
        """Tell triggers that came while busy: the rate is faster than the longest delay."""
        longest = max(self._after_trigger(channel) for channel in self._delays)
        busy = self.port.rate and self.port.rate * longest >= 1
        return BUSY_RATE if busy else 0

    def _refuse(self, code: int) -> None:
        self._errors.append(code)

    def _publish(self) -> None:
        fires = self._values["TSRC"] == INTERNAL
        self.port.rate = self._values["TRAT"] if fires else 0.0


def _kept(value: float, form: str) -> float:
    return int(value) if form == "{:d}" else value
