"""What a covariance matrix says about a state: physicality, purity, entanglement.

Conventions of `simulation.theory.gaussian`; every function takes leading batch axes.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.gaussian import reduce

Real = NDArray[np.float64]
Block = tuple[Real, Real, Real, Real]


def symplectic_form(n_modes: int) -> Real:
    """Ω = ⊕ [[0, 1], [−1, 0]], shape (2n, 2n); [ξ_i, ξ_j] = iΩ_ij."""
    return np.kron(np.eye(n_modes), np.array([[0.0, 1.0], [-1.0, 0.0]]))


def uncertainty_margin(cov: ArrayLike) -> Real:
    """Smallest eigenvalue of V + iΩ/2, shape (...); a physical state has it ≥ 0.

    Exactly 0 for pure states, so compare with a tolerance of rounding, not with 0. nan where V is
    nan (unstable points).
    """
    return _at_finite(
        lambda v: np.linalg.eigvalsh(v + 0.5j * symplectic_form(v.shape[-1] // 2))[:, :1], cov, 1
    )[..., 0]


def is_physical(cov: ArrayLike, *, tolerance: float = 1e-12) -> NDArray[np.bool_]:
    """Whether V + iΩ/2 ≥ −`tolerance`·max|V|, shape (...); False where V is nan."""
    v = np.asarray(cov, np.float64)
    scale = np.max(np.abs(v), axis=(-2, -1))
    return np.asarray(uncertainty_margin(v) >= -tolerance * scale)


def symplectic_eigenvalues(cov: ArrayLike) -> Real:
    """ν_k > 0 of a positive V in ascending order, shape (..., n); a physical state has ν ≥ 1/2.

    Eigenvalues ±ν of i Lᵀ Ω L with the Cholesky factor V = L Lᵀ: Hermitian, so each ν is
    accurate to rounding of the largest. nan where V is nan (unstable points).

    Raises
    ------
    numpy.linalg.LinAlgError
        If V is not positive definite.
    """
    return _at_finite(_williamson, cov, np.shape(cov)[-1] // 2)


def purity(cov: ArrayLike) -> Real:
    """Tr ρ² = 1 / (2ⁿ √det V) = Π 1/(2ν_k), shape (...).

    Raises
    ------
    numpy.linalg.LinAlgError
        If V is not positive definite.
    """
    return np.asarray(np.prod(0.5 / symplectic_eigenvalues(cov), axis=-1))


def smallest_transposed_eigenvalue(cov: ArrayLike, modes: Sequence[int] = (0, 1)) -> Real:
    """ν̃₋, the smaller symplectic eigenvalue of two `modes` after partial transposition.

    ν̃₋² = 2 det V / (σ + √d) with the partially transposed V = [[A, C], [Cᵀ, B]],
    σ = det A + det B + 2 det C and the discriminant d = σ² − 4 det V in the form
    (det A − det B)² + 4 det(A J C + C J B), J = [[0, 1], [−1, 0]]. The textbook form (σ − √d)/2
    loses all digits for strongly squeezed states, and σ² − 4 det V those of weak entanglement.
    Entangled ⇔ ν̃₋ < 1/2.

    Parameters
    ----------
    cov : array_like, shape (..., 2n, 2n)
    modes : two mode numbers

    Returns
    -------
    ndarray, shape (...)
    """
    v = reduce(cov, modes)
    if v.shape[-1] != 4:
        message = f"`modes` must name two modes, but is {list(modes)}"
        raise ValueError(message)
    a, b, c = _blocks(v)
    c = (c[0], -c[1], c[2], -c[3])  # partial transposition: p2 → −p2
    b = (b[0], -b[1], -b[2], b[3])
    det_a, det_b = _det(a), _det(b)
    sigma = det_a + det_b + 2 * _det(c)
    discriminant = (det_a - det_b) ** 2 + 4 * _det(_add(_times(_turn(a), c), _times(_turn(c), b)))
    root = np.sqrt(np.maximum(discriminant, 0))  # exactly 0 is common, rounding goes below
    return np.asarray(np.sqrt(2 * det_a * _det(_schur(a, b, c)) / (sigma + root)))


def log_negativity(cov: ArrayLike, modes: Sequence[int] = (0, 1)) -> Real:
    """Logarithmic negativity E_N = max(0, −ln 2ν̃₋) of two modes, natural logarithm, shape (...).

    Two-mode squeezed vacuum: E_N = 2r.
    """
    return np.maximum(0.0, log_nu(cov, modes))


def log_nu(cov: ArrayLike, modes: Sequence[int] = (0, 1)) -> Real:
    """−ln 2ν̃₋ of two modes, shape (...): E_N where positive, the distance from it elsewhere."""
    return -np.log(2 * smallest_transposed_eigenvalue(cov, modes))


def squeezed_variance(cov: ArrayLike, mode: int = 0) -> Real:
    """Smallest variance of any quadrature x^θ of one mode, shape (...); squeezed below 1/2.

    The smaller eigenvalue of the mode's block, 2 det/(tr + √(tr² − 4 det)).
    """
    v = reduce(cov, [mode])
    xx, pp, xp = v[..., 0, 0], v[..., 1, 1], v[..., 0, 1]
    root = np.sqrt((xx - pp) ** 2 + 4 * xp**2)
    return np.asarray(2 * (xx * pp - xp**2) / (xx + pp + root))


def _at_finite(spectrum: Callable[[Real], Real], cov: ArrayLike, values: int) -> Real:
    """Apply `spectrum` to the finite matrices of a batch; nan for the others."""
    v = np.asarray(cov, np.float64)
    if v.ndim < 2 or v.shape[-1] != v.shape[-2] or v.shape[-1] % 2:
        message = f"`cov` must have shape (..., 2n, 2n), but has {v.shape}"
        raise ValueError(message)
    stack = v.reshape(-1, *v.shape[-2:])
    known = np.all(np.isfinite(stack), axis=(-2, -1))
    found = np.full((len(stack), values), np.nan)
    found[known] = spectrum(stack[known])
    return found.reshape(*v.shape[:-2], values)


def _williamson(v: Real) -> Real:
    """Positive eigenvalues of i Lᵀ Ω L, V = L Lᵀ."""
    n_modes = v.shape[-1] // 2
    factor = np.linalg.cholesky(v)
    skew = np.swapaxes(factor, -1, -2) @ symplectic_form(n_modes) @ factor
    return np.asarray(np.linalg.eigvalsh(1j * skew)[..., n_modes:])


def _blocks(v: Real) -> tuple[Block, Block, Block]:
    """Blocks A, B, C of V = [[A, C], [Cᵀ, B]], each as its four entries row by row."""
    return (
        (v[..., 0, 0], v[..., 0, 1], v[..., 1, 0], v[..., 1, 1]),
        (v[..., 2, 2], v[..., 2, 3], v[..., 3, 2], v[..., 3, 3]),
        (v[..., 0, 2], v[..., 0, 3], v[..., 1, 2], v[..., 1, 3]),
    )


def _schur(a: Block, b: Block, c: Block) -> Block:
    """B − Cᵀ A⁻¹ C by elimination of the two quadratures of A, one after the other."""
    ratio = a[1] / a[0]
    pivot = a[3] - ratio * a[1]
    rest_0, rest_1 = c[2] - ratio * c[0], c[3] - ratio * c[1]
    off = b[1] - c[0] * c[1] / a[0] - rest_0 * rest_1 / pivot
    return (
        b[0] - c[0] ** 2 / a[0] - rest_0**2 / pivot,
        off,
        off,
        b[3] - c[1] ** 2 / a[0] - rest_1**2 / pivot,
    )


def _det(m: Block) -> Real:
    return np.asarray(m[0] * m[3] - m[1] * m[2])


def _add(m: Block, n: Block) -> Block:
    return (m[0] + n[0], m[1] + n[1], m[2] + n[2], m[3] + n[3])


def _turn(m: Block) -> Block:
    """M J, J = [[0, 1], [−1, 0]]."""
    return (-m[1], m[0], -m[3], m[2])


def _times(m: Block, n: Block) -> Block:
    return (
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
    )
