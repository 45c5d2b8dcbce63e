"""Periodically modulated networks: the state they settle into, and whether there is one.

dV/dt = A V + V Aᵀ + D with A(t + T) = A(t), D(t + T) = D(t) has, over one period,

    V(t + T) = Φ V(t) Φᵀ + Q,    Φ the monodromy matrix, Q the noise of a period,

so that a periodic state exists where all Floquet multipliers, the eigenvalues of Φ, are inside
the unit circle; then V(0) = Φ V(0) Φᵀ + Q.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.evolution import evolve_driven
from simulation.theory.linear_model import LinearModel

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
NetworkAt = Callable[[float], LinearModel]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeriodicState:
    """What a periodically modulated network settles into.

    Attributes
    ----------
    labels : tuple of str
        Modes in the order of the quadratures.
    times : ndarray, shape (t,)
        From 0 to the period, both included.
    cov : ndarray, shape (t, 2n, 2n)
        Covariance matrix at `times`; nan if not stable.
    multipliers : ndarray of complex, shape (2n,)
        Floquet multipliers, largest first.
    period : float
    """

    labels: tuple[str, ...]
    times: Real
    cov: Real
    multipliers: Complex
    period: float

    @property
    def stable(self) -> bool:
        """Whether all multipliers are inside the unit circle."""
        return bool(np.all(np.abs(self.multipliers) < 1))

    @property
    def growth_rate(self) -> float:
        """Largest real part of the Floquet exponents, ln|multiplier|/T."""
        return float(np.log(np.abs(self.multipliers[0])) / self.period)

    def of(self, *modes: str) -> Real:
        """Covariance matrix of the named modes, shape (t, 2k, 2k)."""
        places = [2 * self.labels.index(mode) + k for mode in modes for k in (0, 1)]
        return np.asarray(self.cov[:, places][..., places])


def periodic_state(
    model_at: NetworkAt, period: float, *, times: ArrayLike | int = 65, tolerance: float = 1e-10
) -> PeriodicState:
    """Find the periodic state of a modulated network.

    Parameters
    ----------
    model_at : callable
        ``model_at(t)`` returns the `LinearModel` (a single point) at time t, the same at t + T:
        ``lambda t: Network(…, couplings=[beam_splitter("a", "b", g * np.cos(nu * t))]).build()``.
        Functions that also take an array of times, as this one, are tenfold faster.
    period : float
        T, in the inverse unit of the rates.
    times : int or array_like
        How many instants of the period, or which (ascending, from 0 to T; put one wherever
        coefficients jump).
    tolerance : float
        Of each step of the integration, see `evolution.evolve_driven`.

    Raises
    ------
    ValueError
        If the period is not positive, `times` do not run from 0 to it, or the model is a batch.
    """
    if not (np.isfinite(period) and period > 0):
        message = f"`period` must be finite and > 0, but is {period}"
        raise ValueError(message)
    grid = np.linspace(0, period, times) if isinstance(times, int) else np.asarray(times, float)
    if grid.ndim != 1 or len(grid) < 2 or grid[0] != 0 or grid[-1] != period:
        message = f"`times` must run from 0 to the period {period:g}, but are {grid}"
        raise ValueError(message)
    first = model_at(0.0)
    if first.shape:
        message = f"`model_at` must give single points, but gives shape {first.shape}"
        raise ValueError(message)
    size = first.size
    start = np.zeros((2 * size, 2 * size))
    start[:size, size:] = start[size:, :size] = np.eye(size)
    found = evolve_driven(lambda t: _Beside(model_at(t)), start, grid, tolerance=tolerance)
    monodromy, noise = found[-1, :size, size:], found[-1, :size, :size]
    multipliers = np.linalg.eigvals(monodromy).astype(np.complex128)
    multipliers = multipliers[np.argsort(-np.abs(multipliers))]
    cov = np.full((len(grid), size, size), np.nan)
    if np.all(np.abs(multipliers) < 1):
        from scipy.linalg import solve_discrete_lyapunov

        settled = solve_discrete_lyapunov(monodromy, noise)
        phi = found[:, :size, size:]
        cov = phi @ settled @ np.swapaxes(phi, -1, -2) + found[:, :size, :size]
    return PeriodicState(
        labels=first.labels, times=grid, cov=cov, multipliers=multipliers, period=period
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    """A network beside a copy that stands still: their covariance is the propagator Φ(t)."""

    model: LinearModel

    @property
    def size(self) -> int:
        return 2 * self.model.size

    @property
    def drift(self) -> Real:
        return self._beside(self.model.drift)

    @property
    def diffusion(self) -> Real:
        return self._beside(self.model.diffusion)

    def _beside(self, matrix: Real) -> Real:
        whole = np.zeros((*matrix.shape[:-2], self.size, self.size))
        whole[..., : self.model.size, : self.model.size] = matrix
        return whole
