"""Is every byte of a run what it was when it was written? Hashes and checksums, compared."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from labkit.run.journal import Block
from labkit.run.lines import last_line, read_lines, sha256_of
from labkit.run.manifest import Manifest

JOURNAL = "journal.jsonl"

SEAL = "seal.json"
"""In a run folder that has ended: SHA-256 of its files by path."""


class Folder(Protocol):
    """What is needed of a run folder."""

    @property
    def path(self) -> Path:
        """Where it is."""

    def manifest(self) -> Manifest:
        """Return what it says about itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A file that is not what the run says of it.

    Attributes
    ----------
    file : str
        Relative to the run folder.
    what : str
        What does not fit.
    """

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def misfits_of(
    folder: Folder,
    hashes: Iterable[tuple[str, str]],
    progress: Callable[[int], None] | None = None,
) -> list[Misfit]:
    """Hash files and return those that do not fit.

    Parameters
    ----------
    folder : RunFolder
    hashes : iterable of (str, str)
        File, relative to the folder, and the SHA-256 that it must have.
    progress : callable, optional
        Told how many are done.
    """
    wanted = list(hashes)
    found = []
    with ThreadPoolExecutor(2) as threads:  # hashing lets go of the interpreter
        results = threads.map(lambda item: _misfit(folder.path, *item), wanted)
        for done, misfit in enumerate(results, 1):
            if misfit is not None:
                found.append(misfit)
            if progress is not None:
                progress(done)
    return found


def sizes_misfit(folder: Folder, blocks: Iterable[Block]) -> list[Misfit]:
    """Return segments that are missing or of another length: the look that costs nothing.

    And the journal, if it lacks the end of its last line although the run has ended in order, or
    is not the one that was sealed: one that lacks whole lines looks well by itself.
    """
    found = []
    last = last_line(folder.path / JOURNAL)
    sealed = (sealed_files(folder.path) or {}).get(JOURNAL)
    if last is not None and last.state == "torn" and folder.manifest().status != "running":
        found.append(Misfit(file=JOURNAL, what="lacks its end; mend it with `labkit runs repair`"))
    elif sealed is not None and (misfit := _misfit(folder.path, JOURNAL, sealed)) is not None:
        found.append(misfit)
    for block in blocks:
        path = folder.path / block.segment
        if (outside := _outside(folder.path, block.segment)) is not None:
            found.append(outside)
        elif not path.is_file():
            found.append(Misfit(file=block.segment, what="is missing"))
        elif block.size >= 0 and path.stat().st_size != block.size:
            what = f"must have {block.size:,} bytes, but has {path.stat().st_size:,}"
            found.append(Misfit(file=block.segment, what=what))
    return found


def sealed_files(folder: Path) -> dict[str, str] | None:
    """Return the hashes of a seal; None if there is none, or it is damaged."""
    lines = list(read_lines(folder / SEAL))
    if len(lines) != 1 or lines[0].state != "whole":
        return None
    files = lines[0].plain.get("files")
    return {str(k): str(v) for k, v in files.items()} if isinstance(files, dict) else None


def refuse_misfits(folder: Folder, blocks: Iterable[Block]) -> None:
    """Refuse segments that are no longer what the journal says they are.

    Those of a folder of format 1 have no hash; they are looked for only.

    Raises
    ------
    ValueError
        Naming them.
    """
    blocks = list(blocks)
    found = sizes_misfit(folder, blocks)
    if not found:
        found = misfits_of(folder, hashes_of(blocks, records=False))
    if found:
        listed = "; ".join(str(misfit) for misfit in found[:5])
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        message = (
            f"{folder.path}: {len(found)} of its files are not as they were written: "
            f"{listed}{more}; put them back from a copy, or look with `labkit runs verify`"
        )
        raise ValueError(message)


def hashes_of(blocks: Iterable[Block], *, records: bool = True) -> Iterator[tuple[str, str]]:
    """Yield (file, SHA-256) of segments, and of the blocks' records."""
    for block in blocks:
        for file, digest in block.hashes.items():
            if records or file == block.segment:
                yield file, digest


def _misfit(folder: Path, file: str, digest: str) -> Misfit | None:
    if (outside := _outside(folder, file)) is not None:
        return outside
    try:
        fits = sha256_of(folder / file) == digest
    except OSError as error:
        return Misfit(file=file, what=f"cannot be read: {error.strerror or error}")
    return None if fits else Misfit(file=file, what="is not what it was when it was written")


def is_inside(folder: Path, path: Path) -> bool:
    """Tell whether a path, its links followed, lies in a folder; a loop of links leads nowhere."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _outside(folder: Path, file: str) -> Misfit | None:
    """Return what is wrong with a file that leads out of the folder by a link."""
    if not is_inside(folder, folder / file):
        return Misfit(file=file, what="is a link that leads out of the run folder")
    return None
