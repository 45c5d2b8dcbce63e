"""Einstein–Podolsky–Rosen correlations of two modes: EPR product, Reid and Gaussian steering, Duan.

Conventions of `simulation.theory.gaussian`; every function takes leading batch axes and two mode
numbers. Rotated quadratures are x^θ = x cos θ + p sin θ and p^θ = −x sin θ + p cos θ.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.gaussian import reduce

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Objective = Callable[["Quadratures"], Real]

_CHUNK: Final = 1024
_GRID: Final = 16
_BASINS: Final = 4
_HALVINGS: Final = 20
_ITERATIONS: Final = 60
_COMPLEX_STEP: Final = 1e-30
_SHIFT: Final = 1e-5
_CONVERGED: Final = 1e-9
"""Last step of an angle in rad: the minimum is then right to 1e-16."""


class Quadratures(NamedTuple):
    """Second moments of rotated quadratures: variances of x1, x2, p1, p2, ⟨x1x2⟩ and ⟨p1p2⟩."""

    x1: Real
    x2: Real
    p1: Real
    p2: Real
    xx: Real
    pp: Real


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
    return _minimised(_epr, cov, modes)


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
    return _minimised(_reid, cov, modes)


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


def _epr(q: Quadratures) -> Real:
    """4 λ_min(X P) if its gains have f g > 0, else the smallest value with f g = 0."""
    m11, m22 = q.x1 * q.p1 - q.xx * q.pp, q.x2 * q.p2 - q.xx * q.pp
    m12, m21 = q.xx * q.p2 - q.x1 * q.pp, q.xx * q.p1 - q.x2 * q.pp
    determinant = (q.x1 * q.x2 - q.xx**2) * (q.p1 * q.p2 - q.pp**2)
    root = np.sqrt((m11 - m22) ** 2 + 4 * m12 * m21)
    smallest = 2 * determinant / (m11 + m22 + root)
    # eigenvector (1, g) of X P and (1, f) ∝ P (1, g)
    g = np.where(m12 == 0, 0.0, (smallest - m11) / np.where(m12 == 0, 1.0, m12))
    same_sign = (g * (q.p2 * g - q.pp) * (q.p1 - q.pp * g)).real > 0
    edges = [
        q.x1 * (q.p1 - q.pp**2 / q.p2),
        q.p1 * (q.x1 - q.xx**2 / q.x2),
        q.x2 * (q.p2 - q.pp**2 / q.p1),
        q.p2 * (q.x2 - q.xx**2 / q.x1),
    ]
    nearest = edges[0]
    for edge in edges[1:]:
        nearest = np.where(edge.real < nearest.real, edge, nearest)
    return np.asarray(4 * np.where(same_sign, smallest, nearest))


def _reid(q: Quadratures) -> Real:
    return np.asarray(4 * (q.x1 - q.xx**2 / q.x2) * (q.p1 - q.pp**2 / q.p2))


def _minimised(objective: Objective, cov: ArrayLike, modes: Sequence[int]) -> Real:
    v = _two_modes(cov, modes)
    shape = v.shape[:-2]
    entries = np.ascontiguousarray(np.moveaxis(v.reshape(-1, 4, 4), 0, -1))
    found = np.full(entries.shape[-1], np.nan)
    known = np.flatnonzero(np.all(np.isfinite(entries), axis=(0, 1)))
    for start in range(0, len(known), _CHUNK):
        chunk = known[start : start + _CHUNK]
        found[chunk] = _newton(objective, entries[:, :, chunk])
    return found.reshape(shape)


def _rotated(v: Real, theta: Real | Complex) -> Quadratures:
    """Moments after rotating mode 1 by θ₁ and mode 2 by θ₂; v is (4, 4, batch), θ (2, batch)."""
    (c1, c2), (s1, s2) = np.cos(theta), np.sin(theta)
    mixed_1, mixed_2 = 2 * c1 * s1 * v[0, 1], 2 * c2 * s2 * v[2, 3]
    return Quadratures(
        x1=c1**2 * v[0, 0] + mixed_1 + s1**2 * v[1, 1],
        p1=s1**2 * v[0, 0] - mixed_1 + c1**2 * v[1, 1],
        x2=c2**2 * v[2, 2] + mixed_2 + s2**2 * v[3, 3],
        p2=s2**2 * v[2, 2] - mixed_2 + c2**2 * v[3, 3],
        xx=c1 * (c2 * v[0, 2] + s2 * v[0, 3]) + s1 * (c2 * v[1, 2] + s2 * v[1, 3]),
        pp=s1 * (s2 * v[0, 2] - c2 * v[0, 3]) - c1 * (s2 * v[1, 2] - c2 * v[1, 3]),
    )


def _newton(objective: Objective, v: Real) -> Real:
    """Minimum over the angles: Newton's method from the best basins of a grid, shape (batch,)."""
    starts, exists = _basins(objective, v)
    basin, point = np.nonzero(exists)
    found = np.full(exists.shape, np.inf)
    found[basin, point] = _descend(objective, v[:, :, point], starts[basin, :, point].T)
    lowest = np.min(found, axis=0)
    # strong local squeezing makes valleys narrower than the grid; seen only at products above 1
    doubtful = np.flatnonzero(lowest >= 1)
    if len(doubtful):
        rest = v[:, :, doubtful]
        for theta in _squeezed_axes(objective, rest):
            lowest[doubtful] = np.minimum(lowest[doubtful], _descend(objective, rest, theta))
    return np.asarray(lowest)


