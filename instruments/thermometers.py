"""Cryostat thermometers: QCoDeS's own drivers, with the one reading that labkit asks for.

Not verified on hardware.
"""

import re
from threading import RLock
from typing import TYPE_CHECKING, Any

from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372
from qcodes.instrument_drivers.oxford import OxfordTriton

from instruments.links.visa import VisaLink

if TYPE_CHECKING:
    from qcodes.instrument import VisaInstrumentKWArgs
    from typing_extensions import Unpack


class LakeshoreModel372Thermometer(LakeshoreModel372, VisaLink):
    """QCoDeS's Lake Shore 372 driver on a link that fails in time and is opened anew.

    Fulfils `instruments.roles.Thermometer`. A reading checks the sensor's status first.
    Thread-safe, by exchange.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name, TCP port 7777. (A serial line has 7 data bits and odd parity, which
        this driver does not set.)
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "372"

    def __init__(self, name: str, address: str, **kwargs: "Unpack[VisaInstrumentKWArgs]") -> None:
        super().__init__(name, address, **kwargs)
        for heater in (self.sample_heater, self.warmup_heater, self.analog_heater):
            if "output_type" in heater.parameters:  # QCoDeS before 0.62: a 372 has no such field
                for parameter in heater.heater_group.parameters:
                    del heater.parameters[parameter]

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """Say nothing on connecting; the identity is in the log and the snapshot."""

    def temperature_of(self, channel: int | str) -> float:
        """Return a sensor's temperature in K.

        Parameters
        ----------
        channel : int or str
            1 to 16, or the sensor's name on the instrument.

        Raises
        ------
        KeyError
            If there is no such sensor.
        RuntimeError
            If the sensor has no valid reading.
        """
        sensor = self.channels[self._number_of(channel) - 1]
        status = sensor.sensor_status()
        kelvin = sensor.temperature()
        if status != "OK" or not kelvin > 0:
            message = (
                f"{self.name}: sensor {channel!r} must have a valid reading, but has status "
                f"{status} and {kelvin:g} K"
            )
            raise RuntimeError(message)
        return float(kelvin)

    def safe_state(self) -> None:
        """Do nothing: heaters belong to the cryostat's own control."""

    def _number_of(self, channel: int | str) -> int:
        if isinstance(channel, int) and 1 <= channel <= len(self.channels):
            return channel
        names = [sensor.sensor_name().strip() for sensor in self.channels]
        if channel in names:
            return names.index(str(channel)) + 1
        message = f"{self.name}: `channel` must be 1 to 16 or one of {names}, but is {channel!r}"
        raise KeyError(message)


class OxfordTritonThermometer(OxfordTriton):
    """QCoDeS's Oxford Triton driver; fulfils `instruments.roles.Thermometer`.

    Thread-safe, by exchange. The link is QCoDeS's own: it is not opened anew by itself.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        ``TCPIP0::HOST::PORT::SOCKET``.
    timeout : float, optional
        Longest wait for a reply, s.
    **kwargs
        Of `qcodes.instrument_drivers.oxford.OxfordTriton`.

    Raises
    ------
    ValueError
        If the address has another form.
    """

    def __init__(self, name: str, address: str, timeout: float = 5.0, **kwargs: Any) -> None:
        found = re.fullmatch(r"TCPIP\d*::([^:]+)::(\d+)::SOCKET", address, re.IGNORECASE)
        if found is None:
            message = f"{name}: `address` must be TCPIP0::HOST::PORT::SOCKET, but is {address!r}"
            raise ValueError(message)
        self.lock = RLock()
        options = {"terminator": "\r\n"} | kwargs
        super().__init__(name, address=found[1], port=int(found[2]), timeout=timeout, **options)

    def write_raw(self, cmd: str) -> None:
        """Send a command and take its confirmation."""
        with self.lock:
            super().write_raw(cmd)

    def ask_raw(self, cmd: str) -> str:
        """Send a query and return its reply."""
        with self.lock:
            return super().ask_raw(cmd)

    def connect_message(self, idn_param: str = "IDN", begin_time: float | None = None) -> None:
        """Say nothing on connecting; the identity is in the log and the snapshot."""

    def temperature_of(self, channel: int | str) -> float:
        """Return a sensor's temperature in K.

        Parameters
        ----------
        channel : int or str
            1 to 16, or a name that the cryostat gives, such as ``"MC"``.

        Raises
        ------
        KeyError
            If there is no such sensor.
        RuntimeError
            If the sensor has no valid reading.
        """
        name = f"T{channel}" if isinstance(channel, int) else channel
        if name not in self.parameters:
            known = sorted({*self.chan_alias, *self.chan_temps})
            message = f"{self.name}: `channel` must be one of {known}, but is {channel!r}"
            raise KeyError(message)
        kelvin = self.parameters[name].get()
        if kelvin is None or not kelvin > 0:
            message = f"{self.name}: sensor {channel!r} must have a valid reading, but has {kelvin}"
            raise RuntimeError(message)
        return float(kelvin)

    def safe_state(self) -> None:
        """Do nothing: heaters belong to the cryostat's own control."""
