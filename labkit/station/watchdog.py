"""A second process that makes the instruments safe if the first one dies without a word."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from labkit.station.references import import_object, resolve
from labkit.station.safety import make_safe

if TYPE_CHECKING:
    from labkit.station.config import StationFile

DONE = "done"
RECOVERY_TIME = 10.0
"""Seconds for all instruments to become safe after the first process has died."""


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
    plan = json.dumps({"instruments": openable(file, world), "log": str(log)})
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit.station.watchdog"],
        stdin=subprocess.PIPE,
        text=True,
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
    plan: dict[str, dict[str, Any]] = {}
    for name, entry in file.instruments.items():
        addresses = {key: value for key, value in world.items() if isinstance(value, str)}
        try:
            options = resolve(entry.get("init") or {}, addresses, {})
            if "address" in entry:
                options["address"] = resolve(entry["address"], addresses, {})
            plan[name] = json.loads(json.dumps({"type": entry["type"], "options": options}))
        except (KeyError, TypeError):
            plan[name] = {"type": entry["type"], "options": None}
    return plan


def rescue(instruments: Mapping[str, Mapping[str, Any]]) -> str:
    """Open every instrument that can be opened and make it safe; return a report."""
    opened, lines = {}, []
    for name, entry in instruments.items():
        if entry["options"] is None:
            lines.append(f"{name}: belongs to the dead process, cannot be reached from here")
            continue
        try:
            opened[name] = import_object(entry["type"])(name, **entry["options"])
        except Exception as error:  # noqa: BLE001, RUF100  # the others must be rescued too
            lines.append(f"NOT SAFE: {name}: {type(error).__name__}: {error}")
    report = make_safe(opened, RECOVERY_TIME)
    return "\n".join([*lines, str(report)])


def main() -> None:
    """Wait for the end of the watched process; act if it came without a word."""
    plan = json.loads(sys.stdin.readline())
    if DONE in sys.stdin.read().splitlines():
        return
    report = rescue(plan["instruments"])
    text = f"the run's process died; instruments were made safe by the watchdog\n{report}\n"
    sys.stderr.write(text)
    Path(plan["log"]).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
