"""Mean fields of driven networks: equations of motion, and drives for wanted fields.

The means α_k = ⟨o_k⟩ obey dα/dt = −i ∂H/∂α* + damping + links + drives (`couplings.force`,
`network.Network.inputs`); `simulation.theory.branches` finds where they rest.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.baths import non_negative
from simulation.theory.constants import hbar
from simulation.theory.couplings import force
from simulation.theory.network import Network, known

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Means = Mapping[str, ArrayLike]


def drive_amplitude(power: ArrayLike, omega: ArrayLike, rate: ArrayLike) -> Real:
    """Drive ε = √(κ P / ħω) in 1/s of a port of energy rate κ.

    Parameters
    ----------
    power : array_like
        P ≥ 0 in W, arriving at the port.
    omega : array_like
        Angular frequency of the drive in rad/s.
    rate : array_like
        Energy rate κ of the port in rad/s (2κ for an amplitude rate).
    """
    rate = non_negative("rate", rate)
    photons = non_negative("power", power) / (hbar * np.asarray(omega, np.float64))
    return np.asarray(np.sqrt(rate * photons))


def drive_power(amplitude: ArrayLike, omega: ArrayLike, rate: ArrayLike) -> Real:
    """Power P = ħω |ε|²/κ in W of a drive ε in rad/s; the inverse of `drive_amplitude`."""
    rate = non_negative("rate", rate)
    return np.asarray(hbar * np.asarray(omega, np.float64) * np.abs(amplitude) ** 2 / rate)


def flow(network: Network, mean: Means) -> dict[str, Complex]:
    """dα/dt of every mode at the given means (modes left out are at 0)."""
    alpha = _amplitudes(network, mean)
    u, v = network.damping_rates()
    change = {name: np.zeros((), np.complex128) for name in network.labels}
    for name, rate in force(network.hamiltonian, alpha).items():
        change[name] = change[name] + rate
    for (target, source), addends in u.items():
        change[target] = change[target] + sum(addends) * alpha[source]
    for (target, source), addends in v.items():
        change[target] = change[target] + sum(addends) * np.conj(alpha[source])
    for name, pushed in pushes(network).items():
        change[name] = change[name] + pushed
    return change


def required_drive(network: Network, mean: Means) -> dict[str, Complex]:
    """Extra drive ε of each mode that would make the given means a steady state: −dα/dt."""
    return {name: -rate for name, rate in flow(network, mean).items()}


def pushes(network: Network) -> dict[str, Complex]:
    """Return the coherent part −√κ⟨a_in⟩ of the equation of each driven mode."""
    pushed: dict[str, Complex] = {}
    for port, field in network.inputs.rates.items():
        pushed[port.mode] = pushed.get(port.mode, 0) - np.sqrt(port.rate) * field.coherent
    return pushed


def _amplitudes(network: Network, mean: Means) -> dict[str, Complex]:
    alpha = {name: np.zeros((), np.complex128) for name in network.labels}
    for name, value in mean.items():
        alpha[known("mode", name, network.labels)] = np.asarray(value, np.complex128)
    return alpha
