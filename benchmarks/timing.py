"""Alternating runs of several jobs, so that a drifting machine speed cancels in their ratios."""

import subprocess
import sys
from collections.abc import Callable, Mapping
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

    def per(self, other: "Taken") -> tuple[float, float]:
        """Return median and relative spread of this job's time per the other's, by processor time.

        Runs are compared with the run of the same round. Processor time does not see neighbours on
        a shared machine, but for their share of caches and clock.
        """
        ratios = [a / b for a, b in zip(self.processor, other.processor, strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        return middle, (high - low) / (2 * middle)

    def __str__(self) -> str:
        return f"{median(self.wall):.3g} s, processor {median(self.processor):.3g} s"


def measured(jobs: Mapping[str, Job], rounds: int = 7) -> dict[str, Taken]:
    """Run each job in turn, `rounds` times after a warm-up."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            start, used = perf_counter(), process_time()
            job()
            if turn:
                taken[name].append((perf_counter() - start, process_time() - used))
    return {
        name: Taken(wall=tuple(w for w, _ in runs), processor=tuple(p for _, p in runs))
        for name, runs in taken.items()
    }


def seconds(jobs: Mapping[str, Job], rounds: int = 7) -> dict[str, float]:
    """Return the median wall seconds of each job over `rounds` alternating runs."""
    return {name: median(taken.wall) for name, taken in measured(jobs, rounds).items()}


def process_seconds(code: str, rounds: int = 5) -> float:
    """Return the median wall seconds of a fresh interpreter that runs `code`."""
    return median(_process(code)[0] for _ in range(rounds))


def process_megabytes(code: str) -> float:
    """Return the peak resident megabytes of a fresh interpreter that runs `code` (Linux).

    ``VmHWM`` begins anew with the interpreter; ``ru_maxrss`` would never be below the memory of
    the process that started it.
    """
    report = "\nprint(*(l for l in open('/proc/self/status') if l.startswith('VmHWM')))"
    return float(_process(code + report)[1].split()[-2]) / 1024


def _process(code: str) -> tuple[float, str]:
    start = perf_counter()
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return perf_counter() - start, done.stdout
