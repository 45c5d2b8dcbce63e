"""Baths: thermal occupation and the conventions of damping rates."""

from cmath import isfinite
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory import constants

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

Convention = Literal["energy", "amplitude", "brownian"]
"""What a damping rate means.

``energy``: the energy decays at the rate κ, da/dt = −(κ/2) a − √κ a_in (seeds 000, 002);
``amplitude``: the amplitude does, da/dt = −κ a − √(2κ) a_in (seeds 001, 004);
``brownian``: only the momentum is damped, dp/dt = −γ p + ξ, ⟨ξξ⟩ = γ (2n̄ + 1) (mechanics of seed
004), the limit of high Q.
"""
CONVENTIONS: Final = get_args(Convention)


def thermal_occupation(omega: ArrayLike, temperature: ArrayLike) -> Real:
    """Bose occupation n̄ = 1/(e^{ħω/k_B T} − 1), 0 at T = 0.

    Parameters
    ----------
    omega : array_like
        Angular frequency in rad/s, > 0.
    temperature : array_like
        In K, ≥ 0.

    Raises
    ------
    ValueError
        If a frequency is not positive or a temperature negative.
    """
    thermal = constants.k * non_negative("temperature", temperature)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(1.0 / np.expm1(constants.hbar * _positive("omega", omega) / thermal))


def temperature_of(occupation: ArrayLike, omega: ArrayLike) -> Real:
    """Return the temperature (K) at which a mode has an occupation; inverse of the above.

    Raises
    ------
    ValueError
        If an occupation is negative or a frequency (rad/s) not positive.
    """
    quantum = constants.hbar * _positive("omega", omega)
    with np.errstate(divide="ignore"):
        ratio = np.log1p(1.0 / non_negative("occupation", occupation))
    return np.asarray(quantum / (constants.k * ratio))


def energy_rate(damping: ArrayLike, convention: Convention) -> Real:
    """Rate at which the energy decays, κ or 2κ; of Brownian damping the mean over a period, γ."""
    return np.asarray(damping, np.float64) * (2.0 if convention == "amplitude" else 1.0)


def non_negative(name: str, value: ArrayLike) -> Real:
    """Return `value` as an array if it is finite and ≥ 0, else raise ValueError naming it."""
    array = np.asarray(value, np.float64)
    if array.ndim == 0 and 0 <= float(array) < np.inf:
        return array
    wrong = ~((array >= 0) & np.isfinite(array))
    if np.any(wrong):
        message = f"`{name}` must be finite and ≥ 0, but is {array[wrong].flat[0]}"
        raise ValueError(message)
    return array


def _positive(name: str, value: ArrayLike) -> Real:
    array = np.asarray(value, np.float64)
    if not np.all((array > 0) & np.isfinite(array)):
        message = f"`{name}` must be finite and > 0, but is {array}"
        raise ValueError(message)
    return array


def finite(name: str, value: ArrayLike) -> NDArray[np.complex128]:
    """Return `value` as an array if it is finite, else raise ValueError naming it."""
    array = np.asarray(value, np.complex128)
    if array.ndim == 0 and isfinite(complex(array)):
        return array
    wrong = ~np.isfinite(array)
    if np.any(wrong):
        message = f"`{name}` must be finite, but is {np.asarray(value)[wrong].flat[0]:g}"
        raise ValueError(message)
    return array


def unit_phase(phase: ArrayLike) -> Complex:
    """Return e^{iφ} with parts below rounding exactly 0, so that φ = π makes it real."""
    value = np.exp(1j * np.asarray(phase, np.float64))
    return np.asarray(_snap(value.real) + 1j * _snap(value.imag))


def _snap(part: Real) -> Real:
    return np.where(np.abs(part) < 4 * np.finfo(np.float64).eps, 0.0, part)
