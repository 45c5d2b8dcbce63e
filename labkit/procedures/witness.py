"""``witness``: trials at θ and θ + π in turn until the goal, with relocking and checks."""

from dataclasses import dataclass, field, replace
from math import ceil, pi
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analysis.constancy import Change, ConstancyTest, reference_of
from analysis.evaluation import Evaluation
from analysis.gates import GateSet
from analysis.witness.conditions import LONGEST_BLOCK
from labkit.procedures import Result
from labkit.procedures.repair import repair, upkeep
from labkit.procedures.session import Session, check_options
from labkit.report.diagnostics import diagnose_blocks
from labkit.run import Block, Demands, Goal, usual_rates
from labkit.run.always_valid import KEEP_EVERY
from labkit.run.evidence import BALANCE, RunJudge, blocks_of, pairs_of, trials_of
from labkit.run.journal import PI, THETA, TURN, judged, purpose_of
from labkit.run.kept_sums import keep_sums
from labkit.run.progress import WitnessProgress, progress_towards
from labkit.run.references import Reference, calibrated_rates, since_balance, usual_bounds
from labkit.run.verification import RATE_PROBLEM
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABSOLUTE = 1.5
"""A rate may differ from its calibration by so many times `rate_drop`."""

FIRST = 6
"""Blocks whose rates stand for a calibration, if there is none."""


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
    rates : dict of str to tuple of float
        Expected clicks per trial by gate, for each detector: every block is compared with them.
        Without them the single arms measured since the last balance (`splitting`) tell what to
        expect, and without these the first blocks.
    bounds : dict of str to (float, float)
        Between what a monitor must be in every reading: ``temperature`` (K), ``pump_power`` (W), …
    laser_hz : dict of str to float
        Frequency of a laser by its wavemeter; without it, where it was when the filters had been
        tuned.
    attempts : int
        Bad blocks in a row after which the run gives up.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    goal: Goal
    block: int = LONGEST_BLOCK
    as_published: bool = False
    rate_drop: float = 0.2
    rates: dict[str, tuple[float, ...]] = field(default_factory=dict)
    bounds: dict[str, tuple[float, float]] = field(default_factory=dict)
    laser_hz: dict[str, float] = field(default_factory=dict)
    attempts: int = 4

    def __post_init__(self) -> None:
        for gate, rates in self.rates.items():
            if not all(0 < rate <= 1 for rate in rates):
                message = f"`rates` of {gate} must lie between 0 and 1 per trial, but are {rates}"
                raise ValueError(message)
        for name, (low, high) in self.bounds.items():
            if not low < high:
                message = f"`bounds` of {name} must be (low, high), but are ({low:g}, {high:g})"
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
        """Draw the densities of R_m, with the bound that the verdict holds R against."""
        from analysis.plots import arrival_histogram, figure_of, witness_densities

        if self.evaluation.witness is None:
            return figure_of(arrival_histogram(self.evaluation.counts))
        verdict = self.evaluation.verdict
        bound = 1.0 if verdict is None else verdict.bound
        return figure_of(witness_densities(self.evaluation.witness, bound))


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
    check_rates(options, sequence.gates)
    begin = monotonic()
    session.known_hz |= options.laser_hz
    setting = purpose_of(witness_setting(sequence, None if options.as_published else THETA))
    course = _Course(session, options, setting)
    while True:
        reason = options.goal.reached(course.trials, monotonic() - begin, course.confidence())
        if reason and course.good:
            return _result(session, sequence, course, reason)
        turn, trials = course.next_block()
        played = at_turn(sequence, turn)
        upkeep(session, played, trials)
        session.watcher.report(course.progress(trials, monotonic() - begin))
        demands = course.demands(sequence)
        block = session.measure(played, trials, witness_setting(sequence, turn), demands=demands)
        found = course.take(block)
        if not found:
            course.keep()
            if course.whole:
                session.say(str(course.progress()))
            continue
        session.watcher.alarm(f"{_numbers(found)} left out: {found[-1].reason}")
        if course.troubles >= options.attempts:
            message = (
                f"{course.troubles} times in a row blocks were bad, the last time because: "
                f"{found[-1].reason}; all blocks are safe in the run folder, repair the set-up and "
                "resume"
            )
            raise RuntimeError(message)
        repair(session, played, found[-1])


def check_rates(options: WitnessOptions, gates: GateSet) -> None:
    """Refuse expected rates that do not fit the gates and detectors of a sequence.

    Raises
    ------
    ValueError
        Naming the gate.
    """
    for gate, rates in options.rates.items():
        if gate not in gates.names:
            message = f"`rates` must name gates of {', '.join(gates.names)}, but names {gate!r}"
            raise ValueError(message)
        if len(rates) != len(gates.detectors):
            message = (
                f"`rates` of {gate} must be one for each of {len(gates.detectors)} detectors, but "
                f"are {len(rates)}"
            )
            raise ValueError(message)


