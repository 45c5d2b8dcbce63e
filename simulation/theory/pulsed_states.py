"""Number states of the pulsed link of seed 000: propagator (13) and states (14), (18)–(20).

Photons lost in the fibre are a mixture of pure states, one for every number t of them. The states
are therefore kept as unnormalised vectors ψ_t, first axis t, with ρ = Σ_t |ψ_t⟩⟨ψ_t|
(`density_matrix`): the printed double sums over n and n′ are the outer products. What is left when
the light is traced out, Eq. (21), is `simulation.theory.pulsed_link.link_density_matrix`.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.gaussian import fraction
from simulation.theory.pulsed_link import SQUEEZING
from simulation.theory.quantities import checked

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

LARGEST: Final = 2**26
"""Entries of a density matrix that are still written out (1 GB)."""


def squeezing_propagator(r: float, cutoff: int) -> Complex:
    """Return U of the blue pulse in the number basis of (C1, b1), Eq. (13).

    U = e^{i tanh r C†b†} (cosh r)^{−1−C†C−b†b} e^{i tanh r C b} = exp[ir (C†b† + C b)]. The last
    exponent is printed with −i: that operator is not unitary and does not give Eq. (12),
    U†CU = cosh r C + i sinh r b†. On vacuum both make the state (14).

    Parameters
    ----------
    r : float
        Squeezing parameter, r ≥ 0.
    cutoff : int
        Number states 0 … cutoff − 1 of each mode; every element of this block is exact.

    Returns
    -------
    ndarray of complex, shape (cutoff, cutoff, cutoff, cutoff)
        ⟨n_C n_b|U|m_C m_b⟩.
    """
    squeezing, size = float(np.asarray(checked("r", r, SQUEEZING))), _size(cutoff)
    tanh, n = np.tanh(squeezing), np.arange(size)
    lowered = np.zeros((size,) * 4, np.complex128)
    for k in n:
        m = np.arange(k, size)
        weight = np.sqrt(_choices(m, int(k)))
        rows, columns = m[:, None], m
        lowered[rows - k, columns - k, rows, columns] = (1j * tanh) ** k * np.outer(weight, weight)
    between = np.cosh(squeezing) ** -(1.0 + n[:, None] + n)
    flat = lowered.reshape(size**2, size**2)
    return np.asarray((flat.T * between.ravel()) @ flat).reshape((size,) * 4)


def travelling_states(r: float, R: float, cutoff: int) -> Complex:
    """Return ψ_t of (b1, light) behind the fibre, Eq. (18); R = 0 is the pair (14).

    ψ_t = Σ_n (i tanh r)ⁿ/cosh r √(C(n,t) Rᵗ (1−R)ⁿ⁻ᵗ) |n, n−t⟩.

    Parameters
    ----------
    r : float
        Squeezing parameter, r ≥ 0.
    R : float
        Share of light that the fibre loses, in [0, 1].
    cutoff : int
        Number states 0 … cutoff − 1 of each mode; the trace misses tanh(r)^(2 cutoff).

    Returns
    -------
    ndarray of complex, shape (cutoff, cutoff, cutoff)
        Axes t, b1, light.
    """
    return swapped_states(r, 0.0, R, cutoff)[:, :, 0, :]


def swapped_states(r: float, W: float, R: float, cutoff: int) -> Complex:
    """Return ψ_t of (b1, b2, light) after the red pulse, Eq. (20); before it, Eq. (19), W = 0.

    ψ_t = Σ_nq (i tanh r)ⁿ/cosh r √(C(n,t) Rᵗ (1−R)ⁿ⁻ᵗ) iᵠ √(C(n−t,q) Wᵠ (1−W)ⁿ⁻ᵗ⁻ᵠ)
    |n, q, n−t−q⟩. The light is C2_in before the pulse and C2_out after it; the paper's other label
    is in vacuum.

    Parameters
    ----------
    r, R, cutoff : as for `travelling_states`
    W : float
        Swap efficiency of the red pulse, in [0, 1].

    Returns
    -------
    ndarray of complex, shape (cutoff, cutoff, cutoff, cutoff)
        Axes t, b1, b2, light.
    """
    squeezing, size = float(np.asarray(checked("r", r, SQUEEZING))), _size(cutoff)
    lost, swapped = float(fraction("R", R)), float(fraction("W", W))
    states = np.zeros((size,) * 4, np.complex128)
    for t in range(size):
        n = np.arange(t, size)
        pair = (1j * np.tanh(squeezing)) ** n / np.cosh(squeezing)
        pair = pair * np.sqrt(_choices(n, t) * lost**t * (1 - lost) ** (n - t))
        for q in range(size - t):
            rest = n - t - q
            kept = rest >= 0
            split = _choices(n[kept] - t, q) * swapped**q * (1 - swapped) ** rest[kept]
            states[t, n[kept], q, rest[kept]] = pair[kept] * 1j**q * np.sqrt(split)
    return states


def density_matrix(states: ArrayLike) -> Complex:
    """Return ρ = Σ_t |ψ_t⟩⟨ψ_t|, shape (d1, …, dk, d1, …, dk), of states of shape (t, d1, …, dk).

    Raises
    ------
    ValueError
        If it would have more than 2²⁶ entries.
    """
    psi = np.asarray(states, np.complex128)
    flat = psi.reshape(len(psi), -1)
    if flat.shape[1] ** 2 > LARGEST:
        message = (
            f"the density matrix must have at most {LARGEST} entries, but would have "
            f"{flat.shape[1] ** 2}; lower `cutoff`, or use the states themselves"
        )
        raise ValueError(message)
    return np.asarray(flat.T @ flat.conj()).reshape(psi.shape[1:] * 2)


def _size(cutoff: int) -> int:
    if cutoff < 1:
        message = f"`cutoff` must be at least 1, but is {cutoff}"
        raise ValueError(message)
    return cutoff


def _choices(n: NDArray[np.int_], k: int) -> Real:
    """C(n, k)."""
    from scipy.special import binom

    return np.asarray(binom(n, k))
