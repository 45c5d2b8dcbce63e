"""Virtual time: what takes hours in the lab takes no longer than it takes to compute."""

import heapq
from collections.abc import Callable, Iterator
from itertools import count
from math import isfinite
from threading import RLock

Observer = Callable[[float, float], None]
Action = Callable[[], None]
RAMP_STEPS = 20


class VirtualClock:
    """Time of the virtual lab in seconds; it moves only when someone lets it pass.

    Simulated devices let their latencies elapse with `advance` (motions, ramps, measuring times)
    and never sleep. Settings are constant while time passes, because they change only between two
    advances: an observer may take the interval it is given as one piece.

    Thread-safe: `lock` is held while time passes; hold it to change several settings at once.

    Parameters
    ----------
    start : float
        First reading, s.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.lock = RLock()
        self._now = start
        self._moving = False
        self._observers: list[Observer] = []
        self._agenda: list[tuple[float, int, Action]] = []
        self._order = count()

    def now(self) -> float:
        """Return the present time in s."""
        return self._now

    def subscribe(self, observer: Observer) -> None:
        """Let ``observer(start, stop)`` live through every interval of time, in order."""
        with self.lock:
            self._observers.append(observer)

    def at(self, time: float, action: Action) -> None:
        """Run `action` when the clock reaches `time` (at once in the past: at the next advance)."""
        with self.lock:
            heapq.heappush(self._agenda, (time, next(self._order), action))

    def advance(self, seconds: float) -> None:
        """Let time pass; observers live through it, agenda items happen at their time.

        Raises
        ------
        ValueError
            If `seconds` is negative or not finite.
        RuntimeError
            If called by an observer or an action: time does not pass within time.
        """
        if not (isfinite(seconds) and seconds >= 0):
            message = f"`seconds` must be finite and ≥ 0, but is {seconds}"
            raise ValueError(message)
        with self.lock:
            if self._moving:
                message = "the clock must not be advanced from within an observer or an action"
                raise RuntimeError(message)
            self._moving = True
            try:
                self._move_to(self._now + seconds)
            finally:
                self._moving = False

    def ramp(self, start: float, end: float, seconds: float) -> Iterator[float]:
        """Let `seconds` pass in 20 steps; after each, give where a linear ramp has come to."""
        for step in range(1, RAMP_STEPS + 1):
            self.advance(seconds / RAMP_STEPS)
            yield start + (end - start) * step / RAMP_STEPS

    def _move_to(self, end: float) -> None:
        while self._agenda and self._agenda[0][0] <= end:
            time, _, action = heapq.heappop(self._agenda)
            self._pass_until(max(time, self._now))
            action()
        self._pass_until(end)

    def _pass_until(self, stop: float) -> None:
        if stop > self._now:
            for observer in self._observers:
                observer(self._now, stop)
            self._now = stop
