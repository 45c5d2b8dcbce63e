"""To QuTiP and back: master equations of linear models, time-dependent ones, Gaussian states.

QuTiP (an optional extra) solves the same physics in a truncated number basis: for checks, and for
what is not Gaussian. Any linear model with legal noise is a master equation

    dρ/dt = −i[H, ρ] + Σ_m L_m ρ L_m† − ½{L_m†L_m, ρ},    H = ½ ξᵀGξ,  L_m = l_mᵀ ξ,

    A = Ω (G − Im M),   D = Ω (Re M) Ωᵀ,   M = Σ_m l_m l_m†,

links, squeezed baths and rings included; G and the l_m follow from A and D.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.linear_model import (
    NOISE_TOLERANCE,
    BathNoise,
    LinearModel,
)
from simulation.theory.measures import symplectic_form

if TYPE_CHECKING:
    from qutip import Qobj, QobjEvo

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MasterEquation:
    """A linear model in Lindblad's form.

    Attributes
    ----------
    labels : tuple of str
    hamiltonian : ndarray, shape (2n, 2n)
        G, symmetric: H = ½ ξᵀGξ.
    jumps : ndarray of complex, shape (m, 2n)
        l_m, with the rate in them: L_m = l_mᵀ ξ.
    """

    labels: tuple[str, ...]
    hamiltonian: Real
    jumps: Complex


def master_equation(model: LinearModel) -> MasterEquation:
    """Write a linear model as a master equation.

    Parameters
    ----------
    model : LinearModel
        A single point.

    Raises
    ------
    ValueError
        If the model is a batch, or its noise breaks the commutators: Brownian damping does by
        less than γ/4 and is completed by position noise γ/(4(2n̄ + 1)), what is left is refused.
    """
    if model.shape:
        message = f"`model` must be a single point, but has shape {model.shape}"
        raise ValueError(message)
    omega = symplectic_form(len(model.labels))
    diffusion = model.diffusion
    for bath in model.baths:
        diffusion = diffusion + model.dense(bath.completion, ())
    generator = -omega @ model.drift
    matrix = omega.T @ diffusion @ omega - 0.5j * (generator - generator.T)
    rates, vectors = np.linalg.eigh(matrix)
    scale = float(np.max(np.abs(matrix), initial=0.0))
    if rates.size and rates[0] < -NOISE_TOLERANCE * scale - 1e-15:
        message = (
            f"the noise must keep the commutators (D + iK/2 ≥ 0), but its smallest eigenvalue is "
            f"{rates[0]:.6g}; replace bare drift by links or couplings"
        )
        raise ValueError(message)
    kept = rates > 4 * np.finfo(np.float64).eps * scale
    return MasterEquation(
        labels=model.labels,
        hamiltonian=0.5 * (generator + generator.T),
        jumps=(np.sqrt(rates[kept]) * vectors[:, kept]).T,
    )


def linear_model(equation: MasterEquation) -> LinearModel:
    """Return the linear model of a master equation, its noise as one bath."""
    omega = symplectic_form(len(equation.labels))
    matrix = equation.jumps.T @ equation.jumps.conj()
    drift = omega @ (equation.hamiltonian - matrix.imag)
    diffusion = omega @ matrix.real @ omega.T
    return LinearModel(
        labels=equation.labels,
        entries=_entries(drift),
        baths=(
            BathNoise(
                name="environment",
                occupation=np.zeros(()),
                entries=_entries(2 * diffusion),
                completion={},
            ),
        ),
    )


def to_qutip(model: LinearModel, dimensions: Sequence[int]) -> "tuple[Qobj, list[Qobj]]":
    """Return H and the collapse operators for ``qutip.mesolve``.

    Parameters
    ----------
    model : LinearModel
        A single point.
    dimensions : sequence of int
        Number states kept of each mode, in the order of `model.labels`.

    Raises
    ------
    ValueError
        If there is not one dimension ≥ 2 for each mode; see also `master_equation`.
    ImportError
        If QuTiP is not installed.
    """
    equation = master_equation(model)
    quadratures = _quadratures(dimensions, len(equation.labels))
    pairs = product(range(len(quadratures)), repeat=2)
    hamiltonian = sum(
        0.5 * equation.hamiltonian[i, j] * quadratures[i] * quadratures[j]
        for i, j in pairs
        if equation.hamiltonian[i, j] or i == j
    )
    jumps = [
        sum(weight * operator for weight, operator in zip(jump, quadratures, strict=True))
        for jump in equation.jumps
    ]
    return hamiltonian, jumps


def to_qutip_evo(model_at: Callable[[float], LinearModel], dimensions: Sequence[int]) -> "QobjEvo":
    """Return the Liouvillian of a time-dependent model for ``qutip.mesolve`` as its first argument.

    Parameters
    ----------
    model_at : callable
        ``model_at(t)`` returns the `LinearModel` at time t, as for `evolution.evolve_driven`.
    dimensions : sequence of int
    """
    qutip = _qutip()

    def at(t: float) -> Any:
        hamiltonian, jumps = to_qutip(model_at(t), dimensions)
        return qutip.liouvillian(hamiltonian, jumps)

    return qutip.QobjEvo(at)


def from_qutip(hamiltonian: "Qobj", jumps: "Sequence[Qobj]", labels: Sequence[str]) -> LinearModel:
    """Return the linear model of a quadratic H and linear collapse operators.

    Parameters
    ----------
    hamiltonian, jumps : Qobj
        On a tensor product of modes, each of three or more number states.
    labels : sequence of str
        Names of the modes, in order.

    Raises
    ------
    ValueError
        If H is not quadratic or a collapse operator not linear in the ladder operators.
    """
    dimensions = hamiltonian.dims[0]
    count = len(dimensions)
    if count != len(labels) or min(dimensions) < 3:
        message = (
            f"there must be one of {len(labels)} labels for each mode, of three or more number "
            f"states, but the dimensions are {dimensions}"
        )
        raise ValueError(message)
    matrix = np.asarray(hamiltonian.full())
    ground = _state(dimensions, {})
    number = np.zeros((count, count), np.complex128)
    pairs = np.zeros((count, count), np.complex128)
    for k, j in product(range(count), repeat=2):
        number[k, j] = matrix[_state(dimensions, {k: 1}), _state(dimensions, {j: 1})]
        number[k, j] -= matrix[ground, ground] if k == j else 0
        both = _state(dimensions, {k: 2} if k == j else {k: 1, j: 1})
        pairs[k, j] = matrix[ground, both] * (np.sqrt(2) if k == j else 1)
    g = np.zeros((2 * count, 2 * count))
    g[0::2, 0::2], g[1::2, 1::2] = (number + pairs).real, (number - pairs).real
    g[0::2, 1::2] = -(number + pairs).imag
    g[1::2, 0::2] = g[0::2, 1::2].T
    columns = []
    for jump in jumps:
        entries = np.asarray(jump.full())
        ones = [_state(dimensions, {k: 1}) for k in range(count)]
        lowering, raising = entries[ground, ones], entries[ones, ground]
        column = np.empty(2 * count, np.complex128)
        column[0::2] = (lowering + raising) / np.sqrt(2)
        column[1::2] = 1j * (lowering - raising) / np.sqrt(2)
        columns.append(column)
    equation = MasterEquation(
        labels=tuple(labels),
        hamiltonian=g,
        jumps=np.array(columns).reshape(-1, 2 * count),
    )
    found = linear_model(equation)
    _refuse_nonlinear(equation, hamiltonian, jumps, dimensions)
    return found


def covariance_of(state: "Qobj") -> tuple[Real, Real]:
    """Covariance matrix (2n, 2n) and means (2n,) of a QuTiP state, ket or density matrix.

    Of a state that is not Gaussian they are its second moments, no more.
    """
    qutip = _qutip()
    dimensions = state.dims[0]
    quadratures = _quadratures(dimensions, len(dimensions))
    mean = np.array([float(np.real(qutip.expect(q, state))) for q in quadratures])
    moments = np.array(
        [
            [float(np.real(qutip.expect(left * right, state))) for right in quadratures]
            for left in quadratures
        ]
    )
    return 0.5 * (moments + moments.T) - np.outer(mean, mean), mean


def state_of(cov: ArrayLike, dimensions: Sequence[int], *, mean: ArrayLike | None = None) -> "Qobj":
    """Density matrix of a Gaussian state in a truncated number basis.

    ρ ∝ exp(−½ (ξ − d)ᵀ K (ξ − d)) with K = 2i Ω arcoth(2i V Ω); exponentials of truncated
    operators are exact only well below the truncation, so keep many more number states than the
    mode has quanta.

    Parameters
    ----------
    cov : array_like, shape (2n, 2n)
    dimensions : sequence of int
    mean : array_like, shape (2n,), optional

    Raises
    ------
    ValueError
        If the matrix is no state, or truncation changes its second moments by more than 1e-3.
    """
    v = np.asarray(cov, np.float64)
    count = len(dimensions)
    if v.shape != (2 * count, 2 * count):
        message = f"`cov` must have shape {(2 * count, 2 * count)}, but has {v.shape}"
        raise ValueError(message)
    omega = symplectic_form(count)
    eigenvalues, vectors = np.linalg.eig(2j * v @ omega)
    if np.min(np.abs(eigenvalues)) < 1 - 1e-9:
        message = "`cov` must be a state (V + iΩ/2 ≥ 0), but is none"
        raise ValueError(message)
    # a pure mode has an infinite exponent; 1e-12 quanta stand in for none
    safe = np.sign(eigenvalues.real) * np.maximum(np.abs(eigenvalues.real), 1 + 2e-12)
    inverse = np.arctanh(1 / safe)
    kernel = (2j * omega @ (vectors * inverse) @ np.linalg.inv(vectors)).real
    quadratures = _quadratures(dimensions, count)
    shift = np.zeros(2 * count) if mean is None else np.asarray(mean, np.float64)
    centred = [q - d for q, d in zip(quadratures, shift, strict=True)]
    exponent = sum(
        -0.5 * kernel[i, j] * centred[i] * centred[j]
        for i, j in product(range(2 * count), repeat=2)
    )
    matrix = exponent.full()
    levels, states = np.linalg.eigh(0.5 * (matrix + matrix.conj().T))
    weights = np.exp(levels - levels[-1])
    qutip = _qutip()
    rho = qutip.Qobj((states * (weights / weights.sum())) @ states.conj().T, dims=exponent.dims)
    found, at = covariance_of(rho)
    off = max(float(np.max(np.abs(found - v))), float(np.max(np.abs(at - shift))))
    if off > 1e-3:
        message = (
            f"`dimensions` {list(dimensions)} must hold the state, but change its moments by "
            f"{off:.3g}; keep more number states"
        )
        raise ValueError(message)
    return rho


def _refuse_nonlinear(
    equation: MasterEquation,
    hamiltonian: "Qobj",
    jumps: "Sequence[Qobj]",
    dimensions: Sequence[int],
) -> None:
    """Compare with what the numbers read off would make, away from the truncation's edge."""
    quadratures = [q.full() for q in _quadratures(dimensions, len(dimensions))]
    grid = np.indices(dimensions).reshape(len(dimensions), -1)
    inside = np.flatnonzero(np.all(grid < np.array(dimensions)[:, None] - 2, axis=0))
    size = len(quadratures)
    rebuilt = sum(
        0.5 * equation.hamiltonian[i, j] * quadratures[i] @ quadratures[j]
        for i, j in product(range(size), repeat=2)
    )
    difference = (hamiltonian.full() - rebuilt)[np.ix_(inside, inside)]
    difference -= difference[0, 0] * np.eye(len(inside))
    pairs = [("hamiltonian", difference, hamiltonian)]
    for jump, weights in zip(jumps, equation.jumps, strict=True):
        made = reduce(np.add, [w * q for w, q in zip(weights, quadratures, strict=True)])
        pairs.append(("jumps", (jump.full() - made)[np.ix_(inside, inside)], jump))
    for name, rest, whole in pairs:
        if np.max(np.abs(rest), initial=0.0) > 1e-9 * max(1.0, float(np.abs(whole.full()).max())):
            kind = "quadratic" if name == "hamiltonian" else "linear"
            message = f"`{name}` must be {kind} in the ladder operators, but has other terms"
            raise ValueError(message)


