"""Click statistics of Gaussian light on threshold detectors, exact to rounding at any rate.

The probability that every detector of a set S stays silent is F(S) = 1/det(1 + K_S), so click
probabilities are alternating sums of F: at rates of 1e-4 per detector and below, sums of numbers
next to 1 that leave no digits. Here nothing of the kind is ever summed. A function of the silent
set is carried as an array with one axis of length 3 per detector: ``FREE`` (not asked),
``SILENT``, and their difference ``CLICK``, which is kept as a small number of its own. Products,
reciprocals and exponentials have exact rules for that difference,

    Δ(fg) = Δf·g_silent + f_free·Δg,    Δ(1/f) = −Δf/(f_free f_silent),
    Δ(e^f) = e^{f_silent} (e^{Δf} − 1),

and det(1 + K_S) = Σ_{W⊆S} det K_W starts them off without cancellation.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Minors = Mapping[tuple[Sequence[int], Sequence[int]], Complex]

FREE: Final = 0
"""Index of "this detector may click or not" on a detector's axis."""
SILENT: Final = 1
"""Index of "this detector does not click"."""
CLICK: Final = 2
"""Index of "this detector clicks"."""


def click_tensor(kernel: ArrayLike, displacement: ArrayLike, dark: ArrayLike) -> Real:
    """Probabilities of every outcome of n threshold detectors, marginal ones included.

    Each detector sees one mode of a Gaussian state which a phase rotation of all modes (of either
    sign per mode) leaves unchanged but for its mean. With v_k = a_k for modes of one sign and
    a_k† for the other,

        P(S silent) = Π_{k∈S} (1 − d_k) · exp(−⟨v⟩_S† G_S⁻¹ ⟨v⟩_S) / det G_S,    G = 1 + K.

    Parameters
    ----------
    kernel : array_like of complex, shape (..., n, n)
        K, Hermitian: the normally ordered covariance, K_ij = ⟨a_j†a_i⟩ among modes of the first
        sign, ⟨a_i†a_j⟩ among the second, and ⟨a_i a_j⟩ between them, fluctuations only.
    displacement : array_like of complex, shape (..., n)
        ⟨v⟩: mean amplitudes, conjugated for modes of the second sign.
    dark : array_like, shape (..., n)
        Probability d_k of a click without light.

    Returns
    -------
    ndarray, shape (3, ..., 3, ...)
        n axes of length 3 (`FREE`, `SILENT`, `CLICK`), then the batch axes.

    Notes
    -----
    Relative error some 1e-15 unless the physics itself is a small difference, as for the
    probability that one detector misses what a lossless other one saw (where it is exactly 0,
    rounding below 0 is raised to 0).
    """
    k, mean, dark = _with_batch_last(kernel, displacement, dark)
    n = len(k)
    minors = _minors(k)
    silence = _reciprocal(_from_subsets(_principal(minors, n), n), n)
    if np.any(mean):
        exponent = -_product(_from_subsets(_mean_weights(minors, mean), n), silence, n)
        silence = silence + _product(silence, _expm1(exponent, n), n)
    outcomes = silence.reshape((3,) * n + silence.shape[1:])
    for axis in range(n):
        outcomes = _with_dark_clicks(outcomes, dark[axis], axis)
    return np.maximum(outcomes, 0.0)


def _with_batch_last(
    kernel: ArrayLike, displacement: ArrayLike, dark: ArrayLike
) -> tuple[Complex, Complex, Real]:
    k = np.asarray(kernel, np.complex128)
    mean = np.asarray(displacement, np.complex128)
    d = np.asarray(dark, np.float64)
    n = k.shape[-1]
    if k.shape[-2] != n or mean.shape[-1] != n or d.shape[-1] != n:
        message = (
            "`kernel`, `displacement` and `dark` must have shapes (..., n, n), (..., n), (..., n), "
            f"but have {k.shape}, {mean.shape}, {d.shape}"
        )
        raise ValueError(message)
    batch = np.broadcast_shapes(k.shape[:-2], mean.shape[:-1], d.shape[:-1])
    return (
        np.moveaxis(np.broadcast_to(k, (*batch, n, n)), (-2, -1), (0, 1)),
        np.moveaxis(np.broadcast_to(mean, (*batch, n)), -1, 0),
        np.moveaxis(np.broadcast_to(d, (*batch, n)), -1, 0),
    )


