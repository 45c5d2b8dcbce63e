"""A cryostat thermometer by any QCoDeS parameters."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qcodes.instrument import Instrument, InstrumentChannel

from instruments.bases.parameters import Declared, add_parameters
from instruments.bases.ramped_voltage import find_parameter

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack


class ParameterSensor(InstrumentChannel["ParameterThermometer"]):
    """One sensor.

    Parameters
    ----------
    parent : ParameterThermometer
    name : str
    source : str
        Path of the parameter.
    """

    temperature = Declared[float](
        "Temperature",
        "K",
        get=lambda self: self._read(),
        doc="A fresh reading; one that is not valid raises.",
    )

    def __init__(self, parent: "ParameterThermometer", name: str, source: str) -> None:
        super().__init__(parent, name)
        self.source = find_parameter(source)
        add_parameters(self)

    def _read(self) -> float:
        value: Any = self.source.get()
        kelvin = math.nan if value is None else float(value)
        if not 0 < kelvin < math.inf:
            message = (
                f"{self.full_name}: {self.source.full_name} must have a valid reading, "
                f"but has {value}"
            )
            raise RuntimeError(message)
        return kelvin


class ParameterThermometer(Instrument):
    """Sensors by any parameters in K; fulfils `instruments.roles.Thermometer`.

    Each sensor is a channel ``ch06`` (by its number) or with its name, with a `temperature`.

    Parameters
    ----------
    name : str
    sources : mapping of int or str to str
        Parameter by the sensor's number or name: ``{6: bluefors.ch6}``.
    """

    def __init__(
        self, name: str, sources: Mapping[int | str, str], **kwargs: "Unpack[InstrumentBaseKWArgs]"
    ) -> None:
        super().__init__(name, **kwargs)
        self._sensors: dict[int | str, ParameterSensor] = {}
        for number, source in sources.items():
            short = f"ch{number:02d}" if isinstance(number, int) else number
            sensor = ParameterSensor(self, short, source)
            self._sensors[number] = self.add_submodule(short, sensor)

    def get_idn(self) -> dict[str, str | None]:
        """Return whose parameters these are."""
        named = ", ".join(sensor.source.full_name for sensor in self._sensors.values())
        return {"vendor": None, "model": f"by {named}", "serial": None, "firmware": None}

    def temperature_of(self, channel: int | str) -> float:
        """Return a sensor's temperature in K.

        Raises
        ------
        KeyError
            If there is no such sensor.
        RuntimeError
            If the sensor has no valid reading.
        """
        if channel not in self._sensors:
            known = ", ".join(map(str, self._sensors))
            message = f"{self.name}: `channel` must be one of {known}, but is {channel!r}"
            raise KeyError(message)
        return self._sensors[channel].temperature()

    def safe_state(self) -> None:
        """Do nothing: a thermometer has no effect on anything."""
