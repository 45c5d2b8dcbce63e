"""A conversation in lines that end with CR or LF, for instruments without SCPI messages."""

import re
from collections.abc import Iterator
from typing import Protocol


class LineModule(Protocol):
    """A device that answers lines; a module of a mainframe, or an instrument by itself."""

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
