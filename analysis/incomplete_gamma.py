"""Regularised incomplete gamma functions and their inverse, without loading scipy.

P(a, x) = ∫₀ˣ t^(a-1) e^(-t) dt / Γ(a) and Q = 1 - P are the tails of Poisson counts and of Gamma
posteriors. `scipy.special`, which has them too, takes longer to load than a night's tags to count.

Whichever of the two is smaller is computed, so that both are right to a few parts in 10¹⁴ of
themselves, or to what the last digit of x changes, √a ulps, if that is more: by the power series of
P where a is small and x below a + 1, else by Gauss-Legendre quadrature over the part of the tail
outside of which it has fallen by e^(-40).
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(56)
_FALL = 40.0
_SERIES_BELOW = 20.0
_TERMS = np.arange(1.0, 61.0)
"""Numbers of the power series' terms; at a = 20, x = 21 those beyond are below 1e-19."""

_STIRLING_FROM = 10.0
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
_TINY = float(np.finfo(float).tiny)
_SETTLED = 1e-6
"""Last step in widths of the density: the next would be its cube."""

_MOST_STEPS = 100


def log_density(a: float, x: ArrayLike) -> Array:
    """Return log(x^(a-1) e^(-x) / Γ(a)) for a >= 1; an x that is not positive counts as tiny.

    From a = 11 on it is counted from the mode m = a - 1, m (log(1 + t) - t) with t = x/m - 1: the
    terms of m log x - x are so large at many counts that their rounding would drown the shape.
    """
    positive: Array = np.atleast_1d(np.maximum(np.asarray(x, dtype=float), _TINY))
    mode = a - 1.0
    if mode == 0.0:
        return -positive.reshape(np.shape(x))
    t = positive - mode
    t /= mode
    far = t < -0.5
    log_ratio = np.maximum(t, -0.5)
    np.log1p(log_ratio, out=log_ratio)
    if far.any():
        positive /= mode
        np.log(positive, out=log_ratio, where=far)
    log_ratio -= t
    log_ratio *= mode
    log_ratio += _log_peak(mode)
    return log_ratio.reshape(np.shape(x))


def gammainc(a: float, x: ArrayLike) -> Array:
    """Return P(a, x), the probability that a Gamma variable of shape a > 0 is below x >= 0.

    For whole a that is the probability of `a` or more counts where x are expected.
    """
    return _tails(a, np.asarray(x, dtype=float))[0]


def gammaincc(a: float, x: ArrayLike) -> Array:
    """Return Q(a, x) = 1 - P(a, x), which keeps its digits where P is nearly 1.

    For whole a that is the probability of fewer than `a` counts where x are expected.
    """
    return _tails(a, np.asarray(x, dtype=float))[1]


def gammaincinv(a: float, q: ArrayLike) -> Array:
    """Return the x with P(a, x) = q, for q from 0 to 1 and a > 0.

    Halley steps inside a shrinking bracket, on the smaller tail.
    """
    wanted = np.asarray(q, dtype=float)
    if not np.all((wanted >= 0.0) & (wanted <= 1.0)):
        message = f"`q` must lie between 0 and 1, but is {q!r}"
        raise ValueError(message)
    flat = wanted.ravel()
    low, high = np.zeros_like(flat), np.full_like(flat, a + _reach(a))
    x = np.clip(_first_guess(a, flat), _TINY, high)
    for _ in range(_MOST_STEPS):
        p, above = _tails(a, x)
        miss = np.where(flat <= 0.5, p - flat, (1.0 - flat) - above)
        low, high = np.where(miss < 0.0, x, low), np.where(miss > 0.0, x, high)
        new = x - _halley(a, x, miss)
        inside = (new >= low) & (new <= high)  # false for nan too
        new = np.where(inside, new, np.sqrt(np.maximum(low, _TINY) * high))
        settled = np.abs(new - x) <= _SETTLED * x / math.sqrt(max(a, 1.0))
        x = new
        if settled.all():
            break
    x = np.where(flat == 0.0, 0.0, np.where(flat == 1.0, np.inf, x))
    return x.reshape(wanted.shape)


def _halley(a: float, x: Array, miss: Array) -> Array:
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        newton = (
            miss / np.exp((a - 1.0) * np.log(x) - x - math.lgamma(a))
            if a < 1.0
            else (miss / np.exp(log_density(a, x)))
        )
        bend = 1.0 - newton * ((a - 1.0) / x - 1.0) / 2.0
        return np.asarray(newton / np.maximum(bend, 0.5))


