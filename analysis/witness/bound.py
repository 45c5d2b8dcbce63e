"""Bound B that the symmetrised R of separable states obeys, given the set-up's imperfections."""

import math

import numpy as np

from analysis.witness.cells import Cells
from analysis.witness.separable import largest_separable
from analysis.witness.systematics import smallest_ratio

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
    crosstalk: float = 0.0,
    same: float = 1.2,
) -> float:
    """Return B: separable states have R >= B.

    With ρ = κ(1 + dp/2)/(1 - dp/2), h = [(1+ρ) + √((1+ρ)² + 4ρ)]/(2ρ) and
    q = (ρ-1)h/(1 + (1+ρ)h), B is the smallest (1 - q d/2)/(1 - d²/4) over 0 <= d <= dr, less what
    undetected blindness and crosstalk may lower R. With θ and θ + π in turn, or where κ is unknown,
    B = 1/(1 + dr/2). In turn, at an even splitting and κ <= 3, B is the larger of both: what holds
    at θ and at θ + π holds for the mean of both, because c*(s) is concave. In turn crosstalk,
    (s, c) + δ, cannot lower R as c* is steeper than 1, nor can blindness where
    `blindness_cancels`; else it counts as at θ alone.

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
    blindness : float
        Upper limit of the relative loss of same-detector coincidences.
    crosstalk : float
        Upper limit of extra crossed coincidences, in units of the accidentals.
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
    if not (blindness >= 0.0 and crosstalk >= 0.0):
        message = f"upper limits must not be negative, but are {blindness} and {crosstalk}"
        raise ValueError(message)
    plain = 1.0 / (1.0 + read_difference / 2.0)
    if device_ratio is None:
        bound = plain
    else:
        bound = _bound_of_ratio(read_difference, pump_difference, device_ratio)
    if alternated:
        known = even_splitting and device_ratio is not None and device_ratio <= LARGEST_RATIO
        return (max(plain, bound) if known else plain) - _per_blindness(same) * blindness
    return bound - _per_blindness(same) * blindness - _PER_CROSSTALK * crosstalk


def blindness_cancels(cells: Cells) -> bool:
    """Tell whether detectors that are blind after a click can only raise R, with θ and θ + π.

    Blindness b takes b s from the same-detector cell of a herald at θ, where it is low, and b c
    from the one at θ + π, where it is high. Separable means obey c <= c*(s), and c* is concave with
    its steepest slope 1 + √2 at s = 1: R cannot fall below 1 as long as c(θ + π) > (1 + √2) s(θ)
    for each herald, which is demanded by 3 standard deviations. It is otherwise if noise comes at
    one phase only.
    """
    if cells.low.shape[1] < 2 or not cells.complete:
        return False
    low, low_expected = cells.low[:, 0], cells.low_accidentals[:, 0]
    high, high_expected = cells.high[:, 1], cells.high_accidentals[:, 1]
    margin = high / high_expected - _STEEPEST * low / low_expected
    variance = (high + 1.0) / high_expected**2 + _STEEPEST**2 * (low + 1.0) / low_expected**2
    return bool((margin >= _SIGMAS * np.sqrt(variance)).all())


def _bound_of_ratio(read_difference: float, pump_difference: float, device_ratio: float) -> float:
    rho = device_ratio * (1.0 + pump_difference / 2.0) / (1.0 - pump_difference / 2.0)
    h = ((1.0 + rho) + math.sqrt((1.0 + rho) ** 2 + 4.0 * rho)) / (2.0 * rho)
    q = (rho - 1.0) * h / (1.0 + (1.0 + rho) * h)
    return smallest_ratio(read_difference, -q / 2.0)


def _per_blindness(same: float) -> float:
    """Return how much R falls per relative loss of low coincidences, s dR/ds on the boundary."""
    s = max(same, 1.0)
    contrast = float(largest_separable(s)) - s
    return max(_PER_BLINDNESS, s * (4.0 / contrast**2 + 2.0 / contrast))
