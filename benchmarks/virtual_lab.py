"""The virtual lab: an hour of locked measurement through its tagger; starting the bench."""

from collections.abc import Iterator
from functools import partial
from time import perf_counter

import numpy as np

from benchmarks.timing import Row, seconds
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


def record(plant: Plant, duration: float, mode: str = "T3") -> int:
    """Record for `duration` s of virtual time; return the number of records."""
    tagger = plant.wiring.tagger
    tagger.start(TaggerSettings(mode=mode), duration)
    number = len(tagger.records(READ))
    while tagger.running():
        number += len(tagger.records(READ))
    return number


def start_and_stop() -> None:
    """Start the whole bench and stop it."""
    World.start().stop()


def connect_and_close() -> tuple[float, float]:
    """Open the virtual lab's station with all drivers; return how long opening and closing took."""
    from labkit.station.lab import open_lab

    begin = perf_counter()
    with open_lab("virtual"):
        opened = perf_counter()
    return opened - begin, perf_counter() - opened


def run(scale: float = 1.0) -> Iterator[Row]:
    """Yield rows; a ratio is the time allowed over the time taken."""
    plant = paper_lab()
    trials = HOUR * scale / plant.parameters.period
    hour = partial(record, plant, HOUR * scale)
    minute = partial(record, plant, 60.0 * scale, "T2")
    taken = seconds({"hour": hour, "minute": minute, "start": start_and_stop})
    clicks = len(plant.live(int(np.ceil(trials / 10))).trial) * 10
    yield Row(
        name="one hour of locked measurement, 7.2e7 trials, T3",
        ratio=0.5 * scale / taken["hour"],
        target=1.0,
        detail=f"{taken['hour']:.3f} s of {0.5 * scale:g} s; {clicks:,} clicks",
    )
    yield Row(
        name="virtual seconds per second, T2 with every sync record",
        ratio=60.0 * scale / taken["minute"],
        target=100.0,
        detail=f"{taken['minute']:.3f} s for {60 * scale:g} s, 1.2e6 records a minute",
    )
    yield Row(
        name="start and stop of the whole bench",
        ratio=3.0 / taken["start"],
        target=1.0,
        detail=f"{1e3 * taken['start']:.0f} ms of 3 s",
    )
    opening, closing = connect_and_close()
    yield Row(
        name="connect the whole virtual lab (21 drivers)",
        ratio=3.0 / opening,
        target=1.0,
        detail=f"{opening:.2f} s of 3 s; made safe and closed in {1e3 * closing:.0f} ms",
    )
