"""``labkit plot``: a figure of a run, for a paper."""

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli.output import remarks


def register(app: typer.Typer) -> None:
    """Add this room's command to the app."""
    app.command()(plot)


def plot(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    figure: Annotated[
        str,
        typer.Argument(
            metavar="FIGURE", help="Such as densities or fringe; a wrong name lists all."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="By default FIGURE.pdf; or svg, png, …"
        ),
    ] = None,
    width: Annotated[
        float,
        typer.Option(min=20.0, max=400.0, metavar="MM", help="86: one column; 178: two."),
    ] = 86.0,
) -> None:
    """Draw a figure of a run in a journal's width and letters, as vectors, without a title."""
    from labkit.report.figures import RunPictures, save_figure
    from labkit.run import open_run

    path = Path(f"{figure}.pdf") if output is None else output
    save_figure(RunPictures(open_run(run)), figure, path, width)
    remarks.print(f"figure: {path}", soft_wrap=True, markup=False)
