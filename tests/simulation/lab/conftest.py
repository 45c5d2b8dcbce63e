from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from simulation.lab.clock import VirtualClock
from simulation.lab.plant import Plant
from simulation.lab.ports.tagger import TaggerSettings
from simulation.lab.wiring import Wiring
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import click_probabilities
from tests.simulation.lab.paper_settings import PaperSettings, apply_paper_settings

QUIET = WorldParameters(
    laser_drift_hz=0.0, filter_drift_hz=0.0, phase_drift=0.0, phase_drift_rate=0.0
)


@dataclass
class Lab:
    clock: VirtualClock
    wiring: Wiring
    plant: Plant

    def set(self, settings: PaperSettings) -> None:
        apply_paper_settings(self.wiring, self.plant.parameters, settings)

    def theta(self) -> float:
        """Fringe phase now, in units of π, in (−1, 1]."""
        self.clock.advance(0.5)
        theta = float(self.plant.operating_point().theta(self.plant.interferometer.phase))
        return 1 - (1 - theta / np.pi) % 2

    def contrast(self) -> float:
        """Fringe contrast now: distinguishability and lock noise."""
        self.clock.advance(0.5)
        point = self.plant.operating_point()
        return float(point.contrast * np.exp(-0.5 * self.noise() ** 2))

    def noise(self) -> float:
        """Standard deviation of θ now, by interferometer and mechanics."""
        jitter = self.plant.operating_point().phase_noise
        return float(np.hypot(2 * self.plant.interferometer.sigma, jitter))

    def visibility(self) -> float:
        """Visibility over θ of coincidences between different detectors, noise included."""
        self.clock.advance(0.5)
        point, sigma = self.plant.operating_point(), self.noise()
        patterns = point.patterns.at(np.array([0, np.pi]), np.full(2, sigma), point.contrast)
        high, low = patterns[:, (np.arange(16) & 0b1001) == 0b1001].sum(axis=1)
        return float((high - low) / (high + low))

    def singles(self, *, leaks: bool = True) -> np.ndarray:
        """Expected clicks per trial of p1, p2, r1, r2, darks (and leaked drive light) left out."""
        point = self.plant.operating_point()
        silent = replace(point.parameters, dark_1=0.0, dark_2=0.0)
        if not leaks:
            names = [f"leak_{gate}_{j}" for gate in ("pump", "read") for j in (1, 2)]
            silent = replace(silent, **dict.fromkeys(names, 0.0))
        return click_probabilities(silent, point.passage).singles

    def record(self, seconds: float, settings: TaggerSettings | None = None) -> np.ndarray:
        """Return all records of a recording."""
        tagger = self.wiring.tagger
        tagger.start(settings or TaggerSettings(mode="T3"), seconds)
        records = [tagger.records(131072)]
        while tagger.running() or len(records[-1]):
            records.append(tagger.records(131072))
        return np.concatenate(records)


@pytest.fixture
def make_lab() -> Callable[..., Lab]:
    def make(parameters: WorldParameters = QUIET, seed: int = 1) -> Lab:
        clock, wiring = VirtualClock(), Wiring()
        lab = Lab(clock, wiring, Plant(clock, wiring, parameters, seed=seed))
        lab.set(PaperSettings())
        return lab

    return make


@pytest.fixture
def lab(make_lab: Callable[..., Lab]) -> Lab:
    """The laboratory of the paper, without slow drifts."""
    return make_lab()
