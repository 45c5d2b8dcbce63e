"""Clicks of one recording in stretches of trials: whether its rates held still."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.counting.shifted import trials_with_clicks
from analysis.gates import GateSet
from analysis.questions.segments import count_every
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
