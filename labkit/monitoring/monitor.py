"""One run, watched: every look at its folder costs only what is new there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from time import time
from typing import TYPE_CHECKING

from analysis.evaluation import Evaluation, evaluate
from labkit.experiment import options_of
from labkit.monitoring.series import Rates, Series, began, ended, series_of
from labkit.monitoring.snapshot import LeftOut, Snapshot
from labkit.monitoring.status import RunStatus, run_status
from labkit.procedures import PROCEDURES
from labkit.report.diagnostics import diagnose_blocks
from labkit.run import Block, Goal, Manifest, RunFolder, Tail, main_setting
from labkit.run.evidence import CatchingUpError, RunJudge
from labkit.run.journal import folded_sum, purpose_of
from labkit.run.left_out import left_out_of
from labkit.run.progress import WitnessProgress, progress_towards

if TYPE_CHECKING:
    from analysis.counts import Counts

MOST_POINTS = 16
"""A course has so many points at most: the witness's posterior costs 50 ms at each."""

RECENT = 12
"""Good blocks by whose pace the time left is told."""


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
        self._tail = Tail(folder.journal)
        self._course = Course()
        self._rates = Rates()
        self._found: _Found | None = None
        self._judging: tuple[Goal | None, RunJudge] | None = None

    def poll(self) -> bool:
        """Read what is new; return whether there were blocks among it.

        Raises
        ------
        ValueError
            If manifest or journal cannot be read.
        """
        self._read_manifest()
        changed = self._tail.poll()
        if changed:
            self.folder.journal.numbered(self._tail.blocks)
            self._found = None
        return bool(changed)

    def status(self, now: float | None = None) -> RunStatus:
        """Return how the run was at the last poll; `now` is Unix time, s."""
        now = time() if now is None else now
        return run_status(self.folder, self._read_manifest(), len(self._tail.blocks), now)

    def snapshot(self, now: float | None = None, *, patience: float = inf) -> Snapshot:
        """Poll and return everything; what costs time is computed once per new block.

        Parameters
        ----------
        now : float, optional
            Unix time, s; by default the computer's.
        patience : float
            Seconds for what the verdict needs of each block; if they are not enough there is no
            verdict yet, `diagnosis` says so, and the next snapshot goes on from there.
        """
        self.poll()
        now = time() if now is None else now
        manifest, status = self._read_manifest(), self.status(now)
        if self._found is None:
            self._found = self._find()
        if not self._found.judged:
            self._found = self._with_verdict(self._found, patience)
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
            blocks=len(self._tail.blocks), good=len(self._tail.blocks) - len(found.left_out),
            left_out=found.left_out, post_selection=found.post_selection, about=found.about,
            course=found.course,
            bound=1.0 if self._goal is None else self._goal.bound,
            diagnosis=(*filter(None, [found.remark]), *found.diagnosis),
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

    def _judge(self) -> RunJudge:
        """Return the judge of this run, who keeps what earlier blocks said."""
        if self._judging is None or self._judging[0] != self._goal:
            self._judging = self._goal, RunJudge(self.folder.path, self._goal)
        return self._judging[1]

    def _find(self) -> "_Found":
        """Evaluate the blocks read so far."""
        blocks = list(self._tail.blocks.values())
        about = main_setting(blocks)
        good = [b for b in blocks if b.good and purpose_of(b.setting) == about]
        good = [block for block in good if block.gates == good[-1].gates]
        course = self._course.evaluations(good)
        counted = good if about.get("procedure") == "witness" else []
        found = course[-1] if counted else None
        return _Found(
            counted=counted,
            left_out=tuple(_left_out(block) for block in blocks if not block.good),
            post_selection=left_out_of(blocks).sentence(),
            about=about,
            course=course,
            diagnosis=diagnose_blocks(found, counted, self.folder.sequence()) if found else (),
            progress=None if self._goal is None else progress_towards(self._goal, counted),
            series=series_of(blocks, self._rates),
            judged=not counted,
        )

    def _with_verdict(self, found: "_Found", patience: float) -> "_Found":
        """Return the same with the verdict, or with the remark that it takes longer."""
        verdict, remark = None, ""
        try:
            verdict = self._judge().verdict(list(self._tail.blocks.values()), patience)
        except CatchingUpError as late:
            remark = str(late)
        course = (*found.course[:-1], replace(found.course[-1], verdict=verdict))
        return replace(found, course=course, remark=remark, judged=not remark)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """What the blocks say, the same until there are new ones; `counted` ones are of the goal."""

    counted: list[Block]
    left_out: tuple[LeftOut, ...]
    post_selection: str
    about: Mapping[str, float | str]
    course: tuple[Evaluation, ...]
    diagnosis: tuple[str, ...]
    progress: WitnessProgress | None
    series: Mapping[str, Series]
    judged: bool
    remark: str = ""


