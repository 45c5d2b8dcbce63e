"""Simulated Lake Shore 372: sixteen sensors that read the world's cryostat, three heaters."""

from functools import partial

from simulation.lab.ports.steady import ThermometerPort
from simulation.lab.servers.scpi_values import Number, ScpiError, Text
from simulation.lab.servers.simulated_scpi import Call, SimulatedScpi

Bounds = tuple[tuple[float, float], ...]
N_SENSORS, N_HEATERS = 16, 3
R_OVER = 16
_SENSOR_TABLES: dict[str, tuple[str, Bounds]] = {
    "INSET": ("1,100,3,0,1", ((0, 1), (1, 200), (3, 200), (0, 59), (1, 2))),
    "INTYPE": ("0,5,1,10,0,1", ((0, 1), (1, 22), (0, 2), (1, 22), (0, 1), (1, 2))),
    "TLIMIT": ("0", ((0, 1e4),)),
    "FILTER": ("0,8,10", ((0, 1), (1, 200), (1, 80))),
}
_HEATER_TABLES: dict[str, tuple[str, Bounds]] = {
    "OUTMODE": ("0,1,0,0,0,5", ((0, 6), (1, 16), (0, 1), (0, 1), (0, 1), (0, 255))),
    "PID": ("10.0,20.0,0.0", ((0, 1e3), (0, 1e4), (0, 2500))),
    "RAMP": ("0,0.1", ((0, 1), (0, 100))),
    "RANGE": ("0", ((0, 8),)),
    "SETP": ("0.1", ((-273.15, 1e4),)),
    "HTRSET": ("1,0,+0000.00,1", ((1, 2000), (0, 8), (0, 1.732), (1, 2))),
}


class SimulatedLakeshore372(SimulatedScpi):
    """The bridge. Heaters keep their settings and heat nothing; scanning takes no time.

    Parameters
    ----------
    port : ThermometerPort
    names : dict of int to str, optional
        Sensor names by channel.
    """

    reply_end = b"\r\n"
    error_query = ""

    def __init__(
        self, port: ThermometerPort | None = None, names: dict[int, str] | None = None
    ) -> None:
        self.port = port or ThermometerPort()
        self.names = {number: f"Channel {number}" for number in range(1, N_SENSORS + 1)}
        self.names |= names or {}
        self._stored: dict[tuple[str, int], str] = {}
        super().__init__("LSCI,MODEL372,LSA0000,1.3")
        sensors, heaters = range(1, N_SENSORS + 1), range(N_HEATERS)
        for tables, numbers in ((_SENSOR_TABLES, sensors), (_HEATER_TABLES, heaters)):
            for header, (default, bounds) in tables.items():
                self._stored |= {(header, number): default for number in numbers}
                self.on(
                    header,
                    set=partial(self._store, header, bounds),
                    get=partial(self._show, header),
                )
        self.on("INNAME", set=self._rename, get=lambda call: self.names[_channel(call)])
        self.on("KRDG", get=self._kelvin)
        self.on("SRDG", get=lambda call: "+1.00000E+04" if self._reads(call) else "+0.00000E+00")
        self.on("RDGST", get=lambda call: "0" if self._reads(call) else str(R_OVER))
        self.on("RDGPWR", get=lambda _: "+1.00000E-13")
        self.on("HTR", get=lambda _: "+0.00000E+00")
        self.on("RAMPST", get=lambda _: "0")

    def _kelvin(self, call: Call) -> str:
        return f"{self.port.temperature(_channel(call)) or 0.0:+.5E}"

    def _reads(self, call: Call) -> bool:
        return self.port.temperature(_channel(call)) is not None

    def _rename(self, call: Call) -> None:
        self.names[_channel(call)] = str(call.argument(Text(), 1))[:15]

    def _store(self, header: str, bounds: Bounds, call: Call) -> None:
        key = (header, int(float(call.argument(Number()))))
        if key not in self._stored or len(call.arguments) != 1 + len(bounds):
            raise ScpiError(-220)
        for index, (low, high) in enumerate(bounds, 1):
            call.argument(Number(low=low, high=high), index)
        self._stored[key] = ",".join(argument.decode() for argument in call.arguments[1:])

    def _show(self, header: str, call: Call) -> str:
        key = (header, int(float(call.argument(Number()))))
        if key not in self._stored:
            raise ScpiError(-220)
        return self._stored[key]


def _channel(call: Call) -> int:
    return int(float(call.argument(Number(low=1, high=N_SENSORS))))
