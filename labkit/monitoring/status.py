"""How a run is, as its folder tells it to whoever may only read."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from labkit.run import Manifest, RunFolder
from labkit.station.lab import WATCHDOG_LOG

State = Literal["running", "silent", "died", "interrupted", "failed", "done"]

SILENCE = 900.0
"""Seconds without a sign of life after which a run is called silent. Records reach the tag file as
they come, so a healthy block is never silent; tuning between blocks takes minutes."""

CLOCK = 60.0
"""Seconds by which the clocks of a disk and of who looks may differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How a run is.

    Attributes
    ----------
    state : {"running", "silent", "died", "interrupted", "failed", "done"}
        Silent: it has not ended, but nothing has been written for long. Died: its watchdog says so.
    reason : str
        Why, if it is not running or done.
    sign_of_life : float
        When something was last written, Unix time, s.
    recording : int or None
        Number of the block that is being recorded.
    """

    state: State
    reason: str
    sign_of_life: float
    recording: int | None

    @property
    def going_on(self) -> bool:
        """Whether more data can come."""
        return self.state in ("running", "silent")

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "state": self.state, "reason": self.reason,
            "sign_of_life": datetime.fromtimestamp(self.sign_of_life, UTC).isoformat(),
            "recording": self.recording,
        }  # fmt: skip


def run_status(folder: RunFolder, manifest: Manifest, blocks: int, now: float) -> RunStatus:
    """Return how a run is.

    A few file times are read, nothing else: the run's lock is not touched, since a reader that
    takes it for a moment could stop a run from beginning.

    Parameters
    ----------
    folder : RunFolder
    manifest : Manifest
    blocks : int
        Finished blocks.
    now : float
        Unix time, s.
    """
    began = _written(folder.manifest_path)
    watchdog = _written(folder.path / WATCHDOG_LOG)
    acted = watchdog > (
        began if manifest.sessions > 1 else 0.0
    )  # later than the resumption, if any
    record = _written(folder.record_path(blocks + 1))
    segment = _written(folder.segment_path(blocks + 1))
    written = [began, watchdog, record, segment, _written(folder.journal.path)]
    # what was written before the clock was set back lies ahead of it, and says nothing
    last = max([time for time in written if 0 < time <= now + CLOCK] or written)
    state: State = manifest.status
    reason = manifest.reason
    if manifest.status == "running" and acted:
        state, reason = "died", (folder.path / WATCHDOG_LOG).read_text(encoding="utf-8").strip()
    elif manifest.status == "running" and now - last > SILENCE:
        state = "silent"
        reason = (
            f"nothing has been written for {duration_text(now - last)}, although the run has not "
            "ended: its process or its computer has died, or it waits"
        )
    if manifest.unsafe and state not in ("running", "silent"):
        lost = ", ".join(f"{name} ({why})" for name, why in manifest.unsafe.items())
        reason = "; ".join(filter(None, (f"NOT SAFE: {lost}", reason)))
    going_on = state in ("running", "silent")
    return RunStatus(
        state=state, reason=reason, sign_of_life=last,
        recording=blocks + 1 if going_on and record else None,
    )  # fmt: skip


def duration_text(seconds: float) -> str:
    """Return a duration as it is said: ``40 s``, ``12 min``, ``3.4 h``, ``2.1 d``."""
    for unit, length in (("d", 86400.0), ("h", 3600.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{max(seconds, 0):.0f} s"


def _written(path: Path) -> float:
    """Return when a file was last written, Unix time, s; 0 if there is none."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
