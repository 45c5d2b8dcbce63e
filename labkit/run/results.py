"""How a run ended, noted whatever ended it, and what it leaves: results, report, dataset."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.evaluation import Evaluation, evaluate
from analysis.labelled import Labelled, Variable
from analysis.netcdf import write_netcdf
from labkit import __version__
from labkit.procedures import Result
from labkit.report.run_report import write_run_report
from labkit.run import Block, RunFolder, main_setting, total_counts
from labkit.run.dataset import register_dataset
from labkit.run.integrity import SEAL
from labkit.run.journal import purpose_of
from labkit.run.lines import is_there, write_whole
from labkit.run.manifest import Status, drift_between, ended
from labkit.run.sealing import seal_run
from labkit.station.ending import Terminated, also, said, undisturbed
from labkit.station.lab import Lab
from labkit.station.safety import SafetyReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Ending:
    """What a run's manifest will say of its end.

    Parameters
    ----------
    folder : RunFolder

    Attributes
    ----------
    unsafe : dict of str to str
        Instruments that are not safe, and why.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._after: dict[str, object] | None = None
        self.unsafe: dict[str, str] = {}

    def begin(self, lab: Lab) -> None:
        """Note the instruments' settings from which drifts count."""
        manifest = self._folder.manifest()
        self._folder.write_manifest(replace(manifest, snapshot_before=lab.snapshot()))

    @contextmanager
    def snapshots(self, lab: Lab) -> Iterator[None]:
        """Note the instruments' settings at both ends of a block, before all is made safe."""
        self.begin(lab)
        try:
            yield
        finally:
            self._after = lab.snapshot()

    def left(self, report: SafetyReport) -> None:
        """Keep which instruments are not safe."""
        self.unsafe = dict(report.failed)

    def note(self, status: Status, reason: str = "") -> None:
        """Write how the run ended into its manifest."""
        manifest = replace(ended(self._folder.manifest(), status, reason), unsafe=self.unsafe)
        if self._after is not None:
            drift = drift_between(manifest.snapshot_before, self._after)
            manifest = replace(manifest, snapshot_after=self._after, drift=drift)
        self._folder.write_manifest(manifest)


@contextmanager
def noting_end(folder: RunFolder) -> Iterator[Ending]:
    """Note the end of what happens in a run folder: done, interrupted by the user, or failed."""
    ending = Ending(folder)
    try:
        yield ending
    except BaseException as error:
        asked = isinstance(error, KeyboardInterrupt | Terminated)
        status: Status = "interrupted" if asked else "failed"
        reason = f"{type(error).__name__}: {said(error)}".rstrip(": ")
        with undisturbed():
            also(error, lambda: ending.note(status, reason))
        raise
    with undisturbed():
        ending.note("done")


@contextmanager
def registered(folder: RunFolder, say: Callable[[str], object] = print) -> Iterator[None]:
    """Register a run as a QCoDeS dataset at its end, also one that ended early with blocks.

    A database that is locked or full fails no measurement; see `labkit.run.repairing`.
    """
    try:
        yield
    except BaseException as error:
        also(error, lambda: _register_if_any(folder, say))
        raise
    attempt(folder, "dataset", lambda: register_dataset(folder, folder.journal.read()), say)


def _register_if_any(folder: RunFolder, say: Callable[[str], object]) -> None:
    """Register a run that ended early, if it has a block."""
    if blocks := folder.journal.read():
        attempt(folder, "dataset", lambda: register_dataset(folder, blocks), say)


@contextmanager
def sealed(folder: RunFolder, say: Callable[[str], object] = print) -> Iterator[None]:
    """Seal a run when it has ended, however it ended; its former seal is broken meanwhile."""
    (folder.path / SEAL).unlink(missing_ok=True)
    try:
        yield
    finally:
        attempt(folder, "seal", lambda: seal_run(folder), say)


def save_results(
    folder: RunFolder,
    blocks: list[Block],
    result: Result,
    say: Callable[[str], object] = print,
) -> None:
    """Write result.json, and the counts of the main setting.

    What cannot be written fails no measurement; see `labkit.run.repairing`.

    Parameters
    ----------
    folder : RunFolder
    blocks : list of Block
        All of the run.
    result : Result
    say : callable
        Told what could not be written.
    """
    text = json.dumps(result.to_dict(), indent=1, allow_nan=False, default=str) + "\n"
    attempt(folder, "result", lambda: write_whole(folder.path / "result.json", text), say)
    attempt(folder, "counts", lambda: save_counts(folder, blocks), say)


