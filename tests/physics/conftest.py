"""A virtual lab reached through its drivers only, and what the plant's model predicts for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from analysis.counting import count
from analysis.counting.shifts import first_tick
from labkit.experiment import read_experiment
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.run import create_run
from labkit.station.config import read_station_file
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from simulation.lab.optics import STEP
from simulation.lab.world import World
from simulation.theory.dlcz import click_probabilities

LABKIT = Path(__file__).parents[2] / "labkit"
STATION = LABKIT / "station" / "virtual_lab.yaml"
TICK = 250e-12
BITS = {"p1": 8, "p2": 4, "r1": 2, "r2": 1}

BRIGHT = {
    "arm_output": (0.88, 0.63),
    "laser_drift_hz": 0.0,
    "filter_drift_hz": 0.0,
    "phase_drift": 0.0,
    "phase_drift_rate": 0.0,
}
"""Twenty times the collection of the paper's lab, hence 400 times its coincidences; no drift."""


@dataclass
class DryLab:
    """A lab at its working point."""

    world: World
    session: Session
    sequence: object

    @property
    def lab(self) -> Lab:
        return self.session.lab

    def theta(self):
        """Fringe phase of the world now, in units of π, in (−1, 1]."""
        self.world.clock.advance(0.5)
        point = self.world.plant.operating_point()
        theta = float(point.theta(self.world.plant.interferometer.phase)) / np.pi
        return 1 - (1 - theta) % 2

    def at_best_phase(self):
        """Load the sequence with the phase that brings θ to 0, and lock; return it."""
        self.session.arm(self.sequence)
        lock(self.session, self.sequence, LockOptions())
        phase = float(self.sequence.pulse("read").phase) - np.pi * self.theta()
        self.sequence = self.sequence.with_read_phase(phase)
        self.session.arm(self.sequence)
        return self

    def measure(self, trials, sequence=None, **options):
        """Take a block as every procedure does."""
        return self.session.measure(sequence or self.sequence, trials, {"x": 0.0}, **options)

    def record(self, path, trials):
        """Record and count, no more."""
        self.lab.record(path, trials, self.sequence.period)
        return count(path, self.sequence.gates)

    def patterns(self):
        """Probabilities of the 16 click patterns in the gates, by the plant's model."""
        self.world.clock.advance(1.0)
        plant = self.world.plant
        point, own = plant.operating_point(), plant.interferometer
        shift = float(point.theta(own.phase) - point.theta(0.0))
        nodes, weights = np.polynomial.hermite_e.hermegauss(9)
        spread = np.arccos(point.contrast) * np.array([[-1.0], [1.0]]) + 2 * own.sigma * nodes
        at = replace(
            point.parameters,
            delta_phi=point.parameters.delta_phi + shift + spread.ravel(),
            dark_1=0.0,
            dark_2=0.0,
        )
        light = click_probabilities(at, point.passage).patterns.reshape(2, len(nodes), 16)
        mean = np.einsum("ckp,k->p", light, weights) / (2 * weights.sum())
        return self._gated(mean.reshape(2, 2, 2, 2), point)

    def _gated(self, patterns, point):
        """Take the clicks outside the gates away and add the dark clicks inside."""
        for axis, arrival in enumerate(point.arrivals):
            gate = self.sequence.gates.gates[axis // 2]
            ends = arrival.start + STEP * np.arange(1, len(arrival.cumulative) + 1)
            edges = [TICK * first_tick(time, TICK) for time in (gate.start, gate.stop)]
            low, high = np.interp(edges, ends, arrival.cumulative)
            dark = -np.expm1(-point.steady_rate[axis % 2] * (gate.stop - gate.start))
            lit = high - low
            mixing = np.array(
                [[1 - dark, (1 - lit) * (1 - dark)], [dark, 1 - (1 - lit) * (1 - dark)]]
            )
            patterns = np.moveaxis(np.tensordot(mixing, patterns, (1, axis)), 0, axis)
        return patterns.reshape(16)

    def expected(self, trials):
        """Expected trials with clicks in p1, p2, r1, r2, and with pairs [read, pump]."""
        patterns, codes = self.patterns(), np.arange(16)

        def number(*cells):
            mask = sum(BITS[cell] for cell in cells)
            return trials * patterns[(codes & mask) == mask].sum()

        singles = np.array([number(cell) for cell in BITS])
        pairs = np.array([[number(f"r{i}", f"p{j}") for j in (1, 2)] for i in (1, 2)])
        return singles, pairs


@contextmanager
def dry_lab(
    folder: Path, *, parameters=None, seed=1, station=STATION, instruments=None
) -> Iterator[DryLab]:
    """Open the virtual lab, or another station in its world, at the station's working point."""
    file = read_station_file(station)
    experiment = read_experiment(LABKIT / "experiments" / "autopilot.yaml")
    constants = BRIGHT if parameters is None else parameters
    world = World.start(seed=seed, parameters=constants, instruments=instruments)
    with world, open_instruments(file, {**world.addresses, **world.objects}) as instruments:
        sequence = experiment.sequence
        run = create_run(folder, "witness", experiment.to_dict(), file.text, gates=sequence.gates)
        session = Session(lab=Lab(file, instruments), folder=run)
        switch_on(session, sequence, SwitchOnOptions())
        yield DryLab(world=world, session=session, sequence=sequence)


@pytest.fixture(scope="session", name="dry_lab")
def _dry_lab():
    return dry_lab


@pytest.fixture(scope="session")
def quiet():
    return dict(BRIGHT)


@pytest.fixture
def bright(tmp_path):
    """A lab with high collection, no drift, locked at the phase of most entanglement."""
    with dry_lab(tmp_path) as lab:
        yield lab.at_best_phase()


@pytest.fixture(scope="session")
def dry_lab_of():
    """Make a dry lab of a world, a session and a sequence."""

    def make(world, session, sequence):
        return DryLab(world=world, session=session, sequence=sequence)

    return make
