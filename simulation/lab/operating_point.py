"""What the instruments' settings amount to: the DLCZ parameters valid for a block of trials."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulation.lab.device import DevicePulse, heating, resting_phonons
from simulation.lab.emission import PHASES, Arrival, FringePatterns, UncorrelatedPulse
from simulation.lab.optics import TunableFilterState
from simulation.lab.scattering import (
    FilteredPulse,
    ScatteredPulse,
    intensity,
    photon_energy,
    through_filters,
)
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import DLCZParameters, click_probabilities

Real = NDArray[np.float64]

_GATE = 60e-9
"""Gate for which `DLCZParameters.dark_j` is stated, s (seed 003)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """State of the world that decides the click statistics, interferometer phase apart.

    Attributes
    ----------
    pulses : tuple of ScatteredPulse
        In time order.
    trains : tuple of tuples of DevicePulse
        The same pulses as device A sees them, and as device B does.
    laser_hz : tuple of float
        Optical frequencies.
    resting_power : ndarray, shape (2, 2)
        W of laser l at device X between the pulses.
    resting_scattering : ndarray, shape (2, 2, 2)
        Photons per s and W that they scatter there without phonons, element [side, l, X].
    in_step : bool
        Whether the phase modulation repeats from trial to trial.
    filters : sequence of sequences of TunableFilterState
        Before detectors 1, 2.
    temperature : float
        K.
    efficiency, dark_rate : tuple of float
        Of detectors 1, 2; dark counts per s.
    """

    pulses: tuple[ScatteredPulse, ...]
    trains: tuple[tuple[DevicePulse, ...], tuple[DevicePulse, ...]]
    laser_hz: tuple[float, float]
    resting_power: Real
    resting_scattering: Real
    in_step: bool
    filters: Sequence[Sequence[TunableFilterState]]
    temperature: float
    efficiency: tuple[float, float]
    dark_rate: tuple[float, float]


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
        Indistinguishability of the devices' photons, 0 to 1.
    patterns : FringePatterns
    arrivals : tuple of Arrival
        Of p1, p2, r1, r2 at the detectors.
    others : tuple of UncorrelatedPulse
        Further pulses.
    steady_rate : ndarray, shape (2,)
        Dark counts and unpulsed light per s at detectors 1, 2.
    """

    parameters: DLCZParameters
    passage: Real
    contrast: float
    patterns: FringePatterns
    arrivals: tuple[Arrival, ...]
    others: tuple[UncorrelatedPulse, ...]
    steady_rate: Real

    def theta(self, phase: Real | float) -> Real:
        """Return the fringe phase θ = 2 φ₀ + Δφ + ΔΩ τ for interferometer phases (rad)."""
        own = self.parameters
        turning = 2 * np.pi * np.asarray(own.delta_omega_hz) * own.delay
        offset = 2 * np.asarray(own.phi_0) + own.delta_phi + turning
        return np.asarray(offset + 2 * np.asarray(phase))

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
    collection = _collection(conditions, parameters)
    others = tuple(
        _uncorrelated(conditions, filtered, number, collection, parameters)
        for number in range(len(filtered))
        if pair is None or number not in pair
    )
    gate_dark = np.array(conditions.dark_rate) * _GATE
    base = DLCZParameters(
        splitting=parameters.splitting,
        dark_1=float(gate_dark[0]),
        dark_2=float(gate_dark[1]),
        phi_0=parameters.path_phase,
        delta_omega_hz=parameters.omega_m_hz[1] - parameters.omega_m_hz[0],
        **_numbered("lifetime", parameters.lifetime, "AB"),
        **_numbered("eta", parameters.arm_output, "AB"),
        **_numbered("eta", np.multiply(parameters.detection, conditions.efficiency), "12"),
    )
    steady = np.array(conditions.dark_rate) + _unpulsed(conditions, collection, parameters)
    if pair is None:
        return _without_pair(base, others, steady)
    pump, read = (filtered[number] for number in pair)
    overlap = pump.overlap * read.overlap
    paired = _with_pair(base, conditions, pair, parameters)
    paired = replace(
        paired,
        delta_phi=float(_wrapped(np.angle(overlap) - _turning(paired))),
        **_numbered("leak_pump", _leak(conditions, pump, pair[0], collection), "12"),
        **_numbered("leak_read", _leak(conditions, read, pair[1], collection), "12"),
    )
    passage = np.array([pump.passage, read.passage])
    delay = parameters.eom_arm_delay + parameters.detection_delay
    return OperatingPoint(
        parameters=paired,
        passage=passage,
        contrast=float(abs(overlap)) if conditions.in_step else 0.0,
        patterns=_patterns(paired, passage),
        arrivals=tuple(
            arrival
            for number, light in zip(pair, (pump, read), strict=True)
            for arrival in _arrivals(conditions.pulses[number], light, delay)
        ),
        others=others,
        steady_rate=steady,
    )


def _pair(pulses: Sequence[ScatteredPulse]) -> tuple[int, int] | None:
    """Numbers of the first blue pulse and of the first red one after it."""
    sides = [pulse.side for pulse in pulses]
    if -1 not in sides or 1 not in sides[sides.index(-1) :]:
        return None
    first = sides.index(-1)
    return first, sides.index(1, first)


def _with_pair(
    base: DLCZParameters,
    conditions: Conditions,
    pair: tuple[int, int],
    parameters: WorldParameters,
) -> DLCZParameters:
    """Fill in what pump and read do to the devices."""
    pump, read = pair
    delay = conditions.trains[0][read].time - conditions.trains[0][pump].time
    values: dict[str, float] = {"delay": delay}
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
    return replace(base, **values)


def _without_pair(
    base: DLCZParameters, others: tuple[UncorrelatedPulse, ...], steady: Real
) -> OperatingPoint:
    silent = replace(
        base,
        **{f"{name}_{x}": 0.0 for name in ("p_pump", "p_read") for x in "AB"},
        **{f"leak_{gate}_{j}": 0.0 for gate in ("pump", "read") for j in "12"},
    )
    never = np.zeros((len(PHASES), 16))
    never[:, 0] = 1.0
    nowhere = Arrival.of(0.0, np.ones(1))
    return OperatingPoint(
        parameters=silent,
        passage=np.ones((2, 2, 2)),
        contrast=0.0,
        patterns=FringePatterns.of(never),
        arrivals=(nowhere,) * 4,
        others=others,
        steady_rate=steady,
    )


def _patterns(parameters: DLCZParameters, passage: Real) -> FringePatterns:
    """Ask the exact model around the fringe; darks are drawn apart, over the whole trial."""
    around = replace(
        parameters,
        delta_phi=PHASES - 2 * np.asarray(parameters.phi_0) - _turning(parameters),
        dark_1=0.0,
        dark_2=0.0,
    )
    probabilities = click_probabilities(around, passage).patterns
    return FringePatterns.of(probabilities.reshape(len(PHASES), 16))


def _turning(parameters: DLCZParameters) -> float:
    """ΔΩ τ in rad."""
    return float(2 * np.pi * np.asarray(parameters.delta_omega_hz) * parameters.delay)


def _collection(conditions: Conditions, parameters: WorldParameters) -> Real:
    """Part of device X's output that detector j would see without filters, element [X, j]."""
    through = parameters.splitting
    coupler = np.array([[through, 1 - through], [1 - through, through]])
    eta = np.multiply(parameters.detection, conditions.efficiency)
    return np.asarray(np.array(parameters.arm_output)[:, None] * coupler * eta)


