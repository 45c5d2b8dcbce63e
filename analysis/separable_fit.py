"""Least squares for curves with linear coefficients and positive scales (periods, lifetimes)."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Basis = Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A fitted value with its standard deviation."""

    value: float
    sigma: float

    def over(self, unit: float) -> "Estimate":
        """Return the estimate as a multiple of `unit`, e.g. ``over(1e-6)`` for µs."""
        return Estimate(value=self.value / unit, sigma=self.sigma / unit)

    def __str__(self) -> str:
        if not self.sigma > 0.0:
            return f"{self.value:.6g}"
        digits = max(0, 1 - math.floor(math.log10(self.sigma)))
        if digits > 6 or abs(self.value) >= 1e6:
            return f"{self.value:.6g} ± {self.sigma:.2g}"
        return f"{self.value:.{digits}f} ± {self.sigma:.{digits}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparableFit:
    """Best parameters and their covariance.

    Attributes
    ----------
    linear : ndarray, shape (m,)
        Coefficients of the basis curves.
    scales : ndarray, shape (k,)
        Positive parameters inside the basis: periods, lifetimes.
    covariance : ndarray, shape (m + k, m + k)
        Of (linear, scales).
    chi2_reduced : float
        Weighted squared residuals per degree of freedom (1 if the errors were estimated from them).
    """

    linear: Array
    scales: Array
    covariance: Array
    chi2_reduced: float

    def derived(self, value: float, gradient: ArrayLike) -> Estimate:
        """Return a derived quantity with σ² = ∇ᵀ cov ∇, its gradient in (linear, scales) given."""
        slope = np.asarray(gradient, dtype=float)
        variance = float(slope @ self.covariance @ slope)
        if not variance >= 0.0:  # rounding in a covariance that is all but singular
            message = "the points must determine every parameter of the curve, but do not"
            raise ValueError(message)
        return Estimate(value=float(value), sigma=math.sqrt(variance))

    def parameter(self, index: int) -> Estimate:
        """Return the parameter at an index of (linear, scales)."""
        both = np.concatenate([self.linear, self.scales])
        return self.derived(both[index], np.eye(both.size)[index])


def fit_separable(
    basis: Basis,
    candidates: Iterable[tuple[float, ...]],
    x: ArrayLike,
    y: ArrayLike,
    sigma: ArrayLike | None,
) -> SeparableFit:
    """Fit y = Σ c_m basis_m(x; scales) by least squares.

    The linear coefficients are exact for any scales (variable projection); the best candidate for
    the scales starts a search in their logarithms.

    Parameters
    ----------
    basis : callable
        ``basis(x, scales)`` returns the curves, shape (len(x), m).
    candidates : iterable of tuple of float
        Starting values of the scales; one empty tuple if there are none.
    x, y : array_like, shape (n,)
    sigma : array_like, shape (n,) or scalar, optional
        Standard deviations of y; estimated from the residuals if None.

    Raises
    ------
    ValueError
        If there are too few points, they do not fit each other or do not determine the curve.
    """
    x, y, weights = _checked(x, y, sigma)
    starts = [np.asarray(candidate, dtype=float) for candidate in candidates]
    size = basis(x, starts[0]).shape[1] + starts[0].size
    distinct = np.unique(x).size
    if distinct <= size:
        message = (
            f"`x` must hold more than {size} different points for this curve, but is {distinct}"
        )
        raise ValueError(message)
    scales = min(starts, key=lambda start: _projected(basis(x, start), y, weights)[0])
    scales = _searched(basis, x, y, weights, scales)
    linear = _projected(basis(x, scales), y, weights)[1]
    covariance = _covariance(_jacobian(basis, x, linear, scales) * weights[:, np.newaxis])
    residuals = (y - basis(x, scales) @ linear) * weights
    chi2 = float(residuals @ residuals) / (x.size - size)
    if sigma is None:
        covariance, chi2 = covariance * chi2, 1.0
    return SeparableFit(linear=linear, scales=scales, covariance=covariance, chi2_reduced=chi2)


def _checked(x: ArrayLike, y: ArrayLike, sigma: ArrayLike | None) -> tuple[Array, Array, Array]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or x.shape != y.shape:
        message = f"`x` and `y` must be lists of equal length, but are {x.shape} and {y.shape}"
        raise ValueError(message)
    errors = np.ones_like(y) if sigma is None else np.asarray(sigma, dtype=float)
    if errors.shape not in {(), y.shape}:
        message = f"`sigma` must be one number or as long as `y`, but is {errors.shape}"
        raise ValueError(message)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        message = "`x` and `y` must be finite, but are not; leave empty points out"
        raise ValueError(message)
    if not (np.isfinite(errors).all() and (errors > 0.0).all()):
        message = f"`sigma` must be above 0 and finite, but is {errors.min()} at least"
        raise ValueError(message)
    return x, y, np.broadcast_to(1.0 / errors, y.shape)


def _projected(curves: Array, y: Array, weights: Array) -> tuple[float, Array]:
    """Return the misfit and the linear coefficients of the best combination of curves."""
    design = curves * weights[:, np.newaxis]
    linear = np.asarray(np.linalg.lstsq(design, y * weights, rcond=None)[0], dtype=float)
    residuals = y * weights - design @ linear
    return float(residuals @ residuals), linear


def _searched(basis: Basis, x: Array, y: Array, weights: Array, scales: Array) -> Array:
    """Return the best scales near some, with the linear coefficients at their best for each."""
    if scales.size == 0:
        return scales
    from scipy import optimize  # heavy: only when something is fitted

    def residuals(logs: Array) -> Array:
        curves = basis(x, np.exp(logs))
        return (y - curves @ _projected(curves, y, weights)[1]) * weights

    logs = optimize.least_squares(residuals, np.log(scales), xtol=1e-12, ftol=1e-14).x
    return np.asarray(np.exp(logs))


def _jacobian(basis: Basis, x: Array, linear: Array, scales: Array) -> Array:
    """Return the slopes of the curve: exact for the coefficients, central for the scales."""
    columns = [basis(x, scales)]
    for index, scale in enumerate(scales):
        step = np.zeros_like(scales)
        step[index] = 1e-6 * scale
        ahead, behind = basis(x, scales + step) @ linear, basis(x, scales - step) @ linear
        columns.append(((ahead - behind) / (2.0 * step[index]))[:, np.newaxis])
    return np.hstack(columns)


def _covariance(jacobian: Array) -> Array:
    """Return the inverse of JᵀJ, scaled so that units do not matter."""
    norms = np.linalg.norm(jacobian, axis=0)
    scaled = jacobian / np.where(norms > 0.0, norms, 1.0)
    size = norms.size
    if np.linalg.matrix_rank(scaled) < size:
        message = f"`y` must determine all {size} parameters of the curve, but does not; fix some"
        raise ValueError(message)
    return np.asarray(np.linalg.inv(scaled.T @ scaled) / np.outer(norms, norms), dtype=float)