def save_report(
    folder: RunFolder,
    result: Result,
    say: Callable[[str], object] = print,
    unsafe: Mapping[str, str] | None = None,
    learned: Callable[[], object] | None = None,
    write: Callable[[Sequence[str], Callable[[], object] | None], object] | None = None,
    drawn: Callable[[], Collection[str]] = frozenset,
) -> None:
    """Draw the figures, and write the report of a run that has R_m, when the manifest is complete.

    What cannot be written fails no measurement; see `labkit.run.repairing`.

    Parameters
    ----------
    folder : RunFolder
    result : Result
    say : callable
        Told what could not be written.
    unsafe : mapping of str to str, optional
        Instruments that were not safe at the end.
    learned : callable, optional
        Waits for the noise budget that is being learned; all else is drawn before.
    write : callable, optional
        Given what was said first and `learned`; writes it in place of this process.
    drawn : callable
        Returns the names of figures that have been drawn while the run went on.
    """
    attempt(folder, "figures", lambda: save_figures(folder, result, drawn()), say)
    if result.evaluation is None:
        return
    remarks = [
        *(f"NOT SAFE at the end: {n}: {w}" for n, w in (unsafe or {}).items()),
        *result.diagnosis,
    ]

    def here(remarks: Sequence[str], learned: Callable[[], object] | None) -> None:
        write_run_report(folder, remarks=remarks, learned=learned)

    attempt(folder, "report", lambda: (write or here)(remarks, learned), say)


def save_figures(folder: RunFolder, result: Result, drawn: Collection[str] = ()) -> None:
    """Draw a procedure's figures into ``figures``, but for those that were drawn before."""
    for name, draw in result.pictures().items():
        if name not in drawn:
            save_picture(folder, name, draw)


def save_picture(folder: RunFolder, name: str, draw: "Callable[[], Figure]") -> None:
    """Draw a picture into ``figures`` in a run folder, where it is whole whenever it is there."""
    path = folder.path / "figures" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(".part")
    draw().savefig(part, dpi=130, format="png")
    part.replace(path)


def save_counts(folder: RunFolder, blocks: Sequence[Block]) -> None:
    """Write the summed counts of the main setting to ``results.nc``."""
    setting = main_setting(blocks)
    mine = [b for b in blocks if purpose_of(b.setting) == setting]
    gates = mine[-1].counts.gates if mine else None
    counts = total_counts([b for b in mine if b.counts.gates == gates])
    if counts is not None:
        title = f"Clicks, coincidences, g² and R_m of a {folder.manifest().kind} run"
        found = counts.labelled() | estimates_of(evaluate(counts), setting)
        write_netcdf(found, folder.results_path, title=title, version=__version__)


def estimates_of(found: Evaluation, setting: Mapping[str, object]) -> Labelled:
    """Return g² by pair and, of a witness, R_m by herald, each with its interval (16 %, 84 %)."""
    parts: dict[str, dict[str, tuple[float, float, float]]] = {
        "g2": {pair: (g2.value, g2.low, g2.high) for pair, g2 in found.g2.items()}
    }
    if found.witness is not None and setting.get("procedure") == "witness":
        parts["R_m"] = {n: (p.mode, p.low, p.high) for n, p in found.witness.named.items()}
    along = {"g2": "cross_pair", "R_m": "herald"}
    ends = {"": "estimate", "_low": "16 % quantile", "_high": "84 % quantile"}
    variables: dict[str, Variable] = {}
    coordinates: dict[str, Variable] = {}
    for name, values in parts.items():
        if not values:
            continue
        names, columns = (along[name],), np.array(list(values.values())).T
        coordinates[along[name]] = names, np.array(list(values)), {}
        for column, (end, words) in zip(columns, ends.items(), strict=True):
            told = {"units": "1", "long_name": f"{name}, {words}"}
            variables[f"{name}{end}"] = names, column, told
    return Labelled(variables=variables, coordinates=coordinates, attributes={})


LEFT_OVER = "left_over.json"
"""In a run folder: what could not be done at its end, and why."""


def attempt(
    folder: RunFolder, step: str, action: Callable[[], object], say: Callable[[str], object]
) -> bool:
    """Do a step of a run's end; if it fails, say so and note it for `labkit runs repair`.

    Returns
    -------
    bool
        Whether it was done.
    """
    try:
        action()
    except Exception as error:  # the measurement is on the disk; nothing after it may fail it
        reason = f"{type(error).__name__}: {said(error)}"
        say(f"{step} could not be saved ({reason}); the data are safe: labkit runs repair RUN")
        with suppress(OSError):
            note = left_over(folder) | {step: reason}
            write_whole(folder.path / LEFT_OVER, json.dumps(note, indent=1) + "\n")
        return False
    return True


def left_over(folder: RunFolder) -> dict[str, str]:
    """Return the steps of a run's end that could not be done, with the reason."""
    path = folder.path / LEFT_OVER
    try:
        plain = json.loads(path.read_text(encoding="utf-8")) if is_there(path) else {}
        if not isinstance(plain, dict):
            message = f"it must hold an object, but holds a {type(plain).__name__}"
            raise TypeError(message)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        return {"report": f"{LEFT_OVER} cannot be read: {error}"}
    return {str(step): str(reason) for step, reason in plain.items()}


def no_longer_left_over(folder: RunFolder, step: str) -> None:
    """Note that a step of a run's end has been done, or cannot be done any more."""
    note = {name: reason for name, reason in left_over(folder).items() if name != step}
    path = folder.path / LEFT_OVER
    if note:
        write_whole(path, json.dumps(note, indent=1) + "\n")
    else:
        path.unlink(missing_ok=True)
