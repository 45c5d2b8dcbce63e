"""Names in a station file that stand for things: ``world:afg``, ``parameter:dac.ao0.voltage``."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from sys import modules
from threading import RLock
from typing import Any

from instruments import DRIVERS

WORLD, PARAMETER = "world:", "parameter:"

_IMPORTING = RLock()
"""QCoDeS's modules import each other: two threads that load them at once break them."""


def import_object(path: str, folder: Path | None = None) -> Any:
    """Import ``package.module.Name``; one thread at a time.

    Parameters
    ----------
    path : str
    folder : Path, optional
        Of the station file: a module that is not installed may stand there.

    Raises
    ------
    ValueError
        If there is no such module or name; gives the short name of a driver that has moved.
    """
    module, _, name = path.rpartition(".")
    if not module:
        message = f"{path!r} must be an importable name, like instruments.TektronixAFG3152C"
        raise ValueError(message + _meant(f"instruments.{path}"))
    try:
        with _IMPORTING:
            return getattr(_module(module, folder), name)
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        where = "" if folder is None else f" (nor is {module}.py in {folder})"
        absent = isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]
        said = f"{error}{where}" if absent else str(error)
        message = f"{path!r} must be an importable name, but: {said}{_meant(path)}"
        raise ValueError(message) from error


def _module(name: str, folder: Path | None) -> Any:
    """Return an installed module, or one of the station file's folder."""
    file = None if folder is None else (folder / f"{name}.py").resolve()
    known = modules.get(name)
    is_ours = file is not None and getattr(known, "__file__", None) == str(file)
    if known is not None and not is_ours and file is not None and file.is_file():
        message = f"the module name {name!r} is taken by another module; rename {file}"
        raise ImportError(message)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name or file is None or not file.is_file():
            raise
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        message = f"{file} is no Python module"
        raise ImportError(message)
    modules[name] = made = module_from_spec(spec)
    try:
        spec.loader.exec_module(made)
    except BaseException:
        del modules[name]
        raise
    return made


def _meant(path: str) -> str:
    """Return what to write instead of a path that does not lead to a driver."""
    module, _, name = path.rpartition(".")
    near = get_close_matches(name, DRIVERS, n=1)
    is_right = module in {"instruments", DRIVERS.get(name)} and name in DRIVERS
    if is_right or not near or not path.startswith("instruments."):
        return ""
    return f"; write instruments.{near[0]}"


def find(root: Mapping[str, Any], path: str) -> Any:
    """Follow a dotted path from a mapping of instruments into channels and parameters.

    Raises
    ------
    KeyError
        Naming the part that is missing and what there is instead.
    """
    first, *rest = path.split(".")
    if first not in root:
        message = f"{path!r}: no instrument {first!r}; there are {', '.join(root)}"
        raise KeyError(message)
    found = root[first]
    for part in rest:
        try:
            found = getattr(found, part)
        except AttributeError:
            known = [*getattr(found, "submodules", ()), *getattr(found, "parameters", ())]
            message = f"{path!r}: {found} has no {part!r}; it has {', '.join(map(str, known))}"
            raise KeyError(message) from None
    return found


def resolve(
    value: Any, world: Mapping[str, Any], instruments: Mapping[str, Any] | None = None
) -> Any:
    """Replace references in plain YAML values by what they stand for, inside lists and mappings.

    Without `instruments`, references to parameters stay as they are.

    Raises
    ------
    KeyError
        If a reference names nothing.
    """
    if isinstance(value, Mapping):
        return {key: resolve(item, world, instruments) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, world, instruments) for item in value]
    if isinstance(value, str) and value.startswith(WORLD):
        name = value.removeprefix(WORLD)
        if name not in world:
            message = (
                f"{value!r}: the world has no {name!r}; it has {', '.join(world) or 'nothing'}"
            )
            raise KeyError(message)
        return world[name]
    if isinstance(value, str) and value.startswith(PARAMETER) and instruments is not None:
        return find(instruments, value.removeprefix(PARAMETER))
    return value


def texts_in(value: object) -> Iterator[str]:
    """Give every text within plain YAML values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for item in value.values() for text in texts_in(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in texts_in(item))
