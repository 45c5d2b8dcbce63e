"""Which cells clicked together in a trial: three-fold coincidences and full patterns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.counting.count import plan_for
from analysis.counting.report import report_counts
from analysis.counting.sparse import SparseCounter
from analysis.counting.tally import Plan, Tally
from analysis.counts import Counts
from analysis.gates import GateSet
from analysis.tagfile import TagSource, open_tags

Cell = tuple[str, int]

MOST_CELLS = 62
"""Most cells whose pattern fits into an integer."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patterns:
    """Counts of a recording, and the trials of each pattern of two or more cells.

    Attributes
    ----------
    counts : Counts
    several : Mapping[frozenset of (gate, detector), int]
        Trials in which exactly these cells clicked, two at least.
    """

    counts: Counts
    several: Mapping[frozenset[Cell], int]

    def __add__(self, other: "Patterns") -> "Patterns":
        keys = set(self.several) | set(other.several)
        return Patterns(
            counts=self.counts + other.counts,
            several={key: self.several.get(key, 0) + other.several.get(key, 0) for key in keys},
        )

    def all_of(self, *cells: Cell) -> int:
        """Return the trials in which all these cells clicked, whatever the others did.

        Raises
        ------
        KeyError
            If there is no such gate or detector.
        """
        if len(cells) == 1:
            return self.counts.single(*cells[0])
        wanted = self._known(cells)
        return sum(number for found, number in self.several.items() if wanted <= found)

    def exactly(self, *cells: Cell) -> int:
        """Return the trials in which these cells clicked and no other.

        Raises
        ------
        KeyError
            If there is no such gate or detector.
        """
        wanted = self._known(cells)
        if len(cells) > 1:
            return self.several.get(wanted, 0)
        beside = sum(number for found, number in self.several.items() if wanted <= found)
        return self.counts.single(*cells[0]) - beside

    def _known(self, cells: Iterable[Cell]) -> frozenset[Cell]:
        wanted = frozenset(cells)
        for gate, detector in wanted:
            self.counts.single(gate, detector)
        return wanted


def count_patterns(path: str | Path | TagSource, gates: GateSet) -> Patterns:
    """Count clicks, coincidences and the patterns of cells of one tag file.

    Parameters
    ----------
    path : path or open source
    gates : GateSet

    Returns
    -------
    Patterns

    Raises
    ------
    TagFileError
        If the file cannot be read.
    ValueError
        If the gates do not fit the file.
    """
    if len(gates.cells) > MOST_CELLS:
        message = (
            f"patterns are counted of at most {MOST_CELLS} cells, but gates × detectors are "
            f"{len(gates.gates)} × {len(gates.detectors)}; leave out what is not asked for"
        )
        raise ValueError(message)
    source, plan = plan_for(path if isinstance(path, TagSource) else open_tags(path), gates)
    tally = Tally.empty(plan)
    counter = _PatternCounter(plan, tally)
    for block in source.blocks(0, source.n_records):
        counter.count(block)
    counter.finish()
    return Patterns(
        counts=report_counts(source, plan, tally, final=True),
        several={
            frozenset(cell for k, cell in enumerate(gates.cells) if bits >> k & 1): number
            for bits, number in counter.patterns.items()
        },
    )


class _PatternCounter(SparseCounter):
    """Counts as its base, and the union of cells of every trial with several."""

    def __init__(self, plan: Plan, tally: Tally) -> None:
        super().__init__(plan, tally)
        self.patterns: dict[int, int] = {}

    def _count_groups(self, trials: NDArray[np.int64], cells: NDArray[np.int64]) -> None:
        super()._count_groups(trials, cells)
        if len(trials) == 0:
            return
        first = np.flatnonzero(np.diff(trials, prepend=trials[0] - 1))
        together = np.bitwise_or.reduceat(np.int64(1) << cells, first)
        several = together[(together & (together - 1)) != 0]
        for pattern, number in zip(*np.unique(several, return_counts=True), strict=True):
            self.patterns[int(pattern)] = self.patterns.get(int(pattern), 0) + int(number)
