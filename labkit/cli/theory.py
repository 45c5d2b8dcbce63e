"""``labkit theory``: the models of the papers, at points, in sweeps and as the papers' figures."""

import os
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from labkit.cli.help import App
from labkit.cli.output import (
    check_folder,
    print_json,
    print_lines,
    progress_bar,
    remarks,
    results,
    table_of,
)
from labkit.cli.scale import Scheduler, Workers, shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from distributed import Client

    from simulation.theory.models import Model
    from simulation.theory.models.sweep import Engine
    from simulation.theory.quantities import Quantity

theory = App(help="Theory models of the papers and of later protocols.")

ModelName = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="See `labkit theory list`; or a file .py or .yaml."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a parameter; may be repeated."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


def register(app: typer.Typer) -> None:
    """Add this room's commands to the app."""
    app.add_typer(theory, name="theory")


@theory.command("list")
def list_models() -> None:
    """List the models."""
    from simulation.theory.models import MODELS, get

    for name in MODELS:
        model = get(name)
        print_lines(f"{name:<18} {model.paper}")
        results.print(
            f"{'':<18} → {', '.join(model.results)}", markup=False, highlight=False, soft_wrap=True
        )


@theory.command()
def show(model: ModelName) -> None:
    """Show a model's parameters (defaults, units, ranges, sources) and results."""
    chosen = _model(model)
    defaults = chosen.parameters.defaults()
    heads = ("name", "default", "unit", "meaning", "must", "source")
    parameters = table_of(*heads, title=f"{model}: parameters", whole=2)
    for name, (unit, allowed, meaning, source) in _folded(chosen).items():
        default = "derived" if defaults.get(name) is None else _text(defaults[name])
        parameters.add_row(name, default, unit, meaning, allowed.text, source)
    outcome = table_of("name", "unit", "meaning", "components", title="results")
    for name, (unit, meaning, components) in chosen.results.items():
        outcome.add_row(name, unit, meaning, ", ".join(components))
    results.print(chosen.paper, markup=False, highlight=False)
    results.print(parameters)
    results.print(outcome)


@theory.command()
def point(model: ModelName, settings: Settings = None, json: Json = False) -> None:
    """Compute a model's results at one point."""
    from simulation.theory.models import point as evaluate

    chosen = _model(model)
    changes = changes_of(settings, chosen.parameters.words())
    found = {
        name: _plain(name, value, chosen) for name, value in evaluate(chosen, **changes).items()
    }
    if json:
        values = {**chosen.parameters.defaults(), **changes}
        parameters = {name: _plain_number(name, value) for name, value in values.items()}
        print_json({"model": model, "parameters": parameters, "results": found})
        return
    for name, value in found.items():
        unit, meaning, _ = chosen.results[name]
        parts = value.items() if isinstance(value, dict) else [("", value)]
        for component, number in parts:
            label = f"{name} {component}".strip()
            results.print(
                f"{label:<18} {_text(number):>24} {unit:<8} {meaning}", markup=False, soft_wrap=True
            )


