"""How far a measurement is: what a run tells whoever watches it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from analysis.counts import Counts
from analysis.counts_file import witness_counts
from analysis.evaluation import Evaluation
from labkit.run.goal import Goal
from labkit.run.planning import ClickRates, plan_witness


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
    witness : tuple of float or None
        Symmetrised R_m so far: mode, low, high.
    undecided : bool
        Whether coincidences are still so few that the prior, not the data, makes that interval.
    """

    trials: int
    goal_trials: float | None
    block_trials: int
    seconds: float
    goal_seconds: float | None
    click_rate: float = 0.0
    g2: dict[str, float] = field(default_factory=dict)
    witness: tuple[float, float, float] | None = None
    undecided: bool = False

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
        if self.witness is not None:
            mode, low, high = self.witness
            few = " (too few coincidences yet)" if self.undecided else ""
            found.append(f"R_m {mode:.3f} [{low:.3f}, {high:.3f}]{few}")
        return "  ".join(found)


class Watcher:
    """Whoever watches a run; told everything, and quiet about what it does not override."""

    def say(self, text: str) -> None:
        """Hear one line about a step."""

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
    evaluation: Evaluation | None,
    last: Counts | None,
    *,
    block_trials: int = 0,
    seconds: float = 0.0,
) -> WitnessProgress:
    """Return how far a witness measurement is.

    Parameters
    ----------
    goal : Goal
    evaluation : Evaluation or None
        Of all good trials; None if there are none yet.
    last : Counts or None
        Of the last good block.
    block_trials : int
    seconds : float
        As in `WitnessProgress`.
    """
    if evaluation is None or last is None:
        return WitnessProgress(
            trials=0, goal_trials=goal.trials, block_trials=block_trials, seconds=seconds,
            goal_seconds=goal.seconds,
        )  # fmt: skip
    g2 = evaluation.g2
    sym = None if evaluation.witness is None else evaluation.witness.sym
    return WitnessProgress(
        trials=evaluation.counts.trials.number,
        goal_trials=_trials_wanted(goal, evaluation.counts),
        block_trials=block_trials,
        seconds=seconds,
        goal_seconds=goal.seconds,
        click_rate=float(last.singles.sum()) / (last.trials.number * last.gates.period),
        g2={pair: g2[pair].value for pair in ("r2p1", "r1p2") if pair in g2},
        witness=None if sym is None else (sym.mode, sym.low, sym.high),
        undecided=evaluation.witness is not None and bool(evaluation.witness.cautions),
    )


def _trials_wanted(goal: Goal, counts: Counts) -> float | None:
    """Return the trials that reach the goal, as far as can be told now."""
    if goal.trials is not None or goal.confidence is None:
        return goal.trials
    try:
        rates = ClickRates.of_counts(witness_counts(counts))
        return plan_witness(rates, confidence=goal.confidence, bound=goal.bound).trials
    except ValueError:
        return None  # by the counts so far the goal is never reached, or they are too few