def _first_guess(a: float, q: Array) -> Array:
    """Wilson and Hilferty's cube of a normal variable; the leading power where that is negative."""
    tail = np.clip(np.minimum(q, 1.0 - q), _TINY, 0.5)
    t = np.sqrt(-2.0 * np.log(tail))
    z = t - (2.30753 + 0.27061 * t) / (1.0 + t * (0.99229 + 0.04481 * t))
    cube = 1.0 - 1.0 / (9.0 * a) + np.where(q < 0.5, -z, z) / (3.0 * math.sqrt(a))
    power = np.exp((np.log(np.maximum(q, _TINY)) + math.lgamma(a + 1.0)) / a)
    return np.where(cube > 0.2, a * cube**3, power)


def _log_peak(mode: float) -> float:
    """Return m log m - m - log Γ(m + 1), by Stirling's series where its terms would cancel."""
    if mode < _STIRLING_FROM:
        return mode * (math.log(mode) - 1.0) - math.lgamma(mode + 1.0)
    series = sum(c / mode ** (2 * k + 1) for k, c in enumerate(_STIRLING))
    return -0.5 * math.log(2.0 * math.pi * mode) - series


def _tails(a: float, x: Array) -> tuple[Array, Array]:
    """Return P and Q."""
    flat = x.ravel()
    p, q = np.full_like(flat, np.nan), np.full_like(flat, np.nan)
    p[flat == 0.0], q[flat == 0.0] = 0.0, 1.0
    p[flat == np.inf], q[flat == np.inf] = 1.0, 0.0
    inner = (flat > 0.0) & (flat < np.inf)
    below = inner & (flat < (a + 1.0 if a < _SERIES_BELOW else a - 1.0))
    above = inner & ~below
    if below.any():
        p[below] = (_series if a < _SERIES_BELOW else _lower_tail)(a, flat[below])
        q[below] = 1.0 - p[below]
    if above.any():
        q[above] = _upper_tail(a, flat[above])
        p[above] = 1.0 - q[above]
    return p.reshape(x.shape), q.reshape(x.shape)


def _series(a: float, x: Array) -> Array:
    """P = x^a e^(-x) / Γ(a + 1) · (1 + x/(a + 1) + x²/((a + 1)(a + 2)) + …)."""
    terms = np.cumprod(x[:, np.newaxis] / (a + _TERMS), axis=1)
    first = np.exp(a * np.log(x) - x - math.lgamma(a + 1.0))
    return np.asarray(first * (1.0 + terms.sum(axis=1)))


def _lower_tail(a: float, x: Array) -> Array:
    """Integrate down from x < m: log f falls by (m - x) u + m u²/2 or more down to x (1 - u)."""
    mode = a - 1.0
    share = (np.sqrt((mode - x) ** 2 + 2.0 * _FALL * mode) - (mode - x)) / mode
    reach = np.minimum(share, 1.0) * x
    return _integral(a, x - reach, reach)


def _upper_tail(a: float, x: Array) -> Array:
    """Integrate up from x: log f falls by s - m log(1 + s/x), convex, so Newton stays beyond."""
    mode = a - 1.0
    reach = np.full_like(x, _reach(a))
    if mode > 0.0:
        for _ in range(3):
            fall = reach - mode * np.log1p(reach / x)
            reach = reach - (fall - _FALL) / (1.0 - mode / (x + reach))
    return _integral(a, x, reach)


def _reach(a: float) -> float:
    """How far above the mode the density has fallen by e^(-40), or more."""
    return _FALL + math.sqrt(2.0 * _FALL * max(a - 1.0, 0.0))


def _integral(a: float, start: Array, length: Array) -> Array:
    half = length[:, np.newaxis] / 2.0
    t = start[:, np.newaxis] + half * (1.0 + _NODES)
    return np.asarray((np.exp(_log_density(a, t)) @ _WEIGHTS) * half[:, 0])


def _log_density(a: float, x: Array) -> Array:
    """Return the same for any a > 0 and positive x."""
    if a >= _SERIES_BELOW:
        return log_density(a, x)
    return np.asarray((a - 1.0) * np.log(x) - x - math.lgamma(a))
