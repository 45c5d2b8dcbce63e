"""Whether click rates are what they were: exact tests, and an always-valid one over many blocks."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

TAIL: Final = 2.9e-7
"""Probability beyond five standard deviations, on one side."""

UNSTEADY: Final = 0.5
"""Relative change within a recording that is allowed beyond noise."""

FALSE_ALARM: Final = 1e-6
"""Probability that a recording of constant rates is called unsteady."""

_ALTERNATIVES: Final = (0.75, 0.5, 0.2)
"""Rates, of the lowest that is allowed, against which a fall is tested; a rise against 1/these."""

_WORST: Final = 4.0
"""Standard deviations by which the reference itself may be off."""


def surely_changed(
    clicks: int, trials: int, rate: float, sigma: float, allowed: float, tail: float = TAIL
) -> bool:
    """Tell whether a rate differs from a reference by more than an allowed part and noise.

    Exact: with the reference worth K = (rate/σ)² clicks in T = K/rate trials, and r = 1 ± allowed,
    k of k + K clicks are binomial with p = rN/(rN + T); without σ, k is Poisson with mean rN·rate.

    Parameters
    ----------
    clicks, trials : int
    rate : float
        Reference, clicks per trial, > 0.
    sigma : float
        Its standard deviation; 0: known exactly.
    allowed : float
        Relative change.
    tail : float
        Probability of a false alarm, on either side.
    """
    from scipy.special import betainc, pdtr, pdtrc

    if trials < 1:
        return False
    fewer, more = max(1 - allowed, 0.0), 1 + allowed
    if sigma <= 0:
        low = float(pdtr(clicks, fewer * rate * trials)) if fewer else 1.0
        high = float(pdtrc(clicks - 1, more * rate * trials)) if clicks else 1.0
        return min(low, high) < tail
    known = (rate / sigma) ** 2
    exposure = known / rate
    part = fewer * trials / (fewer * trials + exposure)
    low = float(betainc(known, clicks + 1, 1 - part))
    part = more * trials / (more * trials + exposure)
    high = float(betainc(clicks, known + 1, part)) if clicks else 1.0
    return min(low, high) < tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsteady:
    """Stretches in which clicks came at another rate than in the rest.

    Attributes
    ----------
    gate : int
    first, last : int
        Stretches, both included.
    ratio : float
        Rate there, of the rate in all stretches.
    """

    gate: int
    first: int
    last: int
    ratio: float


def unsteady(clicks: ArrayLike, allowed: float = UNSTEADY) -> Unsteady | None:
    """Find the stretches of equal length whose rate differs most surely from that of the others.

    Windows of 1, 2, 4, … stretches, of each detector and of all together, are compared with the
    rest: given the total C, clicks in a window of the part w are binomial with
    p = rw/(rw + 1 − w), r = 1 ± allowed. Their number divides the probability of a false alarm.

    Parameters
    ----------
    clicks : array_like of int, shape (stretches, gates, detectors)
    allowed : float
        Relative difference.

    Returns
    -------
    Unsteady or None
        None if a constant rate explains all.
    """
    from scipy.special import betainc

    single = np.asarray(clicks, np.int64)
    found = np.concatenate([single, single.sum(axis=2, keepdims=True)], axis=2)
    length = len(found)
    if length < 2:
        return None
    sums = np.concatenate([np.zeros((1, *found.shape[1:]), np.int64), np.cumsum(found, axis=0)])
    total = sums[-1].astype(float)
    starts, stops = _windows(length)
    inside = (sums[stops] - sums[starts]).astype(float)
    part = ((stops - starts) / length)[:, None, None]
    few = (1 - allowed) * part / ((1 - allowed) * part + 1 - part)
    many = (1 + allowed) * part / ((1 + allowed) * part + 1 - part)
    rest = total - inside
    low = np.where(rest > 0, betainc(np.maximum(rest, 0.5), inside + 1, 1 - few), 1.0)
    high = np.where(inside > 0, betainc(np.maximum(inside, 0.5), rest + 1, many), 1.0)
    p = np.minimum(low, high)
    if float(p.min()) * 2 * p.size >= FALSE_ALARM:
        return None
    window, gate, detector = (int(n) for n in np.unravel_index(int(p.argmin()), p.shape))
    expected = float(part[window, 0, 0]) * float(total[gate, detector])
    return Unsteady(
        gate=gate, first=int(starts[window]), last=int(stops[window]) - 1,
        ratio=float(inside[window, gate, detector]) / expected,
    )  # fmt: skip


def _windows(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first stretches, and those after the last, of windows that overlap by half."""
    found = [
        (at, at + width)
        for width in (1 << n for n in range(length.bit_length()) if 2 << n <= length)
        for at in range(0, length - width + 1, max(1, width // 2))
    ]
    starts, stops = np.array(found, np.int64).T
    return starts, stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A rate that is no longer what it was.

    Attributes
    ----------
    gate, detector : int
        Indices.
    first : int
        Observation, from 0, with which it most likely began.
    """

    gate: int
    detector: int
    first: int


class ConstancyTest:
    """Always-valid test of rates, observation by observation, against a fixed reference.

    For every gate, detector, direction and alternative rate q·b, b = (rate ∓ 4σ)(1 ∓ allowed)
    being the outermost allowed one, the likelihood ratio L = q^k e^{(1 − q) b N} of an observation
    has a mean of at most 1 as long as the rate is within bounds. So has, whatever the moment of
    the change, S_n = (S_{n−1} + 1/(n(n + 1))) L_n, and the average over all of these. By Ville's
    inequality it ever reaches 1/α with a probability of at most α (and 6e-5 for a reference that
    is off by more than 4σ). The change began where the leading one's cumulated log L was lowest.

    Parameters
    ----------
    rates, sigmas : array_like of float, shape (gates, detectors)
        Clicks per trial and standard deviations; rates of 0 are not watched.
    allowed : float
        Relative change.
    alpha : float
        Probability of a false alarm, however long it goes on.
    """

    def __init__(
        self, rates: ArrayLike, sigmas: ArrayLike, allowed: float, alpha: float = 1e-4
    ) -> None:
        rate, sigma = np.asarray(rates, float), np.asarray(sigmas, float)
        low = np.maximum(rate - _WORST * sigma, 0.0) * (1 - allowed)
        high = (rate + _WORST * sigma) * (1 + allowed)
        quotients = np.array(_ALTERNATIVES)
        self._log_q = np.log(np.stack([quotients, 1 / quotients]))[:, :, None, None]
        self._bounds = np.stack([low, high])[:, None]
        self._watched = np.broadcast_to(
            (rate > 0) & (self._bounds > 0), (2, len(quotients), *rate.shape)
        )
        self._log_s = np.full(self._watched.shape, -np.inf)
        self._sums = [np.zeros(self._watched.shape)]
        self._seen = 0
        self._limit = log(self._watched.sum() / alpha) if self._watched.any() else np.inf

    def add(self, clicks: ArrayLike, trials: int) -> Change | None:
        """Take in an observation; return the change as soon as there surely is one.

        Parameters
        ----------
        clicks : array_like of int, shape (gates, detectors)
        trials : int
        """
        self._seen += 1
        k = np.asarray(clicks, float)
        ratio = k * self._log_q - (np.exp(self._log_q) - 1) * self._bounds * trials
        ratio = np.where(self._watched, ratio, 0.0)
        weight = -log(self._seen * (self._seen + 1))
        self._log_s = np.logaddexp(self._log_s, weight) + ratio
        self._sums.append(self._sums[-1] + ratio)
        evidence = np.where(self._watched, self._log_s, -np.inf)
        peak = float(evidence.max(initial=-np.inf))
        if peak == -np.inf or peak + log(float(np.exp(evidence - peak).sum())) < self._limit:
            return None
        at = np.unravel_index(int(evidence.argmax()), evidence.shape)
        course = np.array([sums[at] for sums in self._sums[:-1]])
        return Change(
            gate=int(at[2]), detector=int(at[3]),
            first=len(course) - 1 - int(course[::-1].argmin()),
        )  # fmt: skip


def reference_of(
    clicks: Sequence[NDArray[np.int64]], trials: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rates per trial and their standard deviations, all observations together."""
    total, number = np.sum(clicks, axis=0), float(sum(trials))
    return total / number, np.sqrt(np.maximum(total, 1.0)) / number
