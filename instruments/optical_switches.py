"""Fibre switches: Agiltron FF and SelfAlign, Sercalo 1×N. Not verified on hardware.

Each family has bytes of its own for the same thing: never guess the family. Sources: drivers of QMI
(FF), of the package agiltron-selfalign, and of the Groeblacher lab (Sercalo). Switching times,
blocking during motion and the channel at power-on are not published.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from qcodes.validators import Ints

from instruments.bases.parameters import Declared, add_parameters
from instruments.links.visa import VisaLink

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs


class FibreSwitch(VisaLink):
    """Base of the switches; fulfils `instruments.roles.OpticalSwitch`.

    Safe state: the dark channel. Connecting changes nothing. Thread-safe.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name of the serial line.
    channels : int
        Number of channels.
    dark : int
        A channel to which no fibre is connected.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    maker, model = "", ""

    position = Declared[int](
        "Channel",
        get=lambda self: self._read(),
        set=lambda self, channel: self._go_to(channel),
        vals=lambda self: Ints(1, self.n_channels),
        doc="Channel that light is led to, from 1.",
    )

    def __init__(
        self,
        name: str,
        address: str,
        *,
        channels: int,
        dark: int,
        **kwargs: "Unpack[VisaInstrumentKWArgs]",
    ) -> None:
        if not 1 <= dark <= channels:
            message = f"{name}: `dark` must be a channel, 1 to {channels}, but is {dark}"
            raise ValueError(message)
        self.n_channels, self.dark = channels, dark
        super().__init__(name, address, **kwargs)
        add_parameters(self)

    @abstractmethod
    def _set(self, channel: int) -> None:
        """Tell the switch to lead light to a channel."""

    @abstractmethod
    def _read(self) -> int:
        """Return the channel that light is led to."""

    def get_idn(self) -> dict[str, str | None]:
        """Return what is known without asking."""
        return {"vendor": self.maker, "model": self.model, "serial": None, "firmware": None}

    def safe_state(self) -> None:
        """Lead light to the dark channel, and check."""
        self.position(self.dark)

    def _go_to(self, channel: int) -> None:
        with self.lock:
            self._set(channel)
            if (found := self._read()) != channel:
                message = f"{self.name}: the channel must be {channel}, but reads {found}"
                raise RuntimeError(message)

    def _echoed(self, sent: bytes, wanted: bytes, what: str) -> None:
        """Send a frame and refuse another answer than `wanted`."""
        if (reply := self.exchange_bytes(sent, len(wanted), what)) != wanted:
            message = (
                f"{self.name}: {what} must be answered by {wanted.hex(' ')}, but is by "
                f"{reply.hex(' ')}; is this the right family of switch?"
            )
            raise ConnectionError(message)


class AgiltronFF(FibreSwitch):
    """Agiltron FF 1×4 or 1×8: frames of four bytes, each echoed."""

    maker, model = "Agiltron", "FF"

    def _set(self, channel: int) -> None:
        frame = bytes([0x01, 0x12, 0x00, channel])
        self._echoed(frame, frame, f"channel {channel}")

    def _read(self) -> int:
        reply = self.exchange_bytes(bytes([0x01, 0x11, 0x00, 0x00]), 4, "asking for the channel")
        return reply[3]


class AgiltronSelfAlign(FibreSwitch):
    """Agiltron SelfAlign: it cannot be asked; its channel is not known before it was set."""

    maker, model = "Agiltron", "SelfAlign"
    _last: int | None = None

    def _set(self, channel: int) -> None:
        self._last = None
        sent = bytes([0x01, 0x35, 0x00, channel])
        self._echoed(sent, bytes([0x01, 0x35, 0xFF, 0xFF]), f"channel {channel}")
        self._last = channel

    def _read(self) -> int:
        if self._last is None:
            message = (
                f"{self.name}: the channel must be set before it is known: the switch cannot be "
                "asked"
            )
            raise RuntimeError(message)
        return self._last


class SercaloSwitch(FibreSwitch):
    """Sercalo 1×N with the binary protocol (``EF EF`` … checksum)."""

    maker, model = "Sercalo", "1×N"
    baud_rate = 115_200
    ERRORS: ClassVar = {1: "bad command", 2: "bad parameter", 3: "failed", 4: "wrong checksum"}
    GET, SET = 0x02, 0x04

    def _set(self, channel: int) -> None:
        self._command(self.SET, bytes([channel]))

    def _read(self) -> int:
        return self._command(self.GET, b"")[0]

    def _command(self, command: int, data: bytes) -> bytes:
        """Send a command and return the data of its answer.

        ``EF EF len FF cmd data sum`` is answered by ``FE FE len addr cmd err data sum``; ``len``
        counts the bytes after it.
        """
        frame = bytes([0xEF, 0xEF, 3 + len(data), 0xFF, command]) + data
        frame += bytes([sum(frame) & 0xFF])
        what = f"command {command}"
        with self.lock:
            head = self.exchange_bytes(frame, 3, what)
            body = self.exchange_bytes(b"", max(head[2], 4), what)
        is_whole = head[:2] == b"\xfe\xfe" and sum(head + body[:-1]) & 0xFF == body[-1]
        if not is_whole or body[1] != command:
            message = f"{self.name}: the answer to {what} is garbled: {(head + body).hex(' ')}"
            raise ConnectionError(message)
        if body[2]:
            message = f"{self.name} refused {what}: {self.ERRORS.get(body[2], body[2])}"
            raise RuntimeError(message)
        return body[3:-1]
