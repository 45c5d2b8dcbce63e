"""Parameter tables of the models: unit, allowed range, meaning, source, and the border check."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from functools import cache
from re import fullmatch
from typing import Any, Final, NamedTuple, Self, cast, get_type_hints

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Value = float | Real

_LARGEST: Final = float(np.finfo(np.float64).max)
_SMALLEST: Final = float(np.finfo(np.float64).tiny)


class Range(NamedTuple):
    """Allowed values, ends included, perhaps `whole` numbers; `text` completes "the value must …".

    A whole number is nothing to differentiate by.
    """

    low: float
    high: float
    text: str
    whole: bool = False


FINITE: Final = Range(-_LARGEST, _LARGEST, "be finite")
NON_NEGATIVE: Final = Range(0.0, _LARGEST, "be finite and ≥ 0")
POSITIVE: Final = Range(_SMALLEST, _LARGEST, "be finite and > 0")
POSITIVE_OR_INFINITE: Final = Range(_SMALLEST, np.inf, "be > 0 (inf: no decay)")
FRACTION: Final = Range(0.0, 1.0, "lie in [0, 1]")


class Choice(NamedTuple):
    """Allowed words of a parameter that is no number."""

    options: tuple[str, ...]

    @property
    def text(self) -> str:
        """Complete "the value must …"."""
        return f"be one of {', '.join(self.options)}"


class Pattern(NamedTuple):
    """Words that match a regular expression as a whole; `text` completes "the value must …"."""

    pattern: str
    text: str


class Quantity(NamedTuple):
    """What a parameter means: unit (empty for a number), allowed values, meaning, source."""

    unit: str
    allowed: Range | Choice | Pattern
    meaning: str
    source: str


def checked(name: str, value: object, allowed: Range) -> Value:
    """Return `value` as a float or a read-only array if all of it lies in `allowed`.

    Raises
    ------
    ValueError
        If it is no number, or outside; the message names parameter, value and range.
    """
    low, high, text, whole = allowed
    if type(value) is float and low <= value <= high and not whole:
        return value
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        message = f"`{name}` must be a number or an array of numbers, but is {value!r}"
        raise ValueError(message) from None
    if array.size and not (array.min() >= low and array.max() <= high):  # nan is not inside
        outside = ~((array >= low) & (array <= high))
        message = f"`{name}` must {text}, but is {array[outside].flat[0]}"
        raise ValueError(message)
    if whole and (array.ndim or not float(array).is_integer()):
        message = f"`{name}` must be a whole number, but is {value}"
        raise ValueError(message)
    if array.ndim == 0:
        return float(array)
    array.flags.writeable = False
    return array


def common_shape(values: Mapping[str, Any]) -> tuple[int, ...]:
    """Shape the values broadcast to.

    Raises
    ------
    ValueError
        If they do not; the message gives the shapes of the arrays.
    """
    shapes = {
        name: np.shape(value)
        for name, value in values.items()
        if not isinstance(value, float) and np.ndim(value)
    }
    if not shapes:
        return ()
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        message = f"array parameters must broadcast against each other, but have {shapes}"
        raise ValueError(message) from None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parameters:
    """Base of the parameters of every model: numbers or arrays, checked when made.

    Each field is annotated with its `Quantity`:
    ``kappa: Annotated[Value, Quantity("Hz", NON_NEGATIVE, "damping", "p. 3")] = 1e6``.
    A default of None means "not given": the model derives the value from others.

    Raises
    ------
    ValueError
        If a value is outside its range, or the arrays do not broadcast.
    """

    def __post_init__(self) -> None:
        arrays = {}
        for name, item in _quantities(cast("Hashable", type(self))).items():
            value, allowed = getattr(self, name), item.allowed
            if value is None or not isinstance(allowed, Range):
                _check_word(name, value, item)
                continue
            found = checked(name, value, allowed)
            if found is not value:
                object.__setattr__(self, name, found)
            if not isinstance(found, float):
                arrays[name] = found
        common_shape(arrays)

    @classmethod
    def unchecked(cls, values: Mapping[str, Any]) -> Self:
        """Return parameters of values that are right by the way they were computed.

        Checks take longer than the model where it is evaluated thousands of times.

        Parameters
        ----------
        values : mapping of str to float or ndarray
            By name, within their ranges, of shapes that broadcast; defaults for the others.
        """
        made = object.__new__(cls)
        for name, value in {**_defaults(cast("Hashable", cls)), **values}.items():
            object.__setattr__(made, name, value)
        return made

    @classmethod
    def quantities(cls) -> dict[str, Quantity]:
        """Return unit, range, meaning and source of every parameter, by name."""
        return dict(_quantities(cast("Hashable", cls)))

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Return the paper's value of every parameter, by name."""
        return dict(_defaults(cast("Hashable", cls)))

    @classmethod
    def words(cls) -> tuple[str, ...]:
        """Return the names of the parameters that are words, no numbers."""
        items = cls.quantities().items()
        return tuple(name for name, item in items if not isinstance(item.allowed, Range))

    @classmethod
    def known(cls, name: str) -> str:
        """Return `name` if it is a parameter.

        Raises
        ------
        KeyError
            If not; the nearest names are offered.
        """
        names = list(cls.quantities())
        if name not in names:
            near = get_close_matches(name, names, n=3, cutoff=0.4) or names
            message = f"no parameter {name!r}; nearest: {', '.join(near)}"
            raise KeyError(message)
        return name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the batch: ``()`` if every parameter is a number."""
        names = _quantities(cast("Hashable", type(self)))
        values = {name: getattr(self, name) for name in names}
        return common_shape(
            {name: value for name, value in values.items() if not isinstance(value, str | None)}
        )


@cache
def _defaults(parameters: Any) -> dict[str, Any]:
    return {entry.name: entry.default for entry in fields(parameters)}


@cache
def _quantities(parameters: Any) -> dict[str, Quantity]:
    hints = get_type_hints(parameters, include_extras=True)
    return {entry.name: hints[entry.name].__metadata__[0] for entry in fields(parameters)}


def _check_word(name: str, value: object, item: Quantity) -> None:
    allowed = item.allowed
    if value is None or (isinstance(allowed, Choice) and value in allowed.options):
        return
    if (
        isinstance(allowed, Pattern)
        and isinstance(value, str)
        and fullmatch(allowed.pattern, value)
    ):
        return
    message = f"`{name}` must {allowed.text}, but is {value!r}"
    raise ValueError(message)
