"""What a detector's click does to later ones: recovery, afterpulses, crosstalk."""

from dataclasses import replace
from math import exp

import numpy as np
from numpy.typing import NDArray

from simulation.lab.emission import DetectorClicks
from simulation.lab.world_parameters import WorldParameters

Real = NDArray[np.float64]

_RECOVERED = 20.0
"""Recovery times after which nothing is missed any more."""


def remembered(
    clicks: DetectorClicks, parameters: WorldParameters, rng: np.random.Generator
) -> DetectorClicks:
    """Return the clicks less those missed by recovering detectors, and the false ones they make.

    A detector misses a photon a time t after its last click with probability
    e^{−(t − dead time)/recovery_time}. False clicks are not missed, and make no further ones.
    """
    if any(parameters.recovery_time):
        clicks = _recovering(clicks, parameters, rng)
    if not any((*parameters.afterpulse, *parameters.crosstalk)):
        return clicks
    return DetectorClicks.joined([clicks, _false(clicks, parameters, rng)])


def remembered_rates(rates: Real, parameters: WorldParameters) -> Real:
    """Return clicks per s with the false ones."""
    after, across = np.array(parameters.afterpulse), np.array(parameters.crosstalk)
    return np.asarray(rates * (1 + after) + rates[::-1] * across)


def _false(
    clicks: DetectorClicks, parameters: WorldParameters, rng: np.random.Generator
) -> DetectorClicks:
    """Afterpulses and crosstalk of these clicks."""
    number = len(clicks.trial)
    own, other = clicks.detector, 1 - clicks.detector
    after = rng.random(number) < np.array(parameters.afterpulse)[own]
    across = rng.random(number) < np.array(parameters.crosstalk)[other]
    wait = rng.exponential(parameters.afterpulse_time, int(after.sum()))
    time = np.concatenate(
        [
            clicks.time[after] + parameters.detector_dead_time + wait,
            clicks.time[across] + parameters.crosstalk_lag,
        ]
    )
    later = np.floor(time / parameters.period)
    trial = np.concatenate([clicks.trial[after], clicks.trial[across]])
    return DetectorClicks(
        trial=trial + later.astype(np.int64),
        time=time - later * parameters.period,
        detector=np.concatenate([own[after], other[across]]).astype(np.uint8),
    )


def _recovering(
    clicks: DetectorClicks, parameters: WorldParameters, rng: np.random.Generator
) -> DetectorClicks:
    """Clicks that a detector which has not recovered does not miss."""
    order = np.lexsort((clicks.time, clicks.trial))
    trial, time, detector = clicks.trial[order], clicks.time[order], clicks.detector[order]
    alive = np.ones(len(order), np.bool_)
    for number, recovery in enumerate(parameters.recovery_time):
        if recovery == 0:
            continue
        mine = np.flatnonzero(detector == number)
        since = np.diff(trial[mine]) * parameters.period + np.diff(time[mine])
        last, gap = 0, 0.0
        near = np.flatnonzero(since < parameters.detector_dead_time + _RECOVERED * recovery)
        for index in near.tolist():
            gap = gap + since[index] if last == index and not alive[mine[index]] else since[index]
            blind = exp(-max(gap - parameters.detector_dead_time, 0.0) / recovery)
            alive[mine[index + 1]] = rng.random() >= blind
            last = index + 1
    return replace(clicks, trial=trial[alive], time=time[alive], detector=detector[alive])
