"""What is moved while one recording runs: the settings of a scan, one after another."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from labkit.run import RecordWriter
from labkit.run.parts import Span
from labkit.station.ending import said
from labkit.station.interlocks import InterlockError

SETTLING = 0.2
"""Seconds of the recording, after something has moved, whose light belongs to no setting."""

SHORTEST = 0.5
"""Part of its time that a setting must have had to count."""


class MoveError(RuntimeError):
    """What was to move while a recording runs did not; `__cause__` says why."""


@dataclass(slots=True, kw_only=True)
class Moves:
    """Settings that a recording goes through in equal times.

    When each began and ended is noted in the block's record, by the tagger's clock: it is asked
    once all has moved, and what comes while something moves, or settles, belongs to no setting.
    Whoever looks late lets the settings after have less time, down to half; those that are not
    reached before the recording ends are missing from its record.

    Attributes
    ----------
    settings : sequence of mapping of str to float
        The first must be set already.
    move : callable
        Sets one.
    seconds : float
        Time of each, with what it takes to settle.
    elapsed : callable
        Returns the time of the recording, s.
    told : callable
        Given the index of each setting once it is reached.
    """

    settings: Sequence[Mapping[str, float]]
    move: Callable[[Mapping[str, float]], object]
    seconds: float
    elapsed: Callable[[], float]
    told: Callable[[int], object] = lambda _: None
    _now: int = 0
    _begin: float = field(default=SETTLING)

    @property
    def total(self) -> float:
        """Seconds of all settings."""
        return self.seconds * len(self.settings)

    def between(
        self, watch: Callable[[float], float], writer: RecordWriter
    ) -> Callable[[float], float]:
        """Return what looks as `watch` does, and moves on where a setting has had its time."""

        def look(seconds: float) -> float:
            due = watch(seconds)
            if seconds >= self._end:
                self._note(seconds, writer)
                self._now += 1
                self._set(self.settings[self._now])
                self._begin = self.elapsed() + SETTLING
                self.told(self._now)
            return min(due, self._end)

        return look

    def _set(self, setting: Mapping[str, float]) -> None:
        try:
            self.move(setting)
        except InterlockError:
            raise
        except Exception as error:
            message = f"what was to move while it was recorded did not: {said(error)}"
            raise MoveError(message) from error

    def finish(self, seconds: float, writer: RecordWriter) -> None:
        """Note the last setting of a recording that has ended by itself after so many seconds."""
        self._note(seconds, writer)

    @property
    def _end(self) -> float:
        """When the present setting will have had its time; the last one lasts to the end."""
        if self._now + 1 == len(self.settings):
            return inf
        return max(self.seconds * (self._now + 1), self._begin + SHORTEST * self.seconds)

    def _note(self, seconds: float, writer: RecordWriter) -> None:
        setting = dict(self.settings[self._now])
        writer.part(Span(setting, min(self._begin, seconds), seconds))
