"""Devices driven by a voltage: attenuator, fibre filter, stretcher, EOM bias.

The makers' remote protocols and limits are not public, so that every limit is mandatory here and
the voltage comes from any QCoDeS parameter (NI-DAQ output, Yokogawa GS200). Not verified on
hardware.
"""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

from qcodes.instrument import Instrument
from qcodes.parameters import Parameter
from qcodes.validators import Numbers

from instruments.bases.calibration import TransmissionTable
from instruments.bases.ramped_voltage import RampedVoltage

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

Source = str | Parameter[float, Any]


class SercaloVP1(Instrument):
    """A variable optical attenuator (Sercalo VP1, or any other) on a voltage.

    Safe state: the voltage of the smallest transmission in the table, set in one step.

    Thread-safe: one change at a time; `safe_state` interrupts one of another thread.

    Parameters
    ----------
    name : str
    source : str or Parameter
        Voltage source, as a parameter or as ``instrument.parameter``.
    minimum, maximum : float
        V.
    slew_rate : float
        V/s.
    calibration : str or sequence of (float, float)
        CSV file of volts and transmission, or the pairs.
    settling_time : float
        After a change, s.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        minimum: float,
        maximum: float,
        slew_rate: float,
        calibration: str | Iterable[tuple[float, float]],
        settling_time: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        table = (
            TransmissionTable.read(calibration)
            if isinstance(calibration, str)
            else TransmissionTable.of(calibration)
        )
        if not minimum <= table.voltages[0] < table.voltages[-1] <= maximum:
            message = (
                f"{name}: `calibration` must lie within {minimum:g} to {maximum:g} V, "
                f"but goes from {table.voltages[0]:g} to {table.voltages[-1]:g} V"
            )
            raise ValueError(message)
        if not settling_time >= 0:
            message = f"{name}: `settling_time` must be 0 or more, but is {settling_time}"
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self.calibration = table
        self._settling_time = settling_time
        self._output = RampedVoltage(source, minimum, maximum, slew_rate, self.name)
        self.transmission: Parameter[float, Self] = self.add_parameter(
            "transmission",
            label="power transmission",
            vals=Numbers(min(table.transmissions), max(table.transmissions)),
            get_cmd=lambda: table.transmission_at(self._output.read()),
            set_cmd=self._set_transmission,
            docstring="Power transmission by the calibration table.",
        )
        self.voltage: Parameter[float, Self] = self.add_parameter(
            "voltage",
            unit="V",
            label="drive voltage",
            get_cmd=self._output.read,
            docstring="What the source is set to.",
        )

    def get_idn(self) -> dict[str, str | None]:
        """Return what is known without asking: the device has no identification."""
        return {"vendor": "Sercalo", "model": "VP1", "serial": None, "firmware": None}

    def safe_state(self) -> None:
        """Set the largest attenuation at once."""
        self._output.put_at_once(self.calibration.darkest)

    def _set_transmission(self, transmission: float) -> None:
        self._output.ramp_to(self.calibration.voltage_at(transmission))
        time.sleep(self._settling_time)


class MicronOpticsFFPTF2(Instrument):
    """A fibre Fabry–Perot filter (Micron Optics FFP-TF2) with a piezo on a voltage.

    The piezo is hysteretic: a lower voltage is approached from `overshoot` below it, so that the
    last movement is always upward. Safe state: the voltage rests where it is.

    Thread-safe: one change at a time.

    Parameters
    ----------
    name : str
    source : str or Parameter
        Voltage source, as a parameter or as ``instrument.parameter``.
    minimum, maximum : float
        V; settable from `minimum` + `overshoot`.
    slew_rate : float
        V/s.
    overshoot : float
        V, larger than the hysteresis.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        minimum: float,
        maximum: float,
        slew_rate: float,
        overshoot: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if not 0 < overshoot < maximum - minimum:
            message = (
                f"{name}: `overshoot` must be above 0 and below the range of "
                f"{maximum - minimum:g} V, but is {overshoot:g} V"
            )
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self._output = RampedVoltage(source, minimum, maximum, slew_rate, self.name)
        self._overshoot = overshoot
        self.voltage: Parameter[float, Self] = self.add_parameter(
            "voltage",
            unit="V",
            label="tuning voltage",
            vals=Numbers(minimum + overshoot, maximum),
            get_cmd=self._output.read,
            set_cmd=self._approach,
            docstring="Tuning voltage; always approached from below.",
        )

    def get_idn(self) -> dict[str, str | None]:
        """Return what is known without asking: the device has no identification."""
        return {"vendor": "Micron Optics", "model": "FFP-TF2", "serial": None, "firmware": None}

    def safe_state(self) -> None:
        """Leave the voltage where it is."""

    def _approach(self, voltage: float) -> None:
        self._output.check(voltage, lowest=self._output.minimum + self._overshoot)
        if voltage < self._output.read():
            self._output.ramp_to(voltage - self._overshoot)
        self._output.ramp_to(voltage)


class VoltageActuator(Instrument):
    """A fibre stretcher, an EOM's bias electrode, or another actuator on a voltage.

    Safe state: `rest`, approached at the slew rate.

    Thread-safe: one change at a time; `safe_state` interrupts one of another thread.

    Parameters
    ----------
    name : str
    source : str or Parameter
        Voltage source, as a parameter or as ``instrument.parameter``.
    minimum, maximum : float
        V.
    slew_rate : float
        V/s.
    rest : float
        Voltage in the safe state, V: mid-range of a stretcher, 0 of an EOM.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        minimum: float,
        maximum: float,
        slew_rate: float,
        rest: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if not minimum <= rest <= maximum:
            message = f"{name}: `rest` must be {minimum:g} to {maximum:g} V, but is {rest:g} V"
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self._output = RampedVoltage(source, minimum, maximum, slew_rate, self.name)
        self._rest = rest
        self.voltage: Parameter[float, Self] = self.add_parameter(
            "voltage",
            unit="V",
            label="drive voltage",
            vals=Numbers(minimum, maximum),
            get_cmd=self._output.read,
            set_cmd=self._output.ramp_to,
            docstring="Drive voltage, ramped.",
        )

    def get_idn(self) -> dict[str, str | None]:
        """Return what is known without asking: the device has no identification."""
        return {"vendor": None, "model": "voltage actuator", "serial": None, "firmware": None}

    def safe_state(self) -> None:
        """Go to the rest voltage at the slew rate; returns after 1 s at the latest."""
        self._output.head_for(self._rest)

    def close(self) -> None:
        """Wait for a ramp to the rest voltage, then forget the source."""
        if hasattr(self, "_output"):
            self._output.finish()
        super().close()
