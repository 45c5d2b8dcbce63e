"""Gaussian states as covariance matrices, and the symplectic maps that act on them.

Conventions (everywhere in labkit): quadratures (x1, p1, x2, p2, …) with x = (a + a†)/√2 and
p = −i(a − a†)/√2, [x, p] = i, vacuum variance 1/2. Every function takes leading batch axes:
a covariance matrix of n modes is ``(..., 2n, 2n)``, a scalar parameter is ``(...)``, and they
broadcast. A map on k modes is a real symplectic matrix S of shape ``(..., 2k, 2k)``; states change
as V → S V Sᵀ. Zero-mean states; displacements are kept by those who need them.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


def vacuum(n_modes: int) -> Real:
    """Covariance matrix of `n_modes` vacuum modes, V = 1/2, shape (2n, 2n)."""
    return 0.5 * np.eye(2 * n_modes)


def thermal(occupations: ArrayLike) -> Real:
    """Product of thermal states, V = ⊕ (n̄_k + 1/2) 1₂.

    Parameters
    ----------
    occupations : array_like, shape (..., n)
        Mean quanta n̄_k ≥ 0 of each mode.

    Returns
    -------
    ndarray, shape (..., 2n, 2n)
    """
    n = np.atleast_1d(np.asarray(occupations, dtype=np.float64))
    if not np.all(n >= 0):
        message = f"`occupations` must be ≥ 0, but the smallest is {np.min(n)}"
        raise ValueError(message)
    return np.asarray((np.repeat(n, 2, axis=-1) + 0.5)[..., None] * np.eye(2 * n.shape[-1]))


def symplectic_matrix(u: ArrayLike, v: ArrayLike) -> Real:
    """Real matrix of the Bogoliubov map a → u a + v a†.

    Parameters
    ----------
    u, v : array_like of complex, shape (..., k, k)
        Must satisfy u u† − v v† = 1 and u vᵀ = v uᵀ (not checked here).

    Returns
    -------
    ndarray, shape (..., 2k, 2k)
    """
    u, v = np.broadcast_arrays(np.asarray(u, np.complex128), np.asarray(v, np.complex128))
    k = u.shape[-1]
    s = np.empty((*u.shape[:-2], 2 * k, 2 * k))
    s[..., 0::2, 0::2] = (u + v).real
    s[..., 0::2, 1::2] = (v - u).imag
    s[..., 1::2, 0::2] = (u + v).imag
    s[..., 1::2, 1::2] = (u - v).real
    return s


def phase_rotation(phi: ArrayLike) -> Real:
    """Phase shift a → e^{iφ} a, shape (..., 2, 2)."""
    u = np.exp(1j * np.asarray(phi, np.float64))[..., None, None]
    return symplectic_matrix(u, np.zeros((1, 1)))


def beam_splitter(transmissivity: ArrayLike, phi: ArrayLike = 0.0) -> Real:
    """Symmetric lossless coupler.

    a1 → √T a1 + i e^{iφ} √(1−T) a2,  a2 → √T a2 + i e^{−iφ} √(1−T) a1.

    Parameters
    ----------
    transmissivity : array_like
        T in [0, 1].
    phi : array_like
        Phase in rad; a reflected wave is a quarter period late at φ = 0.

    Returns
    -------
    ndarray, shape (..., 4, 4)
    """
    t, phi = np.broadcast_arrays(
        fraction("transmissivity", transmissivity), np.asarray(phi, np.float64)
    )
    reflected = 1j * np.sqrt(1 - t) * np.exp(1j * phi)
    u = np.empty((*t.shape, 2, 2), np.complex128)
    u[..., 0, 0] = u[..., 1, 1] = np.sqrt(t)
    u[..., 0, 1] = reflected
    u[..., 1, 0] = -np.conj(reflected)
    return symplectic_matrix(u, np.zeros_like(u))


def two_mode_squeezing(r: ArrayLike, phi: ArrayLike = 0.0) -> Real:
    """Parametric amplification a1 → cosh r a1 + e^{iφ} sinh r a2†, and 1 ↔ 2; shape (..., 4, 4).

    From vacuum each mode holds sinh² r quanta.
    """
    r, phi = np.broadcast_arrays(np.asarray(r, np.float64), np.asarray(phi, np.float64))
    u = np.cosh(r)[..., None, None] * np.eye(2)
    v = (np.exp(1j * phi) * np.sinh(r))[..., None, None] * np.eye(2)[::-1]
    return symplectic_matrix(u, v)


def embed(matrix: ArrayLike, modes: Sequence[int], n_modes: int) -> Real:
    """Map on `modes` as a map on all `n_modes` modes, the identity elsewhere."""
    matrix = np.asarray(matrix, np.float64)
    index = _quadratures(modes, n_modes)
    if matrix.shape[-2:] != (len(index), len(index)):
        message = (
            f"`matrix` must have shape (..., {len(index)}, {len(index)}) to act on modes "
            f"{list(modes)}, but has shape {matrix.shape}"
        )
        raise ValueError(message)
    full = np.broadcast_to(np.eye(2 * n_modes), (*matrix.shape[:-2], 2 * n_modes, 2 * n_modes))
    full = full.copy()
    full[..., index[:, None], index] = matrix
    return full


def apply(cov: ArrayLike, symplectic: ArrayLike, modes: Sequence[int] | None = None) -> Real:
    """V → S V Sᵀ, with S acting on `modes` (all modes in order if None)."""
    cov = np.asarray(cov, np.float64)
    s = np.asarray(symplectic, np.float64)
    if modes is not None:
        s = embed(s, modes, cov.shape[-1] // 2)
    return np.asarray(s @ cov @ np.swapaxes(s, -1, -2))


def loss(
    cov: ArrayLike, transmissivity: ArrayLike, modes: Sequence[int], occupation: ArrayLike = 0.0
) -> Real:
    """Mix each of `modes` with a bath: a → √T a + √(1−T) a_bath, bath of n̄ quanta.

    V → √T V √T + (1−T)(n̄ + 1/2) on the chosen modes. Damping of an energy lifetime t₁ for a
    time t is T = e^{−t/t₁}.
    """
    t = fraction("transmissivity", transmissivity)
    noise = (1 - t) * (np.asarray(occupation, np.float64) + 0.5)
    return _scale_and_add(cov, np.sqrt(t), noise, modes)


def add_noise(cov: ArrayLike, quanta: ArrayLike, modes: Sequence[int]) -> Real:
    """Add `quanta` ≥ 0 of classical Gaussian noise to each of `modes`: V → V + n_add."""
    quanta = np.asarray(quanta, np.float64)
    if not np.all(quanta >= 0):
        message = f"`quanta` must be ≥ 0, but the smallest is {np.min(quanta)}"
        raise ValueError(message)
    return _scale_and_add(cov, np.ones(()), quanta, modes)


def amplify(
    cov: ArrayLike, gain: ArrayLike, modes: Sequence[int], occupation: ArrayLike = 0.0
) -> Real:
    """Phase-insensitive amplifier of power gain G ≥ 1: a → √G a + √(G−1) a_idler†.

    V → √G V √G + (G−1)(n̄ + 1/2), with n̄ quanta in the idler.
    """
    g = np.asarray(gain, np.float64)
    if not np.all(g >= 1):
        message = f"`gain` must be ≥ 1, but the smallest is {np.min(g)}; use `loss` to attenuate"
        raise ValueError(message)
    return _scale_and_add(
        cov, np.sqrt(g), (g - 1) * (np.asarray(occupation, np.float64) + 0.5), modes
    )


def reduce(cov: ArrayLike, modes: Sequence[int]) -> Real:
    """Covariance matrix of `modes`, in the order given; the others are traced out."""
    cov = np.asarray(cov, np.float64)
    index = _quadratures(modes, cov.shape[-1] // 2)
    return np.asarray(cov[..., index[:, None], index])


def number_moments(cov: ArrayLike) -> Complex:
    """⟨a_i† a_j⟩ of a zero-mean state, shape (..., n, n); the diagonal is the occupation."""
    xx, xp, px, pp = _quadrature_blocks(cov)
    n = 0.5 * (xx + pp + 1j * (xp - px))
    return np.asarray(n - 0.5 * np.eye(n.shape[-1]))


def anomalous_moments(cov: ArrayLike) -> Complex:
    """⟨a_i a_j⟩ of a zero-mean state, shape (..., n, n)."""
    xx, xp, px, pp = _quadrature_blocks(cov)
    return np.asarray(0.5 * (xx - pp + 1j * (xp + px)))


def occupation(cov: ArrayLike) -> Real:
    """Mean quanta ⟨a†a⟩ of each mode of a zero-mean state, shape (..., n)."""
    variances = np.diagonal(np.asarray(cov, np.float64), axis1=-2, axis2=-1)
    return np.asarray(0.5 * (variances[..., 0::2] + variances[..., 1::2] - 1))


def from_moments(number: ArrayLike, anomalous: ArrayLike) -> Real:
    """Covariance matrix from ⟨a_i† a_j⟩ and ⟨a_i a_j⟩, both (..., n, n)."""
    n, m = np.broadcast_arrays(np.asarray(number), np.asarray(anomalous))
    k = n.shape[-1]
    cov = np.empty((*n.shape[:-2], 2 * k, 2 * k))
    cov[..., 0::2, 0::2] = (n + m).real
    cov[..., 1::2, 1::2] = (n - m).real
    cov[..., 0::2, 1::2] = (m + n).imag
    cov[..., 1::2, 0::2] = (m - n).imag
    return cov + 0.5 * np.eye(2 * k)


def fraction(name: str, value: ArrayLike) -> Real:
    """Return `value` as an array if it lies in [0, 1], else raise ValueError naming it."""
    value = np.asarray(value, np.float64)
    if not np.all((value >= 0) & (value <= 1)):
        message = f"`{name}` must lie in [0, 1], but is {value}"
        raise ValueError(message)
    return value


def _scale_and_add(cov: ArrayLike, scale: Real, noise: Real, modes: Sequence[int]) -> Real:
    cov = np.asarray(cov, np.float64)
    size = cov.shape[-1]
    index = _quadratures(modes, size // 2)
    scale, noise = np.broadcast_arrays(scale, noise)
    scales = np.ones((*scale.shape, size))
    scales[..., index] = scale[..., None]
    noises = np.zeros((*noise.shape, size))
    noises[..., index] = noise[..., None]
    return np.asarray(
        scales[..., None] * cov * scales[..., None, :] + noises[..., None] * np.eye(size)
    )


def _quadratures(modes: Sequence[int], n_modes: int) -> NDArray[np.intp]:
    chosen = list(modes)
    if len(set(chosen)) != len(chosen) or not all(0 <= mode < n_modes for mode in chosen):
        message = f"`modes` must be distinct numbers from 0 to {n_modes - 1}, but is {chosen}"
        raise ValueError(message)
    return np.array([2 * mode + k for mode in chosen for k in (0, 1)], dtype=np.intp)


def _quadrature_blocks(cov: ArrayLike) -> tuple[Real, Real, Real, Real]:
    v = np.asarray(cov, np.float64)
    return (
        v[..., 0::2, 0::2],
        v[..., 0::2, 1::2],
        v[..., 1::2, 0::2],
        v[..., 1::2, 1::2],
    )
