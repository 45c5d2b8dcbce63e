"""Stanford Research Systems SIM900 mainframe: a serial line to the modules in its slots.

Routing commands are those of public drivers; not verified on hardware. The transparent mode
(``CONN``) is never used: a program that dies within it leaves the bus captured.
"""

import time

from instruments.links.visa import VisaLink

N_SLOTS = 8
BUFFER_BYTES = 32
"""A module's input buffer; a longer line is lost as a whole, terminator included."""
_POLL_SECONDS = 0.005


class SRSSIM900(VisaLink):
    """The mainframe; its modules speak through the ports that `port` hands out.

    Thread-safe: an exchange with a module holds `lock` from question to answer.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name of the serial line or GPIB address.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "SIM900"
    default_terminator = "\r\n"
    hardware_handshake = True

    def port(self, slot: int) -> "SIM900Port":
        """Return the way to the module in a slot, 1 to 8."""
        if slot not in range(1, N_SLOTS + 1):
            message = f"{self.name}: `slot` must be 1 to {N_SLOTS}, but is {slot}"
            raise ValueError(message)
        return SIM900Port(self, slot)

    def safe_state(self) -> None:
        """Do nothing: the modules have states of their own."""


class SIM900Port:
    """A slot of a mainframe as a line port: `write`, `ask`.

    Parameters
    ----------
    mainframe : SRSSIM900
    slot : int
    """

    def __init__(self, mainframe: SRSSIM900, slot: int) -> None:
        self.mainframe = mainframe
        self.slot = slot
        self._has_stale_bytes = True

    def write(self, cmd: str) -> None:
        """Send a line that has no reply; the mainframe confirms that it took it."""
        with self.mainframe.lock:
            self._send(cmd)
            self.mainframe.ask(f"NINP? {self.slot}")

    def ask(self, cmd: str) -> str:
        """Send a line and return its reply without terminator.

        Raises
        ------
        TimeoutError
            If the module does not answer within the mainframe's time-out.
        """
        with self.mainframe.lock:
            if self._has_stale_bytes:
                self.mainframe.write(f"FLSH {self.slot}")
            self._has_stale_bytes = True
            self._send(cmd)
            reply = self._read_line(cmd)
            self._has_stale_bytes = False
            return reply

    def _send(self, cmd: str) -> None:
        check_line(f"{self.mainframe.name} slot {self.slot}", cmd)
        self.mainframe.write(f'SNDT {self.slot},"{cmd}"')

    def _read_line(self, cmd: str) -> str:
        received = b""
        seconds = self.mainframe.timeout.cache() or self.mainframe.default_timeout
        deadline = time.monotonic() + seconds
        while not received.endswith(b"\n"):
            waiting = int(self.mainframe.ask(f"NINP? {self.slot}"))
            if waiting:
                received += self.mainframe.ask_bytes(f"RAWN? {self.slot},{waiting}", waiting)
            elif time.monotonic() > deadline:
                message = (
                    f"{self.mainframe.name} slot {self.slot}: no complete reply to {cmd!r} within "
                    f"{seconds:g} s ({received!r} came); check that the module is in that slot"
                )
                raise TimeoutError(message)
            else:
                time.sleep(_POLL_SECONDS)
        return received.decode("ascii").strip()


def check_line(where: str, line: str) -> None:
    """Raise ValueError, naming the module `where`, if a line does not fit its input buffer."""
    longest = BUFFER_BYTES - len("\r\n")
    if len(line) > longest:
        message = f"{where}: a line must have up to {longest} bytes, but {line!r} has {len(line)}"
        raise ValueError(message)
