"""Rules across instruments, declared in the station file and enforced by both labs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isnan
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A parameter within a range.

    Attributes
    ----------
    parameter : str
        Dotted path such as ``voa.transmission`` or ``fridge.channel_6.temperature``.
    at_least, at_most : float
        Allowed range, ends included, in the parameter's unit.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    parameter: str
    at_least: float = -inf
    at_most: float = inf

    def __post_init__(self) -> None:
        if isnan(self.at_least) or isnan(self.at_most):
            message = f"condition on {self.parameter!r}: its limits must be numbers, but one is nan"
            raise ValueError(message)
        if self.at_least == -inf and self.at_most == inf:
            message = f"condition on {self.parameter!r} must set `at_least` or `at_most`"
            raise ValueError(message)

    def holds(self, value: float) -> bool:
        """Tell whether a value is within the range; nan is not."""
        return self.at_least <= value <= self.at_most

    def __str__(self) -> str:
        low = "" if self.at_least == -inf else f"{self.at_least:g} <= "
        high = "" if self.at_most == inf else f" <= {self.at_most:g}"
        return f"{low}{self.parameter}{high}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interlock:
    """``require`` must hold, always or while all of ``when`` hold.

    A value that is not known (nan) counts as the worse of both: it fulfils no requirement, and it
    rules out no ``when``.

    Attributes
    ----------
    name : str
        What it protects; also what ``--force`` takes.
    require : Condition
    when : Condition or tuple of Condition
        Checked in this order; none: always.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    require: Condition
    when: Condition | tuple[Condition, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All of `when`."""
        return (self.when,) if isinstance(self.when, Condition) else self.when


class InterlockError(RuntimeError):
    """An interlock is violated; the message names it, the values and what to do."""


def check_interlocks(
    interlocks: Iterable[Interlock],
    read: Callable[[str], float],
    *,
    forced: Iterable[str] = (),
) -> tuple[str, ...]:
    """Check every interlock against the instruments' present values.

    Parameters
    ----------
    interlocks : iterable of Interlock
    read : callable
        Returns the present value of a parameter by its dotted path.
    forced : iterable of str
        Names of interlocks that are told but not enforced.

    Returns
    -------
    tuple of str
        What forced interlocks would have refused.

    Raises
    ------
    InterlockError
        Naming every violated interlock that is not forced.
    ValueError
        If a forced name is no interlock.
    """
    rules = tuple(interlocks)
    check_forced(rules, forced)
    overridden: list[str] = []
    violated: list[str] = []
    for rule in rules:
        text = _violation(rule, read)
        if text:
            (overridden if rule.name in set(forced) else violated).append(text)
    if violated:
        raise InterlockError("; ".join(violated))
    return tuple(overridden)


def check_forced(interlocks: Iterable[Interlock], forced: Iterable[str]) -> None:
    """Raise ValueError if a forced name is no interlock."""
    names = [rule.name for rule in interlocks]
    unknown = set(forced) - set(names)
    if unknown:
        message = (
            f"no interlock {', '.join(sorted(unknown))!r} to force; there are "
            f"{', '.join(names) or 'none'}"
        )
        raise ValueError(message)


def _violation(rule: Interlock, read: Callable[[str], float]) -> str | None:
    for condition in rule.conditions:
        value = read(condition.parameter)
        if not (condition.holds(value) or isnan(value)):
            return None
    value = read(rule.require.parameter)
    if rule.require.holds(value):
        return None
    while_ = " and ".join(map(str, rule.conditions))
    must = f"{rule.require} must hold" + (f" while {while_}" if while_ else "")
    known = "is not known" if isnan(value) else f"is {value:g}"
    return f"interlock {rule.name!r}: {must}, but it {known}"
