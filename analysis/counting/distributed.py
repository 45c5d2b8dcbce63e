"""Counting on many processes: files and stretches of files, with the same counts bit for bit.

A long file is cut where no trial is open (`count.cut`), each stretch is counted by a task of its
own, the tallies of a file join in their order (which hands over overflows and what stands at the
cuts exactly), and the counts of the files are added as a tree. Nothing but tallies and counts
travels: workers read the files themselves, by the same paths.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analysis.cluster import as_done, hands, own_version, submit
from analysis.counting.count import (
    Kernel,
    Stretch,
    check_records,
    count_stretch,
    cut,
    finish_counts,
    is_bright,
    plan_for,
)
from analysis.counts import Counts
from analysis.gates import GateSet, as_gates
from analysis.tagfile import TagFileError, TagSource, open_tags
from analysis.tagfile.distinct import check_distinct

if TYPE_CHECKING:
    from distributed import Client, Future

    from analysis.counting.tally import Plan, Tally

STRETCH: Final = 1 << 28
"""Fewest records of one task: half a second of work, against a scheduler's few milliseconds."""
TURNS: Final = 8
"""Tasks per worker, if there is enough to count: a scheduler that serves many wants long ones."""
FAN_IN: Final = 16
"""How many counts one task of the tree adds."""

Progress = Callable[[int, int], object]
"""Called with (files counted, files in all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A file as it was found; what it holds is taken for the same while this is."""

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> "_Seen":
        """Look at a file: bytes, and time of change in ns."""
        found = path.stat()
        return cls(path=path, size=found.st_size, changed=found.st_mtime_ns)

    def check(self) -> None:
        """Refuse counts of a file that is another one since.

        Raises
        ------
        TagFileError
            If it is, or has vanished.
        """
        try:
            same = self == _Seen.of(self.path)
        except FileNotFoundError:
            message = f"{self.path}: has vanished while it was counted"
            raise TagFileError(message) from None
        if not same:
            message = f"{self.path}: {CHANGED}"
            raise TagFileError(message)


