"""Which cells clicked together in a trial: three-fold coincidences and full patterns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.counting.count import keep_unsorted, plan_for, sorted_note
from analysis.counting.report import report_counts
from analysis.counting.sparse import SparseCounter
from analysis.counting.tally import Plan, S, Tally
from analysis.counts import Counts
from analysis.gates import GateSet
from analysis.tagfile import TagSource, open_tags
from analysis.tagfile.ordered import OrderedSource

Cell = tuple[str, int]

_WORD = 62
"""Cells whose pattern is kept in one 64-bit integer."""


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
        If the file cannot be read, or its tags are too far out of order to be sorted.
    ValueError
        If the gates do not fit the file.
    """
    source, plan = plan_for(path if isinstance(path, TagSource) else open_tags(path), gates)
    counter, disorder = _counted(source, plan), ""
    if counter.tally.state[S.BACKWARDS]:
        ordered, unsorted = OrderedSource(source), counter.tally
        counter = _counted(ordered, plan)
        disorder = sorted_note(unsorted, ordered)
        keep_unsorted(counter.tally, unsorted)
    return Patterns(
        counts=report_counts(source, plan, counter.tally, final=True, disorder=disorder),
        several={
            frozenset(cell for k, cell in enumerate(gates.cells) if bits >> k & 1): number
            for bits, number in counter.patterns.items()
        },
    )


def _counted(source: TagSource, plan: Plan) -> "_PatternCounter":
    counter = _PatternCounter(plan, Tally.empty(plan))
    for block in source.blocks(0, source.n_records):
        counter.count(block)
    counter.finish()
    return counter


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
        word_of, bit = np.divmod(cells, _WORD)
        bit = np.int64(1) << bit
        words = np.stack(
            [
                np.bitwise_or.reduceat(np.where(word_of == word, bit, 0), first)
                for word in range(-(-len(self.tally.repeated) // _WORD))
            ],
            axis=1,
        )
        several = ((words & (words - 1)) != 0).any(axis=1) | (np.count_nonzero(words, axis=1) > 1)
        words = words[several]
        rows, numbers = _distinct(words)
        for pattern, number in zip(words[rows], numbers, strict=True):
            key = sum(int(part) << (_WORD * word) for word, part in enumerate(pattern))
            self.patterns[key] = self.patterns.get(key, 0) + int(number)


def _distinct(words: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return one row of each kind, and how many rows are of it."""
    code = np.zeros(len(words), np.int64)
    for column in words.T:
        values, part = np.unique(column, return_inverse=True)
        _, code = np.unique(code * max(len(values), 1) + part, return_inverse=True)
    _, rows, numbers = np.unique(code, return_index=True, return_counts=True)
    return rows, numbers
