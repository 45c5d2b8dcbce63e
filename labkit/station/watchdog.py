"""A second process that makes the instruments safe if the first one dies without a word."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread, Timer
from time import monotonic
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.station.config import StationFile

DONE = "done"
RECOVERY_TIME = 10.0
"""Seconds that one instrument may take to become safe after the first process has died."""

PREPARATION = 5.0
"""Seconds after which the watchdog loads the drivers, so that it can act at once."""


@contextmanager
def watched(file: "StationFile", world: Mapping[str, Any], log: Path) -> Iterator[None]:
    """Run a block under a watchdog process.

    The watchdog holds the other end of a pipe. If the pipe closes without the word that all ended
    well (kill -9, a crash of the interpreter), it opens the instruments itself and brings them to
    their safe state. Instruments that are given objects of this process cannot be opened by
    another one; they are named in the log.

    Parameters
    ----------
    file : StationFile
    world : mapping
        What ``world:`` references stand for.
    log : Path
        Where the watchdog writes what it did.
    """
    plan = json.dumps(
        {
            "instruments": openable(file, world),
            "folder": str(file.path.parent.resolve()),
            "log": str(log.resolve()),
        }
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit.station.watchdog"],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # a Ctrl-C in the terminal is not for it
    )
    stream = process.stdin
    if stream is None:  # cannot be: it was asked for
        raise RuntimeError
    try:
        _tell(stream, plan)
        yield
    finally:
        _tell(stream, DONE)
        with suppress(BrokenPipeError):
            stream.close()
        process.wait(timeout=10)


def _tell(stream: IO[str], text: str) -> None:
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        sys.stderr.write("the watchdog process has died; the run goes on without it\n")


def openable(file: "StationFile", world: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what another process needs to open each instrument; None for those it cannot."""
    from labkit.station.entries import read_entry
    from labkit.station.references import resolve

    addresses = {key: value for key, value in world.items() if isinstance(value, str | int)}
    plan: dict[str, dict[str, Any]] = {}
    for name, entry in file.instruments.items():
        wanted = read_entry(entry, f"instruments.{name}").options()
        try:
            options = resolve(wanted, addresses)
        except KeyError:
            options = None
        plan[name] = {"type": entry["type"], "options": options}
    return plan


def rescue(
    instruments: Mapping[str, Mapping[str, Any]], folder: Path | None = None
) -> Iterator[str]:
    """Open every instrument that can be opened and make it safe at once; yield a line on each.

    All at the same time, so that one that does not answer keeps no other waiting; only those that
    stand on another one's output (an attenuator on a card) wait for these. Own classes are found
    in `folder`.
    """
    opened: dict[str, Any] = {}
    left = dict(instruments)
    while left:
        ready = {n: e for n, e in left.items() if not _stands_on(e, left.keys() - {n})} or left
        lines: dict[str, str] = {}
        threads = [
            Thread(target=_rescue_one, args=(n, e, opened, lines, folder), daemon=True)
            for n, e in ready.items()
        ]
        for thread in threads:
            thread.start()
        deadline = monotonic() + RECOVERY_TIME
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))
        late = f"no answer within {RECOVERY_TIME:g} s"
        yield from (lines.get(n, f"NOT SAFE: {n}: {late}") for n in ready)
        left = {n: e for n, e in left.items() if n not in ready}


def _stands_on(entry: Mapping[str, Any], others: AbstractSet[str]) -> bool:
    """Tell whether an instrument's options name another one, or its parameter."""
    texts = _texts(entry["options"] or {})
    return any(text.removeprefix("parameter:").split(".")[0] in others for text in texts)


def _texts(value: object) -> Iterator[str]:
    """Give every text within plain values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for item in value.values() for text in _texts(item))
    elif isinstance(value, list):
        yield from (text for item in value for text in _texts(item))


def _rescue_one(
    name: str,
    entry: Mapping[str, Any],
    opened: dict[str, Any],
    lines: dict[str, str],
    folder: Path | None,
) -> None:
    """Open one instrument and make it safe; what came of it goes into `lines`."""
    from labkit.station.entries import fitted
    from labkit.station.references import import_object, resolve
    from labkit.station.safety import make_safe, with_safe_state

    if entry["options"] is None:
        lines[name] = f"NOT SAFE: {name}: it belongs to the dead process and cannot be reached"
        return
    try:
        options = resolve(entry["options"], {}, opened)
        kind = import_object(entry["type"], folder)
        opened[name] = kind(name, **fitted(kind, options))
    except Exception as error:  # noqa: BLE001, RUF100  # told with the others' outcomes
        lines[name] = f"NOT SAFE: {name}: {type(error).__name__}: {error}"
        return
    report = make_safe(with_safe_state({name: opened[name]}), RECOVERY_TIME)
    safe = f"{name}: safe" if report.all_safe else f"NOT SAFE: {name}: {report.failed[name]}"
    lines[name] = safe


def main() -> None:
    """Wait for the end of the watched process; act if it came without a word."""
    plan = json.loads(sys.stdin.readline())
    folder = Path(plan["folder"])
    preparation = Timer(PREPARATION, _load_drivers, [plan["instruments"], folder])
    preparation.daemon = True
    preparation.start()
    told = sys.stdin.read().splitlines()
    preparation.cancel()
    if DONE not in told:
        _act(plan["instruments"], Path(plan["log"]), folder)


def _load_drivers(instruments: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    from labkit.station.references import import_object

    for entry in instruments.values():
        import_object(entry["type"], folder)


def _act(instruments: Mapping[str, Mapping[str, Any]], log: Path, folder: Path) -> None:
    with log.open("w", encoding="utf-8") as stream:
        for line in _acting(instruments, folder):
            for target in (stream, sys.stderr):
                target.write(f"{line}\n")
                target.flush()


def _acting(instruments: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[str]:
    yield "the run's process died; the watchdog acts"
    yield from rescue(instruments, folder)
    yield "the watchdog has done what it could; switch off by hand what is not safe"


if __name__ == "__main__":
    main()
