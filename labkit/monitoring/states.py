"""A run's parts at a glance, each with a word and a level; and the limits that hold for them."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Literal

from analysis.yamlfile import parse_yaml, read_mapping
from labkit.monitoring.series import LASER, ended
from labkit.monitoring.status import RunStatus, duration_text
from labkit.procedures.session import LARGEST_HOP_HZ, LARGEST_NOISE
from labkit.run import Block, Manifest
from labkit.run.folder import SPARE_BYTES
from labkit.station.config import StationConfig
from labkit.station.lab import WATCHDOG_LOG

Level = Literal["good", "warn", "bad", "off", "unknown"]

TIGHT = 10
"""A disk with less than so many times what a block needs is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartState:
    """One part of the set-up.

    Attributes
    ----------
    name, word, detail : str
    level : {"good", "warn", "bad", "off", "unknown"}
    """

    name: str
    word: str
    level: Level
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the run's station and procedures demand of what is watched.

    Attributes
    ----------
    temperature : float or None
        Highest that an interlock allows, K.
    phase_noise : float
        Largest of a block that counts, rad rms.
    laser_hz : float
        Largest distance of a laser from where it was when the filters were tuned, Hz.
    lock_output : float or None
        Largest magnitude, V.
    notify : tuple of str
        Ways of telling somebody.
    """

    temperature: float | None = None
    phase_noise: float = LARGEST_NOISE
    laser_hz: float = LARGEST_HOP_HZ
    lock_output: float | None = None
    notify: tuple[str, ...] = ()


def limits_of(manifest: Manifest) -> Limits:
    """Return the limits in the station file that a run keeps; defaults if it keeps none."""
    try:
        plain = parse_yaml(manifest.station, "station")
        section = plain.get("labkit") if isinstance(plain, Mapping) else None
        if section is None:
            return Limits()
        config = read_mapping(StationConfig, section, "station: labkit")
    except ValueError:  # a run of an older labkit, whose station file it could read
        return Limits()
    highest = [
        interlock.require.at_most
        for interlock in config.interlocks
        if any(name.endswith(".temperature") for name in interlock.require.parameters)
    ]
    least = min(highest, default=inf)
    return Limits(
        temperature=None if least == inf else least,
        lock_output=config.lock_range,
        notify=tuple(way.kind for way in config.notify.ways),
    )


def states_of(
    folder: Path,
    manifest: Manifest,
    status: RunStatus,
    blocks: Sequence[Block],
    limits: Limits,
    now: float,
    notifier: str = "",
) -> tuple[PartState, ...]:
    """Return the strip of states, by what the last blocks say; nobody is asked.

    Parameters
    ----------
    folder : Path
        Run folder.
    manifest : Manifest
    status : RunStatus
    blocks : sequence of Block
        All of the run.
    limits : Limits
    now : float
        Unix time, s.
    notifier : str
        What fails at telling somebody.
    """
    last = blocks[-1] if blocks else None
    over = not status.going_on
    parts = [
        _lasers(blocks, limits), _lock(last, limits), _detectors(last), _filters(blocks, now),
        _fridge(last, limits),
    ]  # fmt: skip
    if over:
        parts = [_after(part, manifest) for part in parts]
    return (
        *parts,
        _disk(folder, blocks, over=over),
        _watchdog(folder, status),
        _notifier(limits, notifier),
    )


def _after(part: PartState, manifest: Manifest) -> PartState:
    """Return a part of a run that has ended: how it was, and that it is not watched any more."""
    if part.name in ("fridge", "filters"):
        return PartState(name=part.name, word="not watched", level="off", detail=part.detail)
    if manifest.unsafe:
        lost = ", ".join(f"{name}: {why}" for name, why in manifest.unsafe.items())
        return PartState(name=part.name, word="NOT ALL SAFE", level="bad", detail=lost)
    return PartState(name=part.name, word="safe state", level="off", detail=part.detail)


def _lasers(blocks: Sequence[Block], limits: Limits) -> PartState:
    last = blocks[-1] if blocks else None
    now = {} if last is None else {n: v for n, v in last.monitors.items() if n.endswith(LASER)}
    if not now:
        return PartState(name="lasers", word="not read", level="unknown")
    reference = _since_tuning(blocks)
    moved = {n: v - reference.monitors.get(n, v) for n, v in now.items()}
    said = ", ".join(f"{n.removesuffix(LASER)} {v * 1e-6:+.1f} MHz" for n, v in moved.items())
    off = [n for n, v in moved.items() if abs(v) > limits.laser_hz]
    if off:
        return PartState(name="lasers", word="off their lines", level="bad", detail=said)
    return PartState(
        name="lasers", word="on their lines", level="good", detail=f"{said} since tuned"
    )


def _since_tuning(blocks: Sequence[Block]) -> Block:
    """Return the first block after the filters were tuned last."""
    found = blocks[-1]
    for block in reversed(blocks):
        if block.setting.get("procedure") == "filters":
            break
        found = block
    return found


def _lock(last: Block | None, limits: Limits) -> PartState:
    locked = None if last is None else last.monitors.get("locked")
    if last is None or locked is None:
        return PartState(name="lock", word="not read", level="unknown")
    if last.setting.get("procedure") not in ("witness", "phase_sweep", "delay_sweep"):
        word = "locked" if locked else "not needed"
        return PartState(name="lock", word=word, level="good" if locked else "off")
    noise = last.monitors.get("phase_noise")
    said = "" if noise is None else f"{noise * 1e3:.0f} mrad rms"
    if not locked:
        return PartState(name="lock", word="lost", level="bad", detail=said)
    if noise is not None and noise > limits.phase_noise:
        return PartState(name="lock", word="noisy", level="bad", detail=said)
    return PartState(name="lock", word="locked", level="good", detail=said)


def _detectors(last: Block | None) -> PartState:
    if last is None:
        return PartState(name="detectors", word="no clicks yet", level="unknown")
    clicks = last.singles.sum(axis=0)
    seconds = max(last.trials * last.gates.period, 1e-12)
    named = list(zip(last.gates.detectors, clicks.tolist(), strict=True))
    said = ", ".join(f"{number}: {_rate(n / seconds)}/s" for number, n in named)
    dark = [str(number) for number, n in named if not n]
    if dark:
        word = f"{' and '.join(dark)} dark"
        return PartState(name="detectors", word=word, level="bad", detail=said)
    return PartState(name="detectors", word="clicking", level="good", detail=said)


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 1e3 else f"{value:.3g}"


def _filters(blocks: Sequence[Block], now: float) -> PartState:
    for block in reversed(blocks):
        if block.setting.get("procedure") == "filters":
            ago = duration_text(max(0.0, now - ended(block)))
            return PartState(name="filters", word="tuned", level="good", detail=f"{ago} ago")
    return PartState(name="filters", word="not tuned yet", level="unknown", detail="in this run")


def _fridge(last: Block | None, limits: Limits) -> PartState:
    kelvin = None if last is None else last.monitors.get("temperature")
    if kelvin is None:
        return PartState(name="fridge", word="not read", level="unknown")
    said = f"{kelvin * 1e3:.0f} mK"
    if limits.temperature is None:
        return PartState(name="fridge", word="no limit set", level="unknown", detail=said)
    said += f" (limit {limits.temperature * 1e3:.0f} mK)"
    cold = kelvin <= limits.temperature
    word, level = ("cold", "good") if cold else ("warm", "bad")
    return PartState(
        name="fridge", word=word, level="good" if level == "good" else "bad", detail=said
    )


def _disk(folder: Path, blocks: Sequence[Block], *, over: bool) -> PartState:
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:.1f} GB free"
    if free < SPARE_BYTES:
        return PartState(name="disk", word="full", level="off" if over else "bad", detail=said)
    sizes = [block.size for block in blocks[-TIGHT:] if block.size > 0]
    if sizes and free - SPARE_BYTES < TIGHT * max(sizes):
        return PartState(name="disk", word="nearly full", level="warn", detail=said)
    return PartState(name="disk", word="has room", level="good", detail=said)


def _watchdog(folder: Path, status: RunStatus) -> PartState:
    if status.state == "died":
        return PartState(name="watchdog", word="has acted", level="bad", detail=status.reason)
    if status.state == "silent":
        return PartState(name="watchdog", word="unknown", level="warn", detail="the run is silent")
    if not status.going_on:
        acted = (folder / WATCHDOG_LOG).exists()
        return PartState(name="watchdog", word="acted" if acted else "at rest", level="off")
    return PartState(name="watchdog", word="watching", level="good")


def _notifier(limits: Limits, failure: str) -> PartState:
    if not limits.notify:
        said = "notify: in the station file"
        return PartState(name="notifier", word="nobody is told", level="off", detail=said)
    if failure:
        return PartState(name="notifier", word="fails", level="bad", detail=failure)
    return PartState(name="notifier", word="ready", level="good", detail=", ".join(limits.notify))
