"""Separable states in the plane of the mean g² of the low and the high cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.witness.systematics import witness_ratio

Array = NDArray[np.float64]


def symmetrised_witness(s: ArrayLike, c: ArrayLike) -> Array:
    """Return R = 4 (s' + c - 1)/(c - s')², s' = max(s, 1); infinite for c <= s'.

    Parameters
    ----------
    s, c : array_like
        Mean g² of the low and of the high cells: same and crossed detectors at the phase θ,
        exchanged at θ + π. Means with equal weights over heralds, not pooled counts.

    Notes
    -----
    Riedinger et al., Nature 556, 473 (2018), Eq. (3), of the mean over both heralds. Gaussian
    states have g² >= 1: a smaller s is a blind detector's and counts as 1.
    """
    floored = np.maximum(s, 1.0)
    c = np.asarray(c, dtype=float)
    return np.where(c > floored, witness_ratio(floored, c), np.inf)


def largest_separable(s: ArrayLike, x: ArrayLike = 1.0) -> Array:
    """Return c*(s; x), the largest c with R >= x: s' + (2/x)(1 + √(1 + x(2s' - 1)))."""
    floored, x = np.maximum(s, 1.0), np.asarray(x, dtype=float)
    return np.asarray(floored + 2.0 / x * (1.0 + np.sqrt(1.0 + x * (2.0 * floored - 1.0))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boundary:
    """Points (s, c) with R = x, by w = √(1 + x(2s - 1)); s >= 1 where w >= √(1 + x).

    Attributes
    ----------
    w, x : ndarray
        Of shapes that broadcast.
    """

    w: Array
    x: Array

    @property
    def s(self) -> Array:
        """Mean g² of the low cells, (w² - 1 + x)/(2x)."""
        return np.asarray((self.w**2 - 1.0 + self.x) / (2.0 * self.x))

    @property
    def c(self) -> Array:
        """Mean g² of the high cells, ((w + 2)² - 1 + x)/(2x)."""
        return np.asarray(((self.w + 2.0) ** 2 - 1.0 + self.x) / (2.0 * self.x))

    @property
    def slope(self) -> Array:
        """Slope dc*/ds = 1 + 2/w of the tangent; c* is concave, so it bounds the null set."""
        return np.asarray(1.0 + 2.0 / self.w)


def lowest_w(x: ArrayLike) -> Array:
    """Return w at s = 1: √(1 + x)."""
    return np.sqrt(1.0 + np.asarray(x, dtype=float))
