"""Phonon–magnon EPR entanglement over a one-way link: Tan and Li, seed 002.

Modes a1 (electromechanical cavity), a2 (cavity of the YIG sphere), b (mechanics), m (magnon),
Eqs. (2), (4), (5): full radiation pressure g_ab between a1 and b, beam splitter g_am between a2
and m, energy damping, and a lossy link from a1 to a2.

Corrected from the print: the damping of (5c) acts on b; D₁₂ of (8) carries the thermal factor
√(ηκ₁κ₂)(n̄₁ + 1/2); the gains of (10) are f_x = −⟨x_m x_b⟩/V(x_b), f_y = ⟨p_m p_b⟩/V(p_b); Fig. 3
has g_ab in units of ω_b, not ω_m. Not obtained: |⟨m⟩|² = 3.4e8 (it is 1.12e9), P_d = 1 µW
(1.20 µW), "S_m|b always stronger than S_b|m".

The probe cavities and the homodyne read-out of its last page: model `tan2020_readout`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.baths import thermal_occupation
from simulation.theory.branches import branches
from simulation.theory.couplings import beam_splitter, radiation_pressure
from simulation.theory.gaussian import occupation
from simulation.theory.linear_model import LinearModel
from simulation.theory.mean_field import drive_power as power_of_drive
from simulation.theory.measures import log_negativity
from simulation.theory.models.model import Model, Moment, Outcome
from simulation.theory.network import Drive, Link, Mode, Network
from simulation.theory.quantities import (
    FINITE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Parameters,
    Quantity,
    Value,
)
from simulation.theory.steady_state import steady_state
from simulation.theory.steering import epr_product, reid_product

Real = NDArray[np.float64]

SPIN_DENSITY: Final = 2.1e27
"""ρ_s of the YIG sphere in m⁻³, as the text takes it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tan2020(Parameters):
    """Parameters; the defaults are those of Figs. 2 and 4 at η = 1, 30 mK."""

    omega_b_hz: Annotated[Value, Quantity("Hz", POSITIVE, "mechanical frequency", "p. 3")] = 10e6
    omega_m_hz: Annotated[Value, Quantity("Hz", POSITIVE, "magnon frequency", "p. 3")] = 10e9
    gamma_b_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "mechanical energy damping", "p. 3")
    ] = 100.0
    gamma_m_hz: Annotated[Value, Quantity("Hz", NON_NEGATIVE, "magnon energy damping", "p. 3")] = (
        1.5e6
    )
    kappa_1: Annotated[
        Value, Quantity("omega_b", NON_NEGATIVE, "energy damping of cavity 1", "Fig. 2")
    ] = 10.0
    kappa_2: Annotated[
        Value, Quantity("omega_b", NON_NEGATIVE, "energy damping of cavity 2", "Fig. 2")
    ] = 10.0
    g_ab: Annotated[
        Value, Quantity("omega_b", FINITE, "electromechanical coupling, Eq. (2a)", "Fig. 2")
    ] = 0.5
    g_am: Annotated[
        Value, Quantity("omega_b", FINITE, "cavity–magnon coupling, Eq. (1b)", "Fig. 2")
    ] = 1.0
    delta_1: Annotated[
        Value, Quantity("omega_b", FINITE, "effective detuning of cavity 1", "Fig. 2")
    ] = 1.0
    delta_2: Annotated[Value, Quantity("omega_b", FINITE, "detuning of cavity 2", "Fig. 2")] = -1.0
    delta_m: Annotated[
        Value, Quantity("omega_b", FINITE, "detuning of the magnon", "Fig. 2")
    ] = -1.0
    eta: Annotated[Value, Quantity("", FRACTION, "efficiency of the link, Eq. (4)", "Fig. 2")] = 1.0
    temperature: Annotated[
        Value, Quantity("K", NON_NEGATIVE, "temperature of all baths", "p. 3")
    ] = 30e-3


RESULTS: Final = {
    "E_bm": Outcome("", "EPR product of phonon and magnon, Eq. (9), entangled below 1"),
    "S_m_b": Outcome("", "Reid product of the magnon given the phonon, Eq. (10), steered below 1"),
    "S_b_m": Outcome("", "Reid product of the phonon given the magnon, Eq. (11), steered below 1"),
    "E_N": Outcome("", "logarithmic negativity of phonon and magnon"),
    "n_b": Outcome("", "mean phonons"),
    "n_m": Outcome("", "mean magnons"),
    "stable": Outcome("", "whether a steady state exists"),
}


