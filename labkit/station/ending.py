"""How work ends: signals heard in order, errors said plainly, no clean-up that hides the first."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class Terminated(BaseException):
    """The process was asked to end (SIGTERM); not an Exception, so that nothing swallows it."""


def said(error: BaseException) -> str:
    """Return what an error says, without what QCoDeS appends to its arguments on the way up."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, str) and first else str(error)


def also(error: BaseException, action: Callable[[], object]) -> None:
    """Do what must be done after an error; what fails then is noted with the error."""
    try:
        action()
    except Exception as further:  # the first error is what the user must see
        error.add_note(f"then also: {type(further).__name__}: {said(further)}")


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM, and the closing of the terminal, into `Terminated`: ``finally`` blocks run."""

    def end(number: int, frame: "FrameType | None") -> None:
        raise Terminated(signal.Signals(number).name)

    with _handling(end, "SIGTERM", "SIGHUP"):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let neither a second Ctrl-C nor SIGTERM interrupt what makes the lab safe."""

    def wait(number: int, frame: "FrameType | None") -> None:
        sys.stderr.write("the lab is being made safe; this takes a few seconds\n")

    with _handling(wait, "SIGINT", "SIGTERM", "SIGHUP"):
        yield


@contextmanager
def _handling(handler: "Callable[[int, FrameType | None], None]", *names: str) -> Iterator[None]:
    """Handle the signals that this system has; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