def _leak(
    conditions: Conditions, light: FilteredPulse, number: int, collection: Real
) -> tuple[float, float]:
    """Drive photons of a pulse that detectors 1, 2 detect."""
    energy = np.array([[train[number].energy] for train in conditions.trains])
    laser_hz = conditions.laser_hz[conditions.pulses[number].laser]
    photons = energy / photon_energy(laser_hz)
    first, second = np.sum(photons * light.leak * collection, axis=0)
    return float(first), float(second)


def _uncorrelated(
    conditions: Conditions,
    filtered: Sequence[FilteredPulse],
    number: int,
    collection: Real,
    parameters: WorldParameters,
) -> UncorrelatedPulse:
    """Mean clicks of a pulse outside the pair."""
    pulse, light = conditions.pulses[number], filtered[number]
    mean = np.array(_leak(conditions, light, number, collection))
    for x in (0, 1):
        train = conditions.trains[x]
        phonons = resting_phonons(x, conditions.temperature, parameters)
        phonons += heating(x, train, number, parameters)
        mine = train[number]
        photons = mine.stokes * (1 + phonons) if pulse.side < 0 else mine.anti_stokes * phonons
        mean += photons * light.passage[x] * collection[x]
    delay = parameters.eom_arm_delay + parameters.detection_delay
    # the ringing of the filters is left out: nobody looks at the shape of such a pulse
    arrival = Arrival.of(pulse.light.start + delay, pulse.light.transmission)
    return UncorrelatedPulse(mean=mean, arrival=(arrival, arrival))


def _unpulsed(conditions: Conditions, collection: Real, parameters: WorldParameters) -> Real:
    """Clicks per s of light between the pulses: leaked drive, and what it scatters."""
    lasers = np.array(conditions.laser_hz)
    omega_hz = np.array(parameters.omega_m_hz)
    flux = conditions.resting_power / photon_energy(lasers)[:, None]
    rate = np.einsum("lx,xj,lj->j", flux, collection, _passed(conditions, lasers))
    phonons = np.array([resting_phonons(x, conditions.temperature, parameters) for x in (0, 1)])
    for number, (side, occupied) in enumerate(((-1, 1 + phonons), (1, phonons))):
        photons = conditions.resting_power * conditions.resting_scattering[number] * occupied
        passed = _passed(conditions, lasers[:, None] + side * omega_hz)
        rate = rate + np.einsum("lx,xj,lxj->j", photons, collection, passed)
    return np.asarray(rate)


def _passed(conditions: Conditions, frequency: Real) -> Real:
    """Power transmission of the filters before detectors 1, 2 (last axis)."""
    return np.stack(
        [
            np.prod([np.abs(element.amplitude(frequency)) ** 2 for element in chain], axis=0)
            for chain in conditions.filters
        ],
        axis=-1,
    )


def _arrivals(pulse: ScatteredPulse, light: FilteredPulse, delay: float) -> tuple[Arrival, Arrival]:
    start = pulse.light.start + delay
    first, second = (Arrival.of(start, part) for part in intensity(pulse, light))
    return first, second


def _numbered(name: str, values: Sequence[float] | Real, suffixes: str) -> dict[str, float]:
    return {f"{name}_{s}": float(value) for s, value in zip(suffixes, values, strict=True)}


def _wrapped(phase: float | Real) -> Real:
    """Phase in (−π, π]."""
    return np.asarray(np.pi - np.mod(np.pi - np.asarray(phase), 2 * np.pi))
