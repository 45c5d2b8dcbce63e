"""A process beside a run: it draws what procedures found, and at the end learns what limits R_m."""

import gc
import os
import pickle
import subprocess
import sys
from collections.abc import Collection
from importlib import import_module
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Self

from labkit.run import RunFolder

if TYPE_CHECKING:
    from labkit.procedures import Result


class Companion:
    """A process of its own that makes ready at once, and draws and learns when told to.

    To be used as a context manager. It gives way to other processes, writes nothing before it is
    told to, and ends with the process that started it, however that ends.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._news = Condition()
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "labkit.companion", str(self._folder.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )  # fmt: skip
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._drawing: set[str] = set()
        self._drawn: set[str] = set()
        self._learned: tuple[str, bool] | None = None
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

        What cannot be handed over, or is not drawn, is missing in `drawn`.
        """
        try:
            message = pickle.dumps((name, result))
        except (
            pickle.PicklingError,
            AttributeError,
            TypeError,
        ):  # a plug-in's, bound to a notebook
            return
        with self._news:
            self._drawing.add(name)
        self._outbox.put(message)

    def drawn(self) -> Collection[str]:
        """Wait for what it is drawing; return the names of the pictures that have been drawn."""
        with self._news:
            self._news.wait_for(lambda: self._has_ended or not self._drawing)
            return frozenset(self._drawn)

    def begin(self) -> None:
        """Let it learn; one that has ended before is replaced."""
        if self._process.poll() is not None:
            self._close()
            self._start()
        self._outbox.put(pickle.dumps(_LEARN))

    def wait(self) -> str:
        """Wait for what it learns, and return how the model fits, `Learned.fit`.

        Raises
        ------
        ValueError
            If these data cannot tell, as `labkit.learned.learn` does.
        RuntimeError
            If the process fails.
        """
        with self._news:
            self._news.wait_for(lambda: self._has_ended or self._learned is not None)
        if self._learned is None:
            code = self._process.wait()
            self._threads[-1].join()
            last = self._words.decode(errors="replace").strip().rpartition("\n")[2]
            message = f"the process that learns must end well, but ended with {code}"
            raise RuntimeError(f"{message}: {last}" if last else message)
        said, knows = self._learned
        if not knows:
            raise ValueError(said)
        return said

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
                name, said = pickle.load(process.stdout)
                with self._news:
                    if name == _LEARN:
                        self._learned = said
                    else:
                        self._drawing.discard(name)
                        self._drawn |= said
                    self._news.notify_all()
        except (EOFError, pickle.UnpicklingError):
            with self._news:
                self._has_ended = True
                self._news.notify_all()

    def _overhear(self, process: "subprocess.Popen[bytes]") -> None:
        if process.stderr is not None:
            self._words = process.stderr.read()


_LEARN = "learn"

_GIVING_WAY = 10
"""Niceness: the run that measures meanwhile comes first."""


def main() -> None:
    """Make ready; then draw, and at last learn from the run folder that is named, as told."""
    if hasattr(os, "nice"):
        os.nice(_GIVING_WAY)
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    wanted: SimpleQueue[Any] = SimpleQueue()
    Thread(target=_hear, args=(wanted,), daemon=True).start()
    _load()
    folder = RunFolder(path=Path(sys.argv[1]))
    while True:
        message = wanted.get()
        if message is None:
            return
        told = message == _LEARN
        name, said = (_LEARN, _what_is_learned(folder)) if told else _what_is_drawn(folder, message)
        answers.write(pickle.dumps((name, said)))
        answers.flush()
        if told:
            break
    gc.freeze()  # as `labkit.cli.main` does


def _hear(wanted: "SimpleQueue[Any]") -> None:
    """Hear what is wanted; the other end is closed with the process that started this one."""
    try:
        while True:
            wanted.put(pickle.load(sys.stdin.buffer))
    except (EOFError, pickle.UnpicklingError):
        os._exit(0)


def _what_is_learned(folder: RunFolder) -> tuple[str, bool]:
    """Return how the model fits, or why nobody can tell, and which of both it is."""
    from labkit.learned import learn
    from simulation.inference.sampling import NoMaximumError

    try:
        return learn(folder).fit, True
    except (ValueError, NoMaximumError) as error:
        return str(error), False


def _what_is_drawn(folder: RunFolder, message: "tuple[str, Result]") -> tuple[str, set[str]]:
    """Draw a result's pictures; return its name and theirs, as far as that worked."""
    from labkit.run.results import save_picture

    name, result = message
    drawn = set()
    try:
        for part, draw in result.pictures().items():
            save_picture(folder, part, draw)
            drawn.add(part)
    except Exception as error:  # tried again, and told, where the run ends
        sys.stderr.write(f"{name}: {error}\n")
    return name, drawn


def _load() -> None:
    """Load what `learn` needs, down to what files and pictures load as they are written."""
    from matplotlib.figure import Figure
    from xarray import Dataset

    from labkit.procedures import options_of

    inference = (f"simulation.inference.{name}" for name in ("budget", "infer"))
    for name in ("labkit.campaign", "labkit.run.results", "ruamel.yaml", *inference):
        import_module(name)
    options_of("autopilot", {}, "autopilot")
    Dataset({"nothing": ("draw", [0.0])}).to_netcdf(engine="h5netcdf")
    Figure().savefig(BytesIO(), format="png")


if __name__ == "__main__":
    main()
