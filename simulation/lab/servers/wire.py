"""A wire: what is served until it is stopped, and one conversation per connection."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol, Self

from simulation.lab.instrument_faults import InstrumentFaults


class Stoppable(ABC):
    """Base of what a ``with`` statement stops at its end."""

    @abstractmethod
    def stop(self) -> None:
        """Close everything and wait for its threads to end; idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


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
