"""The ``labkit`` command: thin shells around the packages; heavy imports happen inside commands."""

import sys

import typer

from labkit.cli import demo, doctor, simulate, tags, theory
from labkit.cli.output import remarks

app = typer.Typer(
    name="labkit",
    help="Pulsed DLCZ optomechanics: time tags to g² and the entanglement witness R_m.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for room in (demo, tags, simulate, theory, doctor):
    room.register(app)


def main() -> None:
    """Run the command line; known failures end with one line on stderr and exit code 1."""
    try:
        app()
    except KeyboardInterrupt:
        remarks.print("interrupted; nothing was left half-written")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)
    except (ValueError, KeyError, OSError) as error:
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        remarks.print(
            f"labkit: error: {text}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(1)
