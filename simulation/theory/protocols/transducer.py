"""Microwave–optical photon pairs heralded by an optical click: Meesala et al. (2023).

Pulsed model: mechanics m thermal (n_0), pump p_pump with the optical mode o (loss eta_o, dark);
n_heat quanta on m; m → microwave with efficiency eta_mw and n_line quanta in the lost port. An
amplifier chain measures moments: n_h, g²(0|h), and n_u without a herald.

Time bins, two such pairs (early, late), a microwave photon in the bin of its optical partner:

    Z   a click tells the bin (only that bin's detector is asked)
    X   each bin loses half in the delay line; 50/50, one output clicks
    F_z = p10/(p10 + p01),   V_x = 2|d|/(p10 + p01),   F_sub = (F_z + V_x)/2   (one photon)
    P_z = n_e/(n_e + n_l),   V_mom = 2|⟨e†l⟩|/(n_e + n_l),  F_mom = (P_z + V_mom)/2   (moments)
    S = √2 ((2 P_z − 1) + V_mom)

From the device: pair probability ∫ 4 g² n(t)/κ dt of a Gaussian pulse with the field's σ, and
conversion κ_e 4g²/((κ_c + κ_m)(4g² + κ_c κ_m)), κ_c = κ_e + κ_i of the microwave.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.models.model import Model, Outcome
from simulation.theory.protocols import heralded
from simulation.theory.protocols.pulsed_light import PulsedState
from simulation.theory.quantities import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Choice,
    Parameters,
    Quantity,
    Value,
)

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transducer(Parameters):
    """Parameters; the pairs' defaults are a choice, the device's those of the supplement."""

    p_pump: Annotated[Value, Quantity("", NON_NEGATIVE, "pair probability", "choice")] = 1e-4
    n_0: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons before the pump", "choice")] = 0.02
    n_heat: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons added", "choice")] = 0.06
    eta_o: Annotated[
        Value, Quantity("", FRACTION, "optical collection, 0.50·0.27·0.90·0.55·0.83", "supplement")
    ] = 0.0555
    dark: Annotated[Value, Quantity("", FRACTION, "dark click per gate", "choice")] = 2e-7
    eta_mw: Annotated[
        Value, Quantity("", FRACTION, "conversion to the microwave", "supplement")
    ] = 0.59
    n_line: Annotated[
        Value, Quantity("", NON_NEGATIVE, "quanta in the microwave's lost port", "choice")
    ] = 0.01
    g_om_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "optomechanical coupling g/2π", "supplement")
    ] = 270e3
    kappa_o_hz: Annotated[
        Value, Quantity("Hz", POSITIVE, "optical energy damping, 650 + 650 MHz", "supplement")
    ] = 1.3e9
    photons: Annotated[
        Value, Quantity("", NON_NEGATIVE, "peak photons of the pulse", "supplement")
    ] = 0.78
    sigma: Annotated[
        Value, Quantity("s", NON_NEGATIVE, "of the pulse, half of 'two sigma'", "supplement")
    ] = 48e-9
    sigma_of: Annotated[
        str,
        Quantity("", Choice(("field", "power")), "what `sigma` is the width of", "fits heralds"),
    ] = "field"
    g_piezo_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "piezoelectric coupling g/2π", "supplement")
    ] = 1.2e6
    kappa_m_hz: Annotated[
        Value, Quantity("Hz", POSITIVE, "acoustic energy damping", "supplement")
    ] = 150e3
    kappa_e_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "microwave external damping", "supplement")
    ] = 1.2e6
    kappa_i_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "microwave internal damping", "supplement")
    ] = 0.55e6
    period: Annotated[Value, Quantity("s", POSITIVE, "repetition period", "supplement")] = 20e-6


RESULTS: Final = {
    "P_h": Outcome("", "probability of the herald"),
    "n_h": Outcome("", "microwave quanta given the herald"),
    "n_u": Outcome("", "microwave quanta without a herald"),
    "ratio": Outcome("", "n_h/n_u"),
    "g2_h": Outcome("", "heralded g²(0) of moments"),
    "F_z": Outcome("", "time bins: share of the right bin, one photon"),
    "V_x": Outcome("", "time bins: visibility of the superposition, one photon"),
    "F_sub": Outcome("", "time bins: (F_z + V_x)/2"),
    "P_z": Outcome("", "time bins: share of the right bin, moments"),
    "V_mom": Outcome("", "time bins: visibility, moments"),
    "F_mom": Outcome("", "time bins: (P_z + V_mom)/2"),
    "S": Outcome("", "CHSH of the moments, √2 ((2 P_z − 1) + V_mom)"),
    "heralds": Outcome("1/s", "P_h per period"),
    "pair_probability": Outcome("", "of the device's pulse"),
    "conversion": Outcome("", "of the device's rates"),
}


def pairs(p: Transducer, bins: str) -> PulsedState:
    """Optical modes o and microwaves m of each time bin, losses included."""
    names = bins.split()
    state = PulsedState.vacuum(" ".join(f"o{x}" for x in names), " ".join(f"m{x}" for x in names))
    for x in names:
        state = state.heat(f"m{x}", p.n_0).squeeze(f"o{x}", f"m{x}", p.p_pump)
        state = state.lose(f"o{x}", p.eta_o).heat(f"m{x}", p.n_heat)
        state = state.lose(f"m{x}", p.eta_mw, p.n_line)
    return state


def pair_probability(p: Transducer) -> Real:
    """∫ 4 g² n(t)/κ dt = 4 g² n √π σ/κ of a field's σ, √2 of it more of the power's."""
    width = np.sqrt(np.pi if p.sigma_of == "field" else 2 * np.pi) * np.asarray(p.sigma)
    rate = 2 * np.pi * 4 * np.asarray(p.g_om_hz) ** 2 / p.kappa_o_hz
    return np.asarray(rate * p.photons * width)


def conversion(p: Transducer) -> Real:
    """κ_e 4g²/((κ_c + κ_m)(4g² + κ_c κ_m)) of an acoustic quantum to the microwave line."""
    whole = np.asarray(p.kappa_e_hz) + p.kappa_i_hz
    coupling = 4 * np.asarray(p.g_piezo_hz) ** 2
    rates = (whole + p.kappa_m_hz) * (coupling + whole * p.kappa_m_hz)
    if not np.all(rates > 0):
        message = "`g_piezo_hz` or the microwave's damping must be > 0 for a conversion"
        raise ValueError(message)
    return np.asarray(p.kappa_e_hz * coupling / rates)


def solve(p: Transducer, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Heralded moments, and time bins if wanted."""
    both = pairs(p, "e l")
    early = both.condition(clicked="oe", kept="me ml", dark=p.dark)
    n_e, n_l = heralded.occupation(early, 0), heralded.occupation(early, 1)
    found: dict[str, ArrayLike] = {
        "P_h": early.probability,
        "n_h": n_e,
        "n_u": n_l,
        "ratio": n_e / n_l,
        "g2_h": heralded.autocorrelation(early, 0),
        "heralds": early.probability / p.period,
        "pair_probability": pair_probability(p),
        "conversion": conversion(p),
    }
    if {"F_z", "V_x", "F_sub", "P_z", "V_mom", "F_mom", "S"} & set(wanted):
        found |= _time_bins(p, both, heralded.populations(early), n_e / (n_e + n_l))
    return found


