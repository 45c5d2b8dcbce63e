"""Two mechanics entangled by two pulses, with initial phonons, storage and loss: Fan, Cheng (2026).

Scheme 2 of seed 000 (`simulation.theory.models.fan2026_pulsed`) beyond its ideal case. A blue pulse
squeezes b1 (n_1 phonons) with light (r), the way loses the share R (n_line quanta in its port), a
red pulse swaps the rest into b2 (n_2 phonons) with efficiency W; each then decays for its storage
time into its bath and gains classical phonons. `pulsed_link.Pair` holds the state, so that no
squeezing is too large for it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.models.model import Model, Outcome
from simulation.theory.pulsed_link import SQUEEZING, Pair, squeezed_pair
from simulation.theory.quantities import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE_OR_INFINITE,
    Parameters,
    Quantity,
    Value,
)

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fan2026Storage(Parameters):
    """Parameters; the defaults are a pair r, W of the paper, without loss."""

    r: Annotated[Value, Quantity("", SQUEEZING, "squeezing of pulse 1", "Eq. (12)")] = 1.44
    W: Annotated[Value, Quantity("", FRACTION, "swap efficiency of pulse 2", "Eq. (16)")] = 0.80
    R: Annotated[Value, Quantity("", FRACTION, "loss of light on the way", "Eq. (18)")] = 0.0
    n_line: Annotated[Value, Quantity("", NON_NEGATIVE, "quanta in the lost port", "")] = 0.0
    n_1: Annotated[Value, Quantity("", NON_NEGATIVE, "initial phonons of b1", "")] = 0.0
    n_2: Annotated[Value, Quantity("", NON_NEGATIVE, "initial phonons of b2", "")] = 0.0
    storage_1: Annotated[Value, Quantity("s", NON_NEGATIVE, "storage of b1", "")] = 0.0
    storage_2: Annotated[Value, Quantity("s", NON_NEGATIVE, "storage of b2", "")] = 0.0
    lifetime_1: Annotated[
        Value, Quantity("s", POSITIVE_OR_INFINITE, "energy lifetime of b1", "")
    ] = 1e-3
    lifetime_2: Annotated[
        Value, Quantity("s", POSITIVE_OR_INFINITE, "energy lifetime of b2", "")
    ] = 1e-3
    n_env_1: Annotated[Value, Quantity("", NON_NEGATIVE, "bath of b1", "")] = 0.0
    n_env_2: Annotated[Value, Quantity("", NON_NEGATIVE, "bath of b2", "")] = 0.0
    n_heat_1: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons b1 gains", "")] = 0.0
    n_heat_2: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons b2 gains", "")] = 0.0


RESULTS: Final = {
    "E_12": Outcome("", "logarithmic negativity of both mechanics (natural log)"),
    "log_nu": Outcome("", "−ln 2ν, below 0 where nothing is entangled"),
    "n_b1": Outcome("", "phonons of b1"),
    "n_b2": Outcome("", "phonons of b2"),
    "c": Outcome("", "|⟨x1 x2⟩|"),
}


def pair(p: Fan2026Storage) -> Pair:
    """State of b1, b2 after both pulses and the storage."""
    state = squeezed_pair(p.r, p.n_1)
    R, W = np.asarray(p.R), np.asarray(p.W)
    state = state.second_lost(1 - R, R * (np.asarray(p.n_line) + 0.5))
    state = state.second_lost(W, (1 - W) * (np.asarray(p.n_2) + 0.5))
    state = state.second_lost(*_stored(p.storage_2, p.lifetime_2, p.n_env_2, p.n_heat_2))
    first_lost = _stored(p.storage_1, p.lifetime_1, p.n_env_1, p.n_heat_1)
    return state.swapped.second_lost(*first_lost).swapped


def solve(p: Fan2026Storage, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Logarithmic negativity and phonons; everything is cheap."""
    state = pair(p)
    log_nu = state.log_nu
    return {
        "E_12": np.maximum(log_nu, 0.0),
        "log_nu": log_nu,
        "n_b1": state.a - 0.5,
        "n_b2": state.b - 0.5,
        "c": state.c,
    }


def _stored(time: Value, lifetime: Value, n_env: Value, n_heat: Value) -> tuple[Real, Real]:
    """Share that survives, and the noise that comes."""
    exponent = -np.asarray(time) / np.asarray(lifetime)
    noise = -np.expm1(exponent) * (np.asarray(n_env) + 0.5) + n_heat
    return np.exp(exponent), noise


MODEL: Final = Model(
    name="fan2026_storage",
    paper="Z.-Y. Fan, L.-Y. Cheng, Entanglement distribution among distinct mechanical nodes in a "
    "quantum network (2026), scheme 2 with initial phonons, storage and loss",
    parameters=Fan2026Storage,
    results=RESULTS,
    solve=solve,
)
