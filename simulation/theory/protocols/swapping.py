"""Entanglement swapping of four devices, parallel chains with CHSH, and the repeater's rate.

Equal devices. A link joins two devices: their Stokes light meets on a 50/50, output 1 clicks,
output 2 stays silent. Swapping reads the inner devices of two links onto a 50/50, where one output
clicks and the other stays silent; A and D at the ends then share an excitation (each other herald
pattern flips the sign of their coherence d). Every chain holds nearly half vacuum, so that two
parallel chains are compared for CHSH: Alice combines her two reads on a 50/50, Bob his, with a
phase θ on his second; heralds are clicks, other outputs not asked;

    E(θ) = [P(a1 b1) + P(a2 b2) − P(a1 b2) − P(a2 b1)]/sum,    S = 4 E(π/4).

Repeater: links of length L0 with eta_s · 10^(−α L0/20) each arm and M tries per round L0/c,

    P_M = 1 − (1 − 2 P_link)^M,   rounds = (3 − 2 P_M)/(P_M (2 − P_M)),   T = rounds L0/(c P_swap)

for two links (exact for geometric waits; 3/(2 P_M) is its small-P limit). For N links all made
first, rounds = Σ_k (−1)^(k+1) C(N, k)/(1 − (1 − P_M)^k). With a memory that keeps a link for at
most m rounds, two links start again after that,

    rounds = [1/q + (1 − b)(1 − (1 − P_M)^m)/P_M] / [1 − (1 − b)(1 − P_M)^m],

q = P_M (2 − P_M), b = P_M/(2 − P_M). Decay during the wait is not in T: `T_wait`
says how long the first link waits for the last, `wait` stores it so much longer.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import comb
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.models.model import Model, Outcome
from simulation.theory.protocols import heralded
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
from simulation.theory.threshold import Conditioned

Real = NDArray[np.float64]

LINKS: Final = Range(2, 4, "be 2, 3 or 4", whole=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Swapping(Parameters):
    """Parameters of equal devices and of the repeater; the defaults are a choice."""

    n_0: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons before the pump", "choice")] = 0.02
    n_env: Annotated[Value, Quantity("", NON_NEGATIVE, "bath of the decay", "choice")] = 0.02
    p_pump: Annotated[Value, Quantity("", NON_NEGATIVE, "Stokes probability", "choice")] = 0.01
    eta_s: Annotated[Value, Quantity("", FRACTION, "from device to herald", "choice")] = 0.1
    lifetime: Annotated[
        Value, Quantity("s", POSITIVE_OR_INFINITE, "energy lifetime 1/Γ", "choice")
    ] = 100e-6
    delay: Annotated[Value, Quantity("s", NON_NEGATIVE, "from pump to read", "choice")] = 1e-6
    wait: Annotated[
        Value, Quantity("s", NON_NEGATIVE, "further storage of the first link's devices", "")
    ] = 0.0
    n_heat: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons added", "choice")] = 0.02
    p_read: Annotated[Value, Quantity("", FRACTION, "swap efficiency", "choice")] = 0.5
    eta_r: Annotated[Value, Quantity("", FRACTION, "from device to a read click", "choice")] = 0.4
    dark: Annotated[Value, Quantity("", FRACTION, "dark click per gate, detector", "choice")] = 1e-7
    outputs: Annotated[
        str,
        Quantity(
            "", Choice(("silent", "unasked")), "the other output of each herald of a chain", ""
        ),
    ] = "silent"
    theta: Annotated[
        Value, Quantity("rad", FINITE, "phase of Bob's second read, for E_theta", "")
    ] = 0.0
    links: Annotated[Value, Quantity("", LINKS, "links of the chain", "")] = 2.0
    length_km: Annotated[Value, Quantity("km", NON_NEGATIVE, "length L0 of a link", "")] = 0.0
    db_per_km: Annotated[Value, Quantity("dB/km", NON_NEGATIVE, "loss α of the fibre", "")] = 0.2
    c_km_s: Annotated[Value, Quantity("km/s", POSITIVE, "speed of light in the fibre", "")] = 2e5
    M: Annotated[Value, Quantity("", Range(1, 1e9, "be ≥ 1"), "modes tried per round", "")] = 1.0
    memory_time: Annotated[
        Value, Quantity("s", POSITIVE_OR_INFINITE, "longest wait of a finished link", "")
    ] = np.inf


_STATE: Final = ("p00", "p10", "p01", "p11", "abs_d")
_CHSH: Final = ("E_0", "E_pi4", "E_theta", "S", "P_final", "P_heralds")

RESULTS: Final = {
    "P_link": Outcome("", "probability of one herald of a link"),
    "link": Outcome("", "populations of a link and |d|", _STATE),
    "link_C": Outcome("", "concurrence bound 2|d| − 2√(p00 p11) of a link"),
    "link_F": Outcome("", "fidelity (p10 + p01)/2 + |d| of a link"),
    "link_V": Outcome("", "visibility 2|⟨a†b⟩|/(n_A + n_B) of a link"),
    "link_R": Outcome("", "⟨n_A n_B⟩/|⟨a†b⟩|² of a link, entangled below 1"),
    "P_links": Outcome("", "probability of one herald of every link at once"),
    "P_swap": Outcome("", "probability that all swaps succeed given the links, any outcome"),
    "swapped": Outcome("", "populations of the ends A, D and |d|", _STATE),
    "C": Outcome("", "concurrence bound of the ends"),
    "F": Outcome("", "fidelity of the ends"),
    "V": Outcome("", "visibility of the ends"),
    "R": Outcome("", "⟨n_A n_D⟩/|⟨a†d⟩|² of the ends, entangled below 1"),
    "P_final": Outcome("", "read click of A, of D, of both given the swap", ("A", "D", "both")),
    "P_combined": Outcome("", "click of A and D combined on a 50/50, over phase", ("min", "max")),
    "V_final": Outcome("", "visibility of these clicks"),
    "direct": Outcome("", "two parallel links", _CHSH),
    "parallel": Outcome("", "two parallel swapped chains of two links", _CHSH),
    "P_M": Outcome("", "probability that a link succeeds in a round of M tries"),
    "rounds": Outcome("", "mean rounds until all links are there"),
    "T": Outcome("s", "mean time per swapped pair"),
    "T_wait": Outcome("s", "mean wait of the first link for the last, of those that meet"),
    "T_small": Outcome("s", "the same by the rule of 3/(2 P_M) per doubling"),
}


def chain(p: Swapping, state: PulsedState, devices: str) -> PulsedState:
    """Pump, herald optics, storage, and joined inner reads of a chain of equal devices.

    Modes s and m of each device, e.g. s1 and m1; after it, a link's herald outputs are the s of
    its two devices, a swap's the m of the two it joins; the ends' m wait before their read.
    """
    names = devices.split()
    for place, x in enumerate(names):
        storage = np.asarray(p.delay) + (p.wait if place < 2 else 0.0)
        state = state.heat(f"m{x}", p.n_0).squeeze(f"s{x}", f"m{x}", p.p_pump)
        state = state.decay(f"m{x}", storage, p.lifetime, p.n_env).heat(f"m{x}", p.n_heat)
        state = state.lose(f"s{x}", _herald_efficiency(p))
    for left, right in zip(names[::2], names[1::2], strict=True):
        state = state.couple(f"s{left}", f"s{right}")
    for left, right in zip(names[1:-1:2], names[2::2], strict=True):
        state = state.lose(f"m{left} m{right}", np.asarray(p.p_read) * p.eta_r)
        state = state.couple(f"m{left}", f"m{right}")
    return state


def empty(devices: str) -> PulsedState:
    """Modes s and m of each device in vacuum."""
    names = devices.split()
    return PulsedState.vacuum(" ".join(f"s{x}" for x in names), " ".join(f"m{x}" for x in names))


def link(p: Swapping) -> Conditioned:
    """One link, heralded by output 1; both mechanics kept before the read."""
    state = chain(p, empty("1 2"), "1 2")
    silent = "s2" if p.outputs == "silent" else ""
    return state.condition(clicked="s1", silent=silent, kept="m1 m2", dark=p.dark)


def swapped(p: Swapping, links: int, *, read: bool = False) -> Conditioned:
    """Chain of links, all swaps heralded; the ends kept, before or after their read."""
    names = [str(k) for k in range(1, 2 * links + 1)]
    ends = f"m{names[0]} m{names[-1]}"
    state = chain(p, empty(" ".join(names)), " ".join(names))
    if read:
        state = state.lose(ends, np.asarray(p.p_read) * p.eta_r)
    clicked = [f"s{x}" for x in names[::2]] + [f"m{x}" for x in names[1:-1:2]]
    silent = [f"s{x}" for x in names[1::2]] + [f"m{x}" for x in names[2:-1:2]]
    if p.outputs == "unasked":
        silent = []
    return state.condition(
        clicked=" ".join(clicked), silent=" ".join(silent), kept=ends, dark=p.dark
    )


def chsh(p: Swapping, links: int) -> dict[str, Real]:
    """Two parallel chains, read and combined by Alice and Bob; see the module.

    Returns
    -------
    dict of str to ndarray
        E_0, E_pi4, E_theta, S, P_final (any of the four coincidences, at θ = 0) and P_heralds.
    """
    count = 2 * links
    one, two = ([f"{k}{chain}" for k in range(1, count + 1)] for chain in "ab")
    each = _with_axis(p)
    state = empty(" ".join(one + two))
    for names in (one, two):
        state = chain(each, state, " ".join(names))
    ends = [f"m1{chain}" for chain in "ab"] + [f"m{count}{chain}" for chain in "ab"]
    state = state.lose(" ".join(ends), np.asarray(each.p_read) * each.eta_r)
    heralds = [f"s{x}" for names in (one, two) for x in names[::2]]
    heralds += [f"m{x}" for names in (one, two) for x in names[1:-1:2]]
    theta = np.asarray(p.theta, np.float64)
    phases = np.stack([0 * theta, 0 * theta + np.pi / 4, theta], axis=-1)
    state = state.rotate(ends[3], phases)
    state = state.couple(ends[0], ends[1]).couple(ends[2], ends[3])
    made = state.condition(clicked=" ".join(heralds), kept=" ".join(ends), dark=each.dark)
    clicks = np.stack(
        [
            made.keep(a, b).ask(each.dark).ask(each.dark).probability / made.probability
            for a in (0, 1)
            for b in (2, 3)
        ],
        axis=-1,
    )
    total = clicks.sum(axis=-1)
    fringe = (clicks @ np.array([1.0, -1.0, -1.0, 1.0])) / total
    return {
        "E_0": fringe[..., 0],
        "E_pi4": fringe[..., 1],
        "E_theta": fringe[..., 2],
        "S": 4 * fringe[..., 1],
        "P_final": total[..., 0],
        "P_heralds": made.probability[..., 0],
    }


def round_success(p: Swapping, p_link: Real) -> Real:
    """P_M = 1 − (1 − 2 P_link)^M: either herald of a link, in M tries."""
    return np.asarray(-np.expm1(np.asarray(p.M) * np.log1p(-2 * p_link)))


def waiting_rounds(success: Real, links: int, memory: ArrayLike = np.inf) -> Real:
    """Mean rounds until all links exist, each made with probability `success` per round.

    Parameters
    ----------
    success : ndarray
    links : int
    memory : array_like
        Rounds a finished link may wait; a limit is known for two links only.

    Raises
    ------
    ValueError
        If `memory` is limited for more than two links.
    """
    limit = np.asarray(memory, np.float64)
    if links == 2:
        first, both = success * (2 - success), success / (2 - success)
        lost = np.exp(limit * np.log1p(-success))
        rounds = (1 / first + (1 - both) * (1 - lost) / success) / (1 - (1 - both) * lost)
        return np.asarray(rounds)
    if np.any(np.isfinite(limit)):
        message = f"`memory_time` must be inf for more than two links, but `links` is {links}"
        raise ValueError(message)
    terms = [
        (-1) ** (k + 1) * comb(links, k) / -np.expm1(k * np.log1p(-success))
        for k in range(1, links + 1)
    ]
    return np.asarray(np.sum(terms, axis=0))


def waiting_time(success: Real, links: int, memory: ArrayLike = np.inf) -> Real:
    """Mean rounds that the first link waits for the last, of those that meet.

    Without limit E[max] − E[min]; for two links and a limit m, with G geometric,
    E[G | G ≤ m] = 1/P − m (1 − P)^m/(1 − (1 − P)^m), and 0 if both come at once.
    """
    if links != 2:
        first = -1 / np.expm1(links * np.log1p(-success))
        return np.asarray(waiting_rounds(success, links, memory) - first)
    limit = np.asarray(memory, np.float64)
    lost = np.exp(limit * np.log1p(-success))
    both = success / (2 - success)
    later = (1 - both) * (1 - lost)
    at_limit = np.where(np.isfinite(limit), limit, 0.0) * lost / (1 - lost)
    return np.asarray(later * (1 / success - at_limit) / (both + later))


def solve(p: Swapping, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Link, chain, parallel chains and repeater, as wanted."""
    links = int(p.links)
    made = link(p)
    found: dict[str, ArrayLike] = {"P_link": made.probability}
    if any(name.startswith("link") for name in wanted):
        found |= {f"link{name}": value for name, value in _described(made, "").items()}
    if {"P_links", "P_swap", "swapped", "C", "F", "V", "R", "T", "T_small"} & set(wanted):
        ends = swapped(p, links)
        both = made.probability**links
        found |= {"P_links": both, "P_swap": 2 ** (links - 1) * ends.probability / both}
        found |= _described(ends, "swapped")
    if {"P_final", "P_combined", "V_final"} & set(wanted):
        found |= _final(p, links)
    for name, count in (("direct", 1), ("parallel", 2)):
        if name in wanted:
            found[name] = np.stack(list(chsh(p, count).values()), axis=-1)
    if {"P_M", "rounds", "T", "T_wait", "T_small"} & set(wanted):
        found |= _repeater(p, links, found)
    return found


