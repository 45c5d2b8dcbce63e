"""How long a reply is waited for while an instrument is made safe: longer than in ordinary work."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local

_thread = local()


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
