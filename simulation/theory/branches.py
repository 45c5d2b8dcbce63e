"""Steady states of driven networks: all branches of the mean fields, and which are stable."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.theory import lyapunov
from simulation.theory.couplings import Coupling, force, linearise
from simulation.theory.linear_model import LinearModel
from simulation.theory.mean_field import pushes
from simulation.theory.network import Network

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Flags = NDArray[np.bool_]

_RANDOM: Final = 40
_ITERATIONS: Final = 100
_HALVINGS: Final = 12
_DISTINCT: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branches:
    """Steady states of a driven network, in ascending order of the quanta in all modes.

    Attributes
    ----------
    mean : dict of str to ndarray of complex, shape (branches, ...)
        ⟨o⟩ of each mode; nan where a point has fewer branches than others.
    exists : ndarray of bool, shape (branches, ...)
    stable : ndarray of bool, shape (branches, ...)
        Whether small deviations decay; False where the branch does not exist.
    """

    mean: dict[str, Complex]
    exists: Flags
    stable: Flags


def branches(network: Network, *, seed: int = 1) -> Branches:
    """All steady states of a driven network and their stability.

    Newton's method from many starting points: the response with the nonlinear modes detuned by
    every likely shift, and random amplitudes of that size. It finds all branches of one bistable
    mode (tested against its cubic equation); of several nonlinear modes it may miss some.

    Parameters
    ----------
    network : Network
        With drives; couplings may be nonlinear.
    seed : int
        Of the random starting points.

    Returns
    -------
    Branches

    Raises
    ------
    ValueError
        If no steady state is found at some point.
    """
    system = _System(network)
    found, good = system.converged(system.starting_points(seed))
    quanta = np.where(good, np.sum(np.abs(found) ** 2, axis=0), np.inf)
    order = np.argsort(quanta, axis=0)
    found = np.take_along_axis(found, order[None], axis=1)
    kept, exists = _distinct(found, np.take_along_axis(good, order, axis=0))
    if not np.all(exists[0]):
        message = f"no steady state was found at {np.count_nonzero(~exists[0])} points"
        raise ValueError(message)
    stable = lyapunov.growth_rate(system.jacobian(kept)) < 0
    shape = (len(exists), *system.shape)
    return Branches(
        mean={
            name: np.where(exists, value, np.nan).reshape(shape)
            for name, value in zip(network.labels, kept, strict=True)
        },
        exists=exists.reshape(shape),
        stable=(stable & exists).reshape(shape),
    )


class _System:
    """dα/dt of a network for a flattened batch; α has shape (modes, starts, points)."""

    def __init__(self, network: Network) -> None:
        self.labels = network.labels
        at_rest = network.build({})
        pushed = pushes(network)
        self.shape = np.broadcast_shapes(
            at_rest.drift_shape,
            *(np.shape(value) for value in pushed.values()),
            *(term.coefficient.shape for item in network.couplings for term in item.terms),
        )
        size = at_rest.size
        self.drift = at_rest.dense(at_rest.entries, self.shape).reshape(-1, size, size)
        self.push = np.stack(
            [np.broadcast_to(pushed.get(name, 0j), self.shape).ravel() for name in self.labels]
        )
        self.nonlinear = [
            _flattened(item, self.shape) for item in network.couplings if not item.is_linear
        ]

    def starting_points(self, seed: int) -> Complex:
        """Responses with the nonlinear fields shifted, and random amplitudes of that size."""
        rates = np.max(np.abs(self.drift), axis=(-2, -1))
        sizes = np.concatenate([np.linspace(0.02, 2, 40), np.geomspace(2.5, 1e3, 10)])
        responses = [self._response(shift * rates) for shift in (0.0, *sizes, *-sizes)]
        starts = np.stack(responses, axis=1)
        largest = np.max(np.abs(starts), axis=(0, 1))
        rng = np.random.default_rng(seed)
        shape = (len(starts), _RANDOM, len(largest))
        random = rng.normal(size=shape) + 1j * rng.normal(size=shape)
        scale = 10 ** rng.uniform(-3, 0.5, (_RANDOM, 1))
        return np.concatenate([starts, random * scale * largest], axis=1)

    def rate(self, alpha: Complex) -> Complex:
        """dα/dt."""
        linear = np.einsum("pij,jsp->isp", self.drift, _quadratures(alpha))
        change = _amplitudes(linear) + self.push[:, None, :]
        return np.asarray(change + self._nonlinear_force(alpha))

    def jacobian(self, alpha: Complex) -> Real:
        """Return A at the means, shape (starts, points, 2n, 2n)."""
        u, v = linearise(self.nonlinear, dict(zip(self.labels, alpha, strict=True)))
        model = LinearModel.from_ladder(self.labels, u, v, [])
        return self.drift + model.dense(model.entries, alpha.shape[1:])

    def converged(self, alpha: Complex) -> tuple[Complex, Flags]:
        """Newton's method with halved steps: final α, and whether it is a steady state."""
        rate = self.rate(alpha)
        for _ in range(_ITERATIONS):
            step = np.moveaxis(_quadratures(rate), 0, -1)[..., None]
            delta = -_amplitudes(np.moveaxis(_solve(self.jacobian(alpha), step)[..., 0], -1, 0))
            size = np.ones(alpha.shape[1:])
            for _ in range(_HALVINGS):
                next_rate = self.rate(alpha + size * delta)
                worse = _norm(next_rate) > _norm(rate)
                if not np.any(worse):
                    break
                size = np.where(worse, size / 2, size)
            alpha, rate = alpha + size * delta, next_rate
            if np.all(_norm(delta) <= 1e-24 * _norm(alpha)):
                break
        return alpha, _norm(delta) <= 1e-18 * _norm(alpha) + np.finfo(np.float64).tiny

    def _response(self, shift: Real) -> Complex:
        """Linear response with the nonlinear fields shifted; the rest follows their force."""
        fields = {
            mode
            for item in self.nonlinear
            for term in item.terms
            for mode, _ in term.operators
            if {(mode, True), (mode, False)} <= set(term.operators)
        }
        drift = self.drift.copy()
        for place, name in enumerate(self.labels):
            if name in fields:
                drift[:, 2 * place, 2 * place + 1] += shift
                drift[:, 2 * place + 1, 2 * place] -= shift
        first = _linear_response(drift, self.push)
        moved = self._nonlinear_force(first[:, None, :])[:, 0]
        moved[[place for place, name in enumerate(self.labels) if name in fields]] = 0
        return _linear_response(drift, self.push + moved)

    def _nonlinear_force(self, alpha: Complex) -> Complex:
        pushed = force(self.nonlinear, dict(zip(self.labels, alpha, strict=True)))
        return np.stack([pushed[name] + np.zeros(alpha.shape[1:]) for name in self.labels])


