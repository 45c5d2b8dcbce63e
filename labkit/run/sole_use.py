"""One process at a time works in a run folder, or with a station's instruments."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import IO

if os.name == "nt":
    import msvcrt

    def _take(stream: IO[str], *, to_look: bool = False) -> None:
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]

    def _release(stream: IO[str]) -> None:
        """Do nothing: closing the file is enough."""

else:
    import fcntl

    def _take(stream: IO[str], *, to_look: bool = False) -> None:
        kind = fcntl.LOCK_SH if to_look else fcntl.LOCK_EX  # who looks is in nobody's way who looks
        fcntl.flock(stream, kind | fcntl.LOCK_NB)

    def _release(stream: IO[str]) -> None:
        """Let go: to close the file is not enough while a child that is being born has it, too."""
        fcntl.flock(stream, fcntl.LOCK_UN)


PATIENCE = 0.05
"""Seconds for which a lock is tried for: somebody who only looks holds it for a moment."""

LOCK = "run.lock"


@contextmanager
def sole_use(folder: Path) -> Iterator[None]:
    """Hold a run folder; the system lets go of it when this process ends, however it ends.

    Raises
    ------
    RuntimeError
        If another process holds it.
    """
    refusal = f"{folder}: another process is measuring into this run; wait for its end"
    with held(folder / LOCK, refusal):
        yield


@contextmanager
def held(lock: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file; if another process does, raise RuntimeError with this message."""
    with lock.open("a", encoding="utf-8") as stream:
        end = monotonic() + PATIENCE
        while True:
            try:
                _take(stream)
                break
            except OSError:
                if monotonic() > end:
                    raise RuntimeError(refusal) from None
                sleep(0.005)
        try:
            yield
        finally:
            _release(stream)


def is_in_use(folder: Path) -> bool:
    """Tell whether a process is measuring into a run folder."""
    lock = folder / LOCK
    if not lock.is_file():
        return False
    try:
        with lock.open("r+" if os.name == "nt" else "r", encoding="utf-8") as stream:
            _take(stream, to_look=True)
            _release(stream)
    except BlockingIOError:
        return True
    except OSError:
        return os.name == "nt"  # elsewhere: a disk without locks, or one may not look
    return False
