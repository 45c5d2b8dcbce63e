"""The nine counts of a witness measurement: what must hold of them, and the files they are in."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from types import MappingProxyType
from typing import SupportsInt, cast

from analysis.counts import Counts

LARGEST = (1 << 63) - 1
"""Largest count: what 64 bits hold, and far more than any experiment reaches."""


def count_of(name: str, value: object) -> int:
    """Return a count as an int, or say what is wrong with it.

    Whole floats (``1.949e9`` as JSON writers like it) are accepted.

    Raises
    ------
    ValueError
        If the value is not a whole number from 0 to `LARGEST`; the message names the field.
    """
    whole = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not whole:
        message = f"`{name}` must be a whole number, but is {value!r}"
        raise ValueError(message)
    count = int(cast("SupportsInt", value))
    if count < 0:
        message = f"`{name}` must not be negative, but is {count}"
        raise ValueError(message)
    if count > LARGEST:
        message = f"`{name}` must be at most 2**63 - 1, but has {count.bit_length()} bits"
        raise ValueError(message)
    return count


def trials_of(value: object) -> int:
    """Return the number of trials as a positive int.

    Raises
    ------
    ValueError
        If it is not a whole number above zero.
    """
    trials = count_of("trials", value)
    if trials == 0:
        message = "`trials` must be at least 1, but is 0; nothing was measured"
        raise ValueError(message)
    return trials


def two_counts(gate: str, counts: object) -> tuple[int, int]:
    """Return the counts of detectors 1 and 2 in a gate.

    Raises
    ------
    ValueError
        If it is not a pair of whole, non-negative numbers.
    """
    both: tuple[object, ...] = ()
    if isinstance(counts, Iterable) and not isinstance(counts, Mapping):
        both = tuple(counts)
    if len(both) != 2:
        message = f"`{gate}` must hold two counts (detector 1, detector 2), but is {counts!r}"
        raise ValueError(message)
    return count_of(f"{gate} 1", both[0]), count_of(f"{gate} 2", both[1])


def field_of(mapping: Mapping[str, object], name: str) -> object:
    """Return a required field of a mapping.

    Raises
    ------
    ValueError
        If the field is missing; the message lists what is there.
    """
    if name not in mapping:
        present = ", ".join(sorted(map(str, mapping))) or "nothing"
        message = f"`{name}` must be given, but is missing; given are: {present}"
        raise ValueError(message)
    return mapping[name]


def must_not_exceed(name: str, value: int, limit_name: str, limit: int) -> None:
    """Check ``value <= limit`` for two counts.

    Raises
    ------
    ValueError
        Naming both fields, if not.
    """
    if value > limit:
        message = f"`{name}` must not exceed `{limit_name}` = {limit}, but is {value}"
        raise ValueError(message)


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


def witness_counts(counts: Counts) -> WitnessCounts:
    """Return the nine counts that the witness needs.

    Raises
    ------
    ValueError
        If there are no gates pump and read, or no detectors 1 and 2.
    """
    gates = counts.gates
    if not ({"pump", "read"} <= set(gates.names) and {1, 2} <= set(gates.detectors)):
        message = (
            "the witness needs gates named pump and read, and detectors 1 and 2; "
            f"there are gates {', '.join(gates.names)} and detectors "
            f"{', '.join(map(str, gates.detectors))}"
        )
        raise ValueError(message)
    pairs = {p: counts.coincidence(("read", int(p[1])), ("pump", int(p[3]))) for p in PAIRS}
    return WitnessCounts(
        trials=counts.trials.number,
        pump=(counts.single("pump", 1), counts.single("pump", 2)),
        read=(counts.single("read", 1), counts.single("read", 2)),
        coincidences=MappingProxyType(pairs),
    )


def load_counts_file(path: str | Path, set_name: str | None = None) -> WitnessCounts:
    """Read counts from a file.

    A JSON file holds one set, ``{"trials": N, "pump": [n1, n2], "read": [n1, n2], "coincidences":
    {"r1p1": …, "r2p1": …, "r1p2": …, "r2p2": …}}``, or several such sets by name; other entries
    with text, like a ``"source"``, are ignored. What ``labkit analyse`` saves (``-o x.json`` or
    ``x.nc``) or prints (``--json``), the blocks that ``labkit blocks`` saves, and the Parquet file
    of `analysis.questions.table.write_parquet` are read too.

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
    place, entry = read_set(path, set_name)
    try:
        return parse_counts(entry)
    except ValueError as error:
        message = f"{place}: {error}"
        raise ValueError(message) from None


