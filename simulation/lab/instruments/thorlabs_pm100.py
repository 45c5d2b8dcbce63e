"""Simulated Thorlabs PM100 with an InGaAs head: reads the world's light, refuses in silence."""

from math import log10
from statistics import fmean
from typing import ClassVar

from simulation.lab.clock import VirtualClock
from simulation.lab.ports.steady import PowerPort
from simulation.lab.servers.scpi_values import Integer, Number, ScpiError, Switch, Value, Word
from simulation.lab.servers.simulated_scpi import Call, Held, SimulatedScpi

READING_SECONDS = 3e-4
SHORTEST_NM, LONGEST_NM = 800.0, 1700.0
CALIBRATED = Number(low=SHORTEST_NM, high=LONGEST_NM)
RANGES = (2e-9, 2e-8, 2e-7, 2e-6, 2e-5, 2e-4, 2e-3, 2e-2)
"""Largest power of each range, W; the numbers are chosen, those of a sensor differ."""
ZERO = "SENSe:CORRection:COLLect:ZERO"


class SimulatedPM100(SimulatedScpi):
    """The meter. Calibration errors at a wrong wavelength are not simulated.

    Parameters
    ----------
    port : PowerPort
    clock : VirtualClock, optional
        On which readings take their time.
    serial : str, optional
    """

    no_error = '+0,"No error"'
    settings: ClassVar[tuple[Held, ...]] = (
        Held("SENSe:POWer[:DC]:RANGe:AUTO", "auto_range", Switch(), True),
        Held(
            "SENSe:POWer[:DC]:RANGe[:UPPer]", "range", Number(low=RANGES[0], high=RANGES[-1]), 0.02
        ),
        Held("SENSe:POWer[:DC]:UNIT", "unit", Word(("W", "DBM")), "W"),
        Held("SENSe:AVERage[:COUNt]", "averages", Integer(low=1, high=3000), 1),
        Held("SENSe:CORRection[:LOSS][:INPut][:MAGNitude]", "loss", Number(low=-60, high=60), 0.0),
    )

    def __init__(
        self,
        port: PowerPort | None = None,
        clock: VirtualClock | None = None,
        serial: str = "P0000001",
    ) -> None:
        self.port = port or PowerPort()
        self.clock = clock or VirtualClock()
        self.wavelength_nm = 1550.0
        self.zero = 0.0
        self._result: str | None = None
        super().__init__(f"Thorlabs,PM100D,{serial},2.4.0")
        self.on("SYSTem:SENSor:IDN", get=lambda _: '"S154C","000001","simulated",3,1,33')
        self.on(
            "SENSe:CORRection:WAVelength",
            set=self._set_wavelength,
            get=self._show_wavelength,
        )
        for pattern in ("MEASure[:SCALar][:POWer]", "READ"):
            self.on(pattern, get=self._read)
        self.on("INITiate[:IMMediate]", set=self._start)
        self.on("FETCh", get=self._fetch)
        for pattern in ("ABORt", f"{ZERO}:ABORt", "CONFigure[:SCALar][:POWer]"):
            self.on(pattern, set=lambda call: call.expect(0))
        self.on("CONFigure", get=lambda _: "POW")
        self.on(f"{ZERO}[:INITiate]", set=self._take_zero)
        self.on(f"{ZERO}:STATe", get=lambda _: "0")
        self.on(f"{ZERO}:MAGNitude", get=lambda _: f"{self.zero:.6E}")

    def check(self, name: str, suffixes: tuple[int, ...], value: Value) -> Value:
        """Take the range above the wanted power."""
        return next(each for each in RANGES if each >= float(value)) if name == "range" else value

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Leave automatic range when a range is chosen."""
        if name == "range":
            self.values["auto_range", 0] = False

    def _show_wavelength(self, call: Call) -> str:
        if not call.arguments:
            return f"{self.wavelength_nm:.6E}"
        return f"{call.limit(CALIBRATED, 1550.0):.6E}"

    def _read(self, call: Call) -> str:
        call.expect(0)
        self._result = self._measure()
        return self._result

    def _start(self, call: Call) -> None:
        self._read(call)

    def _fetch(self, call: Call) -> str:
        call.expect(0)
        if self._result is None:
            raise ScpiError(-230)
        return self._result

    def _take_zero(self, call: Call) -> None:
        """Take the present power, of a beam that should be blocked, for zero."""
        call.expect(0)
        self.zero = self.port.power()

    def _set_wavelength(self, call: Call) -> None:
        call.expect(1)
        wanted = float(call.argument(Number()))
        if SHORTEST_NM <= wanted <= LONGEST_NM:  # else it silently keeps the old one
            self.wavelength_nm = wanted

    def _measure(self) -> str:
        readings = int(self.number("averages"))
        self.clock.advance(READING_SECONDS * readings)
        power = fmean(self.port.power() for _ in range(readings)) - self.zero
        if not self.value("auto_range") and power > self.number("range"):
            return "9.9E+37"
        power *= 10 ** (self.number("loss") / 10)
        if self.value("unit") == "W":
            return f"{power:.6E}"
        return f"{10 * log10(power / 1e-3):.6E}" if power > 0 else "-9.9E+37"
