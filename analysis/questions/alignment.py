"""Delays of single detectors, found from arrival times."""

import numpy as np

from analysis.binomial import Interval
from analysis.correlation import LEVEL
from analysis.counts import Counts


def delays_between(counts: Counts, gate: str, level: float = LEVEL) -> dict[int, Interval]:
    """Find by how much each detector's clicks in a gate come before those of the latest detector.

    The mean arrival time of each detector from the histogram, whose bins are taken at their middle;
    the interval is that of the difference of two means (normal). The pulse must lie well inside the
    gate for all detectors, with the same shape and the same share of background.

    Parameters
    ----------
    counts : Counts
    gate : str
    level : float

    Returns
    -------
    dict of int to Interval
        Seconds to add to each detector's clicks, ≥ 0 at the best value.

    Raises
    ------
    KeyError
        If there is no such gate.
    ValueError
        If a detector has fewer than two clicks in the gate.
    """
    from scipy import special

    edges, clicks = counts.arrivals(gate)
    middle = (edges[:-1] + edges[1:]) / 2
    number = clicks.sum(axis=1)
    detectors = list(counts.gates.detectors)
    if number.min() < 2:
        message = (
            f"delays need two clicks of each detector in gate {gate}, but detector "
            f"{detectors[int(number.argmin())]} has {number.min()}"
        )
        raise ValueError(message)
    mean = clicks @ middle / number
    variance = (clicks * (middle - mean[:, None]) ** 2).sum(axis=1) / (number - 1) / number
    variance += np.diff(edges).max() ** 2 / 12 / number
    latest = int(mean.argmax())
    half = float(special.ndtri((1 + level) / 2)) * np.sqrt(variance + variance[latest])
    half[latest] = 0.0
    return {
        detector: Interval(value=float(d), low=float(d - h), high=float(d + h), level=level)
        for detector, d, h in zip(detectors, mean[latest] - mean, half, strict=True)
    }
