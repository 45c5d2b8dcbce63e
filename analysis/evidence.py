"""What a verdict on entanglement rests on: counts by block, null tests, declared conditions."""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from analysis.counts_file import (
    PAIRS,
    WitnessCounts,
    field_of,
    must_not_exceed,
    parse_counts,
    read_set,
)

DECLARABLE: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "splitting": (0.0, 1.0),
        "splitting_error": (0.0, 1.0),
        "pump_balance": (0.0, 2.0),
        "read_balance": (0.0, 1.999),
        "device_ratio": (1.0, math.inf),
        "background": (0.0, 1.0),
        "fringe_period_pi": (0.0, math.inf),
        "fringe_period_error_pi": (0.0, math.inf),
        "null_blindness_upper": (0.0, 1.0),
        "null_crosstalk_upper": (0.0, math.inf),
    }
)
"""Conditions that a user may declare, with their smallest and largest value.

`splitting` is the combiner's transmission T, the balances are relative differences of the fluxes of
both arms, `device_ratio` that of both devices' g² - 1, `background` the largest share of a gate's
clicks, the fringe's period is in units of π, and the null limits are 95 % upper limits of a
laser-only run done elsewhere.
"""

FIXED = "trials_fixed_in_advance"
_KNOWN = {
    "trials",
    "pump",
    "read",
    "coincidences",
    "conditions",
    "pi",
    "laser_only",
    "laser_only_bright",
    "blocks",
    FIXED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockCounts:
    """Counts of one block at θ, and at θ + π if both were taken in turn.

    Raises
    ------
    ValueError
        If there are more clicks than trials, or more coincidences than clicks.
    """

    theta: WitnessCounts
    pi: WitnessCounts | None = None

    def __post_init__(self) -> None:
        _must_be_possible(self.theta)
        _must_be_possible(self.pi)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything that a verdict rests on.

    Attributes
    ----------
    blocks : tuple of BlockCounts
        At least one; all with θ + π, or none.
    laser_only : WitnessCounts or None
        Coherent light in the same gates, the read gate as dim as in the run.
    laser_only_bright : WitnessCounts or None
        The same with a bright read gate, where afterpulses cannot hide blind detectors.
    declared : Mapping[str, float]
        Conditions the user vouches for, see `DECLARABLE`.
    trials_fixed_in_advance : bool
        Whether the number of trials was fixed before the run.
    """

    blocks: tuple[BlockCounts, ...]
    laser_only: WitnessCounts | None = None
    laser_only_bright: WitnessCounts | None = None
    declared: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    trials_fixed_in_advance: bool = False

    def __post_init__(self) -> None:
        if not self.blocks:
            message = "`blocks` must hold at least one block, but is empty"
            raise ValueError(message)
        if len({block.pi is None for block in self.blocks}) > 1:
            message = "`blocks` must all hold `pi` (counts at θ + π), or none, but some do"
            raise ValueError(message)
        for light in (self.laser_only, self.laser_only_bright):
            _must_be_possible(light)
        if self.laser_only is None and self.laser_only_bright is not None:
            message = "`laser_only_bright` must come with `laser_only`, with a dim read gate"
            raise ValueError(message)
        object.__setattr__(self, "declared", checked_conditions(self.declared))

    def assuming(self, declared: Mapping[str, float], *, fixed: bool = False) -> "Evidence":
        """Return the evidence with further declared conditions, which win over those it has."""
        return replace(
            self,
            declared={**self.declared, **declared},
            trials_fixed_in_advance=self.trials_fixed_in_advance or fixed,
        )

    @property
    def theta(self) -> WitnessCounts:
        """All counts at θ."""
        return total_of(block.theta for block in self.blocks)

    @property
    def pi(self) -> WitnessCounts | None:
        """All counts at θ + π, or None."""
        found = [block.pi for block in self.blocks if block.pi is not None]
        return total_of(found) if found else None


def _must_be_possible(counts: WitnessCounts | None) -> None:
    if counts is None:
        return
    singles = {f"{gate} {i}": n for gate in ("pump", "read") for i, n in
               enumerate(getattr(counts, gate), start=1)}  # fmt: skip
    for name, number in singles.items():
        must_not_exceed(name, number, "trials", counts.trials)
    for pair, number in counts.coincidences.items():
        for name in (f"read {pair[1]}", f"pump {pair[3]}"):
            must_not_exceed(pair, number, name, singles[name])


def total_of(counts: Iterable[WitnessCounts]) -> WitnessCounts:
    """Add counts."""
    parts = list(counts)
    return WitnessCounts(
        trials=sum(part.trials for part in parts),
        pump=(sum(part.pump[0] for part in parts), sum(part.pump[1] for part in parts)),
        read=(sum(part.read[0] for part in parts), sum(part.read[1] for part in parts)),
        coincidences=MappingProxyType(
            {pair: sum(part.coincidences[pair] for part in parts) for pair in PAIRS}
        ),
    )


def checked_conditions(declared: Mapping[str, object]) -> Mapping[str, float]:
    """Check names and ranges of declared conditions.

    Raises
    ------
    ValueError
        If a name is unknown or a value is no number in its range; the message names it.
    """
    found = {}
    for name, value in declared.items():
        if name not in DECLARABLE:
            near = difflib.get_close_matches(str(name), DECLARABLE, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            message = f"`{name}` is no condition; {hint}known are: {', '.join(DECLARABLE)}"
            raise ValueError(message)
        low, high = DECLARABLE[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and low <= value <= high):  # type: ignore[arg-type,operator]
            top = "" if math.isinf(high) else f" and at most {high:g}"
            message = f"`{name}` must be a number of at least {low:g}{top}, but is {value!r}"
            raise ValueError(message)
        found[name] = float(value)  # type: ignore[arg-type]
    return MappingProxyType(found)


def assumed_conditions(assumptions: Iterable[str]) -> tuple[dict[str, float], bool]:
    """Read ``name=value`` texts of the command line.

    Returns
    -------
    declared : dict
    fixed : bool
        Whether ``trials_fixed_in_advance=true`` is among them.

    Raises
    ------
    ValueError
        If a text is no such pair, or a condition is unknown or out of range.
    """
    declared: dict[str, float] = {}
    fixed = False
    for text in assumptions:
        name, equals, value = text.partition("=")
        if not equals:
            message = f"`--assume` must be NAME=VALUE, but is {text!r}"
            raise ValueError(message)
        if name == FIXED:
            if value not in ("true", "false"):
                message = f"`{FIXED}` must be true or false, but is {value!r}"
                raise ValueError(message)
            fixed = value == "true"
            continue
        if name in declared:
            message = f"`{name}` must be assumed once, but is given twice"
            raise ValueError(message)
        try:
            declared[name] = float(value)
        except ValueError:
            message = f"`{name}` must be a number, but is {value!r}"
            raise ValueError(message) from None
    checked_conditions(declared)
    return declared, fixed


def load_evidence(path: str | Path, set_name: str | None = None) -> Evidence:
    """Read counts and what else a verdict needs from a JSON file.

    Beside the nine counts of `analysis.counts_file.load_counts_file` a set may hold ``conditions``
    (an object of `DECLARABLE` numbers), ``pi`` (counts at θ + π), ``laser_only`` (counts of
    coherent light in the same gates), ``laser_only_bright`` (the same with a bright read gate),
    ``blocks`` (a list of counts, each with ``pi`` if the set has it, that add up to the set's) and
    ``trials_fixed_in_advance`` (true or false).

    Raises
    ------
    OSError, ValueError, KeyError
        As `load_counts_file`; the message names file, set and field.
    """
    place, entry = read_set(path, set_name)
    try:
        return parse_evidence(entry)
    except ValueError as error:
        message = f"{place}: {error}"
        raise ValueError(message) from None


def parse_evidence(entry: Mapping[str, object]) -> Evidence:
    """Read what a set of a counts file holds, see `load_evidence`.

    Raises
    ------
    ValueError
        If a field is wrong; the message names it.
    """
    _no_misspelt(entry)
    theta = parse_counts(entry)
    pi = _counts(entry, "pi")
    blocks = _blocks(entry, BlockCounts(theta=theta, pi=pi))
    conditions = entry.get("conditions", {})
    if not isinstance(conditions, Mapping):
        message = f"`conditions` must be an object of numbers, but is {conditions!r}"
        raise ValueError(message)
    fixed = entry.get(FIXED, False)
    if not isinstance(fixed, bool):
        message = f"`{FIXED}` must be true or false, but is {fixed!r}"
        raise ValueError(message)
    try:
        checked_conditions(conditions)
    except ValueError as error:
        message = f"`conditions`: {error}"
        raise ValueError(message) from None
    return Evidence(
        blocks=blocks,
        laser_only=_counts(entry, "laser_only"),
        laser_only_bright=_counts(entry, "laser_only_bright"),
        declared=conditions,
        trials_fixed_in_advance=fixed,
    )


def _no_misspelt(entry: Mapping[str, object]) -> None:
    """Refuse an unknown object, list or switch; text like a source is a remark."""
    for name, value in entry.items():
        if name in _KNOWN or isinstance(value, str):
            continue
        near = difflib.get_close_matches(name, _KNOWN, n=1)
        if near:
            message = f"`{name}` is no field of a counts file; did you mean `{near[0]}`?"
            raise ValueError(message)


def _counts(entry: Mapping[str, object], name: str) -> WitnessCounts | None:
    if name not in entry:
        return None
    plain = entry[name]
    if not isinstance(plain, Mapping):
        message = f"`{name}` must be an object with counts, but is {plain!r}"
        raise ValueError(message)
    try:
        return parse_counts(plain)
    except ValueError as error:
        message = f"`{name}`: {error}"
        raise ValueError(message) from None


def _blocks(entry: Mapping[str, object], total: BlockCounts) -> tuple[BlockCounts, ...]:
    if "blocks" not in entry:
        return (total,)
    plain = field_of(entry, "blocks")
    if not isinstance(plain, list) or not plain:
        message = f"`blocks` must be a list of counts, but is {plain!r}"
        raise ValueError(message)
    blocks = tuple(_block(index, one, total.pi is not None) for index, one in enumerate(plain))
    _must_add_up("", total.theta, total_of(block.theta for block in blocks))
    if total.pi is not None:
        _must_add_up(
            "pi.", total.pi, total_of(block.pi for block in blocks if block.pi is not None)
        )
    return blocks


def _block(index: int, plain: object, with_pi: bool) -> BlockCounts:
    try:
        if not isinstance(plain, Mapping):
            message = f"must be an object with counts, but is {plain!r}"
            raise ValueError(message)
        if ("pi" in plain) != with_pi:
            message = "`pi` must be given for the set and for each of its blocks, or for none"
            raise ValueError(message)
        return BlockCounts(theta=parse_counts(plain), pi=_counts(plain, "pi"))
    except ValueError as error:
        message = f"`blocks[{index}]`: {error}"
        raise ValueError(message) from None


def _must_add_up(prefix: str, total: WitnessCounts, found: WitnessCounts) -> None:
    for name, whole, part in (
        ("trials", total.trials, found.trials),
        ("pump", total.pump, found.pump),
        ("read", total.read, found.read),
        ("coincidences", dict(total.coincidences), dict(found.coincidences)),
    ):
        if whole != part:
            message = (
                f"`blocks` must add up to the whole set, but `{prefix}{name}` is {whole} and the "
                f"blocks hold {part}"
            )
            raise ValueError(message)
