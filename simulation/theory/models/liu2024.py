"""Two mechanics coupled through a bidirectional fibre: Liu et al., PRA 109, 023519 (2024).

Modes a1, a2 (cavities) and b1, b2 (mechanics), amplitude damping, pressure coupling g_0 in each
cavity, one drive on each cavity with the phase difference Δθ, fibre of efficiency η and phase φ.
An equal effective detuning Δ of both cavities is the paper's assumption (the static shifts differ).

`printed` is the model of Eqs. (7), (8), (27). Its optical supermodes grow at −κ(1 ± 2√η cos φ): at
η = 1, φ = 0.8π one of them grows at +0.618 κ, so that there is **no steady state at the paper's
parameters**, and none of its numbers (E_N = 0.11 and 0.07, the factor 3, the window 0.18π to
0.25π) can be reproduced. Moreover its independent noise breaks the commutators (D + iK/2 reaches
−1.618 κ there): ``physical`` is False. The link drive √(2ηκ) ε of (7) is dimensionally wrong (the
field's amplitude is ε/√(2κ), so that √η ε is meant); it is kept as printed, κ in rad/s.

`slh` is the legal bidirectional fibre: each cavity has one port per direction, of energy rate κ
each, which gives the same total amplitude decay κ, the coupling κ√η e^{iφ} both ways and the
shared noise D_12 = κ√η cos φ; drives enter with √(κP/ħω). It is physical and stable (but for dark
supermodes at η = 1, φ = 0 or π), and shows no mechanical entanglement in wide searches.

Stability is not the only obstacle: with the right drive and the text's 15 mW, g_0/2π = 0.374 Hz
and |G|/2π = g_0|⟨a⟩|/2π = 0.85 and 2.2 kHz (`slh`), so that the pull of the light on the mechanics
against that of their bath, `backaction_ratio` |G|²/(κγ_m(n̄ + ½)), is of the order of 1e-6.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory import constants
from simulation.theory.baths import thermal_occupation
from simulation.theory.couplings import dispersive
from simulation.theory.linear_model import NOISE_TOLERANCE, LinearModel, noise_margin
from simulation.theory.measures import log_negativity, log_nu
from simulation.theory.models.model import Model, Moment, Outcome
from simulation.theory.network import BareDrift, Link, Mode, Network, Port, bidirectional
from simulation.theory.quantities import (
    FINITE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Choice,
    Parameters,
    Quantity,
    Value,
)
from simulation.theory.steady_state import growth_rate, steady_state

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

Variant = Literal["printed", "slh"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Liu2024(Parameters):
    """Parameters; the defaults are those of Fig. 2 at Δ = 1.4 ω_m, Δθ = 0.25π (no steady state)."""

    omega_m_hz: Annotated[Value, Quantity("Hz", POSITIVE, "mechanical frequency", "p. 4")] = 88.54e6
    kappa_hz: Annotated[
        Value, Quantity("Hz", POSITIVE, "amplitude damping of the cavities", "p. 4")
    ] = 45e6
    gamma_m_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "mechanical amplitude damping", "p. 4")
    ] = 2.2e3
    wavelength: Annotated[Value, Quantity("m", POSITIVE, "of both cavities", "p. 4")] = 780e-9
    power: Annotated[Value, Quantity("W", NON_NEGATIVE, "of each drive", "p. 4")] = 15e-3
    length: Annotated[Value, Quantity("m", POSITIVE, "of each cavity", "p. 4")] = 0.1
    mass: Annotated[Value, Quantity("kg", POSITIVE, "effective mass of the mechanics", "p. 4")] = (
        20e-12
    )
    eta: Annotated[Value, Quantity("", FRACTION, "efficiency of the fibre", "p. 4")] = 1.0
    phi: Annotated[Value, Quantity("rad", FINITE, "phase of the fibre, Eq. (5)", "p. 4")] = (
        0.8 * np.pi
    )
    dtheta: Annotated[Value, Quantity("rad", FINITE, "phase θ_1 − θ_2 of the drives", "Fig. 2")] = (
        0.25 * np.pi
    )
    temperature: Annotated[Value, Quantity("K", NON_NEGATIVE, "bath of the mechanics", "p. 4")] = (
        0.1
    )
    delta: Annotated[
        Value, Quantity("omega_m", FINITE, "effective detuning of both cavities", "Fig. 2")
    ] = 1.4
    variant: Annotated[
        Variant,
        Quantity("", Choice(("printed", "slh")), "as printed, or the legal fibre", "Eq. (8)"),
    ] = "printed"


RESULTS: Final = {
    "E_N": Outcome("", "logarithmic negativity of both mechanics"),
    "log_nu": Outcome("", "−ln 2ν̃₋ of both mechanics; E_N where positive"),
    "stable": Outcome("", "whether a steady state exists"),
    "growth_rate": Outcome("omega_m", "largest growth rate of the supermodes"),
    "physical": Outcome("", "whether the noise keeps the commutators"),
}


def single_photon_coupling_hz(p: Liu2024) -> Real:
    """g_0/2π = (c/λ)/l √(ħ/(m ω_m)), in Hz."""
    motion = np.sqrt(constants.hbar / (p.mass * 2 * np.pi * np.asarray(p.omega_m_hz)))
    return np.asarray(constants.c / np.asarray(p.wavelength) / p.length * motion)


def mean_fields(p: Liu2024) -> tuple[Complex, Complex]:
    """⟨a1⟩, ⟨a2⟩ of Eq. (16), θ_1 = −θ_2 = Δθ/2.

    Solves (iΔ + κ) α_j + J α_k = s_j with J = 2κ√η e^{iφ} (printed) or κ√η e^{iφ} (slh).
    """
    kappa, link = _rates(p)
    first, second = _sources(p)
    own = 1j * np.asarray(p.delta) + kappa
    both = own**2 - link**2
    if np.any(both == 0):
        message = "`delta`, `eta` and `phi` must not leave a supermode undamped and resonant"
        raise ValueError(message)
    return (
        np.asarray((own * first - link * second) / both),
        np.asarray((own * second - link * first) / both),
    )


def backaction_ratio(p: Liu2024) -> tuple[Real, Real]:
    """|G_j|²/(κ γ_m (n̄ + ½)) of both cavities, G_j = g_0⟨a_j⟩: entanglement needs about 1.

    At the text's point 3.1e-7 and 2.1e-6 for `slh`, the drive of right dimension.
    """
    quanta = thermal_occupation(2 * np.pi * np.asarray(p.omega_m_hz), p.temperature)
    bath = np.asarray(p.kappa_hz) * p.gamma_m_hz * (quanta + 0.5)
    pulls = single_photon_coupling_hz(p) ** 2 / bath
    first, second = mean_fields(p)
    return np.asarray(pulls * np.abs(first) ** 2), np.asarray(pulls * np.abs(second) ** 2)


def network(p: Liu2024) -> Network:
    """Declare the system in units of ω_m; detunings are the effective ones."""
    unit = np.asarray(p.omega_m_hz)
    kappa, link = _rates(p)
    quanta = thermal_occupation(2 * np.pi * unit, p.temperature)
    pressure = -single_photon_coupling_hz(p) / unit
    one_way = p.variant == "slh"
    cavities = [
        Mode(
            name,
            detuning=p.delta,
            damping=kappa,
            convention="energy" if one_way else "amplitude",
        )
        for name in ("a1", "a2")
    ]
    mechanics = [
        Mode(
            name,
            detuning=1.0,
            damping=p.gamma_m_hz / unit,
            convention="amplitude",
            occupation=quanta,
        )
        for name in ("b1", "b2")
    ]
    pressures = [dispersive("a1", "b1", pressure), dispersive("a2", "b2", pressure)]
    if not one_way:
        bare = [BareDrift("a1", "a2", rate=-link), BareDrift("a2", "a1", rate=-link)]
        return Network(modes=[*cavities, *mechanics], couplings=pressures, bare_drift=bare)
    return Network(
        modes=[*cavities, *mechanics],
        couplings=pressures,
        ports=[Port(f"{name} left", mode=name, damping=kappa) for name in ("a1", "a2")],
        links=_fibre(p),
    )


def linear(p: Liu2024) -> LinearModel:
    """Linearise the network about its means, in units of ω_m."""
    first, second = mean_fields(p)
    return network(p).build({"a1": first, "a2": second}, check_noise=False)


def solve(p: Liu2024, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Steady state and the wanted results."""
    model = linear(p)
    state = steady_state(model)
    mechanics = state.of("b1", "b2")
    results: dict[str, Callable[[], ArrayLike]] = {
        "E_N": lambda: log_negativity(mechanics),
        "log_nu": lambda: log_nu(mechanics),
        "stable": lambda: state.stable,
        "growth_rate": lambda: growth_rate(model),
        "physical": lambda: _keeps_commutators(model),
    }
    return {name: results[name]() for name in wanted}


