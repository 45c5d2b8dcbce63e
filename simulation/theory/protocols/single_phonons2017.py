"""Heralded single phonons: Hong et al. (2017), Hanbury Brown–Twiss of a heralded device.

Modes m, s, r (anti-Stokes); the herald p is a click on s; r is split onto two detectors::

    g²(0|h) = P(p r1 r2) P(p) / (P(p r1) P(p r2))
    of the fields, weakly pumped: (2n² + 4nh)/(n + h)²,
        n = ⟨m†m⟩ at the read, h = (1 + p)(1 + n_0) e^{−delay/lifetime}

Two such devices heralded together show Hong–Ou–Mandel interference on the splitter:
V = 1 − C/C_dist, C = P(r1 r2 | h h'), C_dist with reads that share the detectors but do not
interfere.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.models.model import Model, Outcome
from simulation.theory.protocols.pulsed_light import PulsedState
from simulation.theory.quantities import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE_OR_INFINITE,
    Parameters,
    Quantity,
    Value,
)

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SinglePhonons2017(Parameters):
    """Parameters; the defaults are a choice near the paper, not its values."""

    n_0: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons before the pump", "choice")] = 0.01
    p_pump: Annotated[Value, Quantity("", NON_NEGATIVE, "Stokes probability", "choice")] = 0.012
    eta_s: Annotated[Value, Quantity("", FRACTION, "from device to herald", "choice")] = 0.03
    eta_r: Annotated[Value, Quantity("", FRACTION, "from device to a read click", "choice")] = 0.03
    p_read: Annotated[Value, Quantity("", FRACTION, "swap efficiency", "choice")] = 0.037
    lifetime: Annotated[
        Value, Quantity("s", POSITIVE_OR_INFINITE, "energy lifetime 1/Γ", "choice")
    ] = 100e-6
    delay: Annotated[Value, Quantity("s", NON_NEGATIVE, "from pump to read", "choice")] = 115e-9
    n_env: Annotated[Value, Quantity("", NON_NEGATIVE, "bath of the decay", "choice")] = 0.01
    n_heat: Annotated[Value, Quantity("", NON_NEGATIVE, "phonons added", "choice")] = 0.10
    splitting: Annotated[
        Value, Quantity("", FRACTION, "transmissivity to detector 1", "choice")
    ] = 0.5
    dark: Annotated[Value, Quantity("", FRACTION, "dark click per gate, detector", "choice")] = 2e-7
    leak_pump: Annotated[
        Value, Quantity("", NON_NEGATIVE, "detected thermal leak photons per pump, in its mode", "")
    ] = 0.0
    leak_read: Annotated[
        Value, Quantity("", NON_NEGATIVE, "detected thermal leak photons per read, in its mode", "")
    ] = 0.0


RESULTS: Final = {
    "P_h": Outcome("", "probability of the herald"),
    "P_read": Outcome("", "probability of a click of detector 1, 2 given the herald", ("1", "2")),
    "P_r1r2": Outcome("", "probability of both read clicks given the herald"),
    "g2": Outcome("", "heralded g²(0) of threshold clicks; 1 is coherent, 0 a single phonon"),
    "g2_fields": Outcome("", "heralded g²(0) of weakly detected fields"),
    "g2_unheralded": Outcome("", "g²(0) of the read clicks without a herald"),
    "g2_cross": Outcome("", "pump-read g² of clicks, read detectors 1, 2", ("1", "2")),
    "n_read": Outcome("", "⟨m†m⟩ before the read, without a herald"),
    "hom_C": Outcome("", "P(r1 r2) of two heralded equal devices on the splitter"),
    "hom_V": Outcome("", "Hong–Ou–Mandel visibility 1 − C/C_dist"),
}


def pattern_state(p: SinglePhonons2017) -> PulsedState:
    """State of the detected modes s (herald), r1 and r2, losses and leaks included."""
    state = _device(p, PulsedState.vacuum("s", "m r1 r2"), "s", "m", "r1")
    return state.couple("r1", "r2", p.splitting)


def solve(p: SinglePhonons2017, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Clicks of one device and, if wanted, of two that interfere."""
    state, dark = pattern_state(p), p.dark
    made = state.condition(clicked="s", kept="r1 r2", dark=dark)
    herald = made.probability
    first = made.keep(0, 1).ask(dark)
    one, two = made.keep(0).ask(dark).probability, made.keep(1).ask(dark).probability
    both = first.keep(0).ask(dark).probability
    _refuse_dark(herald, one, two)
    free = state.condition(clicked="r1", kept="r2", dark=dark)
    single = free.probability, state.probability(clicked="r2", dark=dark)
    found: dict[str, ArrayLike] = {
        "P_h": herald,
        "P_read": _pair(one / herald, two / herald),
        "P_r1r2": both / herald,
        "g2": both * herald / (one * two),
        "g2_fields": field_autocorrelation(p),
        "g2_unheralded": free.ask(dark).probability / (single[0] * single[1]),
        "g2_cross": _pair(one / (herald * single[0]), two / (herald * single[1])),
        "n_read": _mechanics(p).occupation("m"),
    }
    if {"hom_C", "hom_V"} & set(wanted):
        together, apart = hong_ou_mandel(p)
        found |= {"hom_C": together, "hom_V": 1 - together / apart}
    return found


