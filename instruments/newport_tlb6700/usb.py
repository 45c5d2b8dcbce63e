"""Ways to a New Focus TLB-6700 controller: raw USB, and the vendor's Windows libraries.

Sources: QMI ``tlb670x.py`` (usbdll), public scripts for ``UsbDllWrap`` and for raw USB, which is
spoken through pyusb on any operating system. The libraries are loaded only when asked for by
address. Not verified on hardware.
"""

import ctypes
import time
from collections.abc import Callable, Iterable, Iterator
from ctypes import POINTER, c_char_p, c_int, c_long, c_ulong
from dataclasses import dataclass
from typing import Any

from instruments.links.lateness import longest_wait, no_longer_waiting
from instruments.links.vendor_library import load_library, optional_package
from instruments.newport_tlb6700.conversation import (
    PACKET,
    PRODUCT_ID,
    SETTLE,
    VENDOR_ID,
    NewportPort,
    absent,
)

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
        wait = longest_wait(self._timeout)
        packet = self._receive(wait)
        if not packet:
            no_longer_waiting()
            message = (
                f"TLB-6700 {self._serial}: {command} must be answered within {wait} s, but is not"
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


def open_port(address: str) -> NewportPort:
    """Return the port for an address.

    Parameters
    ----------
    address : str
        ``usbdll:SN1234`` (Windows, the vendor's DLL), ``dotnet:6700 SN1234`` (Windows, the vendor's
        .NET wrapper, needs pythonnet) or ``usb:SN1234`` (needs pyusb).

    Raises
    ------
    ValueError
        If the address has another form.
    """
    kind, _, device = address.partition(":")
    openers: dict[str, Callable[[], NewportPort]] = {
        "usbdll": lambda: NewportUsbDll(_load_usbdll(), device),
        "dotnet": lambda: NewportDotNet(*_load_dotnet(), device),
        "usb": lambda: NewportRawUsb(find_endpoints, device),
    }
    if kind not in openers or not device:
        message = (
            f"`address` must be 'usbdll:SN…', 'dotnet:6700 SN…' or 'usb:SN…', but is {address!r}"
        )
        raise ValueError(message)
    return openers[kind]()


class NewportUsbDll:
    """The vendor's ``usbdll.dll``.

    Parameters
    ----------
    library : object
        Has the functions ``newp_usb_…``.
    serial : str
        ``SN`` and digits.
    """

    def __init__(self, library: Any, serial: str) -> None:
        self._library = library
        self._serial = serial
        self._device: int | None = None

    def open(self) -> None:
        """Open all controllers and find the one with the serial number."""
        self._check("init_product", self._library.newp_usb_init_product(PRODUCT_ID))
        info = ctypes.create_string_buffer(1024)
        try:
            self._check("get_device_info", self._library.newp_usb_get_device_info(info))
            self._device = _index_of(info.value.decode("latin-1"), self._serial)
        except ConnectionError:
            self._library.newp_usb_uninit_system()
            raise

    def close(self) -> None:
        """Close all controllers of this process."""
        if self._device is not None:
            self._device = None
            self._library.newp_usb_uninit_system()

    def exchange(self, command: str) -> bytes:
        """Send a command and return the first packet of the reply."""
        data = command.encode("ascii")
        status = self._library.newp_usb_send_ascii(self._index(), data, len(data))
        self._check("send_ascii", status)
        time.sleep(SETTLE)
        return self._receive()

    def read(self) -> bytes:
        """Return one more packet; a failing read means that none waits."""
        try:
            return self._receive()
        except ConnectionError:
            return b""

    def _receive(self) -> bytes:
        buffer = ctypes.create_string_buffer(PACKET)
        count = ctypes.c_ulong()
        status = self._library.newp_usb_get_ascii(
            self._index(), buffer, PACKET, ctypes.pointer(count)
        )
        self._check("get_ascii", status)
        return buffer.raw[: count.value]

    def _index(self) -> int:
        if self._device is None:
            message = f"TLB-6700 {self._serial}: the link must be open, but is closed"
            raise ConnectionError(message)
        return self._device

    def _check(self, function: str, status: int) -> None:
        if status != 0:
            message = (
                f"TLB-6700 {self._serial}: newp_usb_{function} must return 0, but is {status}; "
                "check power, USB cable and driver"
            )
            raise ConnectionError(message)


class NewportDotNet:
    """The vendor's .NET class ``Newport.USBComm.USB``.

    It has no separate read, so leftover replies can only be met by the next exchange.

    Parameters
    ----------
    usb : object
        An instance of the class.
    new_text : callable
        Makes an empty ``System.Text.StringBuilder`` of a given capacity.
    key : str
        Device key, like ``6700 SN1234``.
    """

    def __init__(self, usb: Any, new_text: Callable[[int], Any], key: str) -> None:
        self._usb = usb
        self._new_text = new_text
        self._key = key

    def open(self) -> None:
        """Open all controllers of the product."""
        if not self._usb.OpenDevices(PRODUCT_ID, True):
            message = (
                f"TLB-6700 {self._key}: OpenDevices must succeed, but has not; check power, "
                "USB cable and driver, and close other programs"
            )
            raise ConnectionError(message)

    def close(self) -> None:
        """Close all controllers of this process."""
        self._usb.CloseDevices()

    def exchange(self, command: str) -> bytes:
        """Send a command and return the reply."""
        text = self._new_text(PACKET)
        self._usb.Query(self._key, command, text)
        reply = str(text.ToString()).encode("latin-1")
        if not reply:
            message = f"TLB-6700 {self._key}: {command} must be answered, but is not"
            raise TimeoutError(message)
        return reply

    def read(self) -> bytes:
        """Return nothing: the wrapper cannot read without a command."""
        return b""


def _index_of(info: str, serial: str) -> int:
    """Return the id of a controller in ``id,description;id,description;``."""
    for device in info.split(";"):
        index, _, description = device.partition(",")
        if serial in description.split():
            return int(index)
    raise absent(serial, info)


def _load_usbdll() -> Any:
    arguments: dict[str, tuple[Any, ...]] = {
        "newp_usb_init_product": (c_int,),
        "newp_usb_get_device_info": (c_char_p,),
        "newp_usb_send_ascii": (c_long, c_char_p, c_ulong),
        "newp_usb_get_ascii": (c_long, c_char_p, c_ulong, POINTER(c_ulong)),
        "newp_usb_uninit_system": (),
    }
    signatures = {name: (c_long, types) for name, types in arguments.items()}
    return load_library("usbdll.dll", "Newport", signatures)


def _load_dotnet() -> tuple[Any, Callable[[int], Any]]:
    remedy = "pip install pythonnet, and Newport's USB driver (Windows)"
    optional_package("clr", remedy).AddReference("UsbDllWrap")
    usb = optional_package("Newport.USBComm", remedy).USB()
    return usb, optional_package("System.Text", remedy).StringBuilder
