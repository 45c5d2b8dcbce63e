"""What a run shows on a terminal: every step as a line, below it bars of run and block."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Self

from labkit.cli.output import remarks
from labkit.monitoring.status import duration_text
from labkit.run.progress import Step, Watcher, WitnessProgress

_WIDTH = 100
"""Longest text beside the bars."""

_QUIET = 60.0
"""Where there are no bars, a line at least this often tells how far a scan is, s."""


class RunDisplay(Watcher):
    """Bars on stderr where it is a terminal; elsewhere lines only. Use in a ``with`` statement.

    Every line begins with the local time. The points of a scan are no lines of their own: the bar
    shows the last one, and what the scan found is told at its end.

    Parameters
    ----------
    clock : callable
        Gives seconds that only grow.

    Attributes
    ----------
    folder : Path or None
        The run folder, once there is one.
    unsafe : dict of str to str
        Instruments that were left unsafe, and why.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description:<6}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=remarks,
            transient=True,
            disable=not remarks.is_terminal,
        )
        self._run = self._bars.add_task("run", total=None, text="starting")
        self._block = self._bars.add_task("block", total=None, text="", visible=False)
        self._progress: WitnessProgress | None = None
        self._pace = Pace(clock)
        self._clock, self._told = clock, clock()
        self._outer: Step | None = None
        self.folder: Path | None = None
        self.unsafe: dict[str, str] = {}

    def opened(self, folder: Path) -> None:
        """Keep the run folder, for the last words, and say it."""
        self.folder = folder
        super().opened(folder)

    def say(self, text: str) -> None:
        """Print lines above the bars."""
        self._print(text)
        if self._progress is None and not self._pace.path:
            self._bars.update(self._run, text=text.splitlines()[-1][:_WIDTH])

    def alarm(self, text: str) -> None:
        """Print a line that stands out."""
        self._print(text, style="bold yellow")

    def point(self, text: str) -> None:
        """Show what a point of a scan gave, until the next one."""
        self._bars.update(self._run, text=text[:_WIDTH])

    def step(self, path: tuple[Step, ...]) -> None:
        """Show where the procedures are; an outer step is a line, a point of a scan is not."""
        new = self._pace.begin(path) and path[0] != self._outer
        self._outer = path[0]
        if self._progress is not None and path[0].what != "witness":
            self._progress = None  # calibrations after it
        text = self._pace.said()
        self._bars.update(self._run, text=text[:_WIDTH])
        if path[0].procedure == "ending":
            self._bars.update(self._block, visible=False)
        if len(path) == 1:
            self._show((path[0].number - 1) / path[0].of)
        quiet = not remarks.is_terminal and self._clock() - self._told >= _QUIET
        if (new and path[-1].procedure == "autopilot") or quiet:
            self._print(text)

    def left_unsafe(self, who: Mapping[str, str]) -> None:
        """Keep who is not safe, for the last words."""
        self.unsafe = dict(who)

    def advance(self, done: float, total: float) -> None:
        """Show how far the block being taken is: seconds measured, and seconds in all."""
        text = f"{done:,.0f} of {total:,.0f} s of data"
        self._bars.update(self._block, completed=done, total=total, text=text, visible=True)
        if self._progress is not None:
            self._show(self._progress.part(done / total if total else 0.0))

    def report(self, progress: WitnessProgress) -> None:
        """Show how far the measurement is."""
        self._progress = progress
        left = self._pace.left_of(progress)
        text = " · ".join(filter(None, (str(progress), left and f"{left} left")))
        self._bars.update(self._run, text=text[:_WIDTH])
        self._show(progress.part())

    def _print(self, text: str, style: str | None = None) -> None:
        self._told = self._clock()
        now = f"{datetime.now():%H:%M:%S}"
        for number, line in enumerate(text.splitlines() or [""]):
            head = " " * len(now) if number else now
            remarks.print(
                f"{head}  {line}", style=style, markup=False, highlight=False, soft_wrap=True
            )

    def _show(self, part: float | None) -> None:
        if part is not None:
            self._bars.update(self._run, completed=100 * part, total=100)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


class Pace:
    """Where the procedures are, and how long the innermost one takes, by its steps so far.

    Parameters
    ----------
    clock : callable
        Gives seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.path: tuple[Step, ...] = ()
        self._began: dict[tuple[int, str], tuple[float, int]] = {}
        self._first: tuple[float, float] | None = None

    def begin(self, path: tuple[Step, ...]) -> bool:
        """Note a step; return whether it is another one than before."""
        new, self.path = path != self.path, path
        depth, last = len(path), path[-1]
        key = (depth, last.procedure)
        self._began = {place: at for place, at in self._began.items() if place[0] <= depth}
        if last.number == 1 or key not in self._began:
            self._began[key] = self._clock(), last.number
        return new

    def left(self) -> float | None:
        """Return the seconds left of the innermost procedure; None before its second step."""
        if not self.path:
            return None
        last = self.path[-1]
        began, first = self._began[len(self.path), last.procedure]
        done = last.number - first
        if done <= 0 or last.procedure == "autopilot":
            return None
        return (self._clock() - began) / done * (last.of - last.number + 1)

    def said(self) -> str:
        """Return all steps in words, with the time left of the innermost procedure."""
        left = self.left()
        found = [str(step) for step in self.path]
        return " · ".join([*found, f"{duration_text(left)} left"] if left is not None else found)

    def left_of(self, progress: WitnessProgress) -> str:
        """Return the time left to a goal in words, by the pace since it was first told."""
        part, now = progress.part(), self._clock()
        if part is None:
            return ""
        if self._first is None:
            self._first = now, part
        began, before = self._first
        if part <= before:
            return ""
        return duration_text((now - began) / (part - before) * (1.0 - part))