def _minors(k: Complex) -> Minors:
    """Minors of K by rows and columns, each expanded along its first row (no pivots, no division).

    Terms of a minor all scale alike with the rates, so its error is one of rounding.
    """
    n = len(k)
    minors: dict[tuple[Sequence[int], Sequence[int]], Complex] = {((), ()): np.ones_like(k[0, 0])}
    for size in range(1, n + 1):
        for rows in combinations(range(n), size):
            for columns in combinations(range(n), size):
                minors[rows, columns] = sum(
                    (-1) ** place
                    * k[rows[0], column]
                    * minors[rows[1:], columns[:place] + columns[place + 1 :]]
                    for place, column in enumerate(columns)
                )
    return minors


def _principal(minors: Minors, n: int) -> Real:
    """Principal minors det K_W of every subset W, an array (2,)*n + batch (1: in W)."""
    subsets = [
        minors[rows, rows].real for rows in (_members(index, n) for index in np.ndindex((2,) * n))
    ]
    return np.stack(subsets).reshape((2,) * n + subsets[0].shape)


def _mean_weights(minors: Minors, mean: Complex) -> Real:
    """⟨v⟩_W† adj(K_W) ⟨v⟩_W for every subset W, as an array (2,)*n + batch."""
    n = len(mean)
    weights = np.zeros((2,) * n + mean.shape[1:])
    displaced = [bool(np.any(amplitude)) for amplitude in mean]
    for index in np.ndindex((2,) * n):
        members = _members(index, n)
        places = [place for place, mode in enumerate(members) if displaced[mode]]
        for i in places:
            for j in places:
                row, column = members[i], members[j]
                cofactor = minors[members[:j] + members[j + 1 :], members[:i] + members[i + 1 :]]
                sign = (-1) ** (i + j)
                weights[index] += sign * (mean[row].conj() * cofactor * mean[column]).real
    return weights


def _members(index: tuple[int, ...], n: int) -> tuple[int, ...]:
    return tuple(mode for mode in range(n) if index[mode])


def _from_subsets(terms: Real, n: int) -> Real:
    """f(S) = Σ_{W⊆S} terms(W), as an array (3ⁿ, batch): free, silent, click on each axis."""
    for axis in range(n):
        absent, present = np.moveaxis(terms, axis, 0)
        terms = np.stack([absent, absent + present, -present], axis)
    return terms.reshape(3**n, *terms.shape[n:])


@cache
def _product_plan(n: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Which entries of f and g to multiply, sorted by the entry they add to, and its first term."""
    left, right, target = (np.zeros(1, np.intp) for _ in range(3))
    for _ in range(n):
        left, right, target = (
            (3 * plan[:, None] + np.array(step)).ravel()
            for plan, step in (
                (left, (FREE, SILENT, CLICK, FREE)),
                (right, (FREE, SILENT, SILENT, CLICK)),
                (target, (FREE, SILENT, CLICK, CLICK)),
            )
        )
    order = np.argsort(target, kind="stable")
    return left[order], right[order], np.searchsorted(target[order], np.arange(3**n))


def _product(f: Real, g: Real, n: int) -> Real:
    """F times g; both (3ⁿ, batch)."""
    left, right, first = _product_plan(n)
    return np.asarray(np.add.reduceat(f[left] * g[right], first, axis=0))


def _reciprocal(f: Real, n: int) -> Real:
    """1/f, shape (3ⁿ, batch)."""
    if n == 0:
        return np.asarray(1 / f)
    f = f.reshape(3, 3 ** (n - 1), *f.shape[1:])
    free, silent = np.moveaxis(_reciprocal(np.moveaxis(f[:CLICK], 0, 1), n - 1), 1, 0)
    click = -_product(_product(free, f[CLICK], n - 1), silent, n - 1)
    return np.concatenate([free, silent, click])


def _expm1(f: Real, n: int) -> Real:
    """e^f − 1, shape (3ⁿ, batch)."""
    if n == 0:
        return np.asarray(np.expm1(f))
    f = f.reshape(3, 3 ** (n - 1), *f.shape[1:])
    free, silent, change = np.moveaxis(_expm1(np.moveaxis(f, 0, 1), n - 1), 1, 0)
    return np.concatenate([free, silent, change + _product(silent, change, n - 1)])


def _with_dark_clicks(f: Real, dark: Real, axis: int) -> Real:
    free, silent, click = np.moveaxis(f, axis, 0)
    return np.stack([free, silent * (1 - dark), click * (1 - dark) + free * dark], axis)
