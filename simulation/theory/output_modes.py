"""Temporal modes of the light that leaves a port, as modes of the network.

A cavity fed by a port holds one temporal mode of the light that left it: with energy rate Γ and
detuning Ω the mode of envelope √Γ e^{−(Γ/2 + iΩ)s}, s the time since it left. With a rate that
changes as |u(t)|²/∫₀ᵗ|u|² it holds the mode u(t) (Kiilerich and Mølmer, PRL 123, 123604 (2019)).
So its covariance with any mode of the network, its entanglement, and its losses on the way come
from the same linear model as everything else. No thermal or coherent light is added by a link of
efficiency 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.network import Link, Mode, Network
from simulation.theory.output_spectra import output_spectra

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Filter = Callable[[Real], ArrayLike]

OVERLAP: Final = 1e-3
"""Largest overlap of two filters of one port that count as two modes."""


def with_output_mode(
    network: Network,
    port: str,
    *,
    name: str,
    bandwidth: ArrayLike,
    detuning: ArrayLike = 0.0,
    efficiency: ArrayLike = 1.0,
    occupation: ArrayLike = 0.0,
) -> Network:
    """Add a mode that holds the filtered output of a port.

    Parameters
    ----------
    network : Network
    port : str
        A port that no link leaves yet.
    name : str
        Of the new mode; it comes last.
    bandwidth : array_like
        Energy rate Γ of the filter, the width of its Lorentzian, in the network's unit.
    detuning : array_like
        Ω, centre of the filter in the frame of the port's mode.
    efficiency, occupation : array_like
        Of the link to the filter.

    Returns
    -------
    Network
        Its steady state contains the temporal mode.

    Raises
    ------
    KeyError
        If there is no such port.
    ValueError
        If the port's output is used already (raised when built).
    """
    return replace(
        network,
        modes=(*network.modes, Mode(name, detuning=detuning, damping=bandwidth)),
        links=(*network.links, Link(port, name, efficiency=efficiency, occupation=occupation)),
    )


def capture_rate(envelope: ArrayLike, times: ArrayLike) -> Real:
    """Energy rate Γ(t) = |u(t)|²/∫₀ᵗ|u|² of a cavity that swallows the pulse u(t) whole.

    Parameters
    ----------
    envelope : array_like of complex, shape (t,)
        u at `times`, any norm; its phase belongs in the filter's detuning, Ω(t) = −d arg u/dt.
    times : array_like, shape (t,)
        Ascending.

    Returns
    -------
    ndarray, shape (t,)
        0 before the pulse begins; the trapezoid rule takes the integral.

    Raises
    ------
    ValueError
        If the shapes differ or the pulse is empty.
    """
    u, t = np.abs(np.asarray(envelope)) ** 2, np.asarray(times, np.float64)
    if u.shape != t.shape or u.ndim != 1:
        message = f"`envelope` and `times` must be 1-D alike, but have {u.shape} and {t.shape}"
        raise ValueError(message)
    energy = np.concatenate([[0.0], np.cumsum(0.5 * (u[1:] + u[:-1]) * np.diff(t))])
    if not energy[-1] > 0:
        message = "`envelope` must hold some energy, but is 0 at all times"
        raise ValueError(message)
    return np.asarray(np.divide(u, energy, out=np.zeros_like(u), where=energy > 0))


def filtered_covariance(
    network: Network,
    filters: Mapping[str, tuple[str, Filter]],
    omega: ArrayLike,
    *,
    mean: Mapping[str, ArrayLike] | None = None,
) -> Real:
    """Covariance matrix of output modes behind filters of any shape.

    A mode o = ∫ f*(t) a_out(t) dt has o = ∫ dω/2π f̃(ω)* a_out(ω), f̃(ω) = ∫ f(t) e^{iωt} dt, and its
    covariances follow from the spectral matrix S(ω) of the outputs (`output_spectra`).

    Parameters
    ----------
    network : Network
        Of single numbers.
    filters : mapping of str to (port, callable)
        By name of the filtered mode: the port, and f̃(ω) of any norm, vectorised. Two modes of one
        port must not overlap (∫ f̃₁* f̃₂ dω = 0) to be two modes.
    omega : array_like, shape (w,)
        Ascending frequencies, all on which a filter is open; the trapezoid rule integrates.
    mean : mapping of str to complex, optional
        As for `Network.build`.

    Returns
    -------
    ndarray, shape (2k, 2k)
        In the order of `filters`, vacuum ½; for `measures.log_negativity` and the like.

    Raises
    ------
    ValueError
        If frequencies do not ascend, a filter passes nothing, two modes of a port overlap by more
        than 1e-3, or the network has no steady state.
    """
    grid = np.asarray(omega, np.float64)
    if grid.ndim != 1 or len(grid) < 2 or np.any(np.diff(grid) <= 0):
        message = "`omega` must be 1-D, of two values or more, and ascend"
        raise ValueError(message)
    ports = list(dict.fromkeys(port for port, _ in filters.values()))
    # ω and −ω are needed of each filter: what a_out†(ω) is, a_out(−ω) was
    passed = {}
    for name, (_, shape) in filters.items():
        sides = np.asarray(shape(grid), np.complex128), np.asarray(shape(-grid), np.complex128)
        power = float(np.trapezoid(np.abs(sides[0]) ** 2, grid)) / (2 * np.pi)
        if not (power > 0 and np.isfinite(power)):
            message = f"the filter of {name} must pass something on `omega`, but passes {power:g}"
            raise ValueError(message)
        passed[name] = sides[0] / np.sqrt(power), sides[1] / np.sqrt(power)
    _refuse_overlap(filters, passed, grid)
    spectra = output_spectra(network, ports, grid, mean=mean)
    maps = np.zeros((len(grid), 2 * len(filters), 2 * len(ports)), np.complex128)
    for row, (name, (port, _)) in enumerate(filters.items()):
        g, h = np.conj(passed[name][0]), passed[name][1]
        block = np.array([[g + h, 1j * (g - h)], [-1j * (g - h), g + h]]) / 2
        column = 2 * ports.index(port)
        maps[:, 2 * row : 2 * row + 2, column : column + 2] = np.moveaxis(block, -1, 0)
    density: Complex = maps @ (0.5 * spectra) @ np.conj(np.swapaxes(maps, -1, -2))
    return np.asarray(np.trapezoid(density.real, grid / (2 * np.pi), axis=0))


def _refuse_overlap(
    filters: Mapping[str, tuple[str, Filter]],
    passed: Mapping[str, tuple[Complex, Complex]],
    omega: Real,
) -> None:
    for first, second in combinations(filters, 2):
        if filters[first][0] == filters[second][0]:
            product = np.conj(passed[first][0]) * passed[second][0]
            overlap = abs(complex(np.trapezoid(product, omega))) / (2 * np.pi)
            if overlap > OVERLAP:
                message = (
                    f"{first} and {second} must be different modes of port {filters[first][0]}, "
                    f"but overlap by {overlap:.3g}; set their filters further apart"
                )
                raise ValueError(message)
