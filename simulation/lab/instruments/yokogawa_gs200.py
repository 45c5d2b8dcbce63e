"""Simulated Yokogawa GS200 voltage source, as QCoDeS's own driver speaks to it."""

from typing import ClassVar

from simulation.lab.clock import VirtualClock
from simulation.lab.ports.steady import ActuatorPort
from simulation.lab.servers.scpi_values import VOLTS, Integer, Number, ScpiError, Switch, Word
from simulation.lab.servers.simulated_scpi import Call, Held, SimulatedScpi

RANGES = {"VOLT": (0.01, 0.1, 1.0, 10.0, 30.0), "CURR": (1e-3, 1e-2, 0.1, 0.2)}
OVERRANGE = 1.2
END_OF_PROGRAM = 128
_SECONDS = Number(low=0, high=3600, form=".1f")


class SimulatedGS200(SimulatedScpi):
    """The source, without monitor option. As a current source it keeps settings but moves nothing.

    Parameters
    ----------
    port : ActuatorPort
        Gets the voltage while the output is on, and 0 V while it is off.
    clock : VirtualClock, optional
        On which programmed ramps take their time.
    """

    settings: ClassVar[tuple[Held, ...]] = (
        Held("OUTPut[:STATe]", "output", Switch(), False),
        Held("SOURce:FUNCtion", "function", Word(("VOLTage", "CURRent")), "VOLT"),
        Held("SOURce:PROTection:VOLTage", "voltage_limit", Number(low=1, high=30), 30.0),
        Held("SOURce:PROTection:CURRent", "current_limit", Number(low=1e-3, high=0.2), 0.2),
        Held("SENSe:REMote", "four_wire", Switch(), False),
        Held("SENSe:GUARd", "guard", Switch(), False),
        Held("PROGram:REPeat", "repeat", Switch(), False),
        Held("PROGram:SLOPe", "slope", _SECONDS, 1.0),
        Held("PROGram:INTerval", "interval", _SECONDS, 1.0),
        Held("PROGram:COUNt", "count", Integer(low=1, high=10_000), 1),
        Held("ROUTe:BNCOut", "bnc_out", Word(("TRIGger", "OUTPut", "READy")), "TRIG"),
        Held("ROUTe:BNCIn", "bnc_in", Word(("TRIGger", "OUTPut")), "TRIG"),
    )

    def __init__(self, port: ActuatorPort | None = None, clock: VirtualClock | None = None) -> None:
        self.port = port or ActuatorPort()
        self.clock = clock or VirtualClock()
        self.level, self.range = 0.0, 1.0
        self._recorded: list[float] = []
        self._recording = self._ended = False
        super().__init__("YOKOGAWA,GS210,90U000001,2.02")
        self.on("SOURce:LEVel[:FIXed]", set=self._set_level, get=lambda _: f"{self.level:.6E}")
        self.on("SOURce:LEVel:AUTO", set=self._set_auto)
        self.on("SOURce:RANGe", set=self._set_range, get=lambda _: f"{self.range:.6E}")
        self.on("SYSTem:LFRequency", get=lambda _: "50")
        self.on("PROGram:LOAD", get=lambda _: '""')
        self.on("PROGram:EDIT:STARt", set=lambda _: self._edit(begin=True))
        self.on("PROGram:EDIT:END", set=lambda _: self._edit(begin=False))
        self.on("PROGram:RUN", set=lambda _: self._run_program())
        self.on("STATus:EVENt", get=lambda _: self._take_program_end())
        self.on("STATus:CONDition", get=lambda _: "0")

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Publish; another function starts at zero level."""
        if name == "function":
            self.level, self.range = 0.0, RANGES[str(self.value("function"))][-1]
        self._publish()

    def power_on(self) -> None:
        """Take the default setup."""
        super().power_on()
        self.level, self.range, self._recording = 0.0, 1.0, False
        self._publish()

    def _set_level(self, call: Call) -> None:
        level = float(call.argument(Number(units=VOLTS)))
        if abs(level) > OVERRANGE * self.range:
            raise ScpiError(-222)
        if self._recording:
            self._recorded.append(level)
            return
        self.level = level
        self._publish()

    def _set_auto(self, call: Call) -> None:
        level = float(call.argument(Number(units=VOLTS)))
        self.range = self._smallest_range(abs(level) / OVERRANGE)
        self.level = level
        self._publish()

    def _set_range(self, call: Call) -> None:
        self.range = self._smallest_range(float(call.argument(Number(units=VOLTS))))
        if abs(self.level) > OVERRANGE * self.range:
            self.level = 0.0
        self._publish()

    def _smallest_range(self, wanted: float) -> float:
        fitting = [step for step in RANGES[str(self.value("function"))] if step >= wanted]
        if not fitting:
            raise ScpiError(-222)
        return fitting[0]

    def _edit(self, *, begin: bool) -> None:
        if begin:
            self._recorded = []
        self._recording = begin

    def _run_program(self) -> None:
        for target in self._recorded:
            for level in self.clock.ramp(self.level, target, self.number("slope")):
                self.level = level
                self._publish()
        self._ended = True

    def _take_program_end(self) -> str:
        ended, self._ended = self._ended, False
        return str(END_OF_PROGRAM if ended else 0)

    def _publish(self) -> None:
        drives = self.value("output") and self.value("function") == "VOLT"
        voltage = self.level if drives else 0.0
        if voltage != self.port.voltage:
            self.port.apply(voltage)
