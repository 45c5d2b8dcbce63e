"""``labkit plan``, ``budget``, ``match``, ``sequence``: what will be, before it is measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.output import print_json, print_lines, progress_bar, remarks
from labkit.cli.scale import Scheduler, Workers, mapping, shared
from labkit.cli.simulate import DataSet
from labkit.cli.tags import Json
from labkit.cli.theory import Settings, axis_of, changes_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from distributed import Client
    from matplotlib.axes import Axes

    from analysis.counts_file import WitnessCounts
    from simulation.inference.operation import Knobs, Operation
    from simulation.inference.scan import SettingsScan
    from simulation.theory.dlcz import DLCZParameters

USUAL = (0.9, 0.95, 0.99)
"""Confidences that are planned unless one is asked for."""

DRAWS = 60
"""Of a posterior, for which trials are planned."""

PosteriorFile = Annotated[
    Path | None, typer.Option("--posterior", help="Go by what `labkit infer` found (.nc).")
]
WhatIf = Annotated[
    list[str] | None,
    typer.Option(
        "--what-if",
        metavar="NAME=VALUE,…",
        help="Turn knobs: E_pump, E_read (1 as it is), delay, theta, period, filter_hz, loss_A, "
        "loss_B (dB), or change an inferred parameter.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    app.command()(plan)
    app.command()(budget)
    app.command()(match)
    app.command()(sequence)


def plan(
    measured: Annotated[
        Path | None,
        typer.Argument(metavar="RUN|COUNTS", help="Go by what was measured so far."),
    ] = None,
    confidence: Annotated[
        list[float] | None,
        typer.Option(help="Always-valid confidence wanted, e.g. 0.99; repeatable."),
    ] = None,
    sigma: Annotated[
        list[float] | None,
        typer.Option(help="Also plan for k sigma as the paper quotes them; repeatable."),
    ] = None,
    bound: Annotated[float, typer.Option(help="Bound on R.")] = 1.0,
    overhead: Annotated[
        float, typer.Option(min=0, help="Time for locking and filters, as a part of measuring.")
    ] = 0.15,
    data: Annotated[DataSet, typer.Option(help="Set of the paper to go by.")] = DataSet.optimal,
    settings: Settings = None,
    posterior: PosteriorFile = None,
    what_if: WhatIf = None,
    best: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Find the best settings of theta, delay, e_pump, e_read, period, filter_hz.",
        ),
    ] = None,
    goals: Annotated[
        bool, typer.Option("--goals", help="Also tell S, fidelity and concurrence there.")
    ] = False,
    fibre: Annotated[
        bool, typer.Option("--fibre", help="Also tell how far apart the devices may be.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Picture of the trade-offs (PNG, PDF, SVG).")
    ] = None,
    scan: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:START:STOP:N",
            help="Only scan this knob (SI, dB), as of --what-if; repeatable, for a grid.",
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The .nc (netCDF) of a scan to write.")
    ] = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    set_name: Annotated[
        str | None, typer.Option("--counts-set", help="Which set, if a counts file holds several.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell how long the witness takes to be decided.

    By what a run has measured so far, by the model of the paper, or by what `labkit infer` found.
    For the always-valid claim, which may be looked at after every block: the trials by expected
    counts, and by when a tenth, half and nine tenths of all measurements have it.
    """
    from labkit.cli.tables import print_table
    from labkit.planning import ask_counts, ask_model

    more = {"--best": best, "--goals": goals, "--fibre": fibre, "--plot": plot}
    modelled = {"--set": settings, "--posterior": posterior, "--what-if": what_if, **more,
                "--scan": scan}  # fmt: skip
    is_shared = scheduler is not None or workers is not None
    _check_scan(scan, output, {"--sigma": sigma, **more}, is_shared=is_shared)
    if measured is not None:
        if named := [name for name, value in modelled.items() if value]:
            message = (
                f"{named[0]} changes the model, but a run was given to go by; leave one of them out"
            )
            raise ValueError(message)
        counts = _counts(measured, set_name)
        with remarks.status("planning"):
            answer = ask_counts(counts, confidence or USUAL, sigma or (), bound, overhead)
    else:
        knobs, changes = knobs_of(what_if)
        operation = operation_of(data, settings, posterior, changes, draws=DRAWS)
        if scan and output is not None:
            with shared(scheduler, workers) as client:
                found = _scan(operation, knobs, scan, confidence, bound, output, client)
            if json:
                print_json({"file": str(output), **found.to_dict()})
            else:
                print_lines(str(found))
            return
        with remarks.status("planning"):
            answer = ask_model(
                operation, knobs, confidence or USUAL, sigma or (), bound, overhead,
                over=best.split(",") if best else None, goals=goals, fibre=fibre,
            )  # fmt: skip
        if plot is not None:
            from simulation.inference.optimum import trade_offs

            with shared(scheduler, workers) as client:
                figure = trade_offs(operation.thinned(9), knobs, mapped=mapping(client))
            figure.savefig(plot, dpi=150)
    if json:
        print_json(answer.to_dict())
        return
    for table in answer.tables():
        print_table(table)
    for text in answer.remarks:
        remarks.print(f"assumed: {text}", markup=False, highlight=False, soft_wrap=True)


