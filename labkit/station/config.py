"""The station file: QCoDeS instruments, and a ``labkit`` section of roles and rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, cast

from analysis.yamlfile import parse_yaml, read_mapping, read_text, yaml_text
from labkit.compiler.programs import Calibration
from labkit.sequence.timing import Hardware
from labkit.station.alarms import Alarms
from labkit.station.entries import nearest, read_entry
from labkit.station.interlocks import Interlock, check_names
from labkit.station.references import PARAMETER, texts_in
from labkit.station.roles import ROLES


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldConfig:
    """Where addresses and library objects written ``world:NAME`` come from.

    A lab of real instruments has none; the virtual lab's file names its factory, a class whose
    ``start(**options)`` is a context manager with ``addresses`` and ``objects``; it also takes
    ``session``, the number of a resumed run's session.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    factory: str
    options: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingPoint:
    """Where the instruments stand when the experiment runs, reached from the safe state.

    Attributes
    ----------
    parameters : dict of str to value
        By dotted path, set in this order: wavelengths, emission, attenuators, filters, gains, …
    detector_currents : dict of int to float
        Bias in A by channel, ramped last.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    parameters: dict[str, bool | int | float | str] = field(default_factory=dict)
    detector_currents: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadMan:
    """What cuts the light by itself if it is no longer kicked: it needs no living process.

    Attributes
    ----------
    parameter : str
        Dotted path of what kicks it, set to the two `values` in turn.
    values : (float, float)
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    parameter: str
    values: tuple[float, float]


CHANNELS = ("pump_drive", "read_drive", "eom_drive", "mixing_chamber")


