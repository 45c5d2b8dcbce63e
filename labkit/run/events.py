"""What a run tells: its event log (steps, settings, alarms, in order), and the station's alarms."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

from labkit.run.lines import append_lines, framed, read_lines
from labkit.run.manifest import utc_now
from labkit.run.progress import Step, Watcher, WitnessProgress
from labkit.station.alarms import Alarms, Notifier
from labkit.station.ending import Terminated, said

EVENTS = "events.jsonl"
"""In a run folder: lines as in its journal; ``kind`` is step, setting, alarm or progress."""

SETTING_LINE = b'{"kind":"setting"'
"""How a line about a setting begins, after its checksum."""

APART = 2.0
"""Shortest time between two lines about the points of one scan, s: a scan may be quick."""


class EventLog(Watcher):
    """Writes down what a watcher is told, and passes it on.

    A log that cannot be written is said once, and disturbs nothing.

    Parameters
    ----------
    inner : Watcher
    folder : Path
        Run folder.
    """

    def __init__(self, inner: Watcher, folder: Path) -> None:
        self._inner, self._path = inner, folder / EVENTS
        self._known: dict[str, object] = {}
        self._failed = False
        self._noted = -inf
        self._depth = 0

    def opened(self, folder: Path) -> None:
        """Pass on."""
        self._inner.opened(folder)

    def step(self, path: tuple[Step, ...]) -> None:
        """Log where the procedures are, and pass it on."""
        back = len(path) < self._depth
        if path[-1].number == 1 or back or monotonic() - self._noted >= APART:
            # who comes back from an inner step is about to tell the next outer one
            self._noted, self._depth = -inf if back else monotonic(), len(path)
            self._log("progress", path=[asdict(step) for step in path])
        self._inner.step(path)

    def point(self, text: str) -> None:
        """Log what a point of a scan gave, and pass it on."""
        self._log("step", text=text)
        self._inner.point(text)

    def say(self, text: str) -> None:
        """Log a step, and pass it on."""
        self._log("step", text=text)
        self._inner.say(text)

    def advance(self, done: float, total: float) -> None:
        """Pass on."""
        self._inner.advance(done, total)

    def report(self, progress: WitnessProgress) -> None:
        """Pass on."""
        self._inner.report(progress)

    def alarm(self, text: str) -> None:
        """Log an alarm, and pass it on."""
        self._log("alarm", text=text)
        self._inner.alarm(text)

    def left_unsafe(self, who: Mapping[str, str]) -> None:
        """Log who is not safe, and pass it on."""
        for name, why in who.items():
            self._log("alarm", text=f"{name} is not safe: {why}")
        self._inner.left_unsafe(who)

    @contextmanager
    def settings(self, instruments: Iterable[Any]) -> Iterator[None]:
        """Log every parameter of QCoDeS instruments that is set within the block."""
        from qcodes.parameters import ParameterBase

        for instrument in instruments:
            self._learn(instrument)
        before = ParameterBase.global_on_set_callback
        ParameterBase.global_on_set_callback = staticmethod(self._set)
        try:
            yield
        finally:
            ParameterBase.global_on_set_callback = before

    def _learn(self, instrument: Any) -> None:
        """Note the values that an instrument's parameters have now, without asking it."""
        for parameter in instrument.parameters.values():
            self._known[parameter.full_name] = _plain(parameter.cache.get(get_if_invalid=False))
        for part in instrument.submodules.values():
            for one in getattr(part, "_channels", [part]):
                self._learn(one)

    def _set(self, parameter: Any, value: Any) -> None:
        name, new = parameter.full_name, _plain(value)
        instrument = parameter.root_instrument
        self._log(
            "setting", instrument=instrument.name if instrument else "", parameter=name,
            old=self._known.get(name), new=new,
        )  # fmt: skip
        self._known[name] = new

    def _log(self, kind: str, **said: object) -> None:
        if self._failed:
            return
        try:
            line = framed({"kind": kind, "time": utc_now(), **said})
            append_lines(self._path, line, durable=False)
        except (OSError, ValueError) as error:
            self._failed = True
            self._inner.say(f"the event log cannot be written any more: {error}")


def read_events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a run folder in order; damaged and torn lines are passed over.

    The log is no evidence: what a verdict rests on is in journal and records.
    """
    return (line.plain for line in read_lines(folder / EVENTS) if line.state == "whole")


def settings_made(folder: Path) -> dict[str, object]:
    """Return the parameters that labkit set in a run, with the last values."""
    settings = (event for event in read_events(folder) if event.get("kind") == "setting")
    return {str(event["parameter"]): event.get("new") for event in settings}


def flat_name(name: str) -> str:
    """Return a parameter's name in snapshots (``daq.voa_a.voltage``) as the event log has it."""
    return name.replace(".", "_")


def unset_drift(
    drift: Mapping[str, list[object]], made: Collection[str]
) -> dict[str, list[object]]:
    """Return which readings differ between a run's ends without having been set by it.

    Parameters
    ----------
    drift : mapping of str to list
        As in the manifest.
    made : collection of str
        Parameters that were set, see `settings_made`.
    """
    return {
        name: ends
        for name, ends in drift.items()
        if flat_name(name) not in made and None not in ends
    }


def _plain(value: object) -> object:
    """Return a value as JSON can hold it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    return str(value)


class _Alarming(Watcher):
    """Passes everything on, and what changes a run's state also to the alarms."""

    def __init__(self, inner: Watcher, notifier: Notifier) -> None:
        self._inner, self._notifier = inner, notifier
        self.unsafe: Mapping[str, str] = {}
        self._trials = -1
        self._troubled = False
        self.reached = ""

    def say(self, text: str) -> None:
        self._inner.say(text)

    def step(self, path: tuple[Step, ...]) -> None:
        self._inner.step(path)

    def point(self, text: str) -> None:
        self._inner.point(text)

    def advance(self, done: float, total: float) -> None:
        self._inner.advance(done, total)

    def report(self, progress: WitnessProgress) -> None:
        self._inner.report(progress)
        self.reached = str(progress) if progress.trials else ""
        if self._troubled and progress.trials > self._trials:
            self._troubled = False
            self._notifier.tell("running", self.reached)
        self._trials = progress.trials

    def alarm(self, text: str) -> None:
        self._troubled = True
        self._notifier.tell("trouble", text)
        self._inner.alarm(text)

    def left_unsafe(self, who: Mapping[str, str]) -> None:
        self.unsafe = who
        self._inner.left_unsafe(who)

    def tell_end(self, state: str, reason: str = "") -> None:
        if self.unsafe:
            reason += f"; NOT SAFE: {', '.join(f'{n} ({w})' for n, w in self.unsafe.items())}"
            state = f"{state}, and the lab is NOT SAFE"
        self._notifier.tell(state, reason.removeprefix("; "))


@contextmanager
def alarmed(watcher: Watcher, alarms: Alarms, run: str) -> Iterator[Watcher]:
    """Watch a run within the block and tell its states: running, trouble, and how it ended.

    Parameters
    ----------
    watcher : Watcher
        Told everything too.
    alarms : Alarms
    run : str
        Its name.
    """
    notifier = Notifier(run, alarms, watcher.say)
    told = _Alarming(watcher, notifier)
    with notifier.running():
        notifier.tell("running")
        try:
            yield told
        except BaseException as error:
            asked = isinstance(error, KeyboardInterrupt | Terminated)
            told.tell_end("interrupted" if asked else "failed", said(error))
            raise
        told.tell_end("done", told.reached)
