"""Simulated Oxford Triton: the thermometers of the world's cryostat, as QCoDeS's driver reads them.

Formats are those that QCoDeS's driver parses.
"""

import re
from threading import RLock

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import ThermometerPort
from simulation.lab.servers.wire import LineConversation

_SENSOR = re.compile(r"DEV:T(\d+):TEMP:(SIG:TEMP|MEAS:ENAB)")


class SimulatedTriton:
    """The cryostat's control program; read only, no magnet. Thread-safe.

    Parameters
    ----------
    port : ThermometerPort
    names : dict of str to int, optional
        Sensor number of each name.
    """

    def __init__(
        self, port: ThermometerPort | None = None, names: dict[str, int] | None = None
    ) -> None:
        self.port = port or ThermometerPort()
        self.names = names or {"MC": 8, "STIL": 7, "PT2": 2}
        self.lock = RLock()
        self.faults = InstrumentFaults(lambda _: False)
        self._fixed = {
            "SYS:DR:ACTN": "NONE",
            "SYS:DR:STATUS": "OK",
            "SYS:TIME": "00:00:00",
            "SYS:DR:CHAN": ":".join(self.names),
            "SYS:VRM:ACTN": "INVALID",
        }
        self._fixed |= {f"SYS:DR:CHAN:{name}": f"T{number}" for name, number in self.names.items()}

    def conversation(self) -> LineConversation:
        """Begin to talk on a new connection."""
        return LineConversation(self)

    def execute(self, line: str) -> str | None:
        """Execute a line; every line has a reply."""
        text = line.strip()
        if text == "*IDN?":
            return "IDN:OXFORD INSTRUMENTS:TRITON DR:SIMULATED:0"
        if text.startswith("READ:"):
            path = text.removeprefix("READ:")
            return f"STAT:{path}:{self._read(path)}"
        return f"STAT:{text}:INVALID"

    def _read(self, path: str) -> str:
        if path in self._fixed:
            return self._fixed[path]
        if (found := _SENSOR.fullmatch(path)) and int(found[1]) in self.names.values():
            if found[2] == "MEAS:ENAB":
                return "ON"
            kelvin = self.port.temperature(int(found[1]))
            return "NOT_FOUND" if kelvin is None else f"{kelvin:.6f}K"
        return "NOT_FOUND"
