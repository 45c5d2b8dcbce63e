"""Teleportation of a photon's polarisation onto two devices: Fiaschi et al. (2021).

A weak coherent input (w_H, w_V) meets the Stokes light (o_H, o_V) of devices A (H) and B (V) on a
50/50 coupler per polarisation; one click in H and one in V herald the input's state on the
mechanics, up to the swap of H and V that makes "the wrong port right". Order of the steps:

1. m_X thermal n_0; w_H coherent with |α|² = wcs_ratio · p_pump · eta; half-wave plate (rotation by
   2 θ_in), quarter-wave plate exp(iφ_in (w_H†w_V + h.c.));
2. pump of both devices; interferometer visibility v: o_V gets a phase π with probability (1 − v)/2,
   a mixture of two Gaussian states, each solved exactly; loss eta;
3. phase φ_read of o_H, coupler per polarisation, herald;
4. delay (into n_env), heating, read; phase φ_read of r_H, half-wave plate θ_read; loss eta.

F = P(V | herald)/(P(H) + P(V)), mean F = (F_H + F_V + 2 F_D + 2 F_L)/6, classical bound of a weak
input 2/3. The public script takes √p_pump as squeezing and √p_read as swap angle, heats with an
amplifier of gain cosh² √n_heat, and enters efficiency and darks to first order; ``angles``,
``heating`` and ``detection`` choose between it and the exact model.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.models.model import Model, Outcome
from simulation.theory.protocols.pulsed_light import PulsedState
from simulation.theory.quantities import (
    FINITE,
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_OR_INFINITE,
    Choice,
    Parameters,
    Quantity,
    Range,
    Value,
)
from simulation.theory.silent_sets import SILENT

Real = NDArray[np.float64]

SETTINGS: Final = {
    "H": (0.0, 0.0, 0.0, 0.0),
    "V": (1.0, 0.0, 1.0, 0.0),
    "D": (0.5, 1.0, 0.5, 0.0),
    "A": (-0.5, 1.0, -0.5, 0.0),
    "L": (0.0, 1.0, 0.5, 1.0),
    "R": (0.0, -1.0, -0.5, 1.0),
}
"""(θ_in, φ_in, θ_read, φ_read) of each input in units of π/4."""

CLASSICAL: Final = 2 / 3
"""Best mean fidelity without entanglement for a weak coherent input."""

_WEIGHTS: Final = np.array([1, 1, 2, 0, 2, 0]) / 6
_HERALDS: Final = {"same": "w_H w_V", "different": "w_H o_V"}
_ABOVE_ONE: Final = Range(1.0 + 1e-12, 1e300, "be > 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Teleportation2021(Parameters):
    """Parameters; the defaults are those of the supplement, in the exact model."""

    p_pump: Annotated[Value, Quantity("", NON_NEGATIVE, "Stokes probability, sinh² r", "text")] = (
        0.012
    )
    p_read: Annotated[Value, Quantity("", FRACTION, "swap efficiency of the read", "text")] = 0.026
    n_base_A: Annotated[
        Value, Quantity("", NON_NEGATIVE, "phonons of A without a pump", "Fig. S2b")
    ] = 0.049
    n_base_B: Annotated[
        Value, Quantity("", NON_NEGATIVE, "phonons of B without a pump", "Fig. S2b")
    ] = 0.032
    n_slope_A: Annotated[
        Value, Quantity("", NON_NEGATIVE, "phonons of A per p_pump", "Fig. S2b")
    ] = 0.91
    n_slope_B: Annotated[
        Value, Quantity("", NON_NEGATIVE, "phonons of B per p_pump", "Fig. S2b")
    ] = 0.88
    n_0_A: Annotated[
        Value | None,
        Quantity("", NON_NEGATIVE, "phonons of A, else n_base + n_slope p_pump", "Fig. S2b"),
    ] = None
    n_0_B: Annotated[
        Value | None,
        Quantity("", NON_NEGATIVE, "phonons of B, else n_base + n_slope p_pump", "Fig. S2b"),
    ] = None
    g_A: Annotated[Value, Quantity("", _ABOVE_ONE, "pump-read g² of A", "Fig. 2c")] = 4.81
    g_B: Annotated[Value, Quantity("", _ABOVE_ONE, "pump-read g² of B", "Fig. 2c")] = 9.76
    n_heat_A: Annotated[
        Value | None,
        Quantity("", NON_NEGATIVE, "phonons A gains, else 1/(g − 1) − p_pump − n_0", "Fig. 2c"),
    ] = None
    n_heat_B: Annotated[
        Value | None,
        Quantity("", NON_NEGATIVE, "phonons B gains, else 1/(g − 1) − p_pump − n_0", "Fig. 2c"),
    ] = None
    n_env_A: Annotated[Value, Quantity("", NON_NEGATIVE, "bath A decays into", "script")] = 0.0
    n_env_B: Annotated[Value, Quantity("", NON_NEGATIVE, "bath B decays into", "script")] = 0.0
    wcs_ratio: Annotated[
        Value, Quantity("", NON_NEGATIVE, "input photons per Stokes photon at the coupler", "S")
    ] = 6.6
    lifetime_A: Annotated[
        Value, Quantity("s", POSITIVE_OR_INFINITE, "energy lifetime of A", "script")
    ] = 1.3e-6
    lifetime_B: Annotated[
        Value, Quantity("s", POSITIVE_OR_INFINITE, "energy lifetime of B", "script")
    ] = 1.9e-6
    delay: Annotated[Value, Quantity("s", NON_NEGATIVE, "from pump to read", "script")] = 100e-9
    eta: Annotated[
        Value, Quantity("", FRACTION, "from device to detector, 0.62 · 0.2 · 0.5", "script")
    ] = 0.062
    detector: Annotated[Value, Quantity("", FRACTION, "detector efficiency", "script")] = 0.9
    dark: Annotated[
        Value, Quantity("", FRACTION, "dark and leaked click per detector and gate", "script")
    ] = 6e-6
    visibility: Annotated[Value, Quantity("", FRACTION, "of the interferometer", "script")] = 0.99
    phi_correction: Annotated[
        Value, Quantity("rad", FINITE, "further phase of r_H; π corrects different ports", "")
    ] = 0.0
    period: Annotated[Value, Quantity("s", POSITIVE, "repetition period", "script")] = 20e-6
    duty: Annotated[Value, Quantity("", FRACTION, "share of time that measures", "script")] = 0.7
    n_sigma: Annotated[Value, Quantity("", POSITIVE, "σ above 2/3 asked for", "script")] = 2.0
    angles: Annotated[
        str,
        Quantity("", Choice(("probability", "script")), "meaning of p: sinh² r, or r = √p", ""),
    ] = "probability"
    heating: Annotated[
        str, Quantity("", Choice(("classical", "amplifier")), "noise, or cosh² √n_heat gain", "")
    ] = "classical"
    detection: Annotated[
        str,
        Quantity("", Choice(("threshold", "script")), "exact, or darks to first order", ""),
    ] = "threshold"
    ports: Annotated[
        str, Quantity("", Choice(tuple(_HERALDS)), "heralding ports of H and V", "")
    ] = "same"


RESULTS: Final = {
    "F": Outcome("", "fidelity of each input", tuple(SETTINGS)),
    "F_mean": Outcome("", "mean fidelity of the six inputs; 2/3 is classical"),
    "P_herald": Outcome("", "probability of the herald, one pair of ports", tuple(SETTINGS)),
    "P_read": Outcome("", "probability of a read click given the herald", tuple(SETTINGS)),
    "events": Outcome(
        "", "read clicks to n_sigma above 2/3, each input (inf: never)", ("H", "V", "D")
    ),
    "time": Outcome("s", "time to collect these events, all four pairs", ("H", "V", "D")),
    "fringe_visibility": Outcome("", "of the entanglement fringe, (max − min)/(max + min)"),
    "g2_max": Outcome("", "pump-read g² of clicks at the fringe's maximum"),
    "g2_min": Outcome("", "pump-read g² of clicks at the fringe's minimum"),
}


def solve(p: Teleportation2021, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Six inputs and the entanglement fringe."""
    found: dict[str, ArrayLike] = {}
    if {"F", "F_mean", "P_herald", "P_read", "events", "time"} & set(wanted):
        found |= _teleported(p)
    if {"fringe_visibility", "g2_max", "g2_min"} & set(wanted):
        high, low = np.moveaxis(_fringe(p), -1, 0)
        found |= {
            "fringe_visibility": (high - low) / (high + low),
            "g2_max": high,
            "g2_min": low,
        }
    return found


