"""Toptica DLC pro laser through the maker's client (toptica_lasersdk). Not verified on hardware.

Units of the controller's parameters are not in the client: they are values of the station file.
"""

import contextlib
import time
from threading import RLock
from typing import TYPE_CHECKING, Any

from qcodes.instrument import Instrument
from qcodes.validators import Numbers

from instruments.bases.parameters import Declared, add_parameters
from instruments.links.vendor_library import optional_package

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

POLL = 0.05
"""Seconds between looks at a wavelength on its way."""

CONFIRMATION = 2.0
"""Longest wait until the emission is what it was switched to, s."""


class TopticaDLCPro(Instrument):
    """One laser of a DLC pro with motorised wavelength; fulfils `instruments.roles.Laser`.

    Connecting changes nothing. Safe state: the diode's current is off. The current clip is never
    touched. Thread-safe.

    Parameters
    ----------
    name : str
    address : str
        Host name, or serial number of the controller.
    wavelength_limits : (float, float)
        m.
    wavelength_tolerance : float
        Largest difference between set and reached wavelength, m.
    wavelength_unit : float
        Metres per unit of ``ctl:wavelength-set``: 1e-9 if the controller counts in nm.
    laser : int, optional
        1 or 2.
    timeout : float, optional
        Longest wait for arrival, s.
    port : int, optional
        Of the command line.
    **kwargs
        Of `qcodes.instrument.Instrument`.
    """

    wavelength = Declared[float](
        "Vacuum wavelength",
        "m",
        get=lambda self: self._read_wavelength(),
        set=lambda self, metres: self._go_to(metres),
        vals=lambda self: Numbers(*self._limits),
        doc="``ctl:wavelength-act``; setting waits for arrival.",
    )
    emission = Declared[bool](
        "Emission",
        get=lambda self: self._ask("{laser}:emission", bool),
        set=lambda self, on: self._switch(bool(on)),
        doc="``dl:cc:enabled`` switches, ``emission`` is read; needs key, interlock and button.",
    )
    interlock_open = Declared[bool](
        "Interlock open", get=lambda self: self._ask("interlock-open", bool)
    )
    health = Declared[str]("System health", get=lambda self: self._ask("system-health-txt", str))

    def __init__(
        self,
        name: str,
        address: str,
        *,
        wavelength_limits: tuple[float, float],
        wavelength_tolerance: float,
        wavelength_unit: float,
        laser: int = 1,
        timeout: float = 60.0,
        port: int = 1998,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        low, high = wavelength_limits
        if not (0 < low < high and wavelength_tolerance > 0 and wavelength_unit > 0):
            message = (
                f"{name}: `wavelength_limits` must rise, `wavelength_tolerance` and "
                f"`wavelength_unit` be positive, but are {low:g} to {high:g} m, "
                f"{wavelength_tolerance:g} m, {wavelength_unit:g}"
            )
            raise ValueError(message)
        if laser not in (1, 2):
            message = f"{name}: `laser` must be 1 or 2, but is {laser}"
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self._limits, self._tolerance = (low, high), wavelength_tolerance
        self._unit, self._timeout, self._laser = wavelength_unit, timeout, f"laser{laser}"
        self.lock = RLock()
        sdk = optional_package("toptica.lasersdk.client", "pip install -e '.[toptica]'")
        self._new_client: Callable[[], Any] = lambda: sdk.Client(
            sdk.NetworkConnection(address, port, 0)
        )
        self._failures: tuple[type[BaseException], ...] = (
            sdk.DecopError, sdk.DeviceNotFoundError, sdk.UnavailableError, OSError,
        )  # fmt: skip
        self._address = f"{address}:{port}"
        self._client: Any = None
        add_parameters(self)
        self.get_idn()

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, type of the laser, serial number and firmware."""
        return {
            "vendor": "TOPTICA",
            "model": self._ask("{laser}:product-name", str),
            "serial": self._ask("serial-number", str),
            "firmware": self._ask("fw-ver", str),
        }

    def safe_state(self) -> None:
        """Switch the diode's current off, and check; on a fresh link if the present one fails."""
        try:
            self._switch(False)
        except ConnectionError:
            self._switch(False)

    def close(self) -> None:
        """Close the link; the laser stays as it is."""
        self._drop_link()
        super().close()

    def _read_wavelength(self) -> float:
        return float(self._ask("{laser}:ctl:wavelength-act", float)) * self._unit

    def _go_to(self, metres: float) -> None:
        with self.lock:
            self._tell("{laser}:ctl:wavelength-set", metres / self._unit)
            deadline = time.monotonic() + self._timeout
            while not abs((now := self._read_wavelength()) - metres) <= self._tolerance:
                if time.monotonic() > deadline:
                    message = (
                        f"{self.name}: the wavelength must come to {metres:.12g} m within "
                        f"{self._timeout:g} s, but is {now:.12g} m"
                    )
                    raise TimeoutError(message)
                time.sleep(POLL)

    def _switch(self, on: bool) -> None:
        with self.lock:
            self._tell("{laser}:dl:cc:enabled", on)
            deadline = time.monotonic() + CONFIRMATION
            while self._ask("{laser}:emission", bool) != on:
                if time.monotonic() > deadline:
                    why = "" if not on else "; check key, interlock and button"
                    message = (
                        f"{self.name}: the emission did not switch {'on' if on else 'off'}{why}"
                    )
                    raise RuntimeError(message)
                time.sleep(POLL)

    def _ask(self, parameter: str, kind: type) -> Any:
        return self._call("get", parameter, kind)

    def _tell(self, parameter: str, value: object) -> None:
        self._call("set", parameter, value)

    def _call(self, action: str, parameter: str, *arguments: object) -> Any:
        path = parameter.format(laser=self._laser)
        with self.lock:
            try:
                return getattr(self._opened(), action)(path, *arguments)
            except self._failures as error:
                refused = type(error).__name__ in ("DecopError", "DecopValueError")
                self._drop_link()
                told = str(error) or type(error).__name__
                message = f"{self.name} at {self._address}: {path}: {told}"
                raise (RuntimeError if refused else ConnectionError)(message) from error

    def _opened(self) -> Any:
        if self._client is None:
            client = self._new_client()
            client.open()
            self._client = client
        return self._client

    def _drop_link(self) -> None:
        client, self._client = getattr(self, "_client", None), None
        if client is not None:
            with contextlib.suppress(Exception):  # a link that was lost cannot be closed
                client.close()
