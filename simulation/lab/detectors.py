"""Superconducting nanowire detectors: efficiency and dark counts against bias, latching."""

from math import exp

from simulation.lab.world_parameters import WorldParameters


class Nanowire:
    """One detector and what its bias history has done to it.

    Parameters
    ----------
    number : {0, 1}
        Detector 1 or 2.
    parameters : WorldParameters

    Attributes
    ----------
    latched : bool
        Stuck in the resistive state: no pulses until the current has come close to 0.
    """

    def __init__(self, number: int, parameters: WorldParameters) -> None:
        self._number, self._parameters = number, parameters
        self._current = 0.0
        self.latched = False

    def apply(self, current: float) -> None:
        """Put a bias current (A) through the wire."""
        self._current = abs(current)
        if self._current > self._parameters.switching_current:
            self.latched = True
        elif self._current < 0.02 * self._parameters.switching_current:
            self.latched = False

    @property
    def efficiency(self) -> float:
        """Detection efficiency: a sigmoid of the current with a plateau."""
        if self.latched:
            return 0.0
        world = self._parameters
        depth = (self._current - world.efficiency_current) / world.efficiency_width
        return world.detector_efficiency[self._number] / (1 + exp(-depth))

    @property
    def dark_rate(self) -> float:
        """Dark counts per second, growing exponentially towards the switching current."""
        if self.latched or self._current == 0:
            return 0.0
        world = self._parameters
        return world.detector_dark_hz[self._number] * exp(
            (self._current - world.nominal_current) / world.dark_current
        )

    @property
    def pulse_volts(self) -> float:
        """Height of the amplified pulses, V."""
        return 0.0 if self.latched else self._current * self._parameters.pulse_volts_per_amp
