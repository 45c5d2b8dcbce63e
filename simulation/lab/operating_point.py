"""What the instruments' settings amount to: the DLCZ parameters valid for a block of trials."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from simulation.lab.device import heating, resting_phonons
from simulation.lab.emission import PHASES, Arrival, FringePatterns, UncorrelatedPulse
from simulation.lab.light_budget import (
    Conditions,
    arm_output,
    collection,
    combined,
    leaked_photons,
    path_delay,
    uncorrelated_pulse,
    unpulsed_rate,
)
from simulation.lab.scattering import FilteredPulse, ScatteredPulse, intensity, through_filters
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import DLCZParameters, click_patterns, fringe_phase

Real = NDArray[np.float64]
Values = dict[str, float]

_GATE = 60e-9
"""Gate for which `DLCZParameters.dark_j` is stated, s (seed 003)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OperatingPoint:
    """Click statistics that hold while conditions do.

    Attributes
    ----------
    parameters : DLCZParameters
        The model of seed 003 at an interferometer phase of 0 (pump and read probability 0 if
        there is no blue pulse followed by a red one). ``dark_j`` is for a gate of 60 ns.
    passage : ndarray, shape (2, 2, 2)
        Filter transmission by gate, device, detector, besides `parameters`.
    contrast : float
        Indistinguishability of the devices' photons, polarisation included, 0 to 1.
    phase_noise : float
        Standard deviation of θ by the mechanics, rad; the interferometer's comes on top.
    patterns : FringePatterns
    arrivals : tuple of Arrival
        Of p1, p2, r1, r2 at the detectors.
    others : tuple of UncorrelatedPulse
        Further pulses.
    steady_rate : ndarray, shape (2,)
        Dark counts and unpulsed light per s at detectors 1, 2.
    energy : ndarray, shape (2, 2)
        Of the pair's pulses at the devices, J, element [pump or read, device].
    """

    parameters: DLCZParameters
    passage: Real
    contrast: float
    phase_noise: float
    patterns: FringePatterns
    arrivals: tuple[Arrival, ...]
    others: tuple[UncorrelatedPulse, ...]
    steady_rate: Real
    energy: Real

    def theta(self, phase: Real | float) -> Real:
        """Return the fringe phase θ = 2 φ₀ + Δφ + ΔΩ τ for interferometer phases (rad)."""
        return np.asarray(fringe_phase(self.parameters) + 2 * np.asarray(phase))

    def click_rates(self, period: float) -> Real:
        """Return the expected clicks per s at detectors 1, 2, averaged over the fringe."""
        mean = self.patterns.at(np.zeros(1), np.array([10.0]), 1.0)[0]
        bits = np.arange(16)
        pair = [mean[(bits & mask) > 0].sum() for mask in (8, 4, 2, 1)]
        light = np.array([pair[0] + pair[2], pair[1] + pair[3]])
        for other in self.others:
            light = light + other.mean
        return np.asarray(light / period + self.steady_rate)


def operating_point(conditions: Conditions, parameters: WorldParameters) -> OperatingPoint:
    """Return the click statistics under these conditions.

    The first blue (Stokes) pulse and the first red one after it are the pump–read pair of the
    exact model; light of all other pulses is uncorrelated. Photons of a pulse's far sideband are
    10 GHz off the filters and left out, as is what pulses between pump and read would read out.
    """
    filtered = [
        through_filters(pulse, conditions.laser_hz[pulse.laser], conditions.filters, parameters)
        for pulse in conditions.pulses
    ]
    pair = _pair(conditions.pulses)
    collected = collection(conditions, parameters)
    others = tuple(
        uncorrelated_pulse(conditions, filtered, number, collected, parameters)
        for number in range(len(filtered))
        if pair is None or number not in pair
    )
    steady = np.array(conditions.dark_rate) + unpulsed_rate(conditions, collected, parameters)
    setup = _setup(conditions, parameters)
    if pair is None:
        return _without_pair(setup, others, steady)
    pump, read = (filtered[number] for number in pair)
    overlap = pump.overlap * read.overlap
    values = setup | _mechanics(conditions, pair, parameters)
    values |= _numbered("leak_pump", leaked_photons(conditions, pump, pair[0], collected), "12")
    values |= _numbered("leak_read", leaked_photons(conditions, read, pair[1], collected), "12")
    turning = 2 * np.pi * values["delta_omega_hz"] * values["delay"]
    values["delta_phi"] = float(np.pi - np.mod(np.pi - (np.angle(overlap) - turning), 2 * np.pi))
    values["phi_0"] += _path_shift(conditions.laser_hz, parameters)
    paired, passage = DLCZParameters(**values), np.array([pump.passage, read.passage])
    if parameters.read_splitting is not None:
        by_pump, by_read = combined(parameters)
        passage[1] *= by_read / by_pump
    same = np.cos(parameters.polarisation_angle) ** 2
    jitter = float(np.hypot(*parameters.mechanical_jitter_hz))
    return OperatingPoint(
        parameters=paired,
        passage=passage,
        contrast=float(abs(overlap) * same) if conditions.in_step else 0.0,
        phase_noise=2 * np.pi * jitter * values["delay"],
        patterns=_patterns(paired, passage),
        arrivals=tuple(
            arrival
            for number, light in zip(pair, (pump, read), strict=True)
            for arrival in _arrivals(conditions.pulses[number], light, path_delay(parameters))
        ),
        others=others,
        steady_rate=steady,
        energy=np.array([[train[n].energy for train in conditions.trains] for n in pair]),
    )


