"""How long until a goal is reached, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, hypot, log1p, sqrt

import numpy as np
from numpy.typing import NDArray

from labkit.monitoring.series import began, ended
from labkit.run import Block, Goal
from labkit.run.always_valid import TestPoint
from labkit.run.progress import WitnessProgress

RECENT = 12
"""Good blocks by whose pace the time left is told."""

LEAST_POINTS = 10
"""States of the always-valid test from which its fluctuations are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLeft:
    """Time to the goal, s, and where it lies with a probability of about 68 %.

    Attributes
    ----------
    seconds : float
    low, high : float or None
        None where too little has been seen to tell.
    """

    seconds: float
    low: float | None = None
    high: float | None = None


def time_left(
    goal: Goal,
    progress: WitnessProgress | None,
    good: Sequence[Block],
    course: Sequence[TestPoint],
    now: float,
) -> TimeLeft | None:
    """Return the time to the goal at the pace of the last good blocks, with all between them.

    The interval holds how the pace varied and, for a goal of confidence, how much log E fluctuates:
    it grows like a random walk, so that the trials to a height a above it have a relative variance
    of σ²/(aμ) + σ²/(Nμ²), μ and σ² its drift and variance per trial in the N trials so far.

    Parameters
    ----------
    goal : Goal
    progress : WitnessProgress or None
    good : sequence of Block
        Of the goal, in order.
    course : sequence of TestPoint
    now : float
        Unix time, s.
    """
    if progress is None or not good:
        return None
    found = []
    if progress.goal_trials is not None:
        found.append(_by_trials(goal, progress, good, course, now))
    if progress.goal_seconds is not None:
        left = max(0.0, progress.goal_seconds - progress.seconds)
        found.append(TimeLeft(seconds=left, low=left, high=left))
    return min(found, key=lambda one: one.seconds) if found else None


def _by_trials(
    goal: Goal,
    progress: WitnessProgress,
    good: Sequence[Block],
    course: Sequence[TestPoint],
    now: float,
) -> TimeLeft:
    recent = good[-RECENT:]
    trials = sum(block.trials for block in recent)
    seconds = float(_steps(recent).sum()) + _length(recent[-1])
    missing = max(0.0, (progress.goal_trials or 0.0) - progress.trials)
    passed = max(0.0, now - ended(recent[-1]))
    whole = missing * seconds / max(trials, 1)
    left = max(0.0, whole - passed)
    spread = _pace_error(recent)
    if goal.trials is None:
        walk = _walk_error(goal, course)
        spread = None if spread is None or walk is None else hypot(spread, walk)
    if spread is None:
        return TimeLeft(seconds=left)
    low, high = (max(0.0, whole * exp(sign * spread) - passed) for sign in (-1, 1))
    return TimeLeft(seconds=left, low=low, high=high)


def _steps(blocks: Sequence[Block]) -> NDArray[np.float64]:
    """Return the times from each block's start to the next one's, s.

    Where the clock was set back meanwhile, what the first of them took by the steady clock.
    """
    steps = np.diff([began(block) for block in blocks])
    found: NDArray[np.float64] = np.maximum(steps, [_length(block) for block in blocks[:-1]])
    return found


def _length(block: Block) -> float:
    """Return how long a block took, s: by the steady clock, where that was noted."""
    return block.duration or max(0.0, ended(block) - began(block))


def _pace_error(recent: Sequence[Block]) -> float | None:
    """Return the relative error of the mean time per trial, from one block's start to the next."""
    if len(recent) < 3:
        return None
    per_trial = _steps(recent) / np.maximum([block.trials for block in recent[:-1]], 1)
    mean = float(per_trial.mean())
    if mean <= 0:
        return None
    return float(per_trial.std(ddof=1)) / mean / sqrt(len(per_trial))


def _walk_error(goal: Goal, course: Sequence[TestPoint]) -> float | None:
    """Return the relative error of the trials that log E still needs; None if it does not grow."""
    if goal.confidence is None or len(course) < LEAST_POINTS:
        return None
    trials = np.diff([0, *(point.trials for point in course)])
    steps = np.diff([0.0, *(point.log_e for point in course)])
    total = float(trials.sum())
    drift = float(steps.sum()) / total
    height = -log1p(-goal.confidence) - course[-1].log_e
    if drift <= 0 or height <= 0:
        return None
    variance = float(np.sum((steps - drift * trials) ** 2)) / total
    return sqrt(variance / (height * drift) + variance / (total * drift**2))
