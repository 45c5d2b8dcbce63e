"""A TCP server on loopback that lets a simulated instrument talk to any number of clients."""

import contextlib
import select
import socket
from threading import Lock, Thread

from simulation.lab.servers.wire import Attention, Server, WireInstrument, known_at

_CHUNK = 1 << 18


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
        self._lock = Lock()
        self._clients: dict[socket.socket, Thread] = {}
        self._attention: dict[socket.socket, Attention] = {}
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
            clients = list(self._attention.values())
        return any(one.is_due() for one in (self._callers, *clients))

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
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.instrument.faults.refuses_connections():
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            attention = Attention(client)
            thread = Thread(target=self._serve, args=(client, attention), daemon=True)
            with self._lock:
                self._clients[client], self._attention[client] = thread, attention
            thread.start()

    def _serve(self, client: socket.socket, attention: Attention) -> None:
        conversation = self.instrument.conversation()
        with contextlib.suppress(OSError), client:
            client.sendall(getattr(conversation, "greeting", b""))
            while data := _next_bytes(client, attention):
                for reply in attention.replies(conversation, data):
                    if spoilt := self.instrument.faults.spoil(reply):
                        client.sendall(spoilt)
        conversation.hang_up()
        with self._lock:
            self._clients.pop(client, None)
            self._attention.pop(client, None)


def _next_bytes(client: socket.socket, attention: Attention) -> bytes:
    """Wait for bytes and read them, the work having begun before they are gone from the wire."""
    select.select([client], [], [])
    attention.begins()
    return client.recv(_CHUNK)


def _shut(connection: socket.socket) -> None:
    """End a connection so that a thread that waits on it wakes up."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
