"""Coincidences and accidentals by herald, sorted into low and high cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.counts_file import WitnessCounts

Array = NDArray[np.float64]

_SAME = ("r1p1", "r2p2")
_CROSSED = ("r2p1", "r1p2")
_ARRAYS = ("low", "high", "low_accidentals", "high_accidentals")


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

    Those of many blocks have an axis of blocks before these.
    """

    low: Array
    high: Array
    low_accidentals: Array
    high_accidentals: Array

    @property
    def n(self) -> int:
        """Number of low cells: 2, or 4 with θ + π."""
        heralds, settings = self.low.shape[-2:]
        return int(heralds * settings)

    def __len__(self) -> int:
        """Blocks, if there is an axis of them."""
        return len(self.low)

    def __getitem__(self, block: int) -> "Cells":
        """Return one of many blocks."""
        return Cells(**{name: getattr(self, name)[block] for name in _ARRAYS})

    @property
    def total(self) -> "Cells":
        """The sum of many blocks: Λ is computed per block, then summed."""
        return Cells(**{name: getattr(self, name).sum(axis=0) for name in _ARRAYS})

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
    return cells_of_blocks([(theta, pi)])[0]


def cells_of_blocks(blocks: Iterable[tuple[WitnessCounts, WitnessCounts | None]]) -> Cells:
    """Sort the counts of many blocks, each as in `cells_of`; arrays of shape (blocks, 2, k).

    Raises
    ------
    ValueError
        If there are no blocks, or some have θ + π and some have not.
    """
    pairs = list(blocks)
    if not pairs:
        message = "`blocks` must hold at least one block, but is empty"
        raise ValueError(message)
    turned = [pi for _, pi in pairs if pi is not None]
    if len(turned) not in (0, len(pairs)):
        message = "all blocks must be taken at θ and θ + π, or all at θ, but some are of each kind"
        raise ValueError(message)
    same, crossed = _by_herald([theta for theta, _ in pairs])
    low, high = [same], [crossed]
    if turned:
        same, crossed = _by_herald(turned)
        low.append(crossed)
        high.append(same)
    return Cells(
        low=np.stack([counts for counts, _ in low], axis=-1),
        high=np.stack([counts for counts, _ in high], axis=-1),
        low_accidentals=np.stack([expected for _, expected in low], axis=-1),
        high_accidentals=np.stack([expected for _, expected in high], axis=-1),
    )


def _by_herald(blocks: Sequence[WitnessCounts]) -> list[tuple[Array, Array]]:
    """Return coincidences and accidentals of same and of crossed detectors, shape (blocks, 2)."""
    numbers = np.array(
        [
            (b.trials, *b.pump, *b.read, *(b.coincidences[pair] for pair in (*_SAME, *_CROSSED)))
            for b in blocks
        ],
        float,
    )
    trials, pump, read = numbers[:, :1], numbers[:, 1:3], numbers[:, 3:5]
    return [
        (numbers[:, 5:7], expected_pairs(read, pump, trials)),
        (numbers[:, 7:9], expected_pairs(read[:, ::-1], pump, trials)),
    ]


def accidentals(counts: WitnessCounts, pair: str) -> float:
    """Return Λ of the pair r{i}p{j}: n_read n_pump / N."""
    read, pump = counts.read[int(pair[1]) - 1], counts.pump[int(pair[3]) - 1]
    return float(expected_pairs(read, pump, counts.trials))


def expected_pairs(read: ArrayLike, pump: ArrayLike, trials: ArrayLike) -> Array:
    """Return Λ = n_read n_pump / N, of arrays that broadcast."""
    return np.asarray(np.asarray(read) * np.asarray(pump) / np.asarray(trials), float)
