"""One command, one reply: the conversation with a New Focus TLB-6700, and its named errors.

A way to a controller (`NewportPort`) carries packets of 64 bytes; it is not VISA.
"""

import re
from threading import RLock
from typing import Protocol

VENDOR_ID, PRODUCT_ID = 0x104D, 0x100A
PACKET = 64
"""Bytes of a reply packet; what follows CR LF in it may be left from earlier replies."""

SETTLE = 0.05
"""Seconds between sending a command and fetching its reply."""

ERRORS = {
    -4: "no parameter given",
    -3: "laser head disconnected",
    -2: "command not valid",
    116: "syntax error",
    126: "wrong number of parameters",
    201: "value out of range",
    424: "TEC temperature too high",
    501: "interlock open (rear BNC)",
    502: "diode current limit",
    514: "not allowed in this mode",
    524: "current driver temperature too high",
    802: "wavelength does not follow (more than 2 nm off); tracking was turned off",
    803: "wavelength motor temperature too high",
    804: "piezo temperature too high; the piezo was set to 0 %",
    805: "not supported",
    902: "key switch is off",
    919: "laser head disconnected",
    920: "EEPROM error",
}
"""Meaning of the controller's error numbers."""

MAX_LEFTOVERS = 4
"""Replies to earlier commands that may stand before the awaited one."""

MAX_ERRORS = 16
ERRORS_QUEUED = 128
"""Bit of the status byte."""

_IDENTITY = re.compile(r"v\d+\.\d+(\.\d+)? \S+ SN\d+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(E[+-]?\d+)?", re.IGNORECASE)
_NO_DATA = ("OK", "+00", "")
_END = b"\r\n"


class NewportPort(Protocol):
    """The link to one controller. Not thread-safe: one owner, one exchange at a time."""

    def open(self) -> None:
        """Open the link; also after it was lost."""

    def close(self) -> None:
        """Close the link; closing again does nothing."""

    def exchange(self, command: str) -> bytes:
        """Send a command and return the first packet of the reply.

        Raises
        ------
        ConnectionError
            If the link fails; the command may have been executed.
        TimeoutError
            If no reply comes in time; the command may have been executed.
        """

    def read(self) -> bytes:
        """Return one more packet that is waiting, empty if none is."""


def absent(serial: str, seen: str) -> ConnectionError:
    """Return the error for a controller that is not among those found."""
    message = (
        f"the TLB-6700 with serial {serial} must be connected and switched on, "
        f"but those found are: {seen or 'none'}"
    )
    return ConnectionError(message)


class TLB6700Error(RuntimeError):
    """The controller refused a command.

    Attributes
    ----------
    command, reply : str
    errors : tuple of str
        What its error queue held, with names.
    """

    def __init__(self, owner: str, command: str, reply: str, errors: tuple[str, ...]) -> None:
        self.command = command
        self.reply = reply
        self.errors = errors
        said = f"; its error queue says: {'; '.join(errors)}" if errors else ""
        super().__init__(f"{owner}: {command!r} must be accepted, but is answered {reply!r}{said}")


