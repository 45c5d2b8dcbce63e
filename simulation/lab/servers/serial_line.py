"""A serial line to a simulated instrument, over a pseudo-terminal (Linux and macOS)."""

import os
from threading import Thread

from simulation.lab.servers.wire import Connection, Server, WireInstrument, known_at


class SerialLine(Server):
    """Serve an instrument on a pseudo-terminal. Use it in a ``with`` statement, or call `stop`.

    Parameters
    ----------
    instrument : WireInstrument

    Raises
    ------
    OSError
        On systems without pseudo-terminals.
    """

    def __init__(self, instrument: WireInstrument) -> None:
        if not hasattr(os, "openpty"):
            message = "a simulated serial line needs pseudo-terminals, which this system lacks"
            raise OSError(message)
        import tty

        self.instrument = instrument
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        self._connection = Connection(instrument, _Terminal(self._ours))
        known_at(self, self.address)
        self._thread = Thread(
            target=self._connection.serve, name="simulated serial line", daemon=True
        )
        self._thread.start()

    @property
    def path(self) -> str:
        """Path of the terminal that a client opens."""
        return os.ttyname(self._theirs)

    @property
    def address(self) -> str:
        """VISA resource name."""
        return f"ASRL{self.path}::INSTR"

    def owes_a_reply(self) -> bool:
        """Tell whether a question is still unread, or its answer still being computed."""
        return self._thread.is_alive() and self._connection.attention.is_due()

    def connection(self, port: int) -> Connection | None:
        """Return the line's only connection."""
        return self._connection if self._thread.is_alive() else None

    def stop(self) -> None:
        """Close everything and wait for the thread to end."""
        if self._thread.is_alive():
            self._connection.stop()
            self._thread.join()
            os.close(self._ours)
            os.close(self._theirs)


class _Terminal:
    """The instrument's end of a pseudo-terminal; nobody hangs up, as both ends are held open."""

    hang_up = 0
    can_be_cut = False

    def __init__(self, source: int) -> None:
        self.source = source

    def read(self) -> bytes:
        return os.read(self.source, 4096)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.source, data) :]
