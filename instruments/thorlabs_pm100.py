"""Thorlabs PM100 series optical power meter. Not verified on hardware.

On Windows the meter is seen by VISA only with the USBTMC driver ("Driver Switcher"). Other Thorlabs
devices answer the same queries with temperatures, hence the identity check.
"""

from typing import TYPE_CHECKING, Self

from qcodes.validators import Ints, Numbers

from instruments.bases.scpi import ON_OFF, ScpiInstrument

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs
    from qcodes.parameters import Parameter

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

    def __init__(self, name: str, address: str, **kwargs: "Unpack[VisaInstrumentKWArgs]") -> None:
        super().__init__(name, address, **kwargs)
        self.power: Parameter[float, Self] = self.add_parameter(
            "power",
            label="Optical power",
            unit="W",
            get_cmd="MEAS:POW?",
            get_parser=self._read_power,
            docstring="A fresh reading at the set wavelength; averaged as set.",
        )
        self.wavelength: Parameter[float, Self] = self.add_parameter(
            "wavelength",
            label="Wavelength of the calibration",
            unit="m",
            get_cmd="SENS:CORR:WAV?",
            get_parser=lambda reply: float(reply) * 1e-9,
            set_cmd=self._set_wavelength,
            vals=Numbers(100e-9, 20e-6),
            docstring="Vacuum wavelength; read back, because the meter silently keeps the old one "
            "if its sensor has no calibration there.",
        )
        self.auto_range: Parameter[bool, Self] = self.add_parameter(
            "auto_range",
            label="Automatic range",
            get_cmd="SENS:POW:RANG:AUTO?",
            set_cmd="SENS:POW:RANG:AUTO {}",
            val_mapping=ON_OFF,
            docstring="Whether the meter chooses its range.",
        )
        self.power_range: Parameter[float, Self] = self.add_parameter(
            "power_range",
            label="Range",
            unit="W",
            get_cmd="SENS:POW:RANG?",
            get_parser=float,
            set_cmd="SENS:POW:RANG {:.6g}",
            vals=Numbers(min_value=0),
            docstring="Largest power of the range; the meter takes the next one above.",
        )
        self.averages: Parameter[int, Self] = self.add_parameter(
            "averages",
            label="Readings averaged",
            get_cmd="SENS:AVER?",
            get_parser=lambda reply: int(float(reply)),
            set_cmd="SENS:AVER {:d}",
            vals=Ints(min_value=1),
            docstring="Readings that make one result.",
        )

    def sensor(self) -> tuple[str, ...]:
        """Return name, serial number, calibration and type of the sensor head."""
        return tuple(field.strip(' "') for field in self.ask("SYST:SENS:IDN?").split(","))

    def safe_state(self) -> None:
        """Do nothing: the meter has no effect on anything."""

    def _read_power(self, reply: str) -> float:
        power = float(reply)
        if not abs(power) < OVERFLOW:
            message = f"{self.name}: the power is beyond the range; set `auto_range` or attenuate"
            raise RuntimeError(message)
        return power

    def _set_wavelength(self, wavelength: float) -> None:
        with self.lock:
            self.write(f"SENS:CORR:WAV {wavelength * 1e9:.6g}")
            now = float(self.ask("SENS:CORR:WAV?")) * 1e-9
        if not abs(now - wavelength) <= 0.6e-9:
            message = (
                f"{self.name}: `wavelength` must be one its sensor is calibrated for, "
                f"but is {wavelength:g} m; the meter kept {now:g} m"
            )
            raise RuntimeError(message)
