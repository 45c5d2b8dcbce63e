"""How the supermodes of a model move with a parameter: borders of stability, exceptional points.

Supermodes are the eigenvectors of the drift A, their eigenvalues λ decay (Re λ) and frequency
(−Im λ). The border of stability is where the largest Re λ is 0. At an exceptional point two
supermodes become one: A lacks an eigenvector there, and λ splits as the square root of the
distance; eigenvalues that merely cross keep their vectors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.linear_model import LinearModel
from simulation.theory.measures import symplectic_form
from simulation.theory.models import Model, get
from simulation.theory.steady_state import growth_rate

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

SAMPLES: Final = 513
"""Points of the first look along the parameter."""
CONSPICUOUS: Final = 3.0
"""Condition number from which a sampled point is looked at closely."""
COALESCED: Final = 1e5
"""Condition number of the eigenvectors at what is called an exceptional point (rounding: 1e8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionalPoint:
    """Where two supermodes become one.

    Attributes
    ----------
    value : float
        Of the parameter.
    growth_rate, frequency : float
        Re λ and |Im λ| of the merged supermode, in the model's unit of rates.
    modes : dict of str to float
        Share of each mode in the merged supermode; they sum to 1.
    condition : float
        Condition number of the eigenvectors there.
    """

    value: float
    growth_rate: float
    frequency: float
    modes: dict[str, float]
    condition: float


def stability_border(
    model: Model | str, name: str, low: float, high: float, /, **parameters: Any
) -> tuple[float, ...]:
    """Find where along a parameter the model gains or loses its steady state.

    Parameters
    ----------
    model : Model or str
    name : str
        The parameter, from `low` to `high`.
    **parameters : float or str
        The others.

    Returns
    -------
    tuple of float
        Ascending, to 1e-12 of the interval; two borders closer than 1/512 of it may be missed.

    Raises
    ------
    KeyError
        If a name is unknown.
    ValueError
        If the interval is empty, or the model has no drift.
    """
    from scipy.optimize import brentq

    linear = _along(model, name, low, high, parameters)
    grid = np.linspace(low, high, SAMPLES)
    rates = np.broadcast_to(growth_rate(linear(grid)), grid.shape)
    signs = np.sign(rates)
    found = grid[signs == 0].tolist()

    def rate(value: float) -> float:
        return float(growth_rate(linear(value)))

    for place in np.flatnonzero(signs[1:] * signs[:-1] < 0):
        found.append(brentq(rate, grid[place], grid[place + 1], xtol=1e-12 * (high - low)))
    return tuple(sorted(found))


def exceptional_points(
    model: Model | str, name: str, low: float, high: float, /, **parameters: Any
) -> tuple[ExceptionalPoint, ...]:
    """Find the exceptional points of the drift along a parameter.

    Parameters
    ----------
    model : Model or str
    name : str
        The parameter, from `low` to `high`.
    **parameters : float or str
        The others. Generically an exceptional point needs two parameters to be tuned, one if a
        symmetry helps (equal frequencies, balanced gain and loss).

    Returns
    -------
    tuple of ExceptionalPoint
        Ascending; two that are closer than 1/512 of the interval may be taken for one.

    Raises
    ------
    KeyError
        If a name is unknown.
    ValueError
        If the interval is empty, or the model has no drift.
    """
    linear = _along(model, name, low, high, parameters)
    grid = np.linspace(low, high, SAMPLES)
    height = np.broadcast_to(_defect(_generator(linear(grid))), grid.shape)
    is_top = (height[1:-1] >= height[:-2]) & (height[1:-1] >= height[2:])
    found = []
    for place in np.flatnonzero(is_top & (height[1:-1] > np.log(CONSPICUOUS))) + 1:
        value, defect = _summit(linear, float(grid[place]), float(grid[1] - grid[0]))
        if defect > np.log(COALESCED):
            found.append(_described(value, linear(value)))
    return tuple(found)


def _summit(
    linear: Callable[[ArrayLike], LinearModel], centre: float, width: float
) -> tuple[float, float]:
    """Return where the eigenvectors are worst conditioned near `centre`, and ln of it."""
    from scipy.optimize import minimize_scalar

    best = float("inf")
    while width > 4 * np.finfo(np.float64).eps * max(abs(centre), 1e-300):
        # the shift is searched, not the value: the search's own tolerance is relative
        end = minimize_scalar(
            lambda shift, at=centre: -float(_defect(_generator(linear(at + shift)))),
            bounds=(-width, width),
            method="bounded",
            options={"xatol": 1e-4 * width},
        )
        if -end.fun <= -best:
            break
        best, centre, width = end.fun, centre + float(end.x), 1e-3 * width
    return centre, -best


def _along(
    model: Model | str, name: str, low: float, high: float, parameters: dict[str, Any]
) -> Callable[[ArrayLike], LinearModel]:
    """Return the linear model as a function of one parameter."""
    chosen = get(model)
    chosen.parameters.known(name)
    if chosen.linear is None:
        message = f"{chosen.name} must have a drift to have supermodes, but is no linear model"
        raise ValueError(message)
    if not low < high:
        message = f"`low` must be below `high`, but they are {low} and {high}"
        raise ValueError(message)
    linear = chosen.linear
    return lambda value: linear(chosen.parameters(**{**parameters, name: value}))


def _generator(linear: LinearModel) -> Real | Complex:
    """Return A; of a network that makes no pairs its n × n part for the o_k, not their conjugates.

    There each eigenvalue of A has its conjugate, and without detunings both are the same: such
    pairs are no sign of anything.
    """
    drift = linear.drift
    omega = symplectic_form(len(linear.labels))
    if np.allclose(drift @ omega, omega @ drift, rtol=0, atol=1e-14 * np.max(np.abs(drift))):
        return np.asarray(drift[..., 0::2, 0::2] + 1j * drift[..., 1::2, 0::2])
    return drift


def _defect(drift: Real | Complex) -> Real:
    """Return ln of the condition number of the eigenvectors: infinite where one is missing."""
    vectors = np.linalg.eig(drift)[1]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.minimum(np.linalg.cond(vectors), 1e16)))


def _described(value: float, linear: LinearModel) -> ExceptionalPoint:
    eigenvalues, vectors = np.linalg.eig(_generator(linear))
    overlap = np.abs(vectors.conj().T @ vectors)
    np.fill_diagonal(overlap, 0)
    first, second = np.unravel_index(np.argmax(overlap), overlap.shape)
    merged = 0.5 * (eigenvalues[first] + eigenvalues[second])
    weight = np.abs(vectors[:, first]) ** 2
    share = weight.reshape(len(linear.labels), -1).sum(axis=-1)
    return ExceptionalPoint(
        value=value,
        growth_rate=float(merged.real),
        frequency=float(abs(merged.imag)),
        modes=dict(zip(linear.labels, (share / share.sum()).tolist(), strict=True)),
        condition=float(np.linalg.cond(vectors)),
    )
