"""Checks of procedures' options, made before any instrument is touched."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from math import isfinite
from typing import Any


def check_options(
    options: Any, *, positive: tuple[str, ...] = (), at_least: Mapping[str, float] | None = None
) -> None:
    """Check the numbers of an options class; for its ``__post_init__``.

    Parameters
    ----------
    options : dataclass
        All its numbers, in tuples too, must be finite.
    positive : tuple of str
        Names of those that must be above zero.
    at_least : mapping of str to float, optional
        Smallest allowed value by name.

    Raises
    ------
    ValueError
        Naming the option, what it must be and what it is.
    """
    least = at_least or {}
    for field in fields(options):
        for value in _numbers(getattr(options, field.name)):
            if not isfinite(value):
                _refuse(field.name, "be a finite number", value)
            if field.name in positive and value <= 0:
                _refuse(field.name, "be > 0", value)
            if field.name in least and value < least[field.name]:
                _refuse(field.name, f"be at least {least[field.name]:g}", value)


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def _refuse(name: str, must: str, value: float) -> None:
    message = f"`{name}` must {must}, but is {value:g}"
    raise ValueError(message)
