"""A second process that makes the instruments safe if the first one dies without a word."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
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
    plan = json.dumps({"instruments": openable(file, world), "log": str(log.resolve())})
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
    from labkit.station.references import resolve

    addresses = {key: value for key, value in world.items() if isinstance(value, str)}
    plan: dict[str, dict[str, Any]] = {}
    for name, entry in file.instruments.items():
        wanted = dict(entry.get("init") or {})  # type: ignore[call-overload]  # checked on reading
        if "address" in entry:
            wanted["address"] = entry["address"]
        try:
            options = resolve(wanted, addresses)
        except KeyError:
            options = None
        plan[name] = {"type": entry["type"], "options": options}
    return plan


def rescue(instruments: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Open every instrument that can be opened and make it safe at once; yield a line on each.

    All at the same time, so that one that does not answer keeps no other waiting; only those that
    stand on another one's output (an attenuator on a card) wait for these.
    """
    opened: dict[str, Any] = {}
    dependent = {name for name, entry in instruments.items() if _stands_on(entry, instruments)}
    for names in (instruments.keys() - dependent, dependent):
        lines: dict[str, str] = {}
        threads = [
            Thread(target=_rescue_one, args=(n, instruments[n], opened, lines), daemon=True)
            for n in instruments
            if n in names
        ]
        for thread in threads:
            thread.start()
        deadline = monotonic() + RECOVERY_TIME
        for thread in threads:
            thread.join(max(0.0, deadline - monotonic()))
        late = f"no answer within {RECOVERY_TIME:g} s"
        yield from (lines.get(n, f"NOT SAFE: {n}: {late}") for n in instruments if n in names)


def _stands_on(entry: Mapping[str, Any], instruments: Mapping[str, Any]) -> bool:
    """Tell whether an instrument's options name another instrument's parameter."""
    values = (entry["options"] or {}).values()
    named = (v.removeprefix("parameter:").split(".")[0] for v in values if isinstance(v, str))
    return any(name in instruments for name in named)


def _rescue_one(
    name: str, entry: Mapping[str, Any], opened: dict[str, Any], lines: dict[str, str]
) -> None:
    """Open one instrument and make it safe; what came of it goes into `lines`."""
    from labkit.station.references import import_object, resolve
    from labkit.station.safety import make_safe, with_safe_state

    if entry["options"] is None:
        lines[name] = f"NOT SAFE: {name}: it belongs to the dead process and cannot be reached"
        return
    try:
        options = resolve(entry["options"], {}, opened)
        opened[name] = import_object(entry["type"])(name, **options)
    except Exception as error:  # noqa: BLE001, RUF100  # told with the others' outcomes
        lines[name] = f"NOT SAFE: {name}: {type(error).__name__}: {error}"
        return
    report = make_safe(with_safe_state({name: opened[name]}), RECOVERY_TIME)
    safe = f"{name}: safe" if report.all_safe else f"NOT SAFE: {name}: {report.failed[name]}"
    lines[name] = safe


def main() -> None:
    """Wait for the end of the watched process; act if it came without a word."""
    plan = json.loads(sys.stdin.readline())
    preparation = Timer(PREPARATION, _load_drivers, [plan["instruments"]])
    preparation.daemon = True
    preparation.start()
    told = sys.stdin.read().splitlines()
    preparation.cancel()
    if DONE not in told:
        _act(plan["instruments"], Path(plan["log"]))


def _load_drivers(instruments: Mapping[str, Mapping[str, Any]]) -> None:
    from labkit.station.references import import_object

    for entry in instruments.values():
        import_object(entry["type"])


def _act(instruments: Mapping[str, Mapping[str, Any]], log: Path) -> None:
    with log.open("w", encoding="utf-8") as stream:
        for line in _acting(instruments):
            for target in (stream, sys.stderr):
                target.write(f"{line}\n")
                target.flush()


def _acting(instruments: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "the run's process died; the watchdog acts"
    yield from rescue(instruments)
    yield "the watchdog has done what it could; switch off by hand what is not safe"


if __name__ == "__main__":
    main()
