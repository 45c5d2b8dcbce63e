"""An instrument's entry in a station file: every key is obeyed, or refused by its place."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from inspect import Parameter as Argument
from inspect import signature
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Union, get_args, get_origin

from analysis.yamlfile import read_mapping
from labkit.station.references import find

if TYPE_CHECKING:
    from qcodes.instrument import Instrument
    from qcodes.parameters import Parameter

ATTRIBUTES = ("label", "unit", "scale", "offset", "step", "inter_delay", "post_delay")
"""Keys of a parameter that are attributes of QCoDeS's `Parameter`."""

IN_OWN_UNITS = ("unit", "scale", "offset")
"""Keys that would change what labkit's own drivers mean by a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterEntry:
    """What a station file says of a parameter, as QCoDeS's ``Station`` has it.

    Attributes
    ----------
    label, unit : str or None
    scale, offset : float or None
        What the instrument gets is value · scale + offset.
    step, inter_delay, post_delay : float or None
        Largest step of a change; waits between steps and after a change, s.
    limits : (float, float) or None
        Smallest and largest value, within those of the driver.
    alias : str or None
        Second name.
    initial_value : number, text or bool, optional
        Set once the instrument is open.
    monitor : bool
        Not supported: `labkit.monitoring` watches what roles and interlocks name.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    label: str | None = None
    unit: str | None = None
    scale: float | None = None
    offset: float | None = None
    step: float | None = None
    inter_delay: float | None = None
    post_delay: float | None = None
    limits: tuple[float, float] | None = None
    alias: str | None = None
    initial_value: bool | int | float | str | None = None
    monitor: bool = False

    def __post_init__(self) -> None:
        if self.monitor:
            message = "`monitor` is not obeyed: labkit watches what roles and interlocks name"
            raise ValueError(message)
        if self.limits is not None and not self.limits[0] < self.limits[1]:
            message = f"`limits` must rise, but are {list(self.limits)}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedParameter:
    """A parameter that stands for another one of the same instrument.

    Attributes
    ----------
    source : str
        Dotted path within the instrument.
    label, unit : str or None
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    source: str
    label: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentEntry:
    """An entry of ``instruments``.

    Attributes
    ----------
    type : str
        Class, as ``package.module.Name``; a module may also stand beside the station file.
    address, port : str, int or None
        Given to the class by these names.
    init : dict
        What else is given to the class.
    parameters : dict of str to ParameterEntry
        By dotted path.
    add_parameters : dict of str to AddedParameter
        By name.
    enable_forced_reconnect : bool
        Whether an open instrument of this name is closed first.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    type: str
    address: str | int | None = None
    port: str | int | None = None
    init: dict[str, Any] | None = None
    parameters: dict[str, ParameterEntry] = field(default_factory=dict)
    add_parameters: dict[str, AddedParameter] = field(default_factory=dict)
    enable_forced_reconnect: bool = False

    def options(self) -> dict[str, Any]:
        """Return what the class is given besides its name, as written."""
        given = {"address": self.address, "port": self.port}
        return (self.init or {}) | {key: value for key, value in given.items() if value is not None}


def read_entry(plain: object, where: str) -> InstrumentEntry:
    """Read an entry; `where` names its place in errors.

    Raises
    ------
    ValueError
        If a key is not known (the nearest one is named) or a value is of the wrong type.
    """
    if not isinstance(plain, Mapping) or "type" not in plain:
        message = f"{where}: must be a mapping with `type`"
        raise ValueError(message)
    return read_mapping(InstrumentEntry, plain, where)


# --- what a class is given --------------------------------------------------------------------


