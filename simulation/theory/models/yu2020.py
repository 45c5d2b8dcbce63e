"""Two microwave fields entangled by magnetostriction: Yu, Shen, Li, PRL 124, 213604 (2020).

Modes a1, a2 (cavities), m (magnon) and b (mechanics), Eq. (2): beam splitters g_j between a_j and
m, magnetostriction G₀ m†m q linearised with ⟨m⟩ = −i|⟨m⟩| (which makes G = i√2 G₀⟨m⟩ real),
amplitude damping, Brownian damping of the mechanics. The network reproduces the printed drift
matrix (6) and diffusion (8).

Not as printed: at exactly Δ₁ = −Δ₂ = ω_b the Duan sum is 2.064 > 2, and it falls below 2 only near
(0.875, −1.085) ω_b. Entanglement survives to 185 mK at the optimum of Fig. 2(b) and to 156 mK at
κ₂ = κ₁, g₂ = g₁, not to about 140 mK. The quoted drive powers follow from the approximate
Eq. (4); the exact Eq. (3) gives 2 % more.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.baths import thermal_occupation
from simulation.theory.constants import c as speed_of_light
from simulation.theory.constants import mu_0
from simulation.theory.couplings import beam_splitter, radiation_pressure
from simulation.theory.gaussian import occupation
from simulation.theory.linear_model import LinearModel
from simulation.theory.measures import log_negativity, log_nu
from simulation.theory.models.model import Model, Moment, Outcome
from simulation.theory.network import Mode, Network
from simulation.theory.output_modes import with_output_mode
from simulation.theory.quantities import FINITE, NON_NEGATIVE, POSITIVE, Parameters, Quantity, Value
from simulation.theory.steady_state import growth_rate, steady_state
from simulation.theory.steering import duan_sum

Real = NDArray[np.float64]

GYROMAGNETIC_RATIO: Final = 2 * np.pi * 28e9
"""γ₀ of YIG in rad/s/T."""
SPIN_DENSITY: Final = 4.22e27
"""ρ of YIG in m⁻³."""
ROUNDING: Final = 1e-12
"""Of −ln 2ν̃₋."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Yu2020(Parameters):
    """Parameters; the defaults are the text's at the centre of Fig. 2(a)."""

    omega_m_hz: Annotated[Value, Quantity("Hz", POSITIVE, "magnon frequency", "p. 3")] = 10e9
    omega_b_hz: Annotated[Value, Quantity("Hz", POSITIVE, "mechanical frequency", "p. 3")] = 10e6
    gamma_b_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "mechanical momentum damping γ", "p. 3")
    ] = 100.0
    kappa_m_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "magnon amplitude damping", "p. 3")
    ] = 1e6
    kappa_1_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "amplitude damping of cavity 1", "p. 3")
    ] = 1e6
    kappa_2_hz: Annotated[
        Value, Quantity("Hz", NON_NEGATIVE, "amplitude damping of cavity 2", "Fig. 2")
    ] = 1e6
    g_1_hz: Annotated[Value, Quantity("Hz", FINITE, "magnon coupling of cavity 1", "p. 3")] = 3.8e6
    g_2_hz: Annotated[Value, Quantity("Hz", FINITE, "magnon coupling of cavity 2", "Fig. 2")] = (
        3.8e6
    )
    G_hz: Annotated[
        Value, Quantity("Hz", FINITE, "magnomechanical coupling G", "p. 3, Eq. (7)")
    ] = 4.5e6
    temperature: Annotated[
        Value, Quantity("K", NON_NEGATIVE, "temperature of all baths", "p. 3")
    ] = 20e-3
    delta_1: Annotated[Value, Quantity("omega_b", FINITE, "detuning of cavity 1", "Fig. 2")] = 1.0
    delta_2: Annotated[Value, Quantity("omega_b", FINITE, "detuning of cavity 2", "Fig. 2")] = -1.0
    delta_m: Annotated[
        Value, Quantity("omega_b", FINITE, "effective magnon detuning", "Fig. 2")
    ] = 0.9


