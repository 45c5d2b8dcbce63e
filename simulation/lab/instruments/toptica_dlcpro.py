"""Simulated Toptica DLC pro: the command line of its controller, and one laser."""

import re
from collections.abc import Iterator

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import LaserPort, LaserState
from simulation.lab.servers.scpi_values import plain_number

PROMPT = b"\n> "
OUT_OF_RANGE, UNKNOWN, NOT_WRITABLE, WRONG_TYPE = -3, -1, -2, -4
_COMMAND = re.compile(r"\((param-ref|param-gsv|param-set!)\s+'([\w:-]+)\s*(.*?)\)")


class SimulatedDLCPro:
    """A controller with key on, interlock closed and button pressed, counting in nm.

    Status numbers of refused settings are this simulation's own: only that they are negative is
    public.

    Parameters
    ----------
    port : LaserPort, optional
    power : float
        Of the emitting laser, W.

    Attributes
    ----------
    interlock_open : bool
        No emission while it is.
    faults : InstrumentFaults
        ``stick`` and ``refuse`` with a parameter's name as setting.
    """

    LIMITS = (1510.0, 1630.0)

    def __init__(self, port: LaserPort | None = None, power: float = 10e-3) -> None:
        self.port = port or LaserPort()
        self.power = power
        self.interlock_open = False
        self.faults = InstrumentFaults(lambda setting: setting in self._writable)
        self._enabled = False
        self._wavelength = 1550.0
        self._writable = ("laser1:dl:cc:enabled", "laser1:ctl:wavelength-set")

    def conversation(self) -> "_CommandLine":
        """Begin to talk on a new connection."""
        return _CommandLine(self)

    def execute(self, line: str) -> str:
        """Execute a line; return what stands before the next prompt."""
        found = _COMMAND.fullmatch(line.strip())
        if found is None:
            return "Error: -2 syntax error"
        action, name, value = found[1], found[2], found[3].strip()
        if action == "param-set!":
            return str(self._set(name, value))
        known = self._parameters()
        return known.get(name, f"Error: {UNKNOWN} unknown parameter")

    def _parameters(self) -> dict[str, str]:
        low, high = self.LIMITS
        return {
            "serial-number": '"DLC PRO_000001"',
            "fw-ver": '"3.3.3"',
            "interlock-open": _truth(self.interlock_open),
            "frontkey-locked": "#f",
            "emission": _truth(self._emits()),
            "system-health-txt": '"ok"',
            "laser1:product-name": '"CTL 1550"',
            "laser1:emission": _truth(self._emits()),
            "laser1:dl:cc:enabled": _truth(self._enabled),
            "laser1:ctl:wavelength-set": f"{self._wavelength:.6f}",
            "laser1:ctl:wavelength-act": f"{self._wavelength:.6f}",
            "laser1:ctl:wavelength-min": f"{low:.1f}",
            "laser1:ctl:wavelength-max": f"{high:.1f}",
        }

    def _set(self, name: str, value: str) -> int:
        if name not in self._writable:
            return NOT_WRITABLE if name in self._parameters() else UNKNOWN
        if self.faults.take("refuse", acts_on=lambda setting: setting == name):
            return OUT_OF_RANGE
        if self.faults.take("stick", acts_on=lambda setting: setting == name):
            return 0
        if name == "laser1:dl:cc:enabled":
            if value not in ("#t", "#f"):
                return WRONG_TYPE
            self._enabled = value == "#t"
        elif not self._tune(value):
            return OUT_OF_RANGE
        self.port.state = LaserState(
            wavelength=self._wavelength * 1e-9, power=self.power, emission=self._emits()
        )
        return 0

    def _tune(self, value: str) -> bool:
        try:
            nanometres = plain_number(value)
        except ValueError:
            return False
        if not self.LIMITS[0] <= nanometres <= self.LIMITS[1]:
            return False
        self._wavelength = nanometres
        return True

    def _emits(self) -> bool:
        return self._enabled and not self.interlock_open


def _truth(value: bool) -> str:
    return "#t" if value else "#f"


class _CommandLine:
    """One client's command line: a greeting, and a prompt after every answer."""

    greeting = b"Welcome to DLC pro (simulated)!\r\nDeCoF Command Line\r\n> "

    def __init__(self, controller: SimulatedDLCPro) -> None:
        self._controller = controller
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.strip():
                yield self._controller.execute(line.decode("latin-1")).encode() + PROMPT

    def hang_up(self) -> None:
        self._rest = b""