def _flattened(coupling: Coupling, shape: tuple[int, ...]) -> Coupling:
    """Coefficients of a batch on one axis."""
    return Coupling(
        terms=tuple(
            replace(term, coefficient=np.broadcast_to(term.coefficient, shape).ravel())
            for term in coupling.terms
        )
    )


def _distinct(found: Complex, good: Flags) -> tuple[Complex, Flags]:
    """First of each set of equal solutions, shape (modes, branches, points), and whether it is."""
    size = np.max(np.abs(found), axis=0)
    new = good.copy()
    for start in range(1, found.shape[1]):
        far = np.max(np.abs(found[:, start, None] - found[:, :start]), axis=0)
        same = (far <= _DISTINCT * size[start]) & new[:start]
        new[start] &= ~np.any(same, axis=0)
    order = np.argsort(~new, axis=0, kind="stable")[: max(1, int(np.max(np.sum(new, axis=0))))]
    return np.take_along_axis(found, order[None], axis=1), np.take_along_axis(new, order, axis=0)


def _quadratures(alpha: Complex) -> Real:
    """(x1, p1, x2, …) along the first axis."""
    quadratures = np.empty((2 * len(alpha), *alpha.shape[1:]))
    quadratures[0::2], quadratures[1::2] = np.sqrt(2) * alpha.real, np.sqrt(2) * alpha.imag
    return quadratures


def _amplitudes(quadratures: Real) -> Complex:
    return np.asarray((quadratures[0::2] + 1j * quadratures[1::2]) / np.sqrt(2))


def _norm(alpha: Complex) -> Real:
    return np.asarray(np.sum(np.abs(alpha) ** 2, axis=0))


def _linear_response(drift: Real, push: Complex) -> Complex:
    """Steady state of linear equations, shape (modes, points)."""
    right = np.moveaxis(_quadratures(push), 0, -1)[..., None]
    return -_amplitudes(np.moveaxis(_solve(drift, right)[..., 0], -1, 0))


def _solve(matrix: Real, right: Real) -> Real:
    """Solve a stack of equations; if one is singular, all are tilted by less than it matters."""
    try:
        return np.asarray(np.linalg.solve(matrix, right))
    except np.linalg.LinAlgError:
        tilt = 1e-10 * np.max(np.abs(matrix)) * np.eye(matrix.shape[-1])
        return np.asarray(np.linalg.solve(matrix - tilt, right))
