"""``labkit plan``, ``labkit sequence``: what a measurement will be, before it is made."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.output import print_json, remarks, results
from labkit.cli.simulate import DataSet
from labkit.cli.tags import Json
from labkit.cli.theory import Settings, changes_of

if TYPE_CHECKING:
    from analysis.counts_file import WitnessCounts
    from labkit.run.planning import ClickRates, WitnessPlan

USUAL = (0.9, 0.95, 0.99)
"""Confidences that are planned unless one is asked for."""


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    app.command()(plan)
    app.command()(sequence)


def plan(
    measured: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN|COUNTS]", help="Go by what was measured so far."),
    ] = None,
    confidence: Annotated[
        list[float] | None,
        typer.Option(help="Always-valid confidence wanted, e.g. 0.99; repeatable."),
    ] = None,
    bound: Annotated[float, typer.Option(help="Bound on R.")] = 1.0,
    overhead: Annotated[
        float, typer.Option(min=0, help="Time for locking and filters, as a part of measuring.")
    ] = 0.15,
    data: Annotated[DataSet, typer.Option(help="Set of the paper to go by.")] = DataSet.optimal,
    settings: Settings = None,
    set_name: Annotated[
        str | None, typer.Option("--counts-set", help="Which set, if a counts file holds several.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell how long the witness takes to be decided.

    By what a run has measured so far, or by the model of the paper. The numbers are for the
    expected counts and the always-valid claim, which may be looked at after every block.
    """
    from labkit.run.planning import ClickRates, plan_witness

    counts = None if measured is None else _counts(measured, set_name)
    if counts is not None and settings:
        message = "--set changes the model, but a run was given to go by; leave one of them out"
        raise ValueError(message)
    rates = _model(data, settings) if counts is None else ClickRates.of_counts(counts)
    with remarks.status("planning"):
        plans = [
            plan_witness(rates, confidence=wanted, bound=bound, overhead=overhead)
            for wanted in confidence or USUAL
        ]
    done = 0 if counts is None else counts.trials
    if json:
        print_json({"measured_trials": done, "plans": [each.to_dict() for each in plans]})
        return
    _show(plans, done)


def _show(plans: "list[WitnessPlan]", done: int) -> None:
    from rich.table import Table

    table = Table(title=f"expected R = {plans[-1].R:.3f}", title_justify="left")
    for head in (f"R < {plans[0].bound:g}, any time", "trials", "hours", "hours to go"):
        table.add_column(head, justify="right")
    for each in plans:
        left = max(0.0, each.seconds * (1 - done / each.trials))
        table.add_row(
            f"{100 * each.confidence:g} %", f"{each.trials:.3g}", f"{each.seconds / 3600:.1f}",
            f"{left / 3600:.1f}",
        )  # fmt: skip
    results.print(table)
    if done:
        results.print(f"measured so far: {done:,} trials", highlight=False)


def _model(data: DataSet, settings: list[str] | None) -> "ClickRates":
    from dataclasses import fields, replace

    from labkit.run.planning import ClickRates
    from simulation.theory.dlcz import riedinger2018

    parameters, changes = riedinger2018(data.value), changes_of(settings)
    known = [field.name for field in fields(parameters)]
    if unknown := [name for name in changes if name not in known]:
        message = f"--set must name one of {', '.join(known)}, but names {', '.join(unknown)}"
        raise ValueError(message)
    return ClickRates.of_model(replace(parameters, **changes))


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
        results.print(text, markup=False, highlight=False, soft_wrap=True)
