"""How commands speak: results on stdout, progress and remarks on stderr."""

import codecs
import json
import logging
import select
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from analysis.yamlfile import why
from labkit.station.ending import said

if TYPE_CHECKING:
    from rich.table import Table

remarks = Console(stderr=True)
"""For progress, warnings and errors."""

UNSAFE = 3
"""Exit code if an instrument is not in its safe state, whatever else happened."""


def reader_left() -> bool:
    """Return whether nobody reads stdout any more; what is left of it is written, or dropped.

    Windows, which has no ``poll``, cannot tell.
    """
    if sys.__stdout__ is None or not hasattr(select, "poll"):
        return False
    with suppress(BrokenPipeError):
        sys.__stdout__.flush()
    ends = select.poll()
    ends.register(sys.__stdout__.fileno(), 0)
    return any(event & select.POLLERR for _, event in ends.poll(0))


class _Stdout(Console):
    """A console that asks whether the reader has gone before it leaves stdout to nowhere."""

    def on_broken_pipe(self) -> None:
        raise SystemExit(0 if reader_left() else 1)


results = _Stdout(width=None if sys.stdout is not None and sys.stdout.isatty() else 110)
"""For what the user asked for."""


_PLAIN = {
    "²": "^2", "³": "^3", "µ": "u", "μ": "u", "−": "-", "–": "-", "—": "-", "…": "...", "→": "->",
    "≥": ">=", "≤": "<=", "≈": "~", "±": "+-", "×": "x", "·": "*", "÷": "/", "√": "sqrt",
    "∞": "inf", "°": "deg", "Δ": "Delta", "Σ": "Sum", "Γ": "Gamma", "Ω": "Omega", "α": "alpha",
    "β": "beta", "γ": "gamma", "δ": "delta", "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda",
    "π": "pi",
    "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
    "’": "'", "‘": "'", "“": '"', "”": '"', "█": "#", "│": "|", "─": "-",
}  # fmt: skip


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    """Codec error handler: write what a terminal lacks in the letters that all have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letters = error.object[error.start : error.end]
    plain = "".join(_PLAIN.get(letter) or _letter(letter) for letter in letters)
    return plain, error.end


def _letter(letter: str) -> str:
    base = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    return base or "?"


def any_encoding() -> None:
    """Let stdout and stderr write every character whatever their encoding (cp1252, ascii)."""
    codecs.register_error("plain-letters", _in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="plain-letters")


def say_error(error: BaseException) -> None:
    """Say on stderr what went wrong, and what then went wrong too."""
    for line in (f"labkit: error: {_told(error)}", *getattr(error, "__notes__", ())):
        remarks.print(line, markup=False, highlight=False, soft_wrap=True)


def _told(error: BaseException) -> str:
    """Return what an error says; of the system's own, the file and the reason in words."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {why(error)}"
    return said(error)


def print_lines(text: str) -> None:
    """Print text as it is: no markup, no colours, no wrapping."""
    results.print(text, markup=False, highlight=False, soft_wrap=True)


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object on stdout and nothing else; nan and infinity raise ValueError."""
    if sys.stdout is None:  # closed by the shell, `>&-`
        return
    unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
    sys.stdout.write(json.dumps(value, ensure_ascii=not unicode, allow_nan=False) + "\n")


def table_of(*heads: str, title: str = "", whole: int = 1) -> "Table":
    """Return an empty table whose first columns, which may be copied, are broken at no width."""
    from rich.table import Table

    made = Table(title=title or None, title_justify="left")
    for number, head in enumerate(heads):
        made.add_column(head, overflow="fold", no_wrap=number < whole)
    return made


def check_folder(option: str, path: Path) -> None:
    """Refuse before any work a folder that cannot be made because a file has its place.

    Raises
    ------
    NotADirectoryError
        Naming the option and the file in the way.
    """
    for place in (path, *path.parents):
        if place.exists() and not place.is_dir():
            message = f"{option} must be a folder, but {place} is a file; choose another name"
            raise NotADirectoryError(message)


@contextmanager
def without_logs() -> Iterator[None]:
    """Keep warnings of libraries off stderr where the command itself tells what failed."""
    nowhere, root = logging.NullHandler(), logging.getLogger()
    root.addHandler(nowhere)
    try:
        yield
    finally:
        root.removeHandler(nowhere)


@contextmanager
def progress_bar(what: str, unit: str = "records") -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr; yields a function of (done, total).

    Nothing is drawn where stderr is not a terminal.
    """
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=remarks, transient=True, disable=not remarks.is_terminal
    ) as bar:
        task = bar.add_task(what, total=1)

        def update(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield update
