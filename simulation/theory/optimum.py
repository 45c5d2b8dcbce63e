"""The best parameters of a model, what they cost to miss, and which of them matter.

What a model knows to be a moment of its steady state (`Model.moments`: entanglement, quanta,
squeezing, growth rate) is differentiated by the equations of motion
(`simulation.theory.gradients`), as the aim, under constraints and under a spread. Other results are
by differences: a gradient is one batch, all its shifted points and all draws of a spread are one
call of the model. Logarithmic negativity is flat where nothing is entangled;
where a model also gives −ln 2ν̃₋ that is what climbs, so that a search may start at E_N = 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.gradients import Star, slopes_of
from simulation.theory.models import Model, get
from simulation.theory.quantities import Quantity, Range

Real = NDArray[np.float64]
Limits = tuple[float, float]

STEP: Final = 1e-5
"""Shift of a central difference, as a part of the allowed interval: error ~ 1e-10."""
SAMPLES: Final = 512
"""Points of the first look at the whole region."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Optimum:
    """Where a result is largest.

    Attributes
    ----------
    parameters : dict of str to float
    value : float
        Of the result that was asked for; under a spread its mean.
    results : dict of str to float
        The result and those of the constraints, at the optimum itself.
    at_border : tuple of str
        Parameters that would go on beyond their interval.
    found : tuple of float
        What each start climbed to (of a logarithmic negativity −ln 2ν̃₋), best first. One value
        again and again is a good sign; many values: the optimum is at the border of stability.
    """

    parameters: dict[str, float]
    value: float
    results: dict[str, float]
    at_border: tuple[str, ...]
    found: tuple[float, ...]


def optimise(
    model: Model | str,
    /,
    *,
    maximise: str,
    over: Mapping[str, Limits],
    subject_to: Mapping[str, Limits] | None = None,
    spread: Mapping[str, float] | None = None,
    draws: int = 64,
    starts: int = 8,
    seed: int = 1,
    **parameters: Any,
) -> Optimum:
    """Find the parameters of the largest result: many starts, each followed uphill.

    Parameters
    ----------
    model : Model or str
    maximise : str
        A real result. ``E_N``, ``E_12``, ``E_a_b`` climb by ``log_nu``, ``log_nu_a_b`` if there.
    over : mapping of str to (low, high)
        Parameters to vary and their intervals.
    subject_to : mapping of str to (low, high), optional
        Results that must lie in an interval (±inf: one-sided). Stability is always asked for.
    spread : mapping of str to float, optional
        Standard deviations of parameters that cannot be set better: the mean over `draws` of
        Gaussian values (within the parameter's range) is maximised, and every draw must be stable.
    draws, starts, seed : int
    **parameters : float or str
        Fixed parameters.

    Raises
    ------
    KeyError
        If a name is unknown.
    ValueError
        If an interval is empty, or no sampled point is stable, allowed and distinct from others.
    """
    model = get(model)
    task = _Task(
        model=model,
        aim=_climbing(model, maximise),
        names=tuple(over),
        limits=_checked(model, over),
        constraints=_bounded(model, subject_to or {}),
        fixed=parameters,
        shifts=_shifts(model, spread or {}, draws, seed),
    )
    from scipy.stats import qmc

    sample = qmc.Sobol(len(over), seed=seed).random(SAMPLES)
    aims, margins = task.evaluate(sample)
    allowed = np.isfinite(aims) & np.all(margins >= 0, axis=-1)
    if not np.any(allowed):
        message = f"`over` must hold stable points within `subject_to`, but none of {SAMPLES} is"
        raise ValueError(message)
    if np.ptp(aims[allowed]) == 0:
        message = f"`{maximise}` must vary in `over`, but is {aims[allowed][0]:g} at every point"
        raise ValueError(message)
    order = np.argsort(np.where(allowed, -aims, np.inf))[: min(starts, int(allowed.sum()))]
    ends = [task.climb(sample[place], float(aims[place])) for place in order]
    ends.sort(key=lambda end: -end[0])
    return task.optimum(maximise, ends)


