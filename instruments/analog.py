"""Devices driven by a voltage: attenuator, fibre filter, stretcher, EOM bias.

The makers' remote protocols and limits are not public, so that every limit is mandatory here and
the voltage comes from any QCoDeS parameter (NI-DAQ output, Yokogawa GS200). Not verified on
hardware.
"""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from qcodes.instrument import Instrument
from qcodes.validators import Numbers

from instruments.bases.parameters import Declared, add_parameters
from instruments.bases.ramped_voltage import RampedVoltage

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from qcodes.parameters import Parameter
    from typing_extensions import Unpack


@dataclass(frozen=True, slots=True, kw_only=True)
class TransmissionTable:
    """Transmission of an attenuator against its voltage; between points log-linear.

    Attributes
    ----------
    voltages : tuple of float
        V, rising.
    transmissions : tuple of float
        Between 0 (excluded) and 1, strictly rising or strictly falling.

    Raises
    ------
    ValueError
        If the table is too short, or not as said.
    """

    voltages: tuple[float, ...]
    transmissions: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.voltages) != len(self.transmissions) or len(self.voltages) < 2:
            message = (
                "a calibration table must have two or more pairs of voltage and transmission, but "
                f"has {len(self.voltages)} voltages and {len(self.transmissions)} transmissions"
            )
            raise ValueError(message)
        if not all(low < high for low, high in pairwise(self.voltages)):
            message = f"`voltages` must rise, but are {self.voltages}"
            raise ValueError(message)
        if not all(0 < value <= 1 for value in self.transmissions):
            message = f"`transmissions` must be above 0 and at most 1, but are {self.transmissions}"
            raise ValueError(message)
        signs = {math.copysign(1, b - a) * (a != b) for a, b in pairwise(self.transmissions)}
        if len(signs) != 1 or 0 in signs:
            message = (
                "`transmissions` must only rise or only fall with voltage, but are "
                f"{self.transmissions}; leave out repeated and noisy points"
            )
            raise ValueError(message)

    @classmethod
    def of(cls, pairs: Iterable[Iterable[float]]) -> Self:
        """Make a table from pairs (V, transmission) in any order."""
        rows = sorted((float(voltage), float(value)) for voltage, value in pairs)
        return cls(
            voltages=tuple(voltage for voltage, _ in rows),
            transmissions=tuple(value for _, value in rows),
        )

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a CSV file of two columns, V and transmission, with one heading line.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            Naming the file, if it holds no such table.
        """
        try:
            return cls.of(np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2).tolist())
        except ValueError as error:
            message = f"calibration {path}: {error}"
            raise ValueError(message) from error

    @property
    def darkest(self) -> float:
        """Voltage of the smallest transmission, V."""
        return self.voltages[int(np.argmin(self.transmissions))]

    def transmission_at(self, voltage: float) -> float:
        """Return the transmission at a voltage within the table's range.

        Raises
        ------
        ValueError
            If `voltage` is outside.
        """
        self._check("voltage", voltage, self.voltages, "V")
        return float(np.exp(np.interp(voltage, self.voltages, np.log(self.transmissions))))

    def voltage_at(self, transmission: float) -> float:
        """Return the voltage that gives a transmission.

        Raises
        ------
        ValueError
            If `transmission` is not within the table.
        """
        self._check("transmission", transmission, self.transmissions, "")
        logarithms = np.log(np.asarray(self.transmissions))
        order = np.argsort(logarithms)
        voltages = np.asarray(self.voltages)[order]
        return float(np.interp(math.log(transmission), logarithms[order], voltages))

    def _check(self, name: str, value: float, known: tuple[float, ...], unit: str) -> None:
        low, high = min(known), max(known)
        if not low <= value <= high:
            message = (
                f"`{name}` must be {low:g} to {high:g} {unit}, the calibrated range, "
                f"but is {value:g}"
            )
            raise ValueError(" ".join(message.split()))


class OnAVoltage(Instrument):
    """Base of what hangs on a voltage that moves within limits only, and not too fast.

    Parameters
    ----------
    name : str
    source : str or Parameter
        Voltage source, as a parameter or as ``instrument.parameter``.
    minimum, maximum : float
        V.
    slew_rate : float
        V/s.
    **kwargs
        Of `qcodes.instrument.Instrument`.
    """

    made_by: ClassVar[str | None] = None
    model: ClassVar[str]

    def __init__(
        self,
        name: str,
        source: "str | Parameter[float, Any]",
        minimum: float,
        maximum: float,
        slew_rate: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        super().__init__(name, **kwargs)
        self._output = RampedVoltage(source, minimum, maximum, slew_rate, self.name)
        add_parameters(self)

    def get_idn(self) -> dict[str, str | None]:
        """Return what is known without asking: such a device has no identification."""
        return {"vendor": self.made_by, "model": self.model, "serial": None, "firmware": None}


class SercaloVP1(OnAVoltage):
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

    made_by, model = "Sercalo", "VP1"

    transmission = Declared[float](
        "power transmission",
        get=lambda self: self.calibration.transmission_at(self._output.read()),
        vals=lambda self: Numbers(
            min(self.calibration.transmissions), max(self.calibration.transmissions)
        ),
        doc="Power transmission by the calibration table.",
    )
    voltage = Declared[float](
        "drive voltage",
        "V",
        get=lambda self: self._output.read(),
        doc="What the source is set to.",
    )

    def __init__(
        self,
        name: str,
        source: "str | Parameter[float, Any]",
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
        self.calibration = table
        self._settling_time = settling_time
        super().__init__(name, source, minimum, maximum, slew_rate, **kwargs)

    def safe_state(self) -> None:
        """Set the largest attenuation at once."""
        self._output.put_at_once(self.calibration.darkest)

    @transmission.setter
    def _set_transmission(self, transmission: float) -> None:
        self._output.ramp_to(self.calibration.voltage_at(transmission))
        time.sleep(self._settling_time)


class MicronOpticsFFPTF2(OnAVoltage):
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

    made_by, model = "Micron Optics", "FFP-TF2"

    voltage = Declared[float](
        "tuning voltage",
        "V",
        get=lambda self: self._output.read(),
        vals=lambda self: Numbers(self._output.minimum + self._overshoot, self._output.maximum),
        doc="Tuning voltage; always approached from below.",
    )

    def __init__(
        self,
        name: str,
        source: "str | Parameter[float, Any]",
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
        self._overshoot = overshoot
        super().__init__(name, source, minimum, maximum, slew_rate, **kwargs)

    def safe_state(self) -> None:
        """Leave the voltage where it is."""

    @voltage.setter
    def _approach(self, voltage: float) -> None:
        self._output.check(voltage, lowest=self._output.minimum + self._overshoot)
        if voltage < self._output.read():
            self._output.ramp_to(voltage - self._overshoot)
        self._output.ramp_to(voltage)


class VoltageActuator(OnAVoltage):
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

    model = "voltage actuator"

    voltage = Declared[float](
        "drive voltage",
        "V",
        get=lambda self: self.read(),
        set=lambda self, volts: self.drive(volts),
        vals=lambda self: Numbers(self._output.minimum, self._output.maximum),
        doc="Drive voltage, ramped.",
    )

    def __init__(
        self,
        name: str,
        source: "str | Parameter[float, Any]",
        minimum: float,
        maximum: float,
        slew_rate: float,
        rest: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if not minimum < maximum:
            message = (
                f"{name}: `minimum` must be below `maximum`, but they are {minimum:g} and "
                f"{maximum:g} V"
            )
            raise ValueError(message)
        if not minimum <= rest <= maximum:
            message = f"{name}: `rest` must be {minimum:g} to {maximum:g} V, but is {rest:g} V"
            raise ValueError(message)
        self._rest = rest
        super().__init__(name, source, minimum, maximum, slew_rate, **kwargs)

    def read(self) -> float:
        """Return the drive voltage, V."""
        return self._output.read()

    def drive(self, volts: float) -> None:
        """Ramp to a voltage (V)."""
        self._output.ramp_to(volts)

    def safe_state(self) -> None:
        """Go to the rest voltage at the slew rate; returns after 1 s at the latest."""
        self._output.head_for(self._rest)

    def close(self) -> None:
        """Wait for a ramp to the rest voltage, then forget the source."""
        if hasattr(self, "_output"):
            self._output.finish()
        super().close()