def _teleported(p: Teleportation2021) -> dict[str, ArrayLike]:
    """Fidelities; axes of the state: (..., inputs, sign of the interferometer)."""
    state = _read_out(p, _sent(p))
    weight = _signs(p)
    efficiency, dark = _last(p.detector, 1), _last(p.dark, 1)
    heralds = _HERALDS[p.ports]
    if p.detection == "threshold":
        state = state.lose("w_H w_V o_H o_V r_H r_V", _last(p.detector))
        d = _last(p.dark)
        herald = state.condition(clicked=heralds, kept="r_H r_V", dark=d)
        probability, read_h, read_v = (
            np.sum(weight * part, axis=-1)
            for part in (
                herald.probability,
                herald.keep(0).ask(d).probability,
                herald.keep(1).ask(d).probability,
            )
        )
        fidelity = read_v / (read_h + read_v)
        both, clicks = probability, (read_h + read_v) / probability
        counted = clicks
    else:
        both, probability, read_h, read_v = _first_order(p, state, weight, heralds)
        fidelity = read_v / (read_h + read_v)
        counted = efficiency * (read_h + read_v) / probability
        clicks = counted + dark
        fidelity = (fidelity * counted + dark / 2) / clicks
    events, time = _statistics(p, fidelity, both * counted)
    return {
        "F": fidelity,
        "F_mean": fidelity @ _WEIGHTS,
        "P_herald": probability,
        "P_read": clicks,
        "events": events,
        "time": time,
    }


