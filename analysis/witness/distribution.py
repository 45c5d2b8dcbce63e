"""Exact distribution of R_m = 4(a + b - 1)/(a - b)² for independent Gamma posteriors of a and b.

With d = b - a the curve R_m = x is a parabola that stays polynomial for every real x:

    a(d) = (1 - d + x d²/4)/2,    b(d) = (1 + d + x d²/4)/2,

and ``da db = d²/8 dd dx``. Density and distribution function are then single integrals along it,

    f(x) = ∫ p_a p_b d²/8 dd,    F(x) = [x > 0] - ∫ p_a F_b (da/dd) dd        (Green's theorem),

over the parts with a, b >= 0. Nothing is singular at x = 0 (where R_m changes sign, a + b = 1)
nor at x = 1 (where the parabola touches the axes).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.correlation import GammaPosterior

Array = NDArray[np.float64]

_FALL = 36.0
"""A Gamma posterior's density is kept to where it has fallen by e^(-36)."""

_AT_ONCE = 128
"""Pieces of which the nodes' arrays stay in the processor's caches."""

_SMALLEST = 1e-100
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(56)


def _window(posterior: GammaPosterior) -> tuple[float, float]:
    """Return the values of g at which the density has fallen by `_FALL`, or by little more.

    At √(λg) = √C - w it has fallen by 2w² or more, at √C + w by w² (1 + 1/(1 + 2w/(3√C))) or more.
    """
    root, width = math.sqrt(posterior.events), math.sqrt(_FALL)
    if root > 0.0:
        for _ in range(3):  # from above
            width = math.sqrt(_FALL / (1.0 + 1.0 / (1.0 + 2.0 * width / (3.0 * root))))
    low, high = max(root - math.sqrt(_FALL / 2.0), 0.0), root + width
    return low**2 / posterior.exposure, high**2 / posterior.exposure


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
        a_near, a_far = _sorted(near_al, near_ah), _sorted(far_al, far_ah)
        b_near, b_far = _sorted(-near_bl, -near_bh), _sorted(-far_bl, -far_bh)
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
        parts = np.empty(middle.size)
        for first in range(0, middle.size, _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            d = half[part, np.newaxis] * _NODES
            d += middle[part, np.newaxis]
            a, b = _curve(d, flat[which[part], np.newaxis])
            joint = self.a.log_density(a)
            joint += self.b.log_density(b)
            np.exp(joint, out=joint)
            joint *= np.square(d, out=d)
            parts[part] = joint @ _WEIGHTS
        parts *= half / 8.0
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


def _sorted(one: Array, other: Array) -> tuple[Array, Array]:
    return np.minimum(one, other), np.maximum(one, other)


def _flushed(x: Array) -> Array:
    """Set to zero what is too small for 1/x."""
    return np.where(np.abs(x) < _SMALLEST, 0.0, x)


def _summed(parts: Array, which: NDArray[np.intp], size: int) -> Array:
    """Sum of the parts that belong to each x."""
    return np.bincount(which, weights=parts, minlength=size).astype(float)


def _curve(d: Array, x: Array) -> tuple[Array, Array]:
    """Return a and b on the curve R_m = x."""
    even = np.square(d)
    even *= x
    even /= 4.0
    even += 1.0
    a, b = even - d, even + d
    a /= 2.0
    b /= 2.0
    return a, b
