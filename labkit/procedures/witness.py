"""``witness``: trials at θ and θ + π in turn until the goal, with relocking and checks."""

from dataclasses import dataclass, field, replace
from math import ceil, pi
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from analysis.evaluation import Evaluation
from analysis.witness.conditions import LONGEST_BLOCK
from labkit.procedures import Result
from labkit.procedures.repair import repair, upkeep
from labkit.procedures.session import Session, check_options
from labkit.report.diagnostics import diagnose_blocks
from labkit.run import Demands, Goal, usual_rates
from labkit.run.evidence import RunJudge, blocks_of, pairs_of, trials_of
from labkit.run.journal import PI, THETA, TURN, purpose_of
from labkit.run.progress import WitnessProgress, progress_towards
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessOptions:
    """How the witness is measured.

    Attributes
    ----------
    goal : Goal
    block : int
        Trials per block. In blocks of more than 10 million (8 minutes at 50 µs) drifts could make
        coincidences that nothing shows: the verdict's condition `blocks` is then not met.
    as_published : bool
        Take θ alone, as the paper did. Otherwise θ and θ + π alternate, which costs no trials and
        cancels unequal splitting, detectors that are blind after a click, and crosstalk.
    rate_drop : float
        A block is not good, and the set-up is repaired, if a detector's click rate in a gate
        differs from the median of the last good blocks by more than this fraction (and more than
        noise).
    rates : dict of str to float
        Expected clicks per trial and detector, by gate: what the first blocks are compared with.
        Without them the first block that passes all other checks is the reference.
    attempts : int
        Bad blocks in a row after which the run gives up.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    goal: Goal
    block: int = LONGEST_BLOCK
    as_published: bool = False
    rate_drop: float = 0.2
    rates: dict[str, float] = field(default_factory=dict)
    attempts: int = 4

    def __post_init__(self) -> None:
        for gate, rate in self.rates.items():
            if not 0 < rate <= 1:
                message = f"`rates` of {gate} must lie between 0 and 1 per trial, but is {rate}"
                raise ValueError(message)
        check_options(self, positive=("rate_drop",), at_least={"block": 1, "attempts": 1})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WitnessResult(Result):
    """All good blocks, evaluated.

    Attributes
    ----------
    evaluation : Evaluation
        With the verdict on all of the run's blocks.
    blocks, left_out : int
        Good blocks, and blocks left out.
    reason : str
        Why the run ended.
    """

    procedure: ClassVar[str] = "witness"
    evaluation: Evaluation
    blocks: int
    left_out: int
    reason: str

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return self.evaluation.to_dict() | {
            "blocks": self.blocks, "left_out": self.left_out, "ended": self.reason,
            "diagnosis": list(self.diagnosis),
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"{self.reason}; {self.blocks} blocks, {self.left_out} left out"
        found = self.evaluation
        said = found.verdict or found.witness or found.undefined
        return "\n".join([head, *self.diagnosis, str(said)])

    def plot(self) -> "Figure":
        """Draw the densities of R_m."""
        from analysis.plots import arrival_histogram, figure_of, witness_densities

        if self.evaluation.witness is None:
            return figure_of(arrival_histogram(self.evaluation.counts))
        return figure_of(witness_densities(self.evaluation.witness))


def witness(session: Session, sequence: PulseSequence, options: WitnessOptions) -> WitnessResult:
    """Measure until the goal is reached; the interferometer must be locked.

    Blocks at θ, the sequence's read phase, and at θ + π take turns. Blocks taken before (a resumed
    run) count. Every block is checked: lock, tagger, rates. A bad one stays in the journal with
    its reason, is left out, and the set-up is repaired.

    Raises
    ------
    RuntimeError
        If too many blocks in a row are bad.
    """
    begin, bad_in_a_row = monotonic(), 0
    setting = purpose_of(witness_setting(sequence, None if options.as_published else THETA))
    course = _Course(session, options, setting)
    while True:
        reason = options.goal.reached(course.trials, monotonic() - begin, course.confidence())
        if reason and course.good:
            return _result(session, sequence, course, reason)
        turn, trials = course.next_block()
        played = at_turn(sequence, turn)
        upkeep(session, played)
        session.watcher.report(course.progress(trials, monotonic() - begin))
        demands = course.demands(sequence)
        block = session.measure(played, trials, witness_setting(sequence, turn), demands=demands)
        if block.good:
            bad_in_a_row = 0
            course.good.append(block)
            if course.whole:
                session.say(str(course.progress()))
            continue
        bad_in_a_row += 1
        session.watcher.alarm(f"block {block.number} left out: {block.reason}")
        if bad_in_a_row >= options.attempts:
            message = (
                f"{bad_in_a_row} blocks in a row were bad, the last one because: {block.reason}; "
                "all blocks are safe in the run folder, repair the set-up and resume"
            )
            raise RuntimeError(message)
        repair(session, played, block)


def at_turn(sequence: PulseSequence, turn: str | None) -> PulseSequence:
    """Return the sequence as it is, or with the read phase turned by π."""
    if turn != PI:
        return sequence
    phase = float(sequence.pulse("read").phase)
    return sequence.with_read_phase(phase - pi if phase > 0 else phase + pi)


def witness_setting(sequence: PulseSequence, turn: str | None = None) -> dict[str, float | str]:
    """Return the setting that witness blocks of this sequence, with its phase θ, carry.

    Parameters
    ----------
    sequence : PulseSequence
    turn : "theta", "pi" or None
        None where θ is taken alone.
    """
    setting: dict[str, float | str] = {
        "procedure": "witness",
        "delta_phi": float(at_turn(sequence, turn).pulse("read").phase),
        "delay": float(sequence.delay),
    }
    if turn is not None:
        setting |= {"theta": float(sequence.pulse("read").phase), TURN: turn}
    return setting


class _Course:
    """The good blocks so far, and what comes next."""

    def __init__(
        self, session: Session, options: WitnessOptions, setting: dict[str, float | str]
    ) -> None:
        self.session, self.options = session, options
        self.good = blocks_of(session.blocks, setting)
        self.judge = RunJudge(session.folder.path, options.goal)
        self._bound: float | None = None
        self._told: tuple[int, WitnessProgress] | None = None

    @property
    def trials(self) -> int:
        """Trials of whole pairs."""
        return trials_of(pairs_of(self.good))

    @property
    def whole(self) -> bool:
        """Whether every block at θ has its counterpart at θ + π."""
        return len(self.good) == sum(1 + (b is not None) for _, b in pairs_of(self.good))

    def bound(self) -> float:
        """Bound that the calibrations before the run demand; the same after a resumption."""
        if self._bound is None:
            self._bound = self.judge.bound(self.session.blocks)
        return self._bound

    def confidence(self) -> float:
        """Always-valid confidence so far, if the goal asks for one."""
        if self.options.goal.confidence is None or not pairs_of(self.good):
            return 0.0
        bound = self.bound()
        return self.judge.test(self.session.blocks, bound).confidence(bound)

    def next_block(self) -> tuple[str | None, int]:
        """Return the turn of the next block (θ, π, π, θ, …), and its trials."""
        goal, block = self.options.goal.trials, self.options.block
        missing = 2 * block if goal is None else max(1, ceil(goal) - self.trials)
        if self.options.as_published:
            return None, min(block, missing)
        taken = {turn: [b for b in self.good if b.setting[TURN] == turn] for turn in (THETA, PI)}
        theta, turned = taken[THETA], taken[PI]
        if len(theta) != len(turned):  # the counterpart is as long
            open_ = max(theta, turned, key=len)[min(len(theta), len(turned))]
            turn = PI if open_.setting[TURN] == THETA else THETA
            return turn, open_.trials
        turn = PI if len(theta) % 2 else THETA
        return turn, min(block, ceil(missing / 2))

    def demands(self, sequence: PulseSequence) -> Demands:
        """Return what the next block must hold: clicks of every detector, at the usual rates."""
        detectors = len(sequence.gates.detectors)
        expected = {gate: [rate] * detectors for gate, rate in self.options.rates.items()}
        usual, sigmas = usual_rates(self.good)
        return Demands(
            rates=expected | usual, rate_sigmas=sigmas, rate_change=self.options.rate_drop,
            lit=(sequence.gates.names[0],),
        )  # fmt: skip

    def progress(self, block_trials: int = 0, seconds: float = 0.0) -> WitnessProgress:
        """Return how far the measurement is, computed once per pair of blocks."""
        blocks = len(self.good)
        if self._told is None or (self.whole and self._told[0] != blocks):
            self._told = blocks, progress_towards(self.options.goal, self.good)
        return replace(self._told[1], block_trials=block_trials, seconds=seconds)


def _result(
    session: Session, sequence: PulseSequence, course: _Course, reason: str
) -> WitnessResult:
    setting = course.good[-1].setting
    mine = [b for b in session.blocks if purpose_of(b.setting) == purpose_of(setting)]
    evaluation = course.judge.evaluate(session.blocks)
    if evaluation is None:  # unreachable: there is a good block
        raise RuntimeError
    return WitnessResult(
        evaluation=evaluation, blocks=len(course.good), left_out=len(mine) - len(course.good),
        reason=reason, diagnosis=diagnose_blocks(evaluation, course.good, sequence),
    )  # fmt: skip
