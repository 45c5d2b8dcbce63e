"""What a run wants to reach, and how long that takes at its pace."""

from collections.abc import Sequence
from dataclasses import replace

from labkit.experiment import options_of
from labkit.monitoring.series import began, ended
from labkit.procedures import PROCEDURES
from labkit.progress import Progress
from labkit.run import Block, Goal, Manifest

RECENT = 12
"""Good blocks by whose pace the time left is told."""


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


def with_time(progress: Progress, good: Sequence[Block], sessions: int, until: float) -> Progress:
    """Return a progress with the time passed since the first good block began.

    A time goal of a resumed run begins anew with its resumption, which its folder does not tell:
    it is left out then.
    """
    if sessions > 1:
        return replace(progress, goal_seconds=None)
    return replace(progress, seconds=max(0.0, until - began(good[0])) if good else 0.0)


def seconds_left(progress: Progress | None, good: Sequence[Block], now: float) -> float | None:
    """Return the time to the goal at the pace of the last good blocks, with all between them."""
    if progress is None or not good:
        return None
    left = []
    if progress.goal_trials is not None:
        recent = good[-RECENT:]
        trials = sum(block.counts.trials.number for block in recent)
        seconds = ended(recent[-1]) - began(recent[0])
        missing = max(0.0, progress.goal_trials - progress.trials)
        left.append(missing * seconds / max(trials, 1) - (now - ended(recent[-1])))
    if progress.goal_seconds is not None:
        left.append(progress.goal_seconds - progress.seconds)
    return max(0.0, min(left)) if left else None
