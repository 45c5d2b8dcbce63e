"""Parts of one recording through which something was moved: a scan that is one block."""

from collections.abc import Sequence
from math import ceil, floor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.counts import Counts
from analysis.gates import GateSet
from analysis.questions.stretches import clicks_between

VOLTAGE = "voltage_"
"""Begins the name of a filter's voltage, where several are moved at once; its place follows."""


class Span(NamedTuple):
    """When a recording was at one setting, as its record says.

    Attributes
    ----------
    setting : dict
    begin, end : float
        Seconds since the recording's start, by the tagger's clock.
    """

    setting: dict[str, float]
    begin: float
    end: float


class Part(NamedTuple):
    """What came while a recording was at one setting.

    Attributes
    ----------
    setting : dict
        Of what was moved.
    first, end : int
        Its trials are those from `first` to before `end`, counted from 0.
    clicks : list of list of int
        Trials with a click, by gate and detector.
    """

    setting: dict[str, float]
    first: int
    end: int
    clicks: list[list[int]]

    @classmethod
    def from_plain(cls, plain: object, gates: GateSet) -> "Part":
        """Return a part as a line of the journal has it.

        Raises
        ------
        ValueError
            If it is not as it must be.
        """
        shape = len(gates.names), len(gates.detectors)
        match plain:
            case [dict() as setting, int() as first, int() as end, list() as clicks] if (
                0 <= first <= end < 1 << 62
                and all(isinstance(volts, int | float) for volts in setting.values())
                and _shape(clicks) == shape
            ):
                return cls(setting, first, end, clicks)
        message = f"a part must be [setting, first, end, clicks of shape {shape}], but is {plain!r}"
        raise ValueError(message)

    @property
    def trials(self) -> int:
        """Number of trials."""
        return self.end - self.first

    @property
    def singles(self) -> NDArray[np.int64]:
        """Trials with a click, shape (gates, detectors)."""
        return np.array(self.clicks, np.int64)


def _shape(clicks: list[object]) -> tuple[int, int] | None:
    """Return the shape of rows of equally many counts; None if they are none."""
    rows = [row for row in clicks if isinstance(row, list)]
    whole = all(isinstance(n, int) and 0 <= n < 1 << 62 for row in rows for n in row)
    if len(rows) != len(clicks) or not whole or len({len(row) for row in rows}) != 1:
        return None
    return len(rows), len(rows[0])


def parts_of(segment: Path, counts: Counts, spans: Sequence[Span]) -> list[Part] | None:
    """Count the clicks of each part of a segment; None if the recording was one piece.

    Parameters
    ----------
    segment : Path
    counts : Counts
        Of all of it.
    spans : sequence of Span
        From the block's record. A trial belongs to a part if all of it surely does: trials whose
        starts are missing shift the others' numbers to later times.

    Raises
    ------
    TagFileError
        If the segment cannot be read.
    """
    if not spans:
        return None
    period, number = counts.gates.period, counts.trials.number
    missing = counts.quality.missing_syncs
    trials = []
    for span in spans:
        first = min(ceil(span.begin / period - 1e-6), number)
        trials.append((first, max(first, min(floor(span.end / period + 1e-6) - missing, number))))
    clicks = clicks_between(segment, counts.gates, trials)
    return [
        Part(span.setting, first, end, rows)
        for span, (first, end), rows in zip(spans, trials, clicks.tolist(), strict=True)
    ]
