"""``labkit info``, ``convert``, ``analyse`` and ``witness``: from tag files and counts to results."""

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli.output import print_json, progress_bar, remarks, results

Files = Annotated[list[Path], typer.Argument(help="Tag files; several add up.", metavar="FILE…")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Bound = Annotated[float, typer.Option(help="Bound for separable states, e.g. 0.995.")]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    app.command()(analyse)
    app.command()(witness)
    app.command()(info)
    app.command()(convert)


def analyse(
    files: Files,
    gates: Annotated[
        Path | None,
        typer.Option(help="Gates file (YAML); by default FILE.gates.yaml beside the first file."),
    ] = None,
    json: Json = False,
    bound: Bound = 1.0,
    report: Annotated[
        Path | None, typer.Option(help="Also write report.html with pictures to this folder.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also save the counts, to .json or .nc (netCDF).")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Watch one file that is still growing (PTU).")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads for long files.")] = 2,
) -> None:
    """Count clicks and coincidences in tag files; print g² and the witness R_m."""
    from analysis.counting import count
    from analysis.evaluation import evaluate
    from analysis.gates import GateSet

    gate_set = GateSet.from_yaml(gates or _gates_beside(files[0]))
    if follow:
        counts = _follow(files, gate_set)
    else:
        with progress_bar("counting") as progress:
            counts = count(files, gate_set, threads=threads, progress=progress)
    evaluation = evaluate(counts)
    if save is not None:
        _save(counts, save)
    if report is not None:
        from labkit.report import write_report

        remarks.print(f"report: {write_report(evaluation, report, bound=bound)}")
    if json:
        print_json(evaluation.to_dict(bound))
        return
    show(evaluation, bound)


def show(evaluation, bound: float, published=None) -> None:  # type: ignore[no-untyped-def]
    """Print an evaluation as tables."""


def witness(
    counts: Annotated[Path, typer.Argument(help="Counts file (JSON).", metavar="COUNTS.json")],
    set_name: Annotated[
        str | None, typer.Option("--set", help="Which set, if the file holds several.")
    ] = None,
    bound: Bound = 1.0,
    json: Json = False,
) -> None:
    """Compute g² and the witness R_m from counts, e.g. published ones."""


def info(
    file: Annotated[Path, typer.Argument(help="Tag file.", metavar="FILE")],
    json: Json = False,
    header: Annotated[bool, typer.Option("--header", help="Also print every header tag.")] = False,
) -> None:
    """Print a tag file's header, rates, duration and warnings."""


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    overwrite: Annotated[bool, typer.Option(help="Replace OUT if it exists.")] = False,
    round_times: Annotated[
        bool, typer.Option(help="Allow times to be rounded to OUT's resolution.")
    ] = False,
) -> None:
    """Convert between PTU, photon-HDF5, CSV, NPZ and Parquet (by OUT's suffix)."""
