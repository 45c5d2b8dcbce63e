"""A servo: its settings, what it sees and does, and its port."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSettings:
    """A servo: output = clip(P·(ε + I ∫ε dt + D dε/dt) + offset), ε = set-point − measured.

    Attributes
    ----------
    engaged : bool
        Loop closed; open, the output is `manual_output`.
    gain : float
        P with its sign, V/V; 0 for an integrator-only loop is not possible here, as in a SIM960.
    proportional : bool
        Whether ε itself is summed (the P switch).
    integral_rate : float
        I in 1/s, 0 if off; multiplied by `gain`.
    derivative_time : float
        D in s, 0 if off; multiplied by `gain`.
    offset, manual_output, setpoint : float
        V.
    low, high : float
        Output limits, V.
    """

    engaged: bool = False
    gain: float = 1.0
    proportional: bool = True
    integral_rate: float = 0.0
    derivative_time: float = 0.0
    offset: float = 0.0
    manual_output: float = 0.0
    setpoint: float = 0.0
    low: float = -10.0
    high: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReading:
    """What a servo sees and does.

    Attributes
    ----------
    measured : float
        Error signal at the input, V.
    output : float
        V.
    limit : {-1, 0, 1}
        Output at its lower limit, free, or at its upper limit.
    """

    measured: float
    output: float
    limit: Literal[-1, 0, 1]


def _open_loop(settings: LockSettings) -> LockReading:
    """Return the reading of a servo with nothing connected to its input."""
    output = min(max(settings.manual_output, settings.low), settings.high)
    return LockReading(measured=0.0, output=output, limit=0)


@dataclass(slots=True, kw_only=True)
class LockPort:
    """A servo between the fringe detector and the fibre stretcher; the world integrates the loop.

    Attributes
    ----------
    settings : LockSettings
        Change with `configure`. To engage without a step publish ``engaged=True`` with an integral
        rate above 0: the integrator then starts from the present output. Released, the output
        goes to `manual_output`: publish the present output there to hold it.
    reader, listener : callable
        Set by the world.
    """

    settings: LockSettings = field(default_factory=LockSettings)
    reader: Callable[[LockSettings], LockReading] = _open_loop
    listener: Callable[[LockSettings], None] = lambda _: None

    def configure(self, settings: LockSettings) -> None:
        """Publish settings; they act from now on."""
        self.settings = settings
        self.listener(settings)

    def read(self) -> LockReading:
        """Read the servo's input and output now."""
        return self.reader(self.settings)
