"""What could not be done at a run's end, done now; a damaged journal mended from its segments."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from analysis.evaluation import evaluate
from labkit.learned import learn
from labkit.report.diagnostics import diagnose_blocks
from labkit.report.run_report import write_run_report
from labkit.run.dataset import register_dataset
from labkit.run.folder import RunFolder
from labkit.run.integrity import sealed_files
from labkit.run.journal import total_counts
from labkit.run.recovery import recover_run
from labkit.run.results import attempt, left_over, no_longer_left_over, save_counts
from labkit.run.sealing import seal_run, sealed_anew
from labkit.run.sole_use import sole_use


def repair_run(path: Path) -> Iterator[str]:
    """Repair a run folder; yield what was done, a line each.

    Damaged lines of the journal are taken out (the journal as it was is kept), and their blocks
    counted and verified again. Results, report and dataset that could not be saved are made from
    the journal; figures of a procedure need its fits, and stay as they are. A file that does not
    fit the seal, and cannot be made anew, goes on not to fit it.

    Raises
    ------
    ValueError
        If the manifest cannot be read.
    RuntimeError
        If a process measures into the run, or something cannot be done now either; the rest is.
    """
    folder = RunFolder(path=path)
    folder.manifest()
    had_seal = sealed_files(folder.path) is not None
    with sole_use(folder.path), sealed_anew(folder):
        recovery = recover_run(folder, mend=True)
        yield str(recovery)
        for step in left_over(folder):
            action = _STEPS.get(step)
            if action is None:
                yield f"{step}: cannot be made from the journal; it stays as it is"
                no_longer_left_over(folder, step)
                continue
            refused: list[str] = []
            if attempt(folder, step, partial(action, folder), refused.append):
                yield f"{step}: saved"
                no_longer_left_over(folder, step)
            else:
                yield refused[0]
    if folder.manifest().status != "running":
        if not had_seal:
            seal_run(folder)
        yield "sealed"
    if still := left_over(folder):
        what = "; ".join(f"{step} ({reason})" for step, reason in still.items())
        message = f"{folder.path}: could not be saved this time either: {what}"
        raise RuntimeError(message)


def _report(folder: RunFolder) -> None:
    good = folder.main_blocks()
    counts = total_counts(good)
    if counts is None:
        return
    evaluation = evaluate(counts)
    remarks = diagnose_blocks(evaluation, good, folder.sequence())
    write_run_report(folder, remarks=remarks)


_STEPS: dict[str, Callable[[RunFolder], object]] = {
    "dataset": lambda folder: register_dataset(folder, folder.journal.read()),
    "counts": lambda folder: save_counts(folder, folder.journal.read()),
    "report": _report,
    "noise budget": learn,
    "seal": seal_run,
}
