"""Exact distribution of R_m = 4(a + b - 1)/(a - b)² for independent Gamma posteriors of a and b.

With d = b - a the curve R_m = x is a parabola that stays polynomial for every real x:

    a(d) = (1 - d + x d²/4)/2,    b(d) = (1 + d + x d²/4)/2,

and ``da db = d²/8 dd dx``. Density and distribution function are then single integrals along it,

    f(x) = ∫ p_a p_b d²/8 dd,    F(x) = [x > 0] - ∫ p_a F_b (da/dd) dd        (Green's theorem),

over the parts with a, b >= 0. Nothing is singular at x = 0 (where R_m changes sign, a + b = 1)
nor at x = 1 (where the parabola touches the axes).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.correlation import GammaPosterior

Array = NDArray[np.float64]

WINDOW = 6.0
"""Half-width kept of a Gamma posterior in √(λg); at most e^(-36) of it lies outside."""

_SMALLEST = 1e-100
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(72)


def _window(posterior: GammaPosterior) -> tuple[float, float]:
    root = np.sqrt(posterior.events + 0.75)
    ends = np.array([max(root - WINDOW, 0.0), root + WINDOW])
    low, high = ends**2 / posterior.exposure
    return float(low), float(high)


def _solutions(x: Array, g: float) -> tuple[Array, Array]:
    """Both d with a(d) = g, the one continuous at x = 0 first; the turning point where none is."""
    root = np.sqrt(np.maximum(1.0 - x * (1.0 - 2.0 * g), 0.0))
    with np.errstate(divide="ignore"):
        turning = 2.0 / x
        near = np.where(root > 0.0, 2.0 * (1.0 - 2.0 * g) / (1.0 + root), turning)
        return near, turning * (1.0 + root)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioDistribution:
    """Distribution of R_m of one heralding detector.

    Attributes
    ----------
    a, b : GammaPosterior
        Posteriors of g² between the read pulse at detector 1, respectively 2, and the herald.
    """

    a: GammaPosterior
    b: GammaPosterior

    def _pieces(self, x: Array) -> tuple[Array, Array, NDArray[np.intp]]:
        """Intervals of d inside both windows (middle, half width), and the x each is of.

        Branches are split where a(d) or b(d) turns (d = ±2/x): between, a falls and b rises.
        """
        (near_al, far_al), (near_ah, far_ah) = (_solutions(x, g) for g in _window(self.a))
        (near_bl, far_bl), (near_bh, far_bh) = (_solutions(x, g) for g in _window(self.b))
        a_near, a_far = np.sort([near_ah, near_al], axis=0), np.sort([far_al, far_ah], axis=0)
        b_near, b_far = np.sort([-near_bl, -near_bh], axis=0), np.sort([-far_bl, -far_bh], axis=0)
        pairs = ((a_near, b_near), (a_far, b_near), (a_near, b_far))
        start = np.concatenate([np.maximum(one[0], other[0]) for one, other in pairs])
        stop = np.concatenate([np.minimum(one[1], other[1]) for one, other in pairs])
        kept = np.flatnonzero((stop > start) & np.isfinite(stop - start))
        return (start + stop)[kept] / 2.0, (stop - start)[kept] / 2.0, kept % x.size

    def density(self, x: ArrayLike) -> Array:
        """Probability density of R_m at x (any real x)."""
        x = np.asarray(x, dtype=float)
        flat = _flushed(x.ravel())
        middle, half, which = self._pieces(flat)
        d = middle[:, np.newaxis] + half[:, np.newaxis] * _NODES
        a, b = _curve(d, flat[which, np.newaxis])
        joint = np.exp(self.a.log_density(a) + self.b.log_density(b))
        parts = (joint * d**2) @ _WEIGHTS * half / 8.0
        return _summed(parts, which, flat.size).reshape(x.shape)

    def cdf(self, x: ArrayLike) -> Array:
        """Probability that R_m lies below x."""
        x = np.asarray(x, dtype=float)
        flat = _flushed(x.ravel())
        middle, half, which = self._pieces(flat)
        d = middle[:, np.newaxis] + half[:, np.newaxis] * _NODES
        x_d = flat[which, np.newaxis]
        a, b = _curve(d, x_d)
        slope = (x_d * d / 2.0 - 1.0) / 2.0
        parts = (np.exp(self.a.log_density(a)) * self.b.cdf(b) * slope) @ _WEIGHTS * half
        inside = self._beyond_window(flat) + _summed(parts, which, flat.size)
        return np.clip((flat > 0.0) - inside, 0.0, 1.0).reshape(x.shape)

    def _beyond_window(self, x: Array) -> Array:
        """Return ∫ p_a da over the parts of the curve where b is above its window (F_b = 1)."""
        near, far = (-d for d in _solutions(x, _window(self.b)[1]))
        far = np.where(x == 0.0, np.inf, far)
        a_near = _curve(near, x)[0]
        with np.errstate(invalid="ignore"):
            a_far = np.where(x == 0.0, -np.inf, _curve(far, x)[0])
        return self.a.cdf(a_far) - self.a.cdf(a_near)

    def landmarks(self) -> Array:
        """Values of R_m at a ladder of a and b across their posteriors, where structure may be."""
        ladder = np.array([-4.0, -1.5, 0.0, 1.5, 4.0])
        a, b = (
            np.maximum(np.sqrt(g.events + 0.75) + ladder / 2.0, 0.0) ** 2 / g.exposure
            for g in (self.a, self.b)
        )
        a, b = a[:, np.newaxis], b[np.newaxis, :]
        spread = np.maximum(np.abs(a - b), 1e-3 * (a + b + 1e-3))
        points = np.sort((4.0 * (a + b - 1.0) / spread**2).ravel())
        return points[np.diff(points, prepend=-np.inf) > 0.0]


def _flushed(x: Array) -> Array:
    """Set to zero what is too small for 1/x."""
    return np.where(np.abs(x) < _SMALLEST, 0.0, x)


def _summed(parts: Array, which: NDArray[np.intp], size: int) -> Array:
    """Sum of the parts that belong to each x."""
    return np.bincount(which, weights=parts, minlength=size).astype(float)


def _curve(d: Array, x: Array) -> tuple[Array, Array]:
    """Return a and b on the curve R_m = x."""
    even = 1.0 + x * d**2 / 4.0
    return (even - d) / 2.0, (even + d) / 2.0
