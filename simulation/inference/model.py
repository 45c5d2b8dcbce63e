"""Click probabilities of a setting, fast: singles and pump-read pairs in closed form.

A pair of thermal modes needs no determinants. With n the mean photons of p_j and r_i, dark their
dark clicks, m = ⟨p_j r_i⟩ and D = (1 + n_p)(1 + n_r),

    P(p_j r_i) = P(p_j) P(r_i) + (1 − dark_p)(1 − dark_r) |m|² / (D (D − |m|²)),
    P(p_j) = (n_p + dark_p)/(1 + n_p),

exact and without cancellation (it is `click_probabilities`, to rounding). Clicks of p1 and p2, or
r1 and r2, together are left out: so memory of the detectors enters to first order in them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.inference.setting import Setting, Settings, distinct_parameters, parameters_at
from simulation.theory.dlcz import DLCZParameters, PairClicks, fringe_phase
from simulation.theory.dlcz.parameters import on_last_axis
from simulation.theory.dlcz.state import device_moments

Real = NDArray[np.float64]

CELLS = ("p1", "p2", "r1", "r2")
"""Order of singles."""


SHARES = MappingProxyType(
    {name: f"{name}_share" for name in ("afterpulse", "blindness", "crosstalk")}
)
"""Values that say which part of the detectors' memory is detector 1's; 1/2 where not given.

They are not inferred, but held at 1 or 0 by models that are tried: one detector remembers alone,
and twice as much.
"""


def pair_marginals(
    parameters: DLCZParameters, shares: Mapping[str, ArrayLike] | None = None
) -> PairClicks:
    """Return singles and coincidences by the closed form; see the module.

    Parameters
    ----------
    parameters : DLCZParameters
    shares : mapping, optional
        By the names of `SHARES`.

    Raises
    ------
    ValueError
        If coherent light leaks: then pairs are not thermal (`click_probabilities` is exact).
    """
    if np.any(parameters.per_detector("coherent_read")):
        message = "`coherent_read` must be 0 for the closed form; use `pair_clicks`"
        raise ValueError(message)
    cosine = np.cos(fringe_phase(parameters))
    return _marginals(parameters, cosine, lambda found: found, shares or {})


def probabilities(
    values: Mapping[str, ArrayLike], setting: Setting | Settings, *, reference_delay: float
) -> PairClicks:
    """Return clicks per trial of a setting, or of m settings, for values of shape (n,).

    Of many settings the values are not checked.
    """
    shares = {name: values[name] for name in SHARES.values() if name in values}
    if isinstance(setting, Setting):
        one = parameters_at(values, setting, reference_delay=reference_delay)
        return pair_marginals(one, shares)
    parameters = distinct_parameters(values, setting, reference_delay=reference_delay)

    def spread(found: Real) -> Real:
        """Bring the distinct settings' (u, n, ...), or one for all of them, to all settings."""
        rows = setting.distinct if len(found) > 1 else np.zeros_like(setting.distinct)
        taken = found.transpose((*range(2, found.ndim), 0, 1)).take(rows, axis=-2)
        return taken.transpose((found.ndim - 2, found.ndim - 1, *range(found.ndim - 2)))

    phase = spread(fringe_phase(parameters)) + setting.delta_phi
    return _marginals(parameters, np.cos(phase), spread, shares)


def _marginals(
    parameters: DLCZParameters,
    cosine: Real,
    spread: Callable[[Real], Real],
    shares: Mapping[str, ArrayLike],
) -> PairClicks:
    """Return singles and coincidences.

    Parameters
    ----------
    parameters : DLCZParameters
        Their Δφ does not matter.
    cosine : ndarray, shape (...)
        Of the fringe's phase.
    spread : callable
        Brings what does not depend on that phase to its shape.
    shares : mapping
        See `pair_marginals`.
    """
    device = device_moments(parameters)
    eta, p_read = parameters.per_device("eta"), parameters.per_device("p_read")
    detector, dark = parameters.per_detector("eta"), parameters.per_detector("dark")
    through = np.asarray(parameters.splitting)
    pump = detector * _combined(eta * device.stokes, through)
    read = detector * _combined(eta * p_read * device.mechanics, through)
    pump = pump + parameters.per_detector("leak_pump")
    read = read + parameters.per_detector("leak_read")
    n = on_last_axis(pump[..., 0], pump[..., 1], read[..., 0], read[..., 1])
    darks = on_last_axis(dark[..., 0], dark[..., 1], dark[..., 0], dark[..., 1])
    singles = spread((n + darks) / (1 + n))
    cross = np.abs(device.stokes_mechanics) * np.sqrt(p_read) * eta
    steady, swing, signed = _squares(cross, detector, through)
    silent = spread((1 - dark)[..., :, None] * (1 - dark)[..., None, :])
    vacuum = spread((1 + n[..., 2:, None]) * (1 + n[..., None, :2]))
    steady, swing = spread(steady), (spread(swing) * cosine)[..., None, None] * signed
    joint = [
        silent * square / (vacuum * (vacuum - square))
        for square in (steady + swing, steady - swing)
    ]
    lost = parameters.lost_interference[..., None, None]
    correlated = (1 - lost / 2) * joint[0] + lost / 2 * joint[1]
    pairs = singles[..., 2:, None] * singles[..., None, :2] + correlated
    return _remembered(PairClicks(singles=singles, coincidences=pairs), parameters, shares)