RESULTS: Final = {
    "E_N": Outcome("", "logarithmic negativity of the two cavity fields"),
    "E_mb": Outcome("", "logarithmic negativity of magnon and phonon"),
    "duan": Outcome("", "Duan sum of the two cavity fields, entangled below 2"),
    "n_phonon": Outcome("", "mean phonons"),
    "stable": Outcome("", "whether a steady state exists"),
    "growth_rate": Outcome("omega_b", "largest growth rate of the supermodes"),
}


def network(p: Yu2020) -> Network:
    """Declare the system in units of ω_b."""
    unit = np.asarray(p.omega_b_hz)
    drive_hz = p.omega_m_hz - p.delta_m * unit
    return Network(
        modes=[
            _microwave("a1", p.delta_1, p.kappa_1_hz / unit, drive_hz + p.delta_1 * unit, p),
            _microwave("a2", p.delta_2, p.kappa_2_hz / unit, drive_hz + p.delta_2 * unit, p),
            _microwave("m", p.delta_m, p.kappa_m_hz / unit, np.asarray(p.omega_m_hz), p),
            Mode(
                "b",
                detuning=1.0,
                damping=p.gamma_b_hz / unit,
                convention="brownian",
                occupation=thermal_occupation(2 * np.pi * unit, p.temperature),
            ),
        ],
        couplings=[
            beam_splitter("a1", "m", p.g_1_hz / unit),
            beam_splitter("a2", "m", p.g_2_hz / unit),
            radiation_pressure("m", "b", -0.5j * p.G_hz / unit),
        ],
    )


