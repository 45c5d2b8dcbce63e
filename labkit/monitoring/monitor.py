"""One run, watched: every look at its folder costs only what is new there."""

from collections.abc import Mapping
from dataclasses import dataclass
from time import time

from analysis.evaluation import Evaluation
from labkit.diagnostics import diagnose_blocks
from labkit.monitoring.course import Course
from labkit.monitoring.pace import goal_of, seconds_left, with_time
from labkit.monitoring.series import Series, began, ended, series_of
from labkit.monitoring.snapshot import LeftOut, Snapshot
from labkit.monitoring.status import RunStatus, run_status
from labkit.progress import Progress, progress_towards
from labkit.run import Block, Goal, Manifest, RunFolder, main_setting
from labkit.sequence import PulseSequence


class RunMonitor:
    """Watches a run folder; nothing is written there, and no lock is taken.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._manifest: Manifest | None = None
        self._manifest_seen = (0, 0)
        self._goal: Goal | None = None
        self._position = 0
        self._blocks: dict[int, Block] = {}
        self._course = Course()
        self._found: _Found | None = None

    def poll(self) -> bool:
        """Read what is new; return whether there were blocks among it.

        Raises
        ------
        ValueError
            If manifest or journal cannot be read.
        """
        self._read_manifest()
        journal = self.folder.journal
        if self._position and journal.path.stat().st_size < self._position:
            self._position, self._found = 0, None  # put back from a copy: begin again
            self._blocks.clear()
        new, self._position = journal.since(self._position)
        self._blocks.update((block.number, block) for block in new)
        if new:
            journal.numbered(self._blocks)
            self._found = None
        return bool(new)

    def status(self, now: float | None = None) -> RunStatus:
        """Return how the run was at the last poll; `now` is Unix time, s."""
        now = time() if now is None else now
        return run_status(self.folder, self._read_manifest(), len(self._blocks), now)

    def snapshot(self, now: float | None = None) -> Snapshot:
        """Poll and return everything; what costs time is computed once per new block.

        Parameters
        ----------
        now : float, optional
            Unix time, s; by default the computer's.
        """
        self.poll()
        now = time() if now is None else now
        manifest, status = self._read_manifest(), self.status(now)
        if self._found is None:
            self._found = self._find(manifest)
        found = self._found
        progress = found.progress
        if progress is not None and progress.goal_seconds is not None:
            over = ended(found.counted[-1]) if found.counted else now
            until = now if status.going_on else over
            progress = with_time(progress, found.counted, manifest.sessions, until)
        return Snapshot(
            name=self.folder.path.name, kind=manifest.kind, comment=manifest.comment,
            host=manifest.host, status=status, goal=self._goal, progress=progress,
            seconds_left=seconds_left(progress, found.counted, now)
            if status.state == "running" else None,
            blocks=len(self._blocks), good=len(self._blocks) - len(found.left_out),
            left_out=found.left_out, about=found.about, course=found.course,
            bound=1.0 if self._goal is None else self._goal.bound, diagnosis=found.diagnosis,
            series=found.series,
            figures=tuple(sorted((self.folder.path / "figures").glob("*.png"))),
        )  # fmt: skip

    def _read_manifest(self) -> Manifest:
        """Return the manifest, read again if it has been replaced."""
        path = self.folder.manifest_path
        stat = path.stat()
        seen = (stat.st_mtime_ns, stat.st_size)
        if self._manifest is None or seen != self._manifest_seen:
            self._manifest, self._manifest_seen = self.folder.manifest(), seen
            self._goal = goal_of(self._manifest, str(path))
        return self._manifest

    def _find(self, manifest: Manifest) -> "_Found":
        """Evaluate the blocks read so far."""
        blocks = list(self._blocks.values())
        about = main_setting(blocks)
        good = [block for block in blocks if block.good and block.setting == about]
        good = [block for block in good if block.counts.gates == good[-1].counts.gates]
        course = self._course.evaluations(good)
        counted = good if about.get("procedure") == "witness" else []
        found = course[-1] if counted else None
        return _Found(
            counted=counted,
            left_out=tuple(_left_out(block) for block in blocks if not block.good),
            about=about,
            course=course,
            diagnosis=diagnose_blocks(found, counted, self._sequence(manifest)) if found else (),
            progress=None
            if self._goal is None
            else progress_towards(self._goal, found, counted[-1].counts if counted else None),
            series=series_of(blocks),
        )

    def _sequence(self, manifest: Manifest) -> PulseSequence | None:
        plain = manifest.experiment.get("sequence")
        where = str(self.folder.manifest_path)
        return PulseSequence.from_dict(plain, where=where) if plain else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """What the blocks say, the same until there are new ones; `counted` ones are of the goal."""

    counted: list[Block]
    left_out: tuple[LeftOut, ...]
    about: Mapping[str, float | str]
    course: tuple[Evaluation, ...]
    diagnosis: tuple[str, ...]
    progress: Progress | None
    series: Mapping[str, Series]


def _left_out(block: Block) -> LeftOut:
    return LeftOut(
        block=block.number, procedure=str(block.setting.get("procedure", "")), time=began(block),
        trials=block.counts.trials.number, reason=block.reason,
    )  # fmt: skip
