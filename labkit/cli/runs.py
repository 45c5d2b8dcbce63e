"""``labkit run`` and ``labkit runs``: experiments at a station, and the folders they leave."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli.help import App
from labkit.cli.lab import station_named
from labkit.cli.output import UNSAFE, print_json, print_lines, remarks, results, say_error
from labkit.cli.scale import Scheduler, Workers
from labkit.cli.tags import Assume, Bound, Json

if TYPE_CHECKING:
    from labkit.cli.run_display import RunDisplay
    from labkit.experiment import Experiment, Finished
    from labkit.reanalysis import ReanalysisRow
    from labkit.run import RunFolder

Out = Annotated[Path, typer.Option(metavar="FOLDER", help="Where run folders are made.")]
runs_app = App(help="List, show and compare runs.")


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    app.command()(run)
    app.command()(replay)
    app.add_typer(runs_app, name="runs")


def run(
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT", help="Experiment file, or a name such as autopilot or witness."
        ),
    ],
    station: Annotated[
        str, typer.Option(help="Station file, virtual, or twin:FILE of a posterior.")
    ] = "virtual",
    out: Out = Path("runs"),
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Run folder to go on with.")
    ] = None,
    force: Annotated[
        list[str] | None, typer.Option(help="Interlock to override, by name; repeatable.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of a virtual lab's chance: another night.")
    ] = None,
    json: Json = False,
) -> None:
    """Carry out an experiment at a station.

    Whatever ends it, the lab is made safe and the data are on the disk. Exit code 3: an instrument
    is not safe.
    """
    from labkit.cli.run_display import RunDisplay
    from labkit.experiment import read_experiment, run_experiment
    from labkit.station.config import with_seed
    from labkit.station.ending import Terminated, stopping_once

    plan = read_experiment(experiment)
    display = RunDisplay()
    again = ["labkit", "run", experiment, "--station", station, "--out", str(out)]
    if seed is not None:
        again += ["--seed", str(seed)]
    with (
        stopping_once(),
        _saying_unsafe(display),
        _saying_how_to_resume(display, again),
        _ending_in_order(KeyboardInterrupt, Terminated),
    ):
        with display:
            finished = run_experiment(
                plan,
                station_named(station) if seed is None else with_seed(station_named(station), seed),
                out,
                resume=resume,
                forced=tuple(force or ()),
                watcher=display,
            )
        if json:
            unsafe = {"unsafe": finished.unsafe} if finished.unsafe else {}
            found = {"run": str(finished.folder.path), **finished.result.to_dict(), **unsafe}
            print_json(found)
        else:
            _show(finished, plan)


def replay(
    recorded: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder to play.")],
    speed: Annotated[float, typer.Option(help="How many times faster than it was.")] = 100.0,
    out: Out = Path("runs"),
) -> None:
    """Play a recorded run into a new run folder as if live, for `labkit dashboard` to show.

    The new run is marked as a replay and is never evaluated.
    """
    from labkit.run import open_run
    from labkit.run.replay import replay_run
    from labkit.station.ending import Terminated, ending_on_sigterm

    def told(folder: "RunFolder") -> None:
        remarks.print(f"run folder: {folder.path}", soft_wrap=True, markup=False)

    try:
        with ending_on_sigterm():
            replay_run(open_run(recorded), out, speed=speed, told=told)
    except (KeyboardInterrupt, Terminated) as end:
        remarks.print("labkit: the replay was stopped")
        raise typer.Exit(130 if isinstance(end, KeyboardInterrupt) else 143) from None


def _show(finished: "Finished", plan: "Experiment") -> None:
    from analysis.published import RIEDINGER_2018
    from labkit.cli.tables import print_evaluation

    print_lines(f"run folder: {finished.folder.path}")
    evaluation = finished.result.evaluation
    if evaluation is None:
        print_lines(str(finished.result))
        return
    print_lines(f"report: {finished.folder.path / 'report.html'}")
    published = RIEDINGER_2018.get(plan.compare)
    print_evaluation(evaluation, 1.0, published, finished.result.diagnosis)


@contextmanager
def _saying_unsafe(display: "RunDisplay") -> Iterator[None]:
    """Say in red at the very end who is not safe, and exit with code 3 whatever else ended it."""
    ended: BaseException | None = None
    try:
        yield
    except (Exception, SystemExit) as error:
        if not display.unsafe:
            raise
        ended = error
    if not display.unsafe:
        return
    if ended is not None and not isinstance(ended, typer.Exit):
        say_error(ended)
    for name, reason in display.unsafe.items():
        remarks.print(
            f"NOT SAFE: {name}: {reason}", style="bold red", markup=False, highlight=False,
            soft_wrap=True,
        )  # fmt: skip
    remarks.print("switch these off by hand, now", style="bold red")
    raise typer.Exit(UNSAFE) from ended


@contextmanager
def _saying_how_to_resume(display: "RunDisplay", command: list[str]) -> Iterator[None]:
    """Say at an early end with which command the run goes on."""
    try:
        yield
    except BaseException:
        if display.folder is not None:
            line = shlex.join([*command, "--resume", str(display.folder)])
            remarks.print(f"go on with:\n{line}", markup=False, highlight=False, soft_wrap=True)
        raise


@contextmanager
def _ending_in_order(*asked: type[BaseException]) -> Iterator[None]:
    """Turn an end that was asked for into an exit code, as shells know it."""
    try:
        yield
    except asked as end:
        remarks.print("labkit: stopped; finished blocks are safe")
        raise typer.Exit(130 if isinstance(end, KeyboardInterrupt) else 143) from None


@runs_app.command("list")
def list_(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Folder of runs, as --out.")
    ] = None,
    out: Out = Path("runs"),
    json: Json = False,
) -> None:
    """List the runs of a folder, oldest first."""
    from labkit.run.summary import run_paths

    if folder is not None and out not in (Path("runs"), folder):
        message = f"runs are listed of one folder, but FOLDER is {folder} and --out {out}; name one"
        raise ValueError(message)
    if folder is not None and not folder.is_dir():
        message = f"{folder}: there is no such folder; name one that run folders are in"
        raise FileNotFoundError(message)
    rows = [_summary_or_problem(path) for path in run_paths(folder or out)]
    if json:
        print_json({"runs": rows})
        return
    from labkit.cli.long_table import print_table

    heads = [name.replace("left_out", "left out") for name in COLUMNS]
    print_table(results, heads, [[_cell(name, row.get(name)) for name in COLUMNS] for row in rows])


@runs_app.command()
def times(
    experiment: Annotated[
        list[str] | None,
        typer.Argument(metavar="[EXPERIMENT…]", help="Experiment files or names; all of labkit's."),
    ] = None,
    station: Annotated[str, typer.Option(help="Only runs of this station file.")] = "virtual",
    out: Out = Path("runs"),
    json: Json = False,
) -> None:
    """Tell how long experiments take here, by the station's earlier runs.

    By runs with the same sequence and options; else by runs of the same kind; else by the trials
    and the paper's overhead.
    """
    from dataclasses import asdict

    from labkit.experiment import EXPERIMENTS, read_experiment
    from labkit.run import list_runs
    from labkit.run.durations import expected_duration, past_runs
    from labkit.station.config import read_station_file

    names = experiment or sorted(path.stem for path in EXPERIMENTS.glob("*.yaml"))
    past = past_runs(list_runs(out), read_station_file(station).text)
    rows = {}
    for name in names:
        plan = read_experiment(name)
        plain = _as_in_manifest(plan.to_dict())
        rows[name] = expected_duration(past, plan.kind, plain, _measuring(plan))
    if json:
        print_json({name: asdict(row) for name, row in rows.items()})
        return
    for name, row in rows.items():
        print_lines(f"{name:<14} {row}")


def _as_in_manifest(plain: dict[str, Any]) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(json.dumps(plain, default=str))
    return found


def _measuring(plan: "Experiment") -> float | None:
    """Return the seconds of trials that an experiment's options ask for, where they say so."""
    options = plan.checked
    goal = getattr(options, "goal", None)
    if goal is not None:
        return None if goal.trials is None else goal.trials * plan.sequence.period
    trials, points = getattr(options, "trials", None), getattr(options, "points", 1)
    if not (isinstance(points, int) and isinstance(trials, int)):
        return None
    return trials * points * plan.sequence.period


