"""A result of any model over one or two of its parameters as a figure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.figures.data import Axis, Curves, FigureData, Line, Map, Panel
from simulation.theory.models import Model

Real = NDArray[np.float64]
Swept = tuple[str, Real]


def figure_of(
    model: Model, result: str, x: Swept, y: Swept | None, changes: Mapping[str, Any]
) -> FigureData:
    """Compute a curve or a map of one result.

    Parameters
    ----------
    model : Model
    result : str
        A real result without components. Of a map, exact zeros are blank (not entangled).
    x, y : (name, values)
        Swept parameters.
    changes : mapping of str to object
        Fixed parameters that differ from the defaults.

    Raises
    ------
    KeyError
        If a parameter or result is unknown.
    ValueError
        If the result has components, or is complex.
    """
    outcome = model.results[model.chosen([result])[0]]
    swept = {x[0]: x[1]} if y is None else {x[0]: x[1][None, :], y[0]: y[1][:, None]}
    found = model.evaluate([result], **{**changes, **swept})
    if outcome.components or np.iscomplexobj(found[result]):
        message = f"`{result}` must be one real number to be drawn, but is not"
        raise ValueError(message)
    values = np.asarray(found[result], np.float64)
    unstable = ~np.broadcast_to(found.get("stable", np.ones((), np.bool_)), values.shape)
    label = _labelled(result, outcome.unit)
    panel: Panel
    if y is None:
        line = Line(label="", values=values, unstable=unstable)
        panel = Curves(panel="", x=_axis(model, x), label=label, lines=(line,))
    else:
        panel = Map(
            panel="",
            x=_axis(model, x),
            y=_axis(model, y),
            label=label,
            values=values,
            blank=values == 0,
            unstable=unstable,
        )
    over = "-".join(swept)
    fixed = {**model.parameters.defaults(), **changes}
    shown = ", ".join(
        f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in fixed.items()
        if name not in swept and value is not None
    )
    return FigureData(
        name=f"{model.name}-{result}-{over}",
        title=f"{model.name}: {outcome.meaning}",
        panels=(panel,),
        columns=1,
        parameters=f"{shown}.",
        reproduces="",
    )


def _axis(model: Model, swept: Swept) -> Axis:
    name, values = swept
    return Axis(label=_labelled(name, model.parameters.quantities()[name].unit), values=values)


def _labelled(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name
