"""Physical quantities as parameters: unit, allowed range, meaning, and the check at the border."""

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = NDArray[np.float64]
Value = float | Real

_LARGEST: Final = float(np.finfo(np.float64).max)
_SMALLEST: Final = float(np.finfo(np.float64).tiny)


class Range(NamedTuple):
    """Allowed values, ends included; `text` completes "the value must …"."""

    low: float
    high: float
    text: str


FINITE: Final = Range(-_LARGEST, _LARGEST, "be finite")
NON_NEGATIVE: Final = Range(0.0, _LARGEST, "be finite and ≥ 0")
POSITIVE: Final = Range(_SMALLEST, _LARGEST, "be finite and > 0")
POSITIVE_OR_INFINITE: Final = Range(_SMALLEST, np.inf, "be > 0 (inf: no decay)")
FRACTION: Final = Range(0.0, 1.0, "lie in [0, 1]")


def checked(name: str, value: object, allowed: Range) -> Value:
    """Return `value` as a float or a read-only array if all of it lies in `allowed`.

    Raises
    ------
    ValueError
        If it is no number, or outside; the message names parameter, value and range.
    """
    low, high, text = allowed
    if type(value) is float and low <= value <= high:
        return value
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        message = f"`{name}` must be a number or an array of numbers, but is {value!r}"
        raise ValueError(message) from None
    outside = ~((array >= low) & (array <= high))
    if np.any(outside):
        message = f"`{name}` must {text}, but is {array[outside].flat[0]}"
        raise ValueError(message)
    if array.ndim == 0:
        return float(array)
    array.flags.writeable = False
    return array


def common_shape(values: Mapping[str, ArrayLike]) -> tuple[int, ...]:
    """Shape the values broadcast to.

    Raises
    ------
    ValueError
        If they do not; the message gives the shapes of the arrays.
    """
    shapes = {name: np.shape(value) for name, value in values.items() if np.ndim(value)}
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        message = f"array parameters must broadcast against each other, but have {shapes}"
        raise ValueError(message) from None