def _described(state: Conditioned, name: str) -> dict[str, ArrayLike]:
    """Describe two kept modes by populations and witnesses; `name` is "" for a link's keys."""
    few = heralded.populations(state)
    cross = np.abs(heralded.coherence(state, 0, 1))
    total = heralded.occupation(state, 0) + heralded.occupation(state, 1)
    prefix = "" if name else "_"
    with np.errstate(divide="ignore"):
        ratio = heralded.joint_number(state, 0, 1) / cross**2
    return {
        name: np.stack([few.p00, few.p10, few.p01, few.p11, np.abs(few.d)], axis=-1),
        f"{prefix}C": few.concurrence,
        f"{prefix}F": few.fidelity,
        f"{prefix}V": 2 * cross / total,
        f"{prefix}R": ratio,
    }


def _final(p: Swapping, links: int) -> dict[str, ArrayLike]:
    """Clicks of the ends' reads given the swaps: apart, and combined on a 50/50 over phase."""
    made = swapped(p, links, read=True)
    weight = made.probability
    alone = [made.keep(k).ask(p.dark).probability / weight for k in (0, 1)]
    both = made.ask(p.dark).ask(p.dark).probability / weight
    fringe = [_combined(made, phase).ask(p.dark).probability / weight for phase in (1.0, -1.0)]
    low, high = np.sort(fringe, axis=0)
    return {
        "P_final": np.stack(np.broadcast_arrays(*alone, both), axis=-1),
        "P_combined": np.stack([low, high], axis=-1),
        "V_final": (high - low) / (high + low),
    }


