"""``witness``: trials at the optimal phase until the goal, with relocking and checks."""

from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analysis.counts import Counts
from analysis.evaluation import Evaluation, evaluate
from labkit.procedures import Result
from labkit.procedures.repair import RATE_PROBLEM, repair, upkeep
from labkit.procedures.session import Session, check_options
from labkit.report.diagnostics import diagnose_blocks
from labkit.run import Block, Goal, total_counts
from labkit.run.progress import WitnessProgress, progress_towards
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MEMORY = 12
"""Good blocks before a block to which its rates are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessOptions:
    """How the witness is measured.

    Attributes
    ----------
    goal : Goal
    block : int
        Trials per block; 36 million are half an hour at 50 µs.
    rate_drop : float
        A block whose pump click rate differs from the median of the last good ones by more than
        this fraction (and more than noise) is not good, and the set-up is repaired.
    attempts : int
        Bad blocks in a row after which the run gives up.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    goal: Goal
    block: int = 36_000_000
    rate_drop: float = 0.2
    attempts: int = 4

    def __post_init__(self) -> None:
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
    reference = [block for block in session.blocks if block.good and block.setting == setting]
    while True:
        counts = total_counts(session.blocks, setting)
        reason = options.goal.reached(counts, monotonic() - begin)
        if reason and counts is not None:
            return _result(session, sequence, counts, reason)
        upkeep(session, sequence)
        trials = _next_block(options, counts)
        session.watcher.report(_progress(session, options, counts, trials, monotonic() - begin))
        block = session.measure(sequence, trials, setting)
        problem = (
            block.reason if not block.good else _rate_problem(reference[-MEMORY:], block, options)
        )
        if problem and block.good:
            block = session.leave_out(block, problem)
        if block.good:
            bad_in_a_row = 0
            reference.append(block)
            session.say(str(_progress(session, options, total_counts(session.blocks, setting))))
            continue
        bad_in_a_row += 1
        session.say(f"block {block.number} left out: {problem}")
        if bad_in_a_row >= options.attempts:
            message = (
                f"{bad_in_a_row} blocks in a row were bad, the last one because: {problem}; all "
                "blocks are safe in the run folder, repair the set-up and resume"
            )
            raise RuntimeError(message)
        repair(session, sequence, block)


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


def _rate_problem(reference: list[Block], block: Block, options: WitnessOptions) -> str:
    """Return what is wrong with a block's pump rates compared to the blocks before, or ""."""
    before = [_rates(b) for b in reference]
    now = _rates(block)
    for detector, rate in zip(block.counts.gates.detectors, now, strict=True):
        if rate == 0:
            return f"detector {detector} has no pump click: latched?"
    if not before:
        return ""
    usual = np.median(before, axis=0)
    change = now / usual - 1
    worst = int(np.argmax(np.abs(change)))
    noise = 5 / np.sqrt(max(usual[worst] * block.counts.trials.number, 1.0))
    if abs(change[worst]) > options.rate_drop + noise:
        detector = list(block.counts.gates.detectors)[worst]
        return f"{RATE_PROBLEM} of detector {detector} changed by {100 * change[worst]:+.0f} %"
    return ""


def _rates(block: Block) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.asarray(block.counts.singles[0] / block.counts.trials.number)


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
