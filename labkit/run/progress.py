"""How far a measurement is: what a run tells whoever watches it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, pi
from pathlib import Path

from analysis.counts import Counts
from analysis.counts_file import witness_counts
from analysis.evaluation import cross_pairs
from analysis.witness import cells_of_blocks, symmetrised_witness
from labkit.run.evidence import pairs_of
from labkit.run.goal import Goal
from labkit.run.journal import Block, total_counts
from simulation.inference.planning import ClickRates, plan_witness


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessProgress:
    """A measurement towards its goal, told before every block.

    Attributes
    ----------
    trials : int
        Good ones so far.
    goal_trials : float or None
        Wanted, or expected to be needed for the wanted confidence; None if nobody can tell.
    block_trials : int
        Of the block that comes now.
    seconds, goal_seconds : float, float or None
        Of the clock on the wall.
    click_rate : float
        Clicks per second in the gates, in the last good block; 0 before there is one.
    g2 : dict of str to float
        By pair.
    ratio : float or None
        Symmetrised R so far, as counted; None if it is undefined.
    """

    trials: int
    goal_trials: float | None
    block_trials: int
    seconds: float
    goal_seconds: float | None
    click_rate: float = 0.0
    g2: dict[str, float] = field(default_factory=dict)
    ratio: float | None = None

    def part(self, of_block: float = 0.0) -> float | None:
        """Return the part of the goal that is reached, 0 to 1, `of_block` of this block included.

        None if the goal is only a confidence that nobody can plan yet.
        """
        parts = []
        if self.goal_trials is not None:
            parts.append((self.trials + of_block * self.block_trials) / self.goal_trials)
        if self.goal_seconds is not None:
            parts.append(self.seconds / self.goal_seconds)
        return min(1.0, max(parts)) if parts else None

    def __str__(self) -> str:
        if not self.trials:
            return "no good block yet"
        found = [f"{self.trials:,} trials", f"{self.click_rate:.1f} clicks/s"]
        found += [f"g²({pair}) {value:.2f}" for pair, value in self.g2.items()]
        if self.ratio is not None:
            found.append(f"R {self.ratio:.3f}")
        return "  ".join(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of the equal steps of a procedure, which begins now.

    Attributes
    ----------
    procedure : str
    number, of : int
        From 1.
    what : str
        Names it: a procedure, a place of a filter, a point of a scan.
    """

    procedure: str
    number: int
    of: int
    what: str = ""

    def __str__(self) -> str:
        what = f" ({self.what})" if self.what else ""
        return f"{self.procedure.replace('_', ' ')} {self.number} of {self.of}{what}"


def said_setting(name: str, value: float) -> str:
    """Return a scanned setting as users say it: ``Δφ = 0.25 π``, ``delay = 123 ns``."""
    if name == "delta_phi":
        return f"Δφ = {value / pi:.3g} π"
    if name == "delay":
        return f"delay = {value * 1e9:.6g} ns"
    return f"{name} = {value:.4g}"


class Watcher:
    """Whoever watches a run; told everything, and quiet about what it does not override."""

    def say(self, text: str) -> None:
        """Hear one line about a step."""

    def opened(self, folder: Path) -> None:
        """Hear the run folder, before anything else."""
        self.say(f"run folder: {folder}")

    def step(self, path: tuple[Step, ...]) -> None:
        """Hear which step begins: of the outermost procedure first, of the innermost last."""

    def point(self, text: str) -> None:
        """Hear what one point of a scan gave; by default as one more line."""
        self.say(text)

    def advance(self, done: float, total: float) -> None:
        """Hear how far the block being taken is: seconds measured, and seconds in all."""

    def report(self, progress: WitnessProgress) -> None:
        """Hear how far a measurement that has a goal is, before every block."""

    def alarm(self, text: str) -> None:
        """Hear what needs a person; by default as one more line."""
        self.say(text)

    def left_unsafe(self, who: Mapping[str, str]) -> None:
        """Hear at the end which instruments are not safe, and why."""


class Narrator(Watcher):
    """Passes every line on.

    Parameters
    ----------
    tell : callable
        Given a line; by default it is printed.
    """

    def __init__(self, tell: Callable[[str], object] = print) -> None:
        self._tell = tell

    def say(self, text: str) -> None:
        """Pass a line on."""
        self._tell(text)


def progress_towards(
    goal: Goal,
    good: Sequence[Block],
    *,
    block_trials: int = 0,
    seconds: float = 0.0,
    total: Counts | None = None,
    with_ratio: bool = True,
) -> WitnessProgress:
    """Return how far a witness measurement is.

    Parameters
    ----------
    goal : Goal
    good : sequence of Block
        Its good blocks so far.
    block_trials : int
    seconds : float
        As in `WitnessProgress`.
    total : Counts, optional
        The sum of these blocks, if it is known.
    with_ratio : bool
        Whether R is wanted, for which every block is looked at.
    """
    total = total_counts(list(good)) if total is None else total
    if total is None:
        return WitnessProgress(
            trials=0, goal_trials=goal.trials, block_trials=block_trials, seconds=seconds,
            goal_seconds=goal.seconds,
        )  # fmt: skip
    last, cells = good[-1].counts, cross_pairs(total.gates)
    g2: dict[str, float] = {}
    for pair in ("r2p1", "r1p2"):
        if pair in cells and (expected := _accidentals(total, *cells[pair])):
            g2[pair] = total.coincidence(*cells[pair]) / expected
    return WitnessProgress(
        trials=total.trials.number,
        goal_trials=_trials_wanted(goal, total),
        block_trials=block_trials,
        seconds=seconds,
        goal_seconds=goal.seconds,
        click_rate=float(last.singles.sum()) / (last.trials.number * last.gates.period),
        g2=g2,
        ratio=_ratio(good) if with_ratio else None,
    )


def _accidentals(counts: Counts, a: tuple[str, int], b: tuple[str, int]) -> float:
    return counts.single(*a) * counts.single(*b) / max(counts.trials.number, 1)


def _ratio(good: Sequence[Block]) -> float | None:
    pairs = pairs_of(good)
    try:
        cells = cells_of_blocks(
            (a.witness, None if b is None else b.witness) for a, b in pairs
        ).total
    except ValueError:  # no pair yet, or other gates than the witness needs
        return None
    if not cells.complete:
        return None
    found = float(symmetrised_witness(cells.s, cells.c))
    return found if isfinite(found) else None


def _trials_wanted(goal: Goal, counts: Counts) -> float | None:
    """Return the trials that reach the goal, as far as can be told now."""
    if goal.trials is not None or goal.confidence is None:
        return goal.trials
    try:
        rates = ClickRates.of_counts(witness_counts(counts))
        return plan_witness(rates, confidence=goal.confidence, bound=goal.bound).trials
    except ValueError:
        return None  # by the counts so far the goal is never reached, or they are too few
