"""What the data say about R_m: density, mode, quantiles and confidence of a posterior."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.witness.distribution import RatioDistribution

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

    def near(self, q: Array) -> Array:
        """Return where a share q of the total lies below, if each panel's mass lay evenly in u."""
        share = np.append(0.0, np.cumsum(self.masses)) / self.total
        u = np.interp(q, share, np.append(self.low, self.high[-1]))
        return np.asarray(self.scale * np.sinh(u))

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


_NEWTON_STEPS = 60
_SETTLED = 1e-9
"""Last relative step: the next would be about its square."""

_CHEBYSHEV_DEGREE = 12
_LARGEST = 1e100


class Distribution(Protocol):
    """A distribution over the real axis."""

    def density(self, x: ArrayLike) -> Array:
        """Probability density at x."""

    def cdf(self, x: ArrayLike) -> Array:
        """Probability below x."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductDistribution:
    """Normalised product of two densities: two independent measurements of one quantity.

    Attributes
    ----------
    panels : DensityPanels
        The product, resolved over the real axis, not normalised.
    """

    panels: DensityPanels

    def density(self, x: ArrayLike) -> Array:
        """Probability density at x."""
        return self.panels.density(np.asarray(x, dtype=float)) / self.panels.total

    def cdf(self, x: ArrayLike) -> Array:
        """Probability below x."""
        x = np.asarray(x, dtype=float)
        share = self.panels.below(x.ravel()) / self.panels.total
        return np.clip(share, 0.0, 1.0).reshape(x.shape)


@dataclass(frozen=True, kw_only=True, repr=False)
class WitnessPosterior:
    """Posterior of the entanglement witness R_m; mode and quantiles are computed when asked for.

    Its mode is finite for any counts (the density is bounded and falls as |x|^(-3/2) or faster),
    and so are its quantiles; with few counts they are wide apart.

    Attributes
    ----------
    plugin : float or None
        R_m computed from the g² values themselves; None where it is undefined (equal g²).
    level : float
        Probability inside [`low`, `high`].
    distribution : Distribution
        Density and distribution function.
    panels : DensityPanels
        The density resolved over the real axis.
    """

    plugin: float | None
    level: float
    distribution: Distribution
    panels: DensityPanels

    @cached_property
    def mode(self) -> float:
        """Most probable R_m: the point value that the paper quotes."""
        return _mode(self.distribution, *self.panels.peak())

    @property
    def low(self) -> float:
        """Quantile (1 - level)/2, 16 %."""
        return self._ends[0]

    @property
    def high(self) -> float:
        """Quantile (1 + level)/2, 84 %."""
        return self._ends[1]

    @cached_property
    def _ends(self) -> tuple[float, float]:
        tails = np.array([(1.0 - self.level) / 2.0, (1.0 + self.level) / 2.0])
        low, high = _quantile(self.distribution, self.panels, tails)
        return float(low), float(high)

    def density(self, x: ArrayLike) -> Array:
        """Posterior density of R_m at x."""
        return self.distribution.density(_real(x))

    def cdf(self, x: ArrayLike) -> Array:
        """Posterior probability that R_m is below x."""
        return self.distribution.cdf(_real(x))

    def quantile(self, q: ArrayLike) -> Array:
        """Value below which R_m lies with probability q (between 0 and 1)."""
        return _quantile(self.distribution, self.panels, np.asarray(q, dtype=float))

    def confidence(self, bound: float = 1.0) -> float:
        """Posterior probability that R_m < bound, that is of entanglement for a bound of 1."""
        return float(self.cdf(bound))

    @property
    def negative(self) -> float:
        """Probability that R_m < 0, where g_1 + g_2 < 1 and the witness says nothing.

        It counts as "below the bound" in `confidence`; it is negligible (below 1e-9 in the
        paper) unless coincidences are fewer than accidentals.
        """
        return float(self.cdf(0.0))

    def to_dict(self) -> dict[str, float | None]:
        """Return what the command line prints in JSON; an undefined plug-in is null there."""
        return {
            "mode": self.mode,
            "low": self.low,
            "high": self.high,
            "plugin": self.plugin,
        }

    def __repr__(self) -> str:
        told = (f"{n}={getattr(self, n)!r}" for n in ("plugin", "mode", "low", "high", "level"))
        return f"WitnessPosterior({', '.join(told)})"

    def __str__(self) -> str:
        plugin = "undefined (equal g²)" if self.plugin is None else f"{self.plugin:.4f}"
        text = f"{self.mode:.4f}  [{self.low:.4f}, {self.high:.4f}]  plug-in {plugin}"
        if self.negative > 1e-3:
            text += "  (reaches below 0: fewer coincidences than accidentals)"
        return text


def ratio_posterior(
    distribution: RatioDistribution, *, plugin: float | None, level: float
) -> WitnessPosterior:
    """Describe R_m of one heralding detector."""
    panels = resolve(distribution.density, np.r_[distribution.landmarks(), 0.0, 1.0])
    return WitnessPosterior(plugin=plugin, level=level, distribution=distribution, panels=panels)


def product_posterior(
    first: WitnessPosterior, second: WitnessPosterior, *, plugin: float | None
) -> WitnessPosterior:
    """Combine two independent measurements of the same R_m by multiplying their densities.

    Raises
    ------
    ValueError
        If the two exclude each other (no value of R_m is possible for both).
    """

    def product(x: Array) -> Array:
        return first.density(x) * second.density(x)

    landmarks = np.concatenate([_sparse_borders(one) for one in (first, second)])
    try:
        panels = resolve(product, landmarks)
    except ArithmeticError:
        message = (
            f"`R_m` of both detectors must be compatible, but is {first.mode:.4g} and "
            f"{second.mode:.4g} with no overlap; check the counts of each detector"
        )
        raise ValueError(message) from None
    distribution = ProductDistribution(panels=panels)
    return WitnessPosterior(
        plugin=plugin, level=first.level, distribution=distribution, panels=panels
    )


def _sparse_borders(posterior: WitnessPosterior) -> Array:
    """Return panel borders that hold mass: where a product with this density may have structure."""
    panels = posterior.panels
    heavy = panels.masses > 1e-4 * panels.total
    borders = np.r_[panels.low[heavy], panels.high[heavy][-1]]
    return np.concatenate([panels.scale * np.sinh(borders), [0.0, 1.0]])


def _mode(distribution: Distribution, low: float, high: float) -> float:
    """Highest point of the density between two points around it.

    The derivative of a Chebyshev interpolant is used twice, the second time on a tenth of the
    interval: unlike a search by values it is not limited to the square root of the precision.
    A kink, which only R_m = 1 can be (with no coincidences), is a candidate of its own.
    """
    chebyshev = np.polynomial.Chebyshev
    best = (low + high) / 2.0
    for width in (high - low, 0.1 * (high - low)):
        domain = [max(best - width / 2.0, low), min(best + width / 2.0, high)]
        fit = chebyshev.interpolate(distribution.density, _CHEBYSHEV_DEGREE, domain=domain)
        roots = fit.deriv().roots()
        real = roots.real[np.abs(roots.imag) < 1e-6 * width]
        points = np.concatenate([real, domain, [1.0]])
        points = points[(points >= domain[0]) & (points <= domain[1])]
        best = float(points[np.argmax(distribution.density(points))])
    return best


def _real(x: ArrayLike) -> Array:
    numbers: Array = np.asarray(x, dtype=float)
    if np.isnan(numbers).any():
        message = f"`x` must be a number, but is {x!r}"
        raise ValueError(message)
    return np.minimum(np.maximum(numbers, -_LARGEST), _LARGEST)


def _quantile(distribution: Distribution, panels: DensityPanels, q: Array) -> Array:
    """Solve F(x) = q by Newton steps kept inside a shrinking bracket."""
    flat = q.ravel()
    if not np.all((flat > 0.0) & (flat < 1.0)):
        message = f"`q` must lie between 0 and 1, but is {q}"
        raise ValueError(message)
    low, high = panels.bracket(flat)
    x = panels.near(flat)
    for _ in range(_NEWTON_STEPS):
        miss = distribution.cdf(x) - flat
        low, high = np.where(miss < 0.0, x, low), np.where(miss > 0.0, x, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = x - miss / distribution.density(x)
        inside = (step >= low) & (step <= high)
        new = np.where(inside, step, (low + high) / 2.0)
        settled = np.abs(new - x) <= _SETTLED * np.abs(x)
        x = new
        if settled.all():
            break
    return np.reshape(x, q.shape)
