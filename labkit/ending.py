"""How a run ended, noted in its manifest whatever ended it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from labkit.cleanup import also, said
from labkit.lab import Lab
from labkit.run import RunFolder
from labkit.run.manifest import Status, drift_between, ended
from labkit.station.opening import Terminated


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
