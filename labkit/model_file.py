"""Theory models in files of their users: a Python file with ``MODEL``, or a network as YAML."""

import ast
import math
import operator
import sys
from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from inspect import Parameter as Argument
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from analysis.yamlfile import read_yaml

if TYPE_CHECKING:
    from simulation.theory.models import Model
    from simulation.theory.network import Network

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
    from simulation.theory.quantities import FINITE, Quantity, Range, Value

    arguments, hints = [], {}
    for name, entry in _mapping(plain.get("parameters", {}), "parameters").items():
        known = entry if isinstance(entry, dict) else {"default": entry}
        low, high = known.get("low", FINITE.low), known.get("high", FINITE.high)
        bounded = "low" in known or "high" in known
        text = f"lie in [{low:g}, {high:g}]" if bounded else FINITE.text
        allowed = Range(float(low), float(high), text)
        quantity = Quantity(known.get("unit", ""), allowed, known.get("meaning", ""), "")
        hints[name] = Annotated[Value, quantity]
        arguments.append(Argument(name, Argument.KEYWORD_ONLY, default=float(known["default"])))

    def declare(**values: Any) -> "Network":
        return _network(plain, values)

    declare.__name__ = "network"
    declare.__annotations__ = hints
    declare.__signature__ = Signature(arguments)  # type: ignore[attr-defined]
    return declare


def _network(plain: Mapping[str, Any], values: Mapping[str, Any]) -> "Network":
    from simulation.theory import couplings
    from simulation.theory.network import Gain, Link, Mode, Network, Port, SharedBath

    words = ("convention", "mode")

    def numbers(entry: object, where: str) -> dict[str, Any]:
        return {
            key: value if key in words else evaluated(value, values)
            for key, value in _mapping(entry, where).items()
        }

    made = []
    for entry in plain.get("couplings", ()):
        ((kind, (*modes, rate)),) = _mapping(entry, "couplings").items()
        if kind not in COUPLINGS:
            message = f"coupling {kind} must be one of {', '.join(COUPLINGS)}"
            raise ValueError(message)
        if len(modes) != COUPLINGS[kind]:
            message = f"coupling {kind} must have {COUPLINGS[kind]} modes and a rate"
            raise ValueError(message)
        made.append(getattr(couplings, kind)(*modes, evaluated(rate, values)))

    def parts(kind: str, make: Callable[..., Any], *ends: str) -> list[Any]:
        found = []
        for entry in plain.get(kind, ()):
            part = _mapping(entry, kind)
            named = {key: part[key] for key in ends}
            rest = {key: value for key, value in part.items() if key not in named}
            found.append(make(**named, **numbers(rest, kind)))
        return found

    return Network(
        modes=[
            Mode(name, **numbers(entry, name))
            for name, entry in _mapping(plain.get("modes"), "modes").items()
        ],
        couplings=made,
        ports=[
            Port(name, **numbers(entry, name))
            for name, entry in _mapping(plain.get("ports", {}), "ports").items()
        ],
        links=parts("links", Link, "source", "target"),
        gains=parts("gains", Gain, "mode"),
        shared_baths=parts("shared_baths", SharedBath, "first", "second"),
    )


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
        If it is none, or has an unknown name.
    """
    try:
        tree = ast.parse(str(expression), mode="eval").body
    except SyntaxError:
        message = f"{expression!r} must be an arithmetic expression"
        raise ValueError(message) from None
    return _value(tree, {**_CONSTANTS, **values})


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
