"""Tag files that are elsewhere: in object stores and on servers, through fsspec.

A remote file is fetched whole, once, into a folder of this computer: counting reads records faster
than a network brings them, and more than once if they are out of order.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from analysis.tagfile.source import TagFileError

PIECE: Final = 1 << 22
"""Bytes fetched at a time."""

Progress = Callable[[int, int], object]
"""Called with (bytes fetched, bytes in all, 0 if the server does not say)."""


def fetched(
    address: str, *, folder: str | Path | None = None, progress: Progress | None = None
) -> Path:
    """Return a local copy of a remote file.

    Parameters
    ----------
    address : str
        ``https://server/run7.ptu``, ``s3://bucket/run7.ptu``, or whatever fsspec knows.
    folder : path, optional
        For copies; ``labkit-tags-USER`` in the system's temporary folder, or the environment
        variable ``LABKIT_REMOTE_FILES``.
    progress : callable, optional

    Raises
    ------
    TagFileError
        If there is no such file, the transfer breaks off, or fsspec cannot speak this protocol;
        the message says which package is missing.
    """
    fsspec = _fsspec()
    try:
        system, path = fsspec.core.url_to_fs(address)
        known = system.info(path)
    except (ImportError, ValueError) as error:
        message = f"{address}: cannot be fetched: {error}"
        raise TagFileError(message) from error
    except OSError as error:
        message = f"{address}: cannot be fetched: {_said(error)}"
        raise TagFileError(message) from error
    size = int(known.get("size") or 0)
    target = _place(address, known, folder)
    if target.is_file() and (not size or target.stat().st_size == size):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part{os.getpid()}")
    try:
        with system.open(path, "rb", block_size=PIECE) as source, part.open("wb") as copy:
            while piece := source.read(PIECE):
                copy.write(piece)
                if progress is not None:
                    progress(copy.tell(), size)
        if size and part.stat().st_size != size:
            message = f"{address}: must have {size:,} bytes, but {part.stat().st_size:,} came"
            raise TagFileError(message)
        part.replace(target)
    except OSError as error:
        message = f"{address}: the transfer broke off: {_said(error)}"
        raise TagFileError(message) from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _place(address: str, known: dict[str, Any], folder: str | Path | None) -> Path:
    """Where the copy stands: its name tells address, size and what marks a version there."""
    marks = ("ETag", "etag", "mtime", "LastModified", "last_modified", "size")
    version = [str(known.get(mark, "")) for mark in marks]
    digest = hashlib.sha256("\n".join([address, *version]).encode()).hexdigest()[:16]
    home = folder or os.environ.get("LABKIT_REMOTE_FILES")
    if not home:
        user = getattr(os, "getuid", os.getpid)()
        home = Path(tempfile.gettempdir()) / f"labkit-tags-{user}"
    name = address.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return Path(home) / digest / name


def _said(error: OSError) -> str:
    return str(error) or type(error).__name__


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError:
        message = "this needs fsspec: pip install -e '.[remote]' in a checkout of labkit"
        raise ImportError(message) from None
    return fsspec
