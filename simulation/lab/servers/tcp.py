"""A TCP server on loopback that lets a simulated instrument talk to any number of clients."""

import contextlib
import select
import socket
from threading import Condition, Thread

from simulation.lab.servers.wire import Attention, Connection, Server, WireInstrument, known_at

_CHUNK = 1 << 18

_ACCEPTANCE = 1.0
"""Longest time from a client's call to its connection, s."""


class TcpServer(Server):
    """Serve an instrument on ``127.0.0.1``, on a free port unless one is given.

    Use it in a ``with`` statement, or call `stop`. Each client has a thread of its own; the
    instrument takes care of its own lock.

    Parameters
    ----------
    instrument : WireInstrument
    port : int
        0: any free one.
    """

    def __init__(self, instrument: WireInstrument, port: int = 0) -> None:
        self.instrument = instrument
        self._lock = Condition()
        self._clients: dict[socket.socket, Thread] = {}
        self._connections: dict[socket.socket, tuple[int, Connection]] = {}
        self._listener = socket.create_server(("127.0.0.1", port))
        self._callers = Attention(self._listener)
        known_at(self, self.address, f"127.0.0.1:{self.port}")
        self._acceptor = Thread(target=self._accept, name="simulated instrument", daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        """Port that is listened on."""
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        """VISA resource name."""
        return f"TCPIP0::127.0.0.1::{self.port}::SOCKET"

    def owes_a_reply(self) -> bool:
        """Tell whether a client's question is still unread, or its answer still being computed."""
        with self._lock:
            clients = [connection.attention for _, connection in self._connections.values()]
        return any(one.is_due() for one in (self._callers, *clients))

    def connection(self, port: int) -> Connection | None:
        """Return the connection of the client with this local port, once it is accepted."""

        def found() -> Connection | None:
            numbered = self._connections.values()
            return next((connection for number, connection in numbered if number == port), None)

        with self._lock:
            return self._lock.wait_for(found, _ACCEPTANCE)

    def cut_links(self) -> None:
        """Close every connection, as if cables were pulled; new ones are accepted."""
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            _shut(client)

    def stop(self) -> None:
        """Close everything and wait for the threads to end."""
        _shut(self._listener)
        self._listener.close()
        self._acceptor.join()
        self.cut_links()
        with self._lock:
            threads = list(self._clients.values())
        for thread in threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, (_, port) = self._listener.accept()
            except OSError:
                return
            if self.instrument.faults.refuses_connections():
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(self.instrument, _Link(client))
            thread = Thread(target=self._serve, args=(client, connection), daemon=True)
            with self._lock:
                self._clients[client], self._connections[client] = thread, (port, connection)
                self._lock.notify_all()
            thread.start()

    def _serve(self, client: socket.socket, connection: Connection) -> None:
        with client:
            connection.serve()
        with self._lock:
            del self._clients[client], self._connections[client]


class _Link:
    """The instrument's end of a TCP connection."""

    hang_up = getattr(select, "POLLRDHUP", None)
    can_be_cut = True

    def __init__(self, client: socket.socket) -> None:
        self.source = client

    def read(self) -> bytes:
        return self.source.recv(_CHUNK)

    def write(self, data: bytes) -> None:
        self.source.sendall(data)


def _shut(connection: socket.socket) -> None:
    """End a connection so that a thread that waits on it wakes up."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
