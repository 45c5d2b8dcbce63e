"""The virtual lab through its drivers: connecting it, an hour of locked data, the autopilot."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import labkit
from benchmarks.timing import Row
from labkit.experiment import Experiment, read_experiment, run_experiment
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.run import create_run
from labkit.station.lab import open_lab

CONNECT_SECONDS = 3.0
HOUR_SECONDS = 0.5
AUTOPILOT_SECONDS = 25.0
HOUR = 3600.0
ROUNDS = 5

ROOM = Path(labkit.__file__).parent
STATION = ROOM / "station" / "virtual_lab.yaml"


def run(scale: float) -> Iterator[Row]:
    """Give one row per job: promised over measured time; the autopilot only at full scale."""
    plan = read_experiment(ROOM / "experiments" / "autopilot.yaml")
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        connected, hour = _connect_and_measure(plan, Path(folder), scale)
        whole = _autopilot(plan, Path(folder)) if scale >= 1 else None
    yield _row("connect the whole virtual lab", CONNECT_SECONDS, connected)
    yield _row(f"{scale:g} h of locked data, recorded and counted", HOUR_SECONDS * scale, hour)
    if whole is not None:
        yield _row("autopilot, cold start to R_m (1.114e9 trials)", AUTOPILOT_SECONDS, whole)


def _connect_and_measure(plan: Experiment, folder: Path, scale: float) -> tuple[float, float]:
    """Return the seconds to connect, and the median seconds of a block of `scale` hours."""
    sequence, taken = plan.sequence, []
    start = perf_counter()
    with open_lab(STATION) as lab:
        connected = perf_counter() - start
        made = create_run(folder, "witness", plan.to_dict(), lab.file.text, gates=sequence.gates)
        session = Session(lab=lab, folder=made)
        switch_on(session, sequence, SwitchOnOptions())
        lock(session, sequence, LockOptions())
        for _ in range(ROUNDS):
            start = perf_counter()
            block = session.measure(sequence, round(scale * HOUR / sequence.period), {})
            taken.append(perf_counter() - start)
            if not block.good:
                message = f"the block must be good, but {block.reason}"
                raise RuntimeError(message)
    return connected, median(taken)


def _autopilot(plan: Experiment, folder: Path) -> float:
    start = perf_counter()
    run_experiment(plan, STATION, folder)
    return perf_counter() - start


def _row(name: str, promised: float, taken: float) -> Row:
    detail = f"{taken:.2f} s of {promised:g} s"
    return Row(name=name, ratio=promised / taken, target=1.0, detail=detail)
