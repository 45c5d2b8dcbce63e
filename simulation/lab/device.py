"""The optomechanical devices: what a drive pulse scatters, and how it heats."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants

from simulation.lab.world_parameters import WorldParameters
from simulation.theory.baths import thermal_occupation
from simulation.theory.sideband import (
    drive_photons,
    off_sideband,
    reflectivity,
    scattering_rate,
)

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePulse:
    """A drive pulse as one device sees it.

    Attributes
    ----------
    time : float
        Its middle, s after the trigger.
    energy : float
        J at the device.
    stokes : float
        p = e^{2∫𝒢dt} − 1, photons by Stokes scattering off mechanics in its ground state.
    anti_stokes : float
        W = 1 − e^{−2∫𝒢dt}, part of the phonons read out.
    """

    time: float
    energy: float
    stokes: float
    anti_stokes: float


def scattering_spectrum(
    device: int, drive_hz: ArrayLike, side: int, parameters: WorldParameters
) -> Real:
    """Return 2𝒢 per W of drive at each optical frequency (1/J), seed 000 Eqs. (9)–(17).

    𝒢 = 2 g₀² n_c/κ, n_c = κ_e P/[ħω (κ²/4 + Δ²)], times 1/[1 + (2δ/κ)²] for a scattered photon δ
    off the cavity's resonance.

    Parameters
    ----------
    device : {0, 1}
        A or B.
    drive_hz : array_like
        Optical frequencies of the drive.
    side : {-1, 1}
        −1 for Stokes (photon a mechanical frequency below the drive), 1 for anti-Stokes.
    parameters : WorldParameters
    """
    drive_hz = np.asarray(drive_hz, np.float64)
    detuning = 2 * np.pi * (drive_hz - parameters.resonance_hz[device])
    kappa = parameters.kappa
    photons = drive_photons(
        1.0,
        wavelength=constants.c / drive_hz,
        kappa=kappa,
        detuning=detuning,
        kappa_ext=parameters.coupling_ratio * kappa,
    )
    coupling = 2 * np.pi * parameters.g_0_hz[device] * np.sqrt(photons)
    omega_m = 2 * np.pi * parameters.omega_m_hz[device]
    rate = scattering_rate(coupling, kappa) * off_sideband(detuning + side * omega_m, kappa)
    return np.asarray(2 * rate)


def reflected_parts(light_hz: ArrayLike, parameters: WorldParameters) -> Real:
    """Return the part of light that the cavities of devices A, B reflect, shape (2, ...).

    Parameters
    ----------
    light_hz : array_like
        Optical frequencies.
    parameters : WorldParameters
    """
    light = np.asarray(light_hz, np.float64)
    detuning = np.stack([light - resonance for resonance in parameters.resonance_hz])
    kappa = parameters.kappa
    external = parameters.coupling_ratio * kappa
    return reflectivity(2 * np.pi * detuning, kappa=kappa, kappa_ext=external)


def resting_phonons(device: int, temperature: float, parameters: WorldParameters) -> float:
    """Return 1/(e^{ħΩ/kT} − 1) plus what imperfect thermalisation adds."""
    thermal = _thermal_phonons(parameters.omega_m_hz[device], temperature)
    return thermal + parameters.excess_phonons[device]


@lru_cache(maxsize=16)
def _thermal_phonons(frequency_hz: float, temperature: float) -> float:
    return float(thermal_occupation(2 * np.pi * frequency_hz, temperature))


def heating(
    device: int, pulses: Sequence[DevicePulse], number: int, parameters: WorldParameters
) -> float:
    """Return the phonons that absorption has added when pulse `number` of a trial scatters.

    ṅ = −Γn + k e^{−γt} after each pulse (seed 003, supplement): n = b (e^{−Γt} − e^{−γt}), besides
    what a pulse adds at once, which decays with Γ. A pulse of energy E counts with E (1 + cE), c
    the world's `heating_curvature`; the previous trial's pulses count too. The pulse's own prompt
    heating is included.
    """
    now = pulses[number]
    phonons = parameters.prompt_heating[device] * _heat(now.energy, parameters)
    decay, bath = parameters.lifetime[device], parameters.bath_lifetime
    for other, pulse in enumerate(pulses):
        elapsed = now.time - pulse.time + (parameters.period if other >= number else 0.0)
        left = exp(-elapsed / decay)
        delayed = parameters.bath_heating[device] * (left - exp(-elapsed / bath))
        prompt = parameters.prompt_heating[device] * left
        phonons += _heat(pulse.energy, parameters) * (delayed + prompt)
    return phonons


def _heat(energy: float, parameters: WorldParameters) -> float:
    return energy * (1 + parameters.heating_curvature * energy)