def _pair(pulses: Sequence[ScatteredPulse]) -> tuple[int, int] | None:
    """Numbers of the first blue pulse and of the first red one after it."""
    sides = [pulse.side for pulse in pulses]
    if -1 not in sides or 1 not in sides[sides.index(-1) :]:
        return None
    first = sides.index(-1)
    return first, sides.index(1, first)


def _path_shift(laser_hz: tuple[float, float], parameters: WorldParameters) -> float:
    """φ₀ by arms of unequal length: half of θ, for pump and read share the lock."""
    usual = 2 * parameters.omega_m_hz[1]
    detour = parameters.path_mismatch / constants.c
    return float(np.pi * detour * (laser_hz[0] - laser_hz[1] - usual))


def _setup(conditions: Conditions, parameters: WorldParameters) -> Values:
    """Parameters that no pulse decides."""
    return {
        "splitting": parameters.splitting,
        "phi_0": parameters.path_phase,
        "delta_omega_hz": parameters.omega_m_hz[1] - parameters.omega_m_hz[0],
        **_numbered("dark", np.array(conditions.dark_rate) * _GATE, "12"),
        **_numbered("lifetime", parameters.lifetime, "AB"),
        **_numbered("eta", arm_output(parameters), "AB"),
        **_numbered("eta", np.multiply(parameters.detection, conditions.efficiency), "12"),
    }


def _mechanics(
    conditions: Conditions, pair: tuple[int, int], parameters: WorldParameters
) -> Values:
    """Parameters that say what pump and read do to the devices."""
    pump, read = pair
    delay = conditions.trains[0][read].time - conditions.trains[0][pump].time
    values: Values = {"delay": delay}
    for x, name in enumerate("AB"):
        rest = resting_phonons(x, conditions.temperature, parameters)
        train = conditions.trains[x]
        at_pump, at_read = (heating(x, train, number, parameters) for number in pair)
        left = at_pump * np.exp(-delay / parameters.lifetime[x])
        values |= {
            f"n_0_{name}": rest + at_pump,
            f"n_env_{name}": rest,
            f"n_heat_{name}": max(float(at_read - left), 0.0),
            f"p_pump_{name}": train[pump].stokes,
            f"p_read_{name}": train[read].anti_stokes,
        }
    return values


def _without_pair(
    setup: Values, others: tuple[UncorrelatedPulse, ...], steady: Real
) -> OperatingPoint:
    dark = {f"{name}_{x}": 0.0 for name in ("p_pump", "p_read") for x in "AB"}
    dark |= {f"leak_{gate}_{j}": 0.0 for gate in ("pump", "read") for j in "12"}
    never = np.zeros((len(PHASES), 16))
    never[:, 0] = 1.0
    nowhere = Arrival.of(0.0, np.ones(1))
    return OperatingPoint(
        parameters=DLCZParameters(**setup, **dark),
        passage=np.ones((2, 2, 2)),
        contrast=0.0,
        phase_noise=0.0,
        patterns=FringePatterns.of(never),
        arrivals=(nowhere,) * 4,
        others=others,
        steady_rate=steady,
        energy=np.zeros((2, 2)),
    )


def _patterns(parameters: DLCZParameters, passage: Real) -> FringePatterns:
    """Ask the exact model around the fringe; darks are drawn apart, over the whole trial."""
    elsewhere = fringe_phase(parameters) - parameters.delta_phi
    around = replace(parameters, delta_phi=PHASES - elsewhere, dark_1=0.0, dark_2=0.0)
    return FringePatterns.of(click_patterns(around, passage).reshape(len(PHASES), 16))


def _arrivals(pulse: ScatteredPulse, light: FilteredPulse, delay: float) -> tuple[Arrival, Arrival]:
    start = pulse.light.start + delay
    first, second = (Arrival.of(start, part) for part in intensity(pulse, light))
    return first, second


def _numbered(name: str, values: Sequence[float] | Real, suffixes: str) -> Values:
    return {f"{name}_{s}": float(value) for s, value in zip(suffixes, values, strict=True)}
