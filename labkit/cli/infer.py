"""``labkit infer``: from all runs of a campaign to the posterior of the DLCZ parameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli.output import print_json, remarks, results
from labkit.cli.planning import WhatIf, knobs_of
from labkit.cli.simulate import DataSet
from labkit.cli.tags import Json

if TYPE_CHECKING:
    from simulation.inference.posterior import Posterior
    from simulation.theory.dlcz.sources import NoisyModel


def register(app: typer.Typer) -> None:
    """Add this room's command to the app."""
    app.command()(infer)


def infer(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN…", help="Run folders of a campaign.")
    ] = None,
    counts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE[@RAD]",
            help="Counts file at the preset's setting, or at another Δφ; repeatable.",
        ),
    ] = None,
    g2: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DEVICE=MODE,EVENTS",
            help="Blocked-arm g² known only as its most probable value and events: A=7.1,47.",
        ),
    ] = None,
    preset: Annotated[
        DataSet, typer.Option(help="Set of the paper around which the priors lie.")
    ] = DataSet.optimal,
    fix: Annotated[
        list[str] | None, typer.Option(metavar="NAME=V", help="Hold a parameter; repeatable.")
    ] = None,
    prior: Annotated[
        Path | None,
        typer.Option(help="YAML of other priors: by name, median and sd of its transform."),
    ] = None,
    drift: Annotated[
        float | None,
        typer.Option(
            help="Slow drifts to allow for, relative standard deviation; by default inferred."
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Proposals of the importance sampling.")] = 18_000,
    seed: Annotated[int, typer.Option(help="Of the random draws.")] = 0,
    bound: Annotated[
        float, typer.Option(help="Bound on R_m for the trials of --json's budget and optimum.")
    ] = 1.0,
    what_if: WhatIf = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the posterior as netCDF (ArviZ reads it)."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw a corner plot into this file.")] = None,
    json: Json = False,
) -> None:
    """Infer the model's parameters from all data of a campaign.

    Witness blocks, phase and delay sweeps, blocked-arm g², pump-probe, thermometry, splitting,
    background and laser-only blocks count together. What the data do not determine is said in
    words. R_m from it is the model's, never a witness: that is `labkit witness`. With --json come
    noise budget, prediction and best settings too, at other settings by --what-if.
    """
    from labkit.campaign import read_campaign
    from simulation.inference.infer import infer as infer_
    from simulation.inference.operation import Operation
    from simulation.inference.outlook import PREDICTED, outlook
    from simulation.theory.dlcz import riedinger2018

    events = _events(g2 or [])
    if not runs and not counts:
        message = "name at least one run folder, or a counts file with --counts"
        raise ValueError(message)
    centre = riedinger2018(preset.value)
    changes, fixed = _priors(prior) if prior else {}, _fixed(fix or [])
    knobs, turned = knobs_of(what_if)
    with remarks.status("reading the runs") as status:
        campaign, said = read_campaign(runs or [], centre, counts or [], events)
        found = infer_(
            campaign, centre, preset_name=f"riedinger2018({preset.value})", drift=drift,
            draws=draws, seed=seed, changes=changes, fixed=fixed, tell=status.update,
        )  # fmt: skip
    for remark in said:
        remarks.print(remark, highlight=False)
    if output is not None:
        found.save(output)
    if plot is not None:
        from simulation.inference.figure import corner_plot

        corner_plot(found).savefig(plot)
    if json:
        with remarks.status("noise budget and best settings"):
            promised = outlook(found, knobs, bound, turned)
        print_json(found.to_dict() | promised)
        return
    _show(found, Operation.of_posterior(found, PREDICTED).changed(**turned).at(knobs))


def _show(found: "Posterior", model: "NoisyModel") -> None:
    from rich.table import Table

    from simulation.inference.outlook import prediction
    from simulation.inference.table import PARAMETERS

    table = Table(title=f"{len(found.runs)} runs, preset {found.preset}", title_justify="left")
    for head, justify in (("parameter", "left"), ("posterior", "right"), ("68 %", "right"),
                          ("prior, 68 %", "right"), ("", "left")):  # fmt: skip
        table.add_column(head, justify=justify)  # type: ignore[arg-type]
    plain: Any = found.to_dict()["parameters"]
    for name, row in plain.items():
        before = f"{row['prior_low']:.3g} … {row['prior_high']:.3g}"
        if row["determined"]:
            within = f"{row['low']:.4g} … {row['high']:.4g}"
            unit = PARAMETERS[name].unit
            table.add_row(name, f"{row['median']:.4g} {unit}".strip(), within, before, "")
        else:
            table.add_row(name, "–", "–", before, row["why"])
    results.print(table)
    checks = Table(title="fit", title_justify="left")
    for head in ("data set", "numbers", "deviance", "p", "worst"):
        checks.add_column(head)
    for check in found.checks:
        checks.add_row(
            f"{check.name} ({check.run})", str(check.numbers), f"{check.deviance:.1f}",
            f"{check.p_value:.2g}", check.worst,
        )  # fmt: skip
    results.print(checks)
    results.print(
        f"all data: deviance {found.deviance:.1f}, p = {found.p_value:.2g}", highlight=False
    )
    for remark in (*found.remarks, *found.correlations):
        results.print(f"- {remark}", highlight=False)
    for name, interval in prediction(model).items():
        results.print(f"model: {name} = {interval.text()}", highlight=False, markup=False)
    results.print("R_m of the model is no witness", highlight=False)


def _events(texts: list[str]) -> dict[str, tuple[float, float]]:
    """Read DEVICE=MODE,EVENTS of ``--g2``."""
    found = {}
    for text in texts:
        device, _, numbers = text.partition("=")
        try:
            mode, events = (float(number) for number in numbers.split(","))
        except ValueError:
            message = f"--g2 must be DEVICE=MODE,EVENTS, as A=7.1,47, but is {text!r}"
            raise ValueError(message) from None
        found[device.strip()] = (mode, events)
    return found


def _fixed(texts: list[str]) -> dict[str, float]:
    """Read NAME=V of ``--fix``."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals:
            message = f"--fix must be NAME=V with a number, but is {text!r}"
            raise ValueError(message)
    return found


def _priors(path: Path) -> dict[str, tuple[float, float]]:
    """Read a file of priors.

    Raises
    ------
    ValueError
        If an entry has no number for median and sd.
    """
    from analysis.yamlfile import read_yaml

    plain = read_yaml(path)
    if not isinstance(plain, Mapping):
        message = f"{path}: must map parameters to median and sd, but is a {type(plain).__name__}"
        raise ValueError(message)
    found = {}
    for name, entry in plain.items():
        if not (isinstance(entry, Mapping) and set(entry) == {"median", "sd"}):
            message = f"{path}: {name}: must be {{median: M, sd: S}}, but is {entry!r}"
            raise ValueError(message)
        median, sd = entry["median"], entry["sd"]
        if not all(isinstance(v, int | float) for v in (median, sd)) or not sd > 0:
            message = f"{path}: {name}: median and sd must be numbers, sd > 0, but are {entry!r}"
            raise ValueError(message)
        found[str(name)] = (float(median), float(sd))
    return found