COLUMNS = ("run", "status", "duration", "blocks", "left_out", "trials", "goal", "R_m", "verdict")
"""Of the list of runs; a run's name tells its start and kind."""


def _cell(name: str, value: object) -> str:
    """Return a value as the table shows it: large numbers and intervals in short."""
    if value is None:
        return ""
    if name == "trials" and isinstance(value, int):
        return f"{value:.4g}"
    return str(value).split(" [")[0] if name == "R_m" else str(value)


def _summary_or_problem(path: Path) -> dict[str, object]:
    """Return a run's row; one that cannot be read must not hide the others."""
    from labkit.run.summary import kept_summary

    kept = kept_summary(path)
    if kept is not None and "verdict" in kept:
        return kept | {"run": path.name}
    from labkit.monitoring.outcome import listed
    from labkit.run import RunFolder

    try:
        row, problem = listed(RunFolder(path=path))
    except ValueError as error:
        remarks.print(f"{error}", markup=False, highlight=False, soft_wrap=True)
        unknown = dict.fromkeys(("kind", "started", *COLUMNS[1:]))
        return {"run": path.name} | unknown | {"status": "unreadable", "reason": str(error)}
    if problem:
        remarks.print(problem, markup=False, highlight=False, soft_wrap=True)
    return row


@runs_app.command()
def show(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")], json: Json = False
) -> None:
    """Show one run: how it ended, its blocks, what was left out, what drifted, what is damaged."""
    from labkit.monitoring.outcome import outcome_of
    from labkit.run import open_run
    from labkit.run.events import settings_made, unset_drift
    from labkit.run.integrity import sizes_misfit
    from labkit.run.left_out import left_out_of

    folder = open_run(run)
    manifest, blocks = folder.manifest(), folder.journal.read()
    left_out, misfits = left_out_of(blocks), sizes_misfit(folder, blocks)
    if json:
        reasons = {block.number: block.reason for block in blocks if not block.good}
        print_json(
            folder.summary()
            | {"left_out": reasons, "post_selection": left_out.to_dict(), "drift": manifest.drift}
            | {"unsafe": manifest.unsafe}
            | {"damaged": {misfit.file: misfit.what for misfit in misfits}}
        )
        return
    print_lines(str(manifest))
    print_lines(str(outcome_of(folder)))
    print_lines(str(left_out))
    for misfit in misfits:
        remarks.print(f"damaged: {misfit}", style="red", markup=False, soft_wrap=True)
    made = settings_made(folder.path)
    drift = unset_drift(manifest.drift, made)
    if drift:
        many = "1 reading differs" if len(drift) == 1 else f"{len(drift)} readings differ"
        print_lines(f"drifted    {many} between beginning and end, unset by the run")
    for name, ends in drift.items():
        before, after = (f"{end:.4g}" if isinstance(end, float) else end for end in ends)
        print_lines(f"  {name}: {before} -> {after}")
    print_lines(f"set        {len(made)} parameters; their last values: labkit runs compare RUN")


