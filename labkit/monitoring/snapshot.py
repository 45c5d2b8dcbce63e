"""A run at one moment, as plain values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

from analysis.evaluation import Evaluation
from analysis.witness import Witness
from labkit.learned import Learned
from labkit.monitoring.events import Event
from labkit.monitoring.pace import TimeLeft
from labkit.monitoring.scan import Scan
from labkit.monitoring.series import Series
from labkit.monitoring.states import Limits, PartState
from labkit.monitoring.status import RunStatus
from labkit.report.diagnostics import CROSSED
from labkit.run import Goal
from labkit.run.always_valid import TestPoint
from labkit.run.progress import Step, WitnessProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A block that does not count, and why.

    Attributes
    ----------
    block : int
    procedure : str
    time : float
        When it began, Unix time, s.
    trials : int
    reason : str
    """

    block: int
    procedure: str
    time: float
    trials: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """A run as it is now.

    Attributes
    ----------
    name, kind, comment, host : str
    status : RunStatus
    goal : Goal or None
        None if the procedure measures to its end.
    progress : WitnessProgress or None
        None without a goal.
    time_left : TimeLeft or None
        By the pace of the last good blocks; None if nobody can tell.
    steps : tuple of Step
        Which steps of the procedures are being done, outermost first; empty if none is.
    blocks, good : int
        Finished blocks, and how many of them count.
    left_out : tuple of LeftOut
        The others.
    post_selection : str
        R_m with and without them, in words; empty if there are none.
    about : dict of str to float or str
        Setting of the blocks that are added up.
    course : tuple of Evaluation
        These blocks evaluated after more and more of them, the last one after all.
    evidence : tuple of TestPoint
        The always-valid test after more and more trials.
    judged : int
        Of so many of the first blocks is the verdict.
    bound : float
        Bound on R_m, of the goal.
    remark : str
        What the page is still waiting for.
    diagnosis : tuple of str
        What is wrong with the set-up, as far as the witness counts tell.
    series : dict of str to Series
    scan : Scan or None
        The one that is taken, or was taken last.
    limits : Limits
    states : tuple of PartState
    events : tuple of Event
        The last ones, oldest first.
    alarms : int
        Of the whole run.
    figures : tuple of Path
        Pictures that the procedure has drawn.
    learned : Learned or None
        What limits R_m, if it has been learned from the run.
    """

    name: str
    kind: str
    comment: str
    host: str
    started: str
    status: RunStatus
    goal: Goal | None
    progress: WitnessProgress | None
    time_left: TimeLeft | None
    steps: tuple[Step, ...]
    blocks: int
    good: int
    left_out: tuple[LeftOut, ...]
    post_selection: str
    about: Mapping[str, float | str]
    course: tuple[Evaluation, ...]
    evidence: tuple[TestPoint, ...]
    judged: int
    bound: float
    remark: str
    diagnosis: tuple[str, ...]
    series: Mapping[str, Series]
    scan: Scan | None
    limits: Limits
    states: tuple[PartState, ...]
    events: tuple[Event, ...]
    alarms: int
    figures: tuple[Path, ...]
    learned: Learned | None = None

    @property
    def evaluation(self) -> Evaluation | None:
        """All good blocks of the setting that the run is about; None if there are none."""
        return self.course[-1] if self.course else None

    @property
    def witness(self) -> Witness | None:
        """R_m, unless the blocks are of a procedure that does not measure it."""
        return None if self.evaluation is None else self.witness_of(self.evaluation)

    def witness_of(self, evaluation: Evaluation) -> Witness | None:
        """Return R_m of a point of the course; a sweep's or a filter scan's is no statement."""
        return evaluation.witness if self.about.get("procedure", "witness") == "witness" else None

    def to_dict(self) -> dict[str, object]:
        """Return plain types: the JSON object of ``labkit dashboard --json``."""
        found = self.evaluation
        return {
            "run": self.name, "kind": self.kind, "comment": self.comment, "host": self.host,
            **self.status.to_dict(),
            "goal": None if self.goal is None else asdict(self.goal),
            "goal_part": None if self.progress is None else self.progress.part(),
            "seconds_left": None if self.time_left is None else self.time_left.seconds,
            "time_left": None if self.time_left is None else asdict(self.time_left),
            "steps": [asdict(step) for step in self.steps],
            "blocks": self.blocks, "good": self.good,
            "left_out": [asdict(block) for block in self.left_out],
            "post_selection": self.post_selection,
            "about": dict(self.about),
            "result": None if found is None else found.to_dict(self.bound),
            "judged_blocks": self.judged,
            "evidence": [_finite(asdict(point)) for point in self.evidence],
            "diagnosis": [*filter(None, [self.remark]), *self.diagnosis],
            "states": [asdict(state) for state in self.states],
            "events": [asdict(event) for event in self.events],
            "alarms": self.alarms,
            "scan": None if self.scan is None else self.scan.to_dict(),
            "course": [self._point(evaluation) for evaluation in self.course],
            "series": {name: series.to_dict() for name, series in self.series.items()},
            "noise_budget": None if self.learned is None else self.learned.to_dict(),
        }  # fmt: skip

    def _point(self, evaluation: Evaluation) -> dict[str, object]:
        pairs = {pair: evaluation.g2[pair].to_dict() for pair in CROSSED if pair in evaluation.g2}
        witness = self.witness_of(evaluation)
        return {
            "trials": evaluation.counts.trials.number, "g2": pairs,
            "witness": None if witness is None else witness.to_dict()["sym"],
        }  # fmt: skip


def _finite(plain: dict[str, float]) -> dict[str, float | None]:
    """Return numbers as JSON can hold them: an infinite limit is none."""
    return {name: value if isfinite(value) else None for name, value in plain.items()}
