"""The ``labkit`` command: thin shells around the packages; heavy imports happen inside commands."""

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Annotated

import typer

from labkit import __version__
from labkit.cli.help import App
from labkit.cli.output import any_encoding, reader_left, say_error

ROOMS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "demo": ("demo",),
        "tags": ("analyse", "witness", "info", "gates"),
        "conversion": ("convert", "merge"),
        "questions": ("blocks", "coincidences", "correlate", "delays", "detector", "shifted"),
        "corrections": ("afterpulses", "background"),
        "theory": ("theory",),
        "reproduce": ("reproduce",),
        "simulate": ("simulate",),
        "estimate": ("estimate",),
        "infer": ("infer",),
        "planning": ("plan", "budget", "match", "sequence"),
        "lab": ("lab",),
        "new": ("new",),
        "runs": ("run", "replay", "runs"),
        "plot": ("plot",),
        "dashboard": ("dashboard",),
        "doctor": ("doctor",),
    }
)
"""Modules and their commands: to carry out one, only its own module is loaded."""

_STARTING = 100_000
"""Objects that a command makes between two looks for garbage: imports make many, and no garbage."""


def app_for(arguments: Sequence[str] = ()) -> App:
    """Return the commands among which the arguments choose: all, if they name none."""
    first = arguments[0] if arguments else ""
    rooms = tuple(room for room, commands in ROOMS.items() if first in commands)
    return _app(rooms or (() if first == "--version" else tuple(ROOMS)))


@cache
def _app(rooms: tuple[str, ...]) -> App:
    app = App(
        name="labkit",
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
    )
    for room in rooms:
        import_module(f"labkit.cli.{room}").register(app)
    app.callback()(labkit)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"labkit {__version__}")
        raise typer.Exit


def labkit(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Pulsed DLCZ optomechanics: time tags to g² and the entanglement witness R_m."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0: done, or the reader of stdout has gone (`labkit theory list | head`). 1: bad input, a file
    problem or a missing package, one line on stderr. 2: wrong usage. 3: an instrument is not in its
    safe state. 130, 143: stopped by Ctrl-C, or from outside.
    """
    try:
        app_for(arguments)(list(arguments), prog_name="labkit")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            return _after_broken_pipe(end.__context__)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (ValueError, KeyError, OSError, MemoryError, RuntimeError, ImportError) as error:
        say_error(error)
        return 1
    return 0


def _after_broken_pipe(error: BrokenPipeError) -> int:
    """Tell a reader of stdout who has enough from a link to an instrument that broke."""
    if reader_left():
        return 0
    say_error(error)
    return 1


def main() -> None:
    """Entry point of the ``labkit`` script."""
    gc.set_threshold(_STARTING)
    any_encoding()
    code = run(sys.argv[1:])
    if reader_left() and sys.__stdout__ is not None:  # what is buffered for him goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
    gc.freeze()  # nobody looks for garbage among all there is while the interpreter ends
    sys.exit(code)
