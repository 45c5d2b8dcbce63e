"""How a run ended, noted whatever ended it, and what it leaves: results, report, dataset."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from analysis.netcdf import write_netcdf
from analysis.published import RIEDINGER_2018
from labkit import __version__
from labkit.procedures import Result
from labkit.report import write_report
from labkit.run import Block, RunFolder, total_counts
from labkit.run.dataset import register_dataset
from labkit.run.manifest import Status, drift_between, ended, write_whole
from labkit.station.ending import Terminated, also, said
from labkit.station.lab import Lab


class Ending:
    """What a run's manifest will say of its end.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._after: dict[str, object] | None = None

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

    def note(self, status: Status, reason: str = "") -> None:
        """Write how the run ended into its manifest."""
        manifest = ended(self._folder.manifest(), status, reason)
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
        also(error, lambda: ending.note(status, reason))
        raise
    ending.note("done")


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
    (folder.path / "figures").mkdir(exist_ok=True)
    for name, figure in result.figures().items():
        figure.savefig(folder.path / "figures" / f"{name}.png", dpi=130)
    gates = blocks[-1].counts.gates if blocks else None
    same = [block for block in blocks if block.counts.gates == gates]
    counts = total_counts(same, same[-1].setting if same else None)
    if counts is not None:
        title = f"Clicks and coincidences of a {folder.manifest().kind} run"
        write_netcdf(counts.to_xarray(), folder.results_path, title=title, version=__version__)
    if result.evaluation is not None:
        title = folder.manifest().comment or "Entanglement witness"
        published = RIEDINGER_2018[compare] if compare else None
        write_report(
            result.evaluation, folder.path, title=title, published=published,
            remarks=result.diagnosis,
        )  # fmt: skip
