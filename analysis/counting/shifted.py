"""Coincidences between the pump of a trial and the read of later trials: g² must be 1 there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.counting.count import plan_for
from analysis.gates import GateSet
from analysis.tagfile import open_tags
from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import SYNC
from analysis.tagfile.source import TagSource

SHIFTS = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShiftedCounts:
    """Pairs of an early click in trial n and a late click in trial n + k, summed over k.

    Adds like `analysis.counts.Counts`: accidentals are those of each file, then summed.

    Attributes
    ----------
    pairs : ndarray of int64, shape (detectors, detectors)
        Element [late detector, early detector].
    accidentals : ndarray of float64, of the same shape
        Expected at g² = 1: n_late n_early/N² times the number of pairs of trials.
    """

    pairs: NDArray[np.int64]
    accidentals: NDArray[np.float64]

    def __add__(self, other: Self) -> "ShiftedCounts":
        return ShiftedCounts(
            pairs=self.pairs + other.pairs, accidentals=self.accidentals + other.accidentals
        )

    def exchanged(self) -> "ShiftedCounts":
        """Return the same with the late detectors in reverse order."""
        return ShiftedCounts(pairs=self.pairs[::-1], accidentals=self.accidentals[::-1])


def shifted_counts(
    tags: str | Path | TagSource | Sequence[TagSource],
    gates: GateSet,
    trials: int,
    *,
    between: tuple[str, str] = ("pump", "read"),
    shifts: int = SHIFTS,
) -> ShiftedCounts:
    """Count clicks of the early gate against those of the late gate 1 … `shifts` trials later.

    A trial counts once per gate and detector, as in `analysis.counting.count`.

    Parameters
    ----------
    tags : path, open source or several
        T3, whose sync numbers are the trials. Trials are shifted within each file; accidentals are
        those of the rates of all files, so that drifts from file to file show.
    gates : GateSet
    trials : int
        Of all files.
    between : tuple of str
        Early and late gate.
    shifts : int

    Raises
    ------
    ValueError
        If a file is no T3 file, or there are no such gates.
    """
    sources = [open_tags(tags)] if isinstance(tags, str | Path) else tags
    sources = [sources] if isinstance(sources, TagSource) else sources
    for source in sources:
        if source.layout.mode != "T3":
            message = (
                f"{source.path}: must be a T3 file to shift its trials, but is {source.layout}"
            )
            raise ValueError(message)
    absent = [name for name in between if name not in gates.names]
    if absent:
        message = f"`between` must name two of {', '.join(gates.names)}, but names {absent[0]}"
        raise ValueError(message)
    number = len(gates.detectors)
    pairs, singles = np.zeros((number, number), np.int64), np.zeros((2, number))
    for source in sources:
        early, late = trials_with_clicks(source, gates, between)
        pairs += [[_ordered(before, after, shifts) for before in early] for after in late]
        singles += [[len(each) for each in clicks] for clicks in (early, late)]
    return ShiftedCounts(
        pairs=pairs,
        accidentals=shifted_accidentals(
            singles[0], singles[1], trials, files=len(sources), shifts=shifts
        ),
    )


def shifted_accidentals(
    early: ArrayLike, late: ArrayLike, trials: int, *, files: int = 1, shifts: int = SHIFTS
) -> NDArray[np.float64]:
    """Return n_late n_early/N² times the pairs of trials 1 … `shifts` apart.

    Parameters
    ----------
    early, late : array_like, shape (detectors,)
        Trials with a click of each detector.
    trials : int
        N.
    files : int
        Between which trials are not shifted.
    shifts : int

    Returns
    -------
    ndarray, shape (detectors, detectors)
        Element [late detector, early detector].
    """
    depth = np.arange(1, min(shifts, max(trials // files - 1, 0)) + 1)
    weight = float(np.sum(trials - files * depth)) / trials**2 if trials else 0.0
    return np.asarray(weight * np.outer(np.asarray(late, float), np.asarray(early, float)))


def trials_with_clicks(
    source: TagSource, gates: GateSet, names: Sequence[str]
) -> list[list[NDArray[np.int64]]]:
    """Return the trials of a T3 file in which each detector clicks in gates, rising, each once.

    By gate, in the order of `names`, for each detector.
    """
    source, plan = plan_for(source, gates)
    decoder = Decoder(plan.layout)
    number = len(gates.detectors)
    cells = [gates.names.index(name) * number + row for name in names for row in range(number)]
    found: list[list[NDArray[np.int64]]] = [[np.empty(0, np.int64)] for _ in cells]
    for block in source.blocks():
        events = decoder.decode(block)
        if events.dtime is None or not len(events):
            continue
        photon = events.channel < SYNC
        rows = plan.row_of_channel[events.channel[photon]]
        ticks = events.dtime[photon] + plan.shift_of_row[rows]
        seen = plan.cell_of[rows, plan.timeline.bin_of(ticks)]
        for cell, trials in zip(cells, found, strict=True):
            trials.append(events.time[photon][seen == cell])
    each = [np.unique(np.concatenate(trials)) for trials in found]
    return [each[at : at + number] for at in range(0, len(cells), number)]


def _ordered(before: NDArray[np.int64], after: NDArray[np.int64], shifts: int) -> int:
    """Return the pairs with 1 <= after - before <= shifts."""
    last = np.searchsorted(after, before + shifts, side="right")
    return int((last - np.searchsorted(after, before, side="right")).sum())
