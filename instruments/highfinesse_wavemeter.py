"""HighFinesse WS6 and WS7 wavelength meters through ``wlmData.dll``. Not verified on hardware.

The library talks to the maker's program on the same computer, which must be running. Source:
pylablib's and public drivers.
"""

from ctypes import c_double, c_long
from threading import RLock
from typing import TYPE_CHECKING, Any

from qcodes.instrument import Instrument

from instruments.bases.parameters import Declared, add_parameters
from instruments.links.vendor_library import load_library

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

ERRORS = {
    0: "no value yet",
    -1: "no signal",
    -2: "bad signal",
    -3: "signal too low (underexposed)",
    -4: "signal too high (overexposed)",
    -5: "the wavemeter program is not running",
    -6: "not available on this instrument",
    -7: "nothing changed since the last value",
    -8: "no pulse",
    -14: "out of the wavemeter's range",
}
"""Meaning of values that are not positive."""

SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "GetWavelengthNum": (c_double, (c_long, c_double)),
    "GetFrequencyNum": (c_double, (c_long, c_double)),
    "GetOperationState": (c_long, (c_long,)),
    "GetWLMVersion": (c_long, (c_long,)),
    "Operation": (c_long, (c_long,)),
}
"""Result and argument types; without ``c_double`` the values are garbage."""

STOPPED, MEASURE = 0, 2


class WavemeterError(RuntimeError):
    """The wavemeter has no value.

    Attributes
    ----------
    code : int
    """

    def __init__(self, owner: str, channel: int, code: int) -> None:
        self.code = code
        meaning = ERRORS.get(code, "an error that is not listed")
        super().__init__(
            f"{owner}: channel {channel} must have a value, but reports {code} ({meaning})"
        )


class HighFinesseWS7(Instrument):
    """A wavelength meter, by one channel of its fibre switch.

    A value is only given while the instrument measures: stopped, it would repeat the last one.

    Thread-safe: one call at a time.

    Parameters
    ----------
    name : str
    library : str or object
        File name of the maker's library to load (``wlmData.dll``), or an object with its functions.
    channel : int, optional
        Of the fibre switch, from 1.

    Raises
    ------
    OSError
        If the library cannot be loaded.
    ConnectionError
        If the maker's program is not running.
    """

    wavelength = Declared[float](
        "vacuum wavelength",
        "m",
        get=lambda self: self._value("GetWavelengthNum") * 1e-9,
        doc="Vacuum wavelength of the light on this channel.",
    )
    frequency = Declared[float](
        "optical frequency",
        "Hz",
        get=lambda self: self._value("GetFrequencyNum") * 1e12,
        doc="Optical frequency of the light on this channel.",
    )

    def __init__(
        self,
        name: str,
        library: str | Any,
        channel: int = 1,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if channel < 1:
            message = f"{name}: `channel` must be 1 or more, but is {channel}"
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self._library = (
            load_library(library, "HighFinesse", SIGNATURES)
            if isinstance(library, str)
            else library
        )
        self._channel = channel
        self._lock = RLock()
        self._version = self._read_version()
        add_parameters(self)
        self.connect_message()

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, model, serial number and software version."""
        kind, serial, revision, build = self._version
        return {
            "vendor": "HighFinesse",
            "model": f"WS{kind}",
            "serial": str(serial),
            "firmware": f"{revision}.{build}",
        }

    def start(self) -> None:
        """Let the instrument measure."""
        with self._lock:
            code = self._library.Operation(MEASURE)
        if code < 0:
            message = f"{self.name}: the measurement must start, but reports {code}"
            raise RuntimeError(message)

    def safe_state(self) -> None:
        """Leave everything as it is."""

    def _value(self, function: str) -> float:
        with self._lock:
            if self._library.GetOperationState(0) == STOPPED:
                message = (
                    f"{self.name}: the wavemeter must be measuring, but is stopped; call start()"
                )
                raise RuntimeError(message)
            value = float(getattr(self._library, function)(self._channel, 0.0))
        if not value > 0:
            raise WavemeterError(self.name, self._channel, round(value))
        return value

    def _read_version(self) -> tuple[int, int, int, int]:
        with self._lock:
            parts = [int(self._library.GetWLMVersion(index)) for index in range(4)]
        if parts[0] <= 0:
            message = (
                f"{self.name}: the wavemeter program must be running, but is not "
                f"(version {parts[0]}); start it on this computer"
            )
            raise ConnectionError(message)
        return parts[0], parts[1], parts[2], parts[3]