def _scan(
    operation: "Operation",
    knobs: "Knobs",
    scan: list[str],
    confidence: list[float] | None,
    bound: float,
    output: Path,
    client: "Client | None",
) -> "SettingsScan":
    """Scan settings and write the file."""
    from analysis.netcdf import write_netcdf
    from labkit import __version__
    from labkit.planning import CLAIM, SEARCHED
    from simulation.inference.operation import LIMITS
    from simulation.inference.scan import scan_settings

    levels = confidence or [CLAIM]
    if len(levels) != 1:
        message = f"a scan is for one --confidence, but there are {len(levels)}"
        raise ValueError(message)
    known = {name.lower(): name for name in LIMITS}
    axes = [axis_of("--scan", text) for text in scan]
    named = {known.get(name.lower(), name): values for name, values in axes}
    if len(named) != len(axes):
        message = f"--scan must name each knob once, but is {' '.join(scan)}"
        raise ValueError(message)
    with progress_bar("scanning", "points") as progress:
        found = scan_settings(
            operation.thinned(SEARCHED), named, start=knobs, confidence=levels[0], bound=bound,
            mapped=mapping(client), progress=progress,
        )  # fmt: skip
    title = f"time to R_m < {bound:g} by {100 * levels[0]:g} % over {', '.join(named)}"
    write_netcdf(found.labelled(), output, title=title, version=__version__)
    remarks.print(f"wrote {output}: {found.labelled().sizes}", soft_wrap=True, markup=False)
    return found


def _check_scan(
    scan: list[str] | None, output: Path | None, others: "Mapping[str, object]", *, is_shared: bool
) -> None:
    """Refuse options that would do nothing beside a scan, or without one."""
    if is_shared and not (scan or others["--plot"]):
        message = "--workers and --scheduler share a --scan or --plot; the rest takes a second"
        raise ValueError(message)
    if bool(scan) != (output is not None):
        message = "a scan is --scan NAME:START:STOP:N with -o FILE.nc; name both, or none"
        raise ValueError(message)
    if output is None:
        return
    if output.suffix != ".nc" or not output.parent.is_dir():
        message = f"--output must be a .nc (netCDF) in an existing folder, but is {output}"
        raise ValueError(message)
    if named := [name for name, value in others.items() if value]:
        message = f"--scan only scans; leave {named[0]} out"
        raise ValueError(message)


def knobs_of(what_if: list[str] | None) -> "tuple[Knobs, dict[str, float]]":
    """Return the knobs and the model's parameters that ``NAME=VALUE,…`` change."""
    from dataclasses import fields

    from simulation.inference.operation import Knobs

    pairs = [pair for text in what_if or [] for pair in text.split(",")]
    values = changes_of(pairs, option="--what-if")
    if words := [name for name, value in values.items() if isinstance(value, str)]:
        message = f"--what-if {words[0]} must be a number, but is {values[words[0]]!r}"
        raise ValueError(message)
    names = {entry.name.lower(): entry.name for entry in fields(Knobs)}
    turned = {names[n.lower()]: v for n, v in values.items() if n.lower() in names}
    return Knobs(**turned), {n: v for n, v in values.items() if n.lower() not in names}


def operation_of(
    data: DataSet,
    settings: list[str] | None,
    posterior: Path | None,
    changes: "dict[str, float]",
    draws: int,
) -> "Operation":
    """Return the model that options ask for: of the paper, or draws of a posterior."""
    from simulation.inference.operation import Operation
    from simulation.inference.posterior import load_posterior

    if posterior is None:
        return Operation.of_model(_model(data, settings)).changed(**changes)
    if settings:
        message = "--set changes the paper's model; use --what-if to change a posterior's"
        raise ValueError(message)
    return Operation.of_posterior(load_posterior(posterior), draws).changed(**changes)


def _model(data: DataSet, settings: list[str] | None) -> "DLCZParameters":
    from dataclasses import fields, replace

    from simulation.theory.dlcz import riedinger2018

    parameters, changes = riedinger2018(data.value), changes_of(settings)
    known = [field.name for field in fields(parameters)]
    if unknown := [name for name in changes if name not in known]:
        message = f"--set must name one of {', '.join(known)}, but names {', '.join(unknown)}"
        raise ValueError(message)
    return replace(parameters, **changes)


