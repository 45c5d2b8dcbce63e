"""Cryostat thermometers: QCoDeS's own drivers, with the one reading that labkit asks for."""

from qcodes.instrument_drivers.Lakeshore import LakeshoreModel372
from qcodes.instrument_drivers.oxford import OxfordTriton

from instruments.visa_link import VisaLink


class LakeshoreModel372Thermometer(VisaLink, LakeshoreModel372):
    """QCoDeS's Lake Shore 372 driver; fulfils `instruments.roles.Thermometer`.

    A reading checks the sensor's status first. A link that was lost is opened anew by the next
    reading. Thread-safe: one exchange at a time.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name; TCP port 7777 or a serial line with 7 data bits and odd parity.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "MODEL372"
    default_terminator = "\r\n"

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
    """QCoDeS's Oxford Triton driver; fulfils `instruments.roles.Thermometer`. Not thread-safe."""

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
