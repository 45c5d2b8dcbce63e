"""Which points of a long series to draw: no excursion is lost, however long the run is."""

import numpy as np
from numpy.typing import NDArray

MANY = 400
"""Of a longer series about so many points are drawn."""

_TAIL = 128
"""The stretch that grows is drawn as at most about twice so many points."""


def thinned(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the indices to draw: first, last, and the lowest and highest of every stretch.

    Stretches are a power of two long and begin at fixed places, so that a series that grows keeps
    the points it has: only the newest are sent to a browser.
    """
    size = len(values)
    if size <= MANY:
        return np.arange(size)
    stride = 1
    while 2 * size > stride * MANY:
        stride *= 2
    whole = size // stride * stride
    fine = max(1, stride // _TAIL)
    end = whole + (size - whole) // fine * fine
    kept = [
        np.array([0]), _extremes(values, 0, whole, stride), _extremes(values, whole, end, fine),
        np.arange(end, size), np.array([size - 1]),
    ]  # fmt: skip
    return np.unique(np.concatenate(kept))


def _extremes(values: NDArray[np.float64], start: int, stop: int, stride: int) -> NDArray[np.intp]:
    """Return where each stretch has its lowest and its highest value."""
    rows = values[start:stop].reshape(-1, stride)
    first = start + stride * np.arange(len(rows))
    return np.concatenate([first + rows.argmin(axis=1), first + rows.argmax(axis=1)])
