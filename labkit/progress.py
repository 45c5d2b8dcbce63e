"""How far a measurement is: what a run tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
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
    """

    trials: int
    goal_trials: float | None
    block_trials: int
    seconds: float
    goal_seconds: float | None
    click_rate: float = 0.0
    g2: dict[str, float] = field(default_factory=dict)
    witness: tuple[float, float, float] | None = None

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
            found.append(f"R_m {mode:.3f} [{low:.3f}, {high:.3f}]")
        return "  ".join(found)


Report = Callable[[Progress], object]
