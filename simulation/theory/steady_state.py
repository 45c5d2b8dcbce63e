"""Steady states of linear models: covariance matrix and stability for whole batches."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.theory import lyapunov
from simulation.theory.gaussian import reduce
from simulation.theory.linear_model import LinearModel

Real = NDArray[np.float64]

RESIDUAL_LIMIT: Final = 1e-13
"""Largest backward error of an accepted solution (`lyapunov.residual`)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SteadyState:
    """Steady state of a linear model.

    Attributes
    ----------
    labels : tuple of str
        Modes in the order of the quadratures.
    cov : ndarray, shape (..., 2n, 2n)
        Covariance matrix; nan where not stable.
    stable : ndarray of bool, shape (...)
        Whether a steady state exists.
    """

    labels: tuple[str, ...]
    cov: Real
    stable: NDArray[np.bool_]

    def of(self, *modes: str) -> Real:
        """Covariance matrix of the named modes, in the order given."""
        return reduce(self.cov, [self.labels.index(mode) for mode in modes])


def steady_state(model: LinearModel) -> SteadyState:
    """Covariance matrix V of A V + V Aᵀ + D = 0 where A is stable.

    The noise of a `LinearModel` is legal (D ≥ 0 and it keeps the commutators), so that V ≻ 0 is
    equivalent to stability; that is what `stable` says, together with a residual below
    `RESIDUAL_LIMIT`. At the edge of stability itself rounding decides.

    Parameters
    ----------
    model : LinearModel
        From `Network.build`.

    Returns
    -------
    SteadyState
    """
    drift, diffusion = model.drift, model.diffusion
    scale = np.max(np.abs(drift), initial=np.finfo(np.float64).tiny)
    cov = lyapunov.solve_dense(drift / scale, diffusion / scale)
    stable = positive_definite(cov)
    stable &= lyapunov.residual(drift, cov, diffusion) < RESIDUAL_LIMIT
    cov = np.where(stable[..., None, None], cov, np.nan)
    return SteadyState(labels=model.labels, cov=cov, stable=stable)


def positive_definite(cov: Real) -> NDArray[np.bool_]:
    """Whether all pivots of the LDLᵀ factorisation are positive, shape (...)."""
    rest = np.array(cov, np.float64)
    positive = np.ones(rest.shape[:-2], np.bool_)
    for k in range(rest.shape[-1]):
        pivot = rest[..., k, k]
        positive &= pivot > 0
        below = rest[..., k + 1 :, k] / np.where(positive, pivot, np.inf)[..., None]
        rest[..., k + 1 :, k + 1 :] -= below[..., :, None] * rest[..., None, k, k + 1 :]
    return positive


def growth_rate(model: LinearModel) -> Real:
    """Largest real part of the eigenvalues of A in the model's unit of rates, shape (...)."""
    return np.broadcast_to(
        lyapunov.growth_rate(model.dense(model.entries, model.drift_shape)), model.shape
    ).copy()


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
