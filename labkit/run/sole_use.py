"""One process at a time works in a run folder, or with a station's instruments."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

if os.name == "nt":
    import msvcrt

    def _take(stream: IO[str]) -> None:
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]

else:
    import fcntl

    def _take(stream: IO[str]) -> None:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


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
        try:
            _take(stream)
        except OSError:
            raise RuntimeError(refusal) from None
        yield


def is_in_use(folder: Path) -> bool:
    """Tell whether a process is measuring into a run folder."""
    lock = folder / LOCK
    if not lock.is_file():
        return False
    try:
        with lock.open("r+" if os.name == "nt" else "r", encoding="utf-8") as stream:
            _take(stream)  # let go of at once
    except BlockingIOError:
        return True
    except OSError:
        return os.name == "nt"  # elsewhere: a disk without locks, or one may not look
    return False
