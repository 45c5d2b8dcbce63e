"""Simulated Stahl BS voltage source, as QCoDeS's own driver speaks to it: a voltage per channel."""

import re
from collections.abc import Mapping

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import ActuatorPort
from simulation.lab.servers.wire import LineConversation

IDENTITY = "BS001"
VOLTAGE_RANGE = 10
ACKNOWLEDGE = "\x06"

_LINE = re.compile(rf"{IDENTITY} (?:CH(\d\d) (\d\.\d+)|([UI])(\d\d)|(TEMP|LOCK))")


class SimulatedStahlBS:
    """The source, bipolar, ±10 V; nothing draws current.

    Parameters
    ----------
    ports : mapping of int to ActuatorPort
        By channel, from 1.

    Attributes
    ----------
    faults : InstrumentFaults
        ``stick`` and ``refuse`` with ``CH`` as setting.
    """

    def __init__(self, ports: Mapping[int, ActuatorPort]) -> None:
        self.ports = ports
        self.faults = InstrumentFaults(lambda setting: setting == "CH")

    def conversation(self) -> LineConversation:
        """Begin to talk on a new connection."""
        return LineConversation(self, end=b"\r")

    def execute(self, line: str) -> str | None:
        """Execute one line; return its reply without terminator, None if it has none."""
        if line.strip() == "IDN":
            return f"{IDENTITY} {VOLTAGE_RANGE:03d} {len(self.ports):02d} b"
        found = _LINE.fullmatch(line.strip())
        if found is None:
            return None
        channel, level, what, asked, other = found.groups()
        if channel is not None:
            return self._set(int(channel), float(level))
        if what is not None and int(asked) in self.ports:
            volts = f"{self.ports[int(asked)].voltage:+08.4f}".replace(".", ",")
            return f"{volts} V" if what == "U" else "+0,000 mA"
        return {"TEMP": "TEMP 27°C", "LOCK": "\x10" * (-(-len(self.ports) // 4))}.get(other)

    def _set(self, channel: int, level: float) -> str | None:
        """Set a channel to a level from 0 (lowest voltage) to 1."""
        if channel not in self.ports or level > 1 or self.faults.take("refuse"):
            return None
        if not self.faults.take("stick"):
            self.ports[channel].apply((2 * level - 1) * VOLTAGE_RANGE)
        return ACKNOWLEDGE
