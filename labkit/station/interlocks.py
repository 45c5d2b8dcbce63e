"""Rules across instruments, declared in the station file and enforced by both labs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import inf, isnan
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRange:
    """A parameter within a range.

    Attributes
    ----------
    parameter : str or tuple of str
        Dotted path such as ``voa.transmission`` or ``fridge.channel_6.temperature``. Of several, a
        requirement must hold for each; a ``when`` is given if it holds for any.
    at_least, at_most : float
        Allowed range, ends included, in the parameter's unit.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    parameter: str | tuple[str, ...]
    at_least: float = -inf
    at_most: float = inf

    def __post_init__(self) -> None:
        if not self.parameters:
            message = "a condition must name at least one `parameter`, but names none"
            raise ValueError(message)
        if isnan(self.at_least) or isnan(self.at_most):
            message = f"condition on {self.parameter!r}: its limits must be numbers, but one is nan"
            raise ValueError(message)
        if self.at_least > self.at_most:
            message = (
                f"condition on {self.parameter!r}: `at_least` must not be above `at_most`, but they"
                f" are {self.at_least:g} and {self.at_most:g}: it can never hold"
            )
            raise ValueError(message)
        if self.at_least == -inf and self.at_most == inf:
            message = f"condition on {self.parameter!r} must set `at_least` or `at_most`"
            raise ValueError(message)

    @property
    def parameters(self) -> tuple[str, ...]:
        """All of `parameter`."""
        return (self.parameter,) if isinstance(self.parameter, str) else self.parameter

    def holds(self, value: float) -> bool:
        """Tell whether a value is within the range; nan is not."""
        return self.at_least <= value <= self.at_most

    def __str__(self) -> str:
        low = "" if self.at_least == -inf else f"{self.at_least:g} <= "
        high = "" if self.at_most == inf else f" <= {self.at_most:g}"
        return f"{low}{' or '.join(self.parameters)}{high}"

    @property
    def of_each(self) -> str:
        """Its words as a requirement, which each of several parameters must meet."""
        return str(self).replace(" or ", " and ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interlock:
    """``require`` must hold, always or while all of ``when`` hold.

    A value that is not known (nan) counts as the worse of both: it fulfils no requirement, and it
    rules out no ``when``.

    Attributes
    ----------
    name : str
        What it protects; also what ``--force`` takes.
    require : ParameterRange
    when : ParameterRange or tuple of ParameterRange
        Checked in this order; none: always.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    require: ParameterRange
    when: ParameterRange | tuple[ParameterRange, ...] = ()

    @property
    def conditions(self) -> tuple[ParameterRange, ...]:
        """All of `when`."""
        return (self.when,) if isinstance(self.when, ParameterRange) else self.when

    def names(self, path: str) -> bool:
        """Tell whether a parameter plays a part in it."""
        return any(path in one.parameters for one in (self.require, *self.conditions))

    def is_about(self, instrument: str) -> bool:
        """Tell whether a parameter of an instrument plays a part in it."""
        named = (p for one in (self.require, *self.conditions) for p in one.parameters)
        return any(path.split(".", maxsplit=1)[0] == instrument for path in named)

    def is_made_safer_by(self, path: str, value: float | None) -> bool:
        """Tell whether a value fulfils the requirement, or ends a ``when``."""
        if value is None:
            return False
        if path in self.require.parameters:
            return self.require.holds(value)
        return any(path in one.parameters and not one.holds(value) for one in self.conditions)


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
    found = violations(rules, read)
    violated = [text for name, text in found.items() if name not in set(forced)]
    if violated:
        raise InterlockError("; ".join(violated))
    return tuple(found.values())


def violations(rules: Iterable[Interlock], read: Callable[[str], float]) -> dict[str, str]:
    """Return what violates which interlock now, by its name; each parameter is asked once."""
    known: dict[str, float] = {}

    def once(path: str) -> float:
        if path not in known:
            known[path] = read(path)
        return known[path]

    found = {rule.name: _violation(rule, once) for rule in rules}
    return {name: text for name, text in found.items() if text is not None}


def check_names(interlocks: Iterable[Interlock]) -> None:
    """Raise ValueError if two interlocks have the same name, or say the same."""
    seen: dict[object, str] = {}
    for rule in interlocks:
        for key in (rule.name, (rule.require, rule.conditions)):
            if key in seen:
                message = (
                    f"interlocks must differ in name and in what they say, but {seen[key]!r} and "
                    f"{rule.name!r} do not; delete one"
                )
                raise ValueError(message)
            seen[key] = rule.name


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
        given = (read(path) for path in condition.parameters)
        if not any(condition.holds(value) or isnan(value) for value in given):
            return None
    for path in rule.require.parameters:
        value = read(path)
        if not rule.require.holds(value):
            break
    else:
        return None
    while_ = " and ".join(map(str, rule.conditions))
    must = f"{rule.require.of_each} must hold" + (f" while {while_}" if while_ else "")
    known = "is not known" if isnan(value) else f"is {value:g}"
    which = "it" if isinstance(rule.require.parameter, str) else path
    return f"interlock {rule.name!r}: {must}, but {which} {known}"
