"""Simulated Keysight 33511B, as QCoDeS's own driver speaks to it: the trigger of the laboratory."""

from math import inf
from typing import ClassVar

from simulation.lab.ports.steady import TriggerPort
from simulation.lab.servers.scpi_values import HERTZ, Integer, Number, Switch, Word
from simulation.lab.servers.simulated_scpi import Setting, SimulatedScpi

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
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("OUTPut#[:STATe]", "output", Switch(), False),
        Setting("OUTPut#:POLarity", "polarity", Word(("NORMal", "INVerted")), "NORM"),
        Setting("OUTPut:SYNC[:STATe]", "sync", Switch(), True),
        Setting(
            "SOURce#:FUNCtion", "shape",
            Word(("SINusoid", "SQUare", "TRIangle", "RAMP", "PULSe", "PRBS", "NOISe", "ARB", "DC")),
            "SIN",
        ),
        Setting("SOURce#:FUNCtion:RAMP:SYMMetry", "symmetry", Number(low=0, high=100), 100.0),
        Setting("SOURce#:FUNCtion:PULSe:WIDTh", "width", Number(low=16e-9, high=1e6), 1e-4),
        Setting("SOURce#:FREQuency", "frequency", Number(low=1e-6, high=20e6, units=HERTZ), 1e3),
        Setting("SOURce#:FREQuency:MODE", "mode", Word(("CW", "LIST", "SWEep", "FIXed")), "CW"),
        Setting("SOURce#:PHASe", "phase", Number(low=-360, high=360), 0.0),
        Setting("SOURce#:VOLTage", "amplitude", Number(low=1e-3, high=20), 0.1),
        Setting("SOURce#:VOLTage:OFFSet", "offset", Number(low=-10, high=10), 0.0),
        Setting("SOURce#:VOLTage:UNIT", "unit", Word(("VPP", "VRMS", "DBM")), "VPP"),
        Setting("SOURce#:BURSt[:STATe]", "burst", Switch(), False),
        Setting("SOURce#:BURSt:MODE", "burst_mode", Word(("TRIGgered", "GATed")), "TRIG"),
        Setting("SOURce#:BURSt:NCYCles", "cycles", Integer(low=1, high=10**8, infinity=True,
                                                           form="+.15E"), 1),
        Setting("SOURce#:BURSt:PHASe", "burst_phase", Number(low=-360, high=360), 0.0),
        Setting("SOURce#:BURSt:GATE:POLarity", "gate", Word(("NORMal", "INVerted")), "NORM"),
        Setting("SOURce#:BURSt:INTernal:PERiod", "period", Number(low=1e-6, high=8e3), 1e-2),
        Setting(
            "TRIGger#:SOURce", "trigger", Word(("IMMediate", "EXTernal", "TIMer", "BUS")), "IMM"
        ),
        Setting("TRIGger#:SLOPe", "slope", Word(("POSitive", "NEGative")), "POS"),
        Setting("TRIGger#:COUNt", "count", Integer(low=1, high=10**6, form="+.15E"), 1),
        Setting("TRIGger#:DELay", "delay", Number(low=0, high=1000), 0.0),
        Setting("TRIGger#:TIMer", "timer", Number(low=1e-6, high=8000), 1.0),
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
