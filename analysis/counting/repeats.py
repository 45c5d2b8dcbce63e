"""Whether several tag files hold the same recording, which must not be added up twice."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from analysis.tagfile.source import TagSource, file_size, open_file

_PIECE = 1 << 20


def check_distinct(sources: Sequence[TagSource]) -> None:
    """Refuse two sources with the same path, the same PTU file GUID, or the same content.

    Raises
    ------
    ValueError
        Naming the two.
    """
    for one, other in combinations(sources, 2):
        same = _sameness(one, other)
        if same:
            message = (
                f"{other.path}: must be another recording than {one.path}, but has the same "
                f"{same}: adding it up would count every click twice; leave one out, or pass "
                "allow_repeats=True (--allow-repeats)"
            )
            raise ValueError(message)


def _sameness(one: TagSource, other: TagSource) -> str:
    """Return in what two sources are the same; empty if in nothing."""
    guid = one.header.get("File_GUID")
    if guid and guid == other.header.get("File_GUID"):
        return f"File_GUID {guid}"
    if not (one.path.exists() and other.path.exists()):  # sources that are no files
        return "source" if one is other else ""
    if one.path.samefile(other.path):
        return "path"
    return "content" if _equal(one.path, other.path) else ""


def _equal(one: Path, other: Path) -> bool:
    if file_size(one) != file_size(other):
        return False
    return all(first == second for first, second in zip(_pieces(one), _pieces(other), strict=True))


def _pieces(path: Path) -> Iterator[bytes]:
    with open_file(path) as stream:
        while piece := stream.read(_PIECE):
            yield piece
