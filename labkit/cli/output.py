"""How commands speak: results on stdout, progress and remarks on stderr."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

remarks = Console(stderr=True)
"""For progress, warnings and errors."""

results = Console(width=None if sys.stdout.isatty() else 110)
"""For what the user asked for."""


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object on stdout and nothing else; nan and infinity raise ValueError."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")


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
