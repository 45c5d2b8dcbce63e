"""The runs at a path, watched; many visitors share one look."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from math import inf
from pathlib import Path
from time import monotonic, time

from labkit.dashboard.page import Page
from labkit.monitoring import RunMonitor, Snapshot
from labkit.monitoring.comparison import Comparison, compare_runs
from labkit.monitoring.outcome import outcome_of
from labkit.run import RunFolder, list_runs

PATIENCE = 0.2
"""Seconds that one look at the live page may wait for the verdict."""

MOST_RUNS = 12
"""Rows of the table of runs."""

MOST_WATCHED = 8
"""So many runs are held in memory; the one that was looked at longest ago goes first."""


class Watch:
    """Watches one run folder, or all that are in a folder; new ones are seen as they come.

    Parameters
    ----------
    path : Path
        A run folder, or a folder of run folders.
    fresh : float
        Seconds for which a look holds for all visitors.

    Raises
    ------
    ValueError
        If there is no such folder.
    """

    def __init__(self, path: Path, fresh: float = 0.0) -> None:
        if not path.is_dir():
            message = f"{path}: must be a run folder or a folder of runs, but is no folder"
            raise ValueError(message)
        self.path, self._fresh = path, fresh
        self._watched: dict[str, tuple[RunMonitor, Page]] = {}
        self._looks: dict[str, tuple[float, Snapshot]] = {}
        self._rows: dict[str, tuple[tuple[int, ...], dict[str, str]]] = {}
        self._judges = ThreadPoolExecutor(1, thread_name_prefix="judge")

    def names(self) -> list[str]:
        """Return the names of the runs, the newest first."""
        return list(self._folders())

    def newest(self) -> str:
        """Return the name of the newest run.

        Raises
        ------
        ValueError
            If there is no run.
        """
        names = self.names()
        if not names:
            message = f"{self.path}: has no run folder (one with a manifest.json) in it"
            raise ValueError(message)
        return names[0]

    def page(self, name: str) -> Page:
        """Return what renders a run in words."""
        return self._of(name)[1]

    def snapshot(self, name: str) -> Snapshot:
        """Return a run as it is now, with its verdict however long that takes."""
        return RunMonitor(self._folders()[name]).snapshot()

    def look(self, name: str, patience: float = PATIENCE) -> Snapshot:
        """Return a run as it is now, or was a moment ago, soon: the verdict may come later."""
        known = self._looks.get(name)
        if known is not None and monotonic() - known[0] < self._fresh:
            return known[1]
        found = self._of(name)[0].snapshot(patience=patience)
        self._looks[name] = monotonic(), found
        return found

    def document(self, name: str) -> str:
        """Return a run's whole page."""
        return Page().document(self.snapshot(name), time())

    def comparison(self, names: Sequence[str]) -> Comparison:
        """Return runs side by side."""
        folders = self._folders()
        return compare_runs([folders[name] for name in names])

    def rows(self) -> list[dict[str, str]]:
        """Return a row about each of the newest runs; those that cannot be read say so."""
        return [self._row(folder) for folder in list(self._folders().values())[:MOST_RUNS]]

    def _row(self, folder: RunFolder) -> dict[str, str]:
        state = tuple(
            path.stat().st_mtime_ns if path.exists() else 0
            for path in (folder.manifest_path, folder.path / "result.json")
        )
        known = self._rows.get(folder.path.name)
        if known is not None and known[0] == state:
            return known[1]
        row = {"name": folder.path.name, "state": "unreadable"}
        try:
            row = {"name": folder.path.name, "state": folder.manifest().status}
            row |= {name: str(value) for name, value in asdict(outcome_of(folder)).items()}
        except ValueError as error:
            row["decision"] = str(error)
        self._rows[folder.path.name] = state, row
        return row

    def _of(self, name: str) -> tuple[RunMonitor, Page]:
        found = self._watched.pop(name, None)
        if found is None:
            found = RunMonitor(self._folders()[name], self._judges), Page()
        self._watched[name] = found
        while len(self._watched) > MOST_WATCHED:
            gone = next(iter(self._watched))
            del self._watched[gone]
            self._looks.pop(gone, None)
        return found

    def _folders(self) -> dict[str, RunFolder]:
        alone = RunFolder(path=self.path.resolve())
        found = [alone] if alone.manifest_path.is_file() else reversed(list_runs(self.path))
        return {folder.path.name: folder for folder in found}


SPANS = {"all": inf, "7 days": 7 * 86400.0, "24 hours": 86400.0}
"""Choices for the time axes, s."""

LOCAL = ("localhost", "127.0.0.1", "::1")
"""Addresses that no other computer reaches."""
