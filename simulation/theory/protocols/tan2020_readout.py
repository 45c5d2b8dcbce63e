"""Phonon and magnon of seed 002 read by probe cavities and homodyne detectors.

The read-out that the last page of Tan and Li proposes: a probe cavity p_b, red-detuned by ω_b, and
a probe cavity p_m, resonant with the magnon, take both states over by beam splitters
g_bp (b†p_b + h.c.) and g_mp (m†p_m + h.c.), and their outputs are homodyned. The paper gives no
numbers for it. Here the probes are always on, so that their back-action on the entangled state is
in the answer: the outputs pass Lorentzian filters around ω_b and Δ_m, whose modes belong to the
same steady state (`simulation.theory.output_modes`).

Weak probes of a mode with damping γ and n̄ quanta, κ_p ≫ γ_t = γ(1 + C), C = 4g²/(κ_p γ): the filter
of width Γ ends with ε n̄ · 4C/(1 + C)² · γ_t/(γ_t + Γ) quanta.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.baths import thermal_occupation
from simulation.theory.couplings import beam_splitter
from simulation.theory.gaussian import occupation
from simulation.theory.linear_model import LinearModel
from simulation.theory.measures import log_negativity, log_nu
from simulation.theory.models import tan2020
from simulation.theory.models.model import Model, Moment, Outcome
from simulation.theory.network import Mode, Network
from simulation.theory.output_modes import with_output_mode
from simulation.theory.quantities import FINITE, FRACTION, POSITIVE, Quantity, Value
from simulation.theory.steady_state import steady_state
from simulation.theory.steering import epr_product, reid_product

Real = NDArray[np.float64]

QUADRATURES: Final = ("x_b", "p_b", "x_m", "p_m")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tan2020Readout(tan2020.Tan2020):
    """Parameters of `tan2020`, and those of the read-out, our choice."""

    g_bp: Annotated[Value, Quantity("omega_b", FINITE, "coupling of phonon and probe", "p. 5")] = (
        0.1
    )
    g_mp: Annotated[Value, Quantity("omega_b", FINITE, "coupling of magnon and probe", "p. 5")] = (
        0.3
    )
    kappa_pb: Annotated[Value, Quantity("omega_b", POSITIVE, "energy damping of p_b", "")] = 0.2
    kappa_pm: Annotated[Value, Quantity("omega_b", POSITIVE, "energy damping of p_m", "")] = 1.0
    bandwidth: Annotated[Value, Quantity("omega_b", POSITIVE, "width of both filters", "")] = 1e-2
    efficiency: Annotated[
        Value, Quantity("", FRACTION, "from probe to homodyne detector, all of it", "")
    ] = 1.0


RESULTS: Final = {
    "E_out": Outcome("", "EPR product of both filtered outputs, Eq. (9), entangled below 1"),
    "S_m_b_out": Outcome("", "Reid product of the magnon's output given the phonon's, Eq. (10)"),
    "S_b_m_out": Outcome("", "Reid product of the phonon's output given the magnon's, Eq. (11)"),
    "E_N_out": Outcome("", "logarithmic negativity of both outputs"),
    "log_nu_out": Outcome("", "−ln 2ν̃₋ of both outputs; E_N where positive"),
    "E_bm": Outcome("", "EPR product of phonon and magnon under the probes"),
    "n_b_out": Outcome("", "quanta in the phonon's output mode"),
    "n_m_out": Outcome("", "quanta in the magnon's output mode"),
    "cov": Outcome(
        "",
        "covariance matrix of both outputs, what homodyne samples estimate, row by row",
        tuple(f"{row} {column}" for row in QUADRATURES for column in QUADRATURES),
    ),
    "stable": Outcome("", "whether a steady state exists"),
}


def network(p: Tan2020Readout) -> Network:
    """Declare `tan2020`, its probes and the filtered outputs, in units of ω_b."""
    source = tan2020.network(p)
    quanta = thermal_occupation(2 * np.pi * np.asarray(p.omega_m_hz), p.temperature)
    probed = replace(
        source,
        modes=(
            *source.modes,
            Mode("probe_b", detuning=1.0, damping=p.kappa_pb, occupation=quanta),
            Mode("probe_m", detuning=p.delta_m, damping=p.kappa_pm, occupation=quanta),
        ),
        couplings=(
            *source.couplings,
            beam_splitter("b", "probe_b", p.g_bp),
            beam_splitter("m", "probe_m", p.g_mp),
        ),
    )
    for name, centre in (("b", 1.0), ("m", p.delta_m)):
        probed = with_output_mode(
            probed,
            f"probe_{name}",
            name=f"out_{name}",
            bandwidth=p.bandwidth,
            detuning=centre,
            efficiency=p.efficiency,
            occupation=quanta,
        )
    return probed


def linear(p: Tan2020Readout) -> LinearModel:
    """Linearised network in units of ω_b."""
    return network(p).build()


def solve(p: Tan2020Readout, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Steady state and the wanted results."""
    state = steady_state(linear(p))
    light = state.of("out_b", "out_m")
    measures: dict[str, Callable[[], ArrayLike]] = {
        "E_out": lambda: epr_product(light),
        "S_m_b_out": lambda: reid_product(light, (1, 0)),
        "S_b_m_out": lambda: reid_product(light, (0, 1)),
        "E_N_out": lambda: log_negativity(light),
        "log_nu_out": lambda: log_nu(light),
        "E_bm": lambda: epr_product(state.of("b", "m")),
        "n_b_out": lambda: occupation(light)[..., 0],
        "n_m_out": lambda: occupation(light)[..., 1],
        "cov": lambda: light.reshape(*light.shape[:-2], 16),
        "stable": lambda: state.stable,
    }
    return {name: measures[name]() for name in wanted}


MODEL: Final = Model(
    name="tan2020_readout",
    paper="H. Tan, J. Li, Einstein-Podolsky-Rosen entanglement and asymmetric steering (2020), "
    "with its probe cavities and homodyne detection",
    parameters=Tan2020Readout,
    results=RESULTS,
    solve=solve,
    linear=linear,
    moments={
        "E_N_out": Moment("E_N", ("out_b", "out_m")),
        "log_nu_out": Moment("log_nu", ("out_b", "out_m")),
    },
    rate_unit="omega_b",
    network=network,
)
