"""Numbers of a model as formulas in its parameters: found from their values, checked at others.

A number f(p) is looked for as Σ c Π b_i(p_i) with b_i among `FUNCTIONS` (1, p, √p, cos p, …): along
each parameter alone f must be a combination of few of them; their products are fitted at random
points and must hold at others to `AGREEMENT`. What is of another form has no formula.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations, product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulation.theory.quantities import Parameters, Range

Real = NDArray[np.float64]
Function = Callable[[Real], Real]

FUNCTIONS: Final[Mapping[str, Function]] = {
    "1": np.ones_like,
    "p": np.asarray,
    "√p": np.sqrt,
    "p²": np.square,
    "1/p": np.reciprocal,
    "1/√p": lambda p: 1 / np.sqrt(p),
    "cos": np.cos,
    "sin": np.sin,
    "cos2": lambda p: np.cos(2 * p),
    "sin2": lambda p: np.sin(2 * p),
    "√(1-p)": lambda p: np.sqrt(1 - p),
    "cosh2": lambda p: np.cosh(2 * p),
    "sinh2": lambda p: np.sinh(2 * p),
}
"""What a formula is made of, simplest first."""

AGREEMENT: Final = 1e-9
"""Largest deviation of a formula at points it was not fitted to, relative to the largest value."""
SPANS: Final = ((0.6, 1.4), (0.6, 1.0), (0.97, 1.0))
"""Where to look around a point, for models that refuse what their parameters' ranges allow."""
_ALONG: Final = 9
"""Values along each parameter alone."""
_FITTED, _CHECKED = 160, 40
_TERMS: Final = 48
"""Products of functions at most."""

Factors = tuple[tuple[str, str], ...]
"""(parameter, function) of a product, in the order of the parameters; the function "1" left out."""


@dataclass(frozen=True, slots=True)
class Formula:
    """Σ c Π b_i(p_i): each term its coefficient c and its factors."""

    terms: tuple[tuple[float, Factors], ...]

    def at(self, parameters: Mapping[str, Any]) -> float:
        """Value at numbers of the parameters."""
        total = 0.0
        for coefficient, factors in self.terms:
            values = [FUNCTIONS[f](np.asarray(parameters[p], np.float64)) for p, f in factors]
            total += coefficient * float(np.prod(values))
        return total


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Design:
    """Points at which numbers are looked at: along each parameter from one point, and random ones.

    Attributes
    ----------
    points : dict of str to ndarray, shape (n,)
    lines : dict of str to slice
        Where the points along a parameter are.
    fitted, checked : slice
    """

    points: dict[str, Real]
    lines: dict[str, slice]
    fitted: slice
    checked: slice

    @property
    def size(self) -> int:
        """Number of points."""
        return int(self.checked.stop)


def design(
    parameters: type[Parameters],
    at: Mapping[str, Any],
    further: Sequence[str] = (),
    *,
    span: tuple[float, float] = SPANS[0],
    seed: int = 1,
) -> Design:
    """Choose points around `at`, within the ranges of the parameters; words and infinities stay.

    Parameters
    ----------
    parameters : type of Parameters
    at : mapping of str to object
        A point: numbers, words, or None.
    further : sequence of str
        Symbols that are no parameters, varied between 0.2 and 0.8.
    span : (float, float)
        Smallest and largest values, as parts of those of `at` (of 0: of 0.6).
    seed : int
    """
    rng = np.random.default_rng(seed)
    quantities = parameters.quantities()
    limits = {
        name: _around(float(value), quantities[name].allowed, span)
        for name, value in at.items()
        if isinstance(value, int | float) and np.isfinite(value)
    } | dict.fromkeys(further, (0.2, 0.8))
    size = _ALONG * len(limits) + _FITTED + _CHECKED
    # off the middle, where no two parameters are equal by chance
    points = {n: np.full(size, low + rng.uniform(0.3, 0.7) * (high - low))
              for n, (low, high) in limits.items()}  # fmt: skip
    lines = {}
    for place, (name, (low, high)) in enumerate(limits.items()):
        lines[name] = slice(_ALONG * place, _ALONG * (place + 1))
        points[name][lines[name]] = np.linspace(low, high, _ALONG)
        points[name][_ALONG * len(limits) :] = rng.uniform(low, high, _FITTED + _CHECKED)
    start = _ALONG * len(limits)
    return Design(
        points=points,
        lines=lines,
        fitted=slice(start, start + _FITTED),
        checked=slice(start + _FITTED, size),
    )


