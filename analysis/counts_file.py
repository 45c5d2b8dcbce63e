"""Counts of a witness measurement as a small JSON file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from analysis.count_checks import count_of, field_of, trials_of, two_counts

PAIRS = ("r1p1", "r2p1", "r1p2", "r2p2")
"""Pairs of read pulse at detector i and herald (pump pulse) at detector j: r{i}p{j}."""

_FIELDS = ("trials", "pump", "read", "coincidences")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessCounts:
    """The nine counts that the witness needs.

    Attributes
    ----------
    trials : int
        Measured trials, empty ones included.
    pump, read : tuple of int
        Trials with a click of detector 1, of detector 2, in the gate.
    coincidences : Mapping[str, int]
        By pair r{i}p{j}: read pulse at detector i, pump pulse at detector j.
    """

    trials: int
    pump: tuple[int, int]
    read: tuple[int, int]
    coincidences: Mapping[str, int]

    def __str__(self) -> str:
        pairs = "  ".join(f"{pair} {count}" for pair, count in self.coincidences.items())
        return (
            f"trials        {self.trials}\n"
            f"pump          {self.pump[0]}  {self.pump[1]}\n"
            f"read          {self.read[0]}  {self.read[1]}\n"
            f"coincidences  {pairs}"
        )


def load_counts_file(path: str | Path, set_name: str | None = None) -> WitnessCounts:
    """Read counts from a JSON file.

    The file holds one set, ``{"trials": N, "pump": [n1, n2], "read": [n1, n2], "coincidences":
    {"r1p1": …, "r2p1": …, "r1p2": …, "r2p2": …}}``, or several such sets by name; other entries
    with text, like a ``"source"``, are ignored.

    Parameters
    ----------
    path : str or Path
    set_name : str, optional
        Which set; not needed where there is only one.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file; the message names file, set and field.
    KeyError
        If there is no such set, or several and none was chosen; the message lists them.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        message = f"`{path}` must be a JSON file, but is not: {error}"
        raise ValueError(message) from None
    except ValueError as error:
        message = f"{path}: {error}"
        raise ValueError(message) from None
    if not isinstance(content, dict):
        message = f"`{path}` must hold a JSON object, but holds a {type(content).__name__}"
        raise ValueError(message)
    name, entry = _choose(path, content, set_name)
    try:
        return _parse(entry)
    except ValueError as error:
        place = f"{path}, set {name!r}" if name else f"{path}"
        message = f"{place}: {error}"
        raise ValueError(message) from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object; JSON itself would let the last of equal names win."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"`{twice}` must be given once, but is given {names.count(twice)} times"
        raise ValueError(message)
    return made


def _choose(
    path: Path, content: dict[str, object], set_name: str | None
) -> tuple[str | None, Mapping[str, object]]:
    if any(field in content for field in _FIELDS):
        if set_name is None:
            return None, content
        message = f"`{path}` holds a single set without a name, but set {set_name!r} was asked for"
        raise KeyError(message)
    sets = {name: entry for name, entry in content.items() if isinstance(entry, dict)}
    if not sets:
        message = f"`{path}` must hold counts ({', '.join(_FIELDS)}), but holds none"
        raise ValueError(message)
    if set_name is None and len(sets) == 1:
        set_name = next(iter(sets))
    if set_name not in sets:
        asked = "no set was chosen" if set_name is None else f"set {set_name!r} was asked for"
        message = f"`{path}` holds the sets {', '.join(sets)}, but {asked}"
        raise KeyError(message)
    return set_name, sets[set_name]


def _parse(entry: Mapping[str, object]) -> WitnessCounts:
    coincidences = field_of(entry, "coincidences")
    if not isinstance(coincidences, dict):
        names = ", ".join(PAIRS)
        message = f"`coincidences` must be an object with {names}, but is {coincidences!r}"
        raise ValueError(message)
    return WitnessCounts(
        trials=trials_of(field_of(entry, "trials")),
        pump=two_counts("pump", field_of(entry, "pump")),
        read=two_counts("read", field_of(entry, "read")),
        coincidences=MappingProxyType(
            {pair: count_of(pair, field_of(coincidences, pair)) for pair in PAIRS}
        ),
    )
