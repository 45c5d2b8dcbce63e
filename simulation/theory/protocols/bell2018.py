"""Optomechanical Bell test: Marinković et al. (2018), on the click model of seed 003.

Phases φ_b on the pump and φ_r on the read of B: θ = const + φ_b + φ_r, const = 2φ₀ + Δφ + ΔΩτ.

    E(θ) = [P(r1p1) + P(r2p2) − P(r1p2) − P(r2p1)]/sum,     θ = 0: different detectors agree
    S = |E(b1, r1) + E(b1, r2) + E(b2, r1) − E(b2, r2)|,    φ_b ∈ {0, π/2}, φ_r ∈ {−π/4, π/4}
    var S = Σ_k (1 − E_k²)/N_k;   equal split of N: N(kσ) = 4k² Σ(1 − E²)/(S − 2)²

Inclusive coincidences ask only r_i and p_j; exclusive ones want the other detector of each gate
silent. Fair sampling: coincidences only. In the weak symmetric limit S = 2√2 h/(2 + h) with
h = g² − 1, so that S > 2 needs g² > 3 + 2√2; ``S_fields`` is that limit for any devices.
"""

from collections.abc import Collection, Mapping
from dataclasses import make_dataclass, replace
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.dlcz import (
    DLCZParameters,
    click_probabilities,
    fringe_phase,
)
from simulation.theory.dlcz.witness import joint_photons
from simulation.theory.models.model import Model, Outcome
from simulation.theory.protocols import witnesses
from simulation.theory.quantities import (
    FINITE,
    NON_NEGATIVE,
    POSITIVE,
    Choice,
    Quantity,
    Value,
)

Real = NDArray[np.float64]

SETTINGS: Final = ("b1 r1", "b1 r2", "b2 r1", "b2 r2")
_SIGNS: Final = np.array([1, 1, 1, -1])
_CARDINAL: Final = {"0": 0.0, "pi/2": np.pi / 2, "pi": np.pi}

BELL: Final[dict[str, float]] = {
    "n_0_A": 0.04,
    "n_0_B": 0.03,
    "n_env_A": 0.04,
    "n_env_B": 0.03,
    "p_pump_A": 0.008,
    "p_pump_B": 0.010,
    "lifetime_A": 3.3e-6,
    "lifetime_B": 3.6e-6,
    "delay": 200e-9,
    "n_heat_A": 0.09,
    "n_heat_B": 0.07,
    "p_read_A": 0.03,
    "p_read_B": 0.041,
    "eta_A": 0.05,
    "eta_B": 0.04,
    "eta_1": 0.7,
    "eta_2": 0.7,
    "splitting": 0.5,
    "leak_pump_1": 0.0,
    "leak_pump_2": 0.0,
    "leak_read_1": 0.0,
    "leak_read_2": 0.0,
    "dark_1": 5e-7,
    "dark_2": 5e-7,
    "delta_phi": 0.0,
    "delta_omega_hz": 0.0,
    "phi_0": 0.0,
}
"""Our choice of parameters for a violation; not the paper's."""


def _own_fields() -> list[tuple[str, Any, Any]]:
    choice = "choice"
    fields: list[tuple[str, Any, Any]] = [
        (name, Annotated[Value, Quantity("rad", FINITE, meaning, "choice: CHSH")], default)
        for name, meaning, default in (
            ("phi_b_1", "first phase of B's pump", 0.0),
            ("phi_b_2", "second phase of B's pump", np.pi / 2),
            ("phi_r_1", "first phase of B's read", -np.pi / 4),
            ("phi_r_2", "second phase of B's read", np.pi / 4),
        )
    ]
    for name, meaning, default in (
        ("z_A", "phonons of A per p_read beyond p_pump", 0.91),
        ("z_B", "phonons of B per p_read beyond p_pump", 0.88),
        ("zd_A", "phonons of A per p_pump", 3.4),
        ("zd_B", "phonons of B per p_pump", 4.1),
    ):
        source = "Fiaschi et al. 2021"
        fields.append((name, Annotated[Value, Quantity("", FINITE, meaning, source)], default))
    return [
        *fields,
        (
            "scale",
            Annotated[Value, Quantity("", NON_NEGATIVE, "read power; p_read × scale", choice)],
            1.0,
        ),
        (
            "heating",
            Annotated[
                str,
                Quantity(
                    "",
                    Choice(("given", "power")),
                    "n_heat as given, or zd p_pump + z (p_read − p_pump)",
                    choice,
                ),
            ],
            "given",
        ),
        ("theta", Annotated[Value, Quantity("rad", FINITE, "phase of E_theta", "")], 0.0),
        ("n_sigma", Annotated[Value, Quantity("", POSITIVE, "σ asked for", "")], 3.0),
        ("period", Annotated[Value, Quantity("s", POSITIVE, "repetition period", "choice")], 50e-6),
    ]