def _state(dimensions: Sequence[int], numbers: dict[int, int]) -> int:
    """Place of a number state in the product basis."""
    places = [numbers.get(mode, 0) for mode in range(len(dimensions))]
    return int(np.ravel_multi_index(places, tuple(dimensions)))


def _quadratures(dimensions: Sequence[int], count: int) -> "list[Any]":
    """x₁, p₁, x₂, p₂, … as QuTiP operators."""
    if len(dimensions) != count or min(dimensions, default=2) < 2:
        message = f"`dimensions` must be {count} numbers ≥ 2, but are {list(dimensions)}"
        raise ValueError(message)
    qutip = _qutip()
    found = []
    for place in range(count):
        parts = [qutip.qeye(size) for size in dimensions]
        parts[place] = qutip.destroy(dimensions[place])
        lowering = qutip.tensor(parts)
        found += [
            (lowering + lowering.dag()) / np.sqrt(2),
            -1j * (lowering - lowering.dag()) / np.sqrt(2),
        ]
    return found


def _entries(matrix: Real) -> dict[tuple[int, int], Real]:
    return {
        (int(i), int(j)): np.asarray(matrix[i, j]) for i, j in zip(*np.nonzero(matrix), strict=True)
    }


def _qutip() -> Any:
    try:
        import qutip
    except ImportError:
        message = "this needs QuTiP: pip install -e '.[qutip]' in a checkout of labkit"
        raise ImportError(message) from None
    return qutip
