"""Derivatives of what a steady state gives, without solving it at shifted points.

From A V + V Aᵀ + D = 0, a change of a parameter changes V by A dV + dV Aᵀ + S = 0 with
S = dA V + V dAᵀ + dD. A result f of V has df = tr(G dV), and since tr(G dV) = tr(Y S) with
Aᵀ Y + Y A + G = 0, two Lyapunov solutions serve any number of parameters. G is

- of −ln 2ν̃₋: −w w†/(w†Ṽ w) (transposed back), where the partial transpose Ṽ = P V P has
  iΩṼ w = ν̃ w;
- of mean quanta: ½ of the mode's block; of its squeezed variance: u uᵀ of its eigenvector.

The growth rate is Re λ of A alone, dλ = l†dA r/(l†r).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulation.theory.gaussian import occupation
from simulation.theory.linear_model import LinearModel
from simulation.theory.lyapunov import growth_rate, solve_dense
from simulation.theory.measures import log_nu, squeezed_variance, symplectic_form
from simulation.theory.models.model import Model, Moment

Real = NDArray[np.float64]

DEGENERATE: Final = 1e-8
"""Relative difference of two eigenvalues below which their derivatives do not exist: they cross."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Star:
    """Points around one, and the weights that make derivatives of values there.

    Attributes
    ----------
    points : ndarray, shape (2k + 1, k)
        The point, then each of its k coordinates moved, then each moved elsewhere.
    weights : ndarray, shape (2, k)
        Of the first and of the second moved point; of the point itself minus their sum.
    """

    points: Real
    weights: Real

    @classmethod
    def around(cls, centre: Real, step: Real, low: Real, high: Real) -> "Star":
        """Central differences; where they would leave [low, high], three points to one side."""
        size = len(centre)
        first, second = centre + step, centre - step
        side = np.where(first > high, -1.0, np.where(second < low, 1.0, 0.0))
        first = np.where(side != 0, centre + side * step, first)
        second = np.where(side != 0, centre + 2 * side * step, second)
        points = np.tile(centre, (2 * size + 1, 1))
        points[1 : size + 1][np.diag_indices(size)] = first
        points[size + 1 :][np.diag_indices(size)] = second
        a, b = first - centre, second - centre  # as rounded
        # exact for parabolas: Σ w x = 1, Σ w x² = 0
        weights = np.stack([-b / (a * (a - b)), a / (b * (a - b))])
        return cls(points=points, weights=weights)

    def slopes(self, values: Real) -> Real:
        """Differentiate values of shape (2k + 1, …) along each coordinate, shape (k, …)."""
        size = self.weights.shape[1]
        first, second = (weight.reshape(size, *(1,) * (values.ndim - 1)) for weight in self.weights)
        one, other = values[1 : size + 1] - values[0], values[size + 1 :] - values[0]
        return np.asarray(first * one + second * other)


def slopes_of(
    model: Model, results: Sequence[str], parameters: Mapping[str, Any], star: Star
) -> tuple[Real, Real]:
    """Results at a point, or at draws around it, and their derivatives along its coordinates.

    Parameters
    ----------
    model : Model
        With `linear`.
    results : sequence of str
        Among `Model.moments`.
    parameters : mapping of str to array_like
        Numbers, and arrays of the values at the points of the star, shape (2k + 1,) or
        (2k + 1, draws). dA and dD are differences of these cheap matrices.
    star : Star

    Returns
    -------
    ndarray, shape (results, draws)
        One draw if there are none; nan where there is no steady state.
    ndarray, shape (results, draws, k)
        nan as well where eigenvalues cross.

    Raises
    ------
    ValueError
        If the model has no linear equations.
    """
    if model.linear is None:
        message = f"{model.name} has no linear equations of motion: differentiate it numerically"
        raise ValueError(message)
    equations = model.linear(model.parameters(**parameters))
    number = len(star.points)
    draws = equations.shape[1] if len(equations.shape) > 1 else 1
    drift, diffusion = (
        _at_points(equations, entries, number, draws)
        for entries in (equations.entries, equations.diffusion_entries)
    )
    a, d = drift[0], diffusion[0]
    values = np.full((len(results), draws), np.nan)
    slopes = np.full((len(results), draws, star.weights.shape[1]), np.nan)
    stable = growth_rate(a) < 0
    if not np.all(stable):
        return values, slopes
    v = solve_dense(a, d)
    d_drift, d_diffusion = star.slopes(drift), star.slopes(diffusion)
    for place, name in enumerate(results):
        moment = model.moments[name]
        if moment.kind == "growth_rate":
            values[place], left_right = _growth(a)
            slopes[place] = np.einsum("mij,kmij->mk", left_right, d_drift)
            continue
        places = np.array([2 * n + q for n in equations.numbers(*moment.modes) for q in (0, 1)])
        rows = places[:, None]
        values[place], slope = _moment(moment, v[:, rows, places])
        known = np.all(np.isfinite(slope), axis=(-2, -1))
        weight = np.zeros_like(a)
        weight[:, rows, places] = np.where(known[:, None, None], slope, 0.0)
        adjoint = solve_dense(np.swapaxes(a, -1, -2), weight)
        # tr(Y (dA V + V dAᵀ)) = 2 tr(V Y dA), as Y and V are symmetric
        found = 2 * np.einsum("mij,kmji->mk", v @ adjoint, d_drift)
        found += np.einsum("mij,kmji->mk", adjoint, d_diffusion)
        slopes[place] = np.where(known[:, None], found, np.nan)
    return values, slopes