def _squeezed_axes(objective: Objective, v: Real) -> Real:
    """Angles along the axes of both modes' noise ellipses or halfway between, the best two pairs.

    Shape (2, 2, batch): pair, mode, point.
    """
    axes = [0.5 * np.arctan2(2 * v[k, k + 1], v[k, k] - v[k + 1, k + 1]) for k in (0, 2)]
    pairs = np.stack(
        [
            np.stack([axes[0] + first, axes[1] + second])
            for first in (0.0, np.pi / 4)
            for second in np.pi / 4 * np.arange(4)
        ]
    )
    values = np.stack([objective(_rotated(v, theta)) for theta in pairs])
    best = np.argsort(values, axis=0)[:2]
    return np.take_along_axis(pairs, best[:, None, :], axis=0)


def _descend(objective: Objective, v: Real, theta: Real) -> Real:
    """Value at the end of damped Newton steps."""
    best = objective(_rotated(v, theta))
    active = np.arange(v.shape[-1])
    for _ in range(_ITERATIONS):
        here = v[:, :, active]
        step = _newton_step(*_derivatives(objective, here, theta[:, active]))
        size = np.ones(len(active))
        for _ in range(_HALVINGS):
            trial = objective(_rotated(here, theta[:, active] + size * step))
            worse = trial > best[active]
            if not np.any(worse):
                break
            size = np.where(worse, size / 4, size)
        moved = np.where(worse, 0.0, size) * step
        theta[:, active] += moved
        best[active] = np.where(worse, best[active], trial)
        active = active[np.max(np.abs(moved), axis=0) > _CONVERGED]
        if not len(active):
            break
    return best


def _basins(objective: Objective, v: Real) -> tuple[Real, NDArray[np.bool_]]:
    """Angles of the lowest local minima on a grid, (basins, 2, batch), and whether they are some.

    The grid runs over half the sum and half the difference of the angles, the sum relative to the
    phase of ⟨ab⟩. A turn of one mode by π, or of both by π/2, changes nothing, so that both have
    the period π/2.
    """
    pair = 0.5 * ((v[0, 2] - v[1, 3]) + 1j * (v[0, 3] + v[1, 2]))
    half = 0.5 * np.angle(pair)
    turns = np.pi / 2 * np.arange(_GRID) / _GRID
    values = np.empty((_GRID, _GRID, v.shape[-1]))
    for row, first in enumerate(turns):
        theta = np.stack([half + first + turns[:, None], half + first - turns[:, None]])
        values[row] = objective(_rotated(v, theta))
    lowest = _local_minima(values).reshape(-1, v.shape[-1])
    chosen = np.argpartition(lowest, _BASINS, axis=0)[:_BASINS]
    first, second = turns[chosen // _GRID], turns[chosen % _GRID]
    angles = np.stack([half + first + second, half + first - second], axis=1)
    return angles, np.isfinite(np.take_along_axis(lowest, chosen, axis=0))


def _local_minima(values: Real) -> Real:
    """Values that are no higher than their neighbours on the periodic grid, inf elsewhere."""
    lowest = values
    for i, j in ((1, 0), (0, 1), (1, 1), (1, -1)):
        for sign in (1, -1):
            lowest = np.minimum(lowest, np.roll(values, (sign * i, sign * j), (0, 1)))
    return np.where(values <= lowest, values, np.inf)


def _derivatives(objective: Objective, v: Real, theta: Real) -> tuple[Real, Real]:
    """Gradient (exact, by complex steps) and Hessian (its central differences)."""
    gradient = _gradient(objective, v, theta)
    hessian = np.empty((2, *gradient.shape))
    for k in range(2):
        shift = np.zeros((2, 1))
        shift[k] = _SHIFT
        up = _gradient(objective, v, theta + shift)
        hessian[k] = (up - _gradient(objective, v, theta - shift)) / (2 * _SHIFT)
    return gradient, hessian


def _gradient(objective: Objective, v: Real, theta: Real) -> Real:
    slopes = []
    for k in range(2):
        step = np.zeros((2, 1), np.complex128)
        step[k] = 1j * _COMPLEX_STEP
        slopes.append(objective(_rotated(v, theta + step)).imag / _COMPLEX_STEP)
    return np.stack(slopes)


def _newton_step(gradient: Real, hessian: Real) -> Real:
    """Newton step with the Hessian's eigenvalues made positive; no motion along flat directions."""
    curvature, axes = np.linalg.eigh(0.5 * np.moveaxis(hessian + np.swapaxes(hessian, 0, 1), -1, 0))
    steepness = np.abs(curvature)
    floor = 1e-9 * np.max(steepness, axis=-1, keepdims=True)
    along = np.einsum("nji,jn->ni", axes, gradient)
    step = -along / np.maximum(np.maximum(steepness, floor), np.finfo(np.float64).tiny)
    step = np.where(steepness > floor, step, 0.0)
    length = np.max(np.abs(step), axis=-1, keepdims=True)
    step *= np.minimum(1.0, 0.3 / np.maximum(length, np.finfo(np.float64).tiny))
    return np.asarray(np.einsum("nij,nj->in", axes, step))
