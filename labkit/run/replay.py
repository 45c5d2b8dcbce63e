"""A recorded run played again, as if live: for whoever wants to look at the page as it was."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from heapq import merge
from math import inf, isfinite
from pathlib import Path
from time import sleep
from typing import Any

from labkit.run.events import EVENTS
from labkit.run.folder import RunFolder
from labkit.run.journal import Block
from labkit.run.lines import append_lines, framed, read_lines
from labkit.run.manifest import utc_now
from labkit.run.results import noting_end
from labkit.run.sole_use import sole_use

Step = tuple[float, Callable[[], object]]


def replay_run(
    source: RunFolder,
    out: Path,
    *,
    speed: float = 100.0,
    pause: Callable[[float], object] = sleep,
    told: Callable[[RunFolder], object] = lambda _: None,
) -> RunFolder:
    """Play a run into a new run folder: its blocks, verdicts and events, in their order of time.

    The new manifest says of what it is a replay; nothing evaluates such a folder, and nobody can go
    on with it. Times stay those of the recording. Tag segments are linked, or copied where that is
    not possible.

    Parameters
    ----------
    source : RunFolder
    out : Path
        Folder in which the new run folder is made.
    speed : float
        How many times faster than it was.
    pause : callable
        Waits so many seconds.
    told : callable, optional
        Given the new folder before anything is played.

    Raises
    ------
    ValueError
        If `speed` is not above 0, the run has no block, or it is itself a replay.
    """
    if not (isfinite(speed) and speed > 0):
        message = f"`speed` must be above 0, but is {speed}"
        raise ValueError(message)
    manifest = source.manifest()
    source.refuse_replay()
    target = _new_folder(source, out)
    parts = [_forward(part) for part in (_blocks(source, target), _events(source, target))]
    steps = list(merge(*parts, key=lambda step: step[0]))
    if not steps:
        message = f"{source.path}: the run has nothing to play"
        raise ValueError(message)
    with sole_use(target.path):
        target.write_manifest(
            replace(
                manifest, replay_of=source.path.name, status="running", reason="", sessions=1,
                started=utc_now(), ended="", unsafe={}, drift={}, snapshot_after={},
                comment=f"replay of {source.path.name}, {speed:g} times as fast",
            )
        )  # fmt: skip
        told(target)
        with noting_end(target):
            now = steps[0][0]
            for time, play in steps:
                pause(max(time - now, 0.0) / speed)
                play()
                now = max(now, time)
    return target


def _new_folder(source: RunFolder, out: Path) -> RunFolder:
    path, number = out / f"replay_{source.path.name}", 1
    while path.exists():
        number += 1
        path = out / f"replay_{source.path.name}_{number}"
    (path / "tags").mkdir(parents=True)
    shutil.copyfile(source.path / "gates.yaml", path / "gates.yaml")
    return RunFolder(path=path)


def _forward(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps in their order; a clock that was set back while they were made stands still."""
    latest = -inf
    for time, play in steps:
        latest = max(latest, time)
        yield latest, play


def _blocks(source: RunFolder, target: RunFolder) -> Iterator[Step]:
    for block in source.journal.read():
        yield _instant(block.ended or block.started), _played(block, source, target)


def _played(block: Block, source: RunFolder, target: RunFolder) -> Callable[[], None]:
    def play() -> None:
        for name in (block.segment, *block.hashes):
            _link(source.path / name, target.path / name)
        target.journal.append(block)
        target.journal.judge(block.number, good=block.good, reason=block.reason)

    return play


def _link(source: Path, target: Path) -> None:
    """Make a file appear under another name; one that is not there, as in a slim copy, is not."""
    if target.exists() or not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _events(source: RunFolder, target: RunFolder) -> Iterator[Step]:
    for line in read_lines(source.path / EVENTS):
        if line.state == "whole" and "time" in line.plain:
            yield _instant(str(line.plain["time"])), _written(line.plain, target)


def _written(plain: dict[str, Any], target: RunFolder) -> Callable[[], None]:
    return lambda: append_lines(target.path / EVENTS, framed(plain), durable=False)


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0
