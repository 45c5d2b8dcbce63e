"""A recording: tags from the tagger into a tag file that is valid at every moment."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.tagfile import PtuWriter, find_layout
from analysis.tagfile.ptu_writer import STOPPED_MANUALLY, STOPPED_TIME_OVER
from instruments.roles import TimeTagger
from labkit.cleanup import also

POLL = 0.2
"""Seconds between looks at a running recording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How a recording went.

    Attributes
    ----------
    seconds : float
        Measured by the tagger's clock.
    whole : bool
        Whether it ran for the time it was meant to.
    faults : tuple of str
        What spoils it: FIFO overrun, dropped events, lost sync.
    """

    seconds: float
    whole: bool
    faults: tuple[str, ...]


def record_tags(
    tagger: TimeTagger,
    path: Path,
    trials: int,
    period: float,
    progress: Callable[[float], object] | None = None,
) -> Recorded:
    """Record tags of `trials` trials into a tag file, which is valid at every moment.

    Interrupted, it stops the tagger, closes the file with what was measured and re-raises.

    Parameters
    ----------
    tagger : TimeTagger
    path : Path
    trials : int
    period : float
        Seconds per trial.
    progress : callable, optional
        Called with the seconds measured so far.
    """
    seconds = trials * period
    form = tagger.record_format()
    writer = PtuWriter(
        path,
        layout=find_layout(form.record_type),
        resolution=form.resolution,
        sync_period=period,
        acquisition_time=seconds,
        tags=dict(form.tags),
    )
    try:
        tagger.start(writer, seconds)
        while not tagger.wait(POLL):
            if progress is not None:
                progress(tagger.elapsed())
    except BaseException as error:
        also(error, tagger.stop)
        also(error, lambda: _close_early(writer, tagger))
        raise
    measured = tagger.elapsed()
    whole = abs(measured - seconds) < 0.5 * period + 1e-3
    reason = STOPPED_TIME_OVER if whole else STOPPED_MANUALLY
    writer.close(measured_time=seconds if whole else measured, stop_reason=reason)
    faults = tuple(f"{event.kind}: {event.message}" for event in tagger.events())
    return Recorded(seconds=measured, whole=whole, faults=faults)


def _close_early(writer: PtuWriter, tagger: TimeTagger) -> None:
    measured = 0.0
    try:
        measured = tagger.elapsed()
    finally:
        writer.close(measured_time=measured, stop_reason=STOPPED_MANUALLY)
