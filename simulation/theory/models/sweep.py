"""A model at a point, or over one or two parameters as a labelled data set."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike

from analysis.labelled import Labelled, Variable
from simulation.theory.models.model import Array, Model
from simulation.theory.models.table import get
from simulation.theory.steady_state import describe_growth

if TYPE_CHECKING:
    import xarray as xr

Axis = tuple[str, ArrayLike]
Progress = Callable[[int, int], object]
Engine = Callable[
    [Sequence[str] | None, Sequence[Mapping[str, Any]]], Iterable[Mapping[str, Array]]
]
"""Evaluates chunks (wanted results, parameters of each) and yields their results in order."""

CHUNK: Final = 65_536
"""Points evaluated at a time: 100 MB at most for five modes."""


def point(model: Model | str, /, **parameters: Any) -> dict[str, Any]:
    """Results of a single point as plain numbers (lists for results with components).

    Parameters
    ----------
    model : Model or str
        Or its name: ``point("yu2020", kappa_2_hz=0.5e6)``.
    **parameters : float or str
        By name; the others keep the paper's values.

    Raises
    ------
    ValueError
        If the model has no steady state there, naming the supermode that grows; if a parameter
        is outside its range or an array.
    KeyError
        If a parameter is unknown.
    """
    model = get(model)
    for name, value in parameters.items():
        if np.ndim(value):
            message = (
                f"`{name}` must be a number for a single point, but has shape {np.shape(value)}"
            )
            raise ValueError(message)
    results = {name: value.tolist() for name, value in model.evaluate(**parameters).items()}
    if model.linear is not None and not results.get("stable", True):
        unit = f" (in {model.rate_unit})" if model.rate_unit else ""
        growth = describe_growth(model.linear(model.parameters(**parameters)))
        message = (
            f"{model.name} must be stable to have a steady state, but {growth}"
            f"{unit}; sweep to see where it is stable"
        )
        raise ValueError(message)
    return results


def sweep(
    model: Model | str,
    /,
    *,
    x: Axis,
    y: Axis | None = None,
    wanted: Sequence[str] | None = None,
    progress: Progress | None = None,
    chunk: int = CHUNK,
    engine: Engine | None = None,
    **parameters: Any,
) -> "xr.Dataset":
    """Evaluate a model on a line or a grid.

    Parameters
    ----------
    model : Model or str
        Or its name: ``sweep("yu2020", x=("kappa_2_hz", values))``.
    x, y : (name, values)
        Swept parameters, values of shape (n,); the grid has dimensions (x, y).
    wanted : sequence of str, optional
        Results; all if None. The flag ``stable`` comes along.
    progress : callable, optional
        Called as ``progress(points_done, points_in_all)`` after each chunk.
    chunk : int
        Points evaluated at a time; bounds the memory.
    engine : callable, optional
        What evaluates the chunks, elsewhere and side by side; by default the model, here.
    **parameters : float or str
        Fixed parameters; the others keep the paper's values.

    Returns
    -------
    xarray.Dataset
        One variable per result with ``units`` and ``long_name``, coordinates of the swept
        parameters, attributes ``model``, ``paper`` and every fixed parameter. nan where
        ``stable`` is False. A result that is swept itself is the coordinate.

    Raises
    ------
    KeyError
        If a parameter or result is unknown.
    ValueError
        If a value is outside its range, a swept parameter is a word or also fixed, or values are
        not 1-D.
    """
    return swept(
        model, x=x, y=y, wanted=wanted, progress=progress, chunk=chunk, engine=engine, **parameters
    ).to_xarray()


def swept(
    model: Model | str,
    /,
    *,
    x: Axis,
    y: Axis | None = None,
    wanted: Sequence[str] | None = None,
    progress: Progress | None = None,
    chunk: int = CHUNK,
    engine: Engine | None = None,
    **parameters: Any,
) -> Labelled:
    """Return what `sweep` returns, as plain arrays with names."""
    model = get(model)
    axes = [axis for axis in (x, y) if axis is not None]
    _check_axes(model, axes, parameters)
    names = [name for name, _ in axes]
    values = [np.asarray(value) for _, value in axes]
    fixed = model.parameters.defaults() | parameters
    parts = _chunks(names, values, max(1, chunk))
    run = engine or (lambda wanted, points: (model.evaluate(wanted, **p) for p in points))
    results = _evaluate(run, wanted, [{**parameters, **part} for part in parts], names, progress)
    return _labelled(model, names, values, results, {k: fixed[k] for k in fixed if k not in names})


def _check_axes(model: Model, axes: Sequence[Axis], parameters: dict[str, Any]) -> None:
    names = [model.parameters.known(name) for name, _ in axes]
    for name, values in axes:
        if name in model.parameters.words():
            message = f"`{name}` must be fixed in a sweep, but is swept: it is a word, no number"
            raise ValueError(message)
        if np.ndim(values) != 1 or np.shape(values) == (0,):
            message = f"values of `{name}` must be 1-D and not empty, but have {np.shape(values)}"
            raise ValueError(message)
    for name, value in parameters.items():
        if model.parameters.known(name) in names:
            message = f"`{name}` must be either swept or fixed, but is both"
            raise ValueError(message)
        if np.ndim(value):
            message = f"`{name}` must be a number in a sweep, but has shape {np.shape(value)}"
            raise ValueError(message)
    if len(set(names)) != len(names):
        message = f"`x` and `y` must be different parameters, but are both {names[0]}"
        raise ValueError(message)


def _chunks(names: Sequence[str], values: Sequence[Any], chunk: int) -> list[dict[str, Any]]:
    """Return the swept parameters of each chunk: some values of the first, all of the second."""
    first, rest = values[0], values[1:]
    rows = max(1, chunk // (len(rest[0]) if rest else 1))
    columns = {name: value[None, :] for name, value in zip(names[1:], rest, strict=True)}
    parts = (first[start : start + rows] for start in range(0, len(first), rows))
    return [{names[0]: part[:, None] if rest else part, **columns} for part in parts]


def _evaluate(
    engine: Engine,
    wanted: Sequence[str] | None,
    points: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    progress: Progress | None,
) -> dict[str, Array]:
    sizes = np.cumsum([np.prod([np.size(point[name]) for name in names]) for point in points])
    found: list[Mapping[str, Array]] = []
    for part in engine(wanted, points):
        found.append(part)
        if progress is not None:
            progress(int(sizes[len(found) - 1]), int(sizes[-1]))
    if len(found) == 1:
        return dict(found[0])
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _labelled(
    model: Model,
    names: Sequence[str],
    values: Sequence[Any],
    results: dict[str, Array],
    fixed: dict[str, Any],
) -> Labelled:
    quantities = model.parameters.quantities()
    coordinates: dict[str, Variable] = {
        name: ((name,), np.asarray(value), _attributes(quantities[name]))
        for name, value in zip(names, values, strict=True)
    }
    variables: dict[str, Variable] = {}
    for name, array in results.items():
        if name in names:
            continue
        result = model.results[name]
        dimensions = tuple(names)
        if result.components:
            dimensions += (f"{name}_component",)
            coordinates[dimensions[-1]] = (dimensions[-1:], np.array(result.components), {})
        variables[name] = (dimensions, array, _attributes(result))
    attributes = {name: value for name, value in fixed.items() if value is not None}
    about = {"model": model.name, "paper": model.paper, **attributes}
    return Labelled(variables=variables, coordinates=coordinates, attributes=about)


def _attributes(described: Any) -> dict[str, str]:
    return {"units": described.unit, "long_name": described.meaning}
