"""Processes beside a run: one draws and reports, one learns what limits R_m."""

import copyreg
import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Collection, Sequence
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self

from labkit.run import RunFolder

if TYPE_CHECKING:
    from labkit.procedures import Result
    from labkit.report.run_report import ReportFigures

Task = Literal["draw", "learn"]


LONGEST_WAIT = 60.0
"""After so many seconds pictures that are still being drawn are drawn elsewhere."""


class CompanionLostError(RuntimeError):
    """The process has ended without an answer."""


class Companion:
    """A process of its own that makes ready at once, and draws or learns when told to.

    To be used as a context manager. It gives way to other processes, writes nothing before it is
    told to, and ends with the process that started it, however that ends.

    Parameters
    ----------
    folder : RunFolder
    task : {"draw", "learn"}
        What it makes ready for.
    """

    def __init__(self, folder: RunFolder, task: Task) -> None:
        self._folder, self._task = folder, task
        self._news = Condition()
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "labkit.companion", self._task, str(self._folder.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )  # fmt: skip
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._drawing: set[str] = set()
        self._drawn: set[str] = set()
        self._answers: dict[str, Any] = {}
        self._words = b""
        self._has_ended = False
        self._threads = [
            Thread(target=work, args=(self._process,), name="companion", daemon=True)
            for work in (self._send, self._listen, self._overhear)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait()
        self._outbox.put(None)
        for thread in self._threads:
            thread.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:  # what it was not sent any more
                    continue

    def show(self, name: str, result: "Result") -> None:
        """Have the pictures of what a procedure found drawn into the run folder, soon.

        Those that it has drawn before are not drawn again. What cannot be handed over, or is not
        drawn, is missing in `drawn`.
        """
        try:
            handed_over = _packed(result)
        except Exception:  # a plug-in's own: drawn at the end, and no measurement fails for it
            return
        with self._news:
            self._drawing.add(name)
        self._outbox.put(pickle.dumps(("draw", (name, handed_over))))

    def drawn(self) -> Collection[str]:
        """Wait for what it is drawing; return the names of the pictures that have been drawn."""
        with self._news:
            self._news.wait_for(lambda: self._has_ended or not self._drawing, LONGEST_WAIT)
            return frozenset(self._drawn)

    def prepare_report(self) -> None:
        """Have the report's pictures drawn: the run has its last block."""
        self._outbox.put(pickle.dumps(("prepare", None)))

    def report(self, remarks: Sequence[str] | None, learned: Callable[[], object] | None) -> None:
        """Have the run's report written, as `write_run_report` does; if it is lost, write it here.

        Raises
        ------
        RuntimeError
            If that fails.
        """
        self._outbox.put(pickle.dumps(("report", remarks)))
        if learned is not None:
            learned()
        self._outbox.put(pickle.dumps(("learned", None)))
        try:
            failure = self._answer_to("report")
        except CompanionLostError:
            from labkit.report.run_report import write_run_report

            write_run_report(self._folder, remarks=remarks)
            return
        if failure:
            raise RuntimeError(failure)

    def begin(self) -> None:
        """Let it learn; one that has ended before is replaced."""
        if self._process.poll() is not None:
            self._close()
            self._start()
        self._outbox.put(pickle.dumps(("learn", None)))

    def wait(self) -> str:
        """Wait for what it learns, and return how the model fits, `Learned.fit`.

        The posterior and the picture of the noise budget follow; `finish` waits for them.

        Raises
        ------
        ValueError
            If these data cannot tell, as `labkit.learned.learn` does.
        RuntimeError
            If the process fails.
        """
        said, knows = self._answer_to("learned")
        if not knows:
            raise ValueError(said)
        return str(said)

    def finish(self) -> None:
        """Wait until what was learned is kept as well.

        Raises
        ------
        RuntimeError
            If the process fails.
        """
        self._answer_to("learn")

    def _answer_to(self, what: str) -> Any:
        """Wait for an answer, and return it."""
        with self._news:
            self._news.wait_for(lambda: self._has_ended or what in self._answers)
            if what in self._answers:
                return self._answers.pop(what)
        code = self._process.wait()
        self._threads[-1].join()
        last = self._words.decode(errors="replace").strip().rpartition("\n")[2]
        message = f"the process that {self._task}s must end well, but ended with {code}"
        raise CompanionLostError(f"{message}: {last}" if last else message)

    def _send(self, process: "subprocess.Popen[bytes]") -> None:
        stream, outbox = process.stdin, self._outbox
        while stream is not None and (message := outbox.get()) is not None:
            try:
                stream.write(message)
                stream.flush()
            except BrokenPipeError:  # it has ended; `_listen` tells
                return

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        try:
            while process.stdout is not None:
                what, answer = pickle.load(process.stdout)
                with self._news:
                    if what == "draw":
                        self._drawing.discard(answer[0])
                        self._drawn |= answer[1]
                    else:
                        self._answers[what] = answer
                    self._news.notify_all()
        except (EOFError, pickle.UnpicklingError):
            with self._news:
                self._has_ended = True
                self._news.notify_all()

    def _overhear(self, process: "subprocess.Popen[bytes]") -> None:
        if process.stderr is not None:
            self._words = process.stderr.read()


def _packed(result: "Result") -> bytes:
    """Return a result for another process; mappings that nobody may change are in there, too."""
    stream = BytesIO()
    pickler = pickle.Pickler(stream)
    pickler.dispatch_table = copyreg.dispatch_table | {
        MappingProxyType: lambda fixed: (_fixed, (dict(fixed),))
    }
    pickler.dump(result)
    return stream.getvalue()


def _fixed(plain: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(plain)


_GIVING_WAY = {"learn": 5, "draw": 19}
"""Niceness: the run that measures meanwhile comes first, and what takes longest before the rest."""


class _Work:
    """What the process does, by the name of what it is told."""

    def __init__(
        self,
        folder: RunFolder,
        told: "SimpleQueue[tuple[str, Any]]",
        tell: Callable[[str, Any], None],
    ) -> None:
        self._folder, self._told, self._tell = folder, told, tell
        self._drawn: set[str] = set()
        self._figures: ReportFigures | None = None

    def draw(self, shown: tuple[str, bytes]) -> tuple[str, set[str]]:
        """Draw a result's pictures; return its name, and theirs as far as that worked."""
        from labkit.run.results import save_picture

        name, handed_over = shown
        try:
            result: Result = pickle.loads(handed_over)
            for part, draw in result.pictures().items():
                if part not in self._drawn:
                    save_picture(self._folder, part, draw)
                    self._drawn.add(part)
            if name == "phase_sweep":
                self._report_figures().draw_ahead()
        except Exception as error:  # tried again, and told, where the run ends
            sys.stderr.write(f"{name}: {error}\n")
        return name, set(self._drawn)

    def prepare(self, _: None) -> None:
        """Draw the report's figures."""
        try:
            self._report_figures().draw()
        except Exception as error:  # tried again, and told, when the report is written
            sys.stderr.write(f"report: {error}\n")
            self._figures = None

    def _report_figures(self) -> "ReportFigures":
        from labkit.report.run_report import ReportFigures

        self._figures = self._figures or ReportFigures(self._folder)
        return self._figures

    def report(self, remarks: Sequence[str] | None) -> str:
        """Write the report; return why it could not be written."""
        from labkit.report.run_report import write_run_report

        learned, failure = cache(self._told.get), ""
        try:
            write_run_report(self._folder, remarks=remarks, learned=learned, figures=self._figures)
        except Exception as error:  # told by who asked for it
            failure = f"{type(error).__name__}: {error}"
        learned()
        return failure

    def learn(self, _: None) -> None:
        """Tell how the model fits, or why nobody can tell, and which of both it is; keep it all."""
        from labkit.learned import learn
        from simulation.inference.sampling import NoMaximumError

        try:
            learn(self._folder, known=lambda found: self._tell("learned", (found.fit, True)))
        except (ValueError, NoMaximumError) as error:
            self._tell("learned", (str(error), False))


def main() -> None:
    """Make ready; then do with the run folder that is named what is told."""
    task, path = sys.argv[1:]
    if hasattr(os, "nice"):
        os.nice(_GIVING_WAY[task])
    answers, sys.stdout = sys.stdout.buffer, sys.stderr

    def tell(what: str, answer: Any) -> None:
        answers.write(pickle.dumps((what, answer)))
        answers.flush()

    told: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    Thread(target=_hear, args=(told,), daemon=True).start()
    _load(task)
    gc.freeze()  # as `labkit.cli.main` does
    work = _Work(RunFolder(path=Path(path)), told, tell)
    while True:
        what, given = told.get()
        tell(what, getattr(work, what)(given))


def _hear(told: "SimpleQueue[tuple[str, Any]]") -> None:
    """Hear what is wanted; the other end is closed with the process that started this one."""
    try:
        while True:
            told.put(pickle.load(sys.stdin.buffer))
    except (EOFError, pickle.UnpicklingError):
        os._exit(0)


def _load(task: str) -> None:
    """Load what is needed, down to what files and pictures load as they are written."""
    from matplotlib.figure import Figure

    from labkit.procedures import options_of

    drawing = ("labkit.run.results", "labkit.report.run_report", "jinja2")
    learning = (
        "labkit.campaign", "simulation.inference.budget", "simulation.inference.infer", "h5netcdf",
        "ruamel.yaml",
    )  # fmt: skip
    for name in drawing if task == "draw" else learning:
        import_module(name)
    options_of("autopilot", {}, "autopilot")
    figure = Figure(layout="constrained")
    figure.add_subplot().set_title("$R_m$")
    for form in ("png", "svg"):
        figure.savefig(BytesIO(), format=form)


if __name__ == "__main__":
    main()
