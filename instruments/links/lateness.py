"""How long a reply is waited for: where an instrument is made safe, or where it is simulated."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local

_thread = local()
_owing: list[Callable[[str], bool]] = []

LOOK = 0.05
"""Interval of looks whether a simulated instrument still owes a reply, s."""

LONGEST_EXCUSE = 600.0
"""After its time-out a reply that is owed is waited for at most so long, s."""


@contextmanager
def waiting_for_late_replies(seconds: float) -> Iterator[None]:
    """Wait up to so many seconds for each reply that this thread asks for within the block.

    An instrument that is late answers correctly, only later than its time-out; it must not be
    told unsafe for that. Who has not answered within this time is not waited for a second time.
    """
    before = getattr(_thread, "seconds", 0.0)
    _thread.seconds = seconds
    try:
        yield
    finally:
        _thread.seconds = before


def longest_wait(usual: float) -> float:
    """Return how long this thread waits for a reply, s, where its link has a `usual` time-out."""
    return max(usual, getattr(_thread, "seconds", 0.0))


def no_longer_waiting() -> None:
    """Note that a reply did not come: from here on the usual time-outs hold again."""
    _thread.seconds = 0.0


@contextmanager
def excused_while(owes: Callable[[str], bool]) -> Iterator[None]:
    """Beyond their time-outs, wait for replies as long as ``owes(address)`` tells within the block.

    For instruments that this computer simulates itself: when it is busy they come late to reading
    a question and computing its answer, which is no fault of the laboratory.
    """
    _owing.append(owes)
    try:
        yield
    finally:
        _owing.remove(owes)


def is_excused(address: str, late: float) -> bool:
    """Tell whether a reply from this address, `late` s past its time-out, is to be waited for."""
    return late < LONGEST_EXCUSE and any(owes(address) for owes in tuple(_owing))
