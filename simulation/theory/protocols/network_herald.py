"""DLCZ entanglement of n devices behind an interferometer, for any pattern of clicks.

The Stokes modes meet in an interferometer U, the reads in its conjugate,

    p_j = Σ_X U_jX s_X,    r_k = Σ_X U*_kX m_X,

so that a click at p_j alone leaves the excitation in the superposition Σ_X U_jX |X⟩ that the read
sends to r_j. For equal devices all n outputs are alike (the state is invariant under U), and
g²(r_k, p_j) = 1 for k ≠ j. Patterns are words with one letter per output: 1 click, 0 silent,
x not asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import make_dataclass
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
    POSITIVE_OR_INFINITE,
    Choice,
    Parameters,
    Pattern,
    Quantity,
    Range,
    Value,
)

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

DEVICES: Final = "ABCDEFGHIJKLMNOP"
"""Names of the devices; the first n take part."""

_OF_DEVICE: Final = {
    "n_0": (0.02, "", NON_NEGATIVE, "phonons before the pump"),
    "n_env": (0.02, "", NON_NEGATIVE, "bath of the decay"),
    "p_pump": (0.01, "", NON_NEGATIVE, "Stokes probability"),
    "eta_s": (0.1, "", FRACTION, "from device to herald detector"),
    "lifetime": (100e-6, "s", POSITIVE_OR_INFINITE, "energy lifetime 1/Γ"),
    "n_heat": (0.02, "", NON_NEGATIVE, "phonons added"),
    "p_read": (0.5, "", FRACTION, "swap efficiency"),
    "eta_r": (0.4, "", FRACTION, "from device to read detector"),
    "phi": (0.0, "rad", FINITE, "phase of the Stokes path"),
}
_PATTERN: Final = Pattern(
    "[01x]{2,16}", "be a word of 1 (click), 0 (silent), x (not asked), one per output"
)
_INTERFEROMETERS: Final = ("fourier", "hadamard")
_SIZES: Final = Range(2, len(DEVICES), f"be 2 to {len(DEVICES)}", whole=True)
_CLICKS: Final = 13
"""Clicks asked for at most: work and memory grow as 3 to their number, here to seconds."""


def _fields() -> list[tuple[str, Any, Any]]:
    common: list[tuple[str, Any, Any]] = [
        (
            "n",
            Annotated[
                Value,
                Quantity("", _SIZES, "devices", ""),
            ],
            3.0,
        ),
        (
            "herald",
            Annotated[
                str | None, Quantity("", _PATTERN, "clicks of the herald outputs, else of p0", "")
            ],
            None,
        ),
        (
            "reads",
            Annotated[
                str | None, Quantity("", _PATTERN, "clicks of the read outputs, else of r0", "")
            ],
            None,
        ),
        (
            "interferometer",
            Annotated[
                str, Quantity("", Choice(_INTERFEROMETERS), "U; hadamard for n = 2, 4, 8, 16", "")
            ],
            "fourier",
        ),
        (
            "delay",
            Annotated[Value, Quantity("s", NON_NEGATIVE, "from pump to read", "choice")],
            1e-6,
        ),
        ("dark", Annotated[Value, Quantity("", FRACTION, "dark click per gate", "choice")], 1e-7),
    ]
    for name, (default, unit, allowed, meaning) in _OF_DEVICE.items():
        quantity = Quantity(unit, allowed, meaning, "choice")
        common.append((name, Annotated[Value, quantity], default))
        for x in DEVICES:
            own = Quantity(unit, allowed, f"{meaning} of {x}, else `{name}`", "")
            common.append((f"{name}_{x}", Annotated[Value | None, own], None))
    return common


NetworkHerald: Final[type[Parameters]] = make_dataclass(
    "NetworkHerald",
    _fields(),
    bases=(Parameters,),
    namespace={
        "__doc__": "Parameters of n devices: common ones, and those of a device of its own."
    },
    frozen=True,
    slots=True,
    kw_only=True,
    eq=False,
)

RESULTS: Final = {
    "P_herald": Outcome("", "probability of the herald pattern"),
    "P_reads": Outcome("", "probability of the read pattern"),
    "P_joint": Outcome("", "probability of both patterns"),
    "P_reads_h": Outcome("", "probability of the read pattern given the herald"),
    "g2": Outcome("", "P_joint/(P_herald P_reads)"),
    "F_W": Outcome("", "fidelity of the mechanics with Σ_X U_jX |X⟩ of the first click j"),
    "P_vacuum": Outcome("", "probability that the mechanics is empty given the herald"),
}


def fourier(n: int) -> Complex:
    """U_jk = e^{2πi jk/n}/√n."""
    k = np.arange(n)
    return np.asarray(np.exp(2j * np.pi * np.multiply.outer(k, k) / n) / np.sqrt(n))


def hadamard(n: int) -> Complex:
    """Hadamard matrix of a power of 2, unitary.

    Raises
    ------
    ValueError
        If n is no power of 2.
    """
    if n & (n - 1):
        message = f"`n` must be a power of 2 for the hadamard interferometer, but is {n}"
        raise ValueError(message)
    u = np.ones((1, 1), np.complex128)
    while len(u) < n:
        u = np.kron(u, np.array([[1, 1], [1, -1]])) / np.sqrt(2)
    return u


def detected(p: Any, unitary: ArrayLike) -> PulsedState:
    """State of the herald outputs p0 … and read outputs r0 …, losses included.

    Parameters
    ----------
    p : NetworkHerald
    unitary : array_like of complex, shape (n, n)
        Any U; the read uses its conjugate.
    """
    u = np.asarray(unitary, np.complex128)
    n = len(u)
    state = _devices(p, n)
    for x, device in enumerate(DEVICES[:n]):
        swap = np.asarray(_of(p, "p_read", device)) * _of(p, "eta_r", device)
        state = state.lose(f"r{x}", swap)
    return state.interfere(_modes("p", n), u).interfere(_modes("r", n), u.conj())


def solve(p: Any, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Probabilities of the patterns, and the heralded W state if wanted."""
    unitary = _unitary(p)
    state = detected(p, unitary)
    heralds, reads = _asked(p, "herald", "p"), _asked(p, "reads", "r")
    _refuse_many(heralds["clicked"].split() + reads["clicked"].split())
    herald = state.probability(**heralds, dark=p.dark)
    read = state.probability(**reads, dark=p.dark)
    joint = state.probability(**{k: f"{heralds[k]} {reads[k]}" for k in heralds}, dark=p.dark)
    found: dict[str, ArrayLike] = {
        "P_herald": herald,
        "P_reads": read,
        "P_joint": joint,
        "P_reads_h": _ratio(joint, herald),
        "g2": _ratio(joint, herald * read),
    }
    if {"F_W", "P_vacuum"} & set(wanted):
        found["F_W"], found["P_vacuum"] = heralded_w(p, unitary)
    return found


