"""Sparse elimination of A V + V Aᵀ + D = 0: planned once per pattern of A, run on whole batches.

The half-vectorised equation (36 unknowns for four modes) has few nonzero coefficients, and which
ones is the same for every point of a sweep. A plan fixes the pivots and lists the updates; running
it is a straight line of array operations. Each coefficient keeps the batch axes it depends on:
what depends on one swept parameter costs one axis, what depends on none is a number.

Pivots are chosen by the work they cause (Markowitz, weighted by the size of the arrays) among
those that are not small in their column at sampled points. They are static, so that the caller
must test the residual of each point.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, or_
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulation.theory.half_matrices import pairs, place

Real = NDArray[np.float64]
Pair = tuple[int, int]
Half = dict[Pair, Real]
"""Symmetric matrix by its entries (i, j), i ≥ j."""

_SAMPLES: Final = 24
_SMALLEST_PIVOT: Final = 0.05
"""Of the largest coefficient in its column, at the worst sampled point."""
_CANDIDATES: Final = 24
_CALL: Final = 1500
"""Cost of calling an array operation, in elements of an array."""
_NOTHING: Final = -1


class Row(NamedTuple):
    """Elimination from one row: its coefficient of the pivot column, and (target, source) slots.

    `added` targets are updated in place, `widened` ones gain a batch axis or still are an input,
    `filled` ones were zero.
    """

    lead: int
    added: tuple[Pair, ...]
    widened: tuple[Pair, ...]
    filled: tuple[Pair, ...]


class Step(NamedTuple):
    """One pivot: its slot and unknown, the rows it is eliminated from, and its own row."""

    pivot: int
    unknown: int
    rows: tuple[Row, ...]
    others: tuple[Pair, ...]
    right: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """Straight-line program that solves the half-vectorised equation for one pattern.

    Attributes
    ----------
    unknowns : tuple of (int, int)
        Entries (i, j), i ≥ j, of V.
    slots : int
        Number of coefficients, fill-in and right-hand sides included.
    start : tuple of (int, tuple of (int, int))
        Slots that hold sums of entries of A at the beginning.
    right : tuple of (int, (int, int))
        Slots that hold −D_ij (−D_ii/2 on the diagonal).
    steps : tuple of Step
    """

    unknowns: tuple[Pair, ...]
    slots: int
    start: tuple[tuple[int, tuple[Pair, ...]], ...]
    right: tuple[tuple[int, Pair], ...]
    steps: tuple[Step, ...]


def make_plan(
    size: int,
    drift: Mapping[Pair, Real],
    diffusion: Mapping[Pair, Real],
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
) -> Plan:
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
    """
    return _Planner(size, drift, diffusion, shape, chunk).plan()


def run_plan(plan: Plan, drift: Mapping[Pair, Real], diffusion: Mapping[Pair, Real]) -> Half:
    """Solve for V. A pivot that vanishes at a point makes inf or nan there."""
    slots: list[Real] = [np.zeros(())] * plan.slots
    for slot, entries in plan.start:
        slots[slot] = reduce(add, (_number(drift[entry]) for entry in entries))
    for slot, (i, j) in plan.right:
        slots[slot] = _number(diffusion[i, j]) * (-0.5 if i == j else -1.0)
    for step in plan.steps:
        slots[step.pivot] = inverse = 1 / slots[step.pivot]
        for lead, added, widened, filled in step.rows:
            factor = slots[lead] * -inverse
            for target, source in added:
                slots[target] += factor * slots[source]
            for target, source in widened:
                slots[target] = slots[target] + factor * slots[source]
            for target, source in filled:
                slots[target] = factor * slots[source]
    return _back_substitute(plan, slots)


def _back_substitute(plan: Plan, slots: list[Real]) -> Half:
    solution: list[Real] = [np.zeros(())] * len(plan.unknowns)
    for step in reversed(plan.steps):
        value = slots[step.right] if step.right != _NOTHING else np.zeros(())
        for slot, unknown in step.others:
            value = value - slots[slot] * solution[unknown]
        solution[step.unknown] = np.asarray(value * slots[step.pivot])
    return dict(zip(plan.unknowns, solution, strict=True))


