"""Input–output theory: what enters each port of a network of one-way links."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import mul
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.theory.baths import unit_phase
from simulation.theory.declarations import Drive, Link, SharedBath

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Weights = dict[str, Complex]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRate:
    """A port, the mode behind it and its energy rate κ; equal by identity."""

    name: str
    mode: str
    rate: Real = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """A travelling amplitude Σ c_j a_j + Σ d_l w_l + coherent, by mode j and bath l."""

    modes: Weights
    baths: Weights
    coherent: Complex

    def scaled(self, factor: Complex) -> "Field":
        """Multiply by a number."""
        return Field(
            modes={name: factor * weight for name, weight in self.modes.items()},
            baths={name: factor * weight for name, weight in self.baths.items()},
            coherent=np.asarray(factor * self.coherent),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inputs:
    """The field that enters each port."""

    rates: dict[PortRate, Field]


def propagate(
    ports: Sequence[PortRate],
    links: Sequence[Link],
    drives: Sequence[Drive],
    shared: Sequence[SharedBath] = (),
) -> Inputs:
    """Follow the light through all links: a_in of every port.

    Links may form a ring, through which light returns without delay: with t the product of
    √η e^{iφ} around it, a_in of each of its ports is that of the opened ring over 1 − t.

    Raises
    ------
    ValueError
        If two links enter or leave one port, a shared bath enters a port that a link enters, or
        a ring returns light without loss and phase (t = 1).
    """
    entering = {link.target: link for link in links}
    if len(entering) != len(links) or len({link.source for link in links}) != len(links):
        message = "each port must have at most one link in and one out; add a `Port` per link"
        raise ValueError(message)
    walk = _Walk(
        ports={port.name: port for port in ports},
        entering=entering,
        drives=drives,
        sources=_sources(shared, entering),
    )
    for port in ports:
        walk.follow(port.name)
    return Inputs(rates={port: walk.found[port.name] for port in ports})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Walk:
    """The way of the light, port by port."""

    ports: dict[str, PortRate]
    entering: dict[str, Link]
    drives: Sequence[Drive]
    sources: dict[str, Weights]
    found: dict[str, Field] = field(default_factory=dict)

    def follow(self, name: str) -> None:
        """Find what enters a port and all ports upstream of it."""
        chain = [name]
        while chain[-1] in self.entering and chain[-1] not in self.found:
            source = self.entering[chain[-1]].source
            if source in chain:
                self._close(chain[chain.index(source) :])
                break
            chain.append(source)
        for port in reversed(chain):
            if port not in self.found:
                self.found[port] = self._input(port)

    def _close(self, ring: Sequence[str]) -> None:
        """Find what enters the first port of a ring, named against the light's way."""
        first = ring[0]
        self.found[first] = _DARK
        for port in reversed(ring[1:]):
            self.found[port] = self._input(port)
        opened = self._input(first)
        for port in ring[1:]:
            del self.found[port]
        returned = reduce(mul, (_amplitude(self.entering[port]) for port in ring))
        if np.any(returned == 1):
            message = (
                f"the ring {' ← '.join([*ring, first])} must lose or turn the light that goes "
                "around, but returns it as it is; give a link an efficiency or a phase"
            )
            raise ValueError(message)
        self.found[first] = opened.scaled(np.asarray(1 / (1 - returned)))

    def _input(self, name: str) -> Field:
        port, link = self.ports[name], self.entering.get(name)
        if link is None:
            baths = dict(self.sources.get(name, {name: np.ones((), np.complex128)}))
            arriving = Field(modes={}, baths=baths, coherent=_DARK.coherent)
        else:
            source = self.ports[link.source]
            arriving = _through(link, _output(source, self.found[link.source]))
        return _driven(port, arriving, self.drives)


_DARK: Final = Field(modes={}, baths={}, coherent=np.zeros((), np.complex128))


def _sources(shared: Sequence[SharedBath], entering: dict[str, Link]) -> dict[str, Weights]:
    """Baths by port where they are not the port's own."""
    found: dict[str, Weights] = {}
    half = np.asarray(np.sqrt(0.5), np.complex128)
    for bath in shared:
        for name in (bath.first, bath.second):
            if name in entering or name in found or bath.first == bath.second:
                message = (
                    f"a shared bath must enter two ports that no link and no other shared bath "
                    f"enters, but {name} is none"
                )
                raise ValueError(message)
        plus, minus = bath.halves
        turned = np.asarray(half * unit_phase(bath.phase))
        found[bath.first] = {plus: half, minus: half}
        found[bath.second] = {plus: turned, minus: -turned}
    return found


def _output(port: PortRate, entering: Field) -> Field:
    """a_out = a_in + √κ a."""
    modes = dict(entering.modes)
    modes[port.mode] = np.asarray(modes.get(port.mode, 0) + np.sqrt(port.rate))
    return Field(modes=modes, baths=entering.baths, coherent=entering.coherent)


def _through(link: Link, light: Field) -> Field:
    arrived = light.scaled(_amplitude(link))
    lost = np.sqrt(1 - np.asarray(link.efficiency, np.float64))
    if np.any(lost):
        name = f"{link.source} → {link.target}"
        arrived.baths[name] = np.asarray(arrived.baths.get(name, 0) + lost, np.complex128)
    return arrived


def _amplitude(link: Link) -> Complex:
    return np.asarray(np.sqrt(np.asarray(link.efficiency, np.float64)) * unit_phase(link.phase))


def _driven(port: PortRate, arriving: Field, drives: Sequence[Drive]) -> Field:
    """Add the coherent input −ε/√κ of a drive that adds ε to the mode's equation."""
    coherent = arriving.coherent
    for drive in drives:
        if drive.port == port.name:
            if not np.all(port.rate > 0):
                message = f"`damping` of the driven port {port.name} must be > 0, but is 0"
                raise ValueError(message)
            coherent = coherent - np.asarray(drive.amplitude) / np.sqrt(port.rate)
    return Field(modes=arriving.modes, baths=arriving.baths, coherent=np.asarray(coherent))