def network(p: Tan2020) -> Network:
    """Declare the system in units of ω_b; the link's bath is at the frequency of a2."""
    unit = np.asarray(p.omega_b_hz)
    drive_hz = p.omega_m_hz - p.delta_m * unit
    n_1, n_2, n_m, n_b = (
        thermal_occupation(2 * np.pi * frequency_hz, p.temperature)
        for frequency_hz in (
            drive_hz + p.delta_1 * unit,
            drive_hz + p.delta_2 * unit,
            np.asarray(p.omega_m_hz),
            unit,
        )
    )
    return Network(
        modes=[
            Mode("a1", detuning=p.delta_1, damping=p.kappa_1, occupation=n_1),
            Mode("a2", detuning=p.delta_2, damping=p.kappa_2, occupation=n_2),
            Mode("b", detuning=1.0, damping=p.gamma_b_hz / unit, occupation=n_b),
            Mode("m", detuning=p.delta_m, damping=p.gamma_m_hz / unit, occupation=n_m),
        ],
        couplings=[
            radiation_pressure("a1", "b", p.g_ab),
            beam_splitter("a2", "m", p.g_am),
        ],
        links=[Link("a1", "a2", efficiency=p.eta, occupation=n_2)],
    )


def solve(p: Tan2020, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Steady state and the wanted results."""
    state = steady_state(network(p).build())
    pair = state.of("b", "m")
    measures: dict[str, Callable[[], ArrayLike]] = {
        "E_bm": lambda: epr_product(pair),
        "S_m_b": lambda: reid_product(pair, (1, 0)),
        "S_b_m": lambda: reid_product(pair, (0, 1)),
        "E_N": lambda: log_negativity(pair),
        "n_b": lambda: occupation(pair)[..., 0],
        "n_m": lambda: occupation(pair)[..., 1],
        "stable": lambda: state.stable,
    }
    return {name: measures[name]() for name in wanted}


def linear(p: Tan2020) -> LinearModel:
    """Linearised network in units of ω_b."""
    return network(p).build()


def drive_power(p: Tan2020, *, g_0_hz: Value) -> Real:
    """Power in W that makes the coupling `g_ab`, for a single-photon coupling g̃_ab/2π in Hz.

    From g_ab = g̃_ab √(P κ₁)/√(ħω₁(Δ₁² + κ₁²/4)). With g̃_ab/2π = 150 Hz 1.20 µW (printed: 1 µW).
    """
    unit = 2 * np.pi * np.asarray(p.omega_b_hz)
    cavity_hz = p.omega_m_hz + (p.delta_1 - p.delta_m) * np.asarray(p.omega_b_hz)
    photons = (p.g_ab * np.asarray(p.omega_b_hz) / g_0_hz) ** 2
    drive = np.sqrt(photons * (np.square(p.delta_1) + np.square(p.kappa_1) / 4)) * unit
    return power_of_drive(drive, 2 * np.pi * cavity_hz, p.kappa_1 * unit)


def collective_coupling_hz(*, single_hz: Value, diameter: Value) -> Real:
    """g_am/2π = g_m0 √N in Hz of a YIG sphere, N = `spins`; 10.1 MHz for 38 mHz and 400 µm."""
    return np.asarray(single_hz * np.sqrt(spins(diameter=diameter)))


def spins(*, diameter: Value) -> Real:
    """N = ρ_s π d³/6, spins of a YIG sphere of diameter d in m; 7.04e16 for 400 µm."""
    return np.asarray(SPIN_DENSITY * np.pi / 6 * np.asarray(diameter) ** 3)


def magnons(p: Tan2020, *, g_0_hz: Value) -> Real:
    """Mean magnons |⟨m⟩|² that the drive leaves in the sphere, g̃_ab/2π in Hz.

    From the mean fields of a1, a2 and m with ⟨a1⟩ = g_ab/g̃_ab; the drive passes on by the link.
    With g̃_ab/2π = 150 Hz 1.12e9 (printed: 3.4e8).
    """
    field = p.g_ab * np.asarray(p.omega_b_hz) / g_0_hz
    drive = field * (np.asarray(p.kappa_1) / 2 + 1j * np.asarray(p.delta_1))
    driven = replace(
        network(p),
        couplings=[beam_splitter("a2", "m", p.g_am)],
        drives=[Drive("a1", amplitude=drive)],
    )
    return np.asarray(np.abs(branches(driven).mean["m"][0]) ** 2)


def cooperativity(p: Tan2020, *, mode: str) -> Real:
    """C_b = g_ab²/(κ₁γ_b) or C_m = g_am²/(κ₂γ_m) of `mode` "b" or "m".

    2.5e3 and 0.67 at the couplings of Fig. 2 (printed as those of the optimum: 6e3 and 1).
    """
    if mode not in ("b", "m"):
        message = f"`mode` must be b or m, but is {mode!r}"
        raise ValueError(message)
    g, kappa, gamma_hz = {
        "b": (p.g_ab, p.kappa_1, p.gamma_b_hz), "m": (p.g_am, p.kappa_2, p.gamma_m_hz)
    }[mode]  # fmt: skip
    return np.asarray(np.square(g) * p.omega_b_hz / (np.asarray(kappa) * gamma_hz))


MODEL: Final = Model(
    name="tan2020",
    paper="H. Tan, J. Li, Einstein-Podolsky-Rosen entanglement and asymmetric steering (2020)",
    parameters=Tan2020,
    results=RESULTS,
    solve=solve,
    linear=linear,
    moments={"E_N": Moment("E_N", ("b", "m"))},
    rate_unit="omega_b",
)