def _left_out(block: Block) -> LeftOut:
    return LeftOut(
        block=block.number, procedure=str(block.setting.get("procedure", "")), time=began(block),
        trials=block.trials, reason=block.reason,
    )  # fmt: skip


class Course:
    """Evaluations after more and more blocks; what has been computed once is kept."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], Evaluation] = {}

    def evaluations(self, good: Sequence[Block]) -> tuple[Evaluation, ...]:
        """Return the evaluations of the first blocks, of more of them, …, of all.

        The stride is a power of two, so that a run that grows keeps most of its points: one more
        block costs one evaluation.

        Parameters
        ----------
        good : sequence of Block
            Blocks of one setting and the same gates, in order.
        """
        numbers = tuple(block.number for block in good)
        known: dict[tuple[int, ...], Evaluation] = {}
        total: Counts | None = None
        done = 0
        for length in _lengths(len(good)):
            found = self._known.get(numbers[:length])
            if found is None:
                parts = [c for c in (total, folded_sum(good[done:length])) if c is not None]
                found = evaluate(sum(parts[1:], parts[0]))
            total, done = found.counts, length
            known[numbers[:length]] = found
        self._known = known
        return tuple(known.values())


def _lengths(blocks: int) -> list[int]:
    """Return after how many blocks to evaluate: multiples of a power of two, and all."""
    stride = 1
    while blocks / stride > MOST_POINTS:
        stride *= 2
    lengths = list(range(stride, blocks + 1, stride))
    return lengths if blocks % stride == 0 else [*lengths, blocks]


def goal_of(manifest: Manifest, where: str) -> Goal | None:
    """Return the goal of a run's witness; None if its procedure measures to its end.

    Raises
    ------
    ValueError
        If the options in the manifest are not of this labkit; `where` names their origin.
    """
    plain = manifest.experiment.get("options")
    if manifest.kind not in PROCEDURES or not isinstance(plain, dict):
        return None
    options = options_of(manifest.kind, plain, where)
    goal = getattr(getattr(options, "witness", options), "goal", None)
    return goal if isinstance(goal, Goal) else None


def with_time(
    progress: WitnessProgress, good: Sequence[Block], sessions: int, until: float
) -> WitnessProgress:
    """Return a progress with the time passed since the first good block began.

    A time goal of a resumed run begins anew with its resumption, which its folder does not tell:
    it is left out then.
    """
    if sessions > 1:
        return replace(progress, goal_seconds=None)
    return replace(progress, seconds=max(0.0, until - began(good[0])) if good else 0.0)


def seconds_left(
    progress: WitnessProgress | None, good: Sequence[Block], now: float
) -> float | None:
    """Return the time to the goal at the pace of the last good blocks, with all between them."""
    if progress is None or not good:
        return None
    left = []
    if progress.goal_trials is not None:
        recent = good[-RECENT:]
        trials = sum(block.trials for block in recent)
        seconds = ended(recent[-1]) - began(recent[0])
        missing = max(0.0, progress.goal_trials - progress.trials)
        left.append(missing * seconds / max(trials, 1) - (now - ended(recent[-1])))
    if progress.goal_seconds is not None:
        left.append(progress.goal_seconds - progress.seconds)
    return max(0.0, min(left)) if left else None