@runs_app.command()
def verify(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run folder, or a file of `runs export`.")
    ],
    json: Json = False,
) -> None:
    """Compare every file of a run with what it was when it was written; exit code 1 if one is not.

    Nothing is counted again; see `labkit runs check`.
    """
    from labkit.cli.output import progress_bar
    from labkit.run.crate import verify_crate
    from labkit.run.sealing import verify_run

    with progress_bar("hashing", "files") as progress:
        misfits = verify_crate(run) if run.is_file() else verify_run(run, progress)
    if json:
        print_json({"misfits": {misfit.file: misfit.what for misfit in misfits}})
    else:
        for misfit in misfits:
            print_lines(str(misfit))
        print_lines(f"{len(misfits)} files are not what they were" if misfits else "all files fit")
    if misfits:
        raise typer.Exit(1)


@runs_app.command()
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="FILE", help="Page (.html) or .pdf; by default in the folder."
        ),
    ] = None,
) -> None:
    """Write the report of a run: what, when, who, verdict, figures, drift, provenance."""
    from labkit.report.run_report import write_run_report
    from labkit.run import open_run
    from labkit.run.sealing import sealed_anew

    folder = open_run(run)
    with sealed_anew(folder):
        path = write_run_report(folder, output)
    print_lines(f"report: {path}")


@runs_app.command()
def repair(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
) -> None:
    """Do what could not be done at a run's end, and mend a damaged journal from the segments."""
    from labkit.run.repairing import repair_run

    for line in repair_run(run):
        print_lines(line)


@runs_app.command()
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="By default the run's name + .eln beside the run."),
    ] = None,
) -> None:
    """Pack a run into one file (RO-Crate, .eln) that electronic lab notebooks read."""
    from labkit.run.crate import export_run

    print_lines(str(export_run(run, output)))


@runs_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of `runs export`.")],
    out: Out = Path("runs"),
) -> None:
    """Unpack an exported run; refused unless every file in it is what it was."""
    from labkit.run.crate import import_run

    print_lines(str(import_run(file, out)))


