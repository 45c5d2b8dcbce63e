"""What a run leaves behind at its end: result, figures, counts, report, QCoDeS dataset."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from analysis.evaluation import Evaluation
from analysis.netcdf import write_netcdf
from analysis.published import RIEDINGER_2018
from labkit import __version__
from labkit.cleanup import also
from labkit.procedures import Result
from labkit.report import write_report
from labkit.run import Block, RunFolder, total_counts
from labkit.run.dataset import register_dataset
from labkit.run.manifest import write_whole


@contextmanager
def registered(folder: RunFolder) -> Iterator[None]:
    """Register a run as a QCoDeS dataset at its end, also one that ended early with blocks."""
    try:
        yield
    except BaseException as error:
        if blocks := folder.journal.read():
            also(error, lambda: register_dataset(folder, blocks))
        raise
    register_dataset(folder, folder.journal.read())


def save_results(folder: RunFolder, blocks: list[Block], result: Result, compare: str) -> None:
    """Write result.json, figures, the counts of the last setting, and a report if there is R_m.

    Parameters
    ----------
    folder : RunFolder
    blocks : list of Block
        All of the run.
    result : Result
    compare : str
        Name of a published set of results to show beside ours, or "".
    """
    write_whole(
        folder.path / "result.json",
        json.dumps(result.to_dict(), indent=1, allow_nan=False, default=str) + "\n",
    )
    figures = getattr(result, "figures", None)
    plot = getattr(result, "plot", None)
    if figures is None and plot is not None:
        pictures = {folder.manifest().kind: plot()}
    else:
        pictures = figures() if figures is not None else {}
    (folder.path / "figures").mkdir(exist_ok=True)
    for name, figure in pictures.items():
        figure.savefig(folder.path / "figures" / f"{name}.png", dpi=130)
    gates = blocks[-1].counts.gates if blocks else None
    same = [block for block in blocks if block.counts.gates == gates]
    counts = total_counts(same, same[-1].setting if same else None)
    if counts is not None:
        title = f"Clicks and coincidences of a {folder.manifest().kind} run"
        write_netcdf(counts.to_xarray(), folder.results_path, title=title, version=__version__)
    evaluation = evaluation_of(result)
    if evaluation is not None:
        title = folder.manifest().comment or "Entanglement witness"
        published = RIEDINGER_2018[compare] if compare else None
        write_report(
            evaluation, folder.path, title=title, published=published, remarks=diagnosis_of(result)
        )


def evaluation_of(result: Result) -> Evaluation | None:
    """Return the evaluation inside a procedure's result, if it has one."""
    witness = getattr(result, "witness", result)
    found = getattr(witness, "evaluation", None)
    return found if isinstance(found, Evaluation) else None


def diagnosis_of(result: Result) -> tuple[str, ...]:
    """Return what a procedure's result says is wrong with the set-up."""
    witness = getattr(result, "witness", result)
    return tuple(getattr(witness, "diagnosis", ()))