def field_autocorrelation(p: SinglePhonons2017) -> Real:
    """(2n² + 4nh)/(n + h)² of the fields: weak herald and read, no leaks or darks."""
    n = _mechanics(p).occupation("m")
    h = (
        (1 + np.asarray(p.p_pump))
        * (1 + np.asarray(p.n_0))
        * np.exp(-np.asarray(p.delay) / p.lifetime)
    )
    return np.asarray((2 * n**2 + 4 * n * h) / (n + h) ** 2)


def hong_ou_mandel(p: SinglePhonons2017) -> tuple[Real, Real]:
    """P(r1 r2 | h h') of two equal devices, reads interfering and orthogonal."""
    empty = PulsedState.vacuum("s t", "m n r1 r2")
    state = _device(p, _device(p, empty, "s", "m", "r1"), "t", "n", "r2")
    state = state.couple("r1", "r2", p.splitting)
    heralds = state.condition(clicked="s t", kept="r1 r2", dark=p.dark)
    together = heralds.ask(p.dark).ask(p.dark).probability / heralds.probability
    first = pattern_state(p).condition(clicked="s r1 r2", dark=p.dark).weight
    alone = _device(p, PulsedState.vacuum("s", "m r1 r2"), "s", "m", "r2")
    alone = alone.couple("r1", "r2", p.splitting)
    # the same detectors: their dark clicks, in `first`, count once
    second = alone.condition(clicked="s", kept="r1 r2", dark=p.dark).ask().ask().weight
    apart = (first.after_clicks(1) * second.after_clicks(1)).all_click
    return together, np.asarray(apart / heralds.probability)


def _mechanics(p: SinglePhonons2017) -> PulsedState:
    """Device up to its read."""
    state = PulsedState.vacuum("s", "m").heat("m", p.n_0).squeeze("s", "m", p.p_pump)
    return state.decay("m", p.delay, p.lifetime, p.n_env).heat("m", p.n_heat)


def _device(p: SinglePhonons2017, state: PulsedState, s: str, m: str, r: str) -> PulsedState:
    """Pump, delay, heating and read of a device, losses and leaks included."""
    state = state.heat(m, p.n_0).squeeze(s, m, p.p_pump).lose(s, p.eta_s).heat(s, p.leak_pump)
    state = state.decay(m, p.delay, p.lifetime, p.n_env).heat(m, p.n_heat)
    return state.read(m, r, p.p_read).lose(r, p.eta_r).heat(r, p.leak_read)


def _pair(first: ArrayLike, second: ArrayLike) -> Real:
    return np.stack(np.broadcast_arrays(first, second), axis=-1)


def _refuse_dark(*probabilities: Real) -> None:
    if not all(np.all(probability > 0) for probability in probabilities):
        message = (
            "g²(0) is undefined where the herald or a read detector never clicks; pump, read, "
            "efficiencies, leaks or darks must give each some clicks"
        )
        raise ValueError(message)


MODEL: Final = Model(
    name="single_phonons2017",
    paper="S. Hong et al., Hanbury Brown and Twiss interferometry of single phonons from an "
    "optomechanical resonator (2017), arXiv:1706.03777",
    parameters=SinglePhonons2017,
    results=RESULTS,
    solve=solve,
)
