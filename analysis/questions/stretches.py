"""Clicks of one recording in stretches of trials: whether its rates held still, and scans."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.counting.shifted import trials_with_clicks
from analysis.gates import GateSet
from analysis.questions.segments import count_at_times, count_every
from analysis.tagfile import open_tags


def clicks_in_stretches(
    path: str | Path, gates: GateSet, trials: int, length: int
) -> NDArray[np.int64]:
    """Return the trials with a click, shape (stretches, gates, detectors).

    Parameters
    ----------
    path : path
        Tag file whose trials begin with a record (sync, marker or channel).
    gates : GateSet
    trials : int
        Of the file.
    length : int
        Trials of a stretch; a rest that is shorter is left out.

    Raises
    ------
    TagFileError
        If the file cannot be read.
    ValueError
        If the gates do not fit the file.
    """
    number = trials // length
    shape = (number, len(gates.names), len(gates.detectors))
    found = np.zeros(shape, np.int64)
    if not number:
        return found
    source = open_tags(path)
    if source.layout.mode == "T3":
        for gate, detectors in enumerate(trials_with_clicks(source, gates, gates.names)):
            for detector, clicked in enumerate(detectors):
                stretch = clicked[clicked < number * length] // length
                found[:, gate, detector] = np.bincount(stretch, minlength=number)
        return found
    segments = count_every(source, gates, length * gates.period)
    for row, counts in zip(found, segments.counts, strict=False):
        row[:] = counts.singles
    return found


def clicks_between(
    path: str | Path, gates: GateSet, trials: Sequence[tuple[int, int]]
) -> NDArray[np.int64]:
    """Return the trials with a click within parts of a recording, shape (parts, gates, detectors).

    Parameters
    ----------
    path : path
        Tag file whose trials begin with a record (sync, marker or channel).
    gates : GateSet
    trials : sequence of (int, int)
        First trial of each part, counted from 0, and the one after its last.

    Raises
    ------
    TagFileError
        If the file cannot be read.
    ValueError
        If the gates do not fit the file.
    """
    found = np.zeros((len(trials), len(gates.names), len(gates.detectors)), np.int64)
    source = open_tags(path)
    if source.layout.mode == "T3":
        edges = np.array(trials, np.int64).reshape(len(trials), 2)
        for gate, detectors in enumerate(trials_with_clicks(source, gates, gates.names)):
            for detector, clicked in enumerate(detectors):
                first, end = np.searchsorted(clicked, edges).T
                found[:, gate, detector] = end - first
        return found
    cuts = sorted({n for part in trials for n in part if n > 0})
    # between trials: a start is late or early by less than half a period
    segments = count_at_times(source, gates, [(n - 0.5) * gates.period for n in cuts])
    for begin, counts in zip((0, *cuts), segments.counts, strict=False):
        for row, (first, end) in zip(found, trials, strict=True):
            if first <= begin < end:
                row += counts.singles
    return found
