"""Pulsed DLCZ entanglement of two mechanical devices: Riedinger et al., Nature 556, 473 (2018).

`simulation.theory.dlcz` under the common interface; the defaults reproduce the published counts
(`dlcz.presets`). Beside the exact results: `dlcz.scans` (phase, delay,
one device alone, Eq. (S2)), `dlcz.budget` (heating rate equation, visibility bound),
`sideband.sideband_occupation` (thermometry).

Corrected from the print: the serrodyne signs follow the supplement (pump to A shifted by −ΔΩ_m,
read by +ΔΩ_m; the phase θ of the model needs only the compensated difference);
R_m(θ, j) = 4 (g_r1pj + g_r2pj − 1)/(g_r1pj − g_r2pj)²; (S2) is the leading order of the exact
result; "R_m (1 + δ²/2) ≥ R" is not general (see the test of flux imbalance).
"""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.dlcz import (
    DLCZParameters,
    g2_moments,
    measurable_witness,
    pair_clicks,
    symmetrised_witness,
    true_witness,
    visibility,
)
from simulation.theory.models.model import Model, Outcome

Real = NDArray[np.float64]

CLICKS: Final = ("p1", "p2", "r1", "r2")
PAIRS: Final = ("r1p1", "r2p1", "r1p2", "r2p2")
HERALDS: Final = ("1", "2")

RESULTS: Final = {
    "p_click": Outcome("", "click probabilities per trial, threshold detectors", CLICKS),
    "g2": Outcome("", "g² of threshold clicks", PAIRS),
    "g2_moments": Outcome("", "g² of the detected fields (Wick moments)", PAIRS),
    "R_m": Outcome("", "measurable witness of clicks, entangled below 1", (*HERALDS, "sym")),
    "R_m_moments": Outcome("", "measurable witness of the fields", (*HERALDS, "sym")),
    "R": Outcome("", "true witness (S1) of the heralded mechanics", HERALDS),
    "visibility": Outcome("", "visibility of the click g² between different detectors"),
}


def solve(parameters: DLCZParameters, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Exact click probabilities and moments, and the wanted results."""
    found: dict[str, ArrayLike] = {}
    if {"p_click", "g2", "R_m"} & set(wanted):
        clicks = pair_clicks(parameters)
        found["p_click"] = clicks.singles
        if {"g2", "R_m"} & set(wanted):
            found |= {"g2": _by_pair(clicks.g2), "R_m": _witnesses(clicks.g2)}
    if {"g2_moments", "R_m_moments"} & set(wanted):
        moments = g2_moments(parameters)
        found |= {"g2_moments": _by_pair(moments), "R_m_moments": _witnesses(moments)}
    if "R" in wanted:
        found["R"] = true_witness(parameters)
    if "visibility" in wanted:
        found["visibility"] = visibility(parameters)
    return found


def _by_pair(g2: Real) -> Real:
    """Element [..., i, j] of r_{i+1}, p_{j+1} in the order of `PAIRS`."""
    return np.swapaxes(g2, -1, -2).reshape(*g2.shape[:-2], 4)


def _witnesses(g2: Real) -> Real:
    heralded = measurable_witness(g2)
    return np.concatenate([heralded, symmetrised_witness(heralded)[..., None]], axis=-1)


MODEL: Final = Model(
    name="riedinger2018",
    paper="R. Riedinger et al., Remote quantum entanglement between two micromechanical "
    "oscillators, Nature 556, 473 (2018)",
    parameters=DLCZParameters,
    results=RESULTS,
    solve=solve,
)
