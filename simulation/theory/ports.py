"""Input–output theory: what enters each port of a network of one-way links."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.declarations import Drive, Link

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


def propagate(ports: Sequence[PortRate], links: Sequence[Link], drives: Sequence[Drive]) -> Inputs:
    """Follow the light through all links: a_in of every port.

    Raises
    ------
    ValueError
        If two links enter or leave one port, or links form a loop.
    """
    entering = {link.target: link for link in links}
    if len(entering) != len(links) or len({link.source for link in links}) != len(links):
        message = "each port must have at most one link in and one out; add a `Port` per link"
        raise ValueError(message)
    by_name = {port.name: port for port in ports}
    found: dict[PortRate, Field] = {}
    for port in ports:
        chain = _upstream(port.name, entering)
        for name in reversed(chain):
            if by_name[name] not in found:
                found[by_name[name]] = _input(by_name[name], entering, by_name, found, drives)
    return Inputs(rates=found)


def unit_phase(phase: ArrayLike) -> Complex:
    """Return e^{iφ} with parts below rounding exactly 0, so that φ = π makes it real."""
    value = np.exp(1j * np.asarray(phase, np.float64))
    return np.asarray(_snap(value.real) + 1j * _snap(value.imag))


def _snap(part: Real) -> Real:
    return np.where(np.abs(part) < 4 * np.finfo(np.float64).eps, 0.0, part)


def _upstream(name: str, entering: dict[str, Link]) -> list[str]:
    """Return the port and those upstream of it, nearest first."""
    chain = [name]
    while chain[-1] in entering:
        source = entering[chain[-1]].source
        if source in chain:
            message = f"links must not form a loop, but {' ← '.join([*chain, source])} is one"
            raise ValueError(message)
        chain.append(source)
    return chain


def _input(
    port: PortRate,
    entering: dict[str, Link],
    by_name: dict[str, PortRate],
    found: dict[PortRate, Field],
    drives: Sequence[Drive],
) -> Field:
    link = entering.get(port.name)
    if link is None:
        arriving = Field(
            modes={},
            baths={port.name: np.ones((), np.complex128)},
            coherent=np.zeros((), np.complex128),
        )
    else:
        source = by_name[link.source]
        arriving = _through(link, _output(source, found[source]))
    return _driven(port, arriving, drives)


def _output(port: PortRate, entering: Field) -> Field:
    """a_out = a_in + √κ a."""
    modes = dict(entering.modes)
    modes[port.mode] = np.asarray(modes.get(port.mode, 0) + np.sqrt(port.rate))
    return Field(modes=modes, baths=entering.baths, coherent=entering.coherent)


def _through(link: Link, light: Field) -> Field:
    eta = np.asarray(link.efficiency, np.float64)
    arrived = light.scaled(np.asarray(np.sqrt(eta) * unit_phase(link.phase)))
    lost = np.sqrt(1 - eta)
    if np.any(lost):
        arrived.baths[f"{link.source} → {link.target}"] = lost.astype(np.complex128)
    return arrived


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
