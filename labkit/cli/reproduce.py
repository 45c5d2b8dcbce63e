"""``labkit reproduce``: every quoted number beside ours, with verdict and command."""

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli.output import print_json, remarks, results
from labkit.cli.tags import Json


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    app.command()(reproduce)


def reproduce(
    paper: Annotated[
        str | None,
        typer.Argument(metavar="PAPER", help="Of one paper or protocol: yu2020, or 004."),
    ] = None,
    same: Annotated[
        str | None, typer.Option("--paper", metavar="PAPER", help="The same, as an option.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Also write the table as .html.")
    ] = None,
    json: Json = False,
) -> None:
    """Compare the papers' quoted numbers with labkit's.

    Quoted by the paper, by a public script, or by an independent solution of the same equations
    (source: reference).
    """
    from labkit.report import reproduction

    if output is not None and output.suffix != ".html":
        message = f"--output must end in .html, but is {output.name!r}"
        raise ValueError(message)
    if paper is not None and same is not None:
        message = f"name one paper, not both {paper} and {same}"
        raise ValueError(message)
    numbers = reproduction.reproduce(paper or same)
    if output is not None:
        output.write_text(reproduction.page(numbers), encoding="utf-8")
        remarks.print(f"wrote {output}", soft_wrap=True, markup=False)
    if json:
        print_json(reproduction.as_dict(numbers))
        return
    for number in numbers:
        reason = f", because {number.because}" if number.because else ""
        results.print(
            f"{number.paper:<18} {number.source:<9} {number.name:<18} {number.printed:>18} "
            f"{reproduction.shown(number.ours):>18}  {number.verdict}{reason} ({number.where})",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    counted = ", ".join(f"{n} {name}" for name, n in reproduction.summary(numbers).items())
    results.print(f"{len(numbers)} numbers: {counted}", markup=False, highlight=False)
