"""Steady states of linear models: covariance matrix and stability for whole batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from simulation.theory import batch_solver, lyapunov
from simulation.theory.half_matrices import dense
from simulation.theory.linear_model import LinearModel

Real = NDArray[np.float64]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SteadyState:
    """Steady state of a linear model.

    Attributes
    ----------
    labels : tuple of str
        Modes in the order of the quadratures.
    stack : ndarray, shape (n(2n+1), ...)
        Lower triangle of the covariance matrix, row by row; nan where not stable.
    stable : ndarray of bool, shape (...)
        Whether a steady state exists.
    """

    labels: tuple[str, ...]
    stack: Real
    stable: NDArray[np.bool_]

    @property
    def cov(self) -> Real:
        """Covariance matrix of all modes, shape (..., 2n, 2n)."""
        return self.of(*self.labels)

    def of(self, *modes: str) -> Real:
        """Covariance matrix of the named modes, in the order given."""
        numbers = [self.labels.index(mode) for mode in modes]
        return dense(self.stack, [2 * number + k for number in numbers for k in (0, 1)])


def steady_state(model: LinearModel) -> SteadyState:
    """Covariance matrix V of A V + V Aᵀ + D = 0 where A is stable.

    The noise of a `LinearModel` is legal, so that V ≻ 0 is equivalent to stability; that is what
    `stable` says. On the border of stability itself rounding decides. Baths enter linearly: where
    only temperatures vary along an axis, one solution per bath serves all of it.

    Parameters
    ----------
    model : LinearModel
        From `Network.build`.

    Returns
    -------
    SteadyState
    """
    unit = _largest_rate(model)
    drift = {pair: value / unit for pair, value in model.entries.items()}
    if 0 < 2 * len(model.baths) * prod(model.drift_shape) <= prod(model.shape):
        return _from_baths(model, drift, unit)
    diffusion = {
        (i, j): value / unit for (i, j), value in model.diffusion_entries.items() if i >= j
    }
    solution = batch_solver.solve(model.size, drift, diffusion, model.shape)
    return _checked(model, solution.stack, solution.positive)


def growth_rate(model: LinearModel) -> Real:
    """Largest real part of the eigenvalues of A in the model's unit of rates, shape (...)."""
    rate = lyapunov.growth_rate(model.dense(model.entries, model.drift_shape))
    return np.broadcast_to(rate, model.shape).copy()


def describe_growth(model: LinearModel) -> str:
    """Say which supermode grows, for errors: rate, frequency and the modes it is made of.

    Parameters
    ----------
    model : LinearModel
        A single point, shape ().
    """
    value, share = lyapunov.fastest_growing(model.drift)
    made_of = ", ".join(
        f"{model.labels[place]} {100 * share[place]:.0f} %"
        for place in np.argsort(share)[::-1]
        if share[place] >= 0.005
    )
    return (
        f"the supermode of {made_of} has growth rate {value.real:+.6g} at frequency "
        f"{abs(value.imag):.6g}"
    )


def _from_baths(model: LinearModel, drift: dict[Pair, Real], unit: float) -> SteadyState:
    """V = Σ (n̄ + 1/2) V_bath, A V_bath + V_bath Aᵀ + Γ_bath = 0: baths are one more axis."""
    own, number = model.drift_shape, len(model.baths)
    gamma = {
        pair: _along_baths(model, pair) / unit
        for pair in {(i, j) for bath in model.baths for i, j in bath.entries if i >= j}
    }
    solution = batch_solver.solve(
        model.size,
        {pair: value[..., None] for pair, value in drift.items()},
        gamma,
        (*own, number),
        last_axis_is_baths=True,
    )
    padded = (len(solution.stack), *(1,) * (len(model.shape) - len(own)), *own, number)
    of_bath = solution.stack.reshape(padded)
    stack = np.zeros((len(of_bath), *model.shape))
    for place, bath in enumerate(model.baths):
        stack += (bath.occupation + 0.5) * of_bath[..., place]
    return _checked(model, stack, np.broadcast_to(solution.positive, model.shape).copy())


def _along_baths(model: LinearModel, pair: Pair) -> Real:
    """Γ_ij of every bath, on a last axis."""
    values: Sequence[Real] = [bath.entries.get(pair, np.zeros(())) for bath in model.baths]
    return np.stack(np.broadcast_arrays(*values), axis=-1)


def _checked(model: LinearModel, stack: Real, stable: NDArray[np.bool_]) -> SteadyState:
    if not np.all(stable):
        stack[:, ~stable] = np.nan
    return SteadyState(labels=model.labels, stack=stack, stable=stable)


def _largest_rate(model: LinearModel) -> float:
    sizes = (np.max(np.abs(value), initial=0.0) for value in model.entries.values())
    return float(max(sizes, default=0.0)) or 1.0