@dataclass(frozen=True, slots=True, kw_only=True)
class StationConfig:
    """The ``labkit`` section of a station file.

    Attributes
    ----------
    roles : dict of str to str, or to a dict of str to str
        Role to instrument name; ``filters`` to a mapping of place (``pump``, ``read``, ``1a``, …)
        to name.
    channels : dict of str to int
        Output channels: ``pump_drive``, ``read_drive`` (pulse generator), ``eom_drive``
        (waveform generator), and ``mixing_chamber`` (thermometer).
    calibration : Calibration
    lock_range : float
        Largest magnitude of the servo's output, V.
    hardware : Hardware
    interlocks : tuple of Interlock
    working_point : WorkingPoint
    world : WorldConfig or None
    dead_man : DeadMan or None
    notify : Alarms
    patience : float
        How long a run waits for an instrument whose link has failed, s.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    roles: dict[str, str | dict[str, str]]
    channels: dict[str, int]
    calibration: Calibration
    lock_range: float
    hardware: Hardware = field(default_factory=Hardware)
    interlocks: tuple[Interlock, ...] = ()
    working_point: WorkingPoint = field(default_factory=WorkingPoint)
    world: WorldConfig | None = None
    dead_man: DeadMan | None = None
    notify: Alarms = field(default_factory=Alarms)
    patience: float = 30.0

    def __post_init__(self) -> None:
        check_names(self.interlocks)
        if not (isfinite(self.lock_range) and self.lock_range > 0):
            message = f"`lock_range` must be above 0 V, but is {self.lock_range}"
            raise ValueError(message)
        for name in self.channels:
            if name not in CHANNELS:
                message = f"channels.{name}: this key is not known{nearest(name, CHANNELS)}"
                raise ValueError(message)
        if not self.patience >= 0:
            message = f"`patience` must be at least 0 s, but is {self.patience}"
            raise ValueError(message)
        for role in self.roles:
            if role not in ROLES:
                message = f"role {role!r} is not known; roles are {', '.join(ROLES)}"
                raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationFile:
    """A station file as read.

    Attributes
    ----------
    path : Path
    text : str
        The file's text, kept with every run.
    config : StationConfig
    instruments : dict of str to dict
        The part that QCoDeS reads.
    """

    path: Path
    text: str
    config: StationConfig
    instruments: dict[str, dict[str, object]]


STATIONS = {
    "virtual": "virtual_lab.yaml",
    "example": "lab.example.yaml",
    "others": "other_makers.yaml",
    "qcodes": "qcodes_drivers.yaml",
}
"""Station files that come with labkit, by name."""


def station_path(station: str | Path) -> Path:
    """Return the path of a station file, or of the one that comes with labkit under this name."""
    if str(station) in STATIONS:
        return Path(__file__).parent / STATIONS[str(station)]
    return Path(station)


def read_station_file(station: str | Path | StationFile) -> StationFile:
    """Read and check a station file, or the one that comes with labkit under this name.

    One that has been read is returned as it is. The file is read once: `text` is what was parsed.

    Raises
    ------
    ValueError
        If it cannot be read, a section is missing, a role names an instrument that is not there,
        or two instruments share an address.
    """
    if isinstance(station, StationFile):
        return station
    path = station_path(station)
    if not path.exists():
        message = f"{path}: is neither a file nor a station of labkit's: {', '.join(STATIONS)}"
        raise ValueError(message)
    text = read_text(path)
    plain = parse_yaml(text, str(path))
    if not (isinstance(plain, Mapping) and {"labkit", "instruments"} <= set(plain)):
        message = f"{path}: must have the sections `labkit` and `instruments`"
        raise ValueError(message)
    instruments = plain["instruments"]
    if not isinstance(instruments, Mapping) or not instruments:
        message = f"{path}: `instruments` must name at least one instrument"
        raise ValueError(message)
    for section in plain.keys() - {"labkit", "instruments"}:
        message = f"{path}: section {section!r} is not known; there are `labkit`, `instruments`"
        raise ValueError(message)
    config = read_mapping(StationConfig, plain["labkit"], f"{path}: labkit")
    _check_roles(path, config, instruments)
    _check_entries(path, config, instruments)
    _check_addresses(path, instruments)
    return StationFile(
        path=path,
        text=text,
        config=config,
        instruments={name: dict(entry) for name, entry in instruments.items()},
    )


def with_seed(station: str | Path | StationFile, seed: int) -> StationFile:
    """Return the station of a virtual lab with another seed of its chance: another night.

    Raises
    ------
    ValueError
        If it is a station of real instruments.
    """
    file = read_station_file(station)
    if file.config.world is None:
        message = f"{file.path}: is a station of real instruments; only a virtual lab has a seed"
        raise ValueError(message)
    plain = cast("dict[str, Any]", parse_yaml(file.text, str(file.path)))
    options = {**file.config.world.options, "seed": seed}
    plain["labkit"]["world"] = {"factory": file.config.world.factory, "options": options}
    config = read_mapping(StationConfig, plain["labkit"], f"{file.path}: labkit")
    return replace(file, text=f"# {file.path.name}, seed {seed}\n{yaml_text(plain)}", config=config)


def require_roles(file: StationFile, wanted: Iterable[str] = ()) -> None:
    """Raise ValueError if a role that every procedure needs, or one of `wanted`, is not filled."""
    needed = [role for role, entry in ROLES.items() if entry.required]
    missing = [role for role in (*needed, *wanted) if role not in file.config.roles]
    if missing:
        message = (
            f"{file.path}: labkit.roles: no instrument plays {', '.join(missing)}; name them there"
        )
        raise ValueError(message)


def _check_roles(path: Path, config: StationConfig, instruments: Mapping[str, object]) -> None:
    for role, names in config.roles.items():
        for name in [names] if isinstance(names, str) else names.values():
            if name not in instruments:
                message = (
                    f"{path}: labkit.roles.{role}: must name an instrument of this file, but is "
                    f"{name!r}; there are {', '.join(instruments)}"
                )
                raise ValueError(message)


def _check_entries(path: Path, config: StationConfig, instruments: Mapping[str, object]) -> None:
    """Refuse keys that are not known, and initial values where the working point is meant."""
    powerful = {
        name
        for role, names in config.roles.items()
        if ROLES[role].powerful
        for name in ([names] if isinstance(names, str) else names.values())
    }
    for name, plain in instruments.items():
        entry = read_entry(plain, f"{path}: instruments.{name}")
        initial = [key for key, row in entry.parameters.items() if row.initial_value is not None]
        if initial and name in powerful:
            message = (
                f"{path}: instruments.{name}.parameters.{initial[0]}.initial_value: connecting "
                "makes no light, drive or bias; set it in labkit.working_point.parameters"
            )
            raise ValueError(message)


def _check_addresses(path: Path, instruments: Mapping[str, Mapping[str, object]]) -> None:
    seen: dict[str, str] = {}
    for name, entry in instruments.items():
        for address in own_addresses(entry):
            if address.upper() in seen:
                message = (
                    f"{path}: instruments {seen[address.upper()]!r} and {name!r} must have "
                    f"different addresses, but both have {address}"
                )
                raise ValueError(message)
            seen[address.upper()] = name


def stands_on(
    instruments: Mapping[str, Mapping[str, object]],
) -> dict[str, frozenset[str]]:
    """Return by name on which other instruments one stands: on their outputs or parameters."""
    return {
        name: frozenset(
            head
            for text in texts_in(entry.get("init"))
            if "." in text
            and (head := text.removeprefix(PARAMETER).split(".", maxsplit=1)[0]) in instruments
        )
        for name, entry in instruments.items()
    }


def own_addresses(entry: Mapping[str, object]) -> list[str]:
    """Return what an instrument must have for itself: address, port, and what it drives."""
    init = entry.get("init")
    init = init if isinstance(init, Mapping) else {}
    driven = init.get("sources") if isinstance(init.get("sources"), list) else []
    owned = (
        *(entry.get(key) for key in ("address", "port")),
        *(init.get(key) for key in ("address", "port", "source")),
        *(driven if isinstance(driven, list) else []),
    )
    return [address for address in owned if isinstance(address, str)]
