"""``labkit lab verify``: bench checks of the instruments, for the first person with hardware."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli.output import print_json, remarks, results, table_of, without_logs
from labkit.cli.tags import Json

if TYPE_CHECKING:
    from labkit.station.verification import VerificationReport

STYLES = {"passed": "green", "failed": "bold red", "skipped": "dim"}


def verify(
    station: Annotated[
        str, typer.Argument(metavar="STATION", help="Station file, or virtual for the virtual lab.")
    ] = "virtual",
    instrument: Annotated[
        list[str] | None, typer.Option(help="Only this instrument; may be given again.")
    ] = None,
    allow_light: Annotated[
        bool, typer.Option("--allow-light", help="Also switch lasers on.")
    ] = False,
    allow_bias: Annotated[
        bool, typer.Option("--allow-bias", help="Also ramp bias currents (0.5 µA).")
    ] = False,
    by_hand: Annotated[
        bool,
        typer.Option("--by-hand", help="Also what needs your hands: a cable pulled, and so on."),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="All that must hold before has been seen to.")
    ] = False,
    json: Json = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the report as HTML, and beside it as JSON."),
    ] = None,
) -> None:
    """Check each driver against its instrument: identity, settings, errors, timing.

    All instruments are brought to their safe state first. Neither light nor bias unless allowed.
    """
    from labkit.station.config import read_station_file
    from labkit.station.opening import open_station
    from labkit.station.safety import make_safe, with_safe_state
    from labkit.station.verification import verify as verify_instruments

    if by_hand and not sys.stdin.isatty():
        message = "nobody can be asked to pull a cable; give --by-hand at a terminal"
        raise ValueError(message)
    file, names = read_station_file(station), instrument or []
    failures: dict[str, str] = {}
    allowed = [word for word, is_on in (("light", allow_light), ("bias", allow_bias)) if is_on]
    with without_logs(), open_station(file, failures=failures) as instruments:
        safety = make_safe(with_safe_state(instruments))
        if not safety.all_safe:
            raise RuntimeError(str(safety))
        if file.config.world is None and not yes:
            _ask(instruments, names)
        report = verify_instruments(
            file, instruments, names=names, allowed=allowed, problems=failures,
            prompt=_wait_for_hands if by_hand else None,
        )  # fmt: skip
    if output is not None:
        write_report(report, output)
    if json:
        print_json(report.to_plain())
    else:
        _show(report)
    if report.failed:
        raise typer.Exit(1)


def write_report(report: "VerificationReport", path: Path) -> None:
    """Write a report as HTML, and beside it as JSON."""
    import json

    from jinja2 import Environment, PackageLoader

    from labkit.run.lines import write_whole

    environment = Environment(autoescape=True, loader=PackageLoader("labkit.report", ""))
    page = environment.get_template("verification.html.jinja").render(report=report)
    write_whole(path, page)
    plain = json.dumps(report.to_plain(), ensure_ascii=False, indent=1)
    write_whole(path.with_suffix(".json"), plain + "\n")


def _wait_for_hands(what: str) -> None:
    """Say what is to be done at an instrument, and wait for Enter."""
    typer.prompt(f"{what}; then press Enter", default="", show_default=False, err=True)


def _ask(instruments: dict[str, Any], names: list[str]) -> None:
    """Ask whether all that must hold before the checks does."""
    from instruments.verification.benches import bench_of

    remarks.print("Before the checks, at each instrument:")
    for name, instrument in instruments.items():
        if not names or name in names:
            remarks.print(f"  {name}: {bench_of(instrument).before}", markup=False)
    if not sys.stdin.isatty():
        message = "nobody can be asked whether this holds; see to it, then give --yes"
        raise ValueError(message)
    typer.confirm("Does all of this hold?", abort=True, err=True)


def _show(report: "VerificationReport") -> None:
    from rich.text import Text

    table = table_of("instrument", "step", "check", "observed", "")
    for one in report.instruments:
        for finding in one.findings:
            mark = Text(finding.status, style=STYLES[finding.status])
            table.add_row(Text(one.name), finding.step, finding.check, Text(finding.observed), mark)
    results.print(table)
    for name, problem in report.problems.items():
        results.print(f"could not be opened: {name}: {problem}", markup=False, soft_wrap=True)
    unknown = [one.name for one in report.instruments if not one.known]
    if unknown:
        results.print(f"not verified on this firmware before: {', '.join(unknown)}", soft_wrap=True)
    if report.virtual:
        results.print("simulated instruments: this verifies no hardware")
    failed = f"failed: {', '.join(report.failed)}" if report.failed else "every check passed"
    results.print(failed, soft_wrap=True)
