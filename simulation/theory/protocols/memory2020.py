"""Mechanical quantum memory with coherent states: Wallucks et al. (2020).

The Stokes light s of a device m meets a weak coherent state w (wcs_1 photons) at a coupler of
transmissivity T, whose herald port √T w + i √(1−T) s clicks. With p = sinh² r, N_s = p (1 + n_0),
n_m = n_0 + N_s, c = √(p (1 + p)) (1 + n_0), efficiency η of both:

    Q = 1 + η(1−T)N_s,  k = ηT wcs_1,  P0 = (1−dark) e^{−k/Q}/Q,  P_h = 1 − P0
    m0 = √(η(1−T)) c √k/Q,  n0 = n_m − η(1−T)c²/Q + m0²
    |⟨m⟩| = P0 m0/P_h,  ⟨m†m⟩ = (n_m − P0 n0)/P_h

Read-out mixes the memory with a second coherent state of x² ⟨m†m⟩ quanta on a 50/50 at the best
phase: V = 2x |⟨m⟩| / (√⟨m†m⟩ (1 + x²)). Storage for τ: |⟨m⟩| → e^{−τ/2T1} f(τ) |⟨m⟩|,
⟨m†m⟩ → e^{−τ/T1} ⟨m†m⟩ + (1 − e^{−τ/T1}) n_env + n_heat, with pure dephasing f = 1 (none),
e^{−(τ/T2)²} (gaussian: slow frequency jitter) or e^{−τ/T2} (exponential: white noise).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.models.model import Model, Outcome
from simulation.theory.protocols.pulsed_light import PulsedState
from simulation.theory.quantities import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE_OR_INFINITE,
    Choice,
    Parameters,
    Quantity,
    Value,
)

Real = NDArray[np.float64]

_CLOSED_FORM: Final = ("n_0", "p_pump", "splitting", "eta_s", "dark")
_GRID: Final = 33
_ROUNDS: Final = 8
_PHASES: Final = 16
"""Phases of the click fringe; harmonics from the 8th on are below rounding for dim light."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memory2020(Parameters):
    """Parameters; the defaults are our choice near the paper's script (its Fig. S5)."""

    n_0: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons before the pump", "choice")] = 0.05
    p_pump: Annotated[Value, Quantity("", NON_NEGATIVE, "Stokes probability", "script")] = 0.002
    wcs_1: Annotated[
        Value | None,
        Quantity("", NON_NEGATIVE, "photons of the first coherent state, else N_s", "Fig. S5"),
    ] = None
    wcs_at: Annotated[
        str,
        Quantity(
            "", Choice(("device", "coupler")), "where wcs_1 counts: before or after eta_s", ""
        ),
    ] = "device"
    splitting: Annotated[
        Value, Quantity("", FRACTION, "T, the coherent state's way to the herald", "script")
    ] = 0.5
    eta_s: Annotated[
        Value, Quantity("", FRACTION, "from the device (and w) to the herald", "script: 1")
    ] = 1.0
    dark: Annotated[Value, Quantity("", FRACTION, "dark click per gate and detector", "")] = 0.0
    x: Annotated[
        Value, Quantity("", NON_NEGATIVE, "amplitude of the second coherent state", "Fig. S5c")
    ] = 1.0
    tau: Annotated[Value, Quantity("s", NON_NEGATIVE, "storage time", "")] = 0.0
    T1: Annotated[Value, Quantity("s", POSITIVE_OR_INFINITE, "energy lifetime", "abstract")] = 2e-3
    T2: Annotated[
        Value, Quantity("s", POSITIVE_OR_INFINITE, "pure dephasing time T2*", "abstract")
    ] = 112e-6
    dephasing: Annotated[
        str, Quantity("", Choice(("none", "gaussian", "exponential")), "form of f(τ)", "choice")
    ] = "none"
    n_env: Annotated[
        Value | None, Quantity("", NON_NEGATIVE, "bath of the storage, else n_0", "")
    ] = None
    n_heat: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons added before the read", "")] = 0.0
    p_read: Annotated[Value, Quantity("", FRACTION, "swap efficiency of the read", "")] = 0.03
    eta_r: Annotated[Value, Quantity("", FRACTION, "from device to read detectors", "")] = 0.05
    wcs_2: Annotated[
        Value | None,
        Quantity(
            "", NON_NEGATIVE, "second state at its coupler in clicks, else x² ⟨r†r⟩", "Fig. S5"
        ),
    ] = None
    angles: Annotated[
        str,
        Quantity("", Choice(("probability", "script")), "meaning of p: sinh² r, or r = √p", ""),
    ] = "probability"


