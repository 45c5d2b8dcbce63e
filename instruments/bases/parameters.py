"""A driver's table of parameters, and values in the whole steps that an instrument understands.

A class body lists what the instrument can be asked and told::

    class Channel(InstrumentChannel[Generator]):
        frequency = number("SOUR{number}:FREQ", "Hz", "Repetitions", 1e-6, 150e6)
        burst = switch("SOUR{number}:BURS:STAT", "Burst")

and `add_parameters` makes QCoDeS parameters of it, for one instrument or channel.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any, Generic, Self, TypeVar, overload

from qcodes.instrument import InstrumentBase
from qcodes.parameters import Parameter, ParameterBase
from qcodes.validators import Numbers, Validator

T = TypeVar("T")
OwnerT = TypeVar("OwnerT", bound=InstrumentBase)
Getter = TypeVar("Getter", bound=Callable[[Any], Any])
Setter = TypeVar("Setter", bound=Callable[[Any, Any], None])

ON_OFF = {True: "1", False: "0"}
"""Replies to the query of a switch, as SCPI has them."""
NUMBER = r"[+-]?(?:0|[1-9]\d*)?(?:\.\d*)?|[+-]?\d?(?:\.\d*)?[eE][+-]?\d+"
"""How SCPI instruments write numbers: no leading zeros, one digit before the point of an exponent
form. What a disturbed line puts before a number mostly breaks that."""


def number_in(reply: str, grammar: str = NUMBER, low: float = -inf, high: float = inf) -> float:
    """Return the number that a reply is.

    Parameters
    ----------
    reply : str
    grammar : str
        Regular expression that the whole reply must match.
    low, high : float
        What the instrument can answer at all; its rounding of them is let pass.

    Raises
    ------
    ConnectionError
        If the reply is no such number: garbled on its way.
    """
    text = reply.strip()
    wrong = f"a number must match {grammar!r}"
    if re.fullmatch(grammar, text):
        with suppress(ValueError):  # "", "." and "E5" match too
            value = float(text)
            if low - 1e-6 * abs(low) <= value <= high + 1e-6 * abs(high):
                return value
            wrong = f"a number must be {low:g} to {high:g}"
    message = f"the reply {reply!r} is not what this setting can be: {wrong}; ask again"
    raise ConnectionError(message)


class Declared(Generic[T]):
    """One row of the table in a class; on an instrument or channel it is the QCoDeS parameter.

    Parameters
    ----------
    label, unit : str
        By default the label is the name.
    doc : str
        What the label does not say.
    get, set : str or callable, optional
        Query and command, with attributes of the owner by name in braces, and the value as ``{}``;
        or what the owner does. See also `getter` and `setter`.
    vals : Validator or callable, optional
        A callable gets the owner.
    only : callable, optional
        Which owners have the parameter; by default all.
    is_setting : bool
        Whether it changes only if somebody sets it, as what has a setter anyway: a look at a
        running recording takes it as it was last known.
    **more
        For `qcodes.parameters.Parameter`.
    """

    def __init__(
        self,
        label: str = "",
        unit: str = "",
        *,
        doc: str = "",
        get: str | Callable[[Any], Any] | None = None,
        set: str | Callable[[Any, Any], None] | None = None,  # noqa: A002
        vals: Validator[Any] | Callable[[Any], Validator[Any]] | None = None,
        only: Callable[[Any], bool] | None = None,
        is_setting: bool = False,
        **more: Any,
    ) -> None:
        self.name = ""
        self.label, self.unit, self.doc = label, unit, doc
        self.only, self.is_setting = only, is_setting
        self._get, self._set, self._vals = get, set, vals
        self._more = more

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.label = self.label or name

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: OwnerT, kind: type) -> Parameter[T, OwnerT]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self
        try:
            return vars(owner)["parameters"][self.name]
        except KeyError:
            message = f"{kind.__name__} has no parameter {self.name!r} yet"
            raise AttributeError(message) from None

    def getter(self, method: Getter) -> Getter:
        """Let a method, decorated with this, return the value."""
        self._get = method
        self._more.pop("get_parser", None)
        return method

    def setter(self, method: Setter) -> Setter:
        """Let a method, decorated with this, set the value."""
        self._set = method
        return method

    def add_to(self, owner: InstrumentBase) -> None:
        """Add the parameter to an instrument or channel."""
        given = self._more | {
            "vals": self._vals if isinstance(self._vals, Validator | None) else self._vals(owner),
            "label": _filled(self.label, owner),
            "docstring": _filled(self.doc, owner) or _filled(self.label, owner),
        }
        if self._get is not None:
            given["get_cmd"] = _of(self._get, owner)
        if self._set is not None:
            given["set_cmd"] = _of(self._set, owner)
        owner.add_parameter(self.name, unit=self.unit, **given)


def is_setting(found: object) -> bool:
    """Tell whether something is a parameter that changes only if somebody sets it.

    One of a driver that declares no table is, if it can be set.
    """
    if not isinstance(found, ParameterBase):
        return False
    row = getattr(type(found.instrument), found.name, None)
    return found.settable or (isinstance(row, Declared) and row.is_setting)


def declared(kind: type) -> dict[str, Declared[Any]]:
    """Return the rows of a class and its bases, bases first."""
    return {
        name: row
        for base in reversed(kind.__mro__)
        for name, row in vars(base).items()
        if isinstance(row, Declared)
    }


def add_parameters(owner: InstrumentBase) -> None:
    """Add all parameters that the owner's class declares; its attributes must be set before."""
    for row in declared(type(owner)).values():
        if row.only is None or row.only(owner):
            row.add_to(owner)


