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

from analysis.tagfile.source import LIBRARY_ERRORS, TagFileError

PIECE: Final = 1 << 22
"""Bytes fetched at a time."""

SILENT_FOR: Final = 60.0
"""How long a server may say nothing before the transfer is given up, s."""

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
        If there is no such file, the transfer breaks off, the file changes meanwhile, or fsspec
        cannot speak this protocol; the message says which package is missing.
    """
    fsspec = _fsspec()
    try:
        system, path = fsspec.core.url_to_fs(address, **_patience(address))
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
        system.invalidate_cache()
        if _place(address, system.info(path), folder) != target:
            message = f"{address}: has changed there while it was fetched; fetch it again"
            raise TagFileError(message)
        part.replace(target)
    except TagFileError:
        raise
    except (*LIBRARY_ERRORS, *_errors_of_http()) as error:
        message = f"{address}: the transfer broke off: {_said(error)}"
        raise TagFileError(message) from error
    finally:
        part.unlink(missing_ok=True)
    return target


MARKS: Final = (
    "ETag", "etag", "mtime", "LastModified", "Last-Modified", "last_modified", "Content-MD5",
    "Digest", "md5Hash", "created", "size",
)  # fmt: skip
"""By which fsspec's file systems tell versions of a file."""


def _patience(address: str) -> dict[str, Any]:
    """Let a transfer over HTTP take as long as bytes come; aiohttp ends it after five minutes."""
    if not address.startswith(("http://", "https://")):
        return {}
    from aiohttp import ClientTimeout

    patience = ClientTimeout(total=None, sock_connect=SILENT_FOR, sock_read=SILENT_FOR)
    return {"client_kwargs": {"timeout": patience}}


def _place(address: str, known: dict[str, Any], folder: str | Path | None) -> Path:
    """Where the copy stands: its name tells address, size and what marks a version there."""
    version = [str(known.get(mark, "")) for mark in MARKS]
    digest = hashlib.sha256("\n".join([address, *version]).encode()).hexdigest()[:16]
    home = folder or os.environ.get("LABKIT_REMOTE_FILES")
    if not home:
        user = getattr(os, "getuid", os.getpid)()
        home = Path(tempfile.gettempdir()) / f"labkit-tags-{user}"
    name = address.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return Path(home) / digest / name


def _errors_of_http() -> tuple[type[Exception], ...]:
    try:
        from aiohttp import ClientError
    except ImportError:
        return ()
    return (ClientError,)


def _said(error: BaseException) -> str:
    """Return the reason, which fsspec hides behind the address."""
    if isinstance(error.__cause__, Exception):
        return _said(error.__cause__)
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if status := getattr(error, "status", None):
        return f"the server says {status} {getattr(error, 'message', '')}"
    return str(error) or type(error).__name__


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError:
        message = "this needs fsspec: pip install -e '.[remote]' in a checkout of labkit"
        raise ImportError(message) from None
    return fsspec