def read_set(path: str | Path, set_name: str | None = None) -> tuple[str, Mapping[str, object]]:
    """Return one set of a counts file as it stands, and its place for errors.

    Raises
    ------
    OSError, ValueError, KeyError
        As `load_counts_file`.
    """
    path = Path(path)
    with path.open("rb") as stream:  # read once: it may be a pipe
        head = stream.read(8)
        content = _counted(path, head)
        if content is None:
            content = _read_json(path, head + stream.read())
    name, entry = _choose(path, content, set_name)
    return (f"{path}, set {name!r}" if name else f"{path}"), entry


def _read_json(path: Path, raw: bytes) -> dict[str, object]:
    try:
        content = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except RecursionError:
        message = f"`{path}` must be a JSON file of counts, but is nested too deep"
        raise ValueError(message) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        message = f"`{path}` must be a JSON file, but is not: {error}"
        raise ValueError(message) from None
    except ValueError as error:
        message = f"{path}: {error}"
        raise ValueError(message) from None
    try:
        if isinstance(content, list) and all(isinstance(each, dict) for each in content):
            return _blocks_of([Counts.from_dict(each) for each in content])
        if isinstance(content, dict):
            return _nine(content)
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path}: written by `labkit analyse`, but without the nine counts: {error}"
        raise ValueError(message) from None
    message = f"`{path}` must hold a JSON object, but holds a {type(content).__name__}"
    raise ValueError(message)


def _counted(path: Path, head: bytes) -> dict[str, object] | None:
    """Return the nine counts of a netCDF or Parquet file; None if it is neither."""
    if head.startswith(b"PQTTTR"):
        message = f"{path}: must hold counts, but is a tag file: count it with `labkit analyse`"
        raise ValueError(message)
    try:
        if head.startswith(b"\x89HDF"):
            import xarray as xr

            with xr.open_dataset(path, engine="h5netcdf") as data:
                return _plain(witness_counts(Counts.from_xarray(data)))
        if head.startswith(b"PAR1"):
            from analysis.questions.table import read_parquet

            return _plain(witness_counts(read_parquet(path)))
    except (ValueError, KeyError, TypeError, OSError) as error:
        message = f"{path}: must hold counts as labkit saves them, but does not: {error}"
        raise ValueError(message) from None
    return None


def _plain(counts: WitnessCounts) -> dict[str, object]:
    return {
        "trials": counts.trials,
        "pump": list(counts.pump),
        "read": list(counts.read),
        "coincidences": dict(counts.coincidences),
    }


def _blocks_of(blocks: list[Counts]) -> dict[str, object]:
    """Return the nine counts of blocks and of their sum; blocks without a trial are left out."""
    kept = [block for block in blocks if block.trials.number]
    if not kept:
        message = "there is no block with a trial"
        raise ValueError(message)
    total = _plain(witness_counts(sum(kept[1:], kept[0])))
    return total | {"blocks": [_plain(witness_counts(block)) for block in kept]}


def _nine(content: dict[str, object]) -> dict[str, object]:
    """Return the nine counts of what ``labkit analyse`` saved or printed; others as they are."""
    singles, trials = content.get("singles"), content.get("trials")
    if "pairs" in content and isinstance(trials, Mapping):
        return _plain(witness_counts(Counts.from_dict(content)))
    if isinstance(singles, Mapping) and not {"pump", "read"} & content.keys():
        gates = {
            gate: [
                field_of(cast("Mapping[str, object]", field_of(singles, gate)), detector)
                for detector in ("1", "2")
            ]
            for gate in ("pump", "read")
        }
        return {"trials": trials, **gates, "coincidences": field_of(content, "coincidences")}
    return content


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


def parse_counts(entry: Mapping[str, object]) -> WitnessCounts:
    """Read the nine counts of a set.

    Raises
    ------
    ValueError
        If a field is missing or wrong; the message names it.
    """
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
