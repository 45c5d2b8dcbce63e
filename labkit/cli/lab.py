"""``labkit lab``: check a station, or serve the virtual lab to other programs."""

from collections.abc import Collection, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from labkit.cli.help import App
from labkit.cli.new import write_new
from labkit.cli.output import (
    UNSAFE,
    print_json,
    print_lines,
    remarks,
    results,
    table_of,
    without_logs,
)
from labkit.cli.tags import Json
from labkit.cli.verify import verify

if TYPE_CHECKING:
    from labkit.station.config import StationFile
    from labkit.station.lab import Lab

lab_app = App(help="Check a station, or serve the virtual lab.")
Station = Annotated[
    str,
    typer.Argument(metavar="STATION", help="Station file, virtual, or twin:FILE of a posterior."),
]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    app.add_typer(lab_app, name="lab")


@lab_app.command()
def check(
    station: Station = "virtual",
    show_limits: Annotated[
        bool, typer.Option("--limits", help="Also print the limits that the drivers keep.")
    ] = False,
    json: Json = False,
) -> None:
    """Connect everything, print identities and problems, leave all in the safe state."""
    from labkit.station.config import read_station_file
    from labkit.station.lab import Lab
    from labkit.station.opening import open_station

    file = read_station_file(station_named(station))
    failures: dict[str, str] = {}
    with without_logs(), open_station(file, failures=failures) as instruments:
        lab = Lab(file, instruments)
        rows = {name: _identity(instrument) for name, instrument in instruments.items()}
        limits = {path: row for name in instruments for path, row in _limits(instruments[name])}
        waiting = {name: why for name in failures if (why := _missing(file, name, failures))}
        faults = [text for name, text in failures.items() if name not in waiting]
        problems = faults if failures else _problems(lab)
        report = lab.make_safe()
    findings: dict[str, Any] = {
        "instruments": rows,
        "limits": limits,
        "problems": problems,
        "waiting": waiting,
        "safe": report.all_safe,
        "not_safe": report.failed,
    }
    try:
        if json:
            print_json(findings)
        else:
            addresses = {name: entry.get("address", "") for name, entry in file.instruments.items()}
            _show_instruments(addresses, findings)
            if show_limits:
                _show_limits(limits)
            told = _by_reason({n: failures[n] for n in failures if n not in waiting})
            _show_problems(findings | {"problems": told or problems})
    finally:  # also if nobody reads stdout any more
        if not report.all_safe:
            raise typer.Exit(UNSAFE)
    if problems:
        raise typer.Exit(1)


def _identity(instrument: Any) -> dict[str, str]:
    try:
        idn = instrument.get_idn()
    except Exception as error:  # noqa: BLE001, RUF100  # told as a problem of this instrument
        return {"problem": f"{type(error).__name__}: {error}"}
    return {key: str(value) for key, value in idn.items() if value}


