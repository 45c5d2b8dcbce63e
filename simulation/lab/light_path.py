"""From lasers to devices: frequencies, prefilters, powers, and their slow drifts."""

from math import exp, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from simulation.lab.optics import TunableFilterState, attenuator_transmission
from simulation.lab.wiring import LASERS, Wiring
from simulation.lab.world_parameters import FILTERS, WorldParameters

if TYPE_CHECKING:
    from simulation.lab.ports.steady import LaserState

Real = NDArray[np.float64]


class LightPath:
    """Lasers, tunable filters and attenuators with their drifts.

    Parameters
    ----------
    wiring : Wiring
    parameters : WorldParameters
    rng : numpy.random.Generator

    Attributes
    ----------
    filters : dict of str to TunableFilterState
        By name in `FILTERS`.
    parameters : WorldParameters
        The world now, slow drifts included.
    jumps : int
        How often a filter has jumped.
    """

    def __init__(
        self, wiring: Wiring, parameters: WorldParameters, rng: np.random.Generator
    ) -> None:
        self._wiring, self.parameters, self._rng = wiring, parameters, rng
        pump, read = (parameters.laser_drift_hz * rng.standard_normal(2)).tolist()
        self._wander: tuple[float, float] = pump, read
        self.jumps = 0
        self._hops: dict[int, tuple[object, float]] = {}
        self.filters = {
            name: TunableFilterState(
                resonance_hz=parameters.resonance_hz[0],
                volts=parameters.filter_volts[number],
                hz_per_volt=parameters.filter_hz_per_volt,
                backlash=parameters.filter_backlash,
                width_hz=parameters.filter_width_hz[number],
                fsr_hz=parameters.filter_fsr_hz,
            )
            for number, name in enumerate(FILTERS)
        }
        for name, element in self.filters.items():
            wiring.actuator[f"filter_{name}"].listener = element.apply

    @property
    def detection_filters(self) -> tuple[tuple[TunableFilterState, ...], ...]:
        """The filters before detector 1, and before detector 2."""
        own = self.filters
        return (own["1a"], own["1b"]), (own["2a"], own["2b"])

    def step(self, seconds: float) -> None:
        """Let lasers and filters drift; a laser that was tuned or switched has ended its hop."""
        if self._hops:
            self._hops = {n: hop for n, hop in self._hops.items() if hop[0] == self._state(n)}
        kept = exp(-seconds / self.parameters.laser_drift_time)
        spread = self.parameters.laser_drift_hz * sqrt(1 - kept**2)
        pump, read, *chances = self._rng.standard_normal(2 + len(self.filters)).tolist()
        self._wander = (
            kept * self._wander[0] + spread * pump,
            kept * self._wander[1] + spread * read,
        )
        walk = self.parameters.filter_drift_hz * sqrt(seconds)
        for element, chance in zip(self.filters.values(), chances, strict=True):
            element.drift_hz += walk * chance

    def shift_filter(self, name: str, change_hz: float) -> None:
        """Let a filter's resonance jump."""
        self.filters[name].drift_hz += change_hz
        self.jumps += 1

    def hop(self, laser: int, change_hz: float) -> None:
        """Let a laser's mode hop; tuning it or switching it off and on ends the hop."""
        self._hops[laser] = (self._state(laser), change_hz)

    def hop_hz(self, laser: int) -> float:
        """Return how far a laser is from its set wavelength by a mode hop."""
        if not self._hops:
            return 0.0
        state, change = self._hops.get(laser, (None, 0.0))
        return change if state == self._state(laser) else 0.0

    def frequency_hz(self, laser: int, *, drift: bool = True) -> float:
        """Return a laser's optical frequency."""
        state = self._state(laser)
        wander = self._wander[laser] if drift else 0.0
        return constants.c / state.wavelength + self.hop_hz(laser) + wander

    def filtered_power(self, laser: int) -> float:
        """Return the power behind a laser's prefilter, W."""
        state = self._state(laser)
        if not self._wiring.laser[LASERS[laser]].emits:
            return 0.0
        passed = self.filters[LASERS[laser]].transmission(self.frequency_hz(laser))
        return state.power * self.parameters.laser_gain[laser] * passed

    def noise_part(self, laser: int) -> float:
        """Return the noise photons on the cavity's resonance per drive photon, prefiltered."""
        raw = self.parameters.laser_noise[laser]
        if raw == 0:
            return 0.0
        element, resonance = self.filters[LASERS[laser]], self.parameters.resonance_hz[0]
        return (
            raw * element.transmission(resonance) / element.transmission(self.frequency_hz(laser))
        )

    def arm_transmission(self, device: int) -> float:
        """Return the power transmission from behind the prefilter to a device."""
        arm = "ab"[device]
        if not self._wiring.switch[arm].passes:
            return 0.0
        volts = self._wiring.actuator[f"attenuator_{arm}"].voltage
        opened = attenuator_transmission(volts, self.parameters)
        world = self.parameters
        return world.arm_input[device] * world.arm_transmission[device] * opened

    def _state(self, laser: int) -> "LaserState":
        return self._wiring.laser[LASERS[laser]].state
