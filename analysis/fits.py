"""Fits of the experiment's curves: interference fringe, exponential decay, delayed heating."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.separable_fit import Estimate, fit_separable

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FringeFit:
    """y = offset + amplitude · sin(2π x / period + phase).

    Attributes
    ----------
    offset, amplitude, phase, period : Estimate
        Amplitude >= 0, phase in (-π, π].
    visibility : Estimate or None
        amplitude / offset = (max - min)/(max + min); None where the offset is not positive.
    maximum : float
        The x of the maximum nearest to the middle of the data.
    chi2_reduced : float
    """

    offset: Estimate
    amplitude: Estimate
    phase: Estimate
    period: Estimate
    visibility: Estimate | None
    maximum: float
    chi2_reduced: float

    def curve(self, x: ArrayLike) -> Array:
        """Return the fitted curve at x."""
        angle = 2.0 * np.pi * np.asarray(x, dtype=float) / self.period.value + self.phase.value
        return np.asarray(self.offset.value + self.amplitude.value * np.sin(angle))

    def __str__(self) -> str:
        return (
            f"amplitude   {self.amplitude}\noffset      {self.offset}\n"
            f"period      {self.period}\nphase       {self.phase}\n"
            f"visibility  {'undefined' if self.visibility is None else self.visibility}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecayFit:
    """y = offset + amplitude · e^(-x / lifetime)."""

    amplitude: Estimate
    lifetime: Estimate
    offset: Estimate
    chi2_reduced: float

    def curve(self, x: ArrayLike) -> Array:
        """Return the fitted curve at x."""
        decayed = np.exp(-np.asarray(x, dtype=float) / self.lifetime.value)
        return np.asarray(self.offset.value + self.amplitude.value * decayed)

    def __str__(self) -> str:
        return f"amplitude  {self.amplitude}\nlifetime   {self.lifetime}\noffset     {self.offset}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatingFit:
    """d = n_final + a · e^(-t / lifetime) - b · e^(-t / bath_lifetime).

    Attributes
    ----------
    a, b : Estimate
    lifetime, bath_lifetime : Estimate
        1/Γ of the mode and 1/γ of the hot bath, the longer and the shorter one (s).
    n_final : Estimate
        Occupation long after the pump, with the noise of the probe pulse itself.
    chi2_reduced : float
    """

    a: Estimate
    b: Estimate
    lifetime: Estimate
    bath_lifetime: Estimate
    n_final: Estimate
    chi2_reduced: float

    @property
    def heating_rate(self) -> float:
        """Initial heating rate by the bath, k = b (γ - Γ) (phonons/s)."""
        return self.b.value * (1.0 / self.bath_lifetime.value - 1.0 / self.lifetime.value)

    def curve(self, time: ArrayLike) -> Array:
        """Return the fitted curve at times (s)."""
        t = np.asarray(time, dtype=float)
        slow = self.a.value * np.exp(-t / self.lifetime.value)
        return np.asarray(
            self.n_final.value + slow - self.b.value * np.exp(-t / self.bath_lifetime.value)
        )

    def __str__(self) -> str:
        return (
            f"a              {self.a}\nb              {self.b}\n"
            f"lifetime       {self.lifetime.over(1e-6)} µs\n"
            f"bath lifetime  {self.bath_lifetime.over(1e-6)} µs\n"
            f"n_final        {self.n_final}"
        )


def fit_fringe(
    x: ArrayLike, y: ArrayLike, sigma: ArrayLike | None = None, *, period: float | None = None
) -> FringeFit:
    """Fit a sine with offset, for example g² against the phase Δφ or the delay τ.

    Periods from twice the mean spacing of the points to twice their range are tried.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        At least 5 different x, or 4 with the period given.
    sigma : array_like, optional
        Standard deviations of y; estimated from the residuals if None.
    period : float, optional
        Known period, in the unit of x; fitted if None.

    Raises
    ------
    ValueError
        If there are too few points, or they do not determine the curve.
    """
    if period is not None and not (math.isfinite(period) and period > 0.0):
        message = f"`period` must be above 0, but is {period}"
        raise ValueError(message)

    def basis(x: Array, scales: Array) -> Array:
        angle = 2.0 * np.pi * x / (scales[0] if period is None else period)
        return np.stack([np.ones_like(x), np.sin(angle), np.cos(angle)], axis=1)

    candidates = [()] if period is not None else [(p,) for p in _periods(x)]
    fit = fit_separable(basis, candidates, x, y, sigma)
    offset, sine, cosine = fit.linear
    amplitude, phase = math.hypot(sine, cosine), math.atan2(cosine, sine)
    if amplitude == 0.0:
        message = "`y` must vary with x for a phase to be defined, but is constant"
        raise ValueError(message)
    rest = [0.0] * fit.scales.size
    slope = np.array([0.0, sine, cosine, *rest]) / amplitude
    known = Estimate(value=period or 0.0, sigma=0.0)
    visibility = slope / offset - np.array([amplitude / offset**2, 0.0, 0.0, *rest])
    fitted_period = fit.parameter(3) if period is None else known
    middle = (np.min(x) + np.max(x)) / 2.0
    cycles = 0.25 - phase / (2.0 * math.pi)
    nearest = cycles + round(middle / fitted_period.value - cycles)
    return FringeFit(
        offset=fit.parameter(0),
        amplitude=fit.derived(amplitude, slope),
        phase=fit.derived(phase, np.array([0.0, -cosine, sine, *rest]) / amplitude**2),
        period=fitted_period,
        visibility=fit.derived(amplitude / offset, visibility) if offset > 0.0 else None,
        maximum=float(nearest * fitted_period.value),
        chi2_reduced=fit.chi2_reduced,
    )


def fit_decay(
    x: ArrayLike, y: ArrayLike, sigma: ArrayLike | None = None, *, offset: float | None = None
) -> DecayFit:
    """Fit an exponential decay, for example of the visibility with the delay.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        At least 4 different x, or 3 with the offset given.
    sigma : array_like, optional
        Standard deviations of y; estimated from the residuals if None.
    offset : float, optional
        Known value at late times; fitted if None.

    Raises
    ------
    ValueError
        If there are too few points, or they do not determine the curve.
    """

    def basis(x: Array, scales: Array) -> Array:
        decayed = np.exp(-(x - first) / scales[0])
        return np.stack([decayed, *([np.ones_like(x)] if offset is None else [])], axis=1)

    first = float(np.min(x))
    shifted = np.asarray(y, dtype=float) - (offset or 0.0)
    fit = fit_separable(basis, [(s,) for s in _lifetimes(x)], x, shifted, sigma)
    lifetime = fit.parameter(-1)
    back = math.exp(first / lifetime.value)
    slope = [
        back,
        *([0.0] if offset is None else []),
        -fit.linear[0] * back * first / lifetime.value**2,
    ]
    return DecayFit(
        amplitude=fit.derived(fit.linear[0] * back, slope),
        lifetime=lifetime,
        offset=fit.parameter(1) if offset is None else Estimate(value=offset, sigma=0.0),
        chi2_reduced=fit.chi2_reduced,
    )


def fit_heating(time: ArrayLike, d: ArrayLike, sigma: ArrayLike | None = None) -> HeatingFit:
    """Fit the response to a pump pulse: delayed heating by a bath, then decay.

    Parameters
    ----------
    time : array_like, shape (n,)
        Time after the pump (s); at least 6 different ones.
    d : array_like, shape (n,)
        Probe signal (phonons).
    sigma : array_like, optional
        Standard deviations of d; estimated from the residuals if None.

    Raises
    ------
    ValueError
        If there are too few points, or they do not determine the curve.

    Notes
    -----
    Source: Riedinger et al., Nature 556, 473 (2018), supplement, Fig. S3.
    """

    def basis(t: Array, scales: Array) -> Array:
        return np.stack([np.ones_like(t), np.exp(-t / scales[0]), -np.exp(-t / scales[1])], axis=1)

    lifetimes = _lifetimes(time)
    pairs = [(slow, fast) for slow in lifetimes for fast in lifetimes if fast < 0.9 * slow]
    fit = fit_separable(basis, pairs, time, d, sigma)
    slow, fast = (0, 1) if fit.scales[0] >= fit.scales[1] else (1, 0)
    signs = 1.0 if slow == 0 else -1.0
    estimates = [
        fit.derived(signs * fit.linear[1 + i], signs * np.eye(5)[1 + i]) for i in (slow, fast)
    ]
    return HeatingFit(
        a=estimates[0],
        b=estimates[1],
        lifetime=fit.parameter(3 + slow),
        bath_lifetime=fit.parameter(3 + fast),
        n_final=fit.parameter(0),
        chi2_reduced=fit.chi2_reduced,
    )


def _periods(x: ArrayLike) -> Array:
    points = np.unique(np.asarray(x, dtype=float))
    span = _span(points)
    shortest = 2.0 * span / (points.size - 1)
    steps = 1.0 / np.linspace(0.5 / span, 1.0 / shortest, 8 * points.size)
    return np.asarray(steps)


def _lifetimes(x: ArrayLike) -> Array:
    points = np.unique(np.asarray(x, dtype=float))
    span = _span(points)
    return np.geomspace(0.3 * span / points.size, 3.0 * span, 24)


def _span(points: Array) -> float:
    span = float(np.ptp(points)) if points.size else 0.0
    if not span > 0.0:
        message = f"`x` must hold several different points, but holds {points.size}"
        raise ValueError(message)
    return span
