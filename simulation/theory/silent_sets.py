"""Functions of the set of silent detectors, and exact rules for what one more silence changes.

The probability that every detector of a set S stays silent is some f(S), and a click is everything
minus silence: click probabilities and heralded moments are alternating sums of f. At rates of 1e-4
per detector and below these are sums of numbers next to each other that leave no digits. Here
nothing of the kind is ever summed. A function of the silent set is carried with one axis of length
3 per detector: ``FREE`` (not asked), ``SILENT``, and their difference ``CLICK``, which is kept as
a small number of its own. Products, reciprocals, exponentials and logarithms have exact rules for
that difference,

    Δ(fg) = Δf·g_silent + f_free·Δg,      Δ(1/f) = −Δf/(f_free f_silent),
    Δ(e^f) = e^{f_silent} (e^{Δf} − 1),   Δ ln(1 + f) = ln(1 + Δf/(1 + f_silent)).
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FREE: Final = 0
"""Index of "this detector may click or not" on a detector's axis."""
SILENT: Final = 1
"""Index of "this detector does not click"."""
CLICK: Final = 2
"""Index of "this detector clicks"."""


@dataclass(frozen=True, slots=True, eq=False)
class SilenceFunction:
    """A number, vector or matrix for every set of silent detectors, with all its differences.

    Attributes
    ----------
    values : ndarray, shape (3ⁿ, ...)
        Base-3 digits of the first index: `FREE`, `SILENT` or `CLICK` of each detector, the first
        one most significant. Further axes are the function's own, and broadcast.
    n : int
        Number of detectors asked.
    """

    values: Array
    n: int = 0

    def __getitem__(self, places: Any) -> "SilenceFunction":
        """Return the same elements of the function for every set."""
        if isinstance(places, tuple):
            return SilenceFunction(self.values[:, *places], self.n)
        return SilenceFunction(self.values[:, places], self.n)

    def __add__(self, other: "SilenceFunction") -> "SilenceFunction":
        return SilenceFunction(self.values + other.values, self.n)

    def __sub__(self, other: "SilenceFunction") -> "SilenceFunction":
        return SilenceFunction(self.values - other.values, self.n)

    def __neg__(self) -> "SilenceFunction":
        return SilenceFunction(-self.values, self.n)

    def __mul__(self, other: "SilenceFunction") -> "SilenceFunction":
        return SilenceFunction(_product(self.values, other.values, self.n), self.n)

    def times(self, constant: Any) -> "SilenceFunction":
        """Multiply by something that does not depend on the detectors."""
        return SilenceFunction(self.values * constant, self.n)

    def plus(self, constant: Any) -> "SilenceFunction":
        """Add something that does not depend on the detectors: no difference changes."""
        return SilenceFunction(_plus(self.values, constant, self.n), self.n)

    @property
    def conj(self) -> "SilenceFunction":
        """Complex conjugate."""
        return SilenceFunction(self.values.conj(), self.n)

    @property
    def real(self) -> "SilenceFunction":
        """Real part."""
        return SilenceFunction(self.values.real, self.n)

    @property
    def reciprocal(self) -> "SilenceFunction":
        """1/f."""
        return SilenceFunction(_reciprocal(self.values, self.n), self.n)

    @property
    def expm1(self) -> "SilenceFunction":
        """e^f − 1."""
        return SilenceFunction(_expm1(self.values, self.n), self.n)

    @property
    def log1p(self) -> "SilenceFunction":
        """ln(1 + f) of a real function."""
        return SilenceFunction(_log1p(self.values, self.n), self.n)

    @property
    def all_click(self) -> Array:
        """Value when every detector asked clicks."""
        return np.asarray(self.values[-1])

    def after_clicks(self, k: int) -> "SilenceFunction":
        """Return the function of the other detectors when the first `k` click."""
        rest = 3 ** (self.n - k)
        return SilenceFunction(self.values[-rest:], self.n - k)

    @property
    def outcomes(self) -> Array:
        """Values with one axis of length 3 per detector, shape (3, ..., 3, ...)."""
        return self.values.reshape((3,) * self.n + self.values.shape[1:])


