"""Entanglement of what a herald leaves, and of the unheralded pair, beyond the witness R_m.

Of the heralded devices A and B (a state without means, one kind of mode)::

    concurrence ≥ 2|d| − 2√(p00 p11)                      exact, or with click populations q and
                                                          d = V (q10 + q01)/2 (no lower bound then)
    Hillery–Zubairy 1: ⟨n_A n_B⟩ − |⟨a†b⟩|² < 0           this is R < 1; HZ 2 needs ⟨ab⟩, which is 0
    partial transpose on {0, 1}²: lowest eigenvalue < 0

Of a device and its Stokes light, unheralded (⟨s m⟩ real by choice of phase)::

    Duan  (Var(x_s − x_m) + Var(p_s + p_m))/2 = 1 + n_s + n_m − 2|⟨s m⟩| < 1
    EPR   2 V(m|s) < 1 with V(m|s) = n_m + 1/2 − |⟨s m⟩|²/(n_s + 1/2), and m ↔ s
    ν = ((a + b) − √((a − b)² + 4c²))/2, a = n_s + 1/2, b = n_m + 1/2, c = |⟨s m⟩|; E_N = −log₂ 2ν
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.dlcz import DLCZParameters, detected_state
from simulation.theory.dlcz.state import device_moments
from simulation.theory.protocols import heralded
from simulation.theory.threshold import Conditioned, condition

Real = NDArray[np.float64]

HERALDED: Final = (
    "p00",
    "p10",
    "p01",
    "p11",
    "abs_d",
    "C",
    "q10",
    "q01",
    "q11",
    "C_clicks",
    "V",
    "R",
    "HZ1",
    "transposed",
    "duan",
)
"""What `heralded_witnesses` returns, in order."""

PAIR: Final = ("duan", "epr_m_s", "epr_s_m", "two_nu", "E_N")
"""What `pair_witnesses` returns, in order."""


def heralded_devices(
    parameters: DLCZParameters, detector: int, *, transmissivity: ArrayLike = 1.0
) -> Conditioned:
    """Mechanics A, B just before the read, given a click of one detector, the other not asked.

    Parameters
    ----------
    parameters : DLCZParameters
    detector : {1, 2}
    transmissivity : array_like, shape (..., 2)
        Of A, B to where they are looked at: p_read · eta for the read light at the combiner.
    """
    state = detected_state(parameters)
    j = detector - 1
    scale = np.sqrt(np.asarray(transmissivity, np.float64)) * np.ones(2)
    cross = state.pump_mechanics[..., j, :] * scale
    numbers = state.mechanics * scale**2
    pump = state.pump[..., j, j]
    batch = np.broadcast_shapes(pump.shape, numbers.shape[:-1], cross.shape[:-1])
    kernel = np.zeros((*batch, 3, 3), np.complex128)
    kernel[..., 0, 0] = pump
    kernel[..., 0, 1:], kernel[..., 1:, 0] = cross, cross.conj()
    kernel[..., 1, 1], kernel[..., 2, 2] = numbers[..., 0], numbers[..., 1]
    dark = np.zeros((*batch, 3))
    dark[..., 0] = parameters.per_detector("dark")[..., j]
    return condition(kernel, kept=[1, 2], clicked=[0], dark=dark)


def heralded_witnesses(state: Conditioned) -> Real:
    """Return populations and witnesses of two heralded modes, shape (..., 15): see `HERALDED`."""
    few = heralded.populations(state)
    q10, q01, q11 = heralded.click_populations(state)
    n_a, n_b = heralded.occupation(state, 0), heralded.occupation(state, 1)
    cross = np.abs(heralded.coherence(state, 0, 1))
    both = heralded.joint_number(state, 0, 1)
    visibility = 2 * cross / (n_a + n_b)
    with np.errstate(divide="ignore"):
        ratio = both / cross**2
    values = (
        few.p00,
        few.p10,
        few.p01,
        few.p11,
        np.abs(few.d),
        few.concurrence,
        q10,
        q01,
        q11,
        click_concurrence(q10, q01, q11, visibility),
        visibility,
        ratio,
        both - cross**2,
        few.transposed,
        1 + n_a + n_b,
    )
    return np.stack(np.broadcast_arrays(*values), axis=-1)


def click_concurrence(q10: Real, q01: Real, q11: Real, visibility: Real) -> Real:
    """2|d| − 2√(q00 q11) with d = V (q10 + q01)/2 and q00 what the others leave."""
    one = q10 + q01
    none = np.maximum(1 - one - q11, 0.0)
    return np.asarray(visibility * one - 2 * np.sqrt(none * q11))


def pair_moments(parameters: DLCZParameters) -> tuple[Real, Real, Real]:
    """n_s, n_m and |⟨s m⟩| of devices A, B before the read, each of shape (..., 2)."""
    device = device_moments(parameters)
    return device.stokes, device.mechanics, np.abs(device.stokes_mechanics)


def pair_witnesses(n_s: ArrayLike, n_m: ArrayLike, cross: ArrayLike) -> Real:
    """Duan, EPR both ways, 2ν and E_N of a pair, shape (..., 5): see `PAIR`.

    Parameters
    ----------
    n_s, n_m, cross : array_like
        Quanta of both and |⟨s m⟩|, shape (...).
    """
    s, m, c = np.broadcast_arrays(*(np.asarray(v, np.float64) for v in (n_s, n_m, cross)))
    a, b = s + 0.5, m + 0.5
    # 2ν = 2 (ab − c²)·2/((a + b) + √…), without the difference of near numbers
    two_nu = 4 * (a * b - c**2) / ((a + b) + np.sqrt((a - b) ** 2 + 4 * c**2))
    values = (
        1 + s + m - 2 * c,
        2 * (b - c**2 / a),
        2 * (a - c**2 / b),
        two_nu,
        -np.log2(two_nu),
    )
    return np.stack(values, axis=-1)