@theory.command()
def sweep(
    model: ModelName,
    x: Annotated[str, typer.Option(metavar="NAME:START:STOP:N", help="First axis.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .nc (netCDF) to write.")],
    y: Annotated[str | None, typer.Option(metavar="NAME:START:STOP:N", help="Second axis.")] = None,
    settings: Settings = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Compute only these results; the others cost time."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Compute a model on a line or a grid and save it with coordinates and units."""
    from analysis.netcdf import write_netcdf
    from labkit import __version__
    from simulation.theory.models.sweep import CHUNK, swept

    if output.suffix != ".nc":
        message = f"--output must end in .nc (netCDF), but is {output.name!r}"
        raise ValueError(message)
    if output.exists() and not overwrite:
        message = f"{output}: the file exists; use --overwrite to replace it"
        raise FileExistsError(message)
    if not output.parent.is_dir():
        message = f"{output}: there is no folder {output.parent}; make it first"
        raise FileNotFoundError(message)
    chosen = _model(model)
    changes = changes_of(settings, chosen.parameters.words())
    across, up = axis_of("--x", x), None if y is None else axis_of("--y", y)
    wanted = None if only is None else [name.strip() for name in only.split(",")]
    chosen.chosen(wanted)  # refuses unknown names before processes are started
    points = across[1].size * (1 if up is None else up[1].size)
    with shared(scheduler, workers) as client, progress_bar("sweeping", "points") as progress:
        chunk, engine = CHUNK, None
        if client is not None:
            from analysis.cluster import hands

            chunk = max(1, min(CHUNK, -(-points // (4 * hands(client)))))
            engine = _on_workers(client, model)
        data = swept(
            chosen, x=across, y=up, wanted=wanted, progress=progress, chunk=chunk, engine=engine,
            **changes,
        )  # fmt: skip
    title = f"{model} over " + ", ".join(axis[0] for axis in (across, up) if axis)
    write_netcdf(data.in_real_parts(), output, title=title, version=__version__)
    unstable = int((~data.variables["stable"][1]).sum()) if "stable" in data.variables else 0
    flagged = f", {unstable} without a steady state (nan, flagged)" if unstable else ""
    remarks.print(f"wrote {output}: {data.sizes}{flagged}", soft_wrap=True, markup=False)


@theory.command()
def optimise(
    model: ModelName,
    maximise: Annotated[str, typer.Option(metavar="RESULT", help="What to make large.")],
    over: Annotated[list[str], typer.Option(metavar="NAME:LOW:HIGH", help="Vary; repeatable.")],
    subject_to: Annotated[
        list[str] | None,
        typer.Option(metavar="RESULT:LOW:HIGH", help="Keep (inf: one-sided); repeatable."),
    ] = None,
    spread: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=SIGMA", help="Best on average over this spread; repeatable."),
    ] = None,
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Find the parameters that make a result largest."""
    from dataclasses import asdict

    from simulation.theory.optimum import optimise as search

    chosen = _model(model)
    found = search(
        chosen,
        maximise=maximise,
        over=dict(_interval("--over", text) for text in over),
        subject_to=dict(_interval("--subject-to", text) for text in subject_to or []),
        spread=changes_of(spread),
        **changes_of(settings, chosen.parameters.words()),
    )
    if json:
        print_json({"model": model, **asdict(found)})
        return
    for name, value in {**found.parameters, **found.results}.items():
        border = "at the border of its interval" if name in found.at_border else ""
        results.print(f"{name:<18} {_text(value):>24} {border}".rstrip(), markup=False)
    if spread:
        results.print(f"{'mean over spread':<18} {_text(found.value):>24}", markup=False)


@theory.command()
def equations(model: ModelName, settings: Settings = None) -> None:
    """Print Hamiltonian, drift and diffusion of a model with a steady state as LaTeX."""
    chosen = _model(model)
    shown = chosen.show(**changes_of(settings, chosen.parameters.words()))
    print_lines(str(shown))


@theory.command()
def borders(
    model: ModelName,
    along: Annotated[str, typer.Argument(metavar="NAME:LOW:HIGH", help="Parameter to follow.")],
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Find borders of stability and exceptional points along a parameter."""
    from dataclasses import asdict

    from simulation.theory.spectral_paths import exceptional_points, stability_border

    chosen = _model(model)
    name, (low, high) = _interval("the parameter", along)
    changes = changes_of(settings, chosen.parameters.words())
    border = stability_border(chosen, name, low, high, **changes)
    merging = exceptional_points(chosen, name, low, high, **changes)
    if json:
        points = [asdict(found) for found in merging]
        print_json({"stability_border": list(border), "exceptional_points": points})
        return
    unit = chosen.parameters.quantities()[name].unit
    for value in border:
        line = f"{name} = {value:.9g} {unit}".rstrip()
        results.print(f"{line:<36} border of stability", markup=False, soft_wrap=True)
    for found in merging:
        line = f"{name} = {found.value:.9g} {unit}".rstrip()
        rate = f"λ = {found.growth_rate:.6g} ± {found.frequency:.6g}i {chosen.rate_unit}".rstrip()
        shares = ", ".join(f"{mode} {part:.0%}" for mode, part in found.modes.items())
        text = f"{line:<36} exceptional point, {rate}: {shares}"
        results.print(text, markup=False, soft_wrap=True)
    if not (border or merging):
        remarks.print(f"neither border of stability nor exceptional point in {along}", markup=False)


@theory.command()
def sensitivity(
    model: ModelName,
    result: Annotated[str, typer.Argument(help="Of which result.")],
    settings: Settings = None,
    json: Json = False,
) -> None:
    """Tell by how much a result changes per unit of each parameter."""
    from simulation.theory.optimum import sensitivity as slopes

    chosen = _model(model)
    found = slopes(chosen, result, **changes_of(settings, chosen.parameters.words()))
    if json:
        plain = {name: _plain_number(name, value) for name, value in found.items()}
        print_json({"model": model, "result": result, "sensitivity": plain})
        return
    for name, value in found.items():
        unit = chosen.parameters.quantities()[name].unit
        results.print(
            f"{name:<18} {_text(value):>24} per {unit or '1'}", markup=False, soft_wrap=True
        )


@theory.command()
def figure(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ID…",
            help="Paper (yu2020), figure (yu2020-2), panel (yu2020-2a); or one model.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="For the pictures.")] = Path(
        "figures"
    ),
    kind: Annotated[
        str, typer.Option("--format", metavar="png|pdf|svg", help="Of the pictures.")
    ] = "png",
    everything: Annotated[bool, typer.Option("--all", help="Every figure.")] = False,
    settings: Settings = None,
    points: Annotated[int, typer.Option(min=2, help="Points per axis.")] = 201,
    x: Annotated[
        str | None, typer.Option(metavar="NAME:START:STOP:N", help="Of a model: first axis.")
    ] = None,
    y: Annotated[
        str | None, typer.Option(metavar="NAME:START:STOP:N", help="Of a model: second axis.")
    ] = None,
    result: Annotated[
        str | None, typer.Option(metavar="RESULT", help="Of a model: what to draw.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Also write a Markdown page with figures and captions.")
    ] = None,
) -> None:
    """Redraw figures of the papers, or draw a result of any model (--x, --result).

    Captions of the papers' figures, on stderr and in the files, say what reproduces.
    """
    from simulation.figures import catalogue, files

    if x is not None:
        _draw_model(ids or [], result, x, y, settings, out, kind)
        return
    if y is not None or result is not None or _is_file(ids):
        message = "a model is drawn with --x NAME:START:STOP:N and --result NAME; give both"
        raise ValueError(message)

    if bool(ids) == everything:
        known = ", ".join(catalogue.FIGURES)
        message = f"name figures or give --all; there are {known}"
        raise ValueError(message)
    check_folder("--out", out)
    if page is not None and not page.parent.is_dir():
        message = f"--page must lie in an existing folder, but there is no {page.parent}; make it"
        raise FileNotFoundError(message)
    chosen = catalogue.everything() if everything else catalogue.choose(ids or [])
    changes = changes_of(settings)
    made = []
    for choice in chosen:
        made.append(choice.compute(points, changes))
        _tell(files.save_figure(made[-1], out, kind), made[-1].caption)
    if page is not None:
        folder = Path(os.path.relpath(out, page.parent)).as_posix()
        page.write_text(files.gallery(made, folder), encoding="utf-8")
        print_lines(str(page))


def _draw_model(
    ids: list[str],
    result: str | None,
    x: str,
    y: str | None,
    settings: list[str] | None,
    out: Path,
    kind: str,
) -> None:
    from simulation.figures import files
    from simulation.figures.own import figure_of

    if len(ids) != 1 or result is None:
        message = "--x draws one model's --result; name one model and a result"
        raise ValueError(message)
    check_folder("--out", out)
    chosen = _model(ids[0])
    up = None if y is None else axis_of("--y", y)
    changes = changes_of(settings, chosen.parameters.words())
    data = figure_of(chosen, result, axis_of("--x", x), up, changes)
    _tell(files.save_figure(data, out, kind), data.caption)


def _tell(path: Path, caption: str) -> None:
    print_lines(str(path))
    remarks.print(caption, markup=False, highlight=False)


def _on_workers(client: "Client", model: str) -> "Engine":
    """Return what evaluates chunks of a model, which workers look up by name or file."""
    name = str(Path(model).absolute()) if _is_file([model]) else model

    def run(
        wanted: "Sequence[str] | None", points: "Sequence[Mapping[str, Any]]"
    ) -> "Iterator[dict[str, Any]]":
        from analysis.cluster import on_workers

        return on_workers(client, partial(_evaluated, name, wanted), points)

    return run


def _evaluated(
    model: str, wanted: "Sequence[str] | None", parameters: "Mapping[str, Any]"
) -> "dict[str, Any]":
    return _model(model).evaluate(wanted, **parameters)


def _folded(model: "Model") -> "dict[str, Quantity]":
    """Return the parameters; those of many devices, ``eta_A``, ``eta_B`` … are one ``eta_A…P``."""
    quantities = model.parameters.quantities()
    devices: dict[str, list[str]] = {}
    for name in quantities:
        base, _, device = name.rpartition("_")
        if base in quantities and len(device) == 1 and device.isupper():
            devices.setdefault(base, []).append(device)
    rows: dict[str, Quantity] = {}
    for name, quantity in quantities.items():
        base, _, device = name.rpartition("_")
        own = devices.get(base, [])
        if device not in own:
            rows[name] = quantity
        elif device == own[0]:
            meaning = quantity.meaning.replace(f"of {device}", "of that device")
            rows[f"{base}_{device}…{own[-1]}"] = quantity._replace(meaning=meaning)
    return rows


def _model(name: str) -> "Model":
    """Return the model of that name, or of that file."""
    from simulation.theory.models import get

    if not _is_file([name]):
        return get(name)
    from labkit.model_file import read_model

    return read_model(name)


def _is_file(names: list[str] | None) -> bool:
    from labkit.model_file import SUFFIXES

    return any(Path(name).suffix in SUFFIXES for name in names or [])


def changes_of(
    settings: list[str] | None, words: Collection[str] = (), *, option: str = "--set"
) -> dict[str, Any]:
    """Read NAME=VALUE settings; of `words`, and where they are no numbers, values stay words."""
    changes: dict[str, Any] = {}
    for setting in settings or []:
        name, equals, text = setting.partition("=")
        if not (name.strip() and equals and text.strip()):
            message = f"{option} must be NAME=VALUE, but is {setting!r}"
            raise ValueError(message)
        name = name.strip()
        if name in changes:
            message = f"{option} {name} must be given once, but is given twice"
            raise ValueError(message)
        try:
            changes[name] = text.strip() if name in words else float(text)
        except ValueError:
            changes[name] = text.strip()
    return changes


def axis_of(option: str, text: str) -> tuple[str, Any]:
    """Read NAME:START:STOP:N."""
    import numpy as np

    try:
        name, start, stop, number = text.split(":")
        if int(number) < 1:
            raise ValueError
        return name.strip(), np.linspace(float(start), float(stop), int(number))
    except ValueError:
        message = f"{option} must be NAME:START:STOP:N with N at least 1, but is {text!r}"
        raise ValueError(message) from None


def _interval(option: str, text: str) -> tuple[str, tuple[float, float]]:
    """Read NAME:LOW:HIGH."""
    try:
        name, low, high = text.split(":")
        return name.strip(), (float(low), float(high))
    except ValueError:
        message = f"{option} must be NAME:LOW:HIGH, but is {text!r}"
        raise ValueError(message) from None


def _plain(name: str, value: Any, model: "Model") -> Any:
    """Return a result as in JSON: components by name, complex as [re, im], undefined as null."""
    components = model.results[name].components
    if components:
        return {
            part: _plain_number(f"{name} {part}", number)
            for part, number in zip(components, value, strict=True)
        }
    return _plain_number(name, value)


def _plain_number(label: str, value: Any) -> Any:
    import math

    if isinstance(value, complex):
        return [value.real, value.imag]
    if isinstance(value, float) and not math.isfinite(value):
        remarks.print(f"{label} is {value}, shown as null", markup=False, soft_wrap=True)
        return None
    return value


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[0]:.10g} {value[1]:+.10g}i"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
