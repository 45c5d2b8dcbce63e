"""One run, watched: every look at its folder costs only what is new there."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import replace
from math import ceil, inf
from pathlib import Path
from time import time

from analysis.evaluation import Evaluation, evaluate
from labkit.learned import BUDGET, Learned, learned_of
from labkit.monitoring.events import EventTail
from labkit.monitoring.judging import Judging
from labkit.monitoring.pace import TimeLeft, time_left
from labkit.monitoring.scan import ScanBook
from labkit.monitoring.series import SeriesBook, began, ended
from labkit.monitoring.snapshot import LeftOut, Snapshot
from labkit.monitoring.states import limits_of, states_of
from labkit.monitoring.status import RunStatus, run_status
from labkit.monitoring.steps_left import StepTimes, earlier_step_times
from labkit.procedures import PROCEDURES, options_of
from labkit.run import Block, Goal, Manifest, RunFolder, Tail, main_setting
from labkit.run.journal import collector_paused, purpose_of
from labkit.run.kept_sums import Sums, lengths_of_course
from labkit.run.progress import WitnessProgress, progress_towards

POINTS_AT_ONCE = 4
"""So many of them one look at a live page waits for; the others come with the next looks."""


class RunMonitor:
    """Watches a run folder; nothing is written there, and no lock is taken.

    Parameters
    ----------
    folder : RunFolder
    executor : Executor, optional
        A thread for what takes longer, as the verdict on a long run; without it a snapshot waits.
    """

    def __init__(self, folder: RunFolder, executor: Executor | None = None) -> None:
        self.folder = folder
        self._manifest_seen = (0, 0)
        self._read_manifest()
        self._tail = Tail(folder.journal)
        self._events = EventTail(folder.path)
        self._judging = Judging(folder.path, executor)
        self._earlier: tuple[str, StepTimes] | None = None
        self._kept_in = None if executor is None else folder.path  # a result rests on blocks alone
        self._clear()

    def _clear(self) -> None:
        self._blocks: list[Block] = []
        self._looks = 0
        self._good: list[Block] = []
        self._about: dict[str, float | str] = {}
        self._left_out: list[LeftOut] = []
        self._series, self._scan, self._course = SeriesBook(), ScanBook(), Course(self._kept_in)
        self._drawn = self._series.series()
        self._evaluations: tuple[Evaluation, ...] = ()
        self._progress: WitnessProgress | None = None
        self._made = -1
        self._learned: tuple[int, Learned | None] | None = None

    def poll(self) -> bool:
        """Read what is new; return whether there were blocks among it.

        Raises
        ------
        ValueError
            If manifest or journal cannot be read.
        """
        self._read_manifest()
        self._events.poll()
        with collector_paused(set_aside=self._kept_in is not None):
            changed = self._tail.poll()
            if len(self._tail.blocks) < len(self._blocks):  # put back from an older copy
                self._clear()
                changed = set(self._tail.blocks)
            if changed:
                self._take(changed)
        return bool(changed)

    def _take(self, changed: set[int]) -> None:
        """Bring the list of blocks, and what is kept of each, up to date from the first change."""
        first = min(changed)
        if first > len(self._blocks) + 1 or len(self._tail.blocks) != max(self._tail.blocks):
            self.folder.journal.numbered(self._tail.blocks)  # says what is wrong
        del self._blocks[first - 1 :]
        self._blocks += [self._tail.blocks[n] for n in range(first, len(self._tail.blocks) + 1)]
        self._looks += 1
        while self._left_out and self._left_out[-1].block >= first:
            self._left_out.pop()
        self._left_out += [_left_out(b) for b in self._blocks[first - 1 :] if not b.good]
        self._series.follow(self._blocks, first)
        self._scan.follow(self._blocks, first)
        self._sort(first)

    def _sort(self, first: int) -> None:
        """Keep the good blocks of what the run is about, with the gates of the last one."""
        about = main_setting(self._blocks)
        while self._good and self._good[-1].number >= first:
            self._good.pop()
        if about != self._about:
            self._about, self._good, first = about, [], 1
        self._good += [
            b for b in self._blocks[first - 1 :] if b.good and purpose_of(b.setting) == about
        ]
        if self._good and self._good[0].gates != self._good[-1].gates:
            self._good = [b for b in self._good if b.gates == self._good[-1].gates]

    def status(self, now: float | None = None) -> RunStatus:
        """Return how the run was at the last poll; `now` is Unix time, s."""
        now = time() if now is None else now
        return run_status(self.folder, self._read_manifest(), len(self._blocks), now)

    def snapshot(self, now: float | None = None, *, patience: float = inf) -> Snapshot:
        """Poll and return everything; what costs time is computed once per new block.

        Parameters
        ----------
        now : float, optional
            Unix time, s; by default the computer's.
        patience : float
            Seconds to wait for the verdict, if there is an executor; if they are not enough it is
            that of earlier blocks, or there is none, and `remark` says so.
        """
        self.poll()
        now = time() if now is None else now
        manifest, status, goal = self._read_manifest(), self.status(now), self._goal
        if self._made != self._looks or not self._course.complete:
            self._make(goal, all_points=patience == inf)
        witness = self._about.get("procedure") == "witness"
        counted = self._good if witness else []
        course = self._evaluations
        judged = self._judging.judged(
            self._blocks, counted, course[-1] if counted else None, goal, self._sequence, patience,
            key=(self._looks, goal),
        )  # fmt: skip
        if counted:
            course = (*course[:-1], replace(course[-1], verdict=judged.verdict))
        progress = self._progress
        if progress is not None and progress.goal_seconds is not None:
            over = ended(counted[-1]) if counted else now
            until = now if status.going_on else over
            progress = with_time(progress, counted, manifest.sessions, until)
        left = None
        if status.state == "running":
            left = time_left(goal, progress, counted, judged.course, now) if goal else None
            left = self._time_left(manifest, left, now)
        return Snapshot(
            name=self.folder.path.name, kind=manifest.kind, comment=manifest.comment,
            host=manifest.host, started=manifest.started, status=status, goal=goal,
            progress=progress, time_left=left, steps=self._events.path if status.going_on else (),
            blocks=len(self._blocks), good=len(self._blocks) - len(self._left_out),
            left_out=tuple(self._left_out), post_selection=judged.post_selection,
            about=self._about, course=course, evidence=judged.course,
            judged=judged.blocks, bound=1.0 if goal is None else goal.bound,
            remark=judged.remark, diagnosis=judged.diagnosis, series=self._drawn,
            scan=self._scan.scan(), limits=self._limits,
            states=states_of(
                self.folder.path, manifest, status, self._blocks, self._limits, now,
                self._events.notifier,
            ),
            events=tuple(self._events.recent), alarms=self._events.alarms,
            figures=tuple(self.folder.figures()),
            learned=self._read_learned(),
        )  # fmt: skip

    def _time_left(
        self, manifest: Manifest, of_goal: TimeLeft | None, now: float
    ) -> TimeLeft | None:
        """Return the time left of all steps by earlier runs; of the goal alone without such runs.

        So it is, too, if the goal, which is the last step's, is all that is left.
        """
        outer = self._events.path[0] if self._events.path else None
        if outer is None or outer.procedure != manifest.kind:
            return of_goal
        if of_goal is not None and outer.number == outer.of:
            return of_goal
        if self._earlier is None or self._earlier[0] != manifest.started:
            self._earlier = manifest.started, earlier_step_times(self.folder.path, manifest)
        passed = max(0.0, now - self._events.begun.get((outer.procedure, outer.number), now))
        return self._earlier[1].left(outer, passed) or of_goal

    def _read_learned(self) -> Learned | None:
        """Return the noise budget, read again when it has been replaced."""
        path = self.folder.path / BUDGET
        try:
            written = path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if self._learned is None or self._learned[0] != written:
            self._learned = (written, learned_of(self.folder))
        return self._learned[1]

    def _make(self, goal: Goal | None, *, all_points: bool) -> None:
        """Evaluate the blocks read so far, with some new points of the course or with all."""
        most = None if all_points else POINTS_AT_ONCE
        if self._made != self._looks:
            self._drawn = self._series.series()
            if most is not None:
                most = 1  # a first page, or a new block, costs the last point and this one
        self._made = self._looks
        self._evaluations = self._course.evaluations(self._good, most)
        counted = self._good if self._about.get("procedure") == "witness" else []
        total = self._evaluations[-1].counts if counted else None
        if goal is None:
            self._progress = None
        else:
            self._progress = progress_towards(goal, counted, total=total, with_ratio=False)

    def _read_manifest(self) -> Manifest:
        """Return the manifest, read again if it has been replaced."""
        path = self.folder.manifest_path
        stat = path.stat()
        seen = (stat.st_mtime_ns, stat.st_size)
        if seen != self._manifest_seen:
            self._manifest = self.folder.manifest()
            self._goal = goal_of(self._manifest, str(path))
            self._limits = limits_of(self._manifest)
            self._sequence = self.folder.sequence()
            self._manifest_seen = seen
        return self._manifest


def _left_out(block: Block) -> LeftOut:
    return LeftOut(
        block=block.number, procedure=str(block.setting.get("procedure", "")), time=began(block),
        trials=block.trials, reason=block.reason,
    )  # fmt: skip


class Course:
    """Evaluations after more and more blocks; what has been computed once is kept.

    Attributes
    ----------
    complete : bool
        Whether the last evaluations were all that a course has.

    Parameters
    ----------
    folder : Path, optional
        Run folder in which sums may be kept.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._sums = Sums(folder)
        self._known: dict[int, Evaluation] = {}
        self.complete = True

    def evaluations(self, good: Sequence[Block], most: int | None = None) -> tuple[Evaluation, ...]:
        """Return the evaluations of the first blocks, of more of them, …, of all.

        The stride is a power of two, so that a run that grows keeps most of its points: one more
        block costs one evaluation.

        Parameters
        ----------
        good : sequence of Block
            Blocks of one setting and the same gates, in order.
        most : int, optional
            New evaluations beside that of all blocks, spread over the course; the others are left
            to later calls. By default there is none left.
        """
        lengths = lengths_of_course(len(good))
        sums, same = self._sums.after(good, lengths)
        self._known = {n: self._known[n] for n in lengths if n <= same and n in self._known}
        missing = [n for n in lengths[:-1] if n not in self._known]
        every = 1 if most is None else max(1, ceil(len(missing) / most))
        for length in (*missing[::every], *lengths[-1:]):
            if length not in self._known:
                self._known[length] = evaluate(sums[length])
        self.complete = len(self._known) == len(lengths)
        return tuple(self._known[length] for length in lengths if length in self._known)


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
