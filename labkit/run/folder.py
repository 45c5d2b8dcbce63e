"""A run folder: manifest, raw tag segments, journal, results, report; complete in itself."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from analysis.gates import GateSet, gates_path
from labkit.run.integrity import is_inside, refuse_misfits
from labkit.run.journal import Block, Journal, main_setting, purpose_of
from labkit.run.lines import sha256_of, write_whole
from labkit.run.manifest import Manifest, new_manifest, read_manifest, write_manifest
from labkit.run.sole_use import is_in_use
from labkit.run.summary import keep_summary, kept_summary, run_paths, summary_row
from labkit.sequence import PulseSequence

SPARE_BYTES = 200_000_000
"""A run does not begin, and a block not either, with less free disk than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """Paths of one run; make with `create_run`, open with `open_run`."""

    path: Path
    journal: Journal = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "journal", Journal(self.path / "journal.jsonl"))

    @property
    def manifest_path(self) -> Path:
        """``manifest.json``."""
        return self.path / "manifest.json"

    @property
    def results_path(self) -> Path:
        """``results.nc``."""
        return self.path / "results.nc"

    def manifest(self) -> Manifest:
        """Read the manifest."""
        return read_manifest(self.manifest_path)

    def write_manifest(self, manifest: Manifest) -> None:
        """Replace the manifest."""
        write_manifest(manifest, self.manifest_path)

    def summary(self) -> dict[str, object]:
        """Return a row about the run; one whose process is gone without an end has died.

        It is kept beside the run, and made anew when that has gone on.
        """
        row = kept_summary(self.path)
        if row is None:
            row = summary_row(self.path.name, self.manifest(), self.journal.read())
            keep_summary(self.path, row)
        row = row | {"run": self.path.name}
        died = row["status"] == "running" and not is_in_use(self.path)
        return row | {"status": "died"} if died else row

    def sequence(self) -> PulseSequence | None:
        """Return the pulse sequence of the manifest; None if it has none."""
        plain = self.manifest().experiment.get("sequence")
        where = str(self.manifest_path)
        return PulseSequence.from_dict(plain, where=where) if plain else None

    def main_blocks(self) -> list[Block]:
        """Return the good blocks of the setting that the run is about.

        Raises
        ------
        ValueError
            If no block is finished yet, or the run is a replay.
        """
        self.refuse_replay()
        blocks = self.journal.read()
        if not blocks:
            message = f"{self.path}: the run has no finished block to analyse"
            raise ValueError(message)
        setting = main_setting(blocks)
        return [b for b in blocks if b.good and purpose_of(b.setting) == setting]

    def refuse_replay(self) -> None:
        """Raise ValueError if this run is a replay of another one: it is no measurement."""
        if origin := self.manifest().replay_of:
            message = f"{self.path}: is a replay, no measurement; use the run it shows, {origin}"
            raise ValueError(message)

    def segment_path(self, number: int) -> Path:
        """Return the tag file of a block."""
        return self.path / "tags" / f"block_{number:06d}.ptu"

    def record_path(self, number: int) -> Path:
        """Return the record of a block: what it is for, and how the lab was through it."""
        return self.path / "tags" / f"block_{number:06d}.record.jsonl"

    def intent_path(self, number: int) -> Path:
        """Return the note of what an unfinished block of a folder of format 1 is for."""
        return self.path / "tags" / f"block_{number:06d}.json"

    def number_of(self, segment: Path) -> int | None:
        """Return the number of the block of a segment; None if its name is none of a segment's."""
        number = segment.stem.removeprefix("block_")
        found = int(number) if number.isdecimal() else 0
        return found if segment == self.segment_path(found) else None

    def figures(self) -> list[Path]:
        """Return the pictures that procedures drew, by name; a link out of the folder is none."""
        found = sorted((self.path / "figures").glob("*.png"))
        return [path for path in found if path.is_file() and is_inside(self.path, path)]

    def relative(self, path: Path) -> str:
        """Return a path in the folder as it stands in the journal."""
        return path.relative_to(self.path).as_posix()

    def set_aside(self, segment: Path) -> Path:
        """Keep a segment that cannot be counted in ``tags/incomplete``; return its new path."""
        rest = segment.parent / "incomplete"
        rest.mkdir(exist_ok=True)
        number, free = 1, rest / segment.name
        while free.exists():
            number += 1
            free = rest / f"{segment.stem}_{number}{segment.suffix}"
        record = segment.with_suffix(".record.jsonl")
        if record.exists():
            record.rename(free.with_suffix(".record.jsonl"))
        return segment.rename(free)

    def check_disk(self) -> None:
        """Refuse to go on with a nearly full disk.

        Raises
        ------
        OSError
            Naming folder, free and wanted space.
        """
        free = shutil.disk_usage(self.path).free
        if free < SPARE_BYTES:
            message = (
                f"{self.path}: the disk must have {SPARE_BYTES / 1e6:.0f} MB free, but has "
                f"{free / 1e6:.0f} MB; all finished blocks are safe, free some space and resume"
            )
            raise OSError(message)


