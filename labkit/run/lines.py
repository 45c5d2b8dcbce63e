"""Lines and files that cannot change unnoticed: a checksum, a JSON object, an end of line."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from errno import EINVAL
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn
from zlib import crc32

from pydantic_core import from_json

DEEPEST = 200
"""Brackets that one line may open: no line of labkit's has nearly as many."""


class FramedLine(NamedTuple):
    """One line of a file as it stands there.

    Attributes
    ----------
    number : int
        From 1, counted from where the reading began.
    start, end : int
        Bytes of the file.
    state : {"whole", "damaged", "torn"}
        ``torn``: the last one, without its end, as a kill or a power loss leaves it. ``damaged``:
        any other whose checksum does not match.
    plain : dict
        Its object, if whole.
    """

    number: int
    start: int
    end: int
    state: Literal["whole", "damaged", "torn"]
    plain: dict[str, Any]


def _no_number(word: str) -> NoReturn:
    message = f"{word} is no number of JSON's"
    raise ValueError(message)


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def framed(plain: Mapping[str, object]) -> str:
    """Return an object as a line."""
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    return f"{crc32(text.encode()):08x} {text}\n"


def append_lines(path: Path, lines: str, *, durable: bool) -> None:
    """Add whole lines to a file, which is made if it does not exist.

    They survive the death of this process; with `durable` they are on the disk on return, with
    all that was added before them.
    """
    with path.open("a", encoding="utf-8", newline="") as stream:
        stream.write(lines)
        stream.flush()
        if durable:
            os.fsync(stream.fileno())


def is_there(path: Path) -> bool:
    """Tell whether a file of a run is there.

    Raises
    ------
    ValueError
        If something else is: a link, whose end is no part of the run, a folder, a pipe, a device.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(mode):
        message = f"{path}: must be a file, but is a {_KINDS.get(stat.S_IFMT(mode), 'device')}"
        raise ValueError(message)
    return True


_KINDS = {stat.S_IFLNK: "link", stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe"}


def read_lines(path: Path, position: int = 0) -> Iterator[FramedLine]:
    """Yield the lines of a file after a byte; none if there is no such file."""
    if not is_there(path):
        return
    with path.open("rb") as stream:
        stream.seek(position)
        yield from _lines(stream, position)


def lines_of(content: bytes) -> Iterator[FramedLine]:
    """Yield the lines of a file's content."""
    return _lines(BytesIO(content))


def _lines(stream: Iterable[bytes], position: int = 0) -> Iterator[FramedLine]:
    for number, raw in enumerate(stream, 1):
        start, position = position, position + len(raw)
        plain = object_of(raw)
        if plain is not None:
            yield FramedLine(number, start, position, "whole", plain)
        else:
            state: Literal["damaged", "torn"] = "damaged" if raw.endswith(b"\n") else "torn"
            yield FramedLine(number, start, position, state, {})


def last_line(path: Path) -> FramedLine | None:
    """Return the last line of a file, without reading the others; None if there is none."""
    if not is_there(path):
        return None
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        length = 1 << 16
        while True:
            start = max(0, size - length)
            stream.seek(start)
            tail = stream.read()
            cut = tail.rfind(b"\n", 0, -1) + 1
            if cut or not start:
                break
            length *= 8
    lines = list(read_lines(path, start + cut))
    return lines[-1] if lines else None


def object_of(raw: bytes) -> dict[str, Any] | None:
    """Return the object of a line, or None if it is not whole."""
    text = raw[9:-1]
    if raw[-1:] != b"\n" or raw[:9] != b"%08x " % crc32(text):
        return None
    if text.count(b"[") + text.count(b"{") > DEEPEST and _depth(text) > DEEPEST:
        return None
    try:
        plain = from_json(text, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        plain = _slowly(text)
    return plain if isinstance(plain, dict) else None


def _slowly(text: bytes) -> object:
    """Return what a line's text holds, also with half a surrogate pair, as names of files have."""
    try:
        return _DECODER.decode(text.decode())
    except (ValueError, RecursionError):
        return None


def corrected(raw: bytes) -> bytes | None:
    """Return a damaged line, or two, as it was before one bit of it changed.

    The checksum finds the bit: among the some ten thousand lines that differ from this one by a
    bit, a wrong one fits with a chance of 1e-5. None if none fits, or nothing is damaged.
    """
    if object_of(raw) is not None:
        return None
    tried = bytearray(raw)
    for at, byte in enumerate(raw):
        for bit in range(8):
            tried[at] = byte ^ 1 << bit
            parts = [tried] if tried[at] != _END else [tried[: at + 1], tried[at + 1 :]]
            if all(_fits(part) and object_of(bytes(part)) is not None for part in parts if part):
                return bytes(tried)
        tried[at] = byte
    return None


_END = ord("\n")


def _fits(raw: bytes | bytearray) -> bool:
    """Tell whether a line's checksum matches, without copying it."""
    text = memoryview(raw)[9:-1]
    return raw[-1:] == b"\n" and raw[8:9] == b" " and raw[:8] == b"%08x" % crc32(text)


def _depth(text: bytes) -> int:
    """Return how many brackets are open at most, those in words included."""
    deepest = depth = 0
    for byte in text:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def write_whole(path: Path, text: str) -> None:
    """Replace a file's text at once and bring it to the disk."""
    write_whole_bytes(path, text.encode())


def write_whole_bytes(path: Path, content: bytes) -> None:
    """Replace a file's content at once and bring it to the disk."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
    folder_to_disk(path.parent)


def file_to_disk(path: Path) -> None:
    """Bring what is in a finished file to the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())


@contextmanager
def reaching_disk(*paths: Path) -> Iterator[None]:
    """Bring finished files, and that they are there, to the disk beside what the block does.

    At its end they are on the disk; all at once, so that the system can write them together.

    Raises
    ------
    OSError
        At the end of the block, if the disk refuses.
    """
    folders = {path.parent for path in paths}
    with ThreadPoolExecutor(len(paths) + len(folders), thread_name_prefix="to disk") as beside:
        jobs = [beside.submit(file_to_disk, path) for path in paths]
        jobs += [beside.submit(folder_to_disk, folder) for folder in folders]
        yield
    for job in jobs:
        job.result()


def folder_to_disk(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has a way to."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    if path.exists() and not path.is_file():
        raise OSError(EINVAL, "is no file", str(path))
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