RESULTS: Final = {
    "P_h": Outcome("", "probability of the herald"),
    "n_herald": Outcome("", "⟨m†m⟩ given the herald"),
    "m_herald": Outcome("", "|⟨m⟩| given the herald"),
    "n_stored": Outcome("", "⟨m†m⟩ after storage and heating"),
    "m_stored": Outcome("", "|⟨m⟩| after storage"),
    "V_herald": Outcome("", "visibility of the fields at once"),
    "V": Outcome("", "visibility of the fields after storage"),
    "wcs_best": Outcome("", "first coherent state of the highest visibility (x = 1, at once)"),
    "V_best": Outcome("", "visibility there"),
    "P_read": Outcome("", "click of a read detector given the herald, over phase", ("min", "max")),
    "V_clicks": Outcome("", "visibility of the read clicks"),
}


class Herald(NamedTuple):
    """What the herald leaves: its probability, |⟨m⟩| and ⟨m†m⟩."""

    probability: Real
    mean: Real
    number: Real


def herald(p: Memory2020, wcs_1: ArrayLike | None = None) -> Herald:
    """Return the heralded state in closed form, written without differences of near numbers.

    Parameters
    ----------
    p : Memory2020
    wcs_1 : array_like, optional
        Photons of the first coherent state instead of the given ones.
    """
    n_0, dark = np.asarray(p.n_0), np.asarray(p.dark)
    pump = _pump(p)
    stokes = pump * (1 + n_0)
    first = _first(p, stokes) if wcs_1 is None else np.asarray(wcs_1, np.float64)
    seen = np.asarray(p.eta_s) * (1 - np.asarray(p.splitting))
    cross = np.sqrt(pump * (1 + pump)) * (1 + n_0)
    q = 1 + seen * stokes
    k = _reaching(p) * np.asarray(p.splitting) * first
    exponent = -k / q - np.log1p(seen * stokes)
    silent = (1 - dark) * np.exp(exponent)
    click = -(1 - dark) * np.expm1(exponent) + dark
    if not np.all(click > 0):
        message = "the herald must be possible: pump, `wcs_1` or `dark` must give it some clicks"
        raise ValueError(message)
    m0 = np.sqrt(seen) * cross * np.sqrt(k) / q
    taken = seen * cross**2 / q - m0**2
    number = n_0 + stokes
    return Herald(click, silent * m0 / click, number + silent * taken / click)


def stored(p: Memory2020, made: Herald) -> Herald:
    """State after the storage time, dephased, decayed and heated."""
    exponent = -np.asarray(p.tau) / p.T1
    n_env = p.n_0 if p.n_env is None else p.n_env
    number = made.number * np.exp(exponent) - np.expm1(exponent) * np.asarray(n_env) + p.n_heat
    return Herald(made.probability, made.mean * np.exp(exponent / 2) * _dephased(p), number)


def field_visibility(state: Herald, x: ArrayLike) -> Real:
    """V = 2x |⟨m⟩|/(√⟨m†m⟩ (1 + x²)), Fig. S5; 0 for a memory without quanta."""
    ratio = np.asarray(x, np.float64)
    return np.asarray(2 * ratio * state.mean / (np.sqrt(state.number) * (1 + ratio**2)))


def best_input(p: Memory2020) -> tuple[Real, Real]:
    """Photons of the first coherent state that give the highest visibility at x = 1, and it.

    Grids of ln wcs_1 that close in on the one maximum between N_s · 10⁻⁴ and N_s · 10⁶.
    """
    stokes = np.log(np.maximum(_pump(p) * (1 + np.asarray(p.n_0)), 1e-12))
    low, high = stokes - 4 * np.log(10), stokes + 6 * np.log(10)
    shares = np.linspace(0.0, 1.0, _GRID)
    sided: dict[str, Any] = {name: _sided(getattr(p, name)) for name in _CLOSED_FORM}
    each = replace(p, **sided)
    for _ in range(_ROUNDS):
        grid = _sided(low) + _sided(high - low) * shares
        best = np.argmax(_visibility_at(each, grid), axis=-1)
        step = (high - low) / (_GRID - 1)
        place = low + best * step
        low, high = place - step, place + step
    return np.asarray(np.exp(place)), _visibility_at(p, place)


def click_fringe(p: Memory2020) -> Real:
    """P(read click | herald) at the phases of least and most, shape (..., 2).

    The memory is read (p_read, eta_r) onto a 50/50 with a second coherent state of wcs_2 photons
    at the coupler. Dephasing averages over a normal phase of ⟨e^{iφ}⟩ = f, which takes f^{n²} of
    the n-th harmonic.
    """
    dark = _sided(p.dark)
    made = fringe_state(p).condition(clicked="w", kept="r1", dark=dark)
    clicks = made.ask(dark).probability / made.probability
    return np.sort(at_both_ends(p, clicks), axis=-1)


