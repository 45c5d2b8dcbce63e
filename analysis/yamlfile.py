"""YAML 1.2 read strictly, and plain values checked, with errors that name file, line and key."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import fields, is_dataclass
from functools import cache, lru_cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from ruamel.yaml import YAML

T = TypeVar("T")

_ADAPTERS: "dict[type[Any], TypeAdapter[Any]]" = {}

_MOST_BYTES = 1 << 22
_MOST_KEPT = 1 << 16
DEEPEST = 50
"""Lists and mappings may stand so deep within each other; files written by hand have five."""


def why(error: Exception) -> str:
    """Return why a file could not be opened, in words without its name."""
    if isinstance(error, FileNotFoundError):
        return f"there is no such file; check the path (now in {Path.cwd()})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error)


def read_yaml(path: str | Path) -> object:
    """Return what a YAML file holds; see `parse_yaml`.

    Raises
    ------
    ValueError
        If the file cannot be read, or its text is refused.
    """
    return parse_yaml(read_text(path), str(path))


def read_text(path: str | Path) -> str:
    """Return a text file's content.

    Raises
    ------
    ValueError
        If it cannot be read, is not UTF-8, or is longer than 4 MiB.
    """
    try:
        if (size := Path(path).stat().st_size) > _MOST_BYTES:
            message = f"{path}: must be a text of at most 4 MiB, but has {size:,} bytes"
            raise ValueError(message)
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"{path}: must be UTF-8, but has other bytes at {error.start}; save it as UTF-8"
        raise ValueError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read: {why(error)}"
        raise ValueError(message) from error


def parse_yaml(text: str, where: str) -> object:
    """Return what a YAML text holds; `where` names its origin in errors.

    Raises
    ------
    ValueError
        If the text is not YAML 1.2, has a key twice or one that is a list, an anchor within
        itself, or is nested deeper than `DEEPEST`.
    """
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return deepcopy(_kept(text)) if len(text) <= _MOST_KEPT else _strict().load(text)
    except DuplicateKeyError as error:
        key = str(error.problem).split('"')[1]
        place = f"line {error.problem_mark.line + 1}"
        message = f"{where}: {place}: each key must stand once, but {key!r} is repeated"
        raise ValueError(message) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark is not None else ""
        said = ", ".join(str(part) for part in (error.context, error.problem) if part)
        refused = "" if isinstance(error, _refusal()) else "must be YAML, but: "
        message = f"{where}: {place}{refused}{said}"
        raise ValueError(message) from error
    except (YAMLError, ValueError) as error:  # control characters, impossible dates
        message = f"{where}: must be YAML, but: {' '.join(str(error).split())}"
        raise ValueError(message) from error


@lru_cache(maxsize=32)
def _kept(text: str) -> object:
    """Return what a text holds, as parsed before: a station's file takes 50 ms each time."""
    return _strict().load(text)


def yaml_text(plain: Mapping[str, object]) -> str:
    """Return plain types as YAML, in their order, innermost lists and mappings on one line."""
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import SafeRepresenter

    class Dotted(SafeRepresenter):
        """Writes 5.0e-05, since readers of YAML 1.1 take 5e-05 for text."""

        def represent_float(self, data: float) -> Any:
            node = super().represent_float(data)
            if "." not in node.value:
                node.value = node.value.replace("e", ".0e")
            return node

    Dotted.add_representer(float, Dotted.represent_float)
    yaml: Any = YAML(typ="safe", pure=True)
    yaml.Representer = Dotted
    yaml.default_flow_style, yaml.width = None, 100
    yaml.sort_base_mapping_type_on_output = False
    stream = StringIO()
    yaml.dump(plain, stream)
    return stream.getvalue()


def read_mapping(
    kind: type[T], plain: object, where: str, *, labels: Mapping[str, str] | None = None
) -> T:
    """Turn plain types into a dataclass, strictly; `where` names their origin in errors.

    `labels` replaces places such as ``pulses.0`` by what the user wrote, ``pulses.pump``.

    Raises
    ------
    ValueError
        If a key is missing, unknown, or its value of the wrong type or refused.
    """
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_python(plain)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            place = ".".join(map(str, problem["loc"]))
            for number, name in (labels or {}).items():
                if place == number or place.startswith(f"{number}."):
                    place = name + place.removeprefix(number)
            told = str(problem["msg"])
            if problem["type"] == "unexpected_keyword_argument":
                told = f"this key is not known{_nearest(str(problem['loc'][-1]), kind)}"
            lines.append(f"{place}: {told}" if place else told)
        message = f"{where}: {'; '.join(lines)}"
        raise ValueError(message) from None


def _adapter(kind: type[T]) -> "TypeAdapter[T]":
    """Return what checks plain types against a dataclass; it is built once."""
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def _nearest(key: str, kind: type) -> str:
    """Return which key of a dataclass, or of those within it, is meant, for the end of an error."""
    from difflib import get_close_matches

    near = get_close_matches(key, sorted(_keys(kind)), n=1)
    if near:
        return f"; write {near[0]}"
    known = [row.name for row in fields(kind)] if is_dataclass(kind) else []
    return f"; keys are {', '.join(known)}" if known else ""


def _keys(kind: object) -> set[str]:
    """Return the names of all fields of a dataclass and of the dataclasses that its types name."""
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return {key for inner in get_args(kind) for key in _keys(inner)}
    hints = get_type_hints(kind)
    return {key for row in fields(kind) for key in (row.name, *_keys(hints[row.name]))}


@cache
def _refusal() -> "type[Exception]":
    """Return the error of what is YAML, but cannot be meant."""
    from ruamel.yaml.composer import ComposerError

    class RefusedError(ComposerError):
        pass

    return RefusedError


def _strict() -> "YAML":
    """Return a reader of plain types that refuses what `parse_yaml` says."""
    from ruamel.yaml import YAML
    from ruamel.yaml.composer import Composer
    from ruamel.yaml.events import AliasEvent, CollectionStartEvent
    from ruamel.yaml.nodes import MappingNode

    class Strict(Composer):
        """Keeps the anchors of the lists and mappings that are not finished yet."""

        def __init__(self, loader: Any = None) -> None:
            super().__init__(loader=loader)
            self.unfinished: list[str | None] = []

        def compose_node(self, parent: Any, index: Any) -> Any:
            event, wrong = self.parser.peek_event(), ""
            if isinstance(event, AliasEvent):
                if event.anchor not in self.unfinished:
                    return super().compose_node(parent, index)
                wrong = "an anchor must not contain itself, but does"
            elif event.anchor is not None and event.anchor in self.anchors:
                wrong = f"each anchor must stand once, but &{event.anchor} is repeated"
            elif not isinstance(event, CollectionStartEvent):
                return super().compose_node(parent, index)
            elif isinstance(parent, MappingNode) and index is None:
                wrong = "a key must be a word or a number, but is a list or mapping"
            elif len(self.unfinished) == DEEPEST:
                wrong = f"lists and mappings must be nested at most {DEEPEST} deep, but are deeper"
            if wrong:
                raise _refusal()(None, None, wrong, event.start_mark)
            self.unfinished.append(event.anchor)
            node = super().compose_node(parent, index)
            self.unfinished.pop()
            return node

    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = Strict
    return yaml
