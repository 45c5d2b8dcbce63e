"""The ``labkit`` command: thin shells around the packages; heavy imports happen inside commands."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from labkit import __version__
from labkit.cli import (
    conversion,
    corrections,
    dashboard,
    demo,
    doctor,
    estimate,
    infer,
    lab,
    new,
    planning,
    plot,
    questions,
    reproduce,
    runs,
    simulate,
    tags,
    theory,
)
from labkit.cli.help import App
from labkit.cli.output import any_encoding, reader_left, say_error

app = App(
    name="labkit",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for room in (
    demo,
    tags,
    conversion,
    questions,
    corrections,
    theory,
    reproduce,
    simulate,
    estimate,
    infer,
    planning,
    lab,
    new,
    runs,
    plot,
    dashboard,
    doctor,
):
    room.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"labkit {__version__}")
        raise typer.Exit


@app.callback()
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

    0: done, or the reader of stdout has gone (`labkit theory list | head`). 1: bad input or a file
    problem, one line on stderr. 2: wrong usage. 3: an instrument is not in its safe state.
    130, 143: stopped by Ctrl-C, or from outside.
    """
    try:
        app(list(arguments), prog_name="labkit")
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):
            return _after_broken_pipe(end.__context__)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (ValueError, KeyError, OSError, MemoryError, RuntimeError) as error:
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
    any_encoding()
    code = run(sys.argv[1:])
    reader_left()
    sys.exit(code)
