"""The models by name: papers' and protocols', each loaded when first asked for, and plug-ins'."""

from difflib import get_close_matches
from typing import Final

from analysis.plugins import Table
from simulation.theory.models.model import Model

_PAPERS = (
    "fan2026_cascade",
    "fan2026_pulsed",
    "liu2024",
    "riedinger2018",
    "tan2020",
    "yu2020",
)
_PROTOCOLS = (
    "bell2018",
    "fan2026_storage",
    "memory2020",
    "network_herald",
    "single_phonons2017",
    "swapping",
    "tan2020_readout",
    "teleportation2021",
    "transducer",
)

MODELS: Final = Table(
    "labkit.models",
    Model,
    {name: f"simulation.theory.models.{name}:MODEL" for name in _PAPERS}
    | {name: f"simulation.theory.protocols.{name}:MODEL" for name in _PROTOCOLS},
)
"""All models by name; those of plug-ins come last."""


def get(name: str | Model) -> Model:
    """Return the model called `name`; a model is returned as it is.

    Raises
    ------
    KeyError
        If there is none; the nearest names are offered.
    """
    if isinstance(name, Model):
        return name
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=3, cutoff=0.4) or MODELS
        message = f"no model {name!r}; nearest: {', '.join(near)}"
        raise KeyError(message)
    return MODELS[name]