def heralded_w(p: Any, unitary: ArrayLike) -> tuple[Real, Real]:
    """Fidelity of the heralded mechanics with the W state of the first click, and its vacuum.

    In the modes r_k of the read interferometer (before the read) the W state is one quantum in
    r_j and none elsewhere.
    """
    u = np.asarray(unitary, np.complex128)
    n = len(u)
    heralds = _asked(p, "herald", "p")
    state = _devices(p, n).interfere(_modes("p", n), u).interfere(_modes("r", n), u.conj())
    first = heralds["clicked"].split()[:1] or ["p0"]
    bright = f"r{first[0][1:]}"
    others = [mode for mode in _modes("r", n).split() if mode != bright]
    # empty outputs first: they cost no axis, and clicks then move one mode only
    asked = f"{heralds['silent']} {heralds['clicked']} {bright}"
    made = state.condition(silent=" ".join(others), kept=asked)
    for _ in heralds["silent"].split():
        made = made.silence(p.dark)
    for _ in heralds["clicked"].split():
        made = made.ask(p.dark)
    weight = state.probability(**heralds, dark=p.dark)
    return heralded.one_quantum(made, 0) / weight, made.silence().probability / weight


def _devices(p: Any, n: int) -> PulsedState:
    """Pumped and stored devices: p_x their Stokes light after its loss, r_x their mechanics."""
    state = PulsedState.vacuum(_modes("p", n), _modes("r", n))
    for x, device in enumerate(DEVICES[:n]):
        of = {name: _of(p, name, device) for name in _OF_DEVICE}
        state = state.heat(f"r{x}", of["n_0"]).squeeze(f"p{x}", f"r{x}", of["p_pump"])
        state = state.decay(f"r{x}", p.delay, of["lifetime"], of["n_env"])
        state = state.heat(f"r{x}", of["n_heat"])
        state = state.lose(f"p{x}", of["eta_s"]).rotate(f"p{x}", of["phi"])
    return state


def _of(p: Any, name: str, device: str) -> Value:
    own: Value | None = getattr(p, f"{name}_{device}")
    common: Value = getattr(p, name)
    return common if own is None else own


def _unitary(p: Any) -> Complex:
    return {"fourier": fourier, "hadamard": hadamard}[p.interferometer](int(p.n))


def _modes(kind: str, n: int) -> str:
    return " ".join(f"{kind}{k}" for k in range(n))


def _asked(p: Any, name: str, kind: str) -> dict[str, str]:
    """Modes that click and that stay silent."""
    word = getattr(p, name) or "1" + "x" * (int(p.n) - 1)
    if len(word) != int(p.n):
        message = (
            f"`{name}` must have one letter for each of the {int(p.n)} outputs, but is {word!r}"
        )
        raise ValueError(message)
    return {
        key: " ".join(f"{kind}{k}" for k, found in enumerate(word) if found == letter)
        for key, letter in (("clicked", "1"), ("silent", "0"))
    }


def _refuse_many(clicks: Collection[str]) -> None:
    if len(clicks) > _CLICKS:
        message = (
            f"`herald` and `reads` must ask for at most {_CLICKS} clicks together, but ask for "
            f"{len(clicks)}; ask fewer outputs (x), or for silence (0)"
        )
        raise ValueError(message)


def _ratio(joint: Real, single: Real) -> Real:
    if not np.all(single > 0):
        message = (
            "the herald and the reads must be possible for their correlation, but one never comes; "
            "pump, efficiencies or `dark` must give each pattern some clicks"
        )
        raise ValueError(message)
    return np.asarray(joint / single)


MODEL: Final = Model(
    name="network_herald",
    paper="n devices behind an interferometer, heralded by any pattern of clicks (a choice of "
    "parameters, no paper)",
    parameters=NetworkHerald,
    results=RESULTS,
    solve=solve,
)