def _limits(instrument: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the ranges that the driver lets through, by dotted path; nothing is asked."""
    from qcodes.validators import Ints, Numbers

    for name, parameter in instrument.parameters.items():
        allowed = parameter.vals
        if parameter.settable and isinstance(allowed, Numbers | Ints):
            row = {"lowest": allowed.min_value, "highest": allowed.max_value}
            if all(isfinite(bound) for bound in row.values()):
                yield f"{instrument.full_name}.{name}", {**row, "unit": parameter.unit}
    for part in instrument.submodules.values():
        if hasattr(part, "parameters"):
            for path, row in _limits(part):
                yield path.replace(part.full_name, f"{instrument.full_name}.{part.short_name}"), row


def _problems(lab: "Lab") -> list[str]:
    """Return what nobody can play, what cannot be set, and interlocks that do not hold."""
    from labkit.station.roles import ROLES
    from labkit.station.working_point import working_point_problems

    found = []
    for role, entry in ROLES.items():
        if not entry.required and role not in lab.file.config.roles:
            continue
        try:
            getattr(lab, role)
        except RuntimeError as error:
            found.append(str(error))
    if not found:
        found += working_point_problems(lab)
    try:
        lab.check_interlocks()
    except (RuntimeError, KeyError) as error:
        found.append(str(error.args[0]))
    return found


def _missing(file: "StationFile", name: str, failures: Collection[str]) -> str:
    """Return the instrument that could not be opened and that this one works through, or ""."""
    from labkit.station.references import PARAMETER

    init = file.instruments[name].get("init")
    values = init.values() if isinstance(init, Mapping) else ()
    sources = [str(value).removeprefix(PARAMETER).partition(".")[0] for value in values]
    return next((source for source in sources if source in failures), "")


def _by_reason(failures: Mapping[str, str]) -> list[str]:
    """Return each reason once, in one line, after the instruments that cannot be opened for it."""
    names: dict[str, list[str]] = {}
    for name, text in failures.items():
        reason = text.partition("cannot be opened: ")[2] or text
        names.setdefault("; ".join(reason.splitlines()), []).append(name)
    return [f"{', '.join(those)}: {reason}" for reason, those in names.items()]


def _show_instruments(addresses: dict[str, Any], findings: dict[str, Any]) -> None:
    table = table_of("instrument", "address", "found")
    for name, address in addresses.items():
        identity = findings["instruments"].get(name)
        if identity is not None:
            found = " ".join(identity.values())
        elif name in findings["waiting"]:
            found = f"waits for {findings['waiting'][name]}"
        else:
            found = "cannot be opened"
        table.add_row(name, escape(str(address)), escape(found))
    results.print(table)


def _show_limits(limits: dict[str, Any]) -> None:
    table = table_of("limited by the driver", "lowest", "highest", "unit", whole=3)
    for path, row in limits.items():
        table.add_row(path, f"{row['lowest']:.7g}", f"{row['highest']:.7g}", row["unit"])
    results.print(table)


def _show_problems(findings: dict[str, Any]) -> None:
    for problem in findings["problems"]:
        print_lines(f"problem: {problem}")
    for name, reason in findings["not_safe"].items():
        results.print(f"NOT SAFE: {name}: {reason}", style="bold red", markup=False, soft_wrap=True)
    if not findings["problems"] and findings["safe"]:
        results.print("no problems; every instrument is in its safe state")


@lab_app.command()
def start(
    station: Station = "virtual",
    addresses: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Also write the addresses to this file (JSON)."),
    ] = None,
    twin: Annotated[
        Path | None, typer.Option(help="Serve the lab that `labkit infer` found (.nc).")
    ] = None,
    draw: Annotated[
        int | None, typer.Option(min=0, help="Which draw of it; by default the best fit.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write the station file here instead, to be run with.")
    ] = None,
) -> None:
    """Serve the virtual lab of a station file until Ctrl-C; other programs may connect.

    With --twin the world of a posterior, at the pulses it holds for; `labkit run … --station
    twin:FILE` runs an experiment in it.
    """
    import json as json_module
    from time import sleep

    from labkit.run.lines import write_whole
    from labkit.station.config import read_station_file
    from labkit.station.ending import Terminated, ending_on_sigterm
    from labkit.station.opening import start_world

    file = read_station_file(station_named(station)) if twin is None else _twin(twin, draw, station)
    if write is not None:
        write_new({write: file.text})
        return
    if file.config.world is None:
        message = f"{file.path}: is a station of real instruments; there is nothing to serve"
        raise ValueError(message)
    with ending_on_sigterm(), start_world(file) as world:
        served = {name: value for name, value in world.items() if isinstance(value, str)}
        if addresses is not None:
            write_whole(addresses, json_module.dumps(served, indent=1) + "\n")
        for name, address in served.items():
            results.print(f"{name:<16} {address}", markup=False, highlight=False)
        try:
            # not by rich: a signal in the middle of its printing makes it print the line again
            typer.echo("serving until Ctrl-C", err=True)
            while True:
                sleep(1.0)  # an endless wait could not be interrupted on Windows
        except (KeyboardInterrupt, Terminated):
            typer.echo("stopped", err=True)


@lab_app.command()
def exam(
    seed: Annotated[
        int | None, typer.Option(help="Which exam; by default one that nobody knows.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Station file to write.")] = Path(
        "exam.yaml"
    ),
    answer: Annotated[
        Path | None, typer.Option(metavar="EXAM.yaml", help="Tell the fault of this exam.")
    ] = None,
    json: Json = False,
) -> None:
    """Make a virtual lab with one hidden fault, to be found with the ordinary procedures.

    The solution stays sealed in the station file until it is asked for with --answer.
    """
    from labkit.exam import exam_station, fault_of
    from simulation.lab.exam import said

    if answer is not None:
        fault = fault_of(answer)
        if json:
            print_json({"fault": fault, "said": said(fault)})
        else:
            print_lines(said(fault))
        return
    write_new({output: exam_station(seed)})
    remarks.print(
        f"one thing is wrong in this lab: try `labkit run autopilot --station {output}`, then "
        f"`labkit lab exam --answer {output}`",
        markup=False, soft_wrap=True,
    )  # fmt: skip


def _twin(posterior: Path, draw: int | None, station: str) -> "StationFile":
    from labkit.twin import reference_sequence, twin_station, what_differs
    from simulation.inference.posterior import load_posterior

    found = load_posterior(posterior)
    file = twin_station(found, draw=draw, origin=str(posterior), station=station)
    values = found.best if draw is None else found.draw(draw)
    for text in what_differs(file, values, reference_sequence(found), found.arms):
        remarks.print(text, markup=False, highlight=False, soft_wrap=True)
    return file


def station_named(name: str) -> "str | StationFile":
    """Return a station as commands name it; `twin:FILE` is built from a posterior."""
    if not name.startswith("twin:"):
        return name
    from labkit import twin

    return twin.station_named(name)


lab_app.command()(verify)
