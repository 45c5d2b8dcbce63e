"""The ``labkit`` command: thin shells around the packages; heavy imports happen inside commands."""

import sys
from collections.abc import Sequence

import typer

from labkit.cli import (
    dashboard,
    demo,
    doctor,
    estimate,
    lab,
    planning,
    questions,
    reproduce,
    runs,
    simulate,
    tags,
    theory,
)
from labkit.cli.output import any_encoding, say_error

app = typer.Typer(
    name="labkit",
    help="Pulsed DLCZ optomechanics: time tags to g² and the entanglement witness R_m.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for room in (
    demo,
    tags,
    questions,
    theory,
    reproduce,
    simulate,
    estimate,
    planning,
    lab,
    runs,
    dashboard,
    doctor,
):
    room.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    0: done. 1: bad input or a file problem, one line on stderr. 2: wrong usage. 3: an instrument
    is not in its safe state. 130, 143: stopped by Ctrl-C, or from outside.
    """
    try:
        app(list(arguments), prog_name="labkit")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (ValueError, KeyError, OSError, MemoryError, RuntimeError) as error:
        say_error(error)
        return 1
    return 0


def main() -> None:
    """Entry point of the ``labkit`` script."""
    any_encoding()
    sys.exit(run(sys.argv[1:]))
