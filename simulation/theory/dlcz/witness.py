"""Field correlations, the measurable witness R_m and the true witness R of the model."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.witness.systematics import witness_ratio
from simulation.theory.dlcz.clicks import g2_clicks, ratio_to_accidental
from simulation.theory.dlcz.parameters import DLCZParameters
from simulation.theory.dlcz.state import detected_state, fringe_phase

Real = NDArray[np.float64]
G2 = Callable[[DLCZParameters], Real]


def g2_moments(parameters: DLCZParameters) -> Real:
    """g² of the detected fields from their moments (Wick), element [i, j] for (r_{i+1}, p_{j+1}).

    g²_ij = ⟨r_i†p_j†r_i p_j⟩ / (⟨r_i†r_i⟩⟨p_j†p_j⟩) = 1 + |⟨p_j r_i⟩|² / (⟨r_i†r_i⟩⟨p_j†p_j⟩),
    shape (..., 2, 2); with a contrast below 1 |⟨p_j r_i⟩|² is its mean over the mixture (see
    `simulation.theory.dlcz.state`). Leaked light belongs to the fields; dark and false clicks are
    no field and do not enter. Independent of efficiency but for the leaks.

    Raises
    ------
    ValueError
        If a mode holds no photons.
    """
    return ratio_to_accidental(*joint_photons(parameters))


def joint_photons(parameters: DLCZParameters) -> tuple[Real, Real]:
    """Return ⟨r_i†p_j†r_i p_j⟩ and ⟨r_i†r_i⟩⟨p_j†p_j⟩ of the fields, element [i, j] (Wick)."""
    state = detected_state(parameters)
    photons = state.photons
    accidental = photons[..., 2:, None] * photons[..., None, :2]
    pairs = np.abs(state.pump_read) ** 2
    lost = parameters.lost_interference[..., None, None]
    if np.any(lost):
        turned = replace(parameters, delta_phi=parameters.delta_phi + np.pi)
        there = np.abs(detected_state(turned).pump_read) ** 2
        pairs = (1 - lost / 2) * pairs + lost / 2 * there
    return accidental + np.swapaxes(pairs, -1, -2), accidental


def measurable_witness(g2: ArrayLike) -> Real:
    """R_m(j) of both heralding detectors from g_{1j} and g_{2j}; see `witness_ratio`.

    Parameters
    ----------
    g2 : array_like, shape (..., 2, 2)
        Element [i, j] for read detector i+1 and heralding detector j+1.

    Returns
    -------
    ndarray, shape (..., 2)
        Heralds 1, 2. All separable states have R_m ≥ 1. Without contrast (equal g²) R_m is inf:
        nothing is witnessed.
    """
    g2 = np.asarray(g2, np.float64)
    return witness_ratio(g2[..., 0, :], g2[..., 1, :])


def symmetrised_witness(r_m: ArrayLike) -> Real:
    """Mean of R_m(1) and R_m(2), shape (...): the expected witness of a symmetric set-up."""
    return np.asarray(np.mean(np.asarray(r_m, np.float64), axis=-1))


def true_witness(parameters: DLCZParameters) -> Real:
    """R(j) of the mechanical state heralded by a click, just before the read, seed 003 Eq. (S1).

    R(j) = ⟨m_A†m_A m_B†m_B⟩_j / |⟨m_A†m_B⟩_j|² of the state that a click of threshold detector j
    leaves: of light, leaked light included, or dark. With K = ⟨p_j†p_j⟩, n_X = ⟨m_X†m_X⟩,
    h_X = |⟨p_j m_X⟩|²/(1 + K), and w = (1 − dark_j)/(1 + K) that the detector stays silent,

        R(j) = (1 − w) [(1 − w) n_A n_B + w (h_A (n_B − h_B) + h_B (n_A − h_A))] / (w² h_A h_B).

    A faint herald without darks has the paper's weight p_j†p_j. Entangled if R < 1. Independent of
    all phases. Contrast and phase noise are taken as lost in the read: the state does not suffer.

    Returns
    -------
    ndarray, shape (..., 2)
        Heralds 1, 2; inf if the herald says nothing about one of the devices.

    Raises
    ------
    ValueError
        If a herald never arrives or a device holds no phonons.
    """
    state = detected_state(parameters)
    light = np.diagonal(state.pump, axis1=-2, axis2=-1).real
    dark = parameters.per_detector("dark")
    click, silent = (light + dark) / (1 + light), (1 - dark) / (1 + light)
    phonons = state.mechanics[..., None, :]
    told = np.abs(state.pump_mechanics) ** 2 / (1 + light[..., None])
    if not (np.all(click > 0) and np.all(phonons > 0)):
        message = (
            "the true witness needs clicks of both heralds and phonons in both devices; pump, "
            "efficiencies, leaks or darks must give the first, pump or heating the second"
        )
        raise ValueError(message)
    crossed = np.sum(told * (phonons - told)[..., ::-1], axis=-1)
    joint = click * phonons.prod(axis=-1) + silent * crossed
    with np.errstate(divide="ignore"):
        return np.asarray(click * joint / (silent**2 * told.prod(axis=-1)))


def visibility(parameters: DLCZParameters, g2: G2 = g2_clicks) -> Real:
    """Visibility (max − min)/(max + min) of g² between different detectors over the phase.

    The maximum is at θ = 0, the minimum at θ = π (exactly, for any imbalance); g² is the mean of
    r2p1 and r1p2, as in the paper's figures 3 and 4.

    Parameters
    ----------
    parameters : DLCZParameters
        Batch shape (...); `delta_phi` and `phi_0` do not matter.
    g2 : callable
        `g2_clicks` or `g2_moments`.

    Returns
    -------
    ndarray, shape (...)
    """
    to_maximum = parameters.delta_phi - fringe_phase(parameters)
    high = _different_detectors(g2(replace(parameters, delta_phi=to_maximum)))
    low = _different_detectors(g2(replace(parameters, delta_phi=to_maximum + np.pi)))
    return np.asarray((high - low) / (high + low))


def _different_detectors(g2: Real) -> Real:
    return np.asarray(0.5 * (g2[..., 1, 0] + g2[..., 0, 1]))
