"""Slow drifts of the optics away from what was calibrated: arms, laser powers, coupler, fibres."""

from dataclasses import replace
from math import exp, sqrt

import numpy as np

from simulation.lab.world_parameters import WorldParameters

_EDGE = 1e-9
"""A drifting coupler stays this far from a perfect mirror."""


class SlowDrifts:
    """Where the drifts have got to; all begin at the calibrated values.

    Parameters
    ----------
    rng : numpy.random.Generator
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._off = np.zeros(5)
        self._angle = 0.0

    def step(self, seconds: float, parameters: WorldParameters) -> bool:
        """Let time pass; tell whether anything drifts in this world."""
        world = parameters
        if not any(
            (world.arm_drift, world.power_drift, world.splitting_drift, world.polarisation_drift)
        ):
            return False
        kept = exp(-seconds / world.slow_drift_time)
        self._off = kept * self._off + sqrt(1 - kept**2) * self._rng.standard_normal(5)
        walk = world.polarisation_drift * sqrt(seconds)
        self._angle += walk * float(self._rng.standard_normal())
        return True

    def applied(self, parameters: WorldParameters) -> WorldParameters:
        """Return the world's constants as they are now."""
        world = parameters
        arm_a, arm_b, pump, read, coupler = (float(part) for part in self._off)
        return replace(
            world,
            arm_transmission=_scaled(world.arm_transmission, world.arm_drift, (arm_a, arm_b)),
            laser_gain=_scaled(world.laser_gain, world.power_drift, (pump, read)),
            splitting=_shifted(world.splitting, world.splitting_drift * coupler),
            read_splitting=(
                None
                if world.read_splitting is None
                else _shifted(world.read_splitting, world.splitting_drift * coupler)
            ),
            polarisation_angle=world.polarisation_angle + self._angle,
        )


def _scaled(
    pair: tuple[float, float], spread: float, off: tuple[float, float]
) -> tuple[float, float]:
    return pair[0] * max(1 + spread * off[0], 0.0), pair[1] * max(1 + spread * off[1], 0.0)


def _shifted(part: float, change: float) -> float:
    return min(max(part + change, _EDGE), 1 - _EDGE) if change else part
