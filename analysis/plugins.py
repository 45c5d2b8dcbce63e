"""Tables of named things, our own and those of installed plug-ins, loaded when first used.

A plug-in is a package with an entry point in one of `GROUPS`, for example in its pyproject.toml::

    [project.entry-points."labkit.models"]
    my_model = "my_package.my_module:MODEL"
"""

import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Final, Generic, TypeVar, cast

GROUPS: Final = {
    "labkit.formats": "tag file formats: an `analysis.tagfile.formats.Format`",
    "labkit.instruments": "drivers by short name: a QCoDeS instrument class",
    "labkit.models": "theory models: a `simulation.theory.models.Model`",
    "labkit.procedures": "procedures: a `labkit.procedures.Procedure`",
}
"""What the entry points of each group must name."""

T = TypeVar("T")


class PluginWarning(UserWarning):
    """A plug-in does not work and is left out."""


class Table(Mapping[str, T], Generic[T]):
    """Entries by name: our own first, then those of plug-ins.

    A plug-in that cannot be loaded, is of another kind, or takes a name of ours is named in a
    `PluginWarning` and left out. Our own entries are loaded one by one, plug-ins all together when
    the table is listed.

    Parameters
    ----------
    group : str
        Entry-point group, one of `GROUPS`.
    kind : type
        What every entry must be an instance of.
    own : mapping of str to entry or str
        Our own entries, or where they are: ``"package.module:name"``.
    """

    def __init__(self, group: str, kind: type[T], own: "Mapping[str, T | str]") -> None:
        self.group = group
        self.kind = kind
        self._own = own

    def __getitem__(self, name: str) -> T:
        if name in self._own:
            entry = self._own[name]
            return cast("T", resolve_name(entry) if isinstance(entry, str) else entry)
        return self._plugins()[name]

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self._plugins()

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from self._plugins()

    def __len__(self) -> int:
        return len(self._own) + len(self._plugins())

    def _plugins(self) -> dict[str, T]:
        found = {}
        for point in find_plugins(self.group):
            trouble = f"{point.name!r} is labkit's own name" if point.name in self._own else ""
            entry, why = (None, trouble) if trouble else load_plugin(point, self.kind)
            if why:
                message = f"{describe(point)} is left out: {why}"
                warnings.warn(message, PluginWarning, stacklevel=3)
            else:
                found[point.name] = cast("T", entry)
        return found


@cache
def find_plugins(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points of a group that are installed, by name."""
    return tuple(sorted(entry_points(group=group), key=lambda point: point.name))


def load_plugin(point: EntryPoint, kind: type = object) -> tuple[object, str]:
    """Return what an entry point names and "", or None and why it cannot be used."""
    try:
        entry = point.load()
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
    if not isinstance(entry, kind):
        return None, f"it must be a {kind.__name__}, but is a {type(entry).__name__}"
    return entry, ""


def describe(point: EntryPoint) -> str:
    """Return one line that says which plug-in this is and where it comes from."""
    owner = point.dist.name if point.dist is not None else "unknown package"
    return f"plug-in {point.name!r} of {owner} ({point.group}: {point.value})"
