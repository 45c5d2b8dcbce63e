"""Covariance matrices in time: dV/dt = A V + V Aᵀ + D with constant or changing A and D."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.linear_model import LinearModel

Real = NDArray[np.float64]


class Coefficients(Protocol):
    """What changes in time; a `LinearModel` is one."""

    @property
    def size(self) -> int:
        """Number of quadratures."""

    @property
    def drift(self) -> Real:
        """A."""

    @property
    def diffusion(self) -> Real:
        """D."""


ModelAt = Callable[[float], Coefficients]
Sampled = Callable[[Real], tuple[Real, Real]]
"""A and D at some times, shape (t, ..., 2n, 2n)."""

_GAUSS: Final = 0.5 + np.array([-1, 1]) * np.sqrt(3) / 6
"""Gauss points of a step."""
_INSTANTS: Final = np.array([*_GAUSS, *(0.5 + _GAUSS / 2), 0.0, 0.5, 1.0])
"""Of an advance: Gauss points of the step and of its second half, then those of its noise."""

_SERIES: Final = 18
"""Terms of the series of a short step; its remainder is below rounding for ‖A‖τ ≤ 1/2."""


def evolve(model: LinearModel, cov: ArrayLike, times: ArrayLike) -> Real:
    """V(t) of a model with constant coefficients, exact to rounding.

    V(t+τ) = Φ V Φᵀ + Q, Φ = e^{Aτ}, Q = ∫₀^τ e^{As} D e^{Aᵀs} ds; both from a short step by
    doubling, which never forms a growing exponential of a decaying mode. Unstable models grow.

    Parameters
    ----------
    model : LinearModel
        Batch shape (...).
    cov : array_like, shape (..., 2n, 2n)
        V at times[0].
    times : array_like, shape (t,)
        Ascending, in the inverse unit of the model's rates.

    Returns
    -------
    ndarray, shape (t, ..., 2n, 2n)

    Raises
    ------
    ValueError
        If times do not ascend or `cov` has the wrong size.
    """
    grid, start = _checked(times, cov, model.size)
    drift, diffusion = model.drift, model.diffusion
    current = np.broadcast_to(start, np.broadcast_shapes(start.shape, drift.shape))
    found = [current]
    last, propagator = -1.0, (drift, diffusion)
    for step in np.diff(grid):
        if abs(step - last) > 1e-13 * abs(step):
            last, propagator = step, transition(drift, diffusion, float(step))
        phi, noise = propagator
        current = _symmetric(phi @ current @ np.swapaxes(phi, -1, -2) + noise)
        found.append(current)
    return np.stack(found)


def evolve_driven(
    model_at: ModelAt, cov: ArrayLike, times: ArrayLike, *, tolerance: float = 1e-9
) -> Real:
    """V(t) of a model whose coefficients change in time.

    Fourth-order Magnus steps of A (two Gauss points) with the noise by Simpson's rule, halved
    until two halves agree with the whole.

    Parameters
    ----------
    model_at : callable
        ``model_at(t)`` returns the `LinearModel` at time t, all of one batch shape. One that also
        takes an array of times, as of ``np.cos(nu * t)``, is asked for all of a step at once.
    cov : array_like, shape (..., 2n, 2n)
        V at times[0].
    times : array_like, shape (t,)
        Ascending; put one wherever coefficients jump.
    tolerance : float
        Allowed error of each step relative to max|V|.

    Returns
    -------
    ndarray, shape (t, ..., 2n, 2n)
    """
    first = model_at(float(np.ravel(times)[0]))
    grid, start = _checked(times, cov, first.size)
    coefficients = _each_alone(model_at)
    if first.drift.ndim == 2 and _takes_arrays(model_at, grid):
        coefficients = _all_at_once(model_at)
    current = start
    found = [current]
    step = np.inf
    for begin, end in pairwise(grid):
        time = begin
        step = min(step, end - begin)
        while time < end:
            size = min(step, end - time)
            parts = ((time, size), (time, size / 2), (time + size / 2, size / 2))
            a, d = coefficients(np.concatenate([t + h * _INSTANTS for t, h in parts]))
            whole, once, twice = (
                (a[k : k + 4], d[k + 4 : k + 7]) for k in range(0, a.shape[0], len(_INSTANTS))
            )
            one = _advance(*whole, current, size)
            halves = _advance(*twice, _advance(*once, current, size / 2), size / 2)
            error = float(np.max(np.abs(halves - one))) / float(np.max(np.abs(halves)))
            if error > tolerance:
                step = size * max(0.1, 0.8 * (tolerance / error) ** 0.2)
                continue
            time = end if size == end - time else time + size
            current = _symmetric(halves + (halves - one) / 15)
            step = size * min(4.0, 0.8 * (tolerance / max(error, 1e-16)) ** 0.2)
        found.append(current)
    shape = np.broadcast_shapes(*(item.shape for item in found))
    return np.stack([np.broadcast_to(item, shape) for item in found])


def transition(drift: ArrayLike, diffusion: ArrayLike, step: float) -> tuple[Real, Real]:
    """Φ = e^{Aτ} and Q = ∫₀^τ e^{As} D e^{Aᵀs} ds, both (..., 2n, 2n)."""
    a, d = np.asarray(drift, np.float64), np.asarray(diffusion, np.float64)
    norm = float(np.max(np.sum(np.abs(a), axis=-1), initial=0.0)) * abs(step)
    doublings = max(0, int(np.ceil(np.log2(max(norm, 1e-300) / 0.5))))
    short = step / 2**doublings
    phi, noise = _short_step(a, d, short)
    for _ in range(doublings):
        noise = noise + phi @ noise @ np.swapaxes(phi, -1, -2)
        phi = phi @ phi
    return phi, _symmetric(noise)


def _short_step(a: Real, d: Real, step: float) -> tuple[Real, Real]:
    """Taylor series: Φ = Σ (Aτ)^k/k!, Q = Σ τ^{k+1}/(k+1)! L^k D with L X = A X + X Aᵀ."""
    phi = np.broadcast_to(np.eye(a.shape[-1]), a.shape)
    power, term = phi, d * step
    noise = term
    for k in range(1, _SERIES):
        power = power @ a * (step / k)
        phi = phi + power
        moved = a @ term
        term = (moved + np.swapaxes(moved, -1, -2)) * (step / (k + 1))
        noise = noise + term
    return phi, noise


def _each_alone(model_at: ModelAt) -> Sampled:
    """Ask for a model at each time."""

    def sampled(times: Real) -> tuple[Real, Real]:
        models = {time: model_at(time) for time in dict.fromkeys(times.tolist())}
        found = [models[time] for time in times.tolist()]
        return np.stack([m.drift for m in found]), np.stack([m.diffusion for m in found])

    return sampled


def _all_at_once(model_at: ModelAt) -> Sampled:
    """Ask for one batch of all times."""

    def sampled(times: Real) -> tuple[Real, Real]:
        models = model_at(times)  # type: ignore[arg-type]
        drift, diffusion = models.drift, models.diffusion
        shape = (len(times), *drift.shape[-2:])
        return np.broadcast_to(drift, shape), np.broadcast_to(diffusion, shape)

    return sampled


def _takes_arrays(model_at: ModelAt, grid: Real) -> bool:
    """Whether an array of times gives the models of these times."""
    times = grid[0] + (grid[-1] - grid[0]) * np.array([0.0, 0.29, 0.61])
    try:
        together = _all_at_once(model_at)(times)
    except (TypeError, ValueError, AttributeError):  # a function of one number
        return False
    alone = _each_alone(model_at)(times)
    return all(
        np.allclose(one, other, rtol=1e-13, atol=0)
        for one, other in zip(together, alone, strict=True)
    )


def _advance(drift: Real, diffusion: Real, cov: Real, step: float) -> Real:
    """One Magnus step: Φ over the step and over its second half, noise by Simpson's rule."""
    phi, half = _magnus(drift[:2], step), _magnus(drift[2:], step / 2)
    d_0, d_1, d_2 = diffusion
    noise = (_carried(phi, d_0) + 4 * _carried(half, d_1) + d_2) * (step / 6)
    return np.asarray(_carried(phi, cov) + noise)


def _magnus(drift: Real, step: float) -> Real:
    a_1, a_2 = drift
    generator = (a_1 + a_2) / 2 - np.sqrt(3) / 12 * step * (a_1 @ a_2 - a_2 @ a_1)
    return transition(generator, np.zeros_like(generator), step)[0]


def _carried(phi: Real, matrix: Real) -> Real:
    return np.asarray(phi @ matrix @ np.swapaxes(phi, -1, -2))


def _symmetric(matrix: Real) -> Real:
    return np.asarray(0.5 * (matrix + np.swapaxes(matrix, -1, -2)))


def _checked(times: ArrayLike, cov: ArrayLike, size: int) -> tuple[Real, Real]:
    grid, start = np.asarray(times, np.float64), np.asarray(cov, np.float64)
    if grid.ndim != 1 or not len(grid) or np.any(np.diff(grid) < 0):
        message = f"`times` must be 1-D and ascend, but are {grid}"
        raise ValueError(message)
    if start.shape[-2:] != (size, size):
        message = f"`cov` must have shape (..., {size}, {size}), but has {start.shape}"
        raise ValueError(message)
    return grid, start
