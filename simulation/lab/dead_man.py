"""A relay in the interlock of both lasers that falls off if nobody kicks it any more."""

from time import monotonic

HOLD = 3.0
"""Seconds of real time that it holds after a kick: who kicks it lives in real time too."""

STEP = 1.0
"""V that its input must move by."""


class DeadManRelay:
    """Lets the lasers emit until it was kicked for the first time, then `hold` s after each kick.

    A kick is a step of its input, up or down: a voltage that is stuck is none.

    Parameters
    ----------
    hold : float
        s.
    """

    def __init__(self, hold: float = HOLD) -> None:
        self.hold = hold
        self._volts = 0.0
        self._kicked: float | None = None

    def apply(self, volts: float) -> None:
        """Put a voltage on its input."""
        if abs(volts - self._volts) >= STEP:
            self._kicked = monotonic()
        self._volts = volts

    def holds(self) -> bool:
        """Tell whether the lasers may emit."""
        return self._kicked is None or monotonic() - self._kicked <= self.hold