def laser_coincidences(values: Mapping[str, ArrayLike], singles: Real) -> Real:
    """Return coincidences per trial of uncorrelated light with these singles, element [i, j].

    Only the detectors' memory makes them differ from accidental ones.

    Parameters
    ----------
    values : mapping
        With afterpulse, blindness, crosstalk and their `SHARES`, each of shape (n,).
    singles : ndarray, shape (..., 4)
        Measured clicks per trial.

    Returns
    -------
    ndarray, shape (..., n, 2, 2)
    """
    after, blind, cross = (_of_detectors(values.get(name, 0.0), name, values) for name in SHARES)
    draws = max(after.ndim, blind.ndim, cross.ndim) - 1
    measured = singles.reshape((*singles.shape[:-1], *(1 for _ in range(draws)), 4))
    own, other, read = measured[..., :2], measured[..., 1::-1], measured[..., 2:]
    light = read - after * own - cross * other  # none, if there is more memory
    unseen = np.maximum(light, 0.0) / (1 - (after + blind) * own - cross * other)
    same = own * (unseen * (1 - blind * (1 - after)) + (1 - unseen) * after)
    crossed = other * (unseen + (1 - unseen) * cross)
    four = on_last_axis(same[..., 0], crossed[..., 0], crossed[..., 1], same[..., 1])
    return four.reshape(*four.shape[:-1], 2, 2)


def _of_detectors(memory: ArrayLike, name: str, shares: Mapping[str, ArrayLike]) -> Real:
    """Return a memory of detectors 1, 2 on the last axis, which is 1 if both have the same."""
    each = np.asarray(memory, np.float64)[..., None]
    if SHARES[name] not in shares:
        return each
    share = np.asarray(shares[SHARES[name]], np.float64)
    return np.asarray(np.minimum(2 * each * np.stack([share, 1 - share], -1), 1.0))


def _combined(light: Real, through: Real) -> Real:
    """Return what of the light of A and B goes to detectors 1 and 2."""
    a, b = light[..., 0], light[..., 1]
    return on_last_axis(through * a + (1 - through) * b, (1 - through) * a + through * b)


def _squares(cross: Real, detector: Real, through: Real) -> tuple[Real, Real, Real]:
    """|⟨p_j r_i⟩|², element [i, j], on a coupler whose reflection is a quarter period late.

    Three parts, S, s and f, of which S + s f cos θ is made: the second term changes its sign where
    the fringe is turned by π.
    """
    a, b = cross[..., 0], cross[..., 1]
    mixed = through * (1 - through) * (a**2 + b**2)
    first = (through * a) ** 2 + ((1 - through) * b) ** 2
    second = ((1 - through) * a) ** 2 + (through * b) ** 2
    both = 2 * through * (1 - through) * a * b
    seen = detector[..., 0] ** 2, detector[..., 0] * detector[..., 1], detector[..., 1] ** 2
    steady = _square(first, mixed, second) * _square(*seen)
    return steady, both, _square(-seen[0], seen[1], -seen[2])


def _square(first: Real, mixed: Real, second: Real) -> Real:
    """Return symmetric matrices, shape (..., 2, 2)."""
    four = on_last_axis(first, mixed, mixed, second)
    return four.reshape(*four.shape[:-1], 2, 2)


def _remembered(
    light: PairClicks, parameters: DLCZParameters, shares: Mapping[str, ArrayLike]
) -> PairClicks:
    """Let a pump click blind, or falsely excite, a detector in the read gate."""
    after, blind, cross = (
        _of_detectors(getattr(parameters, name), name, shares) for name in SHARES
    )
    if not (np.any(after) or np.any(blind) or np.any(cross)):
        return light
    pump, read = light.singles[..., :2], light.singles[..., 2:]
    pairs = light.coincidences
    own = on_last_axis(pairs[..., 0, 0], pairs[..., 1, 1])
    other = on_last_axis(pairs[..., 0, 1], pairs[..., 1, 0])
    missed = own * blind * (1 - after)
    false, crossed = (pump - own) * after, (pump[..., ::-1] - other) * cross
    own, other = own - missed + false, other + crossed
    four = on_last_axis(own[..., 0], other[..., 0], other[..., 1], own[..., 1])
    read = read - missed + false + crossed
    return PairClicks(
        singles=on_last_axis(pump[..., 0], pump[..., 1], read[..., 0], read[..., 1]),
        coincidences=four.reshape(*four.shape[:-1], 2, 2),
    )
