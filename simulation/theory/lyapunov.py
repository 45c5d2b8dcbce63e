"""Dense solution of A V + V Aᵀ + D = 0 for stacks of matrices, and the spectrum of A."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

CHUNK: Final = 2048
"""Points solved at a time: 20 MB of dense Lyapunov operators for four modes."""
_FEW: Final = 32_768
"""Matrices below which loading compiled code takes longer than it saves."""


def solve_dense(drift: ArrayLike, diffusion: ArrayLike) -> Real:
    """Symmetric V of A V + V Aᵀ + D = 0 by LU of the operator on the lower triangle of V.

    One step of iterative refinement follows.

    Parameters
    ----------
    drift, diffusion : array_like, shape (..., N, N)
        A and the symmetric D; leading axes broadcast.

    Returns
    -------
    ndarray, shape (..., N, N)
        nan where the operator is singular (two eigenvalues of A sum to 0). A solution says
        nothing about stability.
    """
    a, d = np.broadcast_arrays(np.asarray(drift, np.float64), np.asarray(diffusion, np.float64))
    shape, size = a.shape[:-2], a.shape[-1]
    a, d = a.reshape(-1, size, size), d.reshape(-1, size, size)
    chunks = range(0, len(a), CHUNK)
    solved = [_solve(a[start : start + CHUNK], d[start : start + CHUNK]) for start in chunks]
    return np.concatenate(solved or [a]).reshape(*shape, size, size)


def growth_rate(drift: ArrayLike) -> Real:
    """Largest real part of the eigenvalues of A, shape (...); stable ⇔ negative.

    Both ways, LAPACK for few points and `compiled_spectrum` for many, are backward stable: the
    rate is that of a matrix within rounding of A.
    """
    a = np.asarray(drift, np.float64)
    if a.size < _FEW * a.shape[-1] ** 2:
        return _lapack_growth_rate(a)
    from simulation.theory.compiled_spectrum import largest_real_parts

    stack = np.ascontiguousarray(a.reshape(-1, *a.shape[-2:]))
    found = np.empty(len(stack))
    largest_real_parts(stack, found)
    left = np.isnan(found)
    if np.any(left):
        found[left] = _lapack_growth_rate(stack[left])
    return found.reshape(a.shape[:-2])


def _lapack_growth_rate(a: Real) -> Real:
    return np.asarray(np.max(np.linalg.eigvals(a).real, axis=-1))


def fastest_growing(drift: ArrayLike) -> tuple[complex, Real]:
    """Eigenvalue of A with the largest real part, and the share of each mode in its eigenvector.

    Parameters
    ----------
    drift : array_like, shape (2n, 2n)

    Returns
    -------
    complex
        λ: growth rate Re λ, frequency |Im λ|.
    ndarray, shape (n,)
        (|v_x|² + |v_p|²) / Σ.
    """
    values, vectors = np.linalg.eig(np.asarray(drift, np.float64))
    first = int(np.argmax(values.real))
    weight = np.abs(vectors[:, first]) ** 2
    share = weight[0::2] + weight[1::2]
    return complex(values[first]), np.asarray(share / share.sum())


@cache
def _half(size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the lower triangle, and the place of every (i, j) in it."""
    rows, columns = np.tril_indices(size)
    place = np.zeros((size, size), np.intp)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    return rows, columns, place


def _solve(a: Real, d: Real) -> Real:
    size = a.shape[-1]
    rows, columns, place = _half(size)
    unknowns = np.arange(len(rows))
    operator = np.zeros((len(a), len(rows), len(rows)))
    for k in range(size):
        # (A V)_ij = Σ_k A_ik V_kj and (V Aᵀ)_ij = Σ_k A_jk V_ik
        operator[:, unknowns, place[k, columns]] += a[:, rows, k]
        operator[:, unknowns, place[rows, k]] += a[:, columns, k]
    right = -d[:, rows, columns]
    half = _solve_all(operator, right)
    # one step of refinement: a hot mode's rounding must not drown the equations of cold ones
    with np.errstate(over="ignore", invalid="ignore"):
        half += _solve_all(operator, right - np.einsum("nij,nj->ni", operator, half))
    return np.asarray(half[:, place])


def _solve_all(operator: Real, right: Real) -> Real:
    try:
        return np.asarray(np.linalg.solve(operator, right[..., None])[..., 0])
    except np.linalg.LinAlgError:
        return np.stack([_solve_one(m, b) for m, b in zip(operator, right, strict=True)])


def _solve_one(operator: Real, right: Real) -> Real:
    try:
        return np.asarray(np.linalg.solve(operator, right))
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)
