"""g² and R_m against trials: the good blocks of one setting, added up and evaluated on the way."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analysis.evaluation import Evaluation, evaluate
from labkit.run import Block

if TYPE_CHECKING:
    from analysis.counts import Counts

MOST_POINTS = 64
"""A course has so many points at most: the witness's posterior costs 50 ms at each."""


class Course:
    """Evaluations after more and more blocks; what has been computed once is kept."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], Evaluation] = {}

    def evaluations(self, good: Sequence[Block]) -> tuple[Evaluation, ...]:
        """Return the evaluations of the first blocks, of more of them, …, of all.

        The stride is a power of two, so that a run that grows keeps most of its points: one more
        block costs one evaluation.

        Parameters
        ----------
        good : sequence of Block
            Blocks of one setting and the same gates, in order.
        """
        numbers = tuple(block.number for block in good)
        known: dict[tuple[int, ...], Evaluation] = {}
        total: Counts | None = None
        done = 0
        for length in _lengths(len(good)):
            found = self._known.get(numbers[:length])
            if found is None:
                counts = [block.counts for block in good[done:length]]
                total = sum(counts[1:], counts[0]) if total is None else sum(counts, total)
                found = evaluate(total)
            total, done = found.counts, length
            known[numbers[:length]] = found
        self._known = known
        return tuple(known.values())


def _lengths(blocks: int) -> list[int]:
    """Return after how many blocks to evaluate: multiples of a power of two, and all."""
    stride = 1
    while blocks / stride > MOST_POINTS:
        stride *= 2
    lengths = list(range(stride, blocks + 1, stride))
    return lengths if blocks % stride == 0 else [*lengths, blocks]
