"""Counting on many processes: files and stretches of files, with the same counts bit for bit.

A long file is cut where no trial is open (`count.cut`), each stretch is counted by a task of its
own, the tallies of a file join in their order (which hands over overflows and what stands at the
cuts exactly), and the counts of the files are added as a tree. Nothing but tallies and counts
travels: workers read the files themselves, by the same paths.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analysis.cluster import RETRIES, ClusterError, own_version
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
from analysis.tagfile import TagSource, open_tags
from analysis.tagfile.distinct import check_distinct

if TYPE_CHECKING:
    from distributed import Client

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
class _Job:
    """One file as every task of it needs it."""

    path: str
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
        If a file cannot be read; the counts of those that were done are in `keep`.
    ValueError
        If the gates do not fit a file, or two files hold the same recording.
    ClusterError
        If workers are lost again and again.
    """
    if not paths:
        message = "`paths` must name at least one tag file, but is empty"
        raise ValueError(message)
    gate_set = as_gates(gates)
    sources = [open_tags(path, as_type=as_type) for path in paths]
    for source in sources:
        check_records(source)
    if not allow_repeats:
        check_distinct(sources)
    if stretch is None:
        hands = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        stretch = max(STRETCH, sum(source.n_records for source in sources) // (TURNS * hands))
    store = _Store.of(keep, gate_set)
    futures: list[Any] = []
    known: dict[int, Counts] = {}
    for place, source in enumerate(sources):
        kept = store.read(source.path) if store else None
        if kept is not None:
            known[place] = kept
            continue
        laid, plan = plan_for(source, gate_set)
        kernel: Kernel = "bright" if is_bright(laid, plan) else "sparse"
        # what is moved or sorted on the way cannot be entered in the middle
        parts = -(-source.n_records // stretch) if laid is source else 1
        job = _Job(path=str(source.path), as_type=as_type, gates=gate_set, kernel=kernel)
        futures.append((place, _submit(client, job, cut(source, plan, parts))))
    known |= _gathered(client, futures, store, sources, progress, len(known))
    return _added([known[place] for place in range(len(sources))])


def _submit(client: "Client", job: _Job, stretches: Sequence[Stretch]) -> Any:
    """Submit the tasks of one file; the future is that of its counts."""
    if len(stretches) == 1:
        return client.submit(_count_file, job, pure=False, retries=RETRIES)
    tallies = [
        client.submit(_count_part, job, part, pure=False, retries=RETRIES) for part in stretches
    ]
    return client.submit(_join, job, tallies, pure=False, retries=RETRIES)


def _gathered(
    client: "Client",
    futures: Sequence[tuple[int, Any]],
    store: "_Store | None",
    sources: Sequence[Any],
    progress: Progress | None,
    done: int,
) -> dict[int, Counts]:
    from distributed import KilledWorker, as_completed

    places = {future.key: place for place, future in futures}
    waiting = [future for _, future in futures]
    total = done + len(futures)
    found: dict[int, Counts] = {}
    try:
        for future in as_completed(waiting):  # type: ignore[no-untyped-call]
            place = places[future.key]
            found[place] = future.result()
            if store is not None:
                store.write(sources[place].path, found[place])
            if progress is not None:
                progress(done + len(found), total)
    except KilledWorker as error:
        message = (
            f"workers died again and again at one task ({error}); too little memory there, or a "
            "file that kills its reader? Counts of finished files are kept if `keep` was given"
        )
        raise ClusterError(message) from error
    finally:
        client.cancel(waiting)  # type: ignore[no-untyped-call]
    return found


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
    return plan_for(open_tags(job.path, as_type=job.as_type), job.gates)


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
    """Counts of finished files, by path, size, time of change, gates and version."""

    folder: Path
    gates: GateSet

    @classmethod
    def of(cls, folder: str | Path | None, gates: GateSet) -> "_Store | None":
        if folder is None:
            return None
        Path(folder).mkdir(parents=True, exist_ok=True)
        return cls(folder=Path(folder), gates=gates)

    def read(self, path: Path) -> Counts | None:
        place = self._place(path)
        if not place.is_file():
            return None
        return Counts.from_dict(json.loads(place.read_text(encoding="utf-8")))

    def write(self, path: Path, counts: Counts) -> None:
        place = self._place(path)
        part = place.with_suffix(f".part{os.getpid()}")
        part.write_text(json.dumps(counts.to_dict()), encoding="utf-8")
        part.replace(place)

    def _place(self, path: Path) -> Path:
        found = path.stat()
        what = [str(path.resolve()), found.st_size, found.st_mtime_ns, str(self.gates)]
        text = json.dumps([*what, own_version()])
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
