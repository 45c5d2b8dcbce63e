"""Instruments that this process simulates: who asks one lets it answer, in the asking thread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Attendant(Protocol):
    """The instrument's end of a link."""

    def turn(self) -> None:
        """Answer the message that was just written."""

    def release(self) -> None:
        """Answer unasked again: the link is closed, or nobody calls `turn` any more."""


_finders: list[Callable[[str, int], Attendant | None]] = []


@contextmanager
def attended_by(find: Callable[[str, int], Attendant | None]) -> Iterator[None]:
    """Within the block, let links that are opened ask ``find(address, port)`` for an attendant.

    Without one an instrument's own thread wakes up for every message and wakes the asking one up
    with its reply, which costs a dry run more time than all that is asked and answered.
    """
    _finders.append(find)
    try:
        yield
    finally:
        _finders.remove(find)


def attendant(address: str, port: int) -> Attendant | None:
    """Return who attends to a link, or ``None`` if the instrument answers by itself.

    Parameters
    ----------
    address : str
        VISA resource name.
    port : int
        The link's own port; 0 for a serial line.
    """
    return next((one for find in _finders if (one := find(address, port)) is not None), None)
