"""A run is stopped from another terminal: a request in its folder, heard by its heart."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from labkit.run.folder import RunFolder
from labkit.run.sole_use import is_in_use, sole_use

REQUEST = "stop.request"


class StopError(RuntimeError):
    """A run cannot be stopped, or has not stopped in time; the message says why."""


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """Hold a run folder for measuring into it; from here on a stop that is requested is heard.

    A request of before is of an earlier session and is forgotten.

    Raises
    ------
    RuntimeError
        If another process holds it.
    """
    with sole_use(folder):
        (folder / REQUEST).unlink(missing_ok=True)
        yield


def hearing_stop(folder: Path) -> Callable[[], None]:
    """Return what ends this process's work in order once a stop is requested in `folder`."""
    request = folder / REQUEST

    def hear() -> None:
        if not request.exists():
            return
        request.unlink(missing_ok=True)
        if signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, signal.SIG_IGN):
            return  # nobody here turns it into an ending in order
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        else:
            signal.raise_signal(signal.SIGTERM)

    return hear


def stop_run(folder: RunFolder, patience: float = 120.0) -> None:
    """Ask the process that measures into a run to end in order, and wait for its end.

    Raises
    ------
    StopError
        If no process measures into it, or it has not ended after `patience` seconds.
    """
    if not is_in_use(folder.path):
        message = f"{folder.path}: no process measures into this run"
        raise StopError(message)
    (folder.path / REQUEST).touch()
    end = monotonic() + patience
    while is_in_use(folder.path):
        if monotonic() > end:
            message = (
                f"{folder.path}: the run has not ended {patience:g} s after it was asked to; look "
                "at its terminal, and at the instruments"
            )
            raise StopError(message)
        sleep(0.2)
