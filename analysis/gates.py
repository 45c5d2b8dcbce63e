"""Gates: which clicks of a trial count, at which detectors, and how a trial begins; as YAML."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Literal

TrialKind = Literal["sync", "marker", "channel", "clock"]

MOST_CELLS = 1024
"""Most gates × detectors: their pairs take 8 MB."""

_MOST_GATES = 127


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
    """A half-open time window [start, stop) in seconds after the start of the trial.

    Attributes
    ----------
    name : str
    start, stop : float
        A negative time comes before the trial's start.
    windows : dict of int to (float, float)
        Start and stop for the detectors that have a window of their own.
    """

    name: str
    start: float
    stop: float
    windows: dict[int, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            message = f"gate name must be a word of letters, digits and _, but is {self.name!r}"
            raise ValueError(message)
        object.__setattr__(self, "windows", dict(sorted(self.windows.items())))
        for start, stop in ((self.start, self.stop), *self.windows.values()):
            if not (isfinite(start) and isfinite(stop) and start < stop):
                message = (
                    f"gate {self.name!r} must have start < stop (in seconds), "
                    f"but has start {start!r} and stop {stop!r}"
                )
                raise ValueError(message)

    def window(self, detector: int) -> tuple[float, float]:
        """Return start and stop for a detector."""
        return self.windows.get(detector, (self.start, self.stop))

    def span(self, detectors: Iterable[int]) -> tuple[float, float]:
        """Return the first start and the last stop of these detectors."""
        starts, stops = zip(*map(self.window, detectors), strict=True)
        return min(starts), max(stops)

    def to_plain(self) -> dict[str, object]:
        """Return the form used in a gates file."""
        plain: dict[str, object] = {"start": self.start, "stop": self.stop}
        if self.windows:
            plain["detectors"] = {
                number: {"start": start, "stop": stop}
                for number, (start, stop) in self.windows.items()
            }
        return plain


@dataclass(frozen=True, kw_only=True)  # without slots: names and cells are kept, asked so often
class GateSet:
    """Everything that turns tags into counts.

    Attributes
    ----------
    period : float
        Seconds from one trial to the next.
    detectors : dict of int to int
        Detector number to input channel as it stands in the file.
    gates : tuple of Gate
        In time order, not overlapping, inside one period.
    trial : TrialStart
    delays : dict of int to float
        Seconds added to the clicks of a detector before they are gated; a detector whose cable is
        shorter has the larger delay. Arrival times are given with them.

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
    delays: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "detectors", dict(sorted(self.detectors.items())))
        object.__setattr__(self, "gates", tuple(sorted(self.gates, key=lambda gate: gate.start)))
        delays = {number: delay for number, delay in sorted(self.delays.items()) if delay != 0}
        object.__setattr__(self, "delays", delays)
        self._check_detectors()
        self._check_gates()
        self._check_spans()
        self._check_delays()

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
        cells = len(self.gates) * len(self.detectors)
        if cells > MOST_CELLS or len(self.gates) > _MOST_GATES:
            message = (
                f"there must be at most {_MOST_GATES} gates, and gates × detectors at most "
                f"{MOST_CELLS}, but there are {len(self.gates)} × {len(self.detectors)}"
            )
            raise ValueError(message)
        for gate in self.gates:
            unknown = [number for number in gate.windows if number not in self.detectors]
            if unknown:
                message = (
                    f"gate {gate.name!r} has a window for detector {unknown[0]}, which is none of "
                    f"the detectors {', '.join(map(str, self.detectors))}"
                )
                raise ValueError(message)

    def _check_spans(self) -> None:
        spans = [gate.span(self.detectors) for gate in self.gates]
        for k, (before, after) in enumerate(pairwise(spans)):
            if after[0] < before[1]:
                message = (
                    f"gates must not overlap, but {self.gates[k + 1].name!r} starts at "
                    f"{after[0]:g} s before {self.gates[k].name!r} stops at {before[1]:g} s"
                )
                raise ValueError(message)
        first, last = spans[0][0], spans[-1][1]
        if last > self.period:
            message = (
                f"gate {self.gates[-1].name!r} must stop within the period of {self.period:g} s, "
                f"but stops at {last:g} s"
            )
            raise ValueError(message)
        if last - min(first, 0.0) > self.period:
            message = (
                f"all gates together must be no longer than the period of {self.period:g} s, but "
                f"{self.gates[0].name!r} starts at {first:g} s and {self.gates[-1].name!r} stops "
                f"at {last:g} s"
            )
            raise ValueError(message)

    def _check_delays(self) -> None:
        for number, delay in self.delays.items():
            if number not in self.detectors:
                known = ", ".join(map(str, self.detectors))
                message = f"`delays` must be of the detectors {known}, but one is of {number}"
                raise ValueError(message)
            if not abs(delay) < self.period:
                message = (
                    f"the delay of detector {number} must be shorter than the period of "
                    f"{self.period:g} s, but is {delay!r} s"
                )
                raise ValueError(message)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Gate names in time order."""
        return tuple(gate.name for gate in self.gates)

    @cached_property
    def cells(self) -> tuple[tuple[str, int], ...]:
        """(gate, detector) pairs, gates outermost: the order of all count arrays."""
        return tuple((name, detector) for name in self.names for detector in self.detectors)

    def to_dict(self) -> dict[str, object]:
        """Return plain types in the shape of a gates file."""
        return {
            "period": self.period,
            "trial": self.trial.to_plain(),
            "detectors": dict(self.detectors),
            **({"delays": dict(self.delays)} if self.delays else {}),
            "gates": {gate.name: gate.to_plain() for gate in self.gates},
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
            keys = keys_of(
                plain, required=("period", "detectors", "gates"), optional=("trial", "delays")
            )
            return cls(
                period=seconds_of(keys["period"], "period"),
                trial=TrialStart.parse(keys.get("trial", "sync")),
                detectors=detectors_of(keys["detectors"]),
                gates=tuple(gates_of(keys["gates"])),
                delays=_delays_of(keys.get("delays", {})),
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
        if self.delays:
            delays = ", ".join(f"{number} by {d * 1e9:g} ns" for number, d in self.delays.items())
            lines += [f"delays     {delays}"]
        for gate in self.gates:
            lines += [f"{gate.name:<10} {gate.start * 1e9:g} to {gate.stop * 1e9:g} ns"]
            lines += [
                f"{'':<10} detector {number}: {start * 1e9:g} to {stop * 1e9:g} ns"
                for number, (start, stop) in gate.windows.items()
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
    for number, channel in _by_detector(value, "detectors", "channel"):
        if type(channel) is not int:
            message = (
                f"`detectors` must map detector number to channel, but has {number!r}: {channel!r}"
            )
            raise ValueError(message)
        detectors[number] = channel
    return detectors


def _by_detector(
    value: Mapping[object, object], name: str, what: str
) -> Iterator[tuple[int, object]]:
    """Yield the entries of a mapping by detector number; each entry is `what`."""
    seen = set()
    for number, entry in value.items():
        if isinstance(number, str) and number.isdecimal():  # JSON keys are text
            number = int(number)
        if type(number) is not int:
            message = f"`{name}` must map detector number to {what}, but has {number!r}: {entry!r}"
            raise ValueError(message)
        if number in seen:
            message = f"detector {number} must have one {what}, but `{name}` names it twice"
            raise ValueError(message)
        seen.add(number)
        yield number, entry


def _delays_of(value: object) -> dict[int, float]:
    if not isinstance(value, Mapping):
        message = f"`delays` must map detector number to seconds, but is {value!r}"
        raise ValueError(message)
    return {
        number: seconds_of(delay, f"delays.{number}")
        for number, delay in _by_detector(value, "delays", "delay")
    }


def gates_of(value: object) -> Iterator[Gate]:
    """Yield the gates of a mapping from name to start and stop."""
    if not isinstance(value, Mapping):
        message = f"`gates` must map gate names to start and stop, but is {value!r}"
        raise ValueError(message)
    for name, window in value.items():
        if not isinstance(name, str):  # YAML reads on, yes, 1 as other types
            message = f"gate name must be text (put it in quotes), but is {name!r}"
            raise ValueError(message)
        start, stop, windows = _window_of(window, name)
        yield Gate(name=name, start=start, stop=stop, windows=windows)


def _window_of(
    plain: object, name: str, *, inner: bool = False
) -> tuple[float, float, dict[int, tuple[float, float]]]:
    """Return start and stop of a gate, and the windows of single detectors."""
    try:
        keys = keys_of(plain, required=("start", "stop"), optional=() if inner else ("detectors",))
    except ValueError as error:
        message = f"gate {name!r}: {error}"
        raise ValueError(message) from None
    own = keys.get("detectors", {})
    if not isinstance(own, Mapping):
        message = f"gate {name!r}: `detectors` must map detector number to window, but is {own!r}"
        raise ValueError(message)
    windows = {
        number: _window_of(window, f"{name}.detectors.{number}", inner=True)[:2]
        for number, window in _by_detector(own, f"gates.{name}.detectors", "window")
    }
    start = seconds_of(keys["start"], f"gates.{name}.start")
    return start, seconds_of(keys["stop"], f"gates.{name}.stop"), windows
