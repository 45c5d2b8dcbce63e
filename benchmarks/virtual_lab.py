"""The virtual lab: an hour of locked measurement through its tagger; starting the bench."""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np

from benchmarks.timing import Row, Taken, measured
from simulation.lab.clock import VirtualClock
from simulation.lab.plant import Plant
from simulation.lab.ports.tagger import TaggerSettings
from simulation.lab.wiring import Wiring
from simulation.lab.world import World
from tests.simulation.lab.paper_settings import apply_paper_settings

HOUR = 3600.0
READ = 131_072
"""Records per read, as a driver asks for them."""


def paper_lab(seed: int = 1) -> Plant:
    """Return the plant with the paper's settings, locked, with all drifts."""
    plant = Plant(VirtualClock(), Wiring(), seed=seed)
    apply_paper_settings(plant.wiring)
    plant.clock.advance(1.0)
    return plant


def record(plant: Plant, duration: float, mode: Literal["T2", "T3"] = "T3") -> int:
    """Record for `duration` s of virtual time, looked at as by a run; return how many records.

    If nobody looked, time would stand at the first minute until it is clear that nobody will: for
    half a second of the wall.
    """
    tagger = plant.wiring.tagger
    tagger.start(TaggerSettings(mode=mode), duration)
    number = len(tagger.records(READ))
    while tagger.running():
        tagger.elapsed()
        number += len(tagger.records(READ))
    return number


def start_and_stop() -> None:
    """Start the whole bench and stop it."""
    World.start().stop()


def connect_and_close() -> None:
    """Open the virtual lab's station with all drivers, make it safe and close it."""
    from labkit.station.lab import open_lab

    with open_lab("virtual"):
        pass


def run(scale: float = 1.0) -> Iterator[Row]:
    """Yield rows; a ratio is the time allowed over the time taken."""
    plant = paper_lab()
    trials = HOUR * scale / plant.parameters.period
    taken = measured(
        {
            "hour": partial(record, plant, HOUR * scale),
            "minute": partial(record, plant, 60.0 * scale, "T2"),
            "start": start_and_stop,
            "connect": connect_and_close,
        }
    )
    clicks = len(plant.live(int(np.ceil(trials / 10))).trial) * 10
    yield _row("one hour of locked measurement, 7.2e7 trials, T3", 0.5 * scale, taken["hour"],
               f"{clicks:,} clicks", by_wall=True)  # fmt: skip
    ratio, noise = taken["minute"].of(60.0 * scale)
    yield Row(
        name="virtual seconds per second, T2 with every sync record",
        ratio=ratio,
        noise=noise,
        target=100.0,
        detail=f"{taken['minute']} for {60 * scale:g} s, 1.2e6 records a minute",
    )
    yield _row("start and stop of the whole bench", 3.0, taken["start"], by_wall=True)
    yield _row("connect the whole virtual lab (21 drivers), make it safe, close it", 3.0,
               taken["connect"], by_wall=True)  # fmt: skip


def _row(name: str, goal: float, taken: Taken, more: str = "", *, by_wall: bool = False) -> Row:
    ratio, noise = taken.of(goal, by_wall=by_wall)
    detail = "; ".join(filter(None, (f"{taken} of {goal:g} s", more)))
    return Row(name=name, ratio=ratio, noise=noise, target=1.0, detail=detail)
