"""A New Focus TLB-6700 controller on raw USB endpoints, through pyusb (any operating system).

Source: public scripts. Not verified on hardware.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from instruments.links.vendor_library import optional_package
from instruments.newport_tlb6700.conversation import PACKET, PRODUCT_ID, SETTLE, VENDOR_ID, absent

MAX_STALE = 16
"""Packets of earlier replies that are dropped at most."""

TIMEOUT_NUMBERS = {60, 110, 10060}
"""Error numbers with which pyusb reports a time-out, by operating system."""

_END = b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Bulk endpoints of one USB device.

    Attributes
    ----------
    write : callable
        ``write(data)``.
    read : callable
        ``read(size, timeout_ms)`` returns up to `size` bytes, or raises OSError.
    """

    write: Callable[[bytes], object]
    read: Callable[[int, int], bytes]


class NewportRawUsb:
    """Bulk endpoints of the controller, found by its answer to ``*IDN?``.

    Parameters
    ----------
    find : callable
        Returns the endpoints of all controllers present.
    serial : str
        ``SN`` and digits.
    timeout : float, optional
        Longest wait for a reply in s.
    """

    def __init__(
        self, find: Callable[[], Iterable[Endpoints]], serial: str, *, timeout: float = 2.0
    ) -> None:
        self._find = find
        self._serial = serial
        self._timeout = timeout
        self._endpoints: Endpoints | None = None

    def open(self) -> None:
        """Find the controller that identifies itself with the serial number."""
        seen = []
        for endpoints in self._find():
            self._endpoints = endpoints
            self._drop_stale()
            identity = self.exchange("*IDN?").partition(_END)[0].decode("latin-1")
            if self._serial in identity.split():
                return
            seen.append(identity)
        self._endpoints = None
        raise absent(self._serial, "; ".join(seen))

    def close(self) -> None:
        """Forget the endpoints."""
        self._endpoints = None

    def exchange(self, command: str) -> bytes:
        """Send a command and return the first packet of the reply."""
        try:
            self._opened().write(command.encode("ascii") + _END)
        except OSError as error:
            message = f"TLB-6700 {self._serial}: {command} could not be sent: {error}"
            raise ConnectionError(message) from error
        packet = self._receive(self._timeout)
        if not packet:
            message = (
                f"TLB-6700 {self._serial}: {command} must be answered within {self._timeout} s, "
                "but is not"
            )
            raise TimeoutError(message)
        return packet

    def read(self) -> bytes:
        """Return one more packet that is waiting, empty if none is."""
        return self._receive(SETTLE)

    def _drop_stale(self) -> None:
        for _ in range(MAX_STALE):
            if not self.read():
                return

    def _receive(self, timeout: float) -> bytes:
        try:
            return bytes(self._opened().read(PACKET, round(timeout * 1e3)))
        except TimeoutError:
            return b""
        except OSError as error:
            if error.errno in TIMEOUT_NUMBERS:
                return b""
            message = f"TLB-6700 {self._serial}: reading failed: {error}"
            raise ConnectionError(message) from error

    def _opened(self) -> Endpoints:
        if self._endpoints is None:
            message = f"TLB-6700 {self._serial}: the link must be open, but is closed"
            raise ConnectionError(message)
        return self._endpoints


def find_endpoints() -> Iterator[Endpoints]:
    """Yield the endpoints of all controllers present."""
    core = optional_package("usb.core", "pip install -e '.[usb]'")
    util = optional_package("usb.util", "pip install -e '.[usb]'")
    for device in core.find(find_all=True, idVendor=VENDOR_ID, idProduct=PRODUCT_ID):
        device.set_configuration()
        out, back = (
            util.find_descriptor(
                device.get_active_configuration()[(0, 0)],
                custom_match=lambda end, way=way: (
                    util.endpoint_direction(end.bEndpointAddress) == way
                ),
            )
            for way in (util.ENDPOINT_OUT, util.ENDPOINT_IN)
        )
        yield Endpoints(write=out.write, read=back.read)
