"""Simulated Thorlabs PM100 with an InGaAs head: reads the world's light, refuses in silence."""

from statistics import fmean
from typing import ClassVar

from simulation.lab.clock import VirtualClock
from simulation.lab.ports.steady import PowerPort
from simulation.lab.servers.scpi_values import Integer, Number, Switch
from simulation.lab.servers.simulated_scpi import Call, Setting, SimulatedScpi

READING_SECONDS = 3e-4
SHORTEST_NM, LONGEST_NM = 800.0, 1700.0


class SimulatedPM100(SimulatedScpi):
    """The meter. Calibration errors at a wrong wavelength are not simulated.

    Parameters
    ----------
    port : PowerPort
    clock : VirtualClock, optional
        On which readings take their time.
    """

    no_error = '+0,"No error"'
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("SENSe:POWer:RANGe:AUTO", "auto_range", Switch(), True),
        Setting("SENSe:POWer:RANGe[:UPPer]", "range", Number(low=1e-9, high=0.02), 0.02),
        Setting("SENSe:AVERage[:COUNt]", "averages", Integer(low=1, high=3000), 1),
        Setting("SENSe:CORRection[:LOSS]", "loss", Number(low=-60, high=60), 0.0),
    )

    def __init__(self, port: PowerPort | None = None, clock: VirtualClock | None = None) -> None:
        self.port = port or PowerPort()
        self.clock = clock or VirtualClock()
        self.wavelength_nm = 1550.0
        super().__init__("Thorlabs,PM100D,P0000001,2.4.0")
        self.on("SYSTem:SENSor:IDN", get=lambda _: '"S154C","000001","simulated",3,1,33')
        self.on(
            "SENSe:CORRection:WAVelength",
            set=self._set_wavelength,
            get=lambda _: f"{self.wavelength_nm:.6E}",
        )
        for pattern in ("MEASure[:SCALar]:POWer", "READ"):
            self.on(pattern, get=lambda _: self._measure())
        self.on("CONFigure:POWer", set=lambda _: None)

    def _set_wavelength(self, call: Call) -> None:
        wanted = float(call.argument(Number()))
        if SHORTEST_NM <= wanted <= LONGEST_NM:  # else it silently keeps the old one
            self.wavelength_nm = wanted

    def _measure(self) -> str:
        readings = int(self.number("averages"))
        self.clock.advance(READING_SECONDS * readings)
        power = fmean(self.port.power() for _ in range(readings))
        beyond = not self.value("auto_range") and power > self.number("range")
        return "9.9E+37" if beyond else f"{power:.6E}"
