"""Models of the papers under one interface: `MODELS`, `get`, `point`, `sweep`."""

from simulation.theory.models.model import Model, Result
from simulation.theory.models.parameters import Choice, Parameters, Quantity
from simulation.theory.models.sweep import point, sweep
from simulation.theory.models.table import MODELS, get

__all__ = [
    "MODELS",
    "Choice",
    "Model",
    "Parameters",
    "Quantity",
    "Result",
    "get",
    "point",
    "sweep",
]
