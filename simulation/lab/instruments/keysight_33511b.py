"""Simulated Keysight 33511B, as QCoDeS's own driver speaks to it: the trigger of the laboratory."""

from math import inf
from typing import ClassVar

from simulation.lab.ports.steady import TriggerPort
from simulation.lab.servers.scpi_values import HERTZ, Integer, Number, Switch, Word
from simulation.lab.servers.simulated_scpi import Held, SimulatedScpi

EDGES = ("SQU", "PULS")
"""Shapes that have an edge to trigger on."""


class Simulated33511B(SimulatedScpi):
    """The generator. It fires at its frequency while it puts out squares or pulses by itself.

    Parameters
    ----------
    port : TriggerPort, optional
    """

    no_error = '+0,"No error"'
    error_depth = 20
    settings: ClassVar[tuple[Held, ...]] = (
        Held("OUTPut#[:STATe]", "output", Switch(), False),
        Held("OUTPut#:POLarity", "polarity", Word(("NORMal", "INVerted")), "NORM"),
        Held("OUTPut:SYNC[:STATe]", "sync", Switch(), True),
        Held(
            "SOURce#:FUNCtion", "shape",
            Word(("SINusoid", "SQUare", "TRIangle", "RAMP", "PULSe", "PRBS", "NOISe", "ARB", "DC")),
            "SIN",
        ),
        Held("SOURce#:FUNCtion:RAMP:SYMMetry", "symmetry", Number(low=0, high=100), 100.0),
        Held("SOURce#:FUNCtion:PULSe:WIDTh", "width", Number(low=16e-9, high=1e6), 1e-4),
        Held("SOURce#:FREQuency", "frequency", Number(low=1e-6, high=20e6, units=HERTZ), 1e3),
        Held("SOURce#:FREQuency:MODE", "mode", Word(("CW", "LIST", "SWEep", "FIXed")), "CW"),
        Held("SOURce#:PHASe", "phase", Number(low=-360, high=360), 0.0),
        Held("SOURce#:VOLTage", "amplitude", Number(low=1e-3, high=20), 0.1),
        Held("SOURce#:VOLTage:OFFSet", "offset", Number(low=-10, high=10), 0.0),
        Held("SOURce#:VOLTage:UNIT", "unit", Word(("VPP", "VRMS", "DBM")), "VPP"),
        Held("SOURce#:BURSt[:STATe]", "burst", Switch(), False),
        Held("SOURce#:BURSt:MODE", "burst_mode", Word(("TRIGgered", "GATed")), "TRIG"),
        Held("SOURce#:BURSt:NCYCles", "cycles", Integer(low=1, high=10**8, infinity=True,
                                                           form="+.15E"), 1),
        Held("SOURce#:BURSt:PHASe", "burst_phase", Number(low=-360, high=360), 0.0),
        Held("SOURce#:BURSt:GATE:POLarity", "gate", Word(("NORMal", "INVerted")), "NORM"),
        Held("SOURce#:BURSt:INTernal:PERiod", "period", Number(low=1e-6, high=8e3), 1e-2),
        Held(
            "TRIGger#:SOURce", "trigger", Word(("IMMediate", "EXTernal", "TIMer", "BUS")), "IMM"
        ),
        Held("TRIGger#:SLOPe", "slope", Word(("POSitive", "NEGative")), "POS"),
        Held("TRIGger#:COUNt", "count", Integer(low=1, high=10**6, form="+.15E"), 1),
        Held("TRIGger#:DELay", "delay", Number(low=0, high=1000), 0.0),
        Held("TRIGger#:TIMer", "timer", Number(low=1e-6, high=8000), 1.0),
    )  # fmt: skip

    def __init__(self, port: TriggerPort | None = None) -> None:
        self.port = port or TriggerPort()
        super().__init__("Agilent Technologies,33511B,MY00000001,simulated")

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Publish."""
        self._publish()

    def power_on(self) -> None:
        """Take the default setup."""
        super().power_on()
        self._publish()

    def _publish(self) -> None:
        fires = (
            self.value("output", 1)
            and self.value("shape", 1) in EDGES
            and not self.value("burst", 1)
            and self.value("mode", 1) in ("CW", "FIX")
            and self.number("frequency", 1) < inf
        )
        self.port.rate = self.number("frequency", 1) if fires else 0.0
