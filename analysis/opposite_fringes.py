"""Phase and contrast of two fringes of opposite sign that share their mean."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.separable_fit import Estimate

Array = NDArray[np.float64]

_STEPS = 60
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class OppositeFringes:
    """g² = 1 + h [1 ± V cos(φ − φ_0)] of different (+) and of the same (−) detectors.

    Attributes
    ----------
    height : float
        h.
    contrast : Estimate
        V.
    phase : Estimate
        φ_0, rad in (−π, π].
    """

    height: float
    contrast: Estimate
    phase: Estimate


def fit_opposite_fringes(
    phase: ArrayLike,
    crossed: tuple[ArrayLike, ArrayLike],
    same: tuple[ArrayLike, ArrayLike],
) -> OppositeFringes:
    """Fit events of both kinds of pairs by maximum likelihood, Poisson with mean g² · exposure.

    Linear in h, hV cos φ_0 and hV sin φ_0, hence concave: Fisher scoring, with half steps where
    it overshoots. Exact for a 50:50 coupler: the same detectors then miss what different ones have.

    Parameters
    ----------
    phase : array_like, shape (n,)
        Where it was measured, rad; at least two, not half a period apart.
    crossed, same : tuple of two array_like, shape (n,)
        Events, and events expected at g² = 1.

    Raises
    ------
    ValueError
        If there are too few phases or events to determine a phase.
    """
    phase = np.asarray(phase, np.float64)
    one, wave = np.ones_like(phase), np.stack([np.cos(phase), np.sin(phase)])
    design = np.concatenate([[one, *wave], [one, *-wave]], axis=1).T
    events, exposure = (
        np.concatenate([np.asarray(crossed[n], float), np.asarray(same[n], float)]) for n in (0, 1)
    )
    if np.linalg.matrix_rank(design) < 3 or not (np.all(exposure > 0) and events.sum() > 0):
        message = "`phase` must hold two phases that are not half a period apart, with events"
        raise ValueError(message)
    slopes = design * exposure[:, None]
    found = np.array([max(events.sum() / exposure.sum() - 1, 0.1), 0.0, 0.0])
    for _ in range(_STEPS):
        mean = _mean(found, slopes, exposure)
        fisher = (slopes / mean[:, None]).T @ slopes
        step = np.linalg.solve(fisher, slopes.T @ (events / mean - 1))
        part, now = 1.0, _log_likelihood(found, slopes, exposure, events)
        while _log_likelihood(found + part * step, slopes, exposure, events) < now and part > 1e-6:
            part /= 2
        found = found + part * step
        if np.abs(part * step).max() < 1e-10 * max(abs(found[0]), 1e-3):
            break
    covariance = np.linalg.inv((slopes / _mean(found, slopes, exposure)[:, None]).T @ slopes)
    return _told(found, covariance)


def _told(found: Array, covariance: Array) -> OppositeFringes:
    height, x, y = (float(value) for value in found)
    size = float(np.hypot(x, y))
    if not (height > 0 and size > 0):
        message = "the events must stand above accidentals and show a fringe, but do not"
        raise ValueError(message)
    turn = np.array([0.0, -y, x]) / size**2
    stretch = np.array([-size / height, x / size, y / size]) / height
    sigma = float(np.sqrt(stretch @ covariance @ stretch))
    return OppositeFringes(
        height=height,
        contrast=Estimate(value=size / height, sigma=sigma),
        phase=Estimate(
            value=float(np.arctan2(y, x)), sigma=float(np.sqrt(turn @ covariance @ turn))
        ),
    )


def _mean(found: Array, slopes: Array, exposure: Array) -> Array:
    return np.maximum(exposure + slopes @ found, _FLOOR * exposure)


def _log_likelihood(found: Array, slopes: Array, exposure: Array, events: Array) -> float:
    mean = _mean(found, slopes, exposure)
    return float(np.sum(events * np.log(mean) - mean))
