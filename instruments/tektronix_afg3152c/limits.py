"""What a Tektronix AFG3152C can make and what is connected to it bears."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Self

import numpy as np
from numpy.typing import NDArray

from instruments.roles import PulseShape

SOURCE_OHMS = 50.0
FULL_CODE = 16382
MAX_POINTS = 131_072
FAST_POINTS = 16_383
FAST_RATE, SLOW_RATE = 1e9, 250e6
"""Up to so many points play at the fast rate (samples per second), more at the slow one."""
FREQUENCIES = (1e-6, 150e6)
ARBITRARY_FREQUENCIES = (1e-3, 75e6)
_OTHER_FREQUENCIES = (1e-6, 1.5e6)
SHAPE_FREQUENCIES = {
    "SIN": FREQUENCIES,
    "SQU": ARBITRARY_FREQUENCIES,
    "PULS": ARBITRARY_FREQUENCIES,
    **dict.fromkeys(("USER1", "USER2", "USER3", "USER4", "EMEM", "EMEM2"), ARBITRARY_FREQUENCIES),
}
"""Hz by waveform; all others go up to 1.5 MHz."""
WIDTHS = (5e-9, 999.99)
PERIODS = (1 / 75e6, 1e3)
MAX_EDGE, MAX_DELAY = 625.0, 85.0
"""Of pulses, s."""
MIN_SPAN, MAX_SPAN, MAX_MIDDLE = 0.02, 10.0, 5.0
"""High minus low, and the middle of the levels, V into 50 Ω."""
FAST_SPAN, FAST_SPAN_FROM = 8.0, 100e6
"""Largest high minus low above a frequency (Hz), V into 50 Ω."""
EDGE_IN_WIDTH, EDGE_IN_PERIOD = 0.625, 0.8
"""A width is at least so many times both edges; width and so many times both fit in a period."""
HALF_EDGE = 0.625
"""Start of an edge to its middle, over its 10 % to 90 % time: 0.5 / 0.8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveLimits:
    """What is connected to a channel, and what it bears.

    Attributes
    ----------
    load : float
        Ω that is really connected (``inf``: high impedance). The generator only rescales its
        numbers by the load that it is told: 50 Ω declared into an open end gives twice the volts.
    low, high : float
        Lowest and highest voltage at that load, V.
    """

    load: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not (1 <= self.load <= 10e3 or self.load == inf):
            message = f"`load` must be 1 to 10 000 Ω or inf, but is {self.load}"
            raise ValueError(message)
        if not self.low < self.high:
            message = f"`low` must be below `high`, but they are {self.low} V and {self.high} V"
            raise ValueError(message)

    @classmethod
    def from_plain(cls, plain: Mapping[str, float]) -> Self:
        """Read limits from a mapping, as in a station file; none has a default."""
        names = {field.name for field in fields(cls)}
        if set(plain) != names:
            message = f"limits of a channel must give load, low and high, but give {sorted(plain)}"
            raise ValueError(message)
        return cls(**{name: float(value) for name, value in plain.items()})

    @property
    def scale(self) -> float:
        """Voltage at the load over voltage at 50 Ω: 2 R / (R + 50 Ω)."""
        return 2.0 if self.load == inf else 2 * self.load / (self.load + SOURCE_OHMS)

    def check_levels(self, where: str, low: float, high: float) -> None:
        """Raise ValueError, naming the channel `where`, unless levels (V at the load) are allowed.

        The generator makes 20 mV to 10 V peak to peak around a middle of up to ±5 V, into 50 Ω.
        """
        if not self.low <= low < high <= self.high:
            message = (
                f"{where}: levels must lie within {self.low:g} to {self.high:g} V, low below "
                f"high, but are {low:g} and {high:g} V"
            )
            raise ValueError(message)
        span, middle = high - low, (high + low) / 2
        if not MIN_SPAN * self.scale - 1e-9 <= span <= MAX_SPAN * self.scale + 1e-9:
            message = (
                f"{where}: high − low must be {MIN_SPAN * self.scale:g} to "
                f"{MAX_SPAN * self.scale:g} V into {self.load:g} Ω, but is {span:g} V"
            )
            raise ValueError(message)
        if abs(middle) > MAX_MIDDLE * self.scale:
            message = (
                f"{where}: the middle of the levels must be within ±{MAX_MIDDLE * self.scale:g} V, "
                f"but is {middle:g} V"
            )
            raise ValueError(message)

    def code_range(self, samples: NDArray[np.float64]) -> tuple[float, float]:
        """Return levels of the lowest and highest code: at least 20 mV into 50 Ω apart."""
        low, high = float(samples.min()), float(samples.max())
        span = max(high - low, MIN_SPAN * self.scale)
        if low + span <= self.high:
            return low, low + span
        return high - span, high


