"""Plain YAML to value objects, with errors that name file and key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def read_yaml(path: str | Path) -> object:
    """Return a YAML file's content.

    Raises
    ------
    ValueError
        If the file cannot be read, is not YAML, or has a key twice (YAML would silently take the
        last one).
    """
    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
        _refuse_repeated_keys(path, yaml.compose(text, yaml.SafeLoader))
        return yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read: {error}"
        raise ValueError(message) from error
    except yaml.YAMLError as error:
        message = f"{path}: must be YAML, but: {error}"
        raise ValueError(message) from error


def _refuse_repeated_keys(path: str | Path, node: Any, above: tuple[Any, ...] = ()) -> None:
    """Raise ValueError if a mapping below a YAML node has the same key twice, or has itself."""
    if any(node is other for other in above):
        place = f"line {node.start_mark.line + 1}"
        message = f"{path}: {place}: an anchor must not contain itself, but does"
        raise ValueError(message)
    children = node.value if node is not None and isinstance(node.value, list) else []
    seen: set[str] = set()
    for child in children:
        key, value = child if isinstance(child, tuple) else (None, child)
        place = "" if key is None else f"line {key.start_mark.line + 1}"
        if key is not None and not isinstance(key.value, str):
            message = f"{path}: {place}: a key must be a word or a number, but is a list or mapping"
            raise ValueError(message)
        if key is not None and key.value in seen:
            message = f"{path}: {place}: each key must stand once, but {key.value!r} is repeated"
            raise ValueError(message)
        if key is not None:
            seen.add(key.value)
        _refuse_repeated_keys(path, value, (*above, node))


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
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(plain)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            place = ".".join(map(str, problem["loc"]))
            for number, name in (labels or {}).items():
                if place == number or place.startswith(f"{number}."):
                    place = name + place.removeprefix(number)
            lines.append(f"{place}: {problem['msg']}" if place else str(problem["msg"]))
        message = f"{where}: {'; '.join(lines)}"
        raise ValueError(message) from None
