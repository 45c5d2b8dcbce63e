"""Gates: which clicks of a trial count, at which detectors, and how a trial begins; as YAML."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Literal

TrialKind = Literal["sync", "marker", "channel", "clock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStart:
    """What begins a trial.

    Attributes
    ----------
    kind : {"sync", "marker", "channel", "clock"}
        ``sync``: T3 sync number, or T2 sync record. ``marker``: T2 marker input `number` (1-4).
        ``channel``: a click on T2 input channel `number`. ``clock``: trial k begins at `t0` plus k
        times the period on the file's own clock (tables of times without trigger).
    number : int
        Marker or channel number; 0 where there is none.
    divider : int or None
        ``sync`` in T2: trials per sync record, where the tagger measured one sync in so many. None:
        one, and refused if the file says that there are more.
    t0 : float, "first", "marker 1" to "marker 4", or None
        ``clock``: when trial 0 begins, in seconds on the file's clock, or with its first tag, or
        with its first such marker. None: at 0, and refused if the tags say otherwise.
    """

    kind: TrialKind = "sync"
    number: int = 0
    divider: int | None = None
    t0: float | str | None = None

    def __post_init__(self) -> None:
        if self.kind == "marker" and not 1 <= self.number <= 4:
            message = f"`trial` marker must be 1 to 4, but is {self.number}"
            raise ValueError(message)
        if self.kind == "channel" and not 0 <= self.number <= 62:
            message = f"`trial` channel must be 0 to 62, but is {self.number}"
            raise ValueError(message)
        if self.divider is not None and not (self.kind == "sync" and 1 <= self.divider <= 1 << 20):
            message = (
                f"`trial` divider must be 1 to {1 << 20} trials per sync, but is {self.divider} "
                f"with {self.kind}"
            )
            raise ValueError(message)
        self._check_t0()

    def _check_t0(self) -> None:
        named = self.t0 in ("first", *(f"marker {number}" for number in range(1, 5)))
        is_time = isinstance(self.t0, float) and isfinite(self.t0) and self.t0 >= 0
        if self.t0 is not None and not (self.kind == "clock" and (named or is_time)):
            message = (
                "`trial` t0 must be a time >= 0 in seconds, first, or {marker: 1 to 4}, and needs "
                f"clock, but is {self.t0!r} with {self.kind}"
            )
            raise ValueError(message)

    @classmethod
    def parse(cls, value: object) -> "TrialStart":
        """Read ``sync``, ``{sync: {divider: 8}}``, ``{marker: 1}``… as in a gates file."""
        if value in ("sync", "clock"):
            return cls(kind=value)
        if isinstance(value, Mapping) and len(value) == 1:
            kind, number = next(iter(value.items()))
            if kind in ("marker", "channel") and type(number) is int:
                return cls(kind=kind, number=number)
            if kind == "sync" and isinstance(number, Mapping) and set(number) == {"divider"}:
                if type(number["divider"]) is int:
                    return cls(kind=kind, divider=number["divider"])
            elif kind == "clock" and isinstance(number, Mapping) and set(number) == {"t0"}:
                return cls(kind=kind, t0=_origin_of(number["t0"]))
        message = (
            "`trial` must be sync, clock, {marker: 1 to 4}, {channel: number}, "
            "{sync: {divider: number}} or {clock: {t0: seconds, first or {marker: 1 to 4}}}, "
            f"but is {value!r}"
        )
        raise ValueError(message)

    def to_plain(self) -> str | dict[str, object]:
        """Return the form used in a gates file."""
        if self.divider is not None:
            return {self.kind: {"divider": self.divider}}
        if isinstance(self.t0, str) and self.t0.startswith("marker"):
            return {self.kind: {"t0": {"marker": int(self.t0[-1])}}}
        if self.t0 is not None:
            return {self.kind: {"t0": self.t0}}
        return self.kind if self.kind in ("sync", "clock") else {self.kind: self.number}

    def __str__(self) -> str:
        if self.divider is not None:
            return f"sync, {self.divider} trials each"
        if self.t0 is not None:
            where = f"{self.t0:g} s" if isinstance(self.t0, float) else f"the first {self._event}"
            return f"clock from {where}"
        return self.kind if self.kind in ("sync", "clock") else f"{self.kind} {self.number}"

    @property
    def _event(self) -> str:
        return "tag" if self.t0 == "first" else str(self.t0)


def _origin_of(value: object) -> float | str:
    if isinstance(value, Mapping) and set(value) == {"marker"}:
        return f"marker {value['marker']}"
    return value if isinstance(value, str) else seconds_of(value, "trial.clock.t0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A half-open time window [start, stop) in seconds after the start of the trial."""

    name: str
    start: float
    stop: float

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            message = f"gate name must be a word of letters, digits and _, but is {self.name!r}"
            raise ValueError(message)
        if not (isfinite(self.start) and isfinite(self.stop) and 0 <= self.start < self.stop):
            message = (
                f"gate {self.name!r} must have 0 <= start < stop (in seconds), "
                f"but has start {self.start!r} and stop {self.stop!r}"
            )
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSet:
    """Everything that turns tags into counts.

    Attributes
    ----------
    period : float
        Seconds from one trial to the next.
    detectors : dict of int to int
        Detector number to input channel as it stands in the file.
    gates : tuple of Gate
        In time order, not overlapping, inside the period.
    trial : TrialStart

    Examples
    --------
    >>> gates = GateSet(
    ...     period=50e-6,
    ...     detectors={1: 0, 2: 1},
    ...     gates=(Gate(name="pump", start=0.0, stop=60e-9),
    ...            Gate(name="read", start=123e-9, stop=183e-9)),
    ... )
    >>> gates.cells
    (('pump', 1), ('pump', 2), ('read', 1), ('read', 2))
    """

    period: float
    detectors: dict[int, int]
    gates: tuple[Gate, ...]
    trial: TrialStart = TrialStart()

    def __post_init__(self) -> None:
        object.__setattr__(self, "detectors", dict(sorted(self.detectors.items())))
        object.__setattr__(self, "gates", tuple(sorted(self.gates, key=lambda gate: gate.start)))
        self._check_detectors()
        self._check_gates()

    def _check_detectors(self) -> None:
        if not self.detectors:
            message = "`detectors` must name at least one detector, but is empty"
            raise ValueError(message)
        for number, channel in self.detectors.items():
            if number < 0:
                message = f"detector numbers must not be negative, but one is {number}"
                raise ValueError(message)
            if not 0 <= channel <= 62:
                message = f"detector {number} must be on channel 0 to 62, but is on {channel}"
                raise ValueError(message)
        if len(set(self.detectors.values())) < len(self.detectors):
            message = (
                f"each detector must have its own channel, but `detectors` is {self.detectors}"
            )
            raise ValueError(message)
        if self.trial.kind == "channel" and self.trial.number in self.detectors.values():
            message = (
                f"the trial's channel {self.trial.number} must not be a detector's channel too, "
                f"but `detectors` is {self.detectors}"
            )
            raise ValueError(message)

    def _check_gates(self) -> None:
        if not (isfinite(self.period) and self.period > 0):
            message = f"`period` must be > 0 seconds, but is {self.period!r}"
            raise ValueError(message)
        if not self.gates:
            message = "`gates` must name at least one gate, but is empty"
            raise ValueError(message)
        names = [gate.name for gate in self.gates]
        if len(set(names)) < len(names):
            message = f"gate names must differ, but are {names}"
            raise ValueError(message)
        if len(self.gates) * len(self.detectors) > 62:
            message = (
                "gates × detectors must be at most 62, but is "
                f"{len(self.gates)} × {len(self.detectors)}"
            )
            raise ValueError(message)
        for before, after in zip(self.gates, self.gates[1:], strict=False):
            if after.start < before.stop:
                message = (
                    f"gates must not overlap, but {after.name!r} starts at {after.start:g} s "
                    f"before {before.name!r} stops at {before.stop:g} s"
                )
                raise ValueError(message)
        last = self.gates[-1]
        if last.stop > self.period:
            message = (
                f"gate {last.name!r} must stop within the period of {self.period:g} s, "
                f"but stops at {last.stop:g} s"
            )
            raise ValueError(message)

    @property
    def names(self) -> tuple[str, ...]:
        """Gate names in time order."""
        return tuple(gate.name for gate in self.gates)

    @property
    def cells(self) -> tuple[tuple[str, int], ...]:
        """(gate, detector) pairs, gates outermost: the order of all count arrays."""
        return tuple((name, detector) for name in self.names for detector in self.detectors)

    def to_dict(self) -> dict[str, object]:
        """Return plain types in the shape of a gates file."""
        return {
            "period": self.period,
            "trial": self.trial.to_plain(),
            "detectors": dict(self.detectors),
            "gates": {gate.name: {"start": gate.start, "stop": gate.stop} for gate in self.gates},
        }

    @classmethod
    def from_dict(cls, plain: object, *, where: str = "gates") -> "GateSet":
        """Read the plain form; `where` names its origin in errors.

        Raises
        ------
        ValueError
            If a key is missing, unknown or of the wrong type, or a gate is not allowed.
        """
        try:
            keys = keys_of(plain, required=("period", "detectors", "gates"), optional=("trial",))
            return cls(
                period=seconds_of(keys["period"], "period"),
                trial=TrialStart.parse(keys.get("trial", "sync")),
                detectors=detectors_of(keys["detectors"]),
                gates=tuple(gates_of(keys["gates"])),
            )
        except ValueError as error:
            message = f"{where}: {error}"
            raise ValueError(message) from None

    @classmethod
    def from_yaml(cls, path: str | Path) -> "GateSet":
        """Read a gates file.

        Raises
        ------
        ValueError
            If the file cannot be read, is not YAML, or describes gates that are not allowed.
        """
        from analysis.yamlfile import read_yaml

        return cls.from_dict(read_yaml(path), where=str(path))

    def to_yaml(self) -> str:
        """Return the gates file's text."""
        from analysis.yamlfile import yaml_text

        return yaml_text(self.to_dict())

    def __str__(self) -> str:
        detectors = ", ".join(f"{number} on channel {ch}" for number, ch in self.detectors.items())
        lines = [f"period     {self.period * 1e6:g} µs, trial starts at {self.trial}"]
        lines += [f"detectors  {detectors}"]
        lines += [
            f"{gate.name:<10} {gate.start * 1e9:g} to {gate.stop * 1e9:g} ns" for gate in self.gates
        ]
        return "\n".join(lines)


