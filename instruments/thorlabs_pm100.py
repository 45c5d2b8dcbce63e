"""Thorlabs PM100 series optical power meter. Not verified on hardware.

On Windows the meter is seen by VISA only with the USBTMC driver ("Driver Switcher"). Other Thorlabs
devices answer the same queries with temperatures, hence the identity check.
"""

from math import inf
from typing import TYPE_CHECKING

from qcodes.validators import Ints

from instruments.bases.parameters import (
    Declared,
    add_parameters,
    number,
    number_in,
    reading,
    switch,
)
from instruments.bases.scpi import ScpiInstrument

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs

OVERFLOW = 9e37
"""SCPI writes readings beyond the range as 9.9E+37, and what is no number as 9.91E+37."""


class ThorlabsPM100(ScpiInstrument):
    """Power meter; fulfils `instruments.roles.PowerMeter`.

    Connecting changes nothing. Safe state: unchanged. Thread-safe.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "^Thorlabs,PM"

    power = reading(
        "MEAS:POW?",
        "W",
        "Optical power",
        doc="A fresh reading at the set wavelength; averaged as set.",
    )
    wavelength = number(
        "SENS:CORR:WAV", "m", "Wavelength of the calibration", 100e-9, 20e-6,
        get_parser=lambda reply: number_in(reply, low=100, high=20e3) * 1e-9,
        doc="Vacuum wavelength; read back, because the meter silently keeps the old one "
        "if its sensor has no calibration there.",
    )  # fmt: skip
    auto_range = switch(
        "SENS:POW:RANG:AUTO", "Automatic range", doc="Whether the meter chooses its range."
    )
    power_range = number(
        "SENS:POW:RANG", "W", "Range", 0, inf, form=".6g",
        doc="Largest power of the range; the meter takes the next one above.",
    )  # fmt: skip
    averages = Declared[int](
        "Readings averaged",
        get="SENS:AVER?",
        get_parser=lambda reply: int(number_in(reply)),
        set="SENS:AVER {:d}",
        vals=Ints(min_value=1),
        doc="Readings that make one result.",
    )

    def __init__(self, name: str, address: str, **kwargs: "Unpack[VisaInstrumentKWArgs]") -> None:
        super().__init__(name, address, **kwargs)
        add_parameters(self)

    def sensor(self) -> tuple[str, ...]:
        """Return name, serial number, calibration and type of the sensor head."""
        return tuple(field.strip(' "') for field in self.ask("SYST:SENS:IDN?").split(","))

    def wavelength_limits(self) -> tuple[float, float]:
        """Return the wavelengths that the connected sensor is calibrated for, m."""
        low, high = (self.ask(f"SENS:CORR:WAV? {end}") for end in ("MIN", "MAX"))
        return number_in(low) * 1e-9, number_in(high) * 1e-9

    def safe_state(self) -> None:
        """Do nothing: the meter has no effect on anything."""

    @power.getter
    def _get_power(self) -> float:
        unit, _, reading = self.ask("SENS:POW:UNIT?;:MEAS:POW?").partition(";")
        if unit != "W":
            message = f"{self.name}: the meter must show W, but shows {unit}; set its unit"
            raise RuntimeError(message)
        power = number_in(reading)
        if not abs(power) < OVERFLOW:
            message = f"{self.name}: the power is beyond the range; set `auto_range` or attenuate"
            raise RuntimeError(message)
        return power

    @wavelength.setter
    def _set_wavelength(self, wavelength: float) -> None:
        with self.lock:
            low, high = self.wavelength_limits()
            if not low <= wavelength <= high:
                message = (
                    f"{self.name}: `wavelength` must be one its sensor is calibrated for, "
                    f"{low:g} to {high:g} m, but is {wavelength:g} m"
                )
                raise RuntimeError(message)
            self.write(f"SENS:CORR:WAV {wavelength * 1e9:.6g}")
            now = number_in(self.ask("SENS:CORR:WAV?")) * 1e-9
        if not abs(now - wavelength) <= 0.6e-9:
            message = (
                f"{self.name}: `wavelength` must be {wavelength:g} m after setting it, but the "
                f"meter kept {now:g} m"
            )
            raise RuntimeError(message)