def _at_points(equations: LinearModel, entries: Any, number: int, draws: int) -> Real:
    """Return matrices at all points and draws, shape (2k + 1, draws, N, N)."""
    shape = (number, draws) if len(equations.shape) > 1 else (number,)
    matrix = equations.dense(entries, shape)
    return matrix if len(shape) > 1 else matrix[:, None]


def _moment(moment: Moment, v: Real) -> tuple[Real, Real]:
    """Value of a result and its derivative to the modes' covariance matrix, by draws."""
    if moment.kind == "quanta":
        return occupation(v)[..., 0], np.broadcast_to(0.5 * np.eye(2), v.shape)
    if moment.kind == "squeezing":
        values, vectors = np.linalg.eigh(v)
        u = vectors[..., 0]
        slope = u[..., :, None] * u[..., None, :]
        crossing = values[..., 1] - values[..., 0] <= DEGENERATE * values[..., 1]
        return squeezed_variance(v), np.where(crossing[..., None, None], np.nan, slope)
    value = log_nu(v)
    slope = _log_nu_slope(v)
    if moment.kind == "log_nu":
        return value, slope
    entangled = value > 0
    return np.maximum(value, 0.0), np.where(entangled[..., None, None], slope, 0.0)


def _log_nu_slope(pairs: Real) -> Real:
    """G = ∂(−ln ν̃₋)/∂V of two modes, by draws; nan where ν̃₋ = ν̃₊.

    With Ṽ = L Lᵀ and iLᵀΩL u = ν̃ u, w = iΩL u has w†Ṽ w = ν̃².
    """
    mirror = np.array([1.0, 1.0, 1.0, -1.0])
    factor = np.linalg.cholesky(pairs * np.outer(mirror, mirror))
    turned = symplectic_form(2) @ factor
    values, vectors = np.linalg.eigh(1j * np.swapaxes(factor, -1, -2) @ turned)
    lower, upper = values[:, 2], values[:, 3]
    w = mirror * (turned @ vectors[..., 2:3])[..., 0]
    slope = -(w[:, :, None] * w[:, None, :].conj()).real / lower[:, None, None] ** 2
    crossing = upper - lower <= DEGENERATE * upper
    return np.where(crossing[:, None, None], np.nan, slope)


def _growth(a: Real) -> tuple[Real, Real]:
    """Growth rate and its derivative to A, nan where the eigenvalue is a multiple one."""
    values, right = np.linalg.eig(a)
    first = np.argmax(values.real, axis=-1)
    left = np.linalg.pinv(right)  # also of an exceptional point, whose condition then tells
    draws = np.arange(len(a))
    slope = (left[draws, first][:, :, None] * right[draws, :, first][:, None, :]).real
    near = np.abs(values - values[draws, first][:, None])
    near = np.minimum(near, np.abs(values - values[draws, first].conj()[:, None]))
    scale = np.max(np.abs(values), axis=-1)
    multiple = np.sum(near <= DEGENERATE * scale[:, None], axis=-1) > 1 + (
        np.abs(values[draws, first].imag) > DEGENERATE * scale
    )
    return values[draws, first].real, np.where(multiple[:, None, None], np.nan, slope)
