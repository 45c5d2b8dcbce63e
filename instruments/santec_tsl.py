"""Santec TSL-570 and TSL-550 tunable lasers (SCPI-like commands). Not verified on hardware.

Sources: drivers of pymeasure and QMI, and the maker's pysantec. The end of messages differs between
them: give `terminator` in the station file. What ``*RST`` does to the diode is not published; it is
never sent.
"""

import time
from math import log10
from typing import TYPE_CHECKING, ClassVar

from qcodes.validators import Bool, Numbers

from instruments.bases.parameters import Declared, add_parameters, switch
from instruments.bases.safe_state import SafeAtOnce
from instruments.bases.scpi import ScpiInstrument

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs

POLL = 0.05
"""Seconds between looks at a wavelength on its way."""

POWERS = (10 ** ((-15 - 30) / 10), 20e-3)
"""Powers that are sent at all, W: −15 to 13 dBm."""


class SantecTSL(SafeAtOnce, ScpiInstrument):
    """Base of the lasers; fulfils `instruments.roles.Laser`. Safe state: diode off.

    Connecting changes nothing.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name.
    wavelength_limits : (float, float)
        m.
    wavelength_tolerance : float
        Largest difference between set and read wavelength, m.
    max_power : float
        W.
    timeout : float, optional
        Of each exchange, and of a wavelength's arrival, s.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    error_query = ":SYST:ERR?"

    wavelength = Declared[float](
        "Vacuum wavelength",
        "m",
        get=lambda self: float(self.ask(":WAV?")) * self.metres_per_unit,
        set=lambda self, metres: self._go_to(metres),
        vals=lambda self: Numbers(*self._limits),
        doc="Read again until it has arrived, since the answer to a set may be the old value.",
    )
    emission = switch(":POW:STAT", "Laser diode on")
    power = Declared[float](
        "Set power",
        "W",
        get=lambda self: self._watts(float(self.ask(":POW?"))),
        set=lambda self, watts: self._set_power(watts),
        vals=lambda self: Numbers(POWERS[0], self.max_power),
        doc="``:POW``, in the unit that the laser is set to.",
    )
    measured_power = Declared[float](
        "Measured power",
        "W",
        get=lambda self: self._watts(float(self.ask(":POW:ACT?"))),
        doc="By the laser's own monitor (``:POW:ACT?``).",
    )
    coherence_control = switch(":COHC", "Coherence control")

    def __init__(
        self,
        name: str,
        address: str,
        *,
        wavelength_limits: tuple[float, float],
        wavelength_tolerance: float,
        max_power: float,
        **kwargs: "Unpack[VisaInstrumentKWArgs]",
    ) -> None:
        low, high = wavelength_limits
        if not (0 < low < high and wavelength_tolerance > 0):
            message = (
                f"{name}: `wavelength_limits` must rise and `wavelength_tolerance` be positive, "
                f"but are {low:g} to {high:g} m and {wavelength_tolerance:g} m"
            )
            raise ValueError(message)
        if not POWERS[0] < max_power <= POWERS[1]:
            message = (
                f"{name}: `max_power` must be above {POWERS[0]:g} and at most {POWERS[1]:g} W, "
                f"but is {max_power:g} W"
            )
            raise ValueError(message)
        self._limits, self._tolerance, self.max_power = (low, high), wavelength_tolerance, max_power
        super().__init__(name, address, **kwargs)
        try:
            self.metres_per_unit = self._unit_of_wavelength()
            lowest, highest = (
                float(self.ask(f":WAV:{end}?")) * self.metres_per_unit for end in ("MIN", "MAX")
            )
            if not lowest <= low < high <= highest:
                message = (
                    f"{name}: `wavelength_limits` must lie within the laser's, {lowest:.10g} to "
                    f"{highest:.10g} m, but are {low:.10g} to {high:.10g} m"
                )
                raise ValueError(message)
        except BaseException:
            self.close()
            raise
        add_parameters(self)

    def alerts(self) -> str:
        """Return what the laser warns of, in its own words (interlock, warm-up, shutter, …)."""
        return self.ask(":SYST:ALER?")

    def _unit_of_wavelength(self) -> float:
        """Return the metres per unit of the laser's wavelengths."""
        return 1e-9

    def _watts(self, value: float) -> float:
        return 1e-3 * (value if self._counts_in_milliwatts() else 10 ** (value / 10))

    def _set_power(self, watts: float) -> None:
        with self.lock:
            milliwatts = watts * 1e3
            value = milliwatts if self._counts_in_milliwatts() else 10 * log10(milliwatts)
            self.write(f":POW {value:.6g}")

    def _counts_in_milliwatts(self) -> bool:
        reply = self.ask(":POW:UNIT?").strip().lstrip("+")
        if reply not in ("0", "1"):
            message = f"{self.name}: :POW:UNIT? must answer 0 (dBm) or 1 (mW), not {reply!r}"
            raise RuntimeError(message)
        return reply == "1"

    def _go_to(self, metres: float) -> None:
        with self.lock:
            self.write(f":WAV {metres / self.metres_per_unit:.10g}")
            deadline = time.monotonic() + self._bound
            while not abs((now := self.wavelength()) - metres) <= self._tolerance:
                if time.monotonic() > deadline:
                    message = (
                        f"{self.name}: the wavelength must come to {metres:.12g} m within "
                        f"{self._bound:g} s, but is {now:.12g} m"
                    )
                    raise TimeoutError(message)
                time.sleep(POLL)

    def _diode_is_on(self) -> bool:
        return self.emission()

    def _off_commands(self) -> tuple[str, ...]:
        return (":POW:STAT 0",)

    def _send_ahead(self) -> None:
        self.send_blindly(*self._off_commands())

    def _make_safe(self) -> None:
        for command in self._off_commands():
            self.write_unchecked(command)
        if self._diode_is_on():
            message = f"{self.name}: the diode must be off, but is on; turn its key"
            raise RuntimeError(message)


