"""Border checks of count numbers, with one wording for every estimator and file reader."""

from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import SupportsInt, cast

LARGEST = (1 << 63) - 1
"""Largest count: what 64 bits hold, and far more than any experiment reaches."""


def count_of(name: str, value: object) -> int:
    """Return a count as an int, or say what is wrong with it.

    Whole floats (``1.949e9`` as JSON writers like it) are accepted.

    Raises
    ------
    ValueError
        If the value is not a whole number from 0 to `LARGEST`; the message names the field.
    """
    whole = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole:
        message = f"`{name}` must be a whole number, but is {value!r}"
        raise ValueError(message)
    count = int(cast("SupportsInt", value))
    if count < 0:
        message = f"`{name}` must not be negative, but is {count}"
        raise ValueError(message)
    if count > LARGEST:
        message = f"`{name}` must be at most 2**63 - 1, but has {count.bit_length()} bits"
        raise ValueError(message)
    return count


def trials_of(value: object) -> int:
    """Return the number of trials as a positive int.

    Raises
    ------
    ValueError
        If it is not a whole number above zero.
    """
    trials = count_of("trials", value)
    if trials == 0:
        message = "`trials` must be at least 1, but is 0; nothing was measured"
        raise ValueError(message)
    return trials


def two_counts(gate: str, counts: object) -> tuple[int, int]:
    """Return the counts of detectors 1 and 2 in a gate.

    Raises
    ------
    ValueError
        If it is not a pair of whole, non-negative numbers.
    """
    both: tuple[object, ...] = ()
    if isinstance(counts, Iterable) and not isinstance(counts, Mapping):
        both = tuple(counts)
    if len(both) != 2:
        message = f"`{gate}` must hold two counts (detector 1, detector 2), but is {counts!r}"
        raise ValueError(message)
    return count_of(f"{gate} 1", both[0]), count_of(f"{gate} 2", both[1])


def field_of(mapping: Mapping[str, object], name: str) -> object:
    """Return a required field of a mapping.

    Raises
    ------
    ValueError
        If the field is missing; the message lists what is there.
    """
    if name not in mapping:
        present = ", ".join(sorted(map(str, mapping))) or "nothing"
        message = f"`{name}` must be given, but is missing; given are: {present}"
        raise ValueError(message)
    return mapping[name]


def must_not_exceed(name: str, value: int, limit_name: str, limit: int) -> None:
    """Check ``value <= limit`` for two counts.

    Raises
    ------
    ValueError
        Naming both fields, if not.
    """
    if value > limit:
        message = f"`{name}` must not exceed `{limit_name}` = {limit}, but is {value}"
        raise ValueError(message)
