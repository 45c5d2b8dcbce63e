"""How work ends: signals heard in order, errors said plainly, no clean-up that hides the first."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from instruments.links.undivided import heeding, put_off

if TYPE_CHECKING:
    from types import FrameType


TERMINATIONS = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGBREAK")
"""Asked to end, terminal closed, Ctrl-\\, Ctrl-Break; a system has some of them."""

STOPS = ("SIGINT", *TERMINATIONS)


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


class _Stop:
    """A handler that raises at a signal; if `once`, further ones hear that it is on its way."""

    def __init__(self, *, once: bool) -> None:
        self._once = once
        self._heard: int | None = None

    def __call__(self, number: int, frame: "FrameType | None") -> None:
        if self._once and self._heard is not None:
            _tell("stopping already; the lab is made safe and what was measured is kept\n")
            return
        self._heard = number
        if not put_off(self.again):
            self.again()

    def again(self) -> None:
        """Raise what was heard, if anything was."""
        if self._heard == signal.SIGINT:
            raise KeyboardInterrupt
        if self._heard is not None:
            raise Terminated(signal.Signals(self._heard).name)


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Turn `TERMINATIONS` into `Terminated`: ``finally`` blocks run.

    A signal that is ignored (``nohup``) stays ignored; within `stopping_once` nothing changes.
    """
    with _handling(_Stop(once=False), *TERMINATIONS):
        yield


@contextmanager
def stopping_once() -> Iterator[None]:
    """Stop at the first of `STOPS`; none of them disturbs the way to the end."""
    with _handling(_Stop(once=True), *STOPS), heeding():
        yield


def stop_if_asked() -> None:
    """Raise again the stop that was heard: somebody's code may have swallowed it on the way."""
    for name in ("SIGINT", "SIGTERM"):
        handler = signal.getsignal(getattr(signal, name))
        if isinstance(handler, _Stop):
            handler.again()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let neither a second Ctrl-C nor SIGTERM interrupt what makes the lab safe."""

    def wait(number: int, frame: "FrameType | None") -> None:
        _tell("the lab is being made safe; this takes a few seconds\n")

    with _handling(wait, *STOPS):
        yield


@contextmanager
def postponed() -> Iterator[None]:
    """Hear a signal within the block only at its end: half an import is worse than none."""
    heard: list[int] = []

    def note(number: int, frame: "FrameType | None") -> None:
        heard.append(number)

    with _handling(note, *STOPS):
        yield
    if heard:
        signal.raise_signal(heard[0])


@contextmanager
def _handling(handler: "Callable[[int, FrameType | None], None]", *names: str) -> Iterator[None]:
    """Handle the signals that this system has; only the main thread can.

    Those that are ignored, and a `_Stop` in place of another one, are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {
        number: signal.signal(number, handler)
        for number in numbers
        if not _stays(signal.getsignal(number), handler)
    }
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _stays(present: object, wanted: object) -> bool:
    """Tell whether a signal's handler must not be replaced by the wanted one."""
    both = isinstance(present, _Stop) and isinstance(wanted, _Stop)
    return present is signal.SIG_IGN or both


def _tell(text: str) -> None:
    with suppress(RuntimeError):  # the signal may have come while stderr was being written to
        sys.stderr.write(text)
