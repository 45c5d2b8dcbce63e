"""``labkit simulate``: a tag file of a modelled experiment, with its gates file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from labkit.cli.output import progress_bar, remarks


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


def simulate(
    experiment: Annotated[
        str, typer.Argument(metavar="EXPERIMENT", help="What to simulate: riedinger2018.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The .ptu file to write.")],
    trials: Trials = 1_000_000_000,
    mode: Annotated[
        RecordMode, typer.Option(help="T3: clicks only. T2: a sync record per trial too.")
    ] = RecordMode.T3,
    data: Annotated[DataSet, typer.Option(help="Which set of the paper.")] = DataSet.optimal,
    seed: Seed = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Simulate a recording, and write its gates file beside it."""
    from simulation.recordings.ptu import simulate_ptu
    from simulation.theory.dlcz import riedinger2018

    if experiment != "riedinger2018":
        message = f"no experiment {experiment!r}; there is riedinger2018"
        raise ValueError(message)
    with progress_bar("simulating", "trials") as progress:
        recording = simulate_ptu(
            output,
            riedinger2018(data.value),
            trials,
            mode=mode.value,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
    remarks.print(str(recording), soft_wrap=True, markup=False)
