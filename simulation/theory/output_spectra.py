"""Spectra of the light that leaves the ports of a network, and their correlations.

With dξ/dt = A ξ + Σ_b B_b w_b and the output quadratures C ξ + Σ_b F_b w_b, each bath b white with
covariance V_b (n̄_b + ½ of a thermal bath),

    H_b(ω) = C (−iω − A)⁻¹ B_b + F_b,    S(ω) = 2 Σ_b H_b(ω) V_b H_b(ω)†,

so that vacuum has S = 1. No filter stands before the detector: for a filtered mode see
`simulation.theory.output_modes`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.declarations import Bath
from simulation.theory.lyapunov import growth_rate
from simulation.theory.network import Network, known

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


def output_spectra(
    network: Network,
    ports: Sequence[str],
    omega: ArrayLike,
    *,
    mean: Mapping[str, ArrayLike] | None = None,
) -> Complex:
    """Spectral matrix S(ω) of the output quadratures (x1, p1, x2, p2, …) of some ports.

    Parameters
    ----------
    network : Network
        Of single numbers; one network per call.
    ports : sequence of str
        A mode's main port has the mode's name.
    omega : array_like, shape (w,)
        Frequencies from the carrier, in the network's unit.
    mean : mapping of str to complex, optional
        As for `Network.build`.

    Returns
    -------
    ndarray of complex, shape (w, 2k, 2k)
        Hermitian; vacuum is 1 on the diagonal. The diagonal is what a homodyne detector with a
        spectrum analyser shows; off it are the correlations of different outputs.

    Raises
    ------
    KeyError
        If a port is unknown.
    ValueError
        If the network has a batch of points or no steady state.
    """
    model = network.build(mean)
    if model.shape:
        message = f"`network` must be of single numbers, but has shape {model.shape}"
        raise ValueError(message)
    drift = model.drift
    if growth_rate(drift) >= 0:
        message = "the network must be stable to have spectra, but a supermode grows"
        raise ValueError(message)
    inputs = network.inputs.rates
    by_name = {port.name: (port, arriving) for port, arriving in inputs.items()}
    numbers = {name: place for place, name in enumerate(model.labels)}
    noise = {bath.name: (2 * float(bath.occupation) + 1) * np.eye(2) for bath in model.baths}
    noise |= {name: _covariance(bath) for name, bath in network.baths.items()}
    out = np.zeros((2 * len(ports), model.size))
    through = {name: np.zeros((2 * len(ports), 2)) for name in noise}
    for row, name in enumerate(ports):
        port, arriving = by_name[known("port", name, list(by_name))]
        place = slice(2 * row, 2 * row + 2)
        weights = {**arriving.modes}
        weights[port.mode] = np.asarray(weights.get(port.mode, 0) + np.sqrt(port.rate))
        for mode, weight in weights.items():
            column = 2 * numbers[mode]
            out[place, column : column + 2] += _quadratures(weight)
        for bath, weight in arriving.baths.items():
            through.setdefault(bath, np.zeros((2 * len(ports), 2)))
            through[bath][place] += _quadratures(weight)
    drives = _drives(network, numbers, model.size)
    frequencies = np.atleast_1d(np.asarray(omega, np.float64))
    response = out @ np.linalg.inv(-1j * frequencies[:, None, None] * np.eye(model.size) - drift)
    spectra = np.zeros((len(frequencies), 2 * len(ports), 2 * len(ports)), np.complex128)
    for bath in {*through, *drives}:
        transfer = response @ drives.get(bath, np.zeros((model.size, 2)))
        transfer = transfer + through.get(bath, 0)
        spectra += transfer @ noise[bath] @ np.conj(np.swapaxes(transfer, -1, -2))
    return spectra


def squeezing_spectrum(
    network: Network,
    port: str,
    omega: ArrayLike,
    *,
    mean: Mapping[str, ArrayLike] | None = None,
) -> Real:
    """Smallest spectrum over all homodyne angles of one output, shape (w,); vacuum is 1."""
    spectra = output_spectra(network, [port], omega, mean=mean).real
    return np.asarray(np.linalg.eigvalsh(spectra)[..., 0])


def _covariance(bath: Bath) -> Real:
    """2 V of a bath's quadratures."""
    r, half = float(bath.squeezing), float(bath.angle) / 2
    turn = np.array([[np.cos(half), -np.sin(half)], [np.sin(half), np.cos(half)]])
    stretched = turn @ np.diag([np.exp(-2 * r), np.exp(2 * r)]) @ turn.T
    return np.asarray((2 * float(bath.occupation) + 1) * stretched)


def _drives(network: Network, numbers: Mapping[str, int], size: int) -> dict[str, Real]:
    """B_b of every bath: how it enters the modes' quadratures."""
    drives: dict[str, Real] = {}
    for port, arriving in network.inputs.rates.items():
        place = 2 * numbers[port.mode]
        for bath, weight in arriving.baths.items():
            entry = drives.setdefault(bath, np.zeros((size, 2)))
            entry[place : place + 2] += _quadratures(-np.sqrt(port.rate) * weight)
    for gain in network.gains:
        place = 2 * numbers[gain.mode]
        entry = drives.setdefault(gain.name, np.zeros((size, 2)))
        entry[place : place + 2] += _quadratures(np.sqrt(gain.rate)) @ np.diag([1.0, -1.0])
    for mode in network.modes:
        if mode.convention == "brownian":
            entry = drives.setdefault(mode.name, np.zeros((size, 2)))
            entry[2 * numbers[mode.name] + 1, 1] += np.sqrt(2 * np.asarray(mode.damping))
    return drives


def _quadratures(weight: ArrayLike) -> Real:
    """Matrix of a → c a on (x, p)."""
    c = complex(np.asarray(weight))
    return np.array([[c.real, -c.imag], [c.imag, c.real]])
