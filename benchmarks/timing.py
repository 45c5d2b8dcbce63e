"""Alternating runs of several jobs, so that a drifting machine speed cancels in their ratios."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter

Job = Callable[[], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison: what, the measured ratio, and the target it should reach."""

    name: str
    ratio: float
    target: float
    detail: str

    def __str__(self) -> str:
        verdict = "ok  " if self.ratio >= self.target else "MISS"
        return (
            f"{verdict} {self.name:<58} {self.ratio:8.2f} (target {self.target:g})  {self.detail}"
        )


def seconds(jobs: Mapping[str, Job], rounds: int = 5) -> dict[str, float]:
    """Return the median seconds of each job over `rounds` alternating runs after a warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            start = perf_counter()
            job()
            if turn:
                taken[name].append(perf_counter() - start)
    return {name: median(times) for name, times in taken.items()}


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