def asked(
    free: SilenceFunction, silent: SilenceFunction, click: SilenceFunction
) -> SilenceFunction:
    """Ask one more detector: its axis comes last."""
    parts = free.values, silent.values, click.values
    shape = np.broadcast_shapes(*(part.shape for part in parts))
    values = np.empty((shape[0], 3, *shape[1:]), np.result_type(*parts))
    for place, part in enumerate(parts):
        values[:, place] = part
    n = free.n + 1
    return SilenceFunction(values.reshape(3**n, *shape[1:]), n)


def constant(value: Any) -> SilenceFunction:
    """Something before any detector is asked."""
    return SilenceFunction(np.asarray(value)[None])


def inverse_determinants(kernel: Array) -> SilenceFunction:
    """1/det(1 + K_S), K_S the rows and columns of the silent detectors S: no light but thermal.

    Detectors are asked one after the other: with κ = K[k, k], silence of detector k divides by
    1 + κ and takes K[:, k] K[k, :]/(1 + κ) off K.

    Parameters
    ----------
    kernel : ndarray of complex, shape (n, n, ...)
        K, Hermitian; batch axes last.
    """
    size, batch = len(kernel), kernel.shape[2:]
    weight, left = np.ones((1, *batch)), kernel[None]
    for n in range(size):
        column = left[:, :, 0]
        vacuum = _reciprocal(_plus(column[:, 0].real, 1.0, n), n)
        taken = _product(column, vacuum[:, None], n)
        odds = np.empty((3**n, 2, *batch))
        odds[:, 0], odds[:, 1] = vacuum, taken[:, 0].real
        change = _product(taken[:, 1:, None], column[:, None, 1:].conj(), n)
        free, weights = left[:, 1:, 1:], np.empty((3**n, 3, *batch))
        weights[:, FREE], weights[:, SILENT:] = weight, _product(weight[:, None], odds, n)
        kernels = np.empty((3**n, 3, *free.shape[1:]), np.complex128)
        kernels[:, FREE], kernels[:, SILENT], kernels[:, CLICK] = free, free - change, change
        weight = weights.reshape(3 ** (n + 1), *batch)
        left = kernels.reshape(3 ** (n + 1), *free.shape[1:])
    return SilenceFunction(weight, size)


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


def _product(f: Array, g: Array, n: int) -> Array:
    if n == 0:
        return np.asarray(f * g)
    left, right, first = _product_plan(n)
    return np.add.reduceat(f.take(left, axis=0) * g.take(right, axis=0), first, axis=0)


@cache
def _unasked(n: int) -> NDArray[np.float64]:
    """1 where no detector clicks, so that a constant counts, and 0 where one does."""
    digits = np.indices((3,) * n).reshape(n, 3**n)
    return np.where(np.all(digits != CLICK, axis=0), 1.0, 0.0)


def _plus(f: Array, constant: Any, n: int) -> Array:
    if n == 0:
        return np.asarray(f + constant)
    added = np.asarray(constant) * _unasked(n).reshape(-1, *(1,) * np.ndim(constant))
    own, more = f.ndim - 1, np.ndim(constant)
    added = added.reshape(3**n, *(1,) * max(0, own - more), *np.shape(constant))
    return np.asarray(f + added)


def _by_first(f: Array, n: int) -> Array:
    """Split off the first detector's axis, shape (3, 3^(n−1), ...)."""
    return f.reshape(3, 3 ** (n - 1), *f.shape[1:])


def _reciprocal(f: Array, n: int) -> Array:
    if n == 0:
        return np.asarray(1 / f)
    f = _by_first(f, n)
    both = _reciprocal(f[:CLICK].swapaxes(0, 1), n - 1)
    free, silent = both[:, FREE], both[:, SILENT]
    click = -_product(_product(free, f[CLICK], n - 1), silent, n - 1)
    return np.concatenate([free, silent, click])


def _expm1(f: Array, n: int) -> Array:
    if n == 0:
        return np.asarray(np.expm1(f))
    free, silent, change = np.moveaxis(_expm1(np.moveaxis(_by_first(f, n), 0, 1), n - 1), 1, 0)
    return np.concatenate([free, silent, change + _product(silent, change, n - 1)])


def _log1p(f: Array, n: int) -> Array:
    if n == 0:
        return np.asarray(np.log1p(f))
    f = _by_first(f, n)
    step = _product(f[CLICK], _reciprocal(_plus(f[SILENT], 1, n - 1), n - 1), n - 1)
    parts = np.stack([f[FREE], f[SILENT], step], axis=1)
    return np.concatenate(list(np.moveaxis(_log1p(parts, n - 1), 1, 0)))
