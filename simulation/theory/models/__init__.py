"""Models of the papers under one interface: `MODELS`, `get`, `point`, `sweep`."""

from simulation.theory.models.model import Model, Outcome
from simulation.theory.models.sweep import point, sweep
from simulation.theory.models.table import MODELS, get
from simulation.theory.quantities import Choice, Parameters, Quantity

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