def solve(p: Yu2020, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Steady state and the wanted results."""
    model = network(p).build()
    state = steady_state(model)
    fields = state.of("a1", "a2")
    measures: dict[str, Callable[[], ArrayLike]] = {
        "E_N": lambda: log_negativity(fields),
        "E_mb": lambda: log_negativity(state.of("m", "b")),
        "duan": lambda: duan_sum(fields),
        "n_phonon": lambda: occupation(state.of("b"))[..., 0],
        "stable": lambda: state.stable,
        "growth_rate": lambda: growth_rate(model),
    }
    return {name: measures[name]() for name in wanted}


def linear(p: Yu2020) -> LinearModel:
    """Linearised network in units of ω_b."""
    return network(p).build()


def entangled_up_to(p: Yu2020) -> float:
    """Temperature of all baths in K at which the entanglement of the cavities ends, to 1e-6.

    0 where they are not entangled at any; `p.temperature` does not matter.

    Raises
    ------
    ValueError
        If `p` is a batch.
    """
    from scipy.optimize import brentq

    if p.shape:
        message = f"`p` must be a single point, but has shape {p.shape}"
        raise ValueError(message)

    def distance(temperature: float) -> float:
        state = steady_state(network(replace(p, temperature=temperature)).build())
        return float(log_nu(state.of("a1", "a2")))

    if not distance(0.0) > ROUNDING:  # vacuum has 0
        return 0.0
    warm = 0.1
    while distance(warm) > 0:
        warm *= 2
    return float(brentq(distance, 0.0, warm, xtol=1e-7))


def output_covariance(
    p: Yu2020,
    *,
    bandwidth: Value,
    centres: tuple[Value, Value] = (1.0, -1.0),
    efficiency: Value = 1.0,
) -> Real:
    """Covariance matrix of the filtered outputs of both cavities, what the paper says to measure.

    Each cavity has one port, of energy rate 2κ_j. The filters belong to the steady state
    (`simulation.theory.output_modes`), so that every parameter may be an array.
    Narrow filters on the mechanical sidebands see far more entanglement than the cavities hold: at
    Δ₁ = −Δ₂ = ω_b, Γ = 0.01 ω_b, E_N is 1.279 of the outputs and 0.098 of the cavities.

    Parameters
    ----------
    p : Yu2020
    bandwidth : float or ndarray
        Energy rate Γ of both filters, in units of ω_b.
    centres : pair of float or ndarray
        Of the filters of cavity 1 and 2, from the drive's frequency in units of ω_b; ±1 are the
        mechanical sidebands.
    efficiency : float or ndarray
        From each cavity to its detector; what is lost is replaced by vacuum.

    Returns
    -------
    ndarray, shape (..., 4, 4)
        (x1, p1, x2, p2), vacuum ½; nan where there is no steady state.
    """
    filtered = network(p)
    for place, centre in enumerate(centres, 1):
        filtered = with_output_mode(
            filtered,
            f"a{place}",
            name=f"out{place}",
            bandwidth=bandwidth,
            detuning=centre,
            efficiency=efficiency,
        )
    return steady_state(filtered.build()).of("out1", "out2")


def drive_power(p: Yu2020, *, diameter: Value, G_0_hz: Value) -> Real:
    """Microwave power that makes the coupling `G_hz`, in W.

    From G = √2 G₀|⟨m⟩|, Eq. (3) for the Rabi frequency Ω = (√5/4) γ₀ √N B₀, N = ρ V, and a drive
    field B₀ that carries P = c B₀²/(2μ₀) · πd²/4 through the sphere's cross-section (reference 24
    of the paper). 6.44 mW for G₀/2π = 0.3 Hz and 0.58 mW for 1 Hz.

    Parameters
    ----------
    p : Yu2020
    diameter : float or ndarray
        Of the YIG sphere in m (250e-6 in the paper).
    G_0_hz : float or ndarray
        Single-magnon coupling G₀/2π in Hz.
    """
    magnons = np.asarray(p.G_hz) / (np.sqrt(2) * np.asarray(G_0_hz))
    field = np.abs(magnons * _rabi_per_amplitude(p)) / _rabi_per_field(diameter)
    return np.asarray(field**2 / (2 * mu_0) * speed_of_light * np.pi * np.square(diameter) / 4)


def coupling_from_power(p: Yu2020, *, power: Value, diameter: Value, G_0_hz: Value) -> Real:
    """Coupling G/2π in Hz that a drive of `power` W makes; the inverse of `drive_power`.

    `p.G_hz` does not matter; `p.delta_m` is the effective detuning reached.
    """
    area = np.pi * np.square(diameter) / 4
    field = np.sqrt(2 * mu_0 * np.asarray(power) / (speed_of_light * area))
    magnons = field * _rabi_per_field(diameter) / np.abs(_rabi_per_amplitude(p))
    return np.asarray(np.sqrt(2) * np.asarray(G_0_hz) * magnons)


def _rabi_per_field(diameter: Value) -> Real:
    """Ω/B₀ = (√5/4) γ₀ √N in rad/s/T."""
    spins = SPIN_DENSITY * np.pi / 6 * np.asarray(diameter) ** 3
    return np.asarray(np.sqrt(5) / 4 * GYROMAGNETIC_RATIO * np.sqrt(spins))


def _rabi_per_amplitude(p: Yu2020) -> NDArray[np.complex128]:
    """Ω/⟨m⟩ of Eq. (3) in rad/s."""
    unit = np.asarray(p.omega_b_hz)
    cavities = sum(
        (g_hz / unit) ** 2 / (1j * np.asarray(delta) + kappa_hz / unit)
        for g_hz, delta, kappa_hz in (
            (p.g_1_hz, p.delta_1, p.kappa_1_hz),
            (p.g_2_hz, p.delta_2, p.kappa_2_hz),
        )
    )
    return np.asarray(2 * np.pi * unit * (1j * p.delta_m + p.kappa_m_hz / unit + cavities))


def _microwave(name: str, delta: Value, kappa: Value, frequency_hz: Value, p: Yu2020) -> Mode:
    return Mode(
        name,
        detuning=delta,
        damping=kappa,
        convention="amplitude",
        occupation=thermal_occupation(2 * np.pi * np.asarray(frequency_hz), p.temperature),
    )


MODEL: Final = Model(
    name="yu2020",
    paper="M. Yu, H. Shen, J. Li, Phys. Rev. Lett. 124, 213604 (2020)",
    parameters=Yu2020,
    results=RESULTS,
    solve=solve,
    linear=linear,
    moments={"E_N": Moment("E_N", ("a1", "a2")), "E_mb": Moment("E_N", ("m", "b"))},
    rate_unit="omega_b",
)
