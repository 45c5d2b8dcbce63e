"""Whether several tag files hold the same recording, which must not be added up twice."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from analysis.tagfile.source import TagSource, file_size, open_file

_PIECE = 1 << 20


def check_distinct(sources: Sequence[TagSource]) -> None:
    """Refuse two sources with the same path, the same PTU file GUID, or the same content.

    Files with different GUIDs differ in content; others are compared where their sizes are equal.

    Raises
    ------
    ValueError
        Naming the two.
    """
    for one, other, same in _repeats(sources):
        message = (
            f"{other.path}: must be another recording than {one.path}, but has the same "
            f"{same}: adding it up would count every click twice; leave one out, or pass "
            "allow_repeats=True (--allow-repeats)"
        )
        raise ValueError(message)


def _repeats(sources: Sequence[TagSource]) -> Iterator[tuple[TagSource, TagSource, str]]:
    """Yield pairs of sources, and in what they are the same."""
    guids: dict[object, TagSource] = {}
    places: dict[tuple[int, int], TagSource] = {}
    by_size: dict[int, list[TagSource]] = {}
    for source in sources:
        guid = source.header.get("File_GUID")
        if guid and guid in guids:
            yield guids[guid], source, f"File_GUID {guid}"
            continue
        guids[guid] = source
        is_file = source.path.is_file()
        place = _place(source.path) if is_file else (0, id(source))
        if place in places:
            yield places[place], source, "path" if is_file else "source"
            continue
        places[place] = source
        if is_file:
            by_size.setdefault(file_size(source.path), []).append(source)
    for group in by_size.values():
        yield from _equal(group)


def _place(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _equal(sources: Iterable[TagSource]) -> Iterator[tuple[TagSource, TagSource, str]]:
    """Yield pairs with the same content; there is none if each has a GUID of its own."""
    group = list(sources)
    if len(group) < 2 or all(source.header.get("File_GUID") for source in group):
        return
    contents: dict[bytes, TagSource] = {}
    for source in group:
        content = _digest(source.path)
        if content in contents:
            yield contents[content], source, "content"
        contents[content] = source


def _digest(path: Path) -> bytes:
    content = blake2b()
    with open_file(path) as stream:
        while piece := stream.read(_PIECE):
            content.update(piece)
    return content.digest()
