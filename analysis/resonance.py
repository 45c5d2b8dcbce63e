"""Fit of a Lorentzian line: an optical resonance, a filter's transmission."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.separable_fit import Estimate

Array = NDArray[np.float64]

LEAST_GAIN = 30.0
"""By how much a line must lower χ² against a constant: noise alone stays below (3 parameters)."""

_BETTER = 1.25
"""By how much more than the best of many lines a fit surely does not lower χ²: 1.08 was seen."""

_MOST_POINTS = 100
"""So many points are compared with many lines before a fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResonanceFit:
    """y = offset + height / (1 + (2 (x − centre)/width)²).

    Attributes
    ----------
    centre, width : Estimate
        In the unit of x; `width` is the full width at half maximum.
    height, offset : Estimate
        In the unit of y.
    """

    centre: Estimate
    width: Estimate
    height: Estimate
    offset: Estimate

    def curve(self, x: ArrayLike) -> Array:
        """Return the fitted curve at x."""
        values = (self.centre, self.width, self.height, self.offset)
        return _line(np.asarray(x, np.float64), *(estimate.value for estimate in values))

    def __str__(self) -> str:
        return f"centre {self.centre}, width {self.width}, height {self.height}"


def fit_resonance(x: ArrayLike, y: ArrayLike, sigma: ArrayLike | None = None) -> ResonanceFit:
    """Fit a Lorentzian line with offset.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        At least 5 points, with the maximum of y inside or near the range of x.
    sigma : array_like, optional
        Standard deviations of y.

    Raises
    ------
    ValueError
        If there are too few points, they are constant, or show no line within their range: none
        that stands out of the noise (`sigma`, or else what the fit leaves over).
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 5:
        message = (
            f"`x` and `y` must hold at least 5 points each, but have shapes {x.shape}, {y.shape}"
        )
        raise ValueError(message)
    span, swing = float(np.ptp(x)), float(np.ptp(y))
    if span == 0 or swing == 0:
        message = "`x` and `y` must vary for a line to be fitted, but one is constant"
        raise ValueError(message)
    # in units of the ranges: the solver's stopping rules are absolute
    across, up = (x - x.min()) / span, (y - y.min()) / swing
    weights = None if sigma is None else np.asarray(sigma, np.float64) / swing
    start = (float(across[np.argmax(y)]), 0.25, 1.0, 0.0)
    low, high = (-1.0, 1e-3, 0.0, -np.inf), (2.0, 10.0, np.inf, np.inf)
    if len(x) <= _MOST_POINTS:
        _refuse_noise_at_once(across, up, weights)

    with warnings.catch_warnings():
        warnings.simplefilter("error", OptimizeWarning)
        try:
            best, cov = curve_fit(
                _line, across, up, start, sigma=weights, absolute_sigma=sigma is not None,
                bounds=(low, high), jac=_slopes,
            )  # fmt: skip
        except (RuntimeError, OptimizeWarning) as error:
            message = f"the points show no line that can be fitted: {error}"
            raise ValueError(message) from None
    _refuse_noise(up, _line(across, *best), weights)
    units, origins = (span, span, swing, swing), (float(x.min()), 0.0, 0.0, float(y.min()))
    found = [
        Estimate(value=origin + float(value) * unit, sigma=float(error) * unit)
        for value, error, unit, origin in zip(
            best, np.sqrt(np.diag(cov)), units, origins, strict=True
        )
    ]
    centre = found[0].value
    if not x.min() - 0.25 * span <= centre <= x.max() + 0.25 * span:
        message = (
            f"the line must lie within the scanned range {x.min():g} to {x.max():g}, but the fit "
            f"puts it at {centre:g}; scan another range"
        )
        raise ValueError(message)
    return ResonanceFit(centre=found[0], width=found[1], height=found[2], offset=found[3])


def _refuse_noise_at_once(x: Array, y: Array, sigma: Array | None) -> None:
    """Raise ValueError if no line of many stands out of the noise; x goes from 0 to 1.

    A fit then finds none either, but takes fifty times as long, since nothing leads it anywhere.
    """
    places = np.unique(x)
    gaps = np.diff(places)
    between = places[:-1, np.newaxis] + gaps[:, np.newaxis] * np.linspace(0.0, 0.75, 4)
    beside = np.linspace(0.0, 0.3, 7)
    centres = np.concatenate([between.ravel(), 1.0 + beside, -beside])
    widths = np.geomspace(max(0.1 * gaps.min(), 1e-3), 10.0, 20)
    weights = np.ones_like(y) if sigma is None else sigma**-2.0
    mean = weights / weights.sum()
    lines = 1 / (1 + (2 * (x - centres[:, np.newaxis, np.newaxis]) / widths[:, np.newaxis]) ** 2)
    lines -= (lines @ mean)[..., np.newaxis]
    rest = y - mean @ y
    overlap = np.maximum(lines @ (weights * rest), 0.0)  # heights are positive
    flat = float(weights @ rest**2)
    gain = _BETTER * float(np.max(overlap**2 / (lines**2 @ weights)))
    _refuse_gain(min(gain, flat), flat, len(y), known=sigma is not None)


def _refuse_noise(y: Array, fitted: Array, sigma: Array | None) -> None:
    """Raise ValueError if a constant describes the points about as well as the line."""
    weights = np.ones_like(y) if sigma is None else sigma**-2.0
    constant = np.average(y, weights=weights)
    left, flat = (float(np.sum(weights * (y - curve) ** 2)) for curve in (fitted, constant))
    _refuse_gain(flat - left, flat, len(y), known=sigma is not None)


def _refuse_gain(gain: float, flat: float, points: int, *, known: bool) -> None:
    """Raise ValueError if χ² is lowered too little against that of a constant, `flat`.

    `known` tells whether the standard deviations are, or else are estimated.
    """
    noise = 1.0 if known else (flat - gain) / max(points - 4, 1)
    if gain < LEAST_GAIN * noise:
        message = (
            "the points show no line beyond their noise: it lowers χ² by "
            f"{gain / noise:.1f} against a constant, but must by {LEAST_GAIN:g}"
        )
        raise ValueError(message)


def _line(x: Array, centre: float, width: float, height: float, offset: float) -> Array:
    return np.asarray(offset + height / (1 + (2 * (x - centre) / width) ** 2))


def _slopes(x: Array, centre: float, width: float, height: float, _offset: float) -> Array:
    """Return the derivatives of `_line` by centre, width, height and offset, shape (n, 4)."""
    detuning = 2 * (x - centre) / width
    shape = 1 / (1 + detuning**2)
    by_width = 2 * height * detuning**2 * shape**2 / width
    by_centre = 4 * height * detuning * shape**2 / width
    return np.stack([by_centre, by_width, shape, np.ones_like(x)], axis=1)
