"""Simulated Santec TSL-570, with either of its two command sets, and TSL-550."""

from typing import ClassVar

from simulation.lab.ports.steady import LaserPort, LaserState
from simulation.lab.servers.scpi_values import Integer, Number, ScpiError, Switch
from simulation.lab.servers.simulated_scpi import Call, Held, SimulatedScpi

SHORTEST, LONGEST = 1480e-9, 1640e-9
LOWEST_DBM, HIGHEST_DBM = -15.0, 13.0


class SimulatedTSL570(SimulatedScpi):
    """The laser. After a change of wavelength the first answer is the old value.

    Parameters
    ----------
    port : LaserPort, optional
    scpi : bool
        Whether the ``SCPI`` set is chosen, which counts in m; else ``Legacy``, in nm.
    """

    model: ClassVar[str] = "SANTEC,TSL-570,21020001,0001.0000.0001"
    settings: ClassVar[tuple[Held, ...]] = (
        Held("POWer:STATe", "diode", Switch(), False),
        Held("POWer:UNIT", "in_milliwatts", Switch(), False),
        Held("COHCtrl", "coherence", Switch(), False),
    )

    def __init__(self, port: LaserPort | None = None, *, scpi: bool = False) -> None:
        self.port = port or LaserPort()
        self.metres_per_unit = 1.0 if scpi else 1e-9
        self._metres, self._told, self._milliwatts = 1550e-9, 1550e-9, 1.0
        super().__init__(self.model)
        self.on("SYSTem:COMMunicate:CODe", set=self._choose_set, get=lambda _: self._chosen_set())
        self.on("SYSTem:ALERt", get=lambda _: "No alerts.")
        self.on("WAVelength", set=self._tune, get=lambda _: self._tell())
        self.on("WAVelength:MINimum", get=lambda _: self._show(SHORTEST))
        self.on("WAVelength:MAXimum", get=lambda _: self._show(LONGEST))
        self.on("POWer", set=self._set_power, get=lambda _: self._show_power())
        self.on("POWer:ACTual", get=lambda _: self._show_power(self.emits()))

    def emits(self) -> bool:
        """Tell whether light leaves the laser."""
        return bool(self.value("diode"))

    def _choose_set(self, call: Call) -> None:
        call.expect(1)
        self.metres_per_unit = 1.0 if call.argument(Integer(low=0, high=1)) else 1e-9

    def _chosen_set(self) -> str:
        return str(int(self.metres_per_unit == 1.0))

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Publish."""
        self._publish()

    def _tune(self, call: Call) -> None:
        call.expect(1)
        metres = float(call.argument(Number())) * self.metres_per_unit
        if not SHORTEST <= metres <= LONGEST:
            raise ScpiError(-222)
        self._told, self._metres = self._metres, round(metres, 16)
        self._publish()

    def _tell(self) -> str:
        told, self._told = self._told, self._metres
        return self._show(told)

    def _show(self, metres: float) -> str:
        if self.metres_per_unit == 1.0:
            return f"{metres:+.12E}"
        return f"{metres * 1e9:+.7E}"

    def _set_power(self, call: Call) -> None:
        from math import log10

        value = float(call.argument(Number()))
        in_milliwatts = self.value("in_milliwatts")
        dbm = (10 * log10(value) if value > 0 else -999.0) if in_milliwatts else value
        if not LOWEST_DBM <= round(dbm, 6) <= HIGHEST_DBM:
            raise ScpiError(-222)
        self._milliwatts = 10 ** (dbm / 10)
        self._publish()

    def _show_power(self, emits: bool = True) -> str:
        from math import log10

        if self.value("in_milliwatts"):
            return f"{self._milliwatts * emits:+.6E}"
        return f"{10 * log10(self._milliwatts) if emits else -80.0:+.3f}"

    def _publish(self) -> None:
        self.port.state = LaserState(
            wavelength=self._metres, power=self._milliwatts * 1e-3, emission=self.emits()
        )


class SimulatedTSL550(SimulatedTSL570):
    """A TSL-550: in nm, with a shutter, closed at power-on."""

    model: ClassVar[str] = "SANTEC,TSL-550,06020001,0001.0000"
    settings: ClassVar[tuple[Held, ...]] = (
        *SimulatedTSL570.settings,
        Held("POWer:SHUTter", "closed", Switch(), True),
    )

    def __init__(self, port: LaserPort | None = None) -> None:
        super().__init__(port)

    def emits(self) -> bool:
        """Tell whether light leaves the laser."""
        return super().emits() and not self.value("closed")
