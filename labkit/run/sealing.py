"""The seal of a finished run: what every file beside the tags was, so that changes are noticed."""

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

from labkit.run import always_valid, kept_sums
from labkit.run.folder import RunFolder, open_run
from labkit.run.integrity import SEAL, Misfit, hashes_of, is_inside, misfits_of, sealed_files
from labkit.run.lines import framed, sha256_of, write_whole
from labkit.run.sole_use import LOCK
from labkit.run.summary import SUMMARY

_NOT_SEALED = {LOCK, SUMMARY, always_valid.KEPT, kept_sums.KEPT, SEAL}
"""Files that tell nothing of the run, or can be made anew."""


def seal_run(folder: RunFolder) -> None:
    """Note what every file of a run is now, apart from tags and records, which the journal notes.

    To be called when nothing more is written; a resumed run is sealed again at its next end.
    """
    _write(folder, _hashes(folder))


@contextmanager
def sealed_anew(folder: RunFolder) -> Iterator[None]:
    """Put what is written within the block under the run's seal, if it has one, and nothing else.

    A file that did not fit the seal before, and is not written now, does not fit it afterwards.
    """
    old = sealed_files(folder.path)
    before = {} if old is None else _hashes(folder)
    yield
    if old is None:
        return
    now = _hashes(folder)
    kept = {file: digest for file, digest in old.items() if now.get(file) == before.get(file)}
    if now | kept != old:  # a run on read-only media can be looked at
        _write(folder, now | kept)


def _hashes(folder: RunFolder) -> dict[str, str]:
    return {
        folder.relative(path): sha256_of(path)
        for path in _files(folder.path)
        if not folder.relative(path).startswith("tags/")
    }


def _write(folder: RunFolder, files: dict[str, str]) -> None:
    write_whole(folder.path / SEAL, framed({"files": files}))


def verify_run(
    path: Path, progress: Callable[[int, int], None] | None = None
) -> list[Misfit]:  # fmt: skip
    """Return every file of a run that is not what it was when it was written.

    Parameters
    ----------
    path : Path
        Run folder; of an exported run see `labkit.run.crate.verify_crate`.
    progress : callable, optional
        Told (files hashed, files in all).

    Raises
    ------
    ValueError
        If it is none.
    """
    found, wanted = [], []
    folder = RunFolder(path=path)
    if not folder.manifest_path.exists():
        open_run(path)  # says what is wrong
    try:
        finished = folder.manifest().status == "done"
    except ValueError as error:
        finished = False
        found.append(Misfit(file="manifest.json", what=_short(error, folder.manifest_path)))
    try:
        wanted += list(hashes_of(folder.journal.read()))
    except ValueError as error:
        found.append(Misfit(file="journal.jsonl", what=_short(error, folder.journal.path)))
    sealed = sealed_files(folder.path)
    if sealed is None and finished:
        found.append(Misfit(file=SEAL, what="is missing or damaged, although the run has ended"))
    wanted += (sealed or {}).items()
    told = None if progress is None else lambda done: progress(done, len(wanted))
    if finished:
        found += _strangers(folder, {file for file, _ in wanted})
    named = {misfit.file for misfit in found}
    return found + [m for m in misfits_of(folder, wanted, told) if m.file not in named]


def _strangers(folder: RunFolder, known: AbstractSet[str]) -> list[Misfit]:
    """Return segments and records beside those of the run's blocks: a copy could be taken for one.

    What was set aside is known to be none.
    """
    there = (path for path in (folder.path / "tags").glob("*") if not path.is_dir())
    files = sorted(folder.relative(path) for path in there)
    return [Misfit(file=file, what="is of no block") for file in files if file not in known]


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in a run folder, links that lead out of it left aside."""
    for path in sorted(folder.rglob("*")):
        part = path.name.startswith(".") and path.name.endswith(".part")
        ours = path.is_file() and path.name not in _NOT_SEALED and not part
        if ours and is_inside(folder, path):
            yield path


def _short(error: ValueError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def files_of(folder: Path) -> list[Path]:
    """Return the files that belong to a run, relative to its folder; none from outside it."""
    found = [path.relative_to(folder) for path in _files(folder)]
    return [*found, *([Path(SEAL)] if (folder / SEAL).is_file() else [])]
