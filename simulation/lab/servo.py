"""Linear analysis of the sampled phase lock: its stability, speed and residual noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopGains:
    """Gains of the loop around its lock point, per sample of the error signal.

    Attributes
    ----------
    proportional : float
        g: rad of correction per rad of phase.
    integral : float
        g I T with T the time between samples.
    derivative : float
        g D/T.
    """

    proportional: float
    integral: float
    derivative: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopBehaviour:
    """How a loop behaves around its lock point.

    Attributes
    ----------
    stable : bool
    decay : float
        Factor by which the slowest deviation shrinks per sample.
    noise : float
        Standard deviation of the phase, rad; inf if unstable.
    """

    stable: bool
    decay: float
    noise: float


def loop_behaviour(
    gains: LoopGains, *, acoustic: float, memory: float, sensor: float
) -> LoopBehaviour:
    """Solve the loop φ_{n+1} = a_{n+1} − g e_n − gIT Σe − (gD/T)(e_n − e_{n−1}), e_n = φ_n + s_n.

    Parameters
    ----------
    gains : LoopGains
    acoustic : float
        Standard deviation of the acoustic phase a_n, rad.
    memory : float
        Correlation of a_n from sample to sample, e^{−ω_a T}.
    sensor : float
        Standard deviation of the error signal's noise s_n, in rad.

    Returns
    -------
    LoopBehaviour
        From the eigenvalues and the discrete Lyapunov equation of (φ_n, e_{n−1}, Σ_{<n} e, a_n).
    """
    g, w, d = gains.proportional, gains.integral, gains.derivative
    step = np.array(
        [
            [-(g + w + d), d, -w, memory],
            [1.0, 0.0, 0.0, 0.0],
            [1.0, 0.0, 1.0, 0.0],
            [0.0, 0.0, 0.0, memory],
        ]
    )
    loop = step[:3, :3] if w else step[:2, :2]
    decay = float(np.abs(np.linalg.eigvals(loop)).max())
    if decay >= 1 - 1e-12:
        return LoopBehaviour(stable=False, decay=1.0, noise=np.inf)
    kept = [0, 1, 2, 3] if w else [0, 1, 3]
    drive = np.array([[1.0, -(g + w + d)], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])[kept]
    power = np.diag([acoustic**2 * (1 - memory**2), sensor**2])
    covariance = _stationary(step[np.ix_(kept, kept)], drive @ power @ drive.T)
    return LoopBehaviour(stable=True, decay=decay, noise=float(np.sqrt(covariance[0, 0])))


def _stationary(step: Real, noise: Real) -> Real:
    """Return C = A C Aᵀ + Q, solved as it stands: it is small."""
    size = len(step) ** 2
    both = (step[:, None, :, None] * step[None, :, None, :]).reshape(size, size)
    found = np.linalg.solve(np.eye(size) - both, noise.ravel())
    return np.asarray(found.reshape(step.shape), np.float64)
