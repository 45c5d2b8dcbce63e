"""How long the steps of a procedure will still take, by the station's earlier runs of the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from pathlib import Path

import numpy as np

from labkit.monitoring.events import EventTail
from labkit.monitoring.pace import TimeLeft
from labkit.run import Manifest, RunFolder
from labkit.run.progress import Step

MOST_RUNS = 8
"""So many of the last earlier runs are gone by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """How long the steps of a procedure took in earlier runs.

    Attributes
    ----------
    seconds : dict of int to tuple of float
        By number of the step, from 1; a time per run.
    """

    seconds: Mapping[int, tuple[float, ...]]

    def left(self, now_at: Step, passed: float) -> TimeLeft | None:
        """Return the time that is left: the mean of each step that is not done, added up.

        The interval (about 68 %) holds how each step varied from run to run, σ√(1 + 1/k) of k
        runs; it is not known from a single run.

        Parameters
        ----------
        now_at : Step
            That is being done.
        passed : float
            Seconds since it began.
        """
        numbers = range(now_at.number, now_at.of + 1)
        if any(not self.seconds.get(number) for number in numbers):
            return None
        times = [np.array(self.seconds[number]) for number in numbers]
        means = [float(one.mean()) for one in times]
        seconds = max(0.0, means[0] - passed) + sum(means[1:])
        if any(one.size < 2 for one in times):
            return TimeLeft(seconds=seconds)
        sigma = sqrt(sum(float(one.var(ddof=1)) * (1.0 + 1.0 / one.size) for one in times))
        return TimeLeft(seconds=seconds, low=max(0.0, seconds - sigma), high=seconds + sigma)


def earlier_step_times(folder: Path, manifest: Manifest) -> StepTimes:
    """Return how long the steps took in the runs beside this one that did the same.

    Runs of the same kind, sequence, options and station that came to their end in one go.
    """
    found: dict[int, list[float]] = {}
    used = 0
    for path in sorted(folder.parent.glob(f"*_{manifest.kind}*"), reverse=True):
        if path == folder or used == MOST_RUNS:
            continue
        try:
            earlier = RunFolder(path=path).manifest()
        except ValueError:
            continue
        if _same(earlier, manifest):
            used += 1
            for number, seconds in _times_of(path, earlier).items():
                found.setdefault(number, []).append(seconds)
    return StepTimes(seconds={number: tuple(times) for number, times in found.items()})


def _same(earlier: Manifest, manifest: Manifest) -> bool:
    finished = earlier.status == "done" and earlier.ended and earlier.sessions == 1
    meant = [(m.kind, m.station, m.experiment.get("sequence"), m.experiment.get("options"))
             for m in (earlier, manifest)]  # fmt: skip
    return bool(finished and not earlier.replay_of and meant[0] == meant[1])


def _times_of(folder: Path, manifest: Manifest) -> dict[int, float]:
    """Return how long each step of the run's procedure took; what came after is the last one's."""
    events = EventTail(folder)
    events.poll()
    begun = sorted((n, time) for (name, n), time in events.begun.items() if name == manifest.kind)
    ends: Sequence[float] = [
        *(time for _, time in begun[1:]), datetime.fromisoformat(manifest.ended).timestamp()
    ]  # fmt: skip
    return {n: end - time for (n, time), end in zip(begun, ends, strict=True) if end >= time}
