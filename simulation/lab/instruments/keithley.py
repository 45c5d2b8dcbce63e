"""Simulated Keithley 2450 (bias of a detector) and DAQ6500 (volts of a photoreceiver)."""

from typing import ClassVar

from simulation.lab.ports.steady import BiasPort, PowerPort
from simulation.lab.servers.scpi_values import Integer, Number, RawText, Switch, Word
from simulation.lab.servers.simulated_scpi import Held, SimulatedScpi

SERIES_RESISTANCE = 100e3
"""Between the voltage source and its detector, Ω."""

WATTS_PER_VOLT = 1e-3
"""Of the photoreceiver that the multimeter reads."""


class Simulated2450(SimulatedScpi):
    """The source-measure unit, in its SCPI language; as voltage source behind a resistor.

    Parameters
    ----------
    port : BiasPort, optional
    """

    settings: ClassVar[tuple[Held, ...]] = (
        Held("OUTPut[:STATe]", "output", Switch(), False),
        Held("SOURce:FUNCtion", "function", Word(("VOLTage", "CURRent")), "CURR"),
        Held("SENSe:FUNCtion", "sense", RawText(), '"CURR:DC"'),
        Held("SOURce:VOLTage[:LEVel]", "voltage", Number(low=-210, high=210), 0.0),
        Held("SOURce:VOLTage:RANGe", "voltage_range", Number(low=-200, high=200), 0.02),
        Held("SOURce:VOLTage:RANGe:AUTO", "voltage_auto", Switch(), True),
        Held("SOURce:VOLTage:ILIMit", "current_limit", Number(low=1e-9, high=1.05), 1e-4),
        Held("SOURce:CURRent[:LEVel]", "current", Number(low=-1.05, high=1.05), 0.0),
        Held("SOURce:CURRent:RANGe", "current_range", Number(low=-1, high=1), 1e-8),
        Held("SOURce:CURRent:RANGe:AUTO", "current_auto", Switch(), True),
        Held("SOURce:CURRent:VLIMit", "voltage_limit", Number(low=0.02, high=210), 21.0),
        Held("ROUTe:TERMinals", "terminals", Word(("FRONt", "REAR")), "FRON"),
    )

    def __init__(self, port: BiasPort | None = None) -> None:
        self.port = port or BiasPort()
        super().__init__("KEITHLEY INSTRUMENTS,MODEL 2450,00000001,simulated")
        self.on("*LANG", get=lambda _: "SCPI")
        self.on("SYSTem:LFRequency", get=lambda _: "50")
        self.on("SOURce:VOLTage:ILIMit:TRIPped", get=lambda _: str(int(self._is_tripped())))

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Publish."""
        self._publish()

    def power_on(self) -> None:
        """Take the default setup."""
        super().power_on()
        self._publish()

    def _is_tripped(self) -> bool:
        """Tell whether a voltage source is held back by its current limit."""
        wanted = abs(self.number("voltage")) / SERIES_RESISTANCE
        return bool(self.value("output")) and wanted > self.number("current_limit")

    def _publish(self) -> None:
        if self.value("function") == "VOLT":
            limit = self.number("current_limit")
            level = min(max(self.number("voltage") / SERIES_RESISTANCE, -limit), limit)
        else:
            level = self.number("current")
        current = level if self.value("output") else 0.0
        if current != self.port.current:
            self.port.apply(current)


class SimulatedDAQ6500(SimulatedScpi):
    """The multimeter, in its SCPI language.

    Parameters
    ----------
    port : PowerPort, optional
        Light on the photoreceiver.
    """

    settings: ClassVar[tuple[Held, ...]] = (
        Held("SENSe:FUNCtion", "function", RawText(), "VOLT:DC"),
        Held("FORMat[:DATA]", "format", Word(("ASCii", "REAL", "SREal")), "ASC"),
        Held("[SENSe:]VOLTage[:DC]:NPLCycles", "nplc", Number(low=5e-4, high=12), 1.0),
        Held("[SENSe:]VOLTage[:DC]:RANGe[:UPPer]", "range", Number(low=0.1, high=1000), 10.0),
        Held("[SENSe:]VOLTage[:DC]:RANGe:AUTO", "auto_range", Switch(), True),
        Held("[SENSe:]VOLTage[:DC]:AVERage:COUNt", "averages", Integer(low=1, high=100), 10),
        Held("[SENSe:]VOLTage[:DC]:AVERage[:STATe]", "averaging", Switch(), False),
    )

    def __init__(self, port: PowerPort | None = None) -> None:
        self.port = port or PowerPort()
        super().__init__("KEITHLEY INSTRUMENTS,MODEL DAQ6500,00000001,simulated")
        self.on("*LANG", get=lambda _: "SCPI")
        self.on("READ", get=lambda _: f"{self.port.power() / WATTS_PER_VOLT:.6E}")