def formula(values: Real, chosen: Design, rounding: float = 0.0) -> Formula | None:
    """Return the formula of a number, None if it has none of the form looked for.

    Parameters
    ----------
    values : ndarray, shape (n,)
        At the points of `chosen`.
    rounding : float
        What counts as 0.
    """
    scale = float(np.max(np.abs(values)))
    if scale <= rounding:
        return Formula(())
    spaces: list[tuple[str, Sequence[str]]] = []
    for name, line in chosen.lines.items():
        space = _space(values[line], chosen.points[name][line], scale)
        if space is None:
            return None
        if space != ("1",):
            spaces.append((name, space))
    names = [name for name, _ in spaces]
    if int(np.prod([len(space) for _, space in spaces])) > _TERMS:
        return None
    candidates: list[Factors] = [
        tuple((name, f) for name, f in zip(names, functions, strict=True) if f != "1")
        for functions in product(*(space for _, space in spaces))
    ]
    weights, columns = _fitted(values, candidates, chosen)
    shares = np.abs(weights) * np.max(np.abs(columns), axis=0)
    kept = [k for k, share in enumerate(shares) if share > AGREEMENT * scale]
    weights, columns = _fitted(values, [candidates[k] for k in kept], chosen)
    if np.max(np.abs(columns @ weights - values)[chosen.fitted.start :]) > AGREEMENT * scale:
        return None
    return Formula(
        tuple((_tidy(float(w)), candidates[k]) for w, k in zip(weights, kept, strict=True))
    )


def _around(value: float, allowed: Any, span: tuple[float, float]) -> tuple[float, float]:
    low, high = sorted(part * (value or 0.6) for part in span)
    if isinstance(allowed, Range):
        low, high = max(low, allowed.low), min(high, allowed.high)
    return low, high


def _space(values: Real, points: Real, scale: float) -> Sequence[str] | None:
    """Return the fewest functions of one parameter that make the values along it."""
    with np.errstate(all="ignore"):
        found = {name: function(points) for name, function in FUNCTIONS.items()}
    usable = {name: column for name, column in found.items() if np.all(np.isfinite(column))}
    for count in (1, 2, 3):
        for names in combinations(usable, count):
            if count == 3 and "1" not in names:
                continue
            columns = np.stack([usable[n] / np.max(np.abs(usable[n])) for n in names], axis=-1)
            weights = np.linalg.lstsq(columns, values, rcond=None)[0]
            if np.max(np.abs(columns @ weights - values)) <= 1e-3 * AGREEMENT * scale:
                return names
    return None


def _fitted(values: Real, candidates: Sequence[Factors], chosen: Design) -> tuple[Real, Real]:
    """Fit products; return their coefficients and their values at all points."""
    columns = np.ones((chosen.size, len(candidates)))
    for k, factors in enumerate(candidates):
        for name, function in factors:
            columns[:, k] *= FUNCTIONS[function](chosen.points[name])
    sizes = np.max(np.abs(columns[chosen.fitted]), axis=0)
    weights = np.linalg.lstsq(columns[chosen.fitted] / sizes, values[chosen.fitted], rcond=None)[0]
    return weights / sizes, columns


def _tidy(value: float) -> float:
    """Return the small fraction that a coefficient is but for rounding, else itself."""
    near = Fraction(value).limit_denominator(32)
    return float(near) if abs(float(near) - value) <= 1e-8 * abs(value) else value
