"""The verdict on a run that grows, found beside what must be shown at once."""

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import monotonic

from analysis.evaluation import Evaluation
from analysis.witness import Verdict
from labkit.report.diagnostics import diagnose_blocks
from labkit.run import Block, Goal
from labkit.run.always_valid import CatchingUpError, TestPoint
from labkit.run.evidence import RunJudge
from labkit.run.left_out import left_out_of
from labkit.sequence import PulseSequence

TURN = 5.0
"""Seconds after which a judge who is not ready says how far it is."""

REST = 5.0
"""A judge rests so many times as long as the last verdict took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What takes longer than a page may, of the first so many blocks of a run.

    Attributes
    ----------
    blocks : int
    verdict : Verdict or None
    course : tuple of TestPoint
        Of the always-valid test.
    post_selection : str
        R_m with and without the blocks that are left out, in words.
    diagnosis : tuple of str
    remark : str
        How far the judge is, if it is not ready.
    """

    blocks: int = 0
    verdict: Verdict | None = None
    course: tuple[TestPoint, ...] = ()
    post_selection: str = ""
    diagnosis: tuple[str, ...] = ()
    remark: str = ""


class Judging:
    """Judges a run whenever it has grown: here, or in a thread of an executor.

    Parameters
    ----------
    folder : Path
        Run folder.
    executor : Executor, optional
        Has one thread; without it the caller waits.
    """

    def __init__(self, folder: Path, executor: Executor | None = None) -> None:
        self._folder, self._executor = folder, executor
        self._judge: tuple[Goal | None, RunJudge] | None = None
        self._task: Future[Judged] | None = None
        self._last = Judged()
        self._asked: object = None
        self._took, self._lasted, self._rested = 0.0, 0.0, -inf

    def judged(
        self,
        blocks: Sequence[Block],
        counted: Sequence[Block],
        evaluation: Evaluation | None,
        goal: Goal | None,
        sequence: PulseSequence | None,
        patience: float,
        key: object,
    ) -> Judged:
        """Return what is known of these blocks, or of earlier ones.

        Parameters
        ----------
        blocks, counted : sequence of Block
            All of the run, and those of the goal.
        evaluation : Evaluation or None
            Of the latter.
        goal : Goal or None
        sequence : PulseSequence or None
        patience : float
            Longest wait, s.
        key : object
            Another one whenever the blocks are others.
        """

        def find() -> Judged:
            return self._find(list(blocks), list(counted), evaluation, goal, sequence)

        if key == self._asked and self._task is None:
            return self._last
        if self._executor is None:
            self._asked, self._last = key, find()
            return self._last
        if self._task is None and monotonic() >= self._rested + REST * self._took:
            self._asked = key
            self._began = monotonic()
            self._task = self._executor.submit(find)
        return self._collected(patience)

    def _collected(self, patience: float) -> Judged:
        """Return what the thread has found, or what it had found before."""
        if self._task is None:
            return self._last
        if self._lasted > patience:  # the last time: not worth waiting for
            patience = 0.0
        try:
            found = self._task.result(timeout=patience)
        except TimeoutError:
            return self._last
        self._task = None
        self._rested = monotonic()
        self._took = self._lasted = self._rested - self._began
        if found.remark:
            self._asked, self._took = None, 0.0  # goes on at the next look
            if self._last.verdict is not None:
                return self._last
        self._last = found
        return found

    def _find(
        self,
        blocks: list[Block],
        counted: list[Block],
        evaluation: Evaluation | None,
        goal: Goal | None,
        sequence: PulseSequence | None,
    ) -> Judged:
        post_selection = left_out_of(blocks).sentence()
        if not counted or evaluation is None:
            return Judged(blocks=len(blocks), post_selection=post_selection)
        if self._judge is None or self._judge[0] != goal:
            live = self._executor is not None
            self._judge = goal, RunJudge(self._folder, goal, go_on=live)
        judge, verdict, remark = self._judge[1], None, ""
        patience = inf if self._executor is None else TURN
        try:
            verdict = judge.verdict(blocks, patience)
        except CatchingUpError as late:
            remark = str(late)
        return Judged(
            blocks=len(blocks), verdict=verdict, course=judge.course.points,
            post_selection=post_selection, remark=remark,
            diagnosis=diagnose_blocks(evaluation, counted, sequence),
        )  # fmt: skip
