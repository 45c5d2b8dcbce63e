"""The runs at a path, watched, and their pages."""

from math import inf
from pathlib import Path
from time import time

from labkit.dashboard.page import Page
from labkit.monitoring import RunMonitor, Snapshot
from labkit.run import RunFolder, list_runs

PATIENCE = 0.5
"""Seconds that one look at the live page may spend on the blocks that the verdict lacks."""


class Watch:
    """Watches one run folder, or all that are in a folder; new ones are seen as they come.

    Parameters
    ----------
    path : Path
        A run folder, or a folder of run folders.

    Raises
    ------
    ValueError
        If there is no such folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            message = f"{path}: must be a run folder or a folder of runs, but is no folder"
            raise ValueError(message)
        self.path = path
        self._watched: dict[str, tuple[RunMonitor, Page]] = {}

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

    def snapshot(self, name: str) -> Snapshot:
        """Return a run as it is now."""
        return self._of(name)[0].snapshot()

    def head_and_body(self, name: str, last: float = inf) -> tuple[str, str]:
        """Return both parts of a run's page, time axes over the last so many seconds.

        They are there soon: of a long run the verdict comes only after some more looks.
        """
        monitor, page = self._of(name)
        snapshot = monitor.snapshot(patience=PATIENCE)
        return page.head(snapshot, time()), page.body(snapshot, last)

    def document(self, name: str) -> str:
        """Return a run's whole page."""
        monitor, page = self._of(name)
        return page.document(monitor.snapshot(), time())

    def _of(self, name: str) -> tuple[RunMonitor, Page]:
        if name not in self._watched:
            self._watched[name] = (RunMonitor(self._folders()[name]), Page())
        return self._watched[name]

    def _folders(self) -> dict[str, RunFolder]:
        alone = RunFolder(path=self.path.resolve())
        found = [alone] if alone.manifest_path.is_file() else reversed(list_runs(self.path))
        return {folder.path.name: folder for folder in found}
