"""A wire: what is served until it is stopped, and one conversation per connection."""

import re
import select as select_module
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from enum import Enum, auto
from select import select
from socket import socketpair
from threading import Lock
from typing import TYPE_CHECKING, Protocol, Self
from weakref import WeakValueDictionary

from simulation.lab.instrument_faults import InstrumentFaults, LinkCutError

if TYPE_CHECKING:
    from socket import socket


_CROSSING = 0.05
"""Longest time in which bytes that were written come to the other end of a wire here, s."""

_LONGEST_REST_MS = 1000
"""Longest time for which a resting thread does not look whether somebody is waiting for it, ms."""

_SURELY_FITS = 2048
"""Bytes that a wire takes though nobody reads: a pseudo-terminal takes 4096."""


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

    @abstractmethod
    def connection(self, port: int) -> "Connection | None":
        """Return the connection of the client with this local port (0: of a serial line)."""


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


def connection_at(address: str, port: int) -> "Connection | None":
    """Return a client's connection to an instrument that this process simulates.

    Parameters
    ----------
    address : str
        VISA resource name.
    port : int
        The client's own port; 0 for a serial line.
    """
    server = _SERVERS.get(address)
    return None if server is None else server.connection(port)


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

    def replies(self, computed: Iterable[bytes]) -> Iterator[bytes]:
        """Give each reply; what is done with one, as a fault's delay, is no work on the next."""
        for reply in computed:
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


class Connection:
    """One client's connection to a simulated instrument.

    What comes is answered by the connection's own thread, `serve`. A client of this process may ask
    it to rest, and take its `turn` after each message instead: the same bytes go over the same
    wire, and no thread has to be woken for them. Faults on the wire take real time, and so do
    replies that do not fit into it: both are left to the connection's thread.

    Parameters
    ----------
    instrument : WireInstrument
    wire : Wire
    """

    def __init__(self, instrument: "WireInstrument", wire: "Wire") -> None:
        self.attention = Attention(wire.source)
        self._instrument, self._wire = instrument, wire
        self._conversation = instrument.conversation()
        self._busy = Lock()
        self._rests = self._stopped = self._has_ended = False
        self._unsent: list[bytes] = []
        self._bell, self._button = socketpair()

    def serve(self) -> None:
        """Answer what comes, until the other side is gone or `stop`."""
        try:
            with suppress(OSError):
                if greeting := getattr(self._conversation, "greeting", b""):
                    self._wire.write(greeting)
                while self._is_wanted():
                    with self._busy:
                        if not self._answer(by_client=False):
                            break
        finally:
            with self._busy:
                self._has_ended = True
                self._conversation.hang_up()
                self._bell.close()
                self._button.close()

    def stop(self) -> None:
        """Let `serve` end when all that is on the wire has been heard."""
        self._stopped = True
        self._ring()

    def rest(self) -> bool:
        """Let the client take its `turn` from now on; tell whether this system can do so."""
        if self._wire.hang_up is None:
            return False
        self._rest(rests=not self._instrument.faults.any())
        return True

    def release(self) -> None:
        """Let the connection's own thread answer again."""
        self._rest(rests=False)

    def turn(self) -> None:
        """Answer the message that was just written, in the thread of who wrote it."""
        if self._unsent or self._instrument.faults.any() or not self._busy.acquire(blocking=False):
            self._rest(rests=False)
            return
        try:
            self._rest(rests=True)
            if not self._has_ended and select([self._wire.source], [], [], _CROSSING)[0]:
                self._answer(by_client=True)
        finally:
            self._busy.release()

    def _rest(self, *, rests: bool) -> None:
        if rests is not self._rests:
            self._rests = rests
            self._ring()

    def _ring(self) -> None:
        with suppress(OSError):  # it has ended
            self._button.send(b"x")

    def _is_wanted(self) -> bool:
        """Wait until the connection's thread has to answer; tell whether it goes on."""
        while not self._unsent:
            if self._stopped:
                return self.attention.is_due()
            if self._rests:
                if self._is_wanted_at_rest():
                    return True
                continue
            called, _, _ = select([self._wire.source, self._bell], [], [])
            if self._bell in called:
                self._bell.recv(1 << 10)
            elif not self._rests:
                return True
        return True

    def _is_wanted_at_rest(self) -> bool:
        """Rest for a while; tell whether the other side has gone or somebody takes no turns."""
        watch = select_module.poll()
        watch.register(self._wire.source, self._wire.hang_up or 0)
        watch.register(self._bell, select_module.POLLIN)
        called = [descriptor for descriptor, _ in watch.poll(_LONGEST_REST_MS)]
        if self._bell.fileno() in called:
            self._bell.recv(1 << 10)
            return False
        if not called and not self.attention.is_due():
            return False
        self._rests = False
        return True

    def _answer(self, *, by_client: bool) -> bool:
        """Answer what has come; tell whether the other side is still there."""
        if not by_client:  # whose turn begins with a look at the wire, when all is sent
            unsent, self._unsent = self._unsent, []
            self._send(self.attention.replies(unsent), by_client=False)
            if not select([self._wire.source], [], [], 0)[0]:
                return True
        self.attention.begins()
        if not (data := self._wire.read()):
            return False
        computed = self.attention.replies(self._conversation.feed(data))
        self._send(computed, by_client=by_client)
        return True

    def _send(self, replies: Iterator[bytes], *, by_client: bool) -> None:
        faults = self._instrument.faults
        for reply in replies:
            if by_client and (self._unsent or faults.any() or len(reply) > _SURELY_FITS):
                self._unsent.append(reply)
                continue
            try:
                self._wire.write(faults.spoil(reply))
            except LinkCutError:
                if self._wire.can_be_cut:
                    raise
        if self._unsent:
            self._rest(rests=False)


class Wire(Protocol):
    """The server's end of a connection."""

    @property
    def source(self) -> "socket | int":
        """What bytes come from."""

    @property
    def hang_up(self) -> int | None:
        """Events of ``poll`` that tell that the other side is gone; ``None`` if none does."""

    @property
    def can_be_cut(self) -> bool:
        """Whether a fault may cut it; of others nothing more arrives."""

    def read(self) -> bytes:
        """Return what has come; nothing if the other side is gone."""

    def write(self, data: bytes) -> None:
        """Send bytes, all of them."""


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