def encode_samples(samples: NDArray[np.float64], low: float, high: float) -> bytes:
    """Return samples (V) as big-endian 16-bit words: 0 at `low`, 16382 at `high`."""
    codes = np.rint((samples - low) / (high - low) * FULL_CODE)
    return codes.astype(">u2").tobytes()


def check_waveform(where: str, samples: NDArray[np.float64], sample_rate: float) -> None:
    """Raise ValueError, naming the channel `where`, unless points and rate can be played."""
    if samples.ndim != 1 or not 2 <= samples.size <= MAX_POINTS or not np.isfinite(samples).all():
        message = (
            f"{where}: `samples` must be 2 to {MAX_POINTS} finite volts in one row, "
            f"but has shape {samples.shape}"
        )
        raise ValueError(message)
    fastest = FAST_RATE if samples.size <= FAST_POINTS else SLOW_RATE
    if not 0 < sample_rate <= fastest * (1 + 1e-9):
        message = (
            f"{where}: `sample_rate` must be up to {fastest:g} per s for {samples.size} points, "
            f"but is {sample_rate:g}"
        )
        raise ValueError(message)
    check_frequency(where, "USER1", sample_rate / samples.size)


def check_frequency(where: str, shape: str, hertz: float) -> None:
    """Raise ValueError, naming the channel `where`, unless a waveform can be repeated so often."""
    low, high = SHAPE_FREQUENCIES.get(shape, _OTHER_FREQUENCIES)
    if not low * (1 - 1e-9) <= hertz <= high * (1 + 1e-9):
        message = (
            f"{where}: `frequency` must be {low:g} to {high:g} Hz for the waveform {shape}, "
            f"but is {hertz:g} Hz"
        )
        raise ValueError(message)


def check_span(where: str, span: float, hertz: float) -> None:
    """Raise ValueError unless high minus low (V into 50 Ω) can be made at a frequency."""
    if hertz > FAST_SPAN_FROM and span > FAST_SPAN + 1e-9:
        message = (
            f"{where}: high − low must be up to {FAST_SPAN:g} V into 50 Ω above "
            f"{FAST_SPAN_FROM:g} Hz, but is {span:g} V at {hertz:g} Hz"
        )
        raise ValueError(message)


def check_pulse(where: str, width: float, period: float, lead: float, trail: float) -> None:
    """Raise ValueError unless width, period and edges (s) of a pulse fit each other."""
    edges = lead + trail
    shortest, longest = EDGE_IN_WIDTH * edges, period - EDGE_IN_PERIOD * edges
    if not shortest * (1 - 1e-9) <= width <= longest * (1 + 1e-9):
        message = (
            f"{where}: the pulse width must be {shortest:g} to {longest:g} s with edges of "
            f"{lead:g} and {trail:g} s and a period of {period:g} s, but is {width:g} s"
        )
        raise ValueError(message)


def burst_delay(where: str, pulse: PulseShape, latency: float) -> float:
    """Return the trigger delay that puts the middle of the leading edge at ``pulse.delay``.

    A burst begins half an edge, 0.625 of its 10 % to 90 % time, before that middle, and `latency`
    after the trigger.

    Raises
    ------
    ValueError
        If the pulse is too narrow for its edges, or begins before the generator can react.
    """
    shortest = max(WIDTHS[0], 2 * HALF_EDGE * pulse.edge)
    if not shortest <= pulse.width <= WIDTHS[1]:
        message = (
            f"{where}: `width` must be {shortest:g} to {WIDTHS[1]:g} s with edges of "
            f"{pulse.edge:g} s, but is {pulse.width:g} s"
        )
        raise ValueError(message)
    earliest = HALF_EDGE * pulse.edge + latency
    if not -0.5e-10 <= pulse.delay - earliest <= MAX_DELAY:
        message = (
            f"{where}: `delay` must be at least {earliest:g} s (trigger latency and half an edge) "
            f"and at most {MAX_DELAY:g} s, but is {pulse.delay:g} s"
        )
        raise ValueError(message)
    return max(pulse.delay - earliest, 0.0)
