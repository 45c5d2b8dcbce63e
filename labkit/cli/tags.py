"""``labkit analyse``, ``witness``, ``info``, ``convert``: from tags and counts to results."""

from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.output import check_folder, print_json, progress_bar, remarks

if TYPE_CHECKING:
    from analysis.counts import Counts
    from analysis.evaluation import Evaluation
    from analysis.gates import GateSet
    from analysis.witness import Condition

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def finite(text: str) -> float:
    """Read a number that is neither nan nor infinite.

    Raises
    ------
    typer.BadParameter
        If it is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        message = f"must be a finite number, but is {text}"
        raise typer.BadParameter(message)
    return number


Bound = Annotated[
    float,
    typer.Option(parser=finite, metavar="R", help="Bound for separable states, for example 0.995."),
]


Assume = Annotated[
    list[str] | None,
    typer.Option(
        "--assume",
        metavar="NAME=VALUE",
        help="Declare a condition of the witness, for example splitting=0.503; repeatable.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    for command in (analyse, witness, info, convert):
        app.command()(command)


def analyse(
    files: Annotated[
        list[Path],
        typer.Argument(help="Tag files or run folders; several add up.", metavar="FILE…"),
    ],
    gates: Annotated[
        Path | None,
        typer.Option(help="Gates file (YAML); by default the first file's name + .gates.yaml."),
    ] = None,
    json: Json = False,
    bound: Bound = 1.0,
    assume: Assume = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write report.html with pictures to this folder.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Also save the counts as .json or .nc (netCDF).")
    ] = None,
    follow: Annotated[
        float,
        typer.Option(
            help="Watch one PTU file while it grows; stop after so many seconds without growth.",
            metavar="SECONDS",
            min=0.0,
        ),
    ] = 0.0,
    threads: Annotated[int, typer.Option(min=1, help="Threads for long files.")] = 2,
) -> None:
    """Count tag files; print g², the witness R_m and the verdict."""
    from analysis.evaluation import evaluate
    from analysis.evidence import assumed_conditions
    from analysis.gates import GateSet
    from labkit.run import gates_beside, tag_files

    if save is not None:
        _check_save(save)
    if report is not None:
        check_folder("--report", report)
    declared, fixed = assumed_conditions(assume or [])
    twice = _named_twice(files)
    for file in twice:
        remarks.print(f"caution: {file} is named more than once and counts as often", markup=False)
    gate_set = GateSet.from_yaml(gates or gates_beside(files[0]))
    named = files
    files = [tags for file in files for tags in tag_files(file)]
    counts = _follow(files, gate_set, follow) if follow else _count(files, gate_set, threads)
    evaluation = evaluate(
        counts,
        declared=declared,
        trials_fixed_in_advance=fixed,
        measured=[_counted_twice()] if twice else [],
        bound=bound,
    )
    diagnosis = _diagnosis(evaluation, named)
    if save is not None:
        _save(counts, save)
    if report is not None:
        from labkit.report import write_report

        page = write_report(evaluation, report, bound=bound, remarks=diagnosis)
        remarks.print(f"report: {page}", soft_wrap=True)
    if json:
        print_json(evaluation.to_dict(bound) | {"diagnosis": diagnosis})
        return
    from labkit.cli.tables import print_evaluation

    print_evaluation(evaluation, bound, diagnosis=diagnosis)


def _diagnosis(evaluation: "Evaluation", named: list[Path]) -> list[str]:
    """Return what is wrong; the journal of a run folder and its sequence say more than tags."""
    from labkit.report.diagnostics import diagnose, diagnose_blocks

    if len(named) != 1 or not named[0].is_dir():
        return list(diagnose(evaluation))
    from labkit.run import open_run

    folder = open_run(named[0])
    return list(diagnose_blocks(evaluation, folder.main_blocks(), folder.sequence()))


def _counted_twice() -> "Condition":
    """Return the condition that no click counts twice, not met."""
    from analysis.witness import Condition

    return Condition(
        name="data",
        value=None,
        demand="every file once",
        met=False,
        source="this run",
        problem="a file is counted twice",
    )


def _named_twice(files: list[Path]) -> list[Path]:
    places = [file.resolve() for file in files]
    return [file for i, file in enumerate(files) if places[i] in places[:i]]


def _count(files: list[Path], gates: "GateSet", threads: int) -> "Counts":
    from analysis.counting import count

    with progress_bar("counting", "records") as progress:
        return count(files, gates, threads=threads, progress=progress)


def _follow(files: list[Path], gates: "GateSet", patience: float) -> "Counts":
    from analysis.counting import follow
    from analysis.tagfile import PtuFile

    if len(files) != 1:
        message = f"--follow watches one file, but got {len(files)}"
        raise ValueError(message)
    source = PtuFile(files[0])
    counts = None
    with remarks.status("waiting for records (Ctrl-C stops and prints the result)") as status:
        try:
            for counts in follow(source.follow(idle_timeout=patience), source, gates):
                clicks = int(counts.singles.sum())
                status.update(f"{counts.trials.number:,} trials, {clicks:,} clicks in gates")
        except KeyboardInterrupt:
            if counts is None:
                raise
    if counts is None or counts.quality.records == 0:
        message = f"{files[0]}: no records came within {patience:g} s"
        raise ValueError(message)
    return counts


def _check_save(path: Path) -> None:
    """Refuse before hours of counting what could not be saved after them."""
    if path.suffix not in (".json", ".nc"):
        message = f"--save must end in .json or .nc, but is {path.name!r}"
        raise ValueError(message)
    if not path.parent.is_dir():
        message = f"--save must name a file in an existing folder, but there is no {path.parent}"
        raise ValueError(message)


def _save(counts: "Counts", path: Path) -> None:
    if path.suffix == ".nc":
        from analysis.netcdf import write_netcdf
        from labkit import __version__

        write_netcdf(counts.to_xarray(), path, title="Clicks and coincidences", version=__version__)
        return
    import json

    path.write_text(json.dumps(counts.to_dict()) + "\n", encoding="utf-8")


def witness(
    counts: Annotated[Path, typer.Argument(help="Counts file (JSON).", metavar="COUNTS.json")],
    set_name: Annotated[
        str | None, typer.Option("--set", help="Which set, if the file holds several.")
    ] = None,
    bound: Bound = 1.0,
    assume: Assume = None,
    json: Json = False,
) -> None:
    """Compute g², R_m and the verdict from a counts file."""
    from analysis.evidence import assumed_conditions, load_evidence
    from analysis.witness import judge
    from analysis.witness import witness as estimate

    declared, fixed = assumed_conditions(assume or [])
    evidence = load_evidence(counts, set_name).assuming(declared, fixed=fixed)
    loaded = evidence.theta
    try:
        found = estimate(loaded)
        verdict = judge(evidence, bound=min(bound, 1.0))
    except ValueError as error:
        message = f"{counts}: {error}"
        raise ValueError(message) from None
    if json:
        print_json(
            {
                "trials": loaded.trials,
                "coincidences": dict(loaded.coincidences),
                "g2": {name: pair.to_dict() for name, pair in found.g2.items()},
                "witness": found.to_dict(bound),
                "verdict": verdict.to_dict(),
                "bound": bound,
                "cautions": found.cautions,
            }
        )
        return
    from analysis.published import find_published
    from labkit.cli.tables import print_cautions, print_lines, print_table
    from labkit.report.tables import g2_table, witness_table

    print_table(g2_table(found.g2, "second-order coherence g²"))
    print_table(witness_table(found, bound, find_published(loaded)))
    print_cautions(found.cautions)
    print_lines(str(verdict))


def info(
    file: Annotated[Path, typer.Argument(help="Tag file.", metavar="FILE")],
    json: Json = False,
    header: Annotated[bool, typer.Option("--header", help="Also print every header tag.")] = False,
) -> None:
    """Print a tag file's header, rates, duration and warnings."""
    from analysis.tagfile import open_tags, summarise

    source = open_tags(file)
    with progress_bar("reading", "records") as progress:
        total = source.n_records
        summary = summarise(source, progress=lambda done: progress(done, total))
    tags = {str(name): _plain(value) for name, value in source.header.items()}
    if json:
        print_json({**summary.to_dict(), "header": tags})
        return
    from labkit.cli.tables import print_lines

    print_lines(str(summary))
    if header:
        print_lines("\n".join(f"  {name:<34} {value}" for name, value in tags.items()))


def _plain(value: object) -> object:
    """Return a header value that JSON can hold; nan and infinity become text."""
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str | None) else str(value)


def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Tag file of any known format.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write; suffix = format.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    round_times: Annotated[
        bool, typer.Option("--round-times", help="Round times to OUT's resolution.")
    ] = False,
    drop_unknown: Annotated[
        bool, typer.Option("--drop-unknown", help="Leave out records with a reserved code.")
    ] = False,
) -> None:
    """Convert between PTU, photon-HDF5, CSV, NPZ and Parquet."""
    from analysis.tagfile import convert as convert_tags

    with progress_bar("converting", "records") as progress:
        convert_tags(
            source,
            target,
            overwrite=overwrite,
            round_times=round_times,
            drop_unknown=drop_unknown,
            progress=progress,
        )
    remarks.print(f"wrote {target}", soft_wrap=True)