def _time_bins(
    p: Transducer, both: PulsedState, early: heralded.Populations, p_z: Real
) -> dict[str, ArrayLike]:
    joined = both.lose("oe ol", 0.5).couple("oe", "ol")
    made = joined.condition(clicked="oe", kept="me ml", dark=p.dark)
    few = heralded.populations(made)
    total = heralded.occupation(made, 0) + heralded.occupation(made, 1)
    f_z = early.p10 / (early.p10 + early.p01)
    v_x = 2 * np.abs(few.d) / (few.p10 + few.p01)
    v_mom = 2 * np.abs(heralded.coherence(made, 0, 1)) / total
    return {
        "F_z": f_z,
        "V_x": v_x,
        "F_sub": (f_z + v_x) / 2,
        "P_z": p_z,
        "V_mom": v_mom,
        "F_mom": (p_z + v_mom) / 2,
        "S": np.sqrt(2) * ((2 * p_z - 1) + v_mom),
    }


MODEL: Final = Model(
    name="transducer",
    paper="S. Meesala et al., Quantum entanglement between optical and microwave photonic qubits "
    "(2023), arXiv:2312.13559; Non-classical microwave-optical photon pair generation with a "
    "chip-scale transducer (2023), arXiv:2303.17684",
    parameters=Transducer,
    results=RESULTS,
    solve=solve,
)