CHANGED: Final = "has changed while it was counted; count it again when nobody writes to it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One file as every task of it needs it.

    Attributes
    ----------
    size : int
        Bytes, the same for whoever opens it. Copies on other disks have times of their own.
    """

    path: str
    size: int
    as_type: str | None
    gates: GateSet
    kernel: Kernel


def count_distributed(
    client: "Client",
    paths: Sequence[str | Path],
    gates: GateSet | str | Path,
    *,
    as_type: str | None = None,
    allow_repeats: bool = False,
    keep: str | Path | None = None,
    stretch: int | None = None,
    progress: Progress | None = None,
) -> Counts:
    """Count tag files on the workers of a cluster and add them up.

    Parameters
    ----------
    client : distributed.Client
        See `analysis.cluster.cluster`.
    paths : sequence of path
        The workers must see the files under these paths.
    gates : GateSet or path of a gates file
    as_type : str, optional
        Record type of mislabelled files, as of `open_tags`.
    allow_repeats : bool
        Add up even files that hold the same recording.
    keep : path, optional
        Folder for the counts of every file that is done. A later call with the same files and
        gates goes on from there; a file that has changed since is counted again.
    stretch : int, optional
        Records per task; by default 2²⁸, or more where each worker has more than 8 of those.
    progress : callable, optional

    Returns
    -------
    Counts
        Equal to those of `analysis.count` in one process.

    Raises
    ------
    TagFileError
        If a file cannot be read, or changes meanwhile; the counts of those that were done are in
        `keep`.
    ValueError
        If the gates do not fit a file, or two files hold the same recording.
    ClusterError
        If the scheduler is lost, all workers are, or one after the other at the same task.
    """
    if not paths:
        message = "`paths` must name at least one tag file, but is empty"
        raise ValueError(message)
    return _added(
        count_each(
            client, paths, gates, as_type=as_type, allow_repeats=allow_repeats, keep=keep,
            stretch=stretch, progress=progress,
        )
    )  # fmt: skip


def count_each(
    client: "Client",
    paths: Sequence[str | Path],
    gates: GateSet | str | Path,
    *,
    as_type: str | None = None,
    allow_repeats: bool = False,
    keep: str | Path | None = None,
    stretch: int | None = None,
    progress: Progress | None = None,
) -> list[Counts]:
    """Count tag files on the workers of a cluster, each for itself; see `count_distributed`."""
    gate_set = as_gates(gates)
    sources = [open_tags(path, as_type=as_type) for path in paths]
    seen = [_Seen.of(source.path) for source in sources]
    for source in sources:
        check_records(source)
    if not allow_repeats:
        check_distinct(sources)
    if stretch is None:
        records = sum(source.n_records for source in sources)
        stretch = max(STRETCH, records // (TURNS * hands(client)))
    store = _Store.of(keep, gate_set, as_type)
    known = {p: kept for p, one in enumerate(seen) if (kept := store.read(one)) is not None}
    futures = {
        place: _submit(client, source, seen[place], gate_set, as_type, stretch)
        for place, source in enumerate(sources)
        if place not in known
    }
    try:
        for place, counts in _gathered(client, futures):
            seen[place].check()
            known[place] = counts
            store.write(seen[place], counts)
            if progress is not None:
                progress(len(known), len(sources))
    except Exception as error:
        if keep is not None:
            error.add_note(f"the counts of {len(known)} of {len(sources)} files are in {keep}")
        raise
    return [known[place] for place in range(len(sources))]


def _submit(
    client: "Client", source: TagSource, seen: _Seen, gates: GateSet, as_type: str | None, most: int
) -> "Future[Any]":
    """Submit the tasks of one file, of so many records at most; return the future of its counts."""
    laid, plan = plan_for(source, gates)
    kernel: Kernel = "bright" if is_bright(laid, plan) else "sparse"
    # what is moved or sorted on the way cannot be entered in the middle
    parts = -(-source.n_records // most) if laid is source else 1
    path = str(source.path.absolute())
    job = _Job(path=path, size=seen.size, as_type=as_type, gates=gates, kernel=kernel)
    stretches = cut(source, plan, parts)
    if len(stretches) == 1:
        return submit(client, _count_file, job)
    return submit(client, _join, job, [submit(client, _count_part, job, s) for s in stretches])


def _gathered(client: "Client", futures: "dict[int, Future[Any]]") -> Iterator[tuple[int, Counts]]:
    places = list(futures)
    for number, counts in as_done(client, list(futures.values())):
        yield places[number], counts


def _count_file(job: _Job) -> Counts:
    source, plan = _laid(job)
    tally = count_stretch(source, plan, (0, source.n_records), job.kernel)
    return finish_counts(source, plan, [tally], job.kernel)


def _count_part(job: _Job, part: Stretch) -> "Tally":
    source, plan = _laid(job)
    return count_stretch(source, plan, part, job.kernel)


def _join(job: _Job, tallies: "list[Tally]") -> Counts:
    source, plan = _laid(job)
    return finish_counts(source, plan, tallies, job.kernel)


def _laid(job: _Job) -> "tuple[TagSource, Plan]":
    source = open_tags(job.path, as_type=job.as_type)
    size = source.path.stat().st_size
    if size != job.size:
        message = f"{job.path}: {CHANGED}; it had {job.size:,} bytes, and has {size:,}"
        raise TagFileError(message)
    return plan_for(source, job.gates)


def _added(counts: list[Counts]) -> Counts:
    """Add neighbours, then their sums, and so on: order and result are those of plain addition."""
    while len(counts) > 1:
        counts = [
            sum(counts[start + 1 : start + FAN_IN], counts[start])
            for start in range(0, len(counts), FAN_IN)
        ]
    return counts[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Store:
    """Counts of finished files, by path, size, time of change, gates, record type and version.

    Without a folder nothing is kept.
    """

    folder: Path | None
    gates: GateSet
    as_type: str | None

    @classmethod
    def of(cls, folder: str | Path | None, gates: GateSet, as_type: str | None) -> "_Store":
        home = None if folder is None else Path(folder)
        if home is not None:
            home.mkdir(parents=True, exist_ok=True)
        return cls(folder=home, gates=gates, as_type=as_type)

    def read(self, seen: _Seen) -> Counts | None:
        """Return kept counts; those that a crash has damaged are made again."""
        if self.folder is None:
            return None
        try:
            text = (self.folder / self._name(seen)).read_text(encoding="utf-8")
            return Counts.from_dict(json.loads(text))
        except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def write(self, seen: _Seen, counts: Counts) -> None:
        if self.folder is None:
            return
        place = self.folder / self._name(seen)
        part = place.with_suffix(f".part{os.getpid()}")
        part.write_text(json.dumps(counts.to_dict()), encoding="utf-8")
        part.replace(place)

    def _name(self, seen: _Seen) -> str:
        what = [str(seen.path.resolve()), seen.size, seen.changed, self.gates.to_dict()]
        text = json.dumps([*what, self.as_type, own_version()])
        return f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