Bell2018: Final[type[DLCZParameters]] = make_dataclass(
    "Bell2018",
    [
        *(
            (name, Annotated[Value, item], BELL.get(name, DLCZParameters.defaults()[name]))
            for name, item in (
                (name, item._replace(source="choice"))
                for name, item in DLCZParameters.quantities().items()
            )
        ),
        *_own_fields(),
    ],
    bases=(DLCZParameters,),
    namespace={"__doc__": "`DLCZParameters` with the settings of a Bell test; see `BELL`."},
    frozen=True,
    slots=True,
    kw_only=True,
    eq=False,
)

RESULTS: Final = {
    "S": Outcome("", "CHSH of inclusive coincidences; local models have S ≤ 2"),
    "S_exclusive": Outcome("", "CHSH of exclusive coincidences"),
    "S_fields": Outcome("", "CHSH of weakly detected fields"),
    "E": Outcome("", "correlation at each setting", SETTINGS),
    "E_cardinal": Outcome("", "correlation at θ", tuple(_CARDINAL)),
    "E_theta": Outcome("", "correlation at const + theta"),
    "coincidences": Outcome("", "P(r_i p_j) at θ = 0", ("r1p1", "r1p2", "r2p1", "r2p2")),
    "P_coinc": Outcome("", "probability of a coincidence, mean of the settings"),
    "events": Outcome("", "coincidences to violate by n_sigma (inf: no violation)"),
    "time": Outcome("s", "time to collect these"),
    "herald_1": Outcome("", "devices given a click of detector 1", witnesses.HERALDED),
    "herald_2": Outcome("", "devices given a click of detector 2", witnesses.HERALDED),
    "pair_A": Outcome("", "unheralded pair of A", witnesses.PAIR),
    "pair_B": Outcome("", "unheralded pair of B", witnesses.PAIR),
    "pair_A_detected": Outcome("", "the same after eta and p_read eta", witnesses.PAIR),
    "pair_B_detected": Outcome("", "the same after eta and p_read eta", witnesses.PAIR),
    "light_1": Outcome("", "read light at the combiner given detector 1", witnesses.HERALDED),
}


def correlation(coincidences: Real) -> Real:
    """E = [P(r1p1) + P(r2p2) − P(r1p2) − P(r2p1)]/sum of an array (..., 2, 2)."""
    same = coincidences[..., 0, 0] + coincidences[..., 1, 1]
    different = coincidences[..., 0, 1] + coincidences[..., 1, 0]
    if not np.all(same + different > 0):
        message = "E is undefined where no coincidence ever comes; raise pump, read or efficiencies"
        raise ValueError(message)
    return np.asarray((same - different) / (same + different))


def with_heating(p: Any) -> Any:
    """Return the parameters at the scaled read power, heated as `heating` says; scale is then 1."""
    changes: dict[str, Any] = {"scale": 1.0, "heating": "given"}
    for x in "AB":
        read, pump = getattr(p, f"p_read_{x}") * p.scale, getattr(p, f"p_pump_{x}")
        changes[f"p_read_{x}"] = read
        if p.heating == "power":
            own, first = getattr(p, f"z_{x}"), getattr(p, f"zd_{x}")
            changes[f"n_heat_{x}"] = first * pump + own * (read - pump)
    return replace(p, **changes)


def at_settings(p: Any) -> Any:
    """Return the parameters with the four settings on a last axis, in the order of `SETTINGS`."""
    phases = [
        np.asarray(getattr(p, f"phi_b_{b}")) + getattr(p, f"phi_r_{r}")
        for b in (1, 2)
        for r in (1, 2)
    ]
    return _turned(p, np.stack(np.broadcast_arrays(*phases), axis=-1))


