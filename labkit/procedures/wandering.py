"""How far filters wander between tunings, learned from these: how much of an offset to believe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Protocol

FEWEST = 12
"""Offsets that must have been found before any is believed only in part."""

JUMP = 4.0
"""Standard deviations beyond which an offset is no wandering: it is believed as it is."""

LEAST = 0.3
"""Part of an offset that is believed in any case, so that filters are followed wherever they go."""


class Found(Protocol):
    """An offset as it was found, V."""

    @property
    def value(self) -> float:
        """By how much."""

    @property
    def sigma(self) -> float:
        """Its standard deviation."""


@dataclass(slots=True)
class Wandering:
    """The record of a run's tunings.

    A filter walks at random from where it was left. What is found then has an error of its own; the
    mean square of all offsets beyond these errors tells how fast filters walk (all alike, in widths
    of their lines), and both together which part of the next one to believe: a Kalman filter whose
    process noise is measured.
    """

    _left: dict[str, float] = field(default_factory=dict)
    _offsets: int = 0
    _walked: float = 0.0
    _seconds: float = 0.0

    @property
    def rate(self) -> float | None:
        """Variance per second of a filter's walk, in squared widths; None if not known yet."""
        if self._offsets < FEWEST or not self._seconds:
            return None
        return max(0.0, self._walked / self._seconds)

    def moves(
        self, found: Mapping[str, Found], widths: Mapping[str, float], seconds: float
    ) -> dict[str, float]:
        """Return by how much to move each filter, V; take the offsets into the record.

        Parameters
        ----------
        found : mapping of str to Found
        widths : mapping of str to float
            Full widths of the lines, V.
        seconds : float
            Since the last tuning.
        """
        rate = self.rate
        moved = {}
        for place, offset in found.items():
            width, own = widths[place], offset.sigma**2
            known = self._left.get(place)
            part = 1.0
            if known is not None and rate is not None:
                usual = known + rate * seconds * width**2
                if abs(offset.value) <= JUMP * sqrt(usual + own):
                    part = max(LEAST, usual / (usual + own))
            if known is not None:
                self._offsets += 1
                self._walked += (offset.value**2 - own - known) / width**2
                self._seconds += seconds
            self._left[place] = part * own
            moved[place] = part * offset.value
        return moved

    def scanned(self) -> None:
        """Note that filters were scanned: where they were left is not known as before."""
        self._left.clear()
