"""Clicks of a stretch of trials at the detectors, drawn sparsely from an operating point."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.lab.optics import STEP
from simulation.recordings.clicks import split_by_mode

Real = NDArray[np.float64]
Integers = NDArray[np.int64]
Complex = NDArray[np.complex128]

HARMONICS = 3
"""Harmonics of the fringe phase that are kept, the mean included; the next is below 1e-8 of it."""

PHASES = 2 * np.pi * np.arange(6) / 6
"""Phases at which the exact model is asked for them."""


_CELLS, _MANY = 1 << 12, 4000
"""Cells of probability that are looked up, and number of draws from which that is faster."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Arrival:
    """When photons of a pulse arrive at a detector.

    Attributes
    ----------
    start : float
        Of the first bin, s after the trigger.
    cumulative : ndarray, shape (n,)
        Probability to have arrived by the end of each bin of width `STEP`.
    """

    start: float
    cumulative: Real

    @classmethod
    def of(cls, start: float, intensity: Real) -> "Arrival":
        """Return the arrivals of light with this intensity (any unit) in bins from `start`."""
        total = np.cumsum(intensity)
        return cls(start=start, cumulative=total / total[-1])

    def draw(self, rng: np.random.Generator, number: int) -> Real:
        """Draw arrival times, s after the trigger."""
        bins = self._bins(rng.random(number))
        return np.asarray(self.start + STEP * (bins + rng.random(number)))

    def _bins(self, chance: Real) -> Integers:
        """Return the bins in which probabilities are reached; many are looked up by cells."""
        if len(chance) < _MANY:
            return np.searchsorted(self.cumulative, chance)
        edges = np.searchsorted(self.cumulative, np.arange(_CELLS + 1) / _CELLS)
        bins = edges.take((chance * _CELLS).astype(np.int64))  # exact: a power of two
        bins += self.cumulative.take(bins) < chance
        far = np.flatnonzero(self.cumulative.take(bins) < chance)
        bins[far] = np.searchsorted(self.cumulative, chance[far])
        return bins


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FringePatterns:
    """Probabilities of the 16 click patterns as a function of the fringe phase.

    P(θ) = Σ_k Re[h_k e^{ikθ}]; the pair model has no higher harmonics than the second in double
    precision, so that its average over phase noise is exact: h_k e^{−k²σ²/2}.

    Attributes
    ----------
    harmonics : ndarray of complex, shape (HARMONICS, 16)
    """

    harmonics: Complex

    @classmethod
    def of(cls, probabilities: Real) -> "FringePatterns":
        """Return the patterns from probabilities at `PHASES`, shape (len(PHASES), 16)."""
        spectrum = np.fft.fft(probabilities, axis=0)[:HARMONICS] / len(PHASES)
        spectrum[1:] *= 2
        return cls(harmonics=spectrum)

    def at(self, theta: Real, sigma: Real, contrast: float) -> Real:
        """Return the probabilities for phases θ with noise σ and a contrast, shape (n, 16)."""
        order = np.arange(HARMONICS)
        damping = contrast ** (order**2) * np.exp(-0.5 * np.multiply.outer(sigma, order) ** 2)
        wave = damping * np.exp(1j * np.multiply.outer(theta, order))
        patterns = np.maximum((wave @ self.harmonics).real, 0.0)
        patterns[:, 0] += 1 - patterns.sum(axis=1)
        return np.asarray(patterns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UncorrelatedPulse:
    """Light that is no part of the pump–read pair: mean clicks per trial and detector."""

    mean: Real
    arrival: tuple[Arrival, Arrival]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectorClicks:
    """Clicks of a stretch of trials, in no order.

    Attributes
    ----------
    trial : ndarray of int64
        Counted from the start of the stretch.
    time : ndarray
        Seconds after the trial's trigger.
    detector : ndarray of uint8
        0 or 1 for detectors 1, 2.
    """

    trial: Integers
    time: Real
    detector: NDArray[np.uint8]

    @classmethod
    def joined(cls, parts: Sequence["DetectorClicks"]) -> "DetectorClicks":
        """Return all clicks of the parts."""
        return cls(
            trial=np.concatenate([part.trial for part in parts]),
            time=np.concatenate([part.time for part in parts]),
            detector=np.concatenate([part.detector for part in parts]),
        )


def pair_clicks(
    rng: np.random.Generator, patterns: Real, blocks: Integers, arrivals: Sequence[Arrival]
) -> list[DetectorClicks]:
    """Draw the clicks of pump and read pulses, one after the other and by detector.

    The numbers of each pattern are a multinomial draw per block of trials with equal
    probabilities, and their trials a uniform choice without replacement.

    Parameters
    ----------
    rng : numpy.random.Generator
    patterns : ndarray, shape (b, 16)
        Probabilities per block.
    blocks : ndarray of int64, shape (b,)
        Trials per block.
    arrivals : sequence of Arrival
        Of p1, p2, r1, r2.
    """
    busy = rng.binomial(blocks, 1 - patterns[:, 0])
    odds = patterns[:, 1:] / np.maximum(patterns[:, 1:].sum(axis=1, keepdims=True), 1e-300)
    odds[patterns[:, 1:].sum(axis=1) == 0] = 1 / 15
    counts = rng.multinomial(busy, odds)
    pattern = np.repeat(np.tile(np.arange(15), len(blocks)), counts.ravel())
    trials = _distinct_trials(rng, blocks, counts.sum(axis=1))
    return [
        _clicks(trial, arrival.draw(rng, len(trial)), mode % 2)
        for mode, (trial, arrival) in enumerate(
            zip(split_by_mode(trials, pattern), arrivals, strict=True)
        )
    ]


def uncorrelated_clicks(
    rng: np.random.Generator, pulse: UncorrelatedPulse, trials: int
) -> list[DetectorClicks]:
    """Draw clicks of light without correlations: Poisson numbers, uniform trials; by detector."""
    parts = []
    for detector in (0, 1):
        number = int(rng.poisson(trials * pulse.mean[detector]))
        time = pulse.arrival[detector].draw(rng, number)
        parts.append(_clicks(rng.integers(0, trials, number), time, detector))
    return parts


def steady_clicks(
    rng: np.random.Generator, rates: Real, trials: int, period: float
) -> list[DetectorClicks]:
    """Draw clicks at constant rates per s, dark counts and unpulsed light, by detector."""
    parts = []
    for detector in (0, 1):
        number = int(rng.poisson(rates[detector] * trials * period))
        time = period * rng.random(number)
        parts.append(_clicks(rng.integers(0, trials, number), time, detector))
    return parts


def _clicks(trial: Integers, time: Real, detector: int) -> DetectorClicks:
    return DetectorClicks(trial=trial, time=time, detector=np.full(len(trial), detector, np.uint8))


def _distinct_trials(rng: np.random.Generator, blocks: Integers, numbers: Integers) -> Integers:
    """Draw `numbers` different trials in each block, block after block."""
    first = np.repeat(np.cumsum(blocks) - blocks, numbers)
    length = np.repeat(blocks, numbers)
    trials = first + rng.integers(0, length)
    place, bits = np.arange(len(trials)), len(trials).bit_length()
    while True:
        # numbers sort much faster than their places; of equal ones the first stays
        placed = np.sort((trials << bits) + place)
        drawn = placed >> bits
        again = placed[1:][drawn[1:] == drawn[:-1]] & ((1 << bits) - 1)
        if not len(again):
            return np.asarray(trials)
        trials[again] = first[again] + rng.integers(0, length[again])
