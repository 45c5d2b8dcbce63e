"""A run's states, told to whoever watches it and to the alarms of its station."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from labkit.run.progress import Step, Watcher, WitnessProgress
from labkit.station.alarms import Alarms, Notifier
from labkit.station.ending import Terminated, said


class _Alarming(Watcher):
    """Passes everything on, and what changes a run's state also to the alarms."""

    def __init__(self, inner: Watcher, notifier: Notifier) -> None:
        self._inner, self._notifier = inner, notifier
        self.unsafe: Mapping[str, str] = {}
        self._trials = -1

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
        if progress.trials > self._trials:
            self._notifier.tell("running")
        self._trials = progress.trials

    def alarm(self, text: str) -> None:
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
        told.tell_end("done")
