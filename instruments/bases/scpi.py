"""A SCPI instrument whose error queue is read after every command."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from instruments.links.visa import VisaLink

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs

MOST_TOLD = 5
"""So many entries of an error queue stand in a message."""


class ScpiInstrument(VisaLink):
    """Base of the SCPI drivers: a command that the instrument refuses raises.

    What the error queue holds before a command (from before the link was opened, or from another
    client) is told to the log, and not blamed on that command. Only what another client does wrong
    in the milliseconds between a command and the reading of the queue after it cannot be told from
    this driver's own: end other clients while this one is in use.

    Thread-safe: a command and the readings of the error queue hold `lock` together.
    """

    error_query: ClassVar[str] = "SYST:ERR?"
    queue_depth: ClassVar[int] = 64
    """More entries than this are not drained: then the queue does not empty."""

    def __init__(self, name: str, address: str, **kwargs: "Unpack[VisaInstrumentKWArgs]") -> None:
        super().__init__(name, address, **kwargs)
        try:
            self._tell_old_errors("from before it was connected")
        except BaseException:
            self.close()
            raise

    def reconnect(self) -> None:
        """Open the link anew, and tell the log what the error queue holds."""
        super().reconnect()
        self._tell_old_errors("from before its link was opened anew")

    def write_raw(self, cmd: str) -> None:
        """Send a command between two readings of the error queue.

        Raises
        ------
        RuntimeError
            If the instrument reports errors after it.
        """
        with self.lock:
            self._tell_old_errors(f"before {cmd!r}")
            super().write_raw(cmd)
            self.raise_errors(cmd)

    def write_block(self, data: bytes, what: str) -> None:
        """Send bytes as one message, like `write_raw`; `what` names them in errors."""
        with self.lock:
            self._tell_old_errors(f"before {what}")
            self.write_bytes(data, what)
            self.raise_errors(what)

    def write_unchecked(self, cmd: str) -> None:
        """Send a command without asking for errors: where speed is safety."""
        VisaLink.write_raw(self, cmd)

    def drain_errors(self) -> tuple[str, ...]:
        """Empty the error queue and return its entries, oldest first."""
        with self.lock:
            found: list[str] = []
            while len(found) < self.queue_depth:
                entry = self.ask_raw(self.error_query)
                if _code(entry) == 0:
                    break
                found.append(entry)
            return tuple(found)

    def _tell_old_errors(self, when: str) -> None:
        """Take out what is in the queue already, and tell the log; `when` is since when."""
        try:
            old = self.drain_errors()
        except ConnectionError as error:
            self.log.warning("%s: its error queue cannot be read: %s", self.name, error)
            return
        if old:
            self.log.warning(
                "%s had errors in its queue %s; they were taken out: %s",
                self.name,
                when,
                _join(old),
            )

    def raise_errors(self, what: str) -> None:
        """Drain the error queue and raise if there was anything in it."""
        if found := self.drain_errors():
            message = f"{self.name} refused {what!r}: {_join(found)}"
            raise RuntimeError(message)


def definite_block(data: bytes) -> bytes:
    """Return data as an argument: ``#``, digits of the length, length in bytes, data."""
    length = str(len(data))
    return f"#{len(length)}{length}".encode() + data


def _code(entry: str) -> int:
    """Return the number of an entry such as ``-222,"Data out of range"``."""
    number = entry.partition(",")[0].strip().lstrip("+")
    try:
        return int(number)
    except ValueError:
        message = f"an error queue entry must begin with a number, but is {entry!r}"
        raise ConnectionError(message) from None


def _join(entries: Sequence[str]) -> str:
    more = f"; and {len(entries) - MOST_TOLD} more" if len(entries) > MOST_TOLD else ""
    return "; ".join(entries[:MOST_TOLD]) + more
