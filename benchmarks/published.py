"""The published estimator on a fixed grid of R_m: fast enough to be looked at 100,000 times."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_simpson
from scipy.interpolate import PchipInterpolator

from analysis.correlation import LEVEL, GammaPosterior
from analysis.counts_file import WitnessCounts
from analysis.witness.cells import accidentals
from analysis.witness.distribution import RatioDistribution

Array = NDArray[np.float64]

_TAIL = np.geomspace(2.0, 1e3, 31)[1:]
GRID = np.concatenate(
    [-_TAIL[::-1], np.linspace(-2.0, 0.0, 10, endpoint=False), np.linspace(0.0, 2.0, 101), _TAIL]
)
"""Values of R_m, every 0.02 where separable states of many counts lie, and 1 among them."""
_FINE = np.interp(np.linspace(0.0, 1.0, 20 * GRID.size), np.linspace(0.0, 1.0, GRID.size), GRID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Symmetrised R_m as published: 16 % and 84 % quantiles, and the probability below 1."""

    low: float
    high: float
    confidence: float


def published(counts: WitnessCounts) -> Published:
    """Return what `analysis.witness.witness` says of R_m(sym), from densities on `GRID`."""
    density = np.ones_like(GRID)
    for herald in (1, 2):
        pairs = (f"r1p{herald}", f"r2p{herald}")
        density = density * _density(
            tuple(counts.coincidences[pair] for pair in pairs),
            tuple(accidentals(counts, pair) for pair in pairs),
        )
    below = cumulative_simpson(density, x=GRID, initial=0.0)
    below /= below[-1]
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.interp([tail, 1.0 - tail], PchipInterpolator(GRID, below)(_FINE), _FINE)
    return Published(
        low=float(low), high=float(high), confidence=float(np.interp(1.0, GRID, below))
    )


@lru_cache(maxsize=20_000)
def _density(events: tuple[int, ...], exposures: tuple[float, ...]) -> Array:
    a, b = (
        GammaPosterior(events=float(count), exposure=exposure)
        for count, exposure in zip(events, exposures, strict=True)
    )
    return RatioDistribution(a=a, b=b).density(GRID)
