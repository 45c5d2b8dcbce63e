"""A V + V Aᵀ + D = 0 for a batch: sparse elimination by chunks, checks, dense fallback."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulation.theory import lyapunov
from simulation.theory.elimination import EliminationPlan, run_plan
from simulation.theory.half_matrices import backward_error, pairs, positive_definite
from simulation.theory.pivoting import make_plan, varying_axes

Real = NDArray[np.float64]
Flags = NDArray[np.bool_]
Pair = tuple[int, int]
Entries = Mapping[Pair, Real]
Block = tuple[slice, ...]

ERROR_LIMIT: Final = 4e-15
"""Backward error (`half_matrices.backward_error`) above which a point is solved densely."""
DENSE_ERROR_LIMIT: Final = 1e-12
"""Backward error above which a point has no solution worth the name."""
UNSTABLE_ERROR_LIMIT: Final = 1e-11
"""The same where V ≻ 0 does not hold: there only that verdict counts."""
CHUNK: Final = 8192
"""Points eliminated at a time."""
_FEW: Final = 128
"""Below this many points the dense solver is faster than making a plan."""
_REPLAN: Final = 0.05
"""Share of points that fail with a remembered plan before it is made anew."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """Solution of a batch.

    Attributes
    ----------
    stack : ndarray, shape (n(n+1)/2, ...)
        Entries of V in the order of `half_matrices.pairs`.
    positive : ndarray of bool, shape (...)
        Whether V ≻ 0 and within the error limits; of the sum over baths if they have an axis.
    """

    stack: Real
    positive: Flags


def solve(
    size: int,
    drift: Entries,
    diffusion: Entries,
    shape: tuple[int, ...],
    *,
    last_axis_is_baths: bool = False,
) -> Solution:
    """Solve A V + V Aᵀ + D = 0 for every point of a batch.

    Parameters
    ----------
    size : int
        Number of quadratures.
    drift, diffusion : mapping of (int, int) to ndarray
        Nonzero entries of A, and of D for i ≥ j, in a unit that makes the largest about 1.
    shape : tuple of int
        Batch shape they broadcast to.
    last_axis_is_baths : bool
        The last axis of the batch numbers the terms of D = Σ D_bath; A does not depend on it.

    Returns
    -------
    Solution
    """
    task = _Task(size=size, drift=drift, diffusion=diffusion, shape=shape, baths=last_axis_is_baths)
    if prod(shape) < _FEW:
        return task.solved_densely()
    chunks = list(blocks(shape))
    stack = np.empty((len(pairs(size)), *shape))
    positive = np.empty(task.own_shape, np.bool_)
    try:
        plan, remembered = _plan(task, chunks[0])
    except np.linalg.LinAlgError:
        return task.solved_densely()
    bad = np.empty(task.own_shape, np.bool_)
    with np.errstate(all="ignore"):
        for block in chunks:
            part, to_stack = task.part(block), stack[:, *block]
            own = block[: positive.ndim]
            good = part.eliminated(plan, to_stack, positive[own])
            if remembered and np.mean(good) < 1 - _REPLAN:
                plan, remembered = _remember(task, chunks[0]), False
                good = part.eliminated(plan, to_stack, positive[own])
            bad[own] = ~good
        task.repair(bad, stack, positive)
    return Solution(stack=stack, positive=positive)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Task:
    """Entries of A and D for one batch or one chunk of it."""

    size: int
    drift: Entries
    diffusion: Entries
    shape: tuple[int, ...]
    baths: bool

    @property
    def own_shape(self) -> tuple[int, ...]:
        """Batch shape without the axis of baths."""
        return self.shape[:-1] if self.baths else self.shape

    def part(self, block: Block) -> "_Task":
        """Restrict to a chunk, without copies."""
        return replace(
            self,
            drift={pair: _cut(value, block) for pair, value in self.drift.items()},
            diffusion={pair: _cut(value, block) for pair, value in self.diffusion.items()},
            shape=tuple(len(range(n)[cut]) for n, cut in zip(self.shape, block, strict=True)),
        )

    def at(self, points: Flags) -> "_Task":
        """Only the flagged points, on one axis."""
        return replace(
            self,
            drift={k: np.broadcast_to(v, self.shape)[points] for k, v in self.drift.items()},
            diffusion={
                k: np.broadcast_to(v, self.shape)[points] for k, v in self.diffusion.items()
            },
            shape=(int(np.count_nonzero(points)), *self.shape[len(self.own_shape) :]),
        )

    def eliminated(self, plan: EliminationPlan, stack: Real, positive: Flags) -> Flags:
        """Fill `stack` and `positive` by elimination; return where it can be trusted."""
        cov = run_plan(plan, self.drift, self.diffusion)
        for row, pair in enumerate(pairs(self.size)):
            stack[row] = cov[pair]
        total = self._total(stack) if self.baths else cov
        positive[...] = self._point(positive_definite(total, self.size))
        error = self._error(cov, total)
        return (error < ERROR_LIMIT) | (~positive & (error < UNSTABLE_ERROR_LIMIT))

    def repair(self, points: Flags, stack: Real, positive: Flags) -> None:
        """Solve the flagged points densely."""
        if np.any(points):
            solution = self.at(points).solved_densely()
            stack[:, points] = solution.stack
            positive[points] = solution.positive

    def solved_densely(self) -> Solution:
        """Solve all points with the dense operator."""
        rows, columns = np.array(pairs(self.size)).T
        drift, diffusion = np.zeros((2, *self.shape, self.size, self.size))
        for (i, j), value in self.drift.items():
            drift[..., i, j] = value
        for (i, j), value in self.diffusion.items():
            diffusion[..., i, j] = diffusion[..., j, i] = value
        stack = np.moveaxis(lyapunov.solve_dense(drift, diffusion)[..., rows, columns], -1, 0)
        cov = dict(zip(pairs(self.size), stack, strict=True))
        total = self._total(stack) if self.baths else cov
        with np.errstate(all="ignore"):
            positive = self._point(positive_definite(total, self.size))
            positive = positive & (self._error(cov, total) < DENSE_ERROR_LIMIT)
        return Solution(stack=stack, positive=positive)

    def _total(self, stack: Real) -> dict[Pair, Real]:
        """V in vacuum, the sum over baths at n̄ = 0, with the axis of baths of length 1."""
        return dict(zip(pairs(self.size), 0.5 * np.sum(stack, axis=-1, keepdims=True), strict=True))

    def _error(self, cov: Entries, total: Entries) -> Real:
        """Backward error of each point, the worst of its baths."""
        error = backward_error(self.drift, cov, self.diffusion, total, self.size)
        error = np.broadcast_to(error, self.shape)
        return np.max(error, axis=-1) if self.baths else error

    def _point(self, flags: Flags) -> Flags:
        """Drop an axis of baths of length 1."""
        return np.broadcast_to(flags[..., 0] if self.baths else flags, self.own_shape)


@dataclass(slots=True, eq=False)
class _Memory:
    """The plans made last, by pattern."""

    plans: OrderedDict[object, EliminationPlan] = field(default_factory=OrderedDict)
    limit: int = 64


_MEMORY: Final = _Memory()


def _plan(task: _Task, block: Block) -> tuple[EliminationPlan, bool]:
    """Plan for the pattern of a task, and whether it was remembered."""
    key = _pattern(task, block)
    if key in _MEMORY.plans:
        _MEMORY.plans.move_to_end(key)
        return _MEMORY.plans[key], True
    return _remember(task, block), False


def _remember(task: _Task, block: Block) -> EliminationPlan:
    plan = make_plan(task.size, task.drift, task.diffusion, task.shape, task.part(block).shape)
    _MEMORY.plans[_pattern(task, block)] = plan
    if len(_MEMORY.plans) > _MEMORY.limit:
        _MEMORY.plans.popitem(last=False)
    return plan


def _pattern(task: _Task, block: Block) -> object:
    """Return what a plan depends on: nonzero entries, their axes, roughly the size of a chunk."""
    ndim = len(task.shape)
    return (
        task.size,
        tuple(n.bit_length() for n in task.part(block).shape),
        frozenset((pair, varying_axes(value, ndim)) for pair, value in task.drift.items()),
        frozenset((pair, varying_axes(value, ndim)) for pair, value in task.diffusion.items()),
    )


def blocks(shape: tuple[int, ...]) -> Iterator[Block]:
    """Cut a batch into chunks: last axes whole, one axis in pieces, first axes one by one."""
    room = CHUNK
    lengths = []
    for n in reversed(shape):
        lengths.append(max(1, min(n, room)))
        room //= max(n, 1)
    steps = lengths[::-1]
    starts = (range(0, n, step) for n, step in zip(shape, steps, strict=True))
    for corner in product(*starts):
        yield tuple(
            slice(low, min(low + step, n))
            for low, step, n in zip(corner, steps, shape, strict=True)
        )


def _cut(value: Real, block: Block) -> Real:
    """Part of an entry that belongs to a chunk; axes of length 1 are shared."""
    own = block[len(block) - value.ndim :]
    return value[
        tuple(slice(None) if n == 1 else cut for n, cut in zip(value.shape, own, strict=True))
    ]
