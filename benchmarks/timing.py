"""Alternating runs of several jobs, so that a drifting machine speed cancels in their ratios."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import median, quantiles
from time import perf_counter, process_time

Job = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison: what, the measured ratio, the target it should reach, and its noise.

    `noise` is the relative spread of the ratio (half the range between quartiles), nan if it was
    measured once.
    """

    name: str
    ratio: float
    target: float
    detail: str
    noise: float = nan

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio >= self.target

    def __str__(self) -> str:
        verdict = "ok  " if self.met else "MISS"
        noise = "" if isnan(self.noise) else f" ± {100 * self.noise:.0f} %"
        return (
            f"{verdict} {self.name:<58} {self.ratio:8.2f}{noise:<7} (target {self.target:g})  "
            f"{self.detail}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Wall and processor seconds of a job, run by run."""

    wall: tuple[float, ...]
    processor: tuple[float, ...]

    def per(self, other: "Taken", *, by_wall: bool = False) -> tuple[float, float]:
        """Return median and relative spread of this job's time per the other's, by processor time.

        Runs are compared with the run of the same round. Processor time does not see neighbours on
        a shared machine, but for their share of caches and clock; what is done side by side can be
        compared by wall time only.
        """
        mine, others = (t.wall if by_wall else t.processor for t in (self, other))
        return spread([a / b for a, b in zip(mine, others, strict=True)])

    def of(self, seconds: float, *, by_wall: bool = False) -> tuple[float, float]:
        """Return median and relative spread of so many seconds per this job's processor time.

        By wall time where it waits for others: threads, instruments, other processes.
        """
        return spread([seconds / each for each in (self.wall if by_wall else self.processor)])

    def __str__(self) -> str:
        return f"{median(self.wall):.3g} s, processor {median(self.processor):.3g} s"


def spread(ratios: Sequence[float]) -> tuple[float, float]:
    """Return the median, and half the range between the quartiles relative to it."""
    low, middle, high = quantiles(ratios, n=4)
    return middle, (high - low) / (2 * middle)


def measured(jobs: Mapping[str, Job], rounds: int = 7) -> dict[str, Taken]:
    """Run each job in turn, `rounds` times after a warm-up; processes they wait for count too."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            start, used = perf_counter(), _processor()
            job()
            if turn:
                taken[name].append((perf_counter() - start, _processor() - used))
    return {
        name: Taken(wall=tuple(w for w, _ in runs), processor=tuple(p for _, p in runs))
        for name, runs in taken.items()
    }


def seconds(jobs: Mapping[str, Job], rounds: int = 7) -> dict[str, float]:
    """Return the median wall seconds of each job over `rounds` alternating runs."""
    return {name: median(taken.wall) for name, taken in measured(jobs, rounds).items()}


def _processor() -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + ended.ru_utime + ended.ru_stime


def labkit(*words: object) -> Job:
    """Return a job that runs the command ``labkit`` with these words, in a process of its own.

    Python keeps its compiled modules there, as it does unless it is told not to.
    """
    start = "from labkit.cli import main; main()"
    command = [sys.executable, "-c", start, *map(str, words)]
    usual = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return lambda: subprocess.run(command, check=True, capture_output=True, env=usual)


def process_megabytes(code: str) -> float:
    """Return the peak resident megabytes of a fresh interpreter that runs `code` (Linux).

    ``VmHWM`` begins anew with the interpreter; ``ru_maxrss`` would never be below the memory of
    the process that started it.
    """
    report = "\nprint(*(l for l in open('/proc/self/status') if l.startswith('VmHWM')))"
    return float(_process(code + report).split()[-2]) / 1024


def _process(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout
