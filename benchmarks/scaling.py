"""Counting beyond one machine: efficiency of two processes, a scheduler's overhead, 100 TB.

What a thousand workers would do is not measured here but simulated from what is: the time of one
task's work, and the time that the scheduler needs per task, which it hands out one by one.
"""

import heapq
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from analysis.cluster import cluster
from analysis.counting import count
from analysis.counting.distributed import TURNS, count_distributed
from analysis.gates import GateSet
from benchmarks.counting import bright_t3_block, recording
from benchmarks.timing import Row
from simulation.recordings.pulses import pulsed_timing

TERABYTES = 100
RECORD_BYTES = 4
WORKERS = 1000
EMPTY_TASKS = 2000


def run(scale: float) -> list[Row]:
    """Measure and simulate."""
    with tempfile.TemporaryDirectory() as folder:
        gates = pulsed_timing().gates
        files = _files(Path(folder), scale)
        records, alone = _alone(files, gates)
        with cluster(workers=1) as one:
            count_distributed(one, files[:1], gates)  # kernels are loaded
            single = _seconds(lambda: count_distributed(one, files, gates, allow_repeats=True))
            per_task = _per_task(one)
        with cluster(workers=2) as two:
            count_distributed(two, files[:2], gates, allow_repeats=True)
            double = _seconds(lambda: count_distributed(two, files, gates, allow_repeats=True))
    rate = records / alone
    tasks = TURNS * WORKERS
    work = TERABYTES * 1e12 / RECORD_BYTES / tasks / rate
    span = simulated_span([work] * tasks, WORKERS, per_task)
    ideal = work * tasks / WORKERS
    return [
        Row(
            name="cluster: two worker processes against one",
            ratio=single / double,
            target=1.8,
            detail=f"{len(files)} files, {single:.2f} s and {double:.2f} s",
        ),
        Row(
            name="cluster: one worker process against count() itself",
            ratio=alone / single,
            target=0.8,
            detail=f"{alone:.2f} s and {single:.2f} s",
        ),
        Row(
            name=f"cluster: {WORKERS} simulated workers, 100 TB, efficiency",
            ratio=ideal / span,
            target=0.9,
            detail=(
                f"{tasks:,} tasks of {work:.2f} s, {1e3 * per_task:.2f} ms of scheduler each; "
                f"{rate / 1e6:.0f} M records/s and process, {span / 3600:.2f} h"
            ),
        ),
    ]


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


def _alone(files: Sequence[Path], gates: GateSet) -> tuple[int, float]:
    count(files[0], gates)  # compiled kernels are loaded, files are in memory
    records = sum(path.stat().st_size // RECORD_BYTES for path in files)
    return records, _seconds(lambda: count(files, gates, allow_repeats=True))


def _per_task(client: object) -> float:
    """Seconds the scheduler needs per task, from many that do nothing."""
    submit = client.map  # type: ignore[attr-defined]
    gather = client.gather  # type: ignore[attr-defined]
    gather(submit(json.dumps, range(10), pure=False))
    return (
        _seconds(lambda: gather(submit(json.dumps, range(EMPTY_TASKS), pure=False))) / EMPTY_TASKS
    )


def _seconds(job: object) -> float:
    begin = perf_counter()
    job()  # type: ignore[operator]
    return perf_counter() - begin