def click_patterns(p: Teleportation2021) -> Real:
    """Probabilities of light clicks of both heralding ports, r_H and r_V, for each input.

    Dark clicks are left out; the herald is a click of both ports of `ports`.

    Parameters
    ----------
    p : Teleportation2021
        Of single numbers, with ``detection="threshold"``.

    Returns
    -------
    ndarray, shape (6, 2, 2, 2, 2)
        Inputs in the order of `SETTINGS`; index 1 for a click.
    """
    if p.detection != "threshold":
        message = "`detection` must be threshold for patterns of clicks, but is script"
        raise ValueError(message)
    state = _read_out(p, _sent(p)).lose("w_H w_V o_H o_V r_H r_V", _last(p.detector))
    asked = state.condition(clicked=f"{_HERALDS[p.ports]} r_H r_V")
    clicks = np.maximum(asked.weight.outcomes[SILENT:, SILENT:, SILENT:, SILENT:], 0.0)
    mixed = np.sum(_signs(p) * clicks, axis=-1)
    return np.moveaxis(mixed, -1, 0)


def _first_order(
    p: Teleportation2021, state: PulsedState, weight: Real, heralds: str
) -> tuple[Real, Real, Real, Real]:
    """Heralds of the script: e² P12 + e dark (P1 + P2), and what they leave in r_H and r_V."""
    efficiency, dark = _last(p.detector, 1), _last(p.dark, 1)
    first, second = heralds.split()
    parts = []
    for extra in ("", " r_H", " r_V"):
        pair, one, two = (
            np.sum(weight * state.probability(clicked=f"{clicks}{extra}"), axis=-1)
            for clicks in (heralds, first, second)
        )
        parts.append((efficiency**2 * pair, efficiency * dark * (one + two)))
    both, _ = parts[0]
    probability, read_h, read_v = (pair + single for pair, single in parts)
    return both, probability, read_h, read_v


def _statistics(p: Teleportation2021, fidelity: Real, rate: Real) -> tuple[Real, Real]:
    """Events for n_sigma above 2/3, ⌈k² F(1 − F)/(F − 2/3)²⌉, and their time at four pairs."""
    chosen = [list(SETTINGS).index(name) for name in ("H", "V", "D")]
    f, rate = fidelity[..., chosen], rate[..., chosen]
    distance = f - CLASSICAL
    with np.errstate(divide="ignore"):
        needed = np.ceil(_last(p.n_sigma, 1) ** 2 * f * (1 - f) / distance**2)
        events = np.where(distance > 0, needed, np.inf)
        seconds = events * _last(p.period, 1) / (4 * rate * _last(p.duty, 1))
    return events, np.asarray(seconds)


def _fringe(p: Teleportation2021) -> Real:
    """g² of o_H with r_H at the phases of maximum and minimum, both plates at 22.5°."""
    state = PulsedState.vacuum("o_H o_V", "m_H m_V r_H r_V")
    state = _pumped(p, state).rotate("o_H", np.array([0.0, np.pi])[:, None])
    state = state.interfere("o_H o_V", _plate(np.pi / 4)).lose("o_H o_V", _last(p.eta))
    state = _mechanics(p, state).interfere("r_H r_V", _plate(np.pi / 4))
    state = state.lose("r_H r_V", _last(p.eta))
    weight = _signs(p)
    exact = p.detection == "threshold"
    d = _last(p.dark) if exact else 0.0
    if exact:
        state = state.lose("o_H r_H", _last(p.detector))
    pump, read, both = (
        np.sum(weight * state.probability(clicked=clicks, dark=d), axis=-1)
        for clicks in ("o_H", "r_H", "o_H r_H")
    )
    if not exact:
        e, dark = _last(p.detector, 1), _last(p.dark, 1)
        pump, both = e * pump + dark, e * both + dark * read
    return np.asarray(both / (pump * read))