def fringe_state(p: Memory2020) -> PulsedState:
    """State of the herald w and both read outputs r1, r2, over the phases of the second state."""
    state = PulsedState.vacuum("w s", "m r1 r2").heat("m", _sided(p.n_0))
    state = state.squeeze("s", "m", _sided(_pump(p))).lose("s", _sided(p.eta_s))
    first = _first(p, _pump(p) * (1 + np.asarray(p.n_0))) * _reaching(p)
    state = state.displace("w", _sided(np.sqrt(first))).couple("w", "s", _sided(p.splitting))
    n_env = p.n_0 if p.n_env is None else p.n_env
    state = state.decay("m", _sided(p.tau), _sided(p.T1), _sided(n_env))
    state = state.heat("m", _sided(p.n_heat)).read("m", "r1", _sided(p.p_read))
    state = state.lose("r1", _sided(p.eta_r))
    second = _sided(np.sqrt(_second(p))) * np.exp(1j * _phases())
    return state.displace("r2", second).couple("r1", "r2")


def at_both_ends(p: Memory2020, values: Real) -> Real:
    """Values over the phases of `fringe_state`, dephased, at phase 0 and π, shape (..., 2)."""
    order = np.arange(1, _PHASES // 2 + 1)
    # the highest harmonic of a grid of phases stands for both signs of itself
    weights = np.where(order == _PHASES // 2, 1.0, 2.0) * _sided(_dephased(p)) ** (order**2)
    kernel = (1 + weights @ np.cos(np.multiply.outer(order, _phases()))) / _PHASES
    ends = [np.sum(np.roll(kernel, shift, -1) * values, axis=-1) for shift in (0, _PHASES // 2)]
    return np.stack(np.broadcast_arrays(*ends), axis=-1)


def solve(p: Memory2020, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Evaluate the closed forms, and the click fringe if wanted."""
    made = herald(p)
    kept = stored(p, made)
    found: dict[str, ArrayLike] = {
        "P_h": made.probability,
        "n_herald": made.number,
        "m_herald": made.mean,
        "n_stored": kept.number,
        "m_stored": kept.mean,
        "V_herald": field_visibility(made, p.x),
        "V": field_visibility(kept, p.x),
    }
    if {"wcs_best", "V_best"} & set(wanted):
        found["wcs_best"], found["V_best"] = best_input(p)
    if {"P_read", "V_clicks"} & set(wanted):
        fringe = click_fringe(p)
        found["P_read"] = fringe
        found["V_clicks"] = (fringe[..., 1] - fringe[..., 0]) / fringe.sum(axis=-1)
    return found


def _phases() -> Real:
    return 2 * np.pi * np.arange(_PHASES) / _PHASES


def _pump(p: Memory2020) -> Real:
    """Stokes probability sinh² r, of the parameter or of the script's angle."""
    pump = np.asarray(p.p_pump, np.float64)
    return np.asarray(np.sinh(np.sqrt(pump)) ** 2 if p.angles == "script" else pump)


def _first(p: Memory2020, stokes: Real) -> Real:
    return stokes if p.wcs_1 is None else np.asarray(p.wcs_1, np.float64)


def _reaching(p: Memory2020) -> Value:
    """Share of wcs_1 that comes to the coupler."""
    return p.eta_s if p.wcs_at == "device" else 1.0


def _second(p: Memory2020) -> Real:
    """Photons of the second coherent state at its coupler."""
    if p.wcs_2 is not None:
        return np.asarray(p.wcs_2, np.float64)
    read = stored(p, herald(p)).number * p.p_read * p.eta_r
    return np.asarray(np.asarray(p.x) ** 2 * read)


def _dephased(p: Memory2020) -> Real:
    ratio = np.asarray(p.tau) / np.asarray(p.T2)
    exponent = {"none": 0.0 * ratio, "gaussian": ratio**2, "exponential": ratio}[p.dephasing]
    return np.asarray(np.exp(-exponent))


def _visibility_at(p: Memory2020, log_input: Real) -> Real:
    return field_visibility(herald(p, np.exp(log_input)), 1.0)


def _sided(value: ArrayLike) -> Real:
    """Add an axis for the phases."""
    return np.asarray(value, np.float64)[..., None]


MODEL: Final = Model(
    name="memory2020",
    paper="A. Wallucks et al., A quantum memory at telecom wavelengths (2020), arXiv:1910.07409",
    parameters=Memory2020,
    results=RESULTS,
    solve=solve,
)
