"""The conditions of a trial, and the light they bring to the detectors beside the pair's."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from simulation.lab.device import DevicePulse, heating, reflected_parts, resting_phonons
from simulation.lab.emission import Arrival, UncorrelatedPulse
from simulation.lab.optics import TunableFilterState
from simulation.lab.scattering import FilteredPulse, ScatteredPulse, photon_energy
from simulation.lab.world_parameters import WorldParameters

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditions:
    """What a trial is made of now.

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
    noise : tuple of float
        Of each laser, photons on the cavity's resonance per drive photon.
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
    noise: tuple[float, float] = (0.0, 0.0)


def arm_output(parameters: WorldParameters) -> Real:
    """Part of the photons of devices A, B that reaches the combining coupler."""
    return np.multiply(parameters.arm_output, parameters.arm_transmission)


def combined(parameters: WorldParameters) -> Real:
    """Part of device X's output in port j of the combining coupler, element [laser, X, j]."""
    pump, read = parameters.splitting, parameters.read_splitting
    through = np.array([pump, pump if read is None else read])
    coupler = np.array([[through, 1 - through], [1 - through, through]])
    return np.asarray(arm_output(parameters)[:, None] * np.moveaxis(coupler, -1, 0))


def collection(conditions: Conditions, parameters: WorldParameters) -> Real:
    """Part of device X's output that detector j would see without filters: [laser, X, j]."""
    eta = np.multiply(parameters.detection, conditions.efficiency)
    return np.asarray(combined(parameters) * eta)


def leaked_photons(
    conditions: Conditions, light: FilteredPulse, number: int, collected: Real
) -> tuple[float, float]:
    """Return the drive photons of pulse `number` that detectors 1, 2 detect, laser noise too."""
    energy = np.array([[train[number].energy] for train in conditions.trains])
    laser = conditions.pulses[number].laser
    photons = energy / photon_energy(conditions.laser_hz[laser])
    passed = light.leak + conditions.noise[laser] * light.passage
    first, second = np.sum(photons * passed * collected[laser], axis=0)
    return float(first), float(second)


def path_delay(parameters: WorldParameters) -> float:
    """Return the time from the AOM's output to a detector, s."""
    return parameters.eom_arm_delay + parameters.detection_delay


def uncorrelated_pulse(
    conditions: Conditions,
    filtered: Sequence[FilteredPulse],
    number: int,
    collected: Real,
    parameters: WorldParameters,
) -> UncorrelatedPulse:
    """Return the clicks of pulse `number`, taken as one outside the pair."""
    pulse, light = conditions.pulses[number], filtered[number]
    mean = np.array(leaked_photons(conditions, light, number, collected))
    for x in (0, 1):
        train = conditions.trains[x]
        phonons = resting_phonons(x, conditions.temperature, parameters)
        phonons += heating(x, train, number, parameters)
        mine = train[number]
        photons = mine.stokes * (1 + phonons) if pulse.side < 0 else mine.anti_stokes * phonons
        mean += photons * light.passage[x] * collected[pulse.laser, x]
    # the ringing of the filters is left out: nobody looks at the shape of such a pulse
    arrival = Arrival(
        start=pulse.light.start + path_delay(parameters), cumulative=pulse.light.arrived
    )
    return UncorrelatedPulse(mean=mean, arrival=(arrival, arrival))


def unpulsed_rate(conditions: Conditions, collected: Real, parameters: WorldParameters) -> Real:
    """Return the clicks per s of light between the pulses: what leaks, scatters, strays."""
    lasers = np.array(conditions.laser_hz)
    scattered = np.array([-1, 1])[:, None, None] * np.array(parameters.omega_m_hz)
    scattered = scattered + lasers[:, None]
    on_resonance = np.array([parameters.resonance_hz[0]])
    passed = _passed(conditions, np.concatenate([lasers, scattered.ravel(), on_resonance]))
    sensitive = np.divide(conditions.efficiency, parameters.detector_efficiency)
    stray = np.array(parameters.stray_light_hz) * sensitive * passed[-1]
    back = reflected_parts(lasers, parameters).T
    flux = conditions.resting_power * back / photon_energy(lasers)[:, None]
    rate = np.einsum("lx,lxj,lj->j", flux, collected, passed[:2])
    phonons = np.array([resting_phonons(x, conditions.temperature, parameters) for x in (0, 1)])
    photons = conditions.resting_power * conditions.resting_scattering
    photons = photons * np.array([1 + phonons, phonons])[:, None, :]
    return np.asarray(
        rate
        + stray
        + np.einsum("slx,lxj,slxj->j", photons, collected, passed[2:-1].reshape(2, 2, 2, 2))
    )


def _passed(conditions: Conditions, frequency: Real) -> Real:
    """Power transmission of the filters before detectors 1, 2 (last axis)."""
    passed = [
        [prod(element.transmission(light) for element in chain) for chain in conditions.filters]
        for light in frequency.tolist()
    ]
    return np.array(passed)
