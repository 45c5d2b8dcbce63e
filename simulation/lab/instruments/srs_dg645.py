"""Simulated DG645 delay generator: the trigger of the laboratory."""

import re
from collections.abc import Callable

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import TriggerPort
from simulation.lab.servers.wire import LineConversation

ILLEGAL_VALUE, ILLEGAL_DELAY, ILLEGAL_LINK, UNDEFINED, PARAMETER = 10, 12, 13, 111, 112
INTERNAL, SINGLE = 0, 5
BUSY_RATE = 2
_LINE = re.compile(r"\s*(\*?[A-Z]{3,4})\s*(\??)\s*(.*?)\s*", re.IGNORECASE)
_NUMBERS = {
    "TRAT": (1000.0, 1e-3, 1e6, "{:+.6f}"),
    "TLVL": (1.0, -3.5, 3.5, "{:+.3f}"),
    "HOLD": (0.0, 0.0, 1000.0, "{:+.12f}"),
    "TSRC": (5.0, 0, 6, "{:.0f}"),
}
"""Value at power-on, lowest, highest, format."""


class SimulatedDG645:
    """The generator on a line. It fires while its source is internal, at its own rate.

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
            lambda setting: setting in {*_NUMBERS, "DLAY", "LAMP", "LOFF"}
        )
        self._values = {name: row[0] for name, row in _NUMBERS.items()}
        self._delays = dict.fromkeys(range(2, 10), (0, 0.0))
        self._levels = {(name, output): 2.5 for name in ("LAMP", "LOFF") for output in range(5)}
        self._errors: list[int] = []
        self._publish()

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
            self._set(command, arguments)
        return None

    def _answer(self, command: str, arguments: str) -> str | None:
        replies: dict[str, Callable[[], str]] = {
            "*IDN": lambda: "Stanford Research Systems,DG645,s/n008011,ver1.19.118",
            "LERR": lambda: str(self._errors.pop() if self._errors else 0),
            "INSR": lambda: str(self._events()),
            "TIMB": lambda: "0",
            "DLAY": lambda: self._show_delay(arguments),
        }
        if command in _NUMBERS:
            return _NUMBERS[command][3].format(self._values[command])
        if command in replies:
            return replies[command]()
        self._refuse(UNDEFINED)
        return None

    def _set(self, command: str, arguments: str) -> None:
        try:
            numbers = [float(text) for text in arguments.split(",")]
        except ValueError:
            self._refuse(PARAMETER)
            return
        if command in _NUMBERS and len(numbers) == 1:
            _, low, high, _ = _NUMBERS[command]
            if not low <= numbers[0] <= high:
                self._refuse(ILLEGAL_VALUE)
                return
            self._values[command] = numbers[0]
            self._publish()
        elif command == "DLAY" and len(numbers) == 3:
            self._delay(int(numbers[0]), int(numbers[1]), numbers[2])
        elif command in ("LAMP", "LOFF") and len(numbers) == 2:
            low, high = (0.5, 5.0) if command == "LAMP" else (-3.0, 3.0)
            if (command, int(numbers[0])) in self._levels and low <= numbers[1] <= high:
                self._levels[command, int(numbers[0])] = numbers[1]
            else:
                self._refuse(ILLEGAL_VALUE)
        else:
            self._refuse(UNDEFINED)

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

    def _show_delay(self, arguments: str) -> str:
        reference, seconds = self._delays.get(int(arguments or -1), (0, 0.0))
        return f"{reference},{seconds:+.12f}"

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