def solve(p: Any, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Correlations at all settings, and witnesses if wanted."""
    p = with_heating(p)
    found: dict[str, ArrayLike] = {}
    if {"S", "S_exclusive", "E", "P_coinc", "events", "time"} & set(wanted):
        found |= _violation(p)
    if "S_fields" in wanted:
        found["S_fields"] = np.abs(correlation(joint_photons(at_settings(p))[0]) @ _SIGNS)
    if {"E_cardinal", "coincidences"} & set(wanted):
        theta = np.array(list(_CARDINAL.values())) - fringe_phase(p)[..., None]
        clicks = click_probabilities(_turned(p, theta)).coincidences
        found["E_cardinal"] = correlation(clicks)
        found["coincidences"] = clicks[..., 0, :, :].reshape(*clicks.shape[:-3], 4)
    if "E_theta" in wanted:
        turned = replace(p, delta_phi=np.asarray(p.delta_phi) + p.theta)
        found["E_theta"] = correlation(click_probabilities(turned).coincidences)
    return found | _entanglement(p, wanted)


def _violation(p: Any) -> dict[str, ArrayLike]:
    clicks = click_probabilities(at_settings(p))
    each = correlation(clicks.coincidences)
    s = np.abs(each @ _SIGNS)
    probability = clicks.coincidences.sum(axis=(-1, -2)).mean(axis=-1)
    variance = (1 - each**2).sum(axis=-1)
    with np.errstate(divide="ignore"):
        needed = 4 * np.asarray(p.n_sigma) ** 2 * variance / (s - 2) ** 2
    events = np.where(s > 2, needed, np.inf)
    return {
        "S": s,
        "S_exclusive": np.abs(correlation(_exclusive(clicks.patterns)) @ _SIGNS),
        "E": each,
        "P_coinc": probability,
        "events": events,
        "time": events * p.period / probability,
    }


def _entanglement(p: Any, wanted: Collection[str]) -> dict[str, ArrayLike]:
    found: dict[str, ArrayLike] = {}
    for j in (1, 2):
        if f"herald_{j}" in wanted:
            made = witnesses.heralded_devices(p, j)
            found[f"herald_{j}"] = witnesses.heralded_witnesses(made)
    lost = p.per_device("p_read") * p.per_device("eta")
    if "light_1" in wanted:
        light = witnesses.heralded_devices(p, 1, transmissivity=lost)
        found["light_1"] = witnesses.heralded_witnesses(light)
    if any(name.startswith("pair") for name in wanted):
        n_s, n_m, cross = witnesses.pair_moments(p)
        eta = p.per_device("eta")
        device = witnesses.pair_witnesses(n_s, n_m, cross)
        seen = witnesses.pair_witnesses(n_s * eta, n_m * lost, cross * np.sqrt(eta * lost))
        for place, x in enumerate("AB"):
            found[f"pair_{x}"] = device[..., place, :]
            found[f"pair_{x}_detected"] = seen[..., place, :]
    return found


def _turned(p: Any, phases: Real) -> DLCZParameters:
    """Parameters with phases on a last axis, added to Δφ."""
    spread = {
        name: value[..., None]
        for name in p.quantities()
        if isinstance(value := getattr(p, name), np.ndarray)
    }
    turned: DLCZParameters = replace(p, **spread)
    return replace(turned, delta_phi=np.asarray(turned.delta_phi) + phases)


def _exclusive(patterns: Real) -> Real:
    """[i, j]: r_{i+1} and p_{j+1} click, the others do not; axes p1, p2, r1, r2 of `patterns`."""
    picked = [patterns[..., 1 - j, j, 1 - i, i] for i in (0, 1) for j in (0, 1)]
    return np.stack(picked, axis=-1).reshape(*picked[0].shape, 2, 2)


MODEL: Final = Model(
    name="bell2018",
    paper="I. Marinković et al., An optomechanical Bell test (2018), arXiv:1806.10615",
    parameters=Bell2018,
    results=RESULTS,
    solve=solve,
)