def number(
    header: str,
    unit: str,
    label: str,
    low: float,
    high: float,
    *,
    form: str = ".8g",
    doc: str = "",
    **more: Any,
) -> Declared[float]:
    """Declare a number that is asked for as ``header?`` and given as ``header value``.

    Parameters
    ----------
    header, unit, label : str
    low, high : float
        What is sent to the instrument at all, and what it can answer.
    form : str
        Format of a value in a command.
    doc : str
    **more
        As for `Declared`.
    """
    given: dict[str, Any] = {
        "set": f"{header} {{:{form}}}",
        "vals": Numbers(low, high),
        "get_parser": partial(number_in, low=low, high=high),
    }
    return reading(f"{header}?", unit, label, doc=doc or _said(label, header), **given | more)


def reading(query: str, unit: str, label: str, *, doc: str = "", **more: Any) -> Declared[float]:
    """Declare a number that is asked for."""
    given: dict[str, Any] = {"get_parser": number_in} | more
    return Declared[float](label, unit, get=query, doc=doc or _said(label, query), **given)


def switch(
    header: str, label: str, *, words: Mapping[bool, str] = ON_OFF, doc: str = "", **more: Any
) -> Declared[bool]:
    """Declare something that is on or off, in the given words."""
    given: dict[str, Any] = {"set": f"{header} {{}}", "val_mapping": dict(words)} | more
    return Declared[bool](label, get=f"{header}?", doc=doc or _said(label, header), **given)


def choice(
    header: str, label: str, words: Mapping[str, str], *, doc: str = "", **more: Any
) -> Declared[str]:
    """Declare one of some words, each with the instrument's word for it."""
    given: dict[str, Any] = {"set": f"{header} {{}}", "val_mapping": dict(words)} | more
    return Declared[str](label, get=f"{header}?", doc=doc or _said(label, header), **given)


def whole_steps(value: float, step: float, name: str, unit: str) -> int:
    """Return `value` / `step` as an integer.

    Raises
    ------
    ValueError
        If `value` is no multiple of `step` (to 1e-6 of a step): the device would round it.
    """
    steps = round(value / step)
    if abs(value / step - steps) > 1e-6:
        message = (
            f"`{name}` must be a multiple of {step:g} {unit}, but is {value:.12g} {unit}; "
            f"the nearest is {steps * step:.12g} {unit}"
        )
        raise ValueError(message)
    return steps


def _said(label: str, command: str) -> str:
    return f"{label} (``{command.rstrip('?')}``)."


def _filled(text: str, owner: InstrumentBase) -> str:
    """Put attributes of the owner in their places; the place of a value stays open."""
    return re.sub(r"\{([a-z_]\w*)\}", lambda found: str(getattr(owner, found[1])), text)


def _of(action: Any, owner: InstrumentBase) -> Any:
    return _filled(action, owner) if isinstance(action, str) else partial(action, owner)
