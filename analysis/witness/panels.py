"""Adaptive Gauss-Legendre panels that resolve a probability density over the whole real axis."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Density = Callable[[Array], Array]

_ORDER = 16
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(_ORDER)
_TO_LEGENDRE = (
    np.polynomial.legendre.legvander(_NODES, _ORDER - 1)
    * _WEIGHTS[:, np.newaxis]
    * (np.arange(_ORDER) + 0.5)
)
_LAST_COEFFICIENTS = _TO_LEGENDRE[:, -3:]
_AT_HIGH = _TO_LEGENDRE.sum(axis=1)
_AT_LOW = _TO_LEGENDRE @ (-1.0) ** np.arange(_ORDER)
_TOLERANCE = 1e-10
_MAX_HALVINGS = 40
_OUTERMOST = 60.0
_STEP, _OUTER_STEP = 1.0, 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityPanels:
    """A density on panels in u = asinh(x / scale), fine where it needs to be.

    Attributes
    ----------
    density : callable
        Vectorised density of x, not necessarily normalised.
    scale : float
        Where the axis turns from linear to logarithmic.
    low, high : ndarray, shape (n,)
        Borders of the panels in u, rising.
    x, weighted : ndarray, shape (n, 16)
        Nodes, and the density per unit u there.
    """

    density: Density
    scale: float
    low: Array
    high: Array
    x: Array
    weighted: Array

    @property
    def masses(self) -> Array:
        """Integral of the density over each panel."""
        return np.asarray(self.weighted @ _WEIGHTS) * (self.high - self.low) / 2.0

    @property
    def total(self) -> float:
        """Integral of the density over the real axis."""
        return float(self.masses.sum())

    def peak(self) -> tuple[float, float]:
        """Nodes before and after the one with the highest density."""
        x = self.x.ravel()
        density = self.weighted.ravel() / np.hypot(x, self.scale)
        top = int(np.argmax(density))
        return float(x[max(top - 1, 0)]), float(x[min(top + 1, x.size - 1)])

    def below(self, x: Array) -> Array:
        """Integral of the density up to each x (1-d array)."""
        u = np.clip(np.arcsinh(x / self.scale), self.low[0], self.high[-1])
        panel = np.maximum(np.searchsorted(self.low, u, side="right") - 1, 0)
        summed = np.concatenate([[0.0], np.cumsum(self.masses)])[panel]
        rest = _evaluate(self.density, self.scale, self.low[panel], u)
        return summed + rest.masses

    def bracket(self, q: Array) -> tuple[Array, Array]:
        """Panel borders in x around the points below which a share q of the total lies."""
        panel = np.searchsorted(np.cumsum(self.masses) / self.total, q)
        first, last = np.maximum(panel - 1, 0), np.minimum(panel + 1, self.low.size - 1)
        return self.scale * np.sinh(self.low[first]), self.scale * np.sinh(self.high[last])

    def unresolved(self) -> NDArray[np.bool_]:
        """Mark panels whose last Legendre coefficients count, or that do not join a neighbour.

        The second catches what falls off so fast beside a border that no node has seen it.
        """
        widths = self.high - self.low
        last = np.abs(self.weighted @ _LAST_COEFFICIENTS).max(axis=1)
        jumps = np.abs(self.weighted[1:] @ _AT_LOW - self.weighted[:-1] @ _AT_HIGH)
        gap = np.maximum(np.append(jumps, 0.0), np.append(0.0, jumps))
        return np.asarray(np.maximum(last, 0.1 * gap) * widths > _TOLERANCE * self.total)

    def halved(self, which: NDArray[np.bool_]) -> "DensityPanels":
        """Return panels with the marked ones cut in two."""
        low, high = self.low[which], self.high[which]
        middle = (low + high) / 2.0
        new = _evaluate(self.density, self.scale, np.r_[low, middle], np.r_[middle, high])
        order = np.argsort(np.r_[self.low[~which], new.low])

        def merged(old: Array, added: Array) -> Array:
            return np.concatenate([old[~which], added])[order]

        return replace(
            self,
            low=merged(self.low, new.low),
            high=merged(self.high, new.high),
            x=merged(self.x, new.x),
            weighted=merged(self.weighted, new.weighted),
        )


def _evaluate(density: Density, scale: float, low: Array, high: Array) -> DensityPanels:
    half = (high - low)[:, np.newaxis] / 2.0
    x = scale * np.sinh(low[:, np.newaxis] + half * (_NODES + 1.0))
    weighted = density(x) * np.hypot(x, scale)
    return DensityPanels(density=density, scale=scale, low=low, high=high, x=x, weighted=weighted)


def _first_borders(landmarks: Array) -> Array:
    """Landmarks, filled up to a step of 1 between and of 6 outside, out to ±60."""
    inner = np.arange(landmarks.min(), landmarks.max(), _STEP)
    left = np.arange(landmarks.min(), -_OUTERMOST - _OUTER_STEP, -_OUTER_STEP)
    right = np.arange(landmarks.max(), _OUTERMOST + _OUTER_STEP, _OUTER_STEP)
    borders = np.sort(np.concatenate([landmarks, inner, left, right]))
    return borders[np.r_[True, np.diff(borders) > 1e-9]]


def resolve(density: Density, landmarks: Array) -> DensityPanels:
    """Cover the real axis with panels until the density is resolved on each.

    Parameters
    ----------
    density : callable
        Vectorised, non-negative, integrable; need not be normalised.
    landmarks : ndarray, shape (n,)
        Values of x that tell where its mass and its edges are.

    Raises
    ------
    ArithmeticError
        If the density vanishes wherever it was looked at.
    """
    scale = float(np.median(np.abs(landmarks)))
    borders = _first_borders(np.arcsinh(landmarks / scale))
    panels = _evaluate(density, scale, borders[:-1], borders[1:])
    if panels.total == 0.0:
        message = "the density is zero everywhere; there is nothing to integrate"
        raise ArithmeticError(message)
    for _ in range(_MAX_HALVINGS):
        rough = panels.unresolved()
        if not rough.any():
            break
        panels = panels.halved(rough)
    return panels
