"""Einstein–Podolsky–Rosen correlations of two modes: EPR product, Reid and Gaussian steering, Duan.

Conventions of `simulation.theory.gaussian`; every function takes leading batch axes and two mode
numbers. Rotated quadratures are x^θ = x cos θ + p sin θ and p^θ = −x sin θ + p cos θ.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.gaussian import reduce

Real = NDArray[np.float64]


def epr_product(cov: ArrayLike, modes: Sequence[int] = (0, 1)) -> Real:
    """EPR product criterion, minimised over both angles and both gains, shape (...).

    E = min 4 V(x₁ + f x₂) V(p₁ − g p₂) / (1 + f g)² with f g > 0 (seed 002 Eq. (9)); E < 1 proves
    entanglement. For given angles the gains are those of the smallest eigenvalue of X P, X and P
    the 2×2 covariances of (x₁, x₂) and (p₁, −p₂); the angles are found by Newton's method from
    the lowest basins of a grid and, where those prove nothing, from the axes of the noise. Bounded
    below by 4ν̃₋², symmetric in the modes. Two-mode squeezed vacuum: e^{−4r}.

    Parameters
    ----------
    cov : array_like, shape (..., 2n, 2n)
    modes : two mode numbers
    """
    return _minimised(cov, modes, epr=True)


def reid_product(cov: ArrayLike, modes: Sequence[int] = (0, 1)) -> Real:
    """Reid's product for mode 1 inferred from mode 2, minimised over both angles, shape (...).

    S_{1|2} = min 4 V_inf(x₁) V_inf(p₁), V_inf(o₁) = V(o₁) − ⟨o₁o₂⟩²/V(o₂) (seed 002 Eq. (10); the
    gains printed there lack V(o₂)). S < 1: mode 2 steers mode 1. Bounded below by 4 det of the
    Schur complement. Swap `modes` for the other direction.

    Parameters
    ----------
    cov : array_like, shape (..., 2n, 2n)
    modes : the steered mode, then the one measured
    """
    return _minimised(cov, modes, epr=False)


def gaussian_steering(cov: ArrayLike, modes: Sequence[int] = (0, 1)) -> Real:
    """Gaussian steering G = max(0, −ln(2 √det M)) of mode 1 by measurements on 2, shape (...).

    M = A − C B⁻¹ Cᵀ, the Schur complement of the measured mode. Two-mode squeezed vacuum:
    ln cosh 2r.

    Parameters
    ----------
    cov : array_like, shape (..., 2n, 2n)
    modes : the steered mode, then the one measured
    """
    return np.maximum(0.0, -0.5 * np.log(4 * schur_determinant(cov, modes)))


def schur_determinant(cov: ArrayLike, modes: Sequence[int] = (0, 1)) -> Real:
    """det(A − C B⁻¹ Cᵀ) = det V / det B of mode 1 given mode 2, shape (...)."""
    v = _two_modes(cov, modes)
    a, b, c = v[..., :2, :2], v[..., 2:, 2:], v[..., :2, 2:]
    return np.asarray(np.linalg.det(a - c @ np.linalg.solve(b, np.swapaxes(c, -1, -2))))


def duan_sum(cov: ArrayLike, modes: Sequence[int] = (0, 1)) -> Real:
    """Duan's sum ⟨(x₁ + x₂)²⟩ + ⟨(p₁ − p₂)²⟩, shape (...); below 2 the modes are entangled.

    Seed 004 Eq. (10). Two-mode squeezed vacuum in its best phase (φ = π): 2 e^{−2r}.
    """
    v = _two_modes(cov, modes)
    return np.asarray(
        v[..., 0, 0] + v[..., 2, 2] + 2 * v[..., 0, 2]
        + v[..., 1, 1] + v[..., 3, 3] - 2 * v[..., 1, 3]
    )  # fmt: skip


def _two_modes(cov: ArrayLike, modes: Sequence[int]) -> Real:
    if len(modes) != 2:
        message = f"`modes` must name two modes, but is {list(modes)}"
        raise ValueError(message)
    return reduce(cov, modes)


def _minimised(cov: ArrayLike, modes: Sequence[int], *, epr: bool) -> Real:
    from simulation.theory.angle_search import fill_lowest_products

    v = _two_modes(cov, modes)
    stack = np.ascontiguousarray(v.reshape(-1, 4, 4))
    found = np.full(len(stack), np.nan)
    known = np.all(np.isfinite(stack), axis=(1, 2))
    lowest = np.empty(np.count_nonzero(known))
    fill_lowest_products(stack[known], epr, lowest)
    found[known] = lowest
    return found.reshape(v.shape[:-2])
