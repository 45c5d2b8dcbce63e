"""Theory models in files of their users: a Python file with ``MODEL``, or a network as YAML."""

import ast
import math
import operator
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, fields
from importlib.util import module_from_spec, spec_from_file_location
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from analysis.yamlfile import read_yaml

if TYPE_CHECKING:
    from simulation.theory.couplings import Coupling
    from simulation.theory.models import Model
    from simulation.theory.network import Network
    from simulation.theory.quantities import Quantity

SUFFIXES: Final = (".py", ".yaml", ".yml")
"""What tells a model's file from a model's name."""

COUPLINGS: Final = {
    "beam_splitter": 2,
    "two_mode_squeezing": 2,
    "single_mode_squeezing": 1,
    "radiation_pressure": 2,
}
"""Couplings that a YAML file may name, and how many modes each takes before its rate."""

_KEYS: Final = (
    "name",
    "source",
    "rate_unit",
    "parameters",
    "modes",
    "couplings",
    "ports",
    "links",
    "gains",
    "shared_baths",
)

_WORDS: Final = ("name", "mode", "source", "target", "first", "second", "convention")
"""Keys of parts whose values are words, no expressions."""

_OPERATORS: Final[Mapping[type, Callable[..., Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: Final = ("sqrt", "exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")
_CONSTANTS: Final = {"pi": math.pi, "i": 1j}


def read_model(path: str | Path) -> "Model":
    """Return the model of a file.

    Parameters
    ----------
    path : str or Path
        A Python file that sets ``MODEL`` (it is run), or a YAML file (it is only read), as
        `write_template` writes them.

    Raises
    ------
    ValueError
        If the file cannot be read, fails, or declares no legal network; the message names it.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES:
        message = f"{path}: a model must be a file {', '.join(SUFFIXES)}"
        raise ValueError(message)
    return _from_python(path) if path.suffix == ".py" else _from_yaml(path)


def write_template(path: Path) -> None:
    """Write a commented model that runs at once, as Python or YAML by the suffix.

    Raises
    ------
    ValueError
        If the suffix is neither.
    FileExistsError
        If the file exists.
    """
    if path.suffix not in SUFFIXES:
        message = f"{path}: a model must be a file {', '.join(SUFFIXES)}"
        raise ValueError(message)
    template = Path(__file__).parent / "templates" / f"model{path.suffix.replace('yml', 'yaml')}"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(template.read_text(encoding="utf-8"))
    except FileExistsError:
        message = f"{path}: the file exists; choose another name"
        raise FileExistsError(message) from None


def _from_python(path: Path) -> "Model":
    from simulation.theory.models import Model

    spec = spec_from_file_location(f"_labkit_model_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        message = f"{path}: there is no such file; `labkit new model {path}` writes one"
        raise ValueError(message)
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # annotations are looked up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file raises is named with the file
        message = f"{path}: fails with {type(error).__name__}: {error}"
        raise ValueError(message) from error
    model = getattr(module, "MODEL", None)
    if not isinstance(model, Model):
        message = f"{path}: must set MODEL = own_model(…), but MODEL is {model!r}"
        raise ValueError(message)
    return model


def _from_yaml(path: Path) -> "Model":
    from simulation.theory.models.own import own_model

    plain = _mapping(read_yaml(path), str(path))
    for key in plain:
        if key not in _KEYS:
            message = f"{path}: {key} must be one of {', '.join(_KEYS)}"
            raise ValueError(message)
    try:
        declare = _declaration(plain)
        return own_model(
            declare,
            name=str(plain.get("name", path.stem)),
            source=str(plain.get("source", "own model")),
            rate_unit=str(plain.get("rate_unit", "")),
        )
    except (TypeError, ValueError, KeyError) as error:
        said = error.args[0] if error.args else error
        message = f"{path}: {said}"
        raise ValueError(message) from error


def _declaration(plain: Mapping[str, Any]) -> "Callable[..., Network]":
    """Return a function of the declared parameters that makes the network."""
    from simulation.theory.quantities import Value

    arguments, hints = [], {}
    for name, entry in _mapping(plain.get("parameters", {}), "parameters").items():
        default, quantity = _parameter(name, entry)
        hints[name] = Annotated[Value, quantity]
        arguments.append(Argument(name, Argument.KEYWORD_ONLY, default=default))

    def declare(**values: Any) -> "Network":
        return _network(plain, values)

    declare.__name__ = "network"
    declare.__annotations__ = hints
    declare.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    return declare


def _parameter(name: object, entry: object) -> "tuple[float, Quantity]":
    """Return default and quantity of one entry of ``parameters``."""
    from simulation.theory.quantities import FINITE, Quantity, Range

    if not (isinstance(name, str) and name.isidentifier()) or name in (*_CONSTANTS, *_FUNCTIONS):
        message = (
            f"parameter {name} must be a word of letters, digits and _ other than "
            f"{', '.join((*_CONSTANTS, *_FUNCTIONS))}"
        )
        raise ValueError(message)
    given = entry if isinstance(entry, dict) else {"default": entry}
    where = f"parameter {name}"
    _known_keys(given, ("default", "low", "high", "unit", "meaning"), ("default",), where)
    numbers = {"low": FINITE.low, "high": FINITE.high}
    for key in ("default", "low", "high"):
        if key in given:
            numbers[key] = _number(given[key], f"{key} of {where}")
    low, high = numbers["low"], numbers["high"]
    bounded = "low" in given or "high" in given
    allowed = Range(low, high, f"lie in [{low:g}, {high:g}]" if bounded else FINITE.text)
    unit, meaning = str(given.get("unit", "")), str(given.get("meaning", ""))
    return numbers["default"], Quantity(unit, allowed, meaning, "")


def _network(plain: Mapping[str, Any], values: Mapping[str, Any]) -> "Network":
    from simulation.theory.network import Gain, Link, Mode, Network, Port, SharedBath

    def named(kind: str, make: type) -> list[Any]:
        entries = _mapping(plain.get(kind, {}), kind).items()
        return [_part(make, _mapping(entry, str(n)), values, name=str(n)) for n, entry in entries]

    def listed(kind: str, make: type) -> list[Any]:
        return [_part(make, _mapping(item, kind), values) for item in _list(plain, kind)]

    if not plain.get("modes"):
        message = (
            "modes must be a mapping of names, as in `modes: {a: {detuning: 1, damping: 0.5}}`"
        )
        raise ValueError(message)
    return Network(
        modes=named("modes", Mode),
        couplings=[_coupling(entry, values) for entry in _list(plain, "couplings")],
        ports=named("ports", Port),
        links=listed("links", Link),
        gains=listed("gains", Gain),
        shared_baths=listed("shared_baths", SharedBath),
    )


def _coupling(entry: object, values: Mapping[str, Any]) -> "Coupling":
    """Return a coupling written as ``{kind: [mode, …, rate]}``."""
    from simulation.theory import couplings

    if not (isinstance(entry, dict) and len(entry) == 1):
        message = f"a coupling must be one {{kind: [modes, rate]}}, but is {entry!r}"
        raise ValueError(message)
    ((kind, given),) = entry.items()
    if kind not in COUPLINGS:
        message = f"coupling {kind} must be one of {', '.join(COUPLINGS)}"
        raise ValueError(message)
    if not isinstance(given, list) or len(given) != COUPLINGS[kind] + 1:
        message = f"coupling {kind} must have {COUPLINGS[kind]} modes and a rate, but has {given!r}"
        raise ValueError(message)
    *modes, rate = given
    made: Coupling = getattr(couplings, kind)(*map(str, modes), evaluated(rate, values))
    return made


def _part(make: type, entry: Mapping[str, Any], values: Mapping[str, Any], **given: str) -> Any:
    """Make a mode, port, link, gain or bath of what an entry says, its numbers evaluated."""
    import numpy as np

    known = {item.name: item for item in fields(make) if item.name not in given}
    where = f"{make.__name__.lower()} {' '.join(given.values())}".strip()
    required = [name for name, item in known.items() if item.default is MISSING]
    _known_keys(entry, known, required, where)
    made: dict[str, Any] = dict(given)
    for key, value in entry.items():
        made[key] = str(value) if key in _WORDS else evaluated(value, values)
        if key not in _WORDS and np.iscomplexobj(made[key]):
            message = f"{key} of {where} must be real, but {value!r} is complex"
            raise ValueError(message)
    return make(**made)


def _known_keys(
    entry: Mapping[str, Any], known: Collection[str], required: Collection[str], where: str
) -> None:
    for key in entry:
        if key not in known:
            message = f"{where} has no {key!r}; it takes {', '.join(known)}"
            raise ValueError(message)
    for key in required:
        if key not in entry:
            message = f"{where} must have {key!r}, but has {', '.join(entry) or 'nothing'}"
            raise ValueError(message)


def _number(value: object, where: str) -> float:
    try:
        return float(str(value))
    except ValueError:
        message = f"{where} must be a number, but is {value!r}"
        raise ValueError(message) from None


def _list(plain: Mapping[str, Any], kind: str) -> list[Any]:
    entries = plain.get(kind) or []
    if not isinstance(entries, list):
        message = f"{kind} must be a list (lines that begin with -), but is {entries!r}"
        raise ValueError(message)
    return entries


def evaluated(expression: object, values: Mapping[str, Any]) -> Any:
    """Return the value of an arithmetic expression of named values; nothing else is run.

    Parameters
    ----------
    expression : str or number
        Of names, numbers, ``pi``, ``i``, + − * / ** and elementary functions: ``0.5*i*xi``.
    values : mapping of str to number or ndarray

    Raises
    ------
    ValueError
        If it is none, has an unknown name, or no value (1/0).
    """
    try:
        tree = ast.parse(str(expression), mode="eval").body
    except SyntaxError:
        message = f"{expression!r} must be an arithmetic expression"
        raise ValueError(message) from None
    import numpy as np

    try:
        with np.errstate(all="ignore"):  # what is not finite is refused where it is used
            return _value(tree, {**_CONSTANTS, **values})
    except (ArithmeticError, TypeError) as error:
        message = f"{expression!r} has no value: {error}"
        raise ValueError(message) from None


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value) if type(value) in (int, float):
            return value
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op, operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand, names))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            import numpy as np

            return getattr(np, name)(_value(argument, names))
    message = f"{ast.unparse(node)} must be a number, one of {', '.join(names)}, or made of them"
    raise ValueError(message)


def _mapping(plain: object, where: str) -> dict[str, Any]:
    if not isinstance(plain, dict):
        message = f"{where} must be a mapping of names, but is {plain!r}"
        raise ValueError(message)
    return plain
