"""Models of the papers under one interface: `MODELS`, `get`, `point`, `sweep`."""

from difflib import get_close_matches
from importlib import import_module
from typing import Final

from simulation.theory.models.model import Model, Outcome, point
from simulation.theory.models.sweep import sweep
from simulation.theory.quantities import Choice, Parameters, Quantity

MODELS: Final = (
    "fan2026_cascade",
    "fan2026_pulsed",
    "liu2024",
    "riedinger2018",
    "tan2020",
    "yu2020",
)
"""Names of all models; each is a module of this package with a `MODEL`."""

__all__ = [
    "MODELS",
    "Choice",
    "Model",
    "Outcome",
    "Parameters",
    "Quantity",
    "get",
    "point",
    "sweep",
]


def get(name: str) -> Model:
    """Return the model called `name`.

    Raises
    ------
    KeyError
        If there is none; the nearest names are offered.
    """
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=3, cutoff=0.4) or MODELS
        message = f"no model {name!r}; nearest: {', '.join(near)}"
        raise KeyError(message)
    model: Model = import_module(f"{__name__}.{name}").MODEL
    return model
