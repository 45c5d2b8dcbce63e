"""When photons of a pulsed experiment arrive: pulse shapes, gates and detector timing."""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from analysis.gates import Gate, GateSet

Real = NDArray[np.float64]

RISE_PER_SIGMA = 2.5631031310892007
"""10 % to 90 % of a Gaussian-smoothed step, in σ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotonPulse:
    """A rectangular pulse with smooth (Gaussian-integral) edges.

    Attributes
    ----------
    start : float
        Half-height point of the rising edge, s after the trial's start.
    duration : float
        Full width at half maximum, s.
    edge : float
        Rise and fall time from 10 % to 90 %, s.
    """

    start: float
    duration: float
    edge: float

    def __post_init__(self) -> None:
        for name, value in (("duration", self.duration), ("edge", self.edge)):
            if not (isfinite(value) and value >= 0):
                message = f"pulse `{name}` must be ≥ 0 s, but is {value}"
                raise ValueError(message)
        if not isfinite(self.start):
            message = f"pulse `start` must be finite, but is {self.start}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How a trial's clicks are spread in time, and which of them a detector misses.

    Attributes
    ----------
    gates : GateSet
        Gates ``pump`` and ``read``, detectors 1 and 2.
    pump, read : PhotonPulse
    jitter : float
        Standard deviation of a click's time by detector and electronics, s.
    dead_time : float
        A detector that clicked in the pump gate misses a read click of the same trial that comes
        within this time, s. Above 0 the counts fall below the model's click probabilities.
    """

    gates: GateSet
    pump: PhotonPulse
    read: PhotonPulse
    jitter: float = 0.0
    dead_time: float = 0.0

    def __post_init__(self) -> None:
        if self.gates.names != ("pump", "read") or set(self.gates.detectors) != {1, 2}:
            message = (
                "`gates` must have the gates pump, read in this order and the detectors 1, 2, "
                f"but has {', '.join(self.gates.names)} and {list(self.gates.detectors)}"
            )
            raise ValueError(message)
        if not (isfinite(self.jitter) and self.jitter >= 0):
            message = f"`jitter` must be ≥ 0 s, but is {self.jitter}"
            raise ValueError(message)
        first, last = self.gates.gates
        longest = self.gates.period - (last.stop - first.start)
        if not 0 <= self.dead_time <= longest:
            message = (
                f"`dead_time` must lie in [0, {longest:g}] s, so that it ends within the trial's "
                f"period, but is {self.dead_time}"
            )
            raise ValueError(message)


def pulsed_timing(
    *,
    period: float = 50e-6,
    delay: float = 123e-9,
    resolution: float = 250e-12,
    dead_time: float = 0.0,
) -> Timing:
    """Return the timing of seed 003: gates of 60 ns, the read gate one delay after the pump gate.

    Pulses of 40 ns with 8 ns edges in the middle of the gates and a jitter of 127 ps are choices;
    the paper does not give them.

    Parameters
    ----------
    period : float
        Repetition period, s.
    delay : float
        From pump to read pulse, s; at least 60 ns. The gate's edge is put on the tagger's grid.
    resolution : float
        Tagger resolution, s.
    dead_time : float
        See `Timing`.
    """
    width = round(60e-9 / resolution) * resolution
    opening = round(delay / resolution) * resolution
    return Timing(
        gates=GateSet(
            period=period,
            detectors={1: 0, 2: 1},
            gates=(
                Gate(name="pump", start=0.0, stop=_exact(width)),
                Gate(name="read", start=_exact(opening), stop=_exact(opening + width)),
            ),
        ),
        pump=PhotonPulse(start=10e-9, duration=40e-9, edge=8e-9),
        read=PhotonPulse(start=delay + 10e-9, duration=40e-9, edge=8e-9),
        jitter=127.4e-12,
        dead_time=dead_time,
    )


def arrival_times(
    rng: np.random.Generator, pulse: PhotonPulse, gate: Gate, jitter: float, number: int
) -> Real:
    """Sample click times of pulse photons, jitter included, given that they fall in the gate.

    Density ∝ (rectangle ⊛ Gaussian edge ⊛ Gaussian jitter) on [start, stop), exact by rejection.

    Parameters
    ----------
    rng : numpy.random.Generator
    pulse, gate : PhotonPulse, Gate
    jitter : float
        Standard deviation, s.
    number : int

    Returns
    -------
    ndarray, shape (number,)
        Seconds after the trial's start.

    Raises
    ------
    ValueError
        If next to nothing of the pulse falls into the gate.
    """
    sigma = np.hypot(pulse.edge / RISE_PER_SIGMA, jitter)
    times = np.empty(number)
    missing = np.arange(number)
    for _ in range(1000):
        if not len(missing):
            return times
        drawn = pulse.start + pulse.duration * rng.random(len(missing))
        drawn += sigma * rng.standard_normal(len(missing))
        times[missing] = drawn
        missing = missing[(drawn < gate.start) | (drawn >= gate.stop)]
    message = (
        f"pulse of {pulse.duration:g} s at {pulse.start:g} s must overlap the gate {gate.name!r} "
        f"({gate.start:g} s to {gate.stop:g} s), but almost none of it does"
    )
    raise ValueError(message)


def _exact(seconds: float) -> float:
    """Drop the rounding noise of a product, so that files show 1.23e-07 and not 1.2299999e-07."""
    return float(f"{seconds:.12g}")
