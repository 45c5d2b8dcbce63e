"""Temporal modes of the light that leaves a port, as modes of the network.

A cavity fed by a port holds one temporal mode of the light that left it: with energy rate Γ and
detuning Ω the mode of envelope √Γ e^{−(Γ/2 + iΩ)s}, s the time since it left. With a rate that
changes as |u(t)|²/∫₀ᵗ|u|² it holds the mode u(t) (Kiilerich and Mølmer, PRL 123, 123604 (2019)).
So its covariance with any mode of the network, its entanglement, and its losses on the way come
from the same linear model as everything else. No thermal or coherent light is added by a link of
efficiency 1.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.network import Link, Mode, Network

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


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
