"""Lines that cannot change unnoticed: a checksum, a JSON object, an end of line."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

DEEPEST = 200
"""Brackets that one line may open: no line of labkit's has nearly as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
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


def read_lines(path: Path, position: int = 0) -> Iterator[Line]:
    """Yield the lines of a file after a byte; none if there is no such file."""
    if not path.exists():
        return
    with path.open("rb") as stream:
        stream.seek(position)
        for number, raw in enumerate(stream, 1):
            start, position = position, position + len(raw)
            plain = object_of(raw)
            state: Literal["whole", "damaged", "torn"] = "whole"
            if plain is None:
                state = "damaged" if raw.endswith(b"\n") else "torn"
            yield Line(number=number, start=start, end=position, state=state, plain=plain or {})


def last_line(path: Path) -> Line | None:
    """Return the last line of a file, without reading the others; None if there is none."""
    if not path.exists():
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
    checksum, _, text = raw[:-1].partition(b" ")
    if not raw.endswith(b"\n") or checksum != b"%08x" % crc32(text):
        return None
    if text.count(b"[") + text.count(b"{") > DEEPEST and _depth(text) > DEEPEST:
        return None
    try:
        plain = json.loads(text.decode())  # from bytes it would look for their encoding first
    except (ValueError, RecursionError):
        return None
    return plain if isinstance(plain, dict) else None


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


def to_disk(path: Path) -> None:
    """Bring a finished file, and that it is there, to the disk."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    folder_to_disk(path.parent)


def folder_to_disk(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has a way to."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
