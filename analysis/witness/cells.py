"""Coincidences and accidentals by herald, sorted into low and high cells."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.counts_file import WitnessCounts

Array = NDArray[np.float64]

_SAME = ("r1p1", "r2p2")
_CROSSED = ("r2p1", "r1p2")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """What the witness needs of one block: coincidences C and accidentals Λ = n_read n_pump/N.

    Low cells are those of the same detector at the phase θ and of crossed detectors at θ + π;
    high cells are the others.

    Attributes
    ----------
    low, high : ndarray, shape (2, k)
        Coincidences by herald and setting (k = 1, or 2 with θ + π).
    low_accidentals, high_accidentals : ndarray, shape (2, k)
        Expected at g² = 1.
    """

    low: Array
    high: Array
    low_accidentals: Array
    high_accidentals: Array

    @property
    def n(self) -> int:
        """Number of low cells: 2, or 4 with θ + π."""
        return self.low.size

    @property
    def complete(self) -> bool:
        """Whether every cell expects accidentals, so that every g² is defined."""
        return bool((self.low_accidentals > 0.0).all() and (self.high_accidentals > 0.0).all())

    @property
    def by_herald(self) -> Array:
        """Coincidences of each herald, shape (2,)."""
        return np.asarray((self.low + self.high).sum(axis=1))

    @property
    def s(self) -> float:
        """Mean g² of the low cells."""
        return float((self.low / self.low_accidentals).mean())

    @property
    def c(self) -> float:
        """Mean g² of the high cells."""
        return float((self.high / self.high_accidentals).mean())


def cells_of(theta: WitnessCounts, pi: WitnessCounts | None = None) -> Cells:
    """Sort the counts of one block.

    Parameters
    ----------
    theta : WitnessCounts
        At the phase θ, where crossed coincidences are the more frequent.
    pi : WitnessCounts, optional
        At θ + π, taken in turn with θ.
    """
    settings = [(theta, _SAME, _CROSSED)]
    if pi is not None:
        settings.append((pi, _CROSSED, _SAME))
    low = [[_cell(counts, pair) for pair in names] for counts, names, _ in settings]
    high = [[_cell(counts, pair) for pair in names] for counts, _, names in settings]
    low_array, high_array = np.array(low, float).T, np.array(high, float).T
    return Cells(
        low=low_array[0],
        low_accidentals=low_array[1],
        high=high_array[0],
        high_accidentals=high_array[1],
    )


def sum_of_cells(blocks: Iterable[Cells]) -> Cells:
    """Add coincidences and accidentals of blocks: Λ is computed per block, then summed.

    Raises
    ------
    ValueError
        If there are no blocks, or some have θ + π and some have not.
    """
    blocks = list(blocks)
    if not blocks:
        message = "`blocks` must hold at least one block, but is empty"
        raise ValueError(message)
    same_settings(blocks)
    return Cells(
        low=np.sum([block.low for block in blocks], axis=0),
        high=np.sum([block.high for block in blocks], axis=0),
        low_accidentals=np.sum([block.low_accidentals for block in blocks], axis=0),
        high_accidentals=np.sum([block.high_accidentals for block in blocks], axis=0),
    )


def same_settings(blocks: Iterable[Cells]) -> None:
    """Check that all blocks have θ + π, or none.

    Raises
    ------
    ValueError
        If not.
    """
    kinds = {block.n for block in blocks}
    if len(kinds) > 1:
        message = "all blocks must be taken at θ and θ + π, or all at θ, but some are of each kind"
        raise ValueError(message)


def accidentals(counts: WitnessCounts, pair: str) -> float:
    """Return Λ of the pair r{i}p{j}: n_read n_pump / N."""
    return counts.read[int(pair[1]) - 1] * counts.pump[int(pair[3]) - 1] / counts.trials


def _cell(counts: WitnessCounts, pair: str) -> tuple[float, float]:
    return float(counts.coincidences[pair]), accidentals(counts, pair)
