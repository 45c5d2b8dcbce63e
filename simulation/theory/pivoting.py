"""Plans of `simulation.theory.elimination`: the order of unknowns and pivots for one pattern.

Unknowns that do not depend on others (those upstream of a one-way link) are solved first and then
are known: the blocks are the strong components of the dependence, in their order. Within a block
pivots are chosen by the work they cause (Markowitz, weighted by the size of the arrays) among
those that are not small in their column at sampled points. They are static, so that the caller
must test the residual of each point.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import groupby
from operator import or_
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.theory.elimination import NOTHING, EliminationBlock, EliminationPlan, PivotStep, Row
from simulation.theory.half_matrices import pairs, place

Real = NDArray[np.float64]
Pair = tuple[int, int]

_SAMPLES: Final = 24
_SMALLEST_PIVOT: Final = 0.02
"""Of the largest coefficient in its column, at the worst sampled point."""
_CANDIDATES: Final = 8
_CALL: Final = 4000
"""Cost of calling an array operation, in elements of an array."""


def make_plan(
    size: int,
    drift: Mapping[Pair, Real],
    diffusion: Mapping[Pair, Real],
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
) -> EliminationPlan:
    """Plan the elimination for the pattern of nonzero entries of A and D.

    Parameters
    ----------
    size : int
        Number of quadratures.
    drift, diffusion : mapping of (int, int) to ndarray
        Nonzero entries; batch shapes must broadcast to `shape`. Their values at sampled points
        decide which pivots are safe.
    shape : tuple of int
        Batch shape they broadcast to; points are sampled from it.
    chunk : tuple of int
        Batch shape of what the plan will run on, for the cost of updates.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the equation is singular at all sampled points (a mode without damping).
    """
    return _Planner(size, drift, diffusion, shape, chunk).plan()


def varying_axes(array: Real, ndim: int) -> int:
    """Bits of the batch axes along which an entry varies."""
    offset = ndim - array.ndim
    return reduce(or_, (1 << (offset + axis) for axis, n in enumerate(array.shape) if n > 1), 0)


class _Planner:
    """Symbolic elimination with sampled values, in the order of least work."""

    def __init__(
        self,
        size: int,
        drift: Mapping[Pair, Real],
        diffusion: Mapping[Pair, Real],
        shape: tuple[int, ...],
        chunk: tuple[int, ...],
    ) -> None:
        self.unknowns = pairs(size)
        n = len(self.unknowns)
        self.chunk = chunk
        self.slot = np.full((n, n + 1), NOTHING, np.intp)
        self.axes = np.zeros((n, n + 1), np.intp)
        self.owned = np.zeros((n, n + 1), np.bool_)
        self.values = np.zeros((_SAMPLES, n, n + 1))
        self.solved = np.zeros(n, np.intp)
        self.pick = _Samples(shape)
        self.count = 0
        self.start: list[tuple[int, tuple[Pair, ...]]] = []
        self.right: list[tuple[int, Pair]] = []
        self._fill_coefficients(size, drift, diffusion)
        self.cost_of = np.array([self._points(axes) for axes in range(2 ** len(chunk))])

    def plan(self) -> EliminationPlan:
        """Solve block after block."""
        return EliminationPlan(
            unknowns=self.unknowns,
            blocks=tuple([self._block(members) for members in self._components()]),
            slots=self.count,
            start=tuple(self.start),
            right=tuple(self.right),
        )

    def _components(self) -> list[list[int]]:
        """Return sets of unknowns that depend on each other, each after those it depends on."""
        n = len(self.unknowns)
        reach = np.eye(n, dtype=np.bool_) | (self.slot[:, :n] != NOTHING)
        for _ in range(n.bit_length()):
            reach = reach @ reach
        together = reach & reach.T
        order = sorted(range(n), key=lambda k: (int(np.sum(reach[k])), int(np.argmax(together[k]))))
        return [list(group) for _, group in groupby(order, key=lambda k: np.argmax(together[k]))]

    def _block(self, members: list[int]) -> EliminationBlock:
        known = tuple(
            [
                self._known(row, outside)
                for row in members
                if (outside := self._outside(row, members))
            ]
        )
        rows, columns = set(members), set(members)
        steps = []
        for _ in members:
            row, column = self._choose(sorted(rows), sorted(columns))
            rows.remove(row)
            columns.remove(column)
            steps.append((row, self._eliminate(row, column, sorted(rows), sorted(columns))))
        for row, step in reversed(steps):
            self._note_solution(row, step)
        return EliminationBlock(known=known, steps=tuple(step for _, step in steps))

    def _outside(self, row: int, members: Sequence[int]) -> list[int]:
        present = np.flatnonzero(self.slot[row, :-1] != NOTHING)
        return [int(column) for column in present if column not in members]

    def _known(self, row: int, outside: Sequence[int]) -> tuple[int, tuple[Pair, ...]]:
        """Move the coefficients of solved unknowns to the right-hand side."""
        if self.slot[row, -1] == NOTHING:
            self._new(row, -1)
        for column in outside:
            self.axes[row, -1] |= self.axes[row, column] | self.solved[column]
        self.owned[row, -1] = True
        terms = tuple((int(self.slot[row, column]), column) for column in outside)
        self.slot[row, outside] = NOTHING
        return int(self.slot[row, -1]), terms

    def _note_solution(self, row: int, step: PivotStep) -> None:
        """Remember along which axes the solved unknown varies."""
        axes = self.axes[row, step.unknown]
        if step.right != NOTHING:
            axes |= self.axes[row, -1]
        for _, unknown in step.others:
            axes |= self.axes[row, unknown] | self.solved[unknown]
        self.solved[step.unknown] = axes

    def _fill_coefficients(
        self,
        size: int,
        drift: Mapping[Pair, Real],
        diffusion: Mapping[Pair, Real],
    ) -> None:
        for row, (i, j) in enumerate(self.unknowns):
            sums: dict[int, list[Pair]] = {}
            for left, other in ((i, j), (j, i)) if i != j else ((i, j),):
                for k in range(size):
                    if (left, k) in drift:
                        column = place(k, other)
                        sums.setdefault(column, []).append((left, k))
            for column, entries in sums.items():
                slot = self._new(row, column, *(drift[entry] for entry in entries))
                self.start.append((slot, tuple(entries)))
            if (i, j) in diffusion:
                self.right.append((self._new(row, -1, diffusion[i, j]), (i, j)))

    def _new(self, row: int, column: int, *addends: Real) -> int:
        """Give a coefficient its slot."""
        for array in addends:
            self.axes[row, column] |= varying_axes(array, len(self.chunk))
            self.values[:, row, column] += self.pick(array)
        self.slot[row, column] = self.count
        self.count += 1
        return self.count - 1

    def _points(self, axes: int) -> int:
        """Array elements of something that depends on these axes, plus the cost of a call."""
        return _CALL + int(np.prod([n for axis, n in enumerate(self.chunk) if axes >> axis & 1]))

    def _choose(self, rows: Sequence[int], columns: Sequence[int]) -> Pair:
        live = np.ix_(rows, columns)
        present = self.slot[live] != NOTHING
        values = self.values[:, rows][:, :, columns]
        size = np.abs(values)
        largest = np.max(size, axis=1, keepdims=True)
        quality = np.min(size / np.where(largest > 0, largest, 1.0), axis=0) * present
        steady = np.all(values > 0, axis=0) | np.all(values < 0, axis=0)
        if np.any(steady & (quality > 1e-3)):
            quality = quality * steady
        safe = quality >= min(_SMALLEST_PIVOT, 0.5 * float(np.max(quality)))
        safe &= np.any(values, axis=0)
        weight = self.cost_of[self.axes[live]] * present
        estimate = np.where(safe & present, np.outer(weight.sum(1), weight.sum(0)), np.inf)
        if not np.any(np.isfinite(estimate)):
            message = "the Lyapunov operator is singular at all sampled points"
            raise np.linalg.LinAlgError(message)
        first = np.argsort(estimate, axis=None, kind="stable")[:_CANDIDATES]
        best = min(
            (
                (self._work(rows[k // len(columns)], columns[k % len(columns)], rows, columns),
                 -float(quality.flat[k]), int(k))
                for k in first if np.isfinite(estimate.flat[k])
            ),
        )[2]  # fmt: skip
        return rows[best // len(columns)], columns[best % len(columns)]

    def _work(self, row: int, column: int, rows: Sequence[int], columns: Sequence[int]) -> int:
        """Elements touched by eliminating with this pivot."""
        below = [r for r in rows if r != row and self.slot[r, column] != NOTHING]
        across = [c for c in (*columns, -1) if c != column and self.slot[row, c] != NOTHING]
        lead = self.axes[below, column] | self.axes[row, column]
        result = lead[:, None] | self.axes[row, across] | self.axes[np.ix_(below, across)]
        return int(np.sum(self.cost_of[result]))

    def _eliminate(
        self, row: int, column: int, rows: Sequence[int], columns: Sequence[int]
    ) -> PivotStep:
        across = [c for c in (*columns, -1) if self.slot[row, c] != NOTHING]
        changed = []
        for r in rows:
            if self.slot[r, column] == NOTHING:
                continue
            factor = self.values[:, r, column] / self.values[:, row, column]
            lead_axes = self.axes[r, column] | self.axes[row, column]
            kinds: tuple[list[Pair], ...] = ([], [], [])
            for c in across:
                axes = self.axes[r, c] | lead_axes | self.axes[row, c]
                kind = self._kind(r, c, axes)
                kinds[kind].append((int(self.slot[r, c]), int(self.slot[row, c])))
                self.values[:, r, c] -= factor * self.values[:, row, c]
                self.axes[r, c] = axes
                self.owned[r, c] = True
            added, widened, filled = map(tuple, kinds)
            lead = int(self.slot[r, column])
            changed.append(Row(lead=lead, added=added, widened=widened, filled=filled))
        return PivotStep(
            pivot=int(self.slot[row, column]),
            unknown=column,
            rows=tuple(changed),
            others=tuple((int(self.slot[row, c]), c) for c in across if c != -1),
            right=int(self.slot[row, -1]),
        )

    def _kind(self, row: int, column: int, axes: int) -> int:
        """Place of an update in `Row`'s kinds: added, widened or filled; a fill gets its slot."""
        if self.slot[row, column] == NOTHING:
            self.slot[row, column] = self.count
            self.count += 1
            return 2
        return 0 if self.owned[row, column] and self.axes[row, column] == axes else 1


class _Samples:
    """Values of an entry at sampled points of the batch."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        rng = np.random.default_rng(1)
        self.index = tuple(rng.integers(0, n, _SAMPLES) for n in shape)

    def __call__(self, array: Real) -> Real:
        if not array.ndim:
            return np.full(_SAMPLES, float(array))
        trailing = self.index[len(self.index) - array.ndim :]
        picked = tuple(
            np.minimum(index, n - 1) for index, n in zip(trailing, array.shape, strict=True)
        )
        return np.asarray(array[picked])
