"""``witness``: trials at the optimal phase until the goal, with relocking and checks."""

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from analysis.counts import Counts
from analysis.evaluation import Evaluation, evaluate
from labkit.procedures import Result
from labkit.procedures.repair import repair, upkeep
from labkit.procedures.session import Session, check_options
from labkit.report.diagnostics import diagnose_blocks
from labkit.run import Demands, Goal, usual_rates
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
        Trials per block; 36 million are half an hour at 50 µs.
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
    block: int = 36_000_000
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
        witness = self.evaluation.witness
        return "\n".join([head, str(witness or self.evaluation.undefined), *self.diagnosis])

    def plot(self) -> "Figure":
        """Draw the densities of R_m."""
        from analysis.plots import arrival_histogram, witness_densities

        if self.evaluation.witness is None:
            return arrival_histogram(self.evaluation.counts)
        return witness_densities(self.evaluation.witness)


def witness(session: Session, sequence: PulseSequence, options: WitnessOptions) -> WitnessResult:
    """Measure until the goal is reached; the interferometer must be locked.

    Blocks taken before (a resumed run) count. Every block is checked: lock, tagger, rates. A bad
    one stays in the journal with its reason, is left out, and the set-up is repaired.

    Raises
    ------
    RuntimeError
        If too many blocks in a row are bad.
    """
    begin, bad_in_a_row = monotonic(), 0
    setting = witness_setting(sequence)
    while True:
        counts = session.total(setting)
        reason = options.goal.reached(counts, monotonic() - begin)
        if reason and counts is not None:
            return _result(session, sequence, counts, reason)
        upkeep(session, sequence)
        trials = _next_block(options, counts)
        session.watcher.report(_progress(session, options, counts, trials, monotonic() - begin))
        demands = _demands(session, sequence, options)
        block = session.measure(sequence, trials, setting, demands=demands)
        if block.good:
            bad_in_a_row = 0
            session.say(str(_progress(session, options, session.total(setting))))
            continue
        bad_in_a_row += 1
        session.say(f"block {block.number} left out: {block.reason}")
        if bad_in_a_row >= options.attempts:
            message = (
                f"{bad_in_a_row} blocks in a row were bad, the last one because: {block.reason}; "
                "all blocks are safe in the run folder, repair the set-up and resume"
            )
            raise RuntimeError(message)
        repair(session, sequence, block)


def _demands(session: Session, sequence: PulseSequence, options: WitnessOptions) -> Demands:
    """Return what the next block must hold: clicks of every detector, at the usual rates."""
    setting = witness_setting(sequence)
    detectors = len(sequence.gates.detectors)
    expected = {gate: [rate] * detectors for gate, rate in options.rates.items()}
    usual, sigmas = usual_rates([block for block in session.blocks if block.setting == setting])
    return Demands(
        rates=expected | usual, rate_sigmas=sigmas, rate_change=options.rate_drop,
        lit=(sequence.gates.names[0],),
    )  # fmt: skip


def witness_setting(sequence: PulseSequence) -> dict[str, float | str]:
    """Return the setting that witness blocks of this sequence carry."""
    return {
        "procedure": "witness",
        "delta_phi": float(sequence.pulse("read").phase),
        "delay": float(sequence.delay),
    }


def _next_block(options: WitnessOptions, counts: Counts | None) -> int:
    if options.goal.trials is None:
        return options.block
    missing = options.goal.trials - (0 if counts is None else counts.trials.number)
    return int(max(1, min(options.block, missing)))


def _result(
    session: Session, sequence: PulseSequence, counts: Counts, reason: str
) -> WitnessResult:
    setting = witness_setting(sequence)
    mine = [block for block in session.blocks if block.setting == setting]
    good = [block for block in mine if block.good]
    evaluation = evaluate(counts)
    return WitnessResult(
        evaluation=evaluation, blocks=len(good), left_out=len(mine) - len(good), reason=reason,
        diagnosis=diagnose_blocks(evaluation, good, sequence),
    )  # fmt: skip


def _progress(
    session: Session,
    options: WitnessOptions,
    counts: Counts | None,
    block_trials: int = 0,
    seconds: float = 0.0,
) -> WitnessProgress:
    """Return how far the measurement is."""
    last = next((block.counts for block in reversed(session.blocks) if block.good), None)
    return progress_towards(
        options.goal, None if counts is None else evaluate(counts), last,
        block_trials=block_trials, seconds=seconds,
    )  # fmt: skip