@runs_app.command()
def check(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")], json: Json = False
) -> None:
    """Recount every tag segment and compare with the journal; exit code 1 if they differ."""
    from labkit.cli.output import progress_bar
    from labkit.run import check_run, open_run

    with progress_bar("recounting", "blocks") as progress:
        found = check_run(open_run(run), progress)
    if json:
        print_json(found.to_dict())
    else:
        print_lines(str(found))
    if found.differences:
        raise typer.Exit(1)


@runs_app.command("analyse")
def analyse_many(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN…", help="Run folders, or patterns of them (runs/2026*)."),
    ],
    gates: Annotated[
        Path | None,
        typer.Option(help="Gates file (YAML) for all of them; by default each run's own."),
    ] = None,
    bound: Bound = 1.0,
    assume: Assume = None,
    scheduler: Scheduler = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Count the segments of many runs again and judge each anew, beside what it said then.

    A run is one piece of shared work; `labkit analyse RUN` shares out the blocks of one. Nothing in
    the folders is changed. Exit code 1 if one cannot be analysed.
    """
    from functools import partial

    from analysis.evidence import assumed_conditions
    from analysis.gates import GateSet
    from labkit.cli.output import progress_bar
    from labkit.cli.scale import local_files, mapping, shared
    from labkit.reanalysis import row_of

    folders = [path.absolute() for path in local_files(runs)]
    declared, fixed = assumed_conditions(assume or [])
    gate_set = None if gates is None else GateSet.from_yaml(gates)
    one = partial(row_of, gates=gate_set, declared=declared, fixed=fixed, bound=bound)
    rows = []
    with shared(scheduler, workers) as client, progress_bar("analysing", "runs") as progress:
        for row in mapping(client)(one, folders):
            rows.append(row)
            progress(len(rows), len(folders))
    if json:
        print_json({"runs": [row.to_dict() for row in rows]})
    else:
        _show_rows(rows)
    if any(row.plain is None for row in rows):
        raise typer.Exit(1)


def _show_rows(rows: "list[ReanalysisRow]") -> None:
    from labkit.cli.long_table import print_table

    heads = ("run", "trials", "R_m", "verdict", "R_m then", "verdict then")
    cells = []
    for row in rows:
        name = Path(row.run).name
        if row.problem:
            remarks.print(f"{name}: {row.problem}", markup=False, highlight=False, soft_wrap=True)
        found = (row.witness, row.decision, row.witness_then, row.decision_then)
        trials = "" if row.plain is None else f"{row.trials:.4g}"
        cells.append(
            [name, trials, *(found if row.plain is not None else ("", "unreadable", "", ""))]
        )
    print_table(results, heads, cells)


@runs_app.command()
def stop(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")],
    patience: Annotated[float, typer.Option(help="Longest wait for its end, s.")] = 120.0,
) -> None:
    """End a run that measures in another terminal; the lab is made safe, its blocks count.

    Exit code 3: an instrument is not safe.
    """
    from labkit.run import open_run
    from labkit.run.stopping import stop_run

    folder = open_run(run)
    stop_run(folder, patience)
    manifest = folder.manifest()
    print_lines(str(manifest))
    if manifest.unsafe:
        raise typer.Exit(UNSAFE)


@runs_app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Run folders.")],
    twin: Annotated[
        Path | None,
        typer.Option(help="Compare with what `labkit infer` found (.nc): where the lab has moved."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare runs end against end: what they found, and the settings that they made.

    With --twin compare the counts of each run with a posterior's expectation, in σ.
    """
    from labkit.cli.tables import print_table
    from labkit.monitoring.comparison import compare_runs, comparison_tables
    from labkit.run import open_run

    if twin is not None:
        _compare_with(twin, runs, json=json)
        return
    found = compare_runs([open_run(path) for path in runs])
    if json:
        print_json(found.to_dict())
        return
    for table in comparison_tables(found):
        print_table(table)


def _compare_with(twin: Path, runs: list[Path], *, json: bool) -> None:
    from labkit.cli.tables import print_table
    from labkit.moved import compare_with
    from labkit.run import open_run
    from simulation.inference.posterior import load_posterior

    posterior = load_posterior(twin)
    with remarks.status("comparing") as status:
        found = [compare_with(open_run(path), posterior, status.update) for path in runs]
    if json:
        print_json({"twin": str(twin), "runs": [one.to_dict() for one in found]})
        return
    for one in found:
        print_table(one.table())
        for text in one.lab.sentences():
            print_lines(text)