def budget(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="Learn from this run; kept there and in its report."),
    ] = None,
    posterior: PosteriorFile = None,
    data: Annotated[DataSet, typer.Option(help="Set of the paper to go by.")] = DataSet.optimal,
    settings: Settings = None,
    what_if: WhatIf = None,
    confidence: Annotated[
        float, typer.Option(help="Always-valid confidence that the trials are for.")
    ] = 0.99,
    plot: Annotated[
        Path | None, typer.Option(help="Picture of the waterfall (PNG, PDF, SVG).")
    ] = None,
    json: Json = False,
) -> None:
    """Tell what each source of noise costs in g² and R_m, by the model: no witness.

    Each row: what would be if this source alone were gone. Sources do not add; the interaction
    is what their sum misses. With RUN the model is inferred from that run alone, and its report and
    page show the budget from then on; several runs together: `labkit infer`, then --posterior.
    """
    from labkit.cli.tables import print_table
    from labkit.report.tables import budget_table
    from simulation.inference.budget import noise_budget

    if run is not None:
        posterior = _learned(run, data, posterior)
    knobs, changes = knobs_of(what_if)
    operation = operation_of(data, settings, posterior, changes, draws=200)
    with remarks.status("budgeting"):
        found = noise_budget(operation, knobs=knobs, confidence=confidence)
    if plot is not None:
        _save(found.figure(), plot)
    if json:
        print_json(found.to_dict())
        return
    print_table(budget_table(found))
    for text in found.sentences():
        print_lines(text)
    for text in operation.remarks(knobs):
        remarks.print(f"assumed: {text}", markup=False, highlight=False, soft_wrap=True)


def _learned(run: Path, data: DataSet, posterior: Path | None) -> Path:
    """Learn from a run, renew its report and seal; return the posterior's path."""
    from labkit.learned import POSTERIOR, learn
    from labkit.report.run_report import write_run_report
    from labkit.run import open_run
    from labkit.run.sealing import sealed_anew
    from labkit.run.sole_use import sole_use

    if posterior is not None:
        message = "give RUN or --posterior, not both"
        raise ValueError(message)
    folder = open_run(run)
    with (
        sole_use(folder.path),
        sealed_anew(folder),
        remarks.status("reading the blocks") as status,
    ):
        learned = learn(folder, preset=data.value, tell=status.update)
        write_run_report(folder)
    remarks.print(learned.fit, highlight=False, markup=False, soft_wrap=True)
    return folder.path / POSTERIOR


def match(
    chips: Annotated[
        list[Path],
        typer.Argument(
            metavar="CHIP.csv…", help="Two or more surveys, columns device and wavelength_nm."
        ),
    ],
    tolerance: Annotated[
        float, typer.Option(help="Largest difference of optical frequency that matches, Hz.")
    ] = 100e6,
    most: Annotated[int, typer.Option(min=1, help="Sets to list.")] = 10,
    plot: Annotated[
        Path | None, typer.Option(help="Picture of resonances and sets (PNG, PDF, SVG).")
    ] = None,
    json: Json = False,
) -> None:
    """Find the devices of several chips whose optical resonances match.

    The probability that chips with this scatter have a match is drawn, and computed by the formula
    of the paper.
    """
    from labkit.chip_survey import match_chips, read_survey
    from labkit.cli.tables import print_table

    surveys = [read_survey(path) for path in chips]
    with remarks.status("matching"):
        found = match_chips(surveys, tolerance_hz=tolerance, most=most)
    if plot is not None:
        _save(found.figure(), plot)
    if json:
        print_json(found.to_dict())
        return
    print_table(found.table())


def _save(axes: "Axes", path: Path) -> None:
    figure = axes.get_figure(root=True)
    if figure is not None:
        figure.savefig(path, dpi=150)


def _counts(path: Path, set_name: str | None) -> "WitnessCounts":
    """Read the nine counts of a run folder, or of a counts file."""
    if path.is_file():
        from analysis.counts_file import load_counts_file

        return load_counts_file(path, set_name)
    from analysis.counts_file import witness_counts
    from labkit.run import open_run, total_counts

    blocks = open_run(path).main_blocks()
    total = total_counts(blocks, blocks[-1].setting) if blocks else None
    if total is None:
        message = f"{path}: the run has no good block to plan by"
        raise ValueError(message)
    return witness_counts(total)


def sequence(
    experiment: Annotated[
        str, typer.Argument(metavar="EXPERIMENT", help="Experiment file, or a name (autopilot).")
    ],
    station: Annotated[
        str, typer.Option(help="Station whose hardware the timing rules are for.")
    ] = "virtual",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Picture of the timing diagram (PNG).")
    ] = None,
    json: Json = False,
) -> None:
    """Print, draw and check a pulse sequence.

    Gates are printed too; the timing rules are those of a station's hardware. No instrument is
    touched. Exit code 1 if a rule is broken.
    """
    from labkit.compiler import compile_sequence
    from labkit.experiment import read_experiment
    from labkit.sequence.drawing import timing_diagram
    from labkit.station.config import read_station_file

    pulses = read_experiment(experiment).sequence
    if output is not None:
        timing_diagram(pulses).savefig(output, dpi=130)
    config = read_station_file(station).config
    programs = compile_sequence(pulses, config.hardware, config.calibration)
    if json:
        print_json({"sequence": pulses.to_dict(), "gates": programs.gates.to_dict()})
        return
    for text in (str(pulses), str(programs.gates), "all timing rules are respected"):
        print_lines(text)