def sensitivity(
    model: Model | str, result: str, /, names: Sequence[str] | None = None, **parameters: Any
) -> dict[str, float]:
    """Return ∂ result/∂ parameter of each of the `names`, in the parameters' units.

    Parameters
    ----------
    model : Model or str
    result : str
        A real result.
    names : sequence of str, optional
        Parameters; all given or default numbers if None, but for whole ones.
    **parameters : float or str
        The point.

    Returns
    -------
    dict of str to float
        Of a moment (`Model.moments`) by the equations of motion; else, and where eigenvalues
        cross, differences of a relative step of 1e-5 (of 1e-5 itself at 0), to one side at the
        border of a parameter's range. nan where there is no steady state, or a shifted point has
        none.

    Raises
    ------
    KeyError
        If a name is unknown.
    ValueError
        If the result is not one real number.
    """
    model = get(model)
    _refuse_many(model, result)
    values = {**model.parameters.defaults(), **parameters}
    quantities = model.parameters.quantities()
    numbers = [
        name
        for name, value in values.items()
        if isinstance(value, int | float) and not _is_whole(quantities[name])
    ]
    found = {model.parameters.known(name): np.nan for name in names or numbers}
    moving = [name for name in found if np.isfinite(values[name])]
    if not moving:
        return found
    centre = np.array([float(values[name]) for name in moving])
    ranges = [quantities[name].allowed for name in moving]
    limits = np.array([r[:2] if isinstance(r, Range) else (-np.inf, np.inf) for r in ranges]).T
    star = Star.around(centre, STEP * np.where(centre == 0, 1.0, np.abs(centre)), *limits)
    moved = {**parameters, **dict(zip(moving, star.points.T, strict=True))}
    slopes = np.full(len(moving), np.nan)
    if result in model.moments:
        slopes = slopes_of(model, [result], moved, star)[1][0, 0]
    if np.any(np.isnan(slopes)):
        slopes = star.slopes(_real(result, model.evaluate([result], **moved)[result]))
    return found | dict(zip(moving, slopes.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """A search in the unit cube: the varied parameters scaled by their intervals."""

    model: Model
    aim: str
    names: tuple[str, ...]
    limits: Real
    constraints: Mapping[str, Limits]
    fixed: Mapping[str, Any]
    shifts: Mapping[str, Real]
    known: dict[bytes, tuple[Real, Real]] = field(default_factory=dict)

    def values(self, unit: Real) -> dict[str, Real]:
        """Parameters at points of the cube, shape (n,) each."""
        low, high = self.limits
        scaled = low + unit * (high - low)
        return {name: scaled[:, place] for place, name in enumerate(self.names)}

    def drawn(self, unit: Real) -> dict[str, Any]:
        """All parameters at points of the cube, shape (n,), or (n, draws) under a spread."""
        values: dict[str, Any] = {**self.fixed, **self.values(unit)}
        for name, shift in self.shifts.items():
            centre = values.get(name, self.model.parameters.defaults()[name])
            allowed = self.model.parameters.quantities()[name].allowed
            moved = np.atleast_1d(np.asarray(centre, np.float64))[:, None] + shift
            if isinstance(allowed, Range):
                moved = np.clip(moved, allowed.low, allowed.high)
            values[name] = moved
        if not self.shifts:
            return values
        return {
            name: value[:, None] if np.ndim(value) == 1 else value for name, value in values.items()
        }

    def evaluate(self, unit: Real) -> tuple[Real, Real]:
        """Aim, nan where unstable, and the margins of the constraints; (n,) and (n, margins)."""
        number = len(unit)
        values = self.drawn(np.asarray(unit))
        found = self.model.evaluate([self.aim, *self.constraints], **values)
        draws = next((len(shift) for shift in self.shifts.values()), 1)
        shape = (number, draws)

        def over_draws(name: str) -> Real:
            array = _real(name, found[name])
            return np.broadcast_to(array if self.shifts else array[..., None], shape)

        aim = np.mean(over_draws(self.aim), axis=-1)
        if "stable" in found:
            aim = np.where(np.all(over_draws("stable"), axis=-1), aim, np.nan)
        means = [np.mean(over_draws(name), axis=-1) for name in self.constraints]
        margins = [np.ones(number), *self._signed(means, offset=True)]
        return aim, np.stack(margins, axis=-1)

    def _signed(self, means: Sequence[Real], *, offset: bool) -> list[Real]:
        """Margins of the constraints, or without their limits the margins' derivatives."""
        margins = []
        for mean, (low, high) in zip(means, self.constraints.values(), strict=True):
            margins += [mean - low * offset] if np.isfinite(low) else []
            margins += [high * offset - mean] if np.isfinite(high) else []
        return margins

    def slopes(self, unit: Real) -> tuple[Real, Real]:
        """Aim and margins at a point, and their gradients: one batch; (1 + k,) and (1 + k, n)."""
        key = unit.tobytes()
        if key not in self.known:
            step = np.full(len(unit), STEP)
            star = Star.around(unit, step, np.zeros(len(unit)), np.ones(len(unit)))
            found = self._exact_slopes(star)
            if found is None:
                every = np.column_stack(self.evaluate(star.points))
                found = every[0], star.slopes(every).T
            self.known[key] = found
        return self.known[key]

    def _exact_slopes(self, star: Star) -> tuple[Real, Real] | None:
        """As `slopes`, where aim and constraints are moments; None where one does not exist."""
        names = [self.aim, *self.constraints]
        if not all(name in self.model.moments for name in names):
            return None
        values, gradients = slopes_of(self.model, names, self.drawn(star.points), star)
        aim, *means = values.mean(axis=-1)
        slope, *others = gradients.mean(axis=1)
        if np.all(np.isfinite(values)) and not np.all(np.isfinite(gradients)):
            return None
        margins = [np.ones(()), *self._signed(means, offset=True)]
        along = [np.zeros_like(slope), *self._signed(others, offset=False)]
        return np.array([aim, *margins]), np.stack([slope, *along])

    def climb(self, start: Real, aim: float) -> tuple[float, Real]:
        """Local optimum from a point, and its place."""
        from scipy.optimize import minimize

        def negative(unit: Real) -> float:
            value = self.slopes(unit)[0][0]
            return -float(value) if np.isfinite(value) else -aim + 10.0  # unstable: step back

        def jacobian(unit: Real) -> Real:
            return np.asarray(np.nan_to_num(-self.slopes(unit)[1][0]))

        constraint: Any = {
            "type": "ineq",
            "fun": lambda unit: np.nan_to_num(self.slopes(unit)[0][1:], nan=-1.0),
            "jac": lambda unit: np.nan_to_num(self.slopes(unit)[1][1:]),
        }
        end = minimize(
            negative,
            start,
            jac=jacobian,
            bounds=[(0.0, 1.0)] * len(start),
            constraints=[constraint] if self.constraints else [],
            method="SLSQP",
            options={"maxiter": 200, "ftol": 1e-12},
        )
        place = np.clip(end.x, 0.0, 1.0)
        aims, margins = self.evaluate(place[None])
        good = np.isfinite(aims[0]) and np.all(margins[0] >= -1e-9) and aims[0] >= aim
        return (float(aims[0]), place) if good else (aim, start)

    def optimum(self, maximise: str, ends: Sequence[tuple[float, Real]]) -> Optimum:
        """Describe the best of the ends."""
        best, place = ends[0]
        values = {name: float(value[0]) for name, value in self.values(place[None]).items()}
        wanted = [maximise, *(name for name in self.constraints if name != maximise)]
        there = self.model.evaluate(wanted, **{**self.fixed, **values})
        gradient = self.slopes(place)[1][0]
        outward = ((place < STEP) & (gradient < 0)) | ((place > 1 - STEP) & (gradient > 0))
        results = {name: float(there[name]) for name in wanted}
        return Optimum(
            parameters=values,
            value=best if self.shifts or self.aim == maximise else results[maximise],
            results=results,
            at_border=tuple(name for name, out in zip(self.names, outward, strict=True) if out),
            found=tuple(end[0] for end in ends),
        )


def _refuse_many(model: Model, result: str) -> None:
    """Refuse what is not one real number."""
    model.chosen([result])
    components = model.results[result].components
    if components:
        message = (
            f"`{result}` of {model.name} must be one real number, but has the components "
            f"{', '.join(components)}"
        )
        raise ValueError(message)


def _real(name: str, values: ArrayLike) -> Real:
    if np.iscomplexobj(values):
        message = f"`{name}` must be one real number, but is complex"
        raise ValueError(message)
    return np.asarray(values, np.float64)


def _is_whole(quantity: Quantity) -> bool:
    return isinstance(quantity.allowed, Range) and quantity.allowed.whole


def _climbing(model: Model, result: str) -> str:
    """Return −ln 2ν̃₋ beside a logarithmic negativity, if the model gives it."""
    _refuse_many(model, result)
    if not result.startswith("E_"):
        return result
    for name in (f"log_nu_{result[2:]}", "log_nu"):
        if name in model.results:
            return name
    return result


def _checked(model: Model, over: Mapping[str, Limits]) -> Real:
    if not over:
        message = "`over` must name at least one parameter, but is empty"
        raise ValueError(message)
    for name, (low, high) in over.items():
        if name in model.parameters.words():
            message = f"`{name}` must be fixed: it is a word, no number"
            raise ValueError(message)
        if _is_whole(model.parameters.quantities()[model.parameters.known(name)]):
            message = f"`{name}` must be fixed: it is a whole number"
            raise ValueError(message)
        if not low < high:
            message = f"`over` of {name} must be (low, high) with low < high, but is {low}, {high}"
            raise ValueError(message)
    return np.asarray(np.array(list(over.values()), np.float64).T)


def _bounded(model: Model, subject_to: Mapping[str, Limits]) -> dict[str, Limits]:
    for name, (low, high) in subject_to.items():
        _refuse_many(model, name)
        if not low <= high:
            message = f"`subject_to` of {name} must be (low, high), but is {low}, {high}"
            raise ValueError(message)
    return dict(subject_to)


def _shifts(model: Model, spread: Mapping[str, float], draws: int, seed: int) -> dict[str, Real]:
    """Return the same draws for every point, so that their mean is smooth; antithetic pairs."""
    rng = np.random.default_rng(seed)
    shifts = {}
    for name, sigma in spread.items():
        if not sigma > 0:
            message = f"`spread` of {model.parameters.known(name)} must be > 0, but is {sigma}"
            raise ValueError(message)
        half = rng.standard_normal(max(1, draws // 2))
        shifts[model.parameters.known(name)] = sigma * np.concatenate([half, -half])
    return shifts
