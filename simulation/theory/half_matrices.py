"""Symmetric matrices of a batch held entry by entry: residual and definiteness without copies.

A mapping of arrays, one per entry (i, j) with i ≥ j, each with the batch shape it needs.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Pair = tuple[int, int]
Entries = Mapping[Pair, Real]


def pairs(size: int) -> tuple[Pair, ...]:
    """Entries (i, j), i ≥ j, in the order in which stacks of them are kept."""
    return tuple((i, j) for i in range(size) for j in range(i + 1))


def place(i: int, j: int) -> int:
    """Position of entry (i, j), or (j, i), in `pairs`."""
    low, high = sorted((i, j))
    return high * (high + 1) // 2 + low


def dense(stack: Real, quadratures: Sequence[int]) -> Real:
    """Full matrices of the chosen quadratures from a stack of entries (n(n+1)/2, ...).

    Shape (..., k, k); in memory the batch comes last, so that entries are contiguous.
    """
    k = len(quadratures)
    matrix = np.empty((k, k, *stack.shape[1:]))
    for row, i in enumerate(quadratures):
        for column, j in enumerate(quadratures):
            matrix[row, column] = stack[place(i, j)]
    return np.moveaxis(matrix, (0, 1), (-2, -1))


def backward_error(
    drift: Entries, cov: Entries, diffusion: Entries, scale: Entries, size: int
) -> Real:
    """Largest |A V + V Aᵀ + D|_ij relative to 2‖A‖ √(S_ii S_jj), ‖A‖ the largest row sum.

    S is `scale`: V itself, or what V is a part of. An entry-wise measure: a hot mode does not hide
    errors of a cold one. Signs of S do not matter (V of an unstable point need not be positive).
    """
    product: dict[Pair, Real] = {}
    sums: list[Real] = [np.zeros(())] * size
    for (i, k), value in drift.items():
        a = value if value.ndim else value[()]
        sums[i] = sums[i] + np.abs(a)
        for j in range(size):
            term = a * cov[max(k, j), min(k, j)]
            product[i, j] = product[i, j] + term if (i, j) in product else term
    inverse_width = [1 / np.sqrt(np.abs(scale[i, i])) for i in range(size)]
    worst: Real = np.zeros(())
    for i in range(size):
        row: Real = np.zeros(())
        for j in range(i + 1):
            left = product.get((i, j), 0.0) + product.get((j, i), 0.0) + diffusion.get((i, j), 0.0)
            row = np.maximum(row, np.abs(left * inverse_width[j]))
        worst = np.maximum(worst, row * inverse_width[i])
    norm = sums[0]
    for other in sums[1:]:
        norm = np.maximum(norm, other)
    return np.asarray(worst / (2 * norm))


def positive_definite(cov: Entries, size: int) -> NDArray[np.bool_]:
    """Whether all pivots of LDLᵀ are positive; nan counts as no."""
    rest = dict(cov)
    positive: NDArray[np.bool_] = np.ones((), np.bool_)
    for k in range(size):
        positive = positive & (rest[k, k] > 0)
        for i in range(k + 1, size):
            ratio = rest[i, k] / rest[k, k]
            for j in range(k + 1, i + 1):
                rest[i, j] = rest[i, j] - ratio * rest[j, k]
    return np.asarray(positive)