def _combined(state: Conditioned, sign: float) -> Conditioned:
    """One output of a 50/50 of both kept modes, at the phase where their coherence adds."""
    d = heralded.coherence(state, 0, 1)
    phase = sign * np.exp(1j * np.angle(d))
    k = state.kernel
    cross = (k[0, 1].times(phase.conj())).real
    kernel = (k[0, 0].real + k[1, 1].real).times(0.5) + cross
    return replace(state, kernel=kernel[None, None])


def _repeater(p: Swapping, links: int, found: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
    """Rate of the repeater, its links made in parallel."""
    success = round_success(p, np.asarray(found["P_link"]))
    round_time = np.asarray(p.length_km) / p.c_km_s
    with np.errstate(divide="ignore", invalid="ignore"):
        memory = np.where(round_time > 0, np.floor(np.asarray(p.memory_time) / round_time), np.inf)
    if not np.all(memory >= 1):
        message = (
            "`memory_time` must be at least one round L0/c, so that a link outlives the next try, "
            f"but the round takes {np.max(round_time):.4g} s"
        )
        raise ValueError(message)
    rounds = waiting_rounds(success, links, memory)
    result: dict[str, ArrayLike] = {
        "P_M": success,
        "rounds": rounds,
        "T_wait": waiting_time(success, links, memory) * round_time,
    }
    if "P_swap" in found:
        per_try = round_time / np.asarray(found["P_swap"])
        result["T"] = rounds * per_try
        result["T_small"] = 1.5 ** np.log2(links) / success * per_try
    return result


def _herald_efficiency(p: Swapping) -> Real:
    """Efficiency from a device to the herald in the middle of its link."""
    decibels = np.asarray(p.db_per_km) * np.asarray(p.length_km) / 2
    return np.asarray(p.eta_s * 10 ** (-decibels / 10))


def _with_axis(p: Swapping) -> Swapping:
    """Return the same parameters with an axis for the phases."""
    given = {name: getattr(p, name) for name in p.quantities()}
    arrays: dict[str, Any] = {
        name: value[..., None] for name, value in given.items() if isinstance(value, np.ndarray)
    }
    return replace(p, **arrays)


MODEL: Final = Model(
    name="swapping",
    paper="Four devices and more: heralded links, swapping, parallel chains, repeater rates "
    "(Duan, Lukin, Cirac, Zoller, Nature 414, 413 (2001))",
    parameters=Swapping,
    results=RESULTS,
    solve=solve,
)
