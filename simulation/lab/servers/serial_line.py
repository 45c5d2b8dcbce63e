"""A serial line to a simulated instrument, over a pseudo-terminal (Linux and macOS)."""

import contextlib
import os
import select
from threading import Thread

from simulation.lab.instrument_faults import LinkCutError
from simulation.lab.servers.wire import Attention, Server, WireInstrument, known_at


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
        self._stopper, self._stop = os.pipe()
        self._attention = Attention(self._ours)
        known_at(self, self.address)
        self._thread = Thread(target=self._serve, name="simulated serial line", daemon=True)
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
        return self._thread.is_alive() and self._attention.is_due()

    def stop(self) -> None:
        """Close everything and wait for the thread to end."""
        if self._thread.is_alive():
            os.write(self._stop, b"x")
            self._thread.join()
            for descriptor in (self._ours, self._theirs, self._stopper, self._stop):
                os.close(descriptor)

    def _serve(self) -> None:
        conversation = self.instrument.conversation()
        while True:
            ready, _, _ = select.select([self._ours, self._stopper], [], [])
            if self._ours not in ready:
                return  # told to stop, and all that was on the line has been heard
            self._attention.begins()
            for reply in self._attention.replies(conversation, os.read(self._ours, 4096)):
                # A serial line cannot be cut like a socket: nothing more arrives.
                with contextlib.suppress(LinkCutError):
                    os.write(self._ours, self.instrument.faults.spoil(reply))
