"""What a run shows on a terminal: every step as a line, below it bars of run and block."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from labkit.cli.output import remarks
from labkit.run.progress import Watcher, WitnessProgress

_WIDTH = 100
"""Longest text beside the bars."""


class RunDisplay(Watcher):
    """Bars on stderr where it is a terminal; elsewhere lines only. Use in a ``with`` statement.

    Attributes
    ----------
    unsafe : dict of str to str
        Instruments that were left unsafe, and why.
    """

    def __init__(self) -> None:
        from rich.progress import (
            BarColumn,
            TaskProgressColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description:<6}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=remarks,
            transient=True,
            disable=not remarks.is_terminal,
        )
        self._run = self._bars.add_task("run", total=None, text="starting")
        self._block = self._bars.add_task("block", total=None, text="", visible=False)
        self._progress: WitnessProgress | None = None
        self.unsafe: dict[str, str] = {}

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        remarks.print(text, markup=False, highlight=False, soft_wrap=True)
        if self._progress is None:
            self._bars.update(self._run, text=text.splitlines()[-1][:_WIDTH])

    def alarm(self, text: str) -> None:
        """Print a line that stands out."""
        remarks.print(text, style="bold yellow", markup=False, highlight=False, soft_wrap=True)

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
        self._bars.update(self._run, text=str(progress)[:_WIDTH])
        self._show(progress.part())

    def _show(self, part: float | None) -> None:
        if part is not None:
            self._bars.update(self._run, completed=100 * part, total=100)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()
