"""``labkit demo``: the seed experiment's witness measurement, from simulated tags to a report."""

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli.output import check_folder, print_json, progress_bar, remarks
from labkit.cli.simulate import Seed, Trials
from labkit.cli.tags import Bound, Json


def register(app: typer.Typer) -> None:
    """Add this room's command to the app."""
    app.command()(demo)


def demo(
    trials: Trials = 1_114_000_000,
    seed: Seed = 1,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For tags, report and pictures.")
    ] = Path("labkit-demo"),
    bound: Bound = 1.0,
    json: Json = False,
) -> None:
    """Simulate, analyse and report the witness measurement.

    The measurement is that of Riedinger and others, Nature 556, 473 (2018), at the optimal phase.
    """
    from analysis.counting import count
    from analysis.evaluation import evaluate
    from analysis.published import RIEDINGER_2018
    from labkit.report import write_report
    from simulation.recordings.ptu import simulate_ptu
    from simulation.theory.dlcz import riedinger2018

    check_folder("--out", out)
    out.mkdir(parents=True, exist_ok=True)
    with progress_bar("simulating", "trials") as progress:
        recording = simulate_ptu(
            out / "witness.ptu",
            riedinger2018("optimal"),
            trials,
            seed=seed,
            overwrite=True,
            progress=progress,
        )
    remarks.print(str(recording), soft_wrap=True, markup=False)
    with progress_bar("counting", "records") as progress:
        counts = count(recording.path, recording.gates, progress=progress)
    evaluation = evaluate(counts, trials_fixed_in_advance=True, bound=bound)
    published = RIEDINGER_2018["optimal"]
    title = "Remote entanglement of two mechanical oscillators: simulated witness measurement"
    page = write_report(evaluation, out, title=title, bound=bound, published=published)
    remarks.print(f"report: {page}", soft_wrap=True, markup=False)
    if json:
        print_json(evaluation.to_dict(bound))
        return
    from labkit.cli.tables import print_evaluation

    print_evaluation(evaluation, bound, published)