class SantecTSL570(SantecTSL):
    """Santec TSL-570; see `SantecTSL`.

    It counts in nm with its ``Legacy`` command set and in m with ``SCPI``: which one is set is
    asked when connecting.
    """

    identity = "^SANTEC,TSL-570"
    METRES: ClassVar[dict[str, float]] = {"0": 1e-9, "1": 1.0}

    def _unit_of_wavelength(self) -> float:
        reply = self.ask(":SYST:COMM:COD?").strip().lstrip("+")
        if reply not in self.METRES:
            message = f"{self.name}: :SYST:COMM:COD? must answer 0 or 1, but answers {reply!r}"
            raise RuntimeError(message)
        return self.METRES[reply]


class SantecTSL550(SantecTSL):
    """Santec TSL-550 with SCPI-like commands, in nm; see `SantecTSL`.

    It emits if the diode is on and the shutter open. Safe state: shutter closed, diode off.
    """

    identity = "^SANTEC,TSL-550"
    diode = switch(":POW:STAT", "Laser diode on")
    shutter_closed = switch(":POW:SHUT", "Shutter closed")
    emission = Declared[bool](
        "Diode on and shutter open",
        get=lambda self: self.diode() and not self.shutter_closed(),
        set=lambda self, on: self._emit(on=bool(on)),
        vals=Bool(),
        doc="On: the diode, then the shutter. Off: the shutter, then the diode.",
    )

    def _diode_is_on(self) -> bool:
        return self.diode()

    def _emit(self, *, on: bool) -> None:
        with self.lock:
            if on:
                self.diode(True)
                self.shutter_closed(False)
            else:
                self.shutter_closed(True)
                self.diode(False)

    def _off_commands(self) -> tuple[str, ...]:
        return (":POW:SHUT 1", ":POW:STAT 0")

    def _make_safe(self) -> None:
        super()._make_safe()
        if not self.shutter_closed():
            message = f"{self.name}: the shutter must be closed, but is open; turn the key"
            raise RuntimeError(message)
