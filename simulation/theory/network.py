"""Networks of modes, couplings, baths and one-way links, and the linear model they make.

A network is declared, not derived by hand: modes with detuning and damping, couplings (polynomials
of `simulation.theory.couplings`), ports, and links that feed the output of one port into another.
Each port of energy rate κ obeys

    da/dt = … − (κ/2) a − √κ a_in,    a_out = a_in + √κ a,

and a link of efficiency η and phase φ makes the target's a_in = √η e^{iφ} a_out + √(1−η) a_loss.
With a_out = √κ a − a_in and +√κ a_in (seed 000) the same link has the phase φ + π. Links are
instantaneous; a two-way connection is two links between two ports per mode, which is what a
bidirectional waveguide is (SLH).

Rates share one unit, the caller's choice (rad/s or the mechanical frequency). Every number may be
an array; arrays broadcast over a batch.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.baths import CONVENTIONS, energy_rate, finite, non_negative
from simulation.theory.couplings import Coupling, Rates, detuning, linearise
from simulation.theory.declarations import (
    BareDrift,
    Bath,
    Drive,
    Gain,
    Link,
    Mode,
    Port,
    SharedBath,
    bidirectional,
)
from simulation.theory.gaussian import fraction
from simulation.theory.linear_model import BathNoise, LinearModel, refuse_illegal_noise
from simulation.theory.ports import Inputs, PortRate, propagate

Complex = NDArray[np.complex128]

__all__ = [
    "BareDrift",
    "Drive",
    "Gain",
    "Link",
    "Mode",
    "Network",
    "Port",
    "SharedBath",
    "bidirectional",
    "known",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A declaration of modes and all that connects them.

    Attributes
    ----------
    modes : sequence of Mode
        Their order is the order of the quadratures (x1, p1, x2, p2, …).
    couplings : sequence of Coupling
    ports : sequence of Port
        Further ports.
    links : sequence of Link
    drives : sequence of Drive
    bare_drift : sequence of BareDrift
    gains : sequence of Gain
    shared_baths : sequence of SharedBath

    Raises
    ------
    ValueError
        If a rate, occupation or efficiency is outside its range, or a bath has a wrong state.
    KeyError
        If a name is not declared; the nearest are offered.
    """

    modes: Sequence[Mode]
    couplings: Sequence[Coupling] = ()
    ports: Sequence[Port] = ()
    links: Sequence[Link] = ()
    drives: Sequence[Drive] = ()
    bare_drift: Sequence[BareDrift] = ()
    gains: Sequence[Gain] = ()
    shared_baths: Sequence[SharedBath] = ()

    def __post_init__(self) -> None:
        _unique("modes", self.labels)
        _unique("ports", [port.name for port in self.all_ports])
        for mode in self.modes:
            _check_damping(mode)
            finite(f"detuning of {mode.name}", mode.detuning)
        for port in self.ports:
            _check_damping(port)
        self._check_names()

    def _check_names(self) -> None:
        for coupling in self.couplings:
            for name in coupling.modes:
                known("mode", name, self.labels)
        for port in self.ports:
            known("mode", port.mode, self.labels)
        for link in self.links:
            _check_link(link, [port.name for port in self.all_ports])
        for drive in self.drives:
            known("port", drive.port, [port.name for port in self.all_ports])
            finite(f"amplitude at {drive.port}", drive.amplitude)
        for term in self.bare_drift:
            known("mode", term.target, self.labels)
            known("mode", term.source, self.labels)
            finite(f"rate of {term.source} → {term.target}", term.rate)
        self._check_baths()

    def _check_baths(self) -> None:
        for gain in self.gains:
            known("mode", gain.mode, self.labels)
            non_negative(gain.name, gain.rate)
            non_negative(f"occupation of the {gain.name}", gain.occupation)
        for bath in self.shared_baths:
            _check_shared(bath, [port.name for port in self.all_ports])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the modes, in order."""
        return tuple(mode.name for mode in self.modes)

    @property
    def all_ports(self) -> tuple[Port, ...]:
        """Main ports of damped modes, then the further ports; Brownian damping is no port.

        An undamped mode has a port, of rate 0, if a link or drive names it.
        """
        named = {name for link in self.links for name in (link.source, link.target)}
        named |= {drive.port for drive in self.drives}
        named |= {name for bath in self.shared_baths for name in (bath.first, bath.second)}
        main = (
            Port(
                mode.name,
                mode=mode.name,
                damping=mode.damping,
                convention=mode.convention,
                occupation=mode.quanta,
                squeezing=mode.squeezing,
                angle=mode.angle,
            )
            for mode in self.modes
            if mode.convention != "brownian" and (np.any(mode.damping) or mode.name in named)
        )
        return (*main, *self.ports)

    @property
    def hamiltonian(self) -> tuple[Coupling, ...]:
        """Detunings and couplings."""
        return (*(detuning(mode.name, mode.detuning) for mode in self.modes), *self.couplings)

    @property
    def inputs(self) -> Inputs:
        """What enters each port: amplitudes of modes, baths and drives."""
        rates = [
            PortRate(
                name=port.name, mode=port.mode, rate=energy_rate(port.damping, port.convention)
            )
            for port in self.all_ports
        ]
        return propagate(rates, self.links, self.drives, self.shared_baths)

    @property
    def baths(self) -> dict[str, Bath]:
        """State of every white bath, by name; Brownian ones are not among them."""
        found = {
            port.name: Bath.of(port.occupation, port.squeezing, port.angle)
            for port in self.all_ports
        }
        found |= {f"{link.source} → {link.target}": Bath.of(link.occupation) for link in self.links}
        found |= {gain.name: Bath.of(gain.occupation) for gain in self.gains}
        for shared in self.shared_baths:
            n, c = np.asarray(shared.occupation), np.asarray(shared.coherence)
            r = np.asarray(shared.squeezing)
            plus, minus = shared.halves
            found |= {plus: Bath.of(n + c, r), minus: Bath.of(n - c, -r)}
        return found

    def damping_rates(self, inputs: Inputs | None = None) -> tuple[Rates, Rates]:
        """Return u and v (see `couplings`) of damping, links and bare drift.

        Parameters
        ----------
        inputs : Inputs, optional
            Those of this network, if they are known already.
        """
        u: Rates = defaultdict(list)
        v: Rates = defaultdict(list)
        inputs = inputs or self.inputs
        for port, rate in inputs.rates.items():
            u[port.mode, port.mode].append(np.asarray(-0.5 * port.rate, np.complex128))
            for source, amplitude in rate.modes.items():
                u[port.mode, source].append(-np.sqrt(port.rate) * amplitude)
        for mode in self.modes:
            if mode.convention == "brownian":
                half = 0.5 * np.asarray(mode.damping, np.complex128)
                u[mode.name, mode.name].append(-half)
                v[mode.name, mode.name].append(half)
        for term in self.bare_drift:
            u[term.target, term.source].append(np.asarray(term.rate, np.complex128))
        for gain in self.gains:
            u[gain.mode, gain.mode].append(0.5 * np.asarray(gain.rate, np.complex128))
        return u, v

    def build(
        self, mean: Mapping[str, ArrayLike] | None = None, *, check_noise: bool = True
    ) -> LinearModel:
        """Linearise about the means: dξ/dt = A ξ + noise of diffusion D, for all batch points.

        Parameters
        ----------
        mean : mapping of str to array_like of complex, optional
            ⟨o⟩ of the modes whose mean matters, needed if a coupling is nonlinear. A mode left
            out counts as 0: its static shift of the others' detunings is then taken to be in the
            detunings declared ("effective detuning").
        check_noise : bool
            Refuse D + iK/2 < 0. Ports, links and Brownian damping are legal by construction, so
            that only `bare_drift` costs a test.

        Returns
        -------
        LinearModel

        Raises
        ------
        ValueError
            If the noise breaks the commutators, or a nonlinear coupling lacks its means.
        """
        if mean is None and not all(coupling.is_linear for coupling in self.couplings):
            message = "`mean` must be given (see `branches.branches`) for a nonlinear coupling"
            raise ValueError(message)
        amplitudes = {
            known("mode", name, self.labels): np.asarray(value, np.complex128)
            for name, value in (mean or {}).items()
        }
        u, v = linearise(self.hamiltonian, amplitudes)
        inputs = self.inputs
        for rates, more in zip((u, v), self.damping_rates(inputs), strict=True):
            for pair, addends in more.items():
                rates[pair].extend(addends)
        model = LinearModel.from_ladder(self.labels, u, v, self._baths(inputs))
        if check_noise and self.bare_drift:
            refuse_illegal_noise(model)
        return model

    def _baths(self, inputs: Inputs) -> list[BathNoise]:
        numbers = {name: place for place, name in enumerate(self.labels)}
        amplitudes: dict[str, dict[int, Complex]] = {}
        for port, rate in inputs.rates.items():
            for bath, amplitude in rate.baths.items():
                weights = amplitudes.setdefault(bath, {})
                number = numbers[port.mode]
                weights[number] = weights.get(number, 0) - np.sqrt(port.rate) * amplitude
        for gain in self.gains:
            amplitudes[gain.name] = {numbers[gain.mode]: np.sqrt(gain.rate).astype(np.complex128)}
        baths = self.baths
        passive = [
            BathNoise.passive(name, baths[name], weights) for name, weights in amplitudes.items()
        ]
        brownian = [
            BathNoise.brownian(mode.name, mode.quanta, numbers[mode.name], mode.damping)
            for mode in self.modes
            if mode.convention == "brownian"
        ]
        return [*passive, *brownian]


def known(kind: str, name: str, names: Sequence[str]) -> str:
    """Return `name` if it is one of `names`, else raise KeyError offering the nearest."""
    if name not in names:
        near = get_close_matches(name, names, n=3, cutoff=0.4) or list(names)
        message = f"no {kind} {name!r}; nearest: {', '.join(near)}"
        raise KeyError(message)
    return name


def _unique(kind: str, names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        message = f"`{kind}` must have distinct names, but are {', '.join(names)}"
        raise ValueError(message)


def _check_damping(item: Mode | Port) -> None:
    non_negative(f"damping of {item.name}", item.damping)
    quanta = item.quanta if isinstance(item, Mode) else item.occupation
    non_negative(f"occupation of {item.name}", quanta)
    known("damping convention", item.convention, CONVENTIONS)
    finite(f"squeezing of {item.name}", item.squeezing)
    finite(f"angle of {item.name}", item.angle)
    if item.convention == "brownian" and np.any(item.squeezing):
        message = f"`squeezing` of {item.name} must be 0: Brownian damping is no port"
        raise ValueError(message)
    if isinstance(item, Port) and item.convention == "brownian":
        message = f"`convention` of port {item.name} must be energy or amplitude, but is brownian"
        raise ValueError(message)


def _check_shared(bath: SharedBath, ports: Sequence[str]) -> None:
    where = f"the bath that {bath.first} and {bath.second} share"
    for name in (bath.first, bath.second):
        known("port", name, ports)
    quanta = non_negative(f"occupation of {where}", bath.occupation)
    for name in ("coherence", "squeezing", "phase"):
        finite(f"{name} of {where}", getattr(bath, name))
    if np.any(np.abs(np.asarray(bath.coherence)) > quanta):
        message = f"|coherence| of {where} must be at most its occupation"
        raise ValueError(message)
    if np.any(bath.coherence) and np.any(bath.squeezing):
        message = f"{where} must have a coherence or be squeezed, but has both"
        raise ValueError(message)


def _check_link(link: Link, ports: Sequence[str]) -> None:
    known("port", link.source, ports)
    known("port", link.target, ports)
    fraction(f"efficiency of {link.source} → {link.target}", link.efficiency)
    finite(f"phase of {link.source} → {link.target}", link.phase)
    non_negative(f"occupation of {link.source} → {link.target}", link.occupation)