def _numbers(blocks: list[Block]) -> str:
    first, last = blocks[0].number, blocks[-1].number
    return f"block {last}" if first == last else f"blocks {first} to {last}"


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
    """The good blocks so far, and what comes next.

    Attributes
    ----------
    good : list of Block
    troubles : int
        How often in a row blocks had to be left out.
    """

    def __init__(
        self, session: Session, options: WitnessOptions, setting: dict[str, float | str]
    ) -> None:
        self.session, self.options = session, options
        self.good: list[Block] = []
        self.troubles = self._out_of_trouble_at = 0
        self._told: tuple[int, WitnessProgress] | None = None
        self._constancy = _Constancy(session, options)
        self.judge = RunJudge(session.folder.path, options.goal)
        for block in blocks_of(session.blocks, setting):
            self.take(block)
        self._bound: float | None = None

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

    def keep(self) -> None:
        """Keep the always-valid test and the sums of a long run now and then, for who looks."""
        if len(self.good) % KEEP_EVERY == 0:
            self.judge.keep(self.session.blocks)
            keep_sums(self.session.folder)

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

    def take(self, block: Block) -> list[Block]:
        """Take in a block; return what is left out by it: itself, or blocks since a slow change."""
        if not block.good:
            self.troubles += 1
            return [block]
        self.good.append(block)
        changed = self._constancy.add(block)
        if not changed:
            if len(self.good) >= self._out_of_trouble_at:
                self.troubles = 0
            return []
        self.troubles += 1
        self.good = [one for one in self.good if one.number < changed[0].number]
        self._out_of_trouble_at = len(self.good) + 2 * len(changed)
        self._told = None
        self.session.leave_out(changed)
        return changed

    def demands(self, sequence: PulseSequence) -> Demands:
        """Return what the next block must hold: clicks of every detector, at the usual rates."""
        gates, drop = sequence.gates, self.options.rate_drop
        recent = self._constancy.since_balance(self.good)
        usual, known = usual_rates(recent), self._constancy.known(gates)
        rates, sigmas = ({}, {}) if usual is None else usual.by_gate(gates)
        calibrated, errors = ({}, {}) if known is None else known.by_gate(gates)
        return Demands(
            rates=rates, rate_sigmas=sigmas, rate_change=drop, calibrated=calibrated,
            calibrated_sigmas=errors, calibrated_change=ABSOLUTE * drop,
            bounds=usual_bounds(recent, drop) | self.options.bounds, lit=(gates.names[0],),
        )  # fmt: skip

    def progress(self, block_trials: int = 0, seconds: float = 0.0) -> WitnessProgress:
        """Return how far the measurement is, computed once per pair of blocks."""
        blocks = len(self.good)
        if self._told is None or (self.whole and self._told[0] != blocks):
            self._told = blocks, progress_towards(self.options.goal, self.good)
        return replace(self._told[1], block_trials=block_trials, seconds=seconds)


class _Constancy:
    """Looks for changes of the click rates that no single block shows.

    The reference is what the experiment says, the calibration since the last balance of the arms,
    or the first blocks after it.
    """

    def __init__(self, session: Session, options: WitnessOptions) -> None:
        self._session, self._options = session, options
        self._seen: list[Block] = []
        self._test: ConstancyTest | None = None
        self._known: Reference | None = None
        self._asked = False
        self._begin = self._balanced()

    def since_balance(self, good: list[Block]) -> list[Block]:
        """Return the blocks since the last balance."""
        return [block for block in good if block.number > self._begin]

    def known(self, gates: GateSet) -> Reference | None:
        """Return what rates must be by the experiment or the calibration; None if nobody knows."""
        if rates := self._options.rates:
            given = np.array(
                [rates.get(gate, (0.0,) * len(gates.detectors)) for gate in gates.names]
            )
            return Reference(given, np.zeros_like(given))
        if not self._asked:
            good = [block for block in self._session.blocks if block.good]
            self._known = calibrated_rates(since_balance(good), gates) if good else None
            self._asked = True
        return self._known

    def add(self, block: Block) -> list[Block]:
        """Take in a good block; return those since a change, with their reason."""
        change = self._take(block) if block.number > self._begin else None
        if change is None:
            return []
        gates = block.gates
        gate, detector = gates.names[change.gate], tuple(gates.detectors)[change.detector]
        since = self._seen[change.first :]
        reason = (
            f"{gate} {RATE_PROBLEM} {detector} has changed slowly, since block {since[0].number}"
        )
        self._seen, self._test = [], None
        return [judged(one, good=False, reason=reason) for one in since]

    def _take(self, block: Block) -> Change | None:
        if self._test is None:
            known = self.known(block.gates)
            if known is None:
                first = self.since_balance(blocks_of(self._session.blocks, block.setting))[:FIRST]
                if len(first) < FIRST or block.number <= first[-1].number:
                    return None
                known = Reference(
                    *reference_of([one.singles for one in first], [one.trials for one in first])
                )
            self._test = ConstancyTest(known.rates, known.sigmas, self._options.rate_drop)
        self._seen.append(block)
        return self._test.add(block.singles, block.trials)

    def _balanced(self) -> int:
        """Return the number of the last block of a balance; 0 if there is none."""
        balances = (b.number for b in self._session.blocks if b.setting.get("procedure") == BALANCE)
        return max(balances, default=0)


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