def fitted(kind: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a class with numbers that were written as text as numbers.

    Raises
    ------
    ValueError
        If a name is not known to the class or its bases, one without default is missing, or a
        value cannot be what the class asks for.
    """
    known = _arguments(kind)
    for name in options:
        if name not in known:
            meant = nearest(name, known)
            message = f"{_place(name)} is not known to {_named(kind)}{meant}"
            raise ValueError(message)
    missing = [
        name
        for name, argument in signature(getattr(kind, "__init__", kind)).parameters.items()
        if argument.default is Argument.empty
        and argument.kind not in (Argument.VAR_POSITIONAL, Argument.VAR_KEYWORD)
        and name not in {"self", "name", *options}
    ]
    if missing:
        message = (
            f"`init` must give {', '.join(missing)}, but does not; there is no default where a "
            "wrong value could break something"
        )
        raise ValueError(message)
    return {name: converted(value, known[name], _place(name)) for name, value in options.items()}


def converted(value: Any, wanted: Any, where: str) -> Any:
    """Return a plain value as what a type asks for; what no type speaks of stays as it is.

    Raises
    ------
    ValueError
        If it cannot be that; names the place.
    """
    if wanted in (float, int) and isinstance(value, str | bool):
        return _number(value, wanted, where)
    if wanted is bool and not isinstance(value, bool):
        message = f"{where}: must be true or false, but is {value!r}"
        raise ValueError(message)
    if wanted is str and isinstance(value, int | float):
        message = f"{where}: must be text, but is the number {value!r}; write it in quotes"
        raise ValueError(message)
    kind, inner = get_origin(wanted), get_args(wanted)
    if kind in (Union, UnionType):
        return _one_of(value, inner, where)
    if kind is Literal and value not in inner:
        message = f"{where}: must be one of {', '.join(map(str, inner))}, but is {value!r}"
        raise ValueError(message)
    if kind in (tuple, list, Sequence):
        _check_list(value, kind, inner, where)
    if isinstance(value, list) and inner and kind not in (Mapping, dict, Literal):
        rows = enumerate(value)
        each = [inner[0]] * len(value) if inner[-1] is ... or len(inner) == 1 else list(inner)
        return [
            converted(item, each[n] if n < len(each) else Any, f"{where}[{n}]") for n, item in rows
        ]
    if isinstance(value, Mapping) and kind is not None and len(inner) == 2:
        return {key: converted(item, inner[1], f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Mapping) and isinstance(wanted, type) and is_dataclass(wanted):
        known = {row.name: row.type for row in fields(wanted)}
        return {
            key: converted(item, known.get(str(key), Any), f"{where}.{key}")
            for key, item in value.items()
        }
    return value


def _check_list(value: Any, kind: Any, inner: tuple[Any, ...], where: str) -> None:
    count = len(inner) if kind is tuple and inner and inner[-1] is not ... else None
    if isinstance(value, str) or not isinstance(value, Sequence):
        many = "" if count is None else f" of {count}"
        message = f"{where}: must be a list{many}, but is {value!r}"
        raise ValueError(message)
    if count is not None and len(value) != count:
        message = f"{where}: must be a list of {count}, but has {len(value)}: {value!r}"
        raise ValueError(message)


def nearest(name: str, known: Mapping[str, Any] | tuple[str, ...]) -> str:
    """Return what to write instead of a name that is not known, for the end of a message."""
    if near := get_close_matches(name, list(known), n=1):
        return f"; write {near[0]}"
    return f"; known are {', '.join(known)}"


def _place(name: str) -> str:
    return f"`{name}`" if name in ("address", "port") else f"`init.{name}`"


def _named(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))


def _number(value: str | bool, wanted: Any, where: str) -> Any:
    if isinstance(value, str):
        try:
            return wanted(value)
        except ValueError:
            pass
    message = f"{where}: must be a number, but is {value!r}"
    raise ValueError(message)


def _one_of(value: Any, kinds: tuple[Any, ...], where: str) -> Any:
    """Return the value as the first of several types that takes it."""
    if value is None and type(None) in kinds:
        return value
    plain = {str: str, float: int | float, int: int, bool: bool}
    if any(kind in plain and isinstance(value, plain[kind]) for kind in kinds):
        return value
    refusals = []
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return converted(value, kind, where)
        except ValueError as error:
            refusals.append(str(error))
    raise ValueError("; or ".join(refusals))


def _arguments(kind: Any) -> dict[str, Any]:
    """Return the types of what a class and its bases can be given, by name."""
    found: dict[str, Any] = {}
    for base in getattr(kind, "__mro__", (kind,)):
        constructor = vars(base).get("__init__") if isinstance(base, type) else base
        if constructor is None or base is object:
            continue
        arguments = signature(constructor).parameters
        scope = getattr(constructor, "__globals__", {})
        for name, argument in arguments.items():
            if argument.kind not in (Argument.VAR_POSITIONAL, Argument.VAR_KEYWORD):
                found.setdefault(name, _type(argument.annotation, scope))
        if not any(a.kind is Argument.VAR_KEYWORD for a in arguments.values()):
            break
    return {name: wanted for name, wanted in found.items() if name not in ("self", "name")}


def _type(annotation: Any, scope: dict[str, Any]) -> Any:
    """Return an annotation as a type; what cannot be read outside type checkers is anything."""
    if annotation is Argument.empty:
        return Any
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, scope)  # noqa: S307, RUF100  # a driver's own annotation
    except (NameError, TypeError, AttributeError):
        return Any


# --- parameters of an open instrument ---------------------------------------------------------


def apply_parameters(instrument: "Instrument", entry: InstrumentEntry) -> None:
    """Do to an open instrument what its entry says of parameters; initial values come last.

    Raises
    ------
    ValueError, KeyError
        If there is no such parameter, or it cannot be obeyed; names the place.
    """
    for name, added in entry.add_parameters.items():
        _add(instrument, name, added)
    named = list(_named_parameters(instrument, entry))
    for place, parameter, wanted in named:
        _apply(parameter, wanted, place)
    for place, parameter, wanted in named:
        if wanted.initial_value is not None:
            try:
                parameter.set(_as_asked(wanted.initial_value, parameter))
            except (ValueError, TypeError, KeyError) as error:
                message = f"`{place}.initial_value`: {error}"
                raise ValueError(message) from error


def _named_parameters(
    instrument: "Instrument", entry: InstrumentEntry
) -> Iterator[tuple[str, "Parameter[Any, Any]", ParameterEntry]]:
    from qcodes.parameters import ParameterBase

    for path, wanted in entry.parameters.items():
        place = f"parameters.{path}"
        try:
            parameter = find({instrument.name: instrument}, f"{instrument.name}.{path}")
        except KeyError as error:
            holder = _holder(instrument, path)
            meant = nearest(path.rpartition(".")[2], tuple(holder.parameters))
            message = f"`{place}`: {error.args[0].partition(';')[0]}{meant}"
            raise ValueError(message) from error
        if not isinstance(parameter, ParameterBase):
            message = f"`{place}`: must name a parameter, but is a {type(parameter).__name__}"
            raise ValueError(message)
        yield place, parameter, wanted  # type: ignore[misc]  # set as asked below


def _holder(instrument: "Instrument", path: str) -> Any:
    """Return the part of an instrument that should have the last name of a path, or itself."""
    head = path.rpartition(".")[0]
    try:
        return find({"it": instrument}, f"it.{head}") if head else instrument
    except KeyError:
        return instrument


def _add(instrument: "Instrument", name: str, added: AddedParameter) -> None:
    from qcodes.parameters import DelegateParameter

    source = find({instrument.name: instrument}, f"{instrument.name}.{added.source}")
    more = {key: text for key, text in (("label", added.label), ("unit", added.unit)) if text}
    instrument.add_parameter(name, DelegateParameter, source=source, **more)


def _apply(parameter: Any, wanted: ParameterEntry, place: str) -> None:
    own = _is_own(parameter)
    for key in ATTRIBUTES:
        value = getattr(wanted, key)
        if value is None:
            continue
        if own and key in IN_OWN_UNITS:
            message = (
                f"`{place}.{key}`: cannot be obeyed, because labkit's own drivers count in "
                f"{parameter.unit or 'units'} of their own; give calibrations in `init`"
            )
            raise ValueError(message)
        setattr(parameter, key, value)
    if wanted.limits is not None:
        _limit(parameter, wanted.limits, place)
    if wanted.alias is not None:
        if hasattr(parameter.instrument, wanted.alias):
            message = f"`{place}.alias`: the name {wanted.alias!r} is taken; choose another"
            raise ValueError(message)
        setattr(parameter.instrument, wanted.alias, parameter)


def _is_own(parameter: Any) -> bool:
    """Tell whether a parameter stands in the table of one of labkit's drivers."""
    from instruments.bases.parameters import declared

    return parameter.name in declared(type(parameter.instrument))


def _limit(parameter: Any, limits: tuple[float, float], place: str) -> None:
    from qcodes.validators import Ints, Numbers

    low, high = limits
    if not parameter.settable:
        message = f"`{place}.limits`: {parameter.full_name} cannot be set, so nothing limits it"
        raise ValueError(message)
    own = parameter.vals
    if isinstance(own, Numbers | Ints):
        lowest, highest = own.min_value, own.max_value
        if not lowest <= low < high <= highest:
            message = (
                f"`{place}.limits`: must lie within those of the driver, {lowest:g} to "
                f"{highest:g} {parameter.unit}, but are {low:g} to {high:g}"
            )
            raise ValueError(message)
    if own is None or type(own) is Numbers:
        parameter.vals = Numbers(low, high)
    else:
        parameter.add_validator(Numbers(low, high))


def _as_asked(value: Any, parameter: Any) -> Any:
    """Return a number that was written as text as a number where the parameter takes numbers."""
    from qcodes.validators import Ints, Numbers

    if isinstance(value, str) and isinstance(parameter.vals, Numbers | Ints):
        return converted(value, int if isinstance(parameter.vals, Ints) else float, "value")
    return value
