"""``labkit simulate``: tag files of a modelled experiment, with their gates files."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labkit.cli.output import progress_bar, remarks

if TYPE_CHECKING:
    from simulation.recordings.ptu import SimulatedRecording


class RecordMode(StrEnum):
    """Tag modes a recording can be simulated in."""

    T2 = "T2"
    T3 = "T3"


class DataSet(StrEnum):
    """Parameter sets of the seed experiment."""

    optimal = "optimal"
    extended = "extended"


def register(app: typer.Typer) -> None:
    """Add this room's command to the app."""
    app.command()(simulate)


def whole_number(text: str) -> int:
    """Read a count that may be written as 1e9.

    Raises
    ------
    typer.BadParameter
        If it is no whole number above 0.
    """
    try:
        number = float(text)
    except ValueError:
        message = f"must be a whole number such as 1000000 or 1e6, but is {text!r}"
        raise typer.BadParameter(message) from None
    if not (number.is_integer() and number >= 1):
        message = f"must be a whole number of at least 1, but is {text}"
        raise typer.BadParameter(message)
    return int(number)


Trials = Annotated[
    int, typer.Option(parser=whole_number, metavar="N", help="Number of trials, e.g. 1e9.")
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same tags.")]


Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a parameter; may be repeated."),
]


def simulate(
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT",
            help="riedinger2018, bell2018, memory2020, single_phonons2017, teleportation2021.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The .ptu file; x_b1r1.ptu … for several settings."),
    ],
    trials: Trials = 1_000_000_000,
    mode: Annotated[
        RecordMode, typer.Option(help="T3: clicks only. T2: a sync record per trial too.")
    ] = RecordMode.T3,
    data: Annotated[
        DataSet, typer.Option(help="Which set of the paper, of riedinger2018.")
    ] = DataSet.optimal,
    settings: Settings = None,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Simulate recordings, each with its gates file."""
    if experiment == "riedinger2018":
        recordings = [_published(output, trials, mode, data, settings, seed, overwrite)]
    else:
        recordings = _protocol(experiment, output, trials, mode, settings, seed, overwrite)
    for recording in recordings:
        remarks.print(str(recording), soft_wrap=True, markup=False)


def _published(
    output: Path,
    trials: int,
    mode: RecordMode,
    data: DataSet,
    settings: list[str] | None,
    seed: int,
    overwrite: bool,
) -> "SimulatedRecording":
    from labkit.cli.theory import changes_of
    from simulation.recordings.ptu import simulate_ptu
    from simulation.theory.dlcz import riedinger2018

    published = riedinger2018(data.value)
    changes = changes_of(settings)
    for name in changes:
        published.known(name)
    with progress_bar("simulating", "trials") as progress:
        return simulate_ptu(
            output,
            replace(published, **changes),
            trials,
            mode=mode.value,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )


def _protocol(
    experiment: str,
    output: Path,
    trials: int,
    mode: RecordMode,
    settings: list[str] | None,
    seed: int,
    overwrite: bool,
) -> "list[SimulatedRecording]":
    from labkit.cli.theory import changes_of
    from simulation.recordings.protocols import PROTOCOLS, simulate_protocol
    from simulation.theory.models import get

    if experiment not in PROTOCOLS:
        message = f"no experiment {experiment!r}; there is riedinger2018, {', '.join(PROTOCOLS)}"
        raise ValueError(message)
    changes = changes_of(settings, get(experiment).parameters.words())
    with progress_bar("simulating", "trials") as progress:
        made = simulate_protocol(
            experiment,
            output,
            trials,
            mode=mode.value,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
            **changes,
        )
    return list(made.values())
