"""A second process that makes the instruments safe if the first one dies or hangs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from queue import Empty, SimpleQueue
from struct import Struct
from threading import Event, Thread, Timer
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from instruments.links.lateness import waiting_for_late_replies

if TYPE_CHECKING:
    from labkit.station.config import StationFile

DONE, BEAT = "done", "beat"
RECOVERY_TIME = 10.0
"""Seconds after which what stands on an instrument's output does not wait for it any longer."""

SLOW = 60.0
"""Seconds that one instrument may take to become safe after the first process has died."""

PREPARATION = 5.0
"""Seconds after which the watchdog loads the drivers, so that it can act at once."""

INTERVAL = 1.0
"""Seconds between beats of the heart."""

SILENCE = 30.0
"""Seconds without a beat after which the first process hangs: it is ended, and its instruments are
made safe."""

GRACE = 2.5
"""Seconds in which a heart that beats is heard for sure, whatever has been before."""

_TIME = Struct("d")

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
    def beating(
        self,
        beat: Callable[[], object],
        interval: float | None = None,
        tend: Callable[[], object] = lambda: None,
    ) -> Iterator[None]:
        """Call `beat` and the tasks every `interval` (`INTERVAL`) seconds within the block.

        While something hangs, `tend` is called instead of them.
        """
        pause = INTERVAL if interval is None else interval
        end = Event()

        def work() -> None:
            while not end.wait(pause):
                self._once(beat, tend)

        thread = Thread(target=work, name="heart", daemon=True)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def _once(self, beat: Callable[[], object], tend: Callable[[], object]) -> None:
        if self.hanging():
            tend()
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

    def __init__(self, plan: Mapping[str, Any], say: Callable[[str], object]) -> None:
        self._plan, self._say = plan, say
        self._left = REPLACEMENTS
        self._last_beat = monotonic()
        self.process = self._start()

    def beat(self) -> None:
        """Give a sign of life; a watchdog that has died is told and replaced."""
        self._last_beat = monotonic()
        self.tend()
        self._tell(BEAT)

    def tend(self) -> None:
        """Replace a watchdog that has died; the new one knows how old the last sign of life is."""
        if self.process.poll() is None or self._left == 0:
            return
        self._left -= 1
        self._say("the watchdog process has died; another one takes its place")
        former = self._stream
        self.process = self._start()
        with suppress(OSError, ValueError):  # its other half may still live, and must not act
            former.write(f"{DONE}\n")
            former.flush()
        with suppress(OSError):
            former.close()
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
        self._tell(json.dumps({**self._plan, "last_beat": self._last_beat}))
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
    watchdog = _Watchdog(plan, heart.say)
    try:
        with heart.beating(watchdog.beat, tend=watchdog.tend):
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
    stand on another one's output (an attenuator on a card) wait for these, and not for long. Own
    classes are found in `folder`.
    """
    opened: dict[str, Any] = {}
    lines: dict[str, str] = {}
    threads: dict[str, Thread] = {}
    told: set[str] = set()
    left = dict(instruments)
    while left:
        ready = {n: e for n, e in left.items() if not _stands_on(e, left.keys() - {n})} or left
        for name, entry in ready.items():
            threads[name] = Thread(
                target=_rescue_one, args=(name, entry, opened, lines, folder), daemon=True
            )
            threads[name].start()
        _wait_for(threads.values(), RECOVERY_TIME)
        news = [name for name in threads if name in lines.keys() - told]
        told.update(news)
        yield from (lines[name] for name in news)
        left = {n: e for n, e in left.items() if n not in ready}
    _wait_for(threads.values(), SLOW)
    late = f"no answer within {SLOW:g} s"
    yield from (lines.get(n, f"NOT SAFE: {n}: {late}") for n in instruments if n not in told)


def _wait_for(threads: Iterable[Thread], seconds: float) -> None:
    """Wait until all have ended, for so many seconds together at most."""
    deadline = monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - monotonic()))


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
    from labkit.station.safety import LATE_REPLY, make_safe, with_safe_state

    if entry["options"] is None:
        lines[name] = f"NOT SAFE: {name}: it belongs to the dead process and cannot be reached"
        return
    try:
        options = resolve(entry["options"], {}, opened)
        kind = import_object(entry["type"], folder)
        with waiting_for_late_replies(LATE_REPLY):
            opened[name] = kind(name, **fitted(kind, options))
    except Exception as error:  # noqa: BLE001, RUF100  # told with the others' outcomes
        lines[name] = f"NOT SAFE: {name}: {type(error).__name__}: {error}"
        return
    report = make_safe(with_safe_state({name: opened[name]}), SLOW)
    safe = f"{name}: safe" if report.all_safe else f"NOT SAFE: {name}: {report.failed[name]}"
    lines[name] = safe


def main() -> None:
    """Wait for the end of the watched process; act if it came without a word, or hangs.

    Where the system can fork there are two of it. One listens; the other one looks after it, and
    lets another one listen if it dies, which knows how old the last sign of life is. So the watched
    process may hang at the moment at which the watchdog dies. If the one that looks after it dies,
    the watched process takes care of that.
    """
    plan = json.loads(sys.stdin.readline())
    last_beat = mmap(-1, _TIME.size)
    _TIME.pack_into(last_beat, 0, plan["last_beat"])
    if not hasattr(os, "fork"):
        _listen(plan, last_beat)
        return
    for _ in range(1 + REPLACEMENTS):
        listener = os.fork()
        if not listener:
            _listen(plan, last_beat)
            return
        if _ended_in_order(listener):
            return
        sys.stderr.write("the watchdog's listener has died; another one takes its place\n")
    _listen(plan, last_beat)


def _ended_in_order(listener: int) -> bool:
    """Wait for the end of a child, which is woken whenever it is suspended."""
    while True:
        _, status = os.waitpid(listener, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status) == 0
        sleep(INTERVAL)
        os.kill(listener, signal.SIGCONT)


def _listen(plan: Mapping[str, Any], last_beat: mmap) -> None:
    """Listen to the heart, and act if it stands still."""
    folder = Path(plan["folder"])
    preparation = Timer(PREPARATION, _load_drivers, [plan["instruments"], folder])
    preparation.daemon = True
    preparation.start()
    why = _wait(plan["silence"], plan["process"], last_beat)
    preparation.cancel()
    if why:
        _act(why, plan["instruments"], Path(plan["log"]), folder)


def _wait(silence: float, process: int, last_beat: mmap) -> str:
    """Listen to the heart; return why it stands still, "" if the process ended in order."""
    heard: SimpleQueue[str] = SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            heard.put(line.strip())
        heard.put("")

    Thread(target=listen, daemon=True).start()
    last = BEAT
    while True:
        age = monotonic() - _TIME.unpack_from(last_beat)[0]
        try:
            word = _next(heard, silence - age)
        except Empty:
            return _end(process, heard, silence)
        if not word:
            return "" if last == DONE else "the run's process died"
        last = word
        _TIME.pack_into(last_beat, 0, monotonic())


def _next(heard: "SimpleQueue[str]", seconds: float) -> str:
    """Return the next word; if this process was suspended itself, words have waited meanwhile."""
    try:
        return heard.get(timeout=max(0.0, seconds))
    except Empty:
        return heard.get(timeout=GRACE)


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
    targets: list[Any] = [sys.stderr]
    with ExitStack() as stack:
        with suppress(OSError):  # a disk that takes no log must not stand in the way
            targets.append(stack.enter_context(log.open("w", encoding="utf-8")))
        for line in _acting(why, instruments, folder):
            for target in targets:
                with suppress(OSError):  # nobody may be left to read stderr
                    target.write(f"{line}\n")
                    target.flush()


def _acting(why: str, instruments: Mapping[str, Mapping[str, Any]], folder: Path) -> Iterator[str]:
    yield f"{why}; the watchdog acts"
    yield from rescue(instruments, folder)
    yield "the watchdog has done what it could; switch off by hand what is not safe"


if __name__ == "__main__":
    main()
