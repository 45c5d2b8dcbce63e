"""How long procedures take here: learned from the station's earlier runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Literal

from labkit.run.folder import RunFolder
from labkit.run.manifest import Manifest

OVERHEAD = 0.15
"""Part of the measuring time that comes on top where nothing is known (seed 003)."""

Ground = Literal["same options", "other options", "no earlier run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """How long a procedure may be expected to take.

    Attributes
    ----------
    seconds : float or None
        On the wall; None where nobody can tell.
    low, high : float or None
        Shortest and longest of the runs it goes by.
    runs : int
        So many.
    ground : {"same options", "other options", "no earlier run"}
        Of runs with the same sequence and options the median of their times. Else per second of
        measuring, the median over runs of this kind. Else the measuring time and 15 % more, the
        paper's overhead.
    """

    seconds: float | None
    low: float | None
    high: float | None
    runs: int
    ground: Ground

    def __str__(self) -> str:
        if self.seconds is None:
            return "not known: no earlier run of this kind, and no number of trials to go by"
        if self.ground == "no earlier run":
            return f"{_text(self.seconds)} (measuring and 15 %: no earlier run of this kind)"
        several = "run" if self.runs == 1 else "runs"
        said = f"{_text(self.seconds)} ({self.runs} earlier {several}, {self.ground}"
        if self.runs > 1 and self.low is not None and self.high is not None:
            said += f", {_text(self.low)} to {_text(self.high)}"
        return f"{said})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A finished run, for how long it took.

    Attributes
    ----------
    kind : str
    experiment : dict
    seconds, measured : float
        From its start to its end, and of trials recorded in it.
    """

    kind: str
    experiment: dict[str, object]
    seconds: float
    measured: float


def past_runs(folders: Iterable[RunFolder], station: str | None = None) -> list[Past]:
    """Return the runs that came to their end in one go; replays and resumed ones are left out.

    Parameters
    ----------
    folders : iterable of RunFolder
        Those that cannot be read are passed over.
    station : str, optional
        Text of a station file: only runs of this very station.
    """
    found = []
    for folder in folders:
        try:
            manifest = folder.manifest()
        except ValueError:
            continue
        if _counts(manifest, station):
            found.append(_past(folder, manifest))
    return found


def expected_duration(
    past: Iterable[Past], kind: str, experiment: dict[str, object], measuring: float | None = None
) -> Duration:
    """Return how long a procedure may take.

    Parameters
    ----------
    past : iterable of Past
    kind : str
        Procedure.
    experiment : dict
        In plain form, as a manifest keeps it: ``sequence`` and ``options``.
    measuring : float, optional
        Seconds of trials it will record, if known.
    """
    mine = [one for one in past if one.kind == kind]
    same = [one.seconds for one in mine if _meant(one.experiment) == _meant(experiment)]
    if same:
        return _of(same, "same options")
    rates = [one.seconds / one.measured for one in mine if one.measured > 0]
    if rates and measuring is not None:
        return _of([rate * measuring for rate in rates], "other options")
    if mine:
        return _of([one.seconds for one in mine], "other options")
    seconds = None if measuring is None else measuring * (1 + OVERHEAD)
    return Duration(seconds=seconds, low=None, high=None, runs=0, ground="no earlier run")


def _of(seconds: list[float], ground: Ground) -> Duration:
    return Duration(
        seconds=median(seconds), low=min(seconds), high=max(seconds), runs=len(seconds),
        ground=ground,
    )  # fmt: skip


def _meant(experiment: dict[str, object]) -> tuple[object, object]:
    return experiment.get("sequence"), experiment.get("options")


def _counts(manifest: Manifest, station: str | None) -> bool:
    finished = manifest.status == "done" and manifest.ended and manifest.sessions == 1
    if not finished:
        return False
    began, over = _ends(manifest)
    ours = station is None or manifest.station == station
    return bool(ours and over >= began and not manifest.replay_of)  # no clock set back


def _ends(manifest: Manifest) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(manifest.started), datetime.fromisoformat(manifest.ended)


def _past(folder: RunFolder, manifest: Manifest) -> Past:
    began, over = _ends(manifest)
    measured = sum(b.trials * b.gates.period for b in folder.journal.read())
    return Past(
        kind=manifest.kind, experiment=manifest.experiment,
        seconds=(over - began).total_seconds(), measured=measured,
    )  # fmt: skip


def _text(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"
