"""Counting beyond one machine: efficiency of two processes, a scheduler's overhead, 100 TB.

What a thousand workers would do is not measured here but simulated from what is: the time of one
task's work, and the time that the scheduler needs per task, which it hands out one by one.
"""

import heapq
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from analysis.cluster import cluster, on_workers
from analysis.counting import count
from analysis.counting.distributed import TURNS, count_distributed
from benchmarks.counting import bright_t3_block, recording
from benchmarks.timing import Row, Taken, measured
from simulation.recordings.pulses import pulsed_timing

TERABYTES = 100
RECORD_BYTES = 4
WORKERS = 1000
EMPTY_TASKS = 2000
OFTEN = 4
"""Times that each file is counted: tasks of a cluster take seconds, not milliseconds."""


def run(scale: float) -> list[Row]:
    """Measure and simulate."""
    with (
        tempfile.TemporaryDirectory() as folder,
        cluster(workers=1) as one,
        cluster(workers=2) as two,
    ):
        gates = pulsed_timing().gates
        files = _files(Path(folder), scale) * OFTEN
        records = sum(path.stat().st_size // RECORD_BYTES for path in files)
        both = {"one": one, "two": two}
        taken = measured(
            {"alone": lambda: count(files, gates, allow_repeats=True)}
            | {
                name: lambda c=client: count_distributed(c, files, gates, allow_repeats=True)
                for name, client in both.items()
            }
            | {"tasks": lambda: _do_nothing(one)}
        )
    rate = records / median(taken["alone"].wall)
    per_task = median(taken["tasks"].wall) / EMPTY_TASKS
    tasks = TURNS * WORKERS
    work = TERABYTES * 1e12 / RECORD_BYTES / tasks / rate
    span = simulated_span([work] * tasks, WORKERS, per_task)
    ideal = work * tasks / WORKERS
    double, noise = taken["one"].per(taken["two"], by_wall=True)
    single, spread = taken["alone"].per(taken["one"], by_wall=True)
    busy = f"wall time; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return [
        Row(
            name="cluster: two worker processes against one",
            ratio=double,
            noise=noise,
            target=1.8,
            detail=f"{len(files)} files, {_wall(taken['one'])} and {_wall(taken['two'])}; {busy}",
        ),
        Row(
            name="cluster: one worker process against count() itself",
            ratio=single,
            noise=spread,
            target=0.8,
            detail=f"{taken['alone']}; the worker {_wall(taken['one'])}; {busy}",
        ),
        Row(
            name=f"cluster: {WORKERS} simulated workers, 100 TB, efficiency",
            ratio=ideal / span,
            noise=taken["tasks"].of(1.0, by_wall=True)[1] * (1 - ideal / span),
            target=0.9,
            detail=(
                f"{tasks:,} tasks of {work:.2f} s, {1e3 * per_task:.2f} ms of scheduler each; "
                f"{rate / 1e6:.0f} M records/s and process, {span / 3600:.2f} h"
            ),
        ),
    ]


def _do_nothing(client: Any) -> None:
    """Let a worker do many tasks that are nothing: what is left is the scheduler's time."""
    deque(on_workers(client, json.dumps, range(EMPTY_TASKS)), maxlen=0)


def _wall(taken: Taken) -> str:
    return f"{median(taken.wall):.2f} s"


def simulated_span(work: Sequence[float], workers: int, per_task: float) -> float:
    """Seconds until all tasks are done, handed out one by one to whoever is free first."""
    free = [0.0] * workers
    heapq.heapify(free)
    scheduler, end = 0.0, 0.0
    for seconds in work:
        scheduler = max(scheduler + per_task, free[0])
        done = scheduler + seconds
        heapq.heapreplace(free, done)
        end = max(end, done)
    return end


def _files(folder: Path, scale: float) -> list[Path]:
    """Four bright files of 64 M records (256 MB) each."""
    block = bright_t3_block(1 << 20)
    repeats = max(1, int(64 * scale))
    paths = []
    for number in range(4):
        paths.append(folder / f"{number}.ptu")
        with recording("T3", block, repeats) as made:
            shutil.copy(made, paths[-1])
    return paths
