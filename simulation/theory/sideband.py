"""Pulsed optomechanics on a resolved mechanical sideband: from drive power to pairs and swaps.

A drive detuned by a mechanical frequency scatters at the rate 𝒢 = 2 G²/κ (weak coupling, the
cavity follows adiabatically): above the resonance into Stokes pairs, below it into anti-Stokes
swaps. Over a pulse much shorter than the mechanical lifetime, with κ the energy decay rate,

    cosh r = e^{𝒢τ},  p = sinh² r = e^{2𝒢τ} − 1,    W = 1 − e^{−2𝒢τ}.

Source: Fan & Cheng, Eqs. (9)–(17); Hofer et al., Phys. Rev. A 84, 052327 (2011).
"""

from math import inf

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory import constants

Real = NDArray[np.float64]


def drive_photons(
    power: ArrayLike,
    *,
    wavelength: ArrayLike,
    kappa: ArrayLike,
    detuning: ArrayLike,
    kappa_ext: ArrayLike | None = None,
) -> Real:
    """Return the intracavity drive photons n_c = κ_e P / [ħω_l (κ²/4 + Δ²)].

    Parameters
    ----------
    power : array_like
        Drive power at the cavity, P (W).
    wavelength : array_like
        Of the drive (m).
    kappa : array_like
        Energy decay rate of the cavity, κ (rad/s).
    detuning : array_like
        Drive from resonance, Δ (rad/s); a mechanical frequency on a sideband.
    kappa_ext : array_like, optional
        External part of κ, κ_e (rad/s); all of it by default (overcoupled).

    Raises
    ------
    ValueError
        If a value is negative or not finite, wavelength or κ zero, or κ_e > κ.
    """
    power, kappa = _checked("power", power), _checked("kappa", kappa, above=True)
    wavelength = _checked("wavelength", wavelength, above=True)
    external = kappa if kappa_ext is None else _external(kappa, kappa_ext)
    energy = constants.h * constants.c / wavelength
    detuning = np.asarray(detuning, np.float64)
    return np.asarray(external * power / (energy * (kappa**2 / 4 + detuning**2)))


def reflectivity(detuning: ArrayLike, *, kappa: ArrayLike, kappa_ext: ArrayLike) -> Real:
    """Return the power reflected by a single-sided cavity, 1 − 4η(1 − η)/[1 + (2Δ/κ)²].

    η = κ_e/κ. From input–output theory, r = 1 − κ_e/(κ/2 − iΔ); at critical coupling, η = 1/2,
    nothing comes back on resonance.

    Parameters
    ----------
    detuning : array_like
        Light from resonance, Δ (rad/s).
    kappa, kappa_ext : array_like
        Energy decay rate of the cavity, and the part of it into the waveguide, κ_e (rad/s).

    Raises
    ------
    ValueError
        If κ is not positive, κ_e negative, or κ_e > κ.
    """
    external = _external(kappa, kappa_ext) / np.asarray(kappa, np.float64)
    return np.asarray(1 - 4 * external * (1 - external) * off_sideband(detuning, kappa))


def scattering_rate(coupling: ArrayLike, kappa: ArrayLike) -> Real:
    """Return 𝒢 = 2 G²/κ (1/s), with G = g₀ √n_c and κ in rad/s."""
    coupling = _checked("coupling", coupling)
    return np.asarray(2 * coupling**2 / _checked("kappa", kappa, above=True))


def pair_probability(rate: ArrayLike, duration: ArrayLike) -> Real:
    """Return p = sinh² r = e^{2𝒢τ} − 1: Stokes photons of a pulse on mechanics in its ground state.

    Parameters
    ----------
    rate : array_like
        𝒢 (1/s).
    duration : array_like
        Length of the flat pulse, τ (s).
    """
    return np.asarray(np.expm1(_exponent(rate, duration)))


def squeezing_parameter(rate: ArrayLike, duration: ArrayLike) -> Real:
    """Return r = arcosh e^{𝒢τ} of the two-mode squeezing by a pulse on the Stokes sideband."""
    return np.asarray(np.arcsinh(np.sqrt(pair_probability(rate, duration))))


def swap_efficiency(rate: ArrayLike, duration: ArrayLike) -> Real:
    """Return W = 1 − e^{−2𝒢τ}: phonons read out by a pulse on the anti-Stokes sideband."""
    return np.asarray(-np.expm1(-_exponent(rate, duration)))


def off_sideband(offset: ArrayLike, kappa: ArrayLike) -> Real:
    """Return 1/[1 + (2δ/κ)²], by which 𝒢 falls if scattered photons are δ off resonance."""
    offset = np.asarray(offset, np.float64)
    return np.asarray(1 / (1 + (2 * offset / _checked("kappa", kappa, above=True)) ** 2))


def sideband_occupation(stokes: ArrayLike, anti_stokes: ArrayLike, p_pump: ArrayLike = 0.0) -> Real:
    """Return the phonons told by the asymmetry of both sidebands at equal pulse energy.

    Rates ∝ p (1 + n) and W n with W = p/(1 + p), both exact, so that x = (1 + p) R_aS/R_S gives
    n = x/(1 − x). Read and pump must not heat: their phonons are counted.

    Parameters
    ----------
    stokes, anti_stokes : array_like
        Photon rates in the same units, background subtracted; chance may leave less than none of
        the anti-Stokes light, and of n.
    p_pump : array_like
        p of the Stokes pulse; 0 is the limit of weak pulses.

    Raises
    ------
    ValueError
        If the Stokes rate is not positive or the asymmetry is one no temperature gives.
    """
    stokes = _checked("stokes", stokes, above=True)
    ratio = (1 + _checked("p_pump", p_pump)) * np.asarray(anti_stokes, np.float64) / stokes
    if not np.all(ratio < 1):
        message = (
            "`anti_stokes` must stay below stokes/(1 + p_pump), as for every occupation, but the "
            f"ratio (1 + p_pump) anti_stokes/stokes is {np.max(ratio):g}; check the background"
        )
        raise ValueError(message)
    return np.asarray(ratio / (1 - ratio))


def _exponent(rate: ArrayLike, duration: ArrayLike) -> Real:
    return 2 * _checked("rate", rate) * _checked("duration", duration)


def _external(kappa: ArrayLike, kappa_ext: ArrayLike) -> Real:
    """Return κ_e, checked against κ."""
    kappa, external = _checked("kappa", kappa, above=True), _checked("kappa_ext", kappa_ext)
    if not np.all(external <= kappa):
        message = f"`kappa_ext` must not exceed `kappa`, but is {external} against {kappa}"
        raise ValueError(message)
    return external


def _checked(name: str, value: ArrayLike, *, above: bool = False) -> Real:
    array = np.asarray(value, np.float64)
    if array.ndim == 0 and 0 < float(array) < inf:
        return array
    if not np.all(np.isfinite(array) & ((array > 0) if above else (array >= 0))):
        text = "be finite and > 0" if above else "be finite and ≥ 0"
        message = f"`{name}` must {text}, but is {array}"
        raise ValueError(message)
    return array