def _sent(p: Teleportation2021) -> PulsedState:
    """Return inputs and pumped devices after the couplers."""
    theta, phi, _, phi_read = _settings()
    state = PulsedState.vacuum("w_H w_V o_H o_V", "m_H m_V r_H r_V")
    photons = np.asarray(p.wcs_ratio) * p.p_pump * p.eta
    state = state.displace("w_H", _last(np.sqrt(photons)))
    state = state.interfere("w_H w_V", _plate(2 * theta))
    turn = 1j * np.sin(phi)
    state = state.interfere("w_H w_V", np.array([[np.cos(phi), turn], [turn, np.cos(phi)]]))
    state = _pumped(p, state).lose("o_H o_V", _last(p.eta)).rotate("o_H", -phi_read)
    return state.couple("w_H", "o_H").couple("w_V", "o_V")


def _pumped(p: Teleportation2021, state: PulsedState) -> PulsedState:
    pump = np.asarray(p.p_pump)
    squeezed = np.sinh(np.sqrt(pump)) ** 2 if p.angles == "script" else pump
    for x, n_0 in zip("HV", _initial(p), strict=True):
        state = state.heat(f"m_{x}", _last(n_0)).squeeze(f"o_{x}", f"m_{x}", _last(squeezed))
    return state.rotate("o_V", np.array([0.0, np.pi]))


def _mechanics(p: Teleportation2021, state: PulsedState) -> PulsedState:
    """Delay, heating and read of both devices."""
    read = np.asarray(p.p_read)
    swap = np.sin(np.sqrt(read)) ** 2 if p.angles == "script" else read
    devices = zip(
        "HV",
        (p.lifetime_A, p.lifetime_B),
        (p.n_env_A, p.n_env_B),
        _heat(p),
        strict=True,
    )
    for x, lifetime, n_env, n_heat in devices:
        m = f"m_{x}"
        state = state.decay(m, _last(p.delay), _last(lifetime), _last(n_env))
        if p.heating == "amplifier":
            state = state.amplify(m, _last(np.cosh(np.sqrt(n_heat)) ** 2))
        else:
            state = state.heat(m, _last(n_heat))
        state = state.read(m, f"r_{x}", _last(swap))
    return state


def _read_out(p: Teleportation2021, state: PulsedState) -> PulsedState:
    _, _, theta, phi = _settings()
    state = _mechanics(p, state).rotate("r_H", _last(p.phi_correction) - phi)
    return state.interfere("r_H r_V", _plate(2 * theta)).lose("r_H r_V", _last(p.eta))


def _initial(p: Teleportation2021) -> tuple[Real, Real]:
    pump = np.asarray(p.p_pump)
    a = p.n_base_A + p.n_slope_A * pump if p.n_0_A is None else p.n_0_A
    b = p.n_base_B + p.n_slope_B * pump if p.n_0_B is None else p.n_0_B
    return np.asarray(a), np.asarray(b)


def _heat(p: Teleportation2021) -> list[Real]:
    """Phonons gained, given or what the measured g² leaves, g = 1 + 1/(n_0 + p_pump + n_heat)."""
    heats = []
    for name, given, g, n_0 in zip(
        "AB", (p.n_heat_A, p.n_heat_B), (p.g_A, p.g_B), _initial(p), strict=True
    ):
        heat = np.asarray(1 / (np.asarray(g) - 1) - p.p_pump - n_0 if given is None else given)
        if not np.all(heat >= 0):
            message = (
                f"`g_{name}` must be at most 1 + 1/(p_pump + n_0_{name}), so that the heating is "
                f"≥ 0, but gives {np.min(heat):.4g} phonons; give `n_heat_{name}`"
            )
            raise ValueError(message)
        heats.append(heat)
    return heats


def _settings() -> list[Real]:
    """θ_in, φ_in, θ_read, φ_read in rad, each of shape (6, 1)."""
    table = np.array(list(SETTINGS.values())) * np.pi / 4
    return list(table.T[..., None])


def _plate(angle: ArrayLike) -> Real:
    """Rotation of (H, V) by `angle`: a half-wave plate at half of it."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _signs(p: Teleportation2021) -> Real:
    """Weights of both signs of o_V, shape (..., 1, 2)."""
    v = np.asarray(p.visibility)
    return np.stack([(1 + v) / 2, (1 - v) / 2], axis=-1)[..., None, :]


def _last(value: ArrayLike, axes: int = 2) -> Real:
    """Parameters with axes for inputs (or phases) and signs behind them."""
    array = np.asarray(value, np.float64)
    return array.reshape(array.shape + (1,) * axes)


MODEL: Final = Model(
    name="teleportation2021",
    paper="N. Fiaschi et al., Optomechanical quantum teleportation (2021), arXiv:2104.02080",
    parameters=Teleportation2021,
    results=RESULTS,
    solve=solve,
)
