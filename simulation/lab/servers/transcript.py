"""A server that plays a transcript: expected bytes in, canned bytes out; for writing drivers."""

from collections.abc import Iterable, Iterator

from simulation.lab.instrument_faults import InstrumentFaults

Step = tuple[str | bytes, str | bytes | None]


class Transcript:
    """An instrument that accepts one sequence of messages, byte by byte, and no other.

    Parameters
    ----------
    steps : iterable of (str or bytes, str or bytes or None)
        What must arrive, and what is answered. Text is sent and compared with terminators; bytes
        as they are.
    ends : (str, str)
        Terminators of messages that arrive and of replies.

    Examples
    --------
    >>> transcript = Transcript([("*IDN?", "ACME,X1,0,1"), ("OUTP 1", None)])
    >>> with TcpServer(transcript) as server:  # doctest: +SKIP
    ...     drive(server.address)
    >>> transcript.check()  # doctest: +SKIP
    """

    def __init__(self, steps: Iterable[Step], ends: tuple[str, str] = ("\n", "\n")) -> None:
        self.faults = InstrumentFaults(lambda _: False)
        self._steps = [
            (_encode(sent, ends[0]), None if reply is None else _encode(reply, ends[1]))
            for sent, reply in steps
        ]
        self._played = 0
        self._received = b""

    def conversation(self) -> "Transcript":
        """Go on with the transcript on a new connection."""
        self._received = b""
        return self

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes; answer what the transcript answers."""
        self._received += data
        while self._played < len(self._steps):
            sent, reply = self._steps[self._played]
            if not self._received.startswith(sent):
                return
            self._received = self._received[len(sent) :]
            self._played += 1
            if reply is not None:
                yield reply

    def hang_up(self) -> None:
        """Keep what was received for `check`."""

    def check(self) -> None:
        """Raise unless exactly the whole transcript was played.

        Raises
        ------
        ValueError
            Naming the first step that did not happen, and what came instead.
        """
        if self._played < len(self._steps):
            wanted = self._steps[self._played][0]
            message = (
                f"step {self._played + 1} of {len(self._steps)} must be {wanted[:80]!r}, "
                f"but {self._received[:80]!r} came"
            )
            raise ValueError(message)
        if self._received:
            message = f"nothing must follow the transcript, but {self._received[:80]!r} came"
            raise ValueError(message)


def _encode(text: str | bytes, end: str) -> bytes:
    return text if isinstance(text, bytes) else (text + end).encode("latin-1")