def _number(value: Real) -> Real:
    """Return numbers as scalars: their arithmetic is ten times that of 0-d arrays."""
    return value if value.ndim else value[()]


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
        self.slot = np.full((n, n + 1), _NOTHING, np.intp)
        self.axes = np.zeros((n, n + 1), np.intp)
        self.owned = np.zeros((n, n + 1), np.bool_)
        self.values = np.zeros((_SAMPLES, n, n + 1))
        self.count = 0
        self.start: list[tuple[int, tuple[Pair, ...]]] = []
        self.right: list[tuple[int, Pair]] = []
        self._fill_coefficients(size, drift, diffusion, _Samples(shape))
        self.cost_of = np.array([self._points(axes) for axes in range(2 ** len(chunk))])

    def plan(self) -> Plan:
        """Eliminate until nothing is left."""
        n = len(self.unknowns)
        rows, columns = set(range(n)), set(range(n))
        order = []
        for _ in range(n):
            row, column = self._choose(sorted(rows), sorted(columns))
            rows.remove(row)
            columns.remove(column)
            order.append(self._eliminate(row, column, sorted(rows), sorted(columns)))
        return Plan(
            unknowns=self.unknowns,
            slots=self.count,
            start=tuple(self.start),
            right=tuple(self.right),
            steps=tuple(order),
        )

    def _fill_coefficients(
        self,
        size: int,
        drift: Mapping[Pair, Real],
        diffusion: Mapping[Pair, Real],
        pick: "_Samples",
    ) -> None:
        for row, (i, j) in enumerate(self.unknowns):
            sums: dict[int, list[Pair]] = {}
            for left, other in ((i, j), (j, i)) if i != j else ((i, j),):
                for k in range(size):
                    if (left, k) in drift:
                        column = place(k, other)
                        sums.setdefault(column, []).append((left, k))
            for column, entries in sums.items():
                slot = self._new(row, column, [drift[entry] for entry in entries], pick)
                self.start.append((slot, tuple(entries)))
            if (i, j) in diffusion:
                self.right.append((self._new(row, -1, [diffusion[i, j]], pick), (i, j)))

    def _new(self, row: int, column: int, addends: Iterable[Real], pick: "_Samples") -> int:
        for array in addends:
            self.axes[row, column] |= varying_axes(array, len(self.chunk))
            self.values[:, row, column] += pick(array)
        self.slot[row, column] = self.count
        self.count += 1
        return int(self.slot[row, column])

    def _points(self, axes: int) -> int:
        """Array elements of something that depends on these axes, plus the cost of a call."""
        return _CALL + int(np.prod([n for axis, n in enumerate(self.chunk) if axes >> axis & 1]))

    def _choose(self, rows: Sequence[int], columns: Sequence[int]) -> Pair:
        live = np.ix_(rows, columns)
        present = self.slot[live] != _NOTHING
        values = self.values[:, rows][:, :, columns]
        size = np.abs(values)
        largest = np.max(size, axis=1, keepdims=True)
        quality = np.min(size / np.where(largest > 0, largest, 1.0), axis=0) * present
        steady = np.all(values > 0, axis=0) | np.all(values < 0, axis=0)
        if np.any(steady & (quality > 1e-3)):
            quality = quality * steady
        safe = quality >= min(_SMALLEST_PIVOT, 0.5 * float(np.max(quality)))
        weight = self.cost_of[self.axes[live]] * present
        estimate = np.where(safe & present, np.outer(weight.sum(1), weight.sum(0)), np.inf)
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
        below = [r for r in rows if r != row and self.slot[r, column] != _NOTHING]
        across = [c for c in (*columns, -1) if c != column and self.slot[row, c] != _NOTHING]
        lead = self.axes[below, column] | self.axes[row, column]
        result = lead[:, None] | self.axes[row, across] | self.axes[np.ix_(below, across)]
        return int(np.sum(self.cost_of[result]))

    def _eliminate(
        self, row: int, column: int, rows: Sequence[int], columns: Sequence[int]
    ) -> Step:
        across = [c for c in (*columns, -1) if self.slot[row, c] != _NOTHING]
        changed = []
        for r in rows:
            if self.slot[r, column] == _NOTHING:
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
        return Step(
            pivot=int(self.slot[row, column]),
            unknown=column,
            rows=tuple(changed),
            others=tuple((int(self.slot[row, c]), c) for c in across if c != -1),
            right=int(self.slot[row, -1]),
        )

    def _kind(self, row: int, column: int, axes: int) -> int:
        """Place of an update in `Row`'s kinds: added, widened or filled; a fill gets its slot."""
        if self.slot[row, column] == _NOTHING:
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


def varying_axes(array: Real, ndim: int) -> int:
    """Bits of the batch axes along which an entry varies."""
    offset = ndim - array.ndim
    return reduce(or_, (1 << (offset + axis) for axis, n in enumerate(array.shape) if n > 1), 0)