def as_gates(gates: GateSet | str | Path) -> GateSet:
    """Return gates, read from their file if it is named instead.

    Raises
    ------
    ValueError
        As for `GateSet.from_yaml`.
    """
    return gates if isinstance(gates, GateSet) else GateSet.from_yaml(gates)


def gates_path(tags: str | Path) -> Path:
    """Return the name of the gates file beside a tag file: ``x.ptu`` has ``x.gates.yaml``."""
    return Path(tags).with_suffix(".gates.yaml")


def keys_of(
    plain: object, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, object]:
    """Return a mapping that has the required keys and no unknown ones."""
    if not isinstance(plain, Mapping):
        message = f"must be a mapping with keys {', '.join(required)}, but is {plain!r}"
        raise ValueError(message)  # one error type for one kind of bad file
    known = required + optional
    for key in plain:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            message = f"key {key!r} is not known{hint}"
            raise ValueError(message)
    for key in required:
        if key not in plain:
            message = f"key {key!r} is missing"
            raise ValueError(message)
    return dict(plain)


def seconds_of(value: object, name: str) -> float:
    """Return a time in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"`{name}` must be a number of seconds, but is {value!r}"
        raise ValueError(message)
    return float(value)


def detectors_of(value: object) -> dict[int, int]:
    """Return channels by detector number."""
    if not isinstance(value, Mapping):
        message = f"`detectors` must map detector number to channel, but is {value!r}"
        raise ValueError(message)
    detectors = {}
    for number, channel in value.items():
        if isinstance(number, str) and number.isdecimal():  # JSON keys are text
            number = int(number)
        if type(number) is not int or type(channel) is not int:
            message = f"`detectors` must map integers to integers, but has {number!r}: {channel!r}"
            raise ValueError(message)
        if number in detectors:
            message = f"detector {number} must have one channel, but `detectors` names it twice"
            raise ValueError(message)
        detectors[number] = channel
    return detectors


def gates_of(value: object) -> Iterator[Gate]:
    """Yield the gates of a mapping from name to start and stop."""
    if not isinstance(value, Mapping):
        message = f"`gates` must map gate names to start and stop, but is {value!r}"
        raise ValueError(message)
    for name, window in value.items():
        if not isinstance(name, str):  # YAML reads on, yes, 1 as other types
            message = f"gate name must be text (put it in quotes), but is {name!r}"
            raise ValueError(message)
        try:
            keys = keys_of(window, required=("start", "stop"))
        except ValueError as error:
            message = f"gate {name!r}: {error}"
            raise ValueError(message) from None
        yield Gate(
            name=name,
            start=seconds_of(keys["start"], f"gates.{name}.start"),
            stop=seconds_of(keys["stop"], f"gates.{name}.stop"),
        )
