"""Whether several tag files hold the same recording, which must not be added up twice."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.acquisition import PICOSECOND
from analysis.tagfile.codec import Decoder
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import SYNC
from analysis.tagfile.source import TagSource, file_size, open_file

_PIECE = 1 << 20
_FIRST_RECORDS, _FIRST_BLOCKS = 4096, 256
_FEWEST = 16


def check_distinct(sources: Sequence[TagSource]) -> None:
    """Refuse two sources with the same path, PTU file GUID, content, or tags.

    Files with different GUIDs differ in content; others are compared where their sizes are equal.
    The same tags may stand in files of two formats: unless all files have a GUID, those whose first
    photons are equal are compared to the end.

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
    begun_alike: dict[bytes, list[TagSource]] = {}
    if len(sources) > 1 and not all(source.header.get("File_GUID") for source in sources):
        for source in sources:
            if (first := _first_photons(source)) is not None:
                begun_alike.setdefault(first, []).append(source)
    for group in begun_alike.values():
        yield from _same_tags(group)


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


def _first_photons(source: TagSource) -> bytes | None:
    """Return the first photons as bytes; None if the first records hold too few to tell."""
    decoder, found = Decoder(source.layout), np.empty((0, 3), np.int64)
    for block in islice(source.blocks(size=_FIRST_RECORDS), _FIRST_BLOCKS):
        try:
            found = np.concatenate([found, _photons(source, decoder.decode(block))])
        except ValueError:  # counting says what is wrong, and where
            return None
        if len(found) >= _FEWEST:
            return found[:_FEWEST].tobytes()
    return None


def _photons(source: TagSource, events: Events) -> NDArray[np.int64]:
    """Return channel, time (T2: ps, T3: sync) and ps after the sync of each photon."""
    step = source.resolution / PICOSECOND
    is_t3 = events.dtime is not None
    dtime = np.zeros(len(events), np.int64) if events.dtime is None else events.dtime
    time = events.time if is_t3 else np.rint(events.time * step).astype(np.int64)
    rows = np.stack([events.channel, time, np.rint(dtime * step).astype(np.int64)], axis=1)
    return np.ascontiguousarray(rows[events.channel < SYNC])


def _same_tags(group: Sequence[TagSource]) -> Iterator[tuple[TagSource, TagSource, str]]:
    """Yield pairs of sources with the same photons."""
    if len(group) < 2:
        return
    known: dict[bytes, TagSource] = {}
    for source in group:
        decoder, content = Decoder(source.layout), blake2b(source.layout.mode.encode())
        for block in source.blocks():
            content.update(_photons(source, decoder.decode(block)).tobytes())
        if (digest := content.digest()) in known:
            yield known[digest], source, "photons"
        known[digest] = source


def _digest(path: Path) -> bytes:
    content = blake2b()
    with open_file(path) as stream:
        while piece := stream.read(_PIECE):
            content.update(piece)
    return content.digest()