class TLB6700Link:
    """Commands and queries over a `NewportPort`.

    Every command gets exactly one reply. Late replies to earlier commands, in packets of their own
    or before the reply in one packet, are dropped, and so is what a packet still holds from the one
    before. After a failed exchange nothing is repeated (the command may have
    been executed); the next exchange first drops what arrived late, and reopens a lost link.

    Thread-safe: one exchange at a time.

    Parameters
    ----------
    port : NewportPort
    owner : str
        Name for messages.
    """

    def __init__(self, port: NewportPort, owner: str) -> None:
        self._port = port
        self._owner = owner
        self._lock = RLock()
        self._is_open = False
        self._is_stale = True
        self._last = b""

    def ask(self, query: str) -> str:
        """Send a query and return the data of its reply.

        Raises
        ------
        TLB6700Error
            If the controller refuses.
        TimeoutError
            If no data comes.
        ConnectionError
            If the link fails.
        """
        with self._lock:
            reply = self._data(query)
            if not reply:
                self._is_stale = True
                message = f"{self._owner}: {query!r} must be answered with data, but is not"
                raise TimeoutError(message)
            if _is_refusal(reply):
                raise TLB6700Error(self._owner, query, reply, self._queued_errors())
            return reply

    def number(self, query: str) -> float:
        """Send a query and return the number in its reply."""
        reply = self.ask(query)
        if not _NUMBER.fullmatch(reply):
            self._is_stale = True
            message = f"{self._owner}: {query!r} must be answered with a number, but is {reply!r}"
            raise ValueError(message)
        return float(reply)

    def tell(self, command: str) -> None:
        """Send a command and check that it is answered OK.

        Raises
        ------
        TLB6700Error
            If it is not.
        TimeoutError, ConnectionError
            As for `ask`; the command may have been executed.
        """
        with self._lock:
            reply = self._exchange(command)[0]
            if reply.upper() != "OK":
                raise TLB6700Error(self._owner, command, reply, self._queued_errors())

    def close(self) -> None:
        """Close the link."""
        with self._lock:
            self._is_open = False
            self._port.close()

    def _data(self, query: str) -> str:
        """Return the first line that is data, empty if none comes."""
        lines = self._exchange(query)
        for _ in range(MAX_LEFTOVERS + 1):
            for line in lines:
                if not _is_leftover(line, query):
                    return line
            lines = self._more_lines()
        return ""

    def _exchange(self, command: str) -> list[str]:
        """Send a command and return the lines of the first packet, at least one."""
        try:
            self._prepare()
            return self._fresh_lines(self._port.exchange(command))
        except ConnectionError:
            self._is_open = False
            raise
        except TimeoutError:
            self._is_stale = True
            raise

    def _more_lines(self) -> list[str]:
        """Return the lines of one more packet, one empty line if none waits."""
        try:
            return self._fresh_lines(self._port.read())
        except ConnectionError:
            self._is_open = False
            raise

    def _fresh_lines(self, packet: bytes) -> list[str]:
        """Return the lines of a packet without what is left in it from the one before.

        A full packet is a buffer whose beginning was overwritten: behind the first line, a line
        that stood at the same place before is taken for stale.
        """
        before, self._last = self._last, packet
        first, end, _ = packet.partition(_END)
        lines, at = [_text(first)], len(first) + len(end)
        while (stop := packet.find(_END, at)) >= 0:
            stop += len(_END)
            if len(packet) >= PACKET and packet[at:stop] == before[at:stop]:
                break
            lines.append(_text(packet[at:stop]))
            at = stop
        return lines

    def _prepare(self) -> None:
        """Reopen a lost link, and drop what an earlier exchange left."""
        if not self._is_open:
            self._port.close()
            self._port.open()
            self._is_open = self._is_stale = True
        if self._is_stale:
            for _ in range(MAX_LEFTOVERS):
                if not (packet := self._port.read()):
                    break
                self._last = packet
            self._is_stale = False

    def _queued_errors(self) -> tuple[str, ...]:
        """Empty the error queue."""
        found: list[str] = []
        for _ in range(MAX_ERRORS):
            status = self._data("*STB?")
            if not (status.isdigit() and int(status) & ERRORS_QUEUED):
                break
            found.append(_named(self._data("ERRSTR?")))
        return tuple(found)


def _text(line: bytes) -> str:
    return line.split(b"\0")[0].decode("latin-1").strip()


def _is_leftover(reply: str, query: str) -> bool:
    if reply.upper() in _NO_DATA:
        return True
    return query.upper() != "*IDN?" and _IDENTITY.search(reply) is not None


def _is_refusal(reply: str) -> bool:
    upper = reply.upper()
    return upper.startswith("ERROR") or upper in {"COMMAND NOT VALID", "VALUE OUT OF RANGE"}


def _named(text: str) -> str:
    """Return an error queue entry with the meaning of its number."""
    number = re.match(r"\s*([+-]?\d+)", text)
    meaning = ERRORS.get(int(number[1])) if number else None
    return f"{text} ({meaning})" if meaning else text
