"""Lasers, attenuators and power meters by any QCoDeS parameters."""

import math
import time
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal

from qcodes.instrument import Instrument
from qcodes.validators import Numbers

from instruments.adapters.switching import OnOff, Word
from instruments.bases.parameters import Declared, add_parameters
from instruments.bases.ramped_voltage import find_parameter

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

POLL = 0.05
"""Seconds between looks at a wavelength on its way."""


def _whose(*parameters: Any) -> dict[str, str | None]:
    """Return whose parameters an adapter stands on, as an identity."""
    named = ", ".join(parameter.full_name for parameter in parameters)
    return {"vendor": None, "model": f"by {named}", "serial": None, "firmware": None}


class ParameterLaser(Instrument):
    """A laser by its parameters; fulfils `instruments.roles.Laser`. Safe state: emission off.

    Parameters
    ----------
    name : str
    wavelength : str
        Parameter of the vacuum wavelength.
    wavelength_unit : float
        Metres per unit of that parameter: 1e-9 for nm.
    wavelength_limits : (float, float)
        m.
    wavelength_tolerance : float
        Largest difference between set and reached wavelength, m.
    emission : str
        Parameter that switches the emission.
    emission_on, emission_off : bool, int or str, optional
        Its values.
    reached : str, optional
        Parameter that reads the wavelength reached; by default `wavelength` itself.
    timeout : float, optional
        Longest wait for arrival, s.
    power : str, optional
        Parameter of the set power, W.
    max_power : float, optional
        W; needed with `power`.
    """

    wavelength = Declared[float](
        "Vacuum wavelength",
        "m",
        get=lambda self: self._read_wavelength(),
        set=lambda self, metres: self._go_to(metres),
        vals=lambda self: Numbers(*self._limits),
        doc="Setting waits for arrival.",
    )
    emission = Declared[bool](
        "Emission",
        get=lambda self: self._switch.is_on(),
        set=lambda self, on: self._switch.put(on=bool(on)),
        doc="Whether the laser emits.",
    )
    power = Declared[float](
        "Set power",
        "W",
        only=lambda self: self._power is not None,
        get=lambda self: float(self._power.get()),
        set=lambda self, watts: self._power.set(watts),
        vals=lambda self: Numbers(0.0, self._max_power),
        doc="As the laser's own power control has it.",
    )

    def __init__(
        self,
        name: str,
        wavelength: str,
        wavelength_unit: float,
        wavelength_limits: tuple[float, float],
        wavelength_tolerance: float,
        emission: str,
        emission_on: Word = True,
        emission_off: Word = False,
        reached: str | None = None,
        timeout: float = 30.0,
        power: str | None = None,
        max_power: float | None = None,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        low, high = wavelength_limits
        if not (0 < low < high < math.inf and wavelength_unit > 0 and wavelength_tolerance > 0):
            message = (
                f"{name}: `wavelength_limits` must rise and be positive, as must `wavelength_unit` "
                f"and `wavelength_tolerance`, but are {low:g} to {high:g} m, {wavelength_unit:g}, "
                f"{wavelength_tolerance:g} m"
            )
            raise ValueError(message)
        if (power is None) != (max_power is None):
            message = f"{name}: `power` and `max_power` must be given together"
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self._limits, self._tolerance, self._timeout = (low, high), wavelength_tolerance, timeout
        self._unit = wavelength_unit
        self._set = find_parameter(wavelength)
        self._reached = self._set if reached is None else find_parameter(reached)
        self._power: Any = None if power is None else find_parameter(power)
        self._max_power = max_power
        self._switch = OnOff(emission, emission_on, emission_off)
        self.lock = RLock()
        add_parameters(self)

    def get_idn(self) -> dict[str, str | None]:
        """Return whose parameters these are."""
        return _whose(self._set, self._switch.parameter)

    def safe_state(self) -> None:
        """Switch the emission off, and check."""
        self._switch.put(on=False)

    def _read_wavelength(self) -> float:
        return float(self._reached.get()) * self._unit

    def _go_to(self, metres: float) -> None:
        with self.lock:
            self._set.set(metres / self._unit)
            deadline = time.monotonic() + self._timeout
            while not abs((now := self._read_wavelength()) - metres) <= self._tolerance:
                if time.monotonic() > deadline:
                    message = (
                        f"{self.name}: the wavelength must come to {metres:.12g} m within "
                        f"{self._timeout:g} s, but is {now:.12g} m"
                    )
                    raise TimeoutError(message)
                time.sleep(POLL)


class ParameterAttenuator(Instrument):
    """An attenuator by a parameter in dB or of transmission.

    Fulfils `instruments.roles.Attenuator`. Safe state: the largest attenuation.

    Parameters
    ----------
    name : str
    source : str
        The parameter.
    unit : {"dB", "transmission"}
        What the parameter counts: attenuation in dB, or power transmission.
    smallest, largest : float
        Attenuation that can be set, dB.
    tolerance : float, optional
        Largest difference between set and read back attenuation, dB.
    """

    transmission = Declared[float](
        "Power transmission",
        get=lambda self: 10 ** (-self._read() / 10),
        set=lambda self, passed: self._put(-10 * math.log10(passed)),
        vals=lambda self: Numbers(
            10 ** (-self._largest / 10) * (1 - 1e-9), 10 ** (-self._smallest / 10) * (1 + 1e-9)
        ),
        doc="Read back after it was set.",
    )

    def __init__(
        self,
        name: str,
        source: str,
        unit: Literal["dB", "transmission"],
        smallest: float,
        largest: float,
        tolerance: float = 0.1,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if not 0 <= smallest < largest < math.inf:
            message = (
                f"{name}: `smallest` and `largest` attenuation must rise from 0 dB or more, but "
                f"are {smallest:g} and {largest:g} dB"
            )
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self._smallest, self._largest, self._tolerance = smallest, largest, tolerance
        self._in_db = unit == "dB"
        self._source = find_parameter(source)
        add_parameters(self)

    def get_idn(self) -> dict[str, str | None]:
        """Return whose parameter this is."""
        return _whose(self._source)

    def safe_state(self) -> None:
        """Set the largest attenuation, and check."""
        self._put(self._largest)

    def _read(self) -> float:
        """Return the attenuation, dB."""
        value = float(self._source.get())
        if self._in_db:
            return value
        if not 0 < value <= 1:
            message = f"{self._source.full_name} must be above 0 and at most 1, but is {value:g}"
            raise RuntimeError(message)
        return -10 * math.log10(value)

    def _put(self, decibel: float) -> None:
        self._source.set(decibel if self._in_db else 10 ** (-decibel / 10))
        now = self._read()
        if not abs(now - decibel) <= self._tolerance:
            message = (
                f"{self.name}: the attenuation must be {decibel:g} dB after it was set, but "
                f"{self._source.full_name} reads {now:g} dB"
            )
            raise RuntimeError(message)


class ParameterPowerMeter(Instrument):
    """A power meter by a parameter in W, dBm or V; fulfils `instruments.roles.PowerMeter`.

    Parameters
    ----------
    name : str
    source : str
        The parameter.
    unit : {"W", "dBm", "V"}
    watts_per_volt : float, optional
        Of the photoreceiver; needed for V, and only then.
    """

    power = Declared[float](
        "Optical power",
        "W",
        get=lambda self: self._read(),
        doc="A fresh reading.",
    )

    def __init__(
        self,
        name: str,
        source: str,
        unit: Literal["W", "dBm", "V"],
        watts_per_volt: float | None = None,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if (unit == "V") != (watts_per_volt is not None):
            message = f"{name}: `watts_per_volt` must be given with unit V, and only then"
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self._source, self._in_dbm = find_parameter(source), unit == "dBm"
        self._watts = 1.0 if watts_per_volt is None else watts_per_volt
        add_parameters(self)

    def get_idn(self) -> dict[str, str | None]:
        """Return whose parameter this is."""
        return _whose(self._source)

    def safe_state(self) -> None:
        """Do nothing: a meter has no effect on anything."""

    def _read(self) -> float:
        value: Any = self._source.get()
        if value is None or not math.isfinite(value):
            message = f"{self._source.full_name} must be a power, but is {value}"
            raise RuntimeError(message)
        return 1e-3 * 10 ** (value / 10) if self._in_dbm else float(value) * self._watts
