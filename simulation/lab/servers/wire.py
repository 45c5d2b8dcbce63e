"""A wire: what is served until it is stopped, and one conversation per connection."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum, auto
from select import select
from typing import TYPE_CHECKING, Protocol, Self
from weakref import WeakValueDictionary

from simulation.lab.instrument_faults import InstrumentFaults

if TYPE_CHECKING:
    from socket import socket


class Stoppable(ABC):
    """Base of what a ``with`` statement stops at its end."""

    @abstractmethod
    def stop(self) -> None:
        """Close everything and wait for its threads to end; idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Server(Stoppable):
    """Base of what serves an instrument in this process."""

    @abstractmethod
    def owes_a_reply(self) -> bool:
        """Tell whether a question is still unread, or its answer still being computed."""


_SERVERS: WeakValueDictionary[str, Server] = WeakValueDictionary()


def known_at(server: Server, *addresses: str) -> None:
    """Let `owes_a_reply` know where a server is reached."""
    for address in addresses:
        _SERVERS[address] = server


def owes_a_reply(address: str) -> bool:
    """Tell whether an instrument that this process simulates has not come to answering yet.

    Only the computer is slow then. A reply that a fault keeps back is not owed.
    """
    server = _SERVERS.get(address)
    return server is not None and server.owes_a_reply()


class Attention:
    """What a server's thread is at with one connection.

    Parameters
    ----------
    source : socket or int
        Where its questions come from.
    """

    class _At(Enum):
        LISTENING, WORKING, FAILING = auto(), auto(), auto()

    def __init__(self, source: "socket | int") -> None:
        self._source, self._at = source, self._At.LISTENING

    def replies(self, conversation: "Conversation", data: bytes) -> Iterator[bytes]:
        """Give each reply; what is done with one, as a fault's delay, is no work on the next."""
        for reply in conversation.feed(data):
            self._at = self._At.FAILING
            yield reply
            self._at = self._At.WORKING
        self._at = self._At.LISTENING

    def begins(self) -> None:
        """Note that the work begins; to be called before a question is read."""
        self._at = self._At.WORKING

    def is_due(self) -> bool:
        """Tell whether a question is unread or being worked on."""
        if self._at is not self._At.LISTENING:
            return self._at is self._At.WORKING
        try:
            return bool(select([self._source], [], [], 0)[0])
        except (OSError, ValueError):  # closed meanwhile
            return False


class Conversation(Protocol):
    """One connection's view of an instrument: bytes in, replies out."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they arrive; give each reply they cause, terminator included."""

    def hang_up(self) -> None:
        """Note that the other side is gone."""


class WireInstrument(Protocol):
    """A simulated instrument that can be served."""

    @property
    def faults(self) -> InstrumentFaults:
        """Faults of this instrument and of its wire."""

    def conversation(self) -> Conversation:
        """Begin to talk on a new connection."""


class LineModule(Protocol):
    """An instrument that answers lines; a module of a mainframe, or an instrument by itself."""

    def execute(self, line: str) -> str | None:
        """Execute a line; return the reply without terminator, or ``None``."""


class LineConversation:
    """One client's stream of lines to a module.

    Parameters
    ----------
    module : LineModule
    end : bytes
        Terminator of replies.
    """

    def __init__(self, module: LineModule, end: bytes = b"\r\n") -> None:
        self._module = module
        self._end = end
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they arrive; give each reply they cause."""
        *lines, self._rest = re.split(rb"[\r\n]", self._rest + data)
        for line in lines:
            if line and (reply := self._module.execute(line.decode("latin-1"))) is not None:
                yield reply.encode("latin-1") + self._end

    def hang_up(self) -> None:
        """Forget what was not complete."""
        self._rest = b""