def create_run(
    out: Path,
    kind: str,
    experiment: Mapping[str, object],
    station: str,
    *,
    comment: str = "",
    gates: GateSet,
    operator: str = "",
    sample: str = "",
    tags: tuple[str, ...] = (),
) -> RunFolder:
    """Make the folder of a new run, named by time and kind.

    Raises
    ------
    OSError
        If the folder cannot be made or the disk is nearly full.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%d_%H%M%S")
    path, number = out / f"{stamp}_{kind}", 1
    while path.exists():
        number += 1
        path = out / f"{stamp}_{kind}_{number}"
    (path / "tags").mkdir(parents=True)
    folder = RunFolder(path=path)
    folder.check_disk()
    write_whole(path / "gates.yaml", gates.to_yaml())
    manifest = new_manifest(kind, experiment, station, comment)
    files = {"gates.yaml": sha256_of(path / "gates.yaml")}
    folder.write_manifest(
        replace(manifest, operator=operator, sample=sample, tags=tags, files=files)
    )
    return folder


def open_run(path: Path) -> RunFolder:
    """Open an existing run.

    Raises
    ------
    ValueError
        If the folder is not a run's, or of a newer format.
    """
    folder = RunFolder(path=Path(path))
    folder.manifest()
    return folder


def list_runs(out: Path) -> list[RunFolder]:
    """Return the runs below a folder, oldest first."""
    return [RunFolder(path=path) for path in run_paths(out)]


def gates_beside(tags: Path) -> Path:
    """Return the gates file of a tag file (x.ptu has x.gates.yaml) or of a run folder.

    Raises
    ------
    ValueError
        If there is none, or a folder is no run's.
    """
    if tags.is_dir() and not RunFolder(path=tags).manifest_path.is_file():
        message = f"{tags}: is a folder, but no run folder; name a tag file or a run folder"
        raise ValueError(message)
    gates = tags / "gates.yaml" if tags.is_dir() else gates_path(tags)
    if not gates.is_file():
        message = f"{tags}: no gates file {gates.name} beside it; name one with --gates"
        raise ValueError(message)
    if tags.is_dir():
        written = RunFolder(path=tags).manifest().files.get(gates.name)
        if written is not None and sha256_of(gates) != written:
            message = f"{gates}: is not what it was when the run began; name one with --gates"
            raise ValueError(message)
    return gates


def tag_files(path: Path) -> list[Path]:
    """Return a tag file itself, or a run folder's segments: the good ones of its main setting.

    Raises
    ------
    ValueError
        If a segment is no longer what the journal says it is.
    """
    if not path.is_dir():
        return [path]
    folder = open_run(path)
    blocks = folder.main_blocks()
    refuse_misfits(folder, blocks)
    return [folder.path / block.segment for block in blocks]
