"""Megahertz and gigahertz mechanics entangled through a one-way link: Fan, Cheng (2026), scheme 1.

Modes c, b (optical mode and megahertz mechanics, pressure coupling g_c) and, downstream of the
link c → a1, a1, a2, m (two optical modes and gigahertz mechanics, triple-resonant coupling g),
Eqs. (1)–(3); energy damping; the drive of a2 is resonant, Δ_2 = 0, so that Δ_m = Δ_1. G_c = g_c⟨c⟩
and G_2 = g⟨a2⟩ are given and real (their phases are gauge); then G_1 and G_m follow.

Corrected from the print: the light that drives a1 in (6) is √(ηκ_a κ_c)⟨c⟩ − √(ηκ_a/κ_c) ε (the
drive was printed without √η and with κ_c in the numerator); line 4 of (6) has Δ_m, not Δ_1; the
effective detuning below (6) is Δ_c − g_c(⟨b⟩ + ⟨b⟩*), of c; D_a1 of (8) has η and 1 − η the other
way round. Optical baths are in vacuum, as in the paper.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory import constants
from simulation.theory.baths import thermal_occupation
from simulation.theory.couplings import dispersive, triple_resonance
from simulation.theory.gaussian import occupation
from simulation.theory.linear_model import LinearModel
from simulation.theory.measures import log_negativity
from simulation.theory.models.model import Model, Moment, Outcome
from simulation.theory.network import Link, Mode, Network
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

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fan2026Cascade(Parameters):
    """Parameters; the defaults are those of Fig. 2 at Δ̃_c = −Δ_1 = ω_b, η = 1."""

    omega_b_hz: Annotated[Value, Quantity("Hz", POSITIVE, "frequency of mechanics b", "p. 4")] = (
        10e6
    )
    omega_m_hz: Annotated[Value, Quantity("Hz", POSITIVE, "frequency of mechanics m", "p. 4")] = (
        8.2e9
    )
    wavelength: Annotated[Value, Quantity("m", POSITIVE, "of all optical modes", "p. 4")] = 1550e-9
    kappa_c: Annotated[Value, Quantity("omega_b", POSITIVE, "energy damping of c", "p. 4")] = 2.0
    kappa_a: Annotated[
        Value, Quantity("omega_b", POSITIVE, "energy damping of a1 and a2", "p. 4")
    ] = 2.0
    gamma_b: Annotated[Value, Quantity("omega_b", NON_NEGATIVE, "energy damping of b", "p. 4")] = (
        1e-4
    )
    gamma_m: Annotated[Value, Quantity("omega_b", NON_NEGATIVE, "energy damping of m", "p. 4")] = (
        0.5
    )
    g_c_hz: Annotated[
        Value, Quantity("Hz", POSITIVE, "single-photon coupling of c and b", "p. 4")
    ] = 100.0
    g_hz: Annotated[
        Value, Quantity("Hz", POSITIVE, "single-photon coupling of a1, a2, m", "p. 4")
    ] = 20.0
    G_c_hz: Annotated[Value, Quantity("Hz", FINITE, "g_c⟨c⟩, real by choice of phase", "p. 4")] = (
        3e6
    )
    G_2_hz: Annotated[Value, Quantity("Hz", FINITE, "g⟨a2⟩, real by choice of phase", "p. 4")] = 3e6
    eta: Annotated[Value, Quantity("", FRACTION, "efficiency of the link, Eq. (2)", "Fig. 2")] = 1.0
    temperature_1: Annotated[Value, Quantity("K", NON_NEGATIVE, "bath of b", "p. 4")] = 10e-3
    temperature_2: Annotated[Value, Quantity("K", NON_NEGATIVE, "bath of m", "p. 4")] = 10e-3
    delta_c: Annotated[Value, Quantity("omega_b", FINITE, "effective detuning of c", "Fig. 2")] = (
        1.0
    )
    delta_1: Annotated[
        Value, Quantity("omega_b", FINITE, "detuning of a1, and of m", "Fig. 2")
    ] = -1.0


RESULTS: Final = {
    "E_cb": Outcome("", "logarithmic negativity of c and b"),
    "E_a1b": Outcome("", "logarithmic negativity of a1 and b"),
    "E_mb": Outcome("", "logarithmic negativity of both mechanics"),
    "n_b": Outcome("", "mean phonons of b"),
    "n_a1": Outcome("", "mean photons of a1 beside its mean field"),
    "n_m": Outcome("", "mean phonons of m"),
    "G_1_hz": Outcome("Hz", "g⟨a1⟩ (complex)"),
    "G_m_hz": Outcome("Hz", "g⟨m⟩ (complex)"),
    "power_1": Outcome("W", "power of the drive of c, into κ_c"),
    "power_2": Outcome("W", "power of the drive of a2, into κ_a"),
    "stable": Outcome("", "whether a steady state exists"),
}


def couplings(p: Fan2026Cascade) -> tuple[Complex, Complex]:
    """Return G_1 and G_m in units of ω_b, from the steady means of Eq. (6).

    With F = √(ηκ_a/κ_c)(κ_c/2 − iΔ̃_c)⟨c⟩ the light that comes through the link and reflects off
    c's drive, ⟨a1⟩ = F / (iΔ_1 + κ_a/2 + |G_2|²/(iΔ_m + γ_m/2)) and
    G_m = −i G_1 G_2*/(iΔ_m + γ_m/2).
    """
    g_2 = np.asarray(p.G_2_hz / np.asarray(p.omega_b_hz))
    mechanics = 1j * np.asarray(p.delta_1) + 0.5 * np.asarray(p.gamma_m)
    if np.any(mechanics == 0):
        message = "`gamma_m` must be > 0 where `delta_1` is 0: m is driven on resonance"
        raise ValueError(message)
    photons = p.G_c_hz / np.asarray(p.g_c_hz)
    through = np.sqrt(p.eta * np.asarray(p.kappa_a) / p.kappa_c)
    field = through * (0.5 * np.asarray(p.kappa_c) - 1j * np.asarray(p.delta_c)) * photons
    optics = 1j * np.asarray(p.delta_1) + 0.5 * np.asarray(p.kappa_a)
    g_1 = p.g_hz / np.asarray(p.omega_b_hz) * field / (optics + g_2**2 / mechanics)
    return np.asarray(g_1), np.asarray(-1j * g_1 * g_2 / mechanics)


def network(p: Fan2026Cascade) -> Network:
    """Declare the system in units of ω_b; detunings are the effective ones."""
    unit = np.asarray(p.omega_b_hz)
    n_b = thermal_occupation(2 * np.pi * unit, p.temperature_1)
    n_m = thermal_occupation(2 * np.pi * np.asarray(p.omega_m_hz), p.temperature_2)
    return Network(
        modes=[
            Mode("c", detuning=p.delta_c, damping=p.kappa_c),
            Mode("b", detuning=1.0, damping=p.gamma_b, occupation=n_b),
            Mode("a1", detuning=p.delta_1, damping=p.kappa_a),
            Mode("a2", detuning=0.0, damping=p.kappa_a),
            Mode("m", detuning=p.delta_1, damping=p.gamma_m, occupation=n_m),
        ],
        couplings=[
            dispersive("c", "b", -p.g_c_hz / unit),
            triple_resonance("a1", "a2", "m", p.g_hz / unit),
        ],
        # c_out = √κ_c c − c_in of the paper is minus the network's output
        links=[Link("c", "a1", efficiency=p.eta, phase=np.pi)],
    )


def linear(p: Fan2026Cascade) -> LinearModel:
    """Linearise the network about its means, in units of ω_b."""
    unit = np.asarray(p.omega_b_hz)
    g_1, g_m = couplings(p)
    mean = {
        "c": p.G_c_hz / np.asarray(p.g_c_hz),
        "a1": g_1 * unit / p.g_hz,
        "a2": p.G_2_hz / np.asarray(p.g_hz),
        "m": g_m * unit / p.g_hz,
    }
    return network(p).build(mean)


def drive_powers(p: Fan2026Cascade) -> tuple[Real, Real]:
    """Return the powers (W) of both drives, P = ħω |ε|²/κ.

    ε = (iΔ̃_c + κ_c/2)⟨c⟩ and ε_2 = (κ_a/2)⟨a2⟩ + i g⟨a1⟩⟨m⟩* from Eq. (6).
    """
    unit = np.asarray(p.omega_b_hz)
    g_1, g_m = couplings(p)
    first = (1j * np.asarray(p.delta_c) + 0.5 * np.asarray(p.kappa_c)) * p.G_c_hz / p.g_c_hz
    second = 0.5 * np.asarray(p.kappa_a) * p.G_2_hz / p.g_hz
    second = second + 1j * g_1 * np.conj(g_m) * unit / p.g_hz
    quantum = constants.h * constants.c / np.asarray(p.wavelength) * 2 * np.pi * unit
    return (
        np.asarray(quantum * np.abs(first) ** 2 / p.kappa_c),
        np.asarray(quantum * np.abs(second) ** 2 / p.kappa_a),
    )


def solve(p: Fan2026Cascade, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Steady state and the wanted results."""
    state = steady_state(linear(p))
    unit = np.asarray(p.omega_b_hz)
    results: dict[str, Callable[[], ArrayLike]] = {
        "E_cb": lambda: log_negativity(state.of("c", "b")),
        "E_a1b": lambda: log_negativity(state.of("a1", "b")),
        "E_mb": lambda: log_negativity(state.of("m", "b")),
        "n_b": lambda: occupation(state.of("b"))[..., 0],
        "n_a1": lambda: occupation(state.of("a1"))[..., 0],
        "n_m": lambda: occupation(state.of("m"))[..., 0],
        "G_1_hz": lambda: couplings(p)[0] * unit,
        "G_m_hz": lambda: couplings(p)[1] * unit,
        "power_1": lambda: drive_powers(p)[0],
        "power_2": lambda: drive_powers(p)[1],
        "stable": lambda: state.stable,
    }
    return {name: results[name]() for name in wanted}


MODEL: Final = Model(
    name="fan2026_cascade",
    paper="Z.-Y. Fan, L.-Y. Cheng, Entanglement distribution among distinct mechanical nodes in a "
    "quantum network (2026), scheme 1",
    parameters=Fan2026Cascade,
    results=RESULTS,
    solve=solve,
    linear=linear,
    moments={
        "E_cb": Moment("E_N", ("c", "b")),
        "E_a1b": Moment("E_N", ("a1", "b")),
        "E_mb": Moment("E_N", ("m", "b")),
    },
    rate_unit="omega_b",
)
