"""Models evaluated on the axes of a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.figures.data import Axis, Line, Map, Mask, Real, Style
from simulation.theory.models import get

Results = Mapping[str, NDArray[np.generic]]


def span(low: float, high: float, points: int) -> Real:
    """Evenly spaced values, ends included."""
    return np.linspace(low, high, points)


def evaluate(model: str, wanted: Sequence[str], parameters: Mapping[str, Any]) -> Results:
    """Evaluate some results of a model, with ``stable`` where it has a steady state."""
    return get(model).evaluate(wanted, **parameters)


def on_grid(
    model: str,
    wanted: Sequence[str],
    x: Mapping[str, ArrayLike],
    y: Mapping[str, ArrayLike],
    fixed: Mapping[str, Any],
) -> Results:
    """Evaluate a model on all pairs of two axes; results have shape (len(y), len(x)).

    Parameters
    ----------
    model : str
    wanted : sequence of str
        Results.
    x, y : mapping of str to array_like, shape (n,)
        Parameters that vary along an axis, together if several.
    fixed : mapping of str to object
        All others that differ from the model's defaults.
    """
    across = {name: np.asarray(values)[None, :] for name, values in x.items()}
    up = {name: np.asarray(values)[:, None] for name, values in y.items()}
    return evaluate(model, wanted, {**fixed, **across, **up})


def as_map(
    results: Results,
    name: str,
    *,
    panel: str,
    x: Axis,
    y: Axis,
    label: str,
    below: float | None = None,
    note: str = "",
) -> Map:
    """Make a density plot of one result.

    Parameters
    ----------
    results : mapping
        From `on_grid`, with ``stable``.
    name : str
        Which result.
    below : float or None
        The criterion is fulfilled below this bound; None for a measure that is 0 where there is
        no entanglement.
    """
    values = np.asarray(results[name], np.float64)
    unstable: Mask = ~np.asarray(results["stable"], np.bool_)
    shape = (len(y.values), len(x.values))
    values, unstable = np.broadcast_to(values, shape), np.broadcast_to(unstable, shape)
    with np.errstate(invalid="ignore"):
        entangled = values > 0 if below is None else values < below
    return Map(
        panel=panel,
        x=x,
        y=y,
        label=label,
        values=values,
        blank=~entangled & ~unstable,
        unstable=unstable,
        small_is_strong=below is not None,
        note=note,
    )


def as_line(
    results: Results, name: str, *, label: str, color: int = 0, style: Style = "solid"
) -> Line:
    """Make a curve of one result of a one-dimensional sweep."""
    return Line(
        label=label,
        values=np.asarray(results[name], np.float64),
        style=style,
        color=color,
        unstable=~np.asarray(results["stable"], np.bool_),
    )
