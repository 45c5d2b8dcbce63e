"""Separable states: their border in the plane of mean g², and the bound B of symmetrised R."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.witness.cells import Cells
from analysis.witness.systematics import smallest_ratio, witness_ratio

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


_PER_CROSSTALK = 0.24
_PER_BLINDNESS = 0.7
LARGEST_RATIO = 3.0
"""Largest ratio of the devices for which the bound by it was searched."""
_STEEPEST = 1.0 + math.sqrt(2.0)
_SIGMAS = 3.0


def separable_bound(
    *,
    read_difference: float,
    pump_difference: float = 0.0,
    device_ratio: float | None = None,
    alternated: bool = False,
    even_splitting: bool = False,
    blindness: float = 0.0,
    cross_blindness: float = 0.0,
    crosstalk: float = 0.0,
    gain: float = 0.0,
    jitter: float = 0.0,
    same: float = 1.2,
) -> float:
    """Return B: separable states have R >= B.

    With ρ = κ(1 + dp/2)/(1 - dp/2), h = [(1+ρ) + √((1+ρ)² + 4ρ)]/(2ρ) and
    q = (ρ-1)h/(1 + (1+ρ)h), B is the smallest (1 - q d/2)/(1 - d²/4) over 0 <= d <= dr, less what
    undetected faults of detectors and electronics may lower R. With θ and θ + π in turn, or where
    κ is unknown, B = 1/(1 + dr/2). In turn, at an even splitting and κ <= 3, B is the
    larger of both: what holds at θ and at θ + π holds for the mean of both, because c*(s) is
    concave. In turn crosstalk, (s, c) + δ, cannot lower R as c* is steeper than 1; blindness counts
    as at θ alone unless `blindness_cancels`, and jitter multiplies s and c alike. At θ alone a gain
    of crossed coincidences multiplies c.

    Parameters
    ----------
    read_difference, pump_difference : float
        Largest relative differences dr, dp of the fluxes of both arms, below 2.
    device_ratio : float, optional
        κ >= 1, ratio of both devices' g² - 1.
    alternated : bool
        Whether θ and θ + π were taken in turn.
    even_splitting : bool
        Whether the combiner is known to be within 0.02 of 50:50.
    blindness, cross_blindness, crosstalk, gain, jitter : float
        Upper limits of faults, see `analysis.witness.laser_light.FaultLimits`; blindness is 0
        where it cancels.
    same : float
        Upper limit of the mean g² of the low cells: blindness lowers R by more at a larger one.

    Raises
    ------
    ValueError
        If a value is outside its range.
    """
    for name, value in (("read", read_difference), ("pump", pump_difference)):
        if not 0.0 <= value < 2.0:
            message = f"`{name}_difference` must be at least 0 and below 2, but is {value}"
            raise ValueError(message)
    if device_ratio is not None and not 1.0 <= device_ratio < math.inf:
        message = f"`device_ratio` must be at least 1 and finite, but is {device_ratio}"
        raise ValueError(message)
    limits = (blindness, cross_blindness, crosstalk, gain, jitter)
    if not all(limit >= 0.0 for limit in limits):
        message = f"upper limits of faults must not be negative, but are {limits}"
        raise ValueError(message)
    plain = 1.0 / (1.0 + read_difference / 2.0)
    bound, slopes = plain, _Slopes.at(same)
    if device_ratio is not None:
        by_ratio = _bound_of_ratio(read_difference, pump_difference, device_ratio)
        if not alternated:
            bound = by_ratio
        elif even_splitting and device_ratio <= LARGEST_RATIO:
            bound = max(plain, by_ratio)
    if alternated:
        lost = max(blindness, cross_blindness)
        return bound - slopes.loss * lost - slopes.jitter * jitter
    return bound - slopes.loss * blindness - slopes.gain * gain - _PER_CROSSTALK * crosstalk


def blindness_cancels(cells: Cells) -> tuple[bool, bool]:
    """Tell whether missing coincidences of the same detector, of crossed ones, can only raise R.

    Detectors that are blind after a click take b s from the same-detector cell of a herald at θ,
    where it is low, and b c from the one at θ + π, where it is high. Separable means obey
    c <= c*(s), and c* is concave with its steepest slope 1 + √2 at s = 1: R cannot fall below 1 as
    long as c(θ + π) > (1 + √2) s(θ) for each herald, which is demanded by 3 standard deviations. It
    is otherwise if noise comes at one phase only. The same holds with g² - 1 instead of g² where
    afterpulses replace what is lost, and for blindness to the other detector's clicks with θ and
    θ + π exchanged.
    """
    if cells.low.shape[1] < 2 or not cells.complete:
        return False, False
    return _cancels(cells, 0), _cancels(cells, 1)


def _cancels(cells: Cells, turn: int) -> bool:
    """Compare the low cells of one turn with the high cells of the same detectors in the other."""
    low, low_expected = cells.low[:, turn], cells.low_accidentals[:, turn]
    high, high_expected = cells.high[:, 1 - turn], cells.high_accidentals[:, 1 - turn]
    margin = high / high_expected - _STEEPEST * low / low_expected
    variance = (high + 1.0) / high_expected**2 + _STEEPEST**2 * (low + 1.0) / low_expected**2
    return bool((margin >= _SIGMAS * np.sqrt(variance)).all())


def _bound_of_ratio(read_difference: float, pump_difference: float, device_ratio: float) -> float:
    rho = device_ratio * (1.0 + pump_difference / 2.0) / (1.0 - pump_difference / 2.0)
    h = ((1.0 + rho) + math.sqrt((1.0 + rho) ** 2 + 4.0 * rho)) / (2.0 * rho)
    q = (rho - 1.0) * h / (1.0 + (1.0 + rho) * h)
    return smallest_ratio(read_difference, -q / 2.0)


@dataclass(frozen=True, slots=True)
class _Slopes:
    """How much R falls on the boundary of separable states, per relative change.

    Attributes
    ----------
    loss, gain, jitter : float
        Of lost low, of gained high coincidences, of a gain of both: s dR/ds, -c dR/dc, and the
        second less the first.
    """

    loss: float
    gain: float
    jitter: float

    @classmethod
    def at(cls, same: float) -> "_Slopes":
        s = max(same, 1.0)
        c = float(largest_separable(s))
        by_s = s * (4.0 / (c - s) ** 2 + 2.0 / (c - s))
        by_c = c * (2.0 / (c - s) - 4.0 / (c - s) ** 2)
        return cls(loss=max(_PER_BLINDNESS, by_s), gain=by_c, jitter=by_c - by_s)
