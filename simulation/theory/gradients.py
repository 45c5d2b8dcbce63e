"""Derivatives of −ln 2ν̃₋ of two modes in the steady state, without solving it at shifted points.

From A V + V Aᵀ + D = 0, a change of a parameter changes V by A dV + dV Aᵀ + S = 0 with
S = dA V + V dAᵀ + dD. The smallest symplectic eigenvalue of the partial transpose Ṽ = P V P has
iΩṼ w = ν̃ w, hence d(−ln ν̃) = −w† dṼ w/(w†Ṽ w) = tr(G dV). Since tr(G dV) = tr(Y S) with
Aᵀ Y + Y A + G = 0, two Lyapunov solutions serve any number of parameters.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulation.theory.lyapunov import growth_rate, solve_dense
from simulation.theory.measures import log_nu, symplectic_form
from simulation.theory.models.model import Model

Real = NDArray[np.float64]

DEGENERATE: Final = 1e-8
"""Relative difference of both ν̃ below which their derivative does not exist: they cross."""


def log_nu_gradient(
    model: Model, modes: tuple[str, str], parameters: Mapping[str, Any], widths: Real
) -> tuple[float, Real]:
    """−ln 2ν̃₋ of two modes at a point, and its derivatives.

    Parameters
    ----------
    model : Model
        With `linear`.
    modes : pair of str
    parameters : mapping of str to array_like
        Numbers, and arrays of 2k + 1 values: at the point, then with the first to the k-th
        parameter moved up, then with each moved down. dA and dD are differences of these cheap
        matrices.
    widths : ndarray, shape (k,)
        From each value moved down to the one moved up.

    Returns
    -------
    float
        nan where there is no steady state.
    ndarray, shape (k,)
        nan as well where both symplectic eigenvalues are equal.

    Raises
    ------
    ValueError
        If the model has no linear equations.
    """
    if model.linear is None:
        message = f"{model.name} has no linear equations of motion: differentiate it numerically"
        raise ValueError(message)
    size = len(widths)
    equations = model.linear(model.parameters(**parameters))
    shape = (2 * size + 1,)
    drift = equations.dense(equations.entries, shape)
    diffusion = equations.dense(equations.diffusion_entries, shape)
    a, d = drift[0], diffusion[0]
    nowhere = np.full(size, np.nan)
    if not growth_rate(a) < 0:
        return np.nan, nowhere
    v = solve_dense(a, d)
    places = [2 * number + k for number in equations.numbers(*modes) for k in (0, 1)]
    pair = v[np.ix_(places, places)]
    value = float(log_nu(pair))
    slope = _slope(pair)
    if slope is None:
        return value, nowhere
    weight = np.zeros_like(a)
    weight[np.ix_(places, places)] = slope
    adjoint = solve_dense(a.T, weight)
    d_drift = (drift[1 : size + 1] - drift[size + 1 :]) / widths[:, None, None]
    d_diffusion = (diffusion[1 : size + 1] - diffusion[size + 1 :]) / widths[:, None, None]
    # tr(Y (dA V + V dAᵀ)) = 2 tr(V Y dA), as Y and V are symmetric
    return value, np.asarray(
        2 * np.einsum("ij,kji->k", v @ adjoint, d_drift)
        + np.einsum("ij,kji->k", adjoint, d_diffusion)
    )


def _slope(pair: Real) -> Real | None:
    """G = ∂(−ln ν̃₋)/∂V of two modes, None where ν̃₋ = ν̃₊.

    With Ṽ = L Lᵀ and iLᵀΩL u = ν̃ u, w = iΩL u has w†Ṽ w = ν̃².
    """
    mirror = np.array([1.0, 1.0, 1.0, -1.0])
    factor = np.linalg.cholesky(pair * np.outer(mirror, mirror))
    omega = symplectic_form(2)
    values, vectors = np.linalg.eigh(1j * factor.T @ omega @ factor)
    lower, upper = values[2:]
    if upper - lower <= DEGENERATE * upper:
        return None
    w = mirror * (omega @ factor @ vectors[:, 2])
    return np.asarray(-np.outer(w, w.conj()).real / lower**2)
