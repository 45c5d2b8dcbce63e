"""Click probabilities of a setting, fast: singles and pump-read pairs in closed form.

A pair of thermal modes needs no determinants. With n the mean photons of p_j and r_i, dark their
dark clicks, m = ⟨p_j r_i⟩ and D = (1 + n_p)(1 + n_r),

    P(p_j r_i) = P(p_j) P(r_i) + (1 − dark_p)(1 − dark_r) |m|² / (D (D − |m|²)),
    P(p_j) = (n_p + dark_p)/(1 + n_p),

exact and without cancellation (it is `click_probabilities`, to rounding). Clicks of p1 and p2, or
r1 and r2, together are left out: so memory of the detectors enters to first order in them.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.inference.setting import Setting, Settings, parameters_at
from simulation.theory.dlcz import DLCZParameters, PairClicks, fringe_phase
from simulation.theory.dlcz.state import device_moments

Real = NDArray[np.float64]

CELLS = ("p1", "p2", "r1", "r2")
"""Order of singles."""


def pair_marginals(parameters: DLCZParameters) -> PairClicks:
    """Return singles and coincidences by the closed form; see the module.

    Raises
    ------
    ValueError
        If coherent light leaks: then pairs are not thermal (`click_probabilities` is exact).
    """
    if np.any(parameters.per_detector("coherent_read")):
        message = "`coherent_read` must be 0 for the closed form; use `pair_clicks`"
        raise ValueError(message)
    device = device_moments(parameters)
    eta, p_read = parameters.per_device("eta"), parameters.per_device("p_read")
    detector, dark = parameters.per_detector("eta"), parameters.per_detector("dark")
    through = np.asarray(parameters.splitting)[..., None]
    pump = detector * _mixed(eta * device.stokes, through)
    read = detector * _mixed(eta * p_read * device.mechanics, through)
    n = np.concatenate(
        np.broadcast_arrays(
            pump + parameters.per_detector("leak_pump"),
            read + parameters.per_detector("leak_read"),
        ),
        -1,
    )
    darks = np.concatenate([dark, dark], -1)
    singles = (n + darks) / (1 + n)
    cross = np.abs(device.stokes_mechanics) * np.sqrt(p_read) * eta
    lost = parameters.lost_interference[..., None, None]
    whole = _squares(cross, detector, through[..., 0], np.cos(fringe_phase(parameters)))
    turned = _squares(cross, detector, through[..., 0], -np.cos(fringe_phase(parameters)))
    silent = (1 - dark)[..., :, None] * (1 - dark)[..., None, :]
    vacuum = (1 + n[..., 2:, None]) * (1 + n[..., None, :2])
    joint = [silent * square / (vacuum * (vacuum - square)) for square in (whole, turned)]
    correlated = (1 - lost / 2) * joint[0] + lost / 2 * joint[1]
    pairs = singles[..., 2:, None] * singles[..., None, :2] + correlated
    return _remembered(PairClicks(singles=singles, coincidences=pairs), parameters)


def probabilities(
    values: Mapping[str, ArrayLike], setting: Setting | Settings, *, reference_delay: float
) -> PairClicks:
    """Return clicks per trial of a setting, or of m settings, for values of shape (n,)."""
    return pair_marginals(parameters_at(values, setting, reference_delay=reference_delay))


def laser_coincidences(values: Mapping[str, ArrayLike], singles: Real) -> Real:
    """Return coincidences per trial of uncorrelated light with these singles, element [i, j].

    Only the detectors' memory makes them differ from accidental ones.

    Parameters
    ----------
    values : mapping
        With afterpulse, blindness, crosstalk, each of shape (n,).
    singles : ndarray, shape (4,)
        Measured clicks per trial.
    """
    after, blind, cross = (
        np.asarray(values.get(name, 0.0), np.float64)
        for name in ("afterpulse", "blindness", "crosstalk")
    )
    found = np.empty((*np.broadcast_shapes(after.shape, blind.shape, cross.shape), 2, 2))
    for i in (0, 1):
        own, other = singles[i], singles[1 - i]
        unseen = (singles[2 + i] - after * own - cross * other) / (
            1 - (after + blind) * own - cross * other
        )
        found[..., i, i] = own * (unseen * (1 - blind * (1 - after)) + (1 - unseen) * after)
        found[..., i, 1 - i] = other * (unseen + (1 - unseen) * cross)
    return found


def _squares(cross: Real, detector: Real, through: Real, cosine: Real) -> Real:
    """|⟨p_j r_i⟩|², element [i, j], on a coupler whose reflection is a quarter period late."""
    a, b = cross[..., 0], cross[..., 1]
    mixed = through * (1 - through) * (a**2 + b**2 + 2 * a * b * cosine)
    first = (through * a) ** 2 + ((1 - through) * b) ** 2
    second = ((1 - through) * a) ** 2 + (through * b) ** 2
    both = 2 * through * (1 - through) * a * b * cosine
    square = np.empty((*np.shape(mixed), 2, 2))
    square[..., 0, 0], square[..., 1, 1] = first - both, second - both
    square[..., 0, 1] = square[..., 1, 0] = mixed
    return np.asarray(square * detector[..., :, None] * detector[..., None, :])


def _mixed(arms: Real, through: Real) -> Real:
    """Return photons at detectors 1, 2 for those of arms A, B; shape (..., 2)."""
    return np.asarray(through * arms + (1 - through) * arms[..., ::-1])


def _remembered(light: PairClicks, parameters: DLCZParameters) -> PairClicks:
    """Let a pump click blind, or falsely excite, a detector in the read gate."""
    after, blind, cross = (
        np.asarray(value)[..., None]
        for value in (parameters.afterpulse, parameters.blindness, parameters.crosstalk)
    )
    if not (np.any(after) or np.any(blind) or np.any(cross)):
        return light
    pump, read = light.singles[..., :2], light.singles[..., 2:]
    pairs = light.coincidences
    own = np.stack([pairs[..., 0, 0], pairs[..., 1, 1]], -1)
    other = np.stack([pairs[..., 0, 1], pairs[..., 1, 0]], -1)
    missed = own * blind * (1 - after)
    false, crossed = (pump - own) * after, (pump[..., ::-1] - other) * cross
    own, other = own - missed + false, other + crossed
    rows = [np.stack([own[..., 0], other[..., 0]], -1), np.stack([other[..., 1], own[..., 1]], -1)]
    singles = np.concatenate([pump, read - missed + false + crossed], -1)
    return PairClicks(singles=singles, coincidences=np.stack(rows, -2))
