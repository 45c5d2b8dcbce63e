"""A second process that makes the instruments safe if the first one dies or hangs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread, Timer
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.station.config import StationFile

DONE, BEAT = "done", "beat"
RECOVERY_TIME = 10.0
"""Seconds that one instrument may take to become safe after the first process has died."""

PREPARATION = 5.0
"""Seconds after which the watchdog loads the drivers, so that it can act at once."""

INTERVAL = 1.0
"""Seconds between beats of the heart."""

SILENCE = 30.0
"""Seconds without a beat after which the first process hangs: it is ended, and its instruments are
made safe."""

REPLACEMENTS = 3
"""How often a watchdog that died is replaced."""


@dataclass(slots=True)
class Heart:
    """What a run's process does every second beside its work, in a thread of its own.

    Attributes
    ----------
    tasks : list of callable
        Called at every beat; one that raises is not called again, and that is said.
    hanging : callable
        Tells why no beat may be given, though the thread lives; "": nothing hangs.
    say : callable
        Given a line that somebody must see.
    note : callable, optional
        Given a line worth knowing; by default `say`.
    """

    tasks: list[Callable[[], object]] = field(default_factory=list)
    hanging: Callable[[], str] = str
    say: Callable[[str], object] = field(default=lambda text: sys.stderr.write(f"{text}\n"))
    note: Callable[[str], object] | None = None

    @contextmanager
    def beating(self, beat: Callable[[], object], interval: float | None = None) -> Iterator[None]:
        """Call `beat` and the tasks every `interval` (`INTERVAL`) seconds within the block."""
        pause = INTERVAL if interval is None else interval
        end = Event()

        def work() -> None:
            while not end.wait(pause):
                self._once(beat)

        thread = Thread(target=work, name="heart", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _once(self, beat: Callable[[], object]) -> None:
        if self.hanging():
            return
        beat()
        for task in tuple(self.tasks):
            try:
                task()
            except Exception as error:  # noqa: BLE001, RUF100  # the heart goes on beating
                self.tasks.remove(task)
                self.say(f"the heart cannot do one of its tasks: {type(error).__name__}: {error}")


class _Watchdog:
    """The second process, replaced when it dies."""

    def __init__(self, plan: str, say: Callable[[str], object]) -> None:
        self._plan, self._say = plan, say
        self._left = REPLACEMENTS
        self.process = self._start()

    def beat(self) -> None:
        """Give a sign of life; a watchdog that has died is told and replaced."""
        if self.process.poll() is None and self._tell(BEAT):
            return
        if self._left == 0:
            return
        self._left -= 1
        self._say("the watchdog process has died; another one takes its place")
        with suppress(OSError):
            self._stream.close()
        self.process = self._start()
        if self._left == 0:
            self._say("the watchdog dies again and again: the run goes on without one")

    def dismiss(self) -> None:
        """Say that all ended well."""
        self._tell(DONE)
        with suppress(OSError):
            self._stream.close()
        self.process.wait(timeout=10)

    @property
    def _stream(self) -> Any:
        return self.process.stdin

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "labkit.station.watchdog"],
            stdin=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )
        self.process = process
        self._tell(self._plan)
        return process

    def _tell(self, text: str) -> bool:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return False
        return True


@contextmanager
def watched(
    file: "StationFile",
    world: Mapping[str, Any],
    log: Path,
    heart: Heart | None = None,
    silence: float = SILENCE,
) -> Iterator[None]:
    """Run a block under a watchdog process.

    The watchdog holds the other end of a pipe, through which a heart beats. If the pipe closes
    without the word that all ended well (kill -9, a crash of the interpreter), or the heart stands
    still for `silence` seconds (the process hangs: it is ended), it opens the instruments itself
    and brings them to their safe state. Instruments that are given objects of this process cannot
    be opened by another one; they are named before the block begins, and in the log.

    Parameters
    ----------
    file : StationFile
    world : mapping
        What ``world:`` references stand for.
    log : Path
        Where the watchdog writes what it did.
    heart : Heart, optional
    silence : float
        s.
    """
    heart = heart or Heart()
    instruments = openable(file, world)
    lost = [name for name, entry in instruments.items() if entry["options"] is None]
    if lost and file.config.world is not None:
        (heart.note or heart.say)(
            f"if this process dies, its watchdog cannot reach {', '.join(lost)}: they live in it"
        )
    plan = {
        "instruments": instruments, "log": str(log.resolve()), "process": os.getpid(),
        "silence": silence, "folder": str(file.path.parent.resolve()),
    }  # fmt: skip
    watchdog = _Watchdog(json.dumps(plan), heart.say)
    try:
        with heart.beating(watchdog.beat):
            yield
    finally:
        watchdog.dismiss()


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
    from labkit.station.references import texts_in

    texts = texts_in(entry["options"] or {})
    return any(text.removeprefix("parameter:").split(".")[0] in others for text in texts)


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
    """Wait for the end of the watched process; act if it came without a word, or hangs."""
    plan = json.loads(sys.stdin.readline())
    folder = Path(plan["folder"])
    preparation = Timer(PREPARATION, _load_drivers, [plan["instruments"], folder])
    preparation.daemon = True
    preparation.start()
    why = _wait(plan["silence"], plan["process"])
    preparation.cancel()
    if why:
        _act(why, plan["instruments"], Path(plan["log"]), folder)


def _wait(silence: float, process: int) -> str:
    """Listen to the heart; return why it stands still, "" if the process ended in order."""
    heard: SimpleQueue[str] = SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            heard.put(line.strip())
        heard.put("")

    Thread(target=listen, daemon=True).start()
    last = BEAT
    while True:
        try:
            word = heard.get(timeout=silence)
        except Empty:
            return _end(process, heard, silence)
        if not word:
            return "" if last == DONE else "the run's process died"
        last = word


def _end(process: int, heard: "SimpleQueue[str]", silence: float) -> str:
    """End a process that hangs, so that it lets go of its instruments."""
    with suppress(OSError):
        os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    with suppress(Empty):
        while heard.get(timeout=5.0):
            pass
    return f"the run's process gave no sign of life for {silence:g} s and was ended"


def _load_drivers(instruments: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    from labkit.station.references import import_object

    for entry in instruments.values():
        import_object(entry["type"], folder)


def _act(why: str, instruments: Mapping[str, Mapping[str, Any]], log: Path, folder: Path) -> None:
    with log.open("w", encoding="utf-8") as stream:
        for line in _acting(why, instruments, folder):
            for target in (stream, sys.stderr):
                with suppress(OSError):  # nobody may be left to read stderr
                    target.write(f"{line}\n")
                    target.flush()


def _acting(why: str, instruments: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[str]:
    yield f"{why}; the watchdog acts"
    yield from rescue(instruments, folder)
    yield "the watchdog has done what it could; switch off by hand what is not safe"


if __name__ == "__main__":
    main()
