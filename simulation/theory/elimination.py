"""Sparse elimination of A V + V Aᵀ + D = 0 as a straight line of array operations.

The half-vectorised equation (36 unknowns for four modes) has few nonzero coefficients, and which
ones is the same for every point of a sweep. An `EliminationPlan` (made by
`simulation.theory.pivoting`, once per pattern) lists the updates; running it costs a call per
update for the whole batch. Each coefficient keeps the batch axes it depends on: what depends on one
swept parameter costs one axis, what depends on none is a number.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Pair = tuple[int, int]
Half = dict[Pair, Real]
"""Symmetric matrix by its entries (i, j), i ≥ j."""

NOTHING: Final = -1
"""No slot."""


class Row(NamedTuple):
    """Elimination from one row: its coefficient of the pivot column, and (target, source) slots.

    `added` targets are updated in place, `widened` ones gain a batch axis or still are an input,
    `filled` ones were zero.
    """

    lead: int
    added: tuple[Pair, ...]
    widened: tuple[Pair, ...]
    filled: tuple[Pair, ...]


class PivotStep(NamedTuple):
    """One pivot: its slot and unknown, the rows it is eliminated from, and its own row."""

    pivot: int
    unknown: int
    rows: tuple[Row, ...]
    others: tuple[Pair, ...]
    right: int


class EliminationBlock(NamedTuple):
    """Unknowns that depend on each other: what known ones add to right-hand sides, then pivots."""

    known: tuple[tuple[int, tuple[Pair, ...]], ...]
    steps: tuple[PivotStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EliminationPlan:
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
    blocks : tuple of EliminationBlock
    """

    unknowns: tuple[Pair, ...]
    slots: int
    start: tuple[tuple[int, tuple[Pair, ...]], ...]
    right: tuple[tuple[int, Pair], ...]
    blocks: tuple[EliminationBlock, ...]


def run_plan(
    plan: EliminationPlan, drift: Mapping[Pair, Real], diffusion: Mapping[Pair, Real]
) -> Half:
    """Solve for V. A pivot that vanishes at a point makes inf or nan there."""
    slots: list[Real] = [np.zeros(())] * plan.slots
    for slot, entries in plan.start:
        slots[slot] = reduce(add, (_number(drift[entry]) for entry in entries))
    for slot, (i, j) in plan.right:
        slots[slot] = _number(diffusion[i, j]) * (-0.5 if i == j else -1.0)
    solution: list[Real] = [np.zeros(())] * len(plan.unknowns)
    for block in plan.blocks:
        for right, terms in block.known:
            for slot, unknown in terms:
                slots[right] = slots[right] - slots[slot] * solution[unknown]
        _eliminate(block, slots)
        _back_substitute(block, slots, solution)
    return {pair: np.asarray(v) for pair, v in zip(plan.unknowns, solution, strict=True)}


def _eliminate(block: EliminationBlock, slots: list[Real]) -> None:
    for step in block.steps:
        slots[step.pivot] = inverse = 1 / slots[step.pivot]
        for lead, added, widened, filled in step.rows:
            factor = slots[lead] * -inverse
            for target, source in added:
                slots[target] += factor * slots[source]
            for target, source in widened:
                slots[target] = slots[target] + factor * slots[source]
            for target, source in filled:
                slots[target] = factor * slots[source]


def _back_substitute(block: EliminationBlock, slots: list[Real], solution: list[Real]) -> None:
    for step in reversed(block.steps):
        value = slots[step.right] if step.right != NOTHING else np.zeros(())[()]
        for slot, unknown in step.others:
            value = value - slots[slot] * solution[unknown]
        solution[step.unknown] = value * slots[step.pivot]


def _number(value: Real) -> Real:
    """Return numbers as scalars: their arithmetic is ten times that of 0-d arrays."""
    return value if value.ndim else value[()]