def _fibre(p: Liu2024) -> tuple[Link, Link]:
    return bidirectional(
        ("a1", "a1 left"), ("a2", "a2 left"), efficiency=p.eta, phase=np.asarray(p.phi)
    )


def _rates(p: Liu2024) -> tuple[Real, Complex]:
    """κ and J in units of ω_m."""
    kappa = p.kappa_hz / np.asarray(p.omega_m_hz)
    share = 2.0 if p.variant == "printed" else 1.0
    return kappa, np.asarray(share * kappa * np.sqrt(p.eta) * np.exp(1j * np.asarray(p.phi)))


def _sources(p: Liu2024) -> tuple[Complex, Complex]:
    """Drive of a1 and of a2, by both lasers, in units of ω_m."""
    kappa = 2 * np.pi * np.asarray(p.kappa_hz)
    quantum = constants.h * constants.c / np.asarray(p.wavelength)
    field = np.sqrt(p.power / quantum) / (2 * np.pi * np.asarray(p.omega_m_hz))
    through = np.sqrt(p.eta) * np.exp(1j * np.asarray(p.phi))
    if p.variant == "printed":
        direct, through = np.sqrt(2 * kappa) * field, np.sqrt(2 * kappa) * through
    else:
        direct = np.sqrt(kappa) * field
    theta = 0.5 * np.asarray(p.dtheta)
    first, second = direct * np.exp(-1j * theta), direct * np.exp(1j * theta)
    return np.asarray(first + through * second), np.asarray(second + through * first)


def _keeps_commutators(model: LinearModel) -> NDArray[np.bool_]:
    diffusion = model.diffusion
    scale = np.max(np.abs(diffusion), axis=(-2, -1))
    return np.asarray(noise_margin(model.drift, diffusion) >= -NOISE_TOLERANCE * scale)


MODEL: Final = Model(
    name="liu2024",
    paper="J.-X. Liu et al., Phase-controlled robust quantum entanglement of remote mechanical "
    "oscillators, Phys. Rev. A 109, 023519 (2024)",
    parameters=Liu2024,
    results=RESULTS,
    solve=solve,
    linear=linear,
    moments={"E_N": Moment("E_N", ("b1", "b2")), "log_nu": Moment("log_nu", ("b1", "b2"))},
    rate_unit="omega_m",
)
