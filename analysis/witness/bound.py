"""Bound B that the symmetrised R of separable states obeys, given the set-up's imperfections."""

import math

from analysis.witness.separable import largest_separable
from analysis.witness.systematics import smallest_ratio

_PER_CROSSTALK = 0.24
_PER_BLINDNESS = 0.7


def separable_bound(
    *,
    read_difference: float,
    pump_difference: float = 0.0,
    device_ratio: float | None = None,
    alternated: bool = False,
    blindness: float = 0.0,
    crosstalk: float = 0.0,
    same: float = 1.2,
) -> float:
    """Return B: separable states have R >= B.

    With ρ = κ(1 + dp/2)/(1 - dp/2), h = [(1+ρ) + √((1+ρ)² + 4ρ)]/(2ρ) and
    q = (ρ-1)h/(1 + (1+ρ)h), B is the smallest (1 - q d/2)/(1 - d²/4) over 0 <= d <= dr, less what
    undetected blindness and crosstalk may lower R. With θ and θ + π in turn, which cancel both,
    or where κ is unknown, q is replaced by 1: B = 1/(1 + dr/2).

    Parameters
    ----------
    read_difference, pump_difference : float
        Largest relative differences dr, dp of the fluxes of both arms, below 2.
    device_ratio : float, optional
        κ >= 1, ratio of both devices' g² - 1.
    alternated : bool
        Whether θ and θ + π were taken in turn.
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
    if alternated or device_ratio is None:
        bound = 1.0 / (1.0 + read_difference / 2.0)
    else:
        rho = device_ratio * (1.0 + pump_difference / 2.0) / (1.0 - pump_difference / 2.0)
        h = ((1.0 + rho) + math.sqrt((1.0 + rho) ** 2 + 4.0 * rho)) / (2.0 * rho)
        q = (rho - 1.0) * h / (1.0 + (1.0 + rho) * h)
        bound = smallest_ratio(read_difference, -q / 2.0)
    if alternated:
        return bound
    return bound - _per_blindness(same) * blindness - _PER_CROSSTALK * crosstalk


def _per_blindness(same: float) -> float:
    """Return how much R falls per relative loss of low coincidences, s dR/ds on the boundary."""
    s = max(same, 1.0)
    contrast = float(largest_separable(s)) - s
    return max(_PER_BLINDNESS, s * (4.0 / contrast**2 + 2.0 / contrast))
