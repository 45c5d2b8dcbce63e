"""Simulated SIM900 mainframe: routes lines between a serial line and the modules in its slots."""

import re
from collections.abc import Iterator, Mapping
from threading import RLock

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.servers.scpi_grammar import make_block
from simulation.lab.servers.wire import LineModule

_SEND = re.compile(r'SNDT\s+(\d+)\s*,\s*["\'](.*)["\']', re.IGNORECASE)
_CONNECT = re.compile(r'CONN\s+(\d+)\s*,\s*["\'](.*)["\']', re.IGNORECASE)
_NUMBERS = re.compile(r"(NINP|RAWN|GETN|FLSH|SRST)(\??)\s*(\d*)\s*,?\s*(\d*)", re.IGNORECASE)
END = b"\r\n"


class SimulatedSIM900:
    """The mainframe. Thread-safe.

    ``CONN`` captures the line until its escape string comes, whoever is connected then.

    Parameters
    ----------
    slots : mapping of int to LineModule
        Modules by slot, 1 to 8.
    """

    def __init__(self, slots: Mapping[int, LineModule]) -> None:
        self.slots = dict(slots)
        self.lock = RLock()
        self.faults = InstrumentFaults(lambda _: False)
        self._waiting = {slot: bytearray() for slot in range(1, 9)}
        self._captured: tuple[int, str] | None = None

    def conversation(self) -> "_FrameConversation":
        """Begin to talk on a new connection."""
        return _FrameConversation(self)

    def execute(self, line: str) -> bytes | None:
        """Execute a line; return the reply as it goes over the wire."""
        with self.lock:
            if self._captured:
                return self._pass_through(line, *self._captured)
            if line.strip().upper() == "*IDN?":
                return b"Stanford_Research_Systems,SIM900,s/n100001,ver3.6" + END
            if found := _SEND.fullmatch(line.strip()):
                self._send(int(found[1]), found[2])
            elif found := _CONNECT.fullmatch(line.strip()):
                self._captured = (int(found[1]), found[2])
            elif found := _NUMBERS.fullmatch(line.strip()):
                slot, count = int(found[3] or 0), int(found[4] or 0)
                return self._numbered(found[1].upper() + found[2], slot, count)
            return None

    def _numbered(self, command: str, slot: int, count: int) -> bytes | None:
        waiting = self._waiting.get(slot, bytearray())
        match command:
            case "NINP?":
                return str(len(waiting)).encode() + END
            case "RAWN?":
                return self._take(waiting, count)
            case "GETN?":
                return make_block(self._take(waiting, count)) + END
            case "FLSH" | "SRST":
                waiting.clear()
        return None

    @staticmethod
    def _take(waiting: bytearray, count: int) -> bytes:
        taken = bytes(waiting[:count])
        del waiting[:count]
        return taken

    def _send(self, slot: int, text: str) -> None:
        module = self.slots.get(slot)
        if module is not None and (reply := module.execute(text)) is not None:
            self._waiting[slot] += reply.encode("latin-1") + END

    def _pass_through(self, line: str, slot: int, escape: str) -> bytes | None:
        if escape in line:
            self._captured = None
            return None
        module = self.slots.get(slot)
        reply = module.execute(line) if module is not None else None
        return None if reply is None else reply.encode("latin-1") + END


class _FrameConversation:
    """One client's stream of lines to the mainframe; block replies go out as they are."""

    def __init__(self, frame: SimulatedSIM900) -> None:
        self._frame = frame
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        *lines, self._rest = re.split(rb"[\r\n]", self._rest + data)
        for line in lines:
            if line and (reply := self._frame.execute(line.decode("latin-1"))):
                yield reply

    def hang_up(self) -> None:
        self._rest = b""
