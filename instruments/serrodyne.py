"""Sawtooth waveforms for a phase modulator that shift light by an exact frequency.

A phase that rises as 2π f t, wrapped to a range of 2π, shifts light by f: the serrodyne method of
the remote-entanglement experiment (Nature 556, 473 (2018), supplement "Serrodyne frequency
shifting"). The wraps are unseen when the peak-to-peak drive is exactly 2 V_π and the fly-back is
fast against 1/f.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, pi

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRules:
    """Which segments and clocks a waveform generator takes; defaults: Agilent 81180A.

    Attributes
    ----------
    min_points, granularity : int
        Segment lengths are multiples of `granularity`, at least `min_points`.
    min_rate, max_rate : float
        Samples per second.
    rate_digits : int
        Significant digits of the sample clock.
    """

    min_points: int = 320
    granularity: int = 32
    min_rate: float = 10e6
    max_rate: float = 4.2e9
    rate_digits: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SerrodyneClock:
    """A segment of `points` samples that holds exactly `periods` periods of the sawtooth.

    Attributes
    ----------
    points, periods : int
    sample_rate : float
        Samples per second, ``shift_hz · points / periods``.
    """

    points: int
    periods: int
    sample_rate: float

    @property
    def duration(self) -> float:
        """Seconds that the segment takes."""
        return self.points / self.sample_rate


def serrodyne_clock(shift_hz: float, rules: SegmentRules | None = None) -> SerrodyneClock:
    """Return the shortest segment at the fastest clock that repeats a sawtooth without a gap.

    ``rate = shift · points / periods`` must be exact in the digits of the clock, so that the shift
    is exact and the phase runs on when the segment loops.

    Parameters
    ----------
    shift_hz : float
        Frequency shift, either sign.
    rules : SegmentRules, optional

    Returns
    -------
    SerrodyneClock

    Raises
    ------
    ValueError
        If no legal segment of up to 100 times the shortest length has that frequency exactly.

    Examples
    --------
    >>> serrodyne_clock(45e6)
    SerrodyneClock(points=1120, periods=12, sample_rate=4200000000.0)
    """
    rules = rules or SegmentRules()
    shift = abs(shift_hz)
    if not (isfinite(shift) and 0 < shift <= rules.max_rate / 4):
        message = (
            f"`shift_hz` must be up to a quarter of the fastest clock, {rules.max_rate / 4:g} Hz, "
            f"and not 0, but is {shift_hz}"
        )
        raise ValueError(message)
    best = max(_legal_clocks(Fraction(shift), rules), key=_preference, default=None)
    if best is None:
        message = (
            f"`shift_hz` must fit a whole number of times into a legal segment at a clock of "
            f"{rules.rate_digits} digits, but {shift_hz} does not; round it to 4 digits"
        )
        raise ValueError(message)
    return best


def _preference(clock: SerrodyneClock) -> tuple[float, int]:
    return clock.sample_rate, -clock.points


def _legal_clocks(shift: Fraction, rules: SegmentRules) -> Iterator[SerrodyneClock]:
    lowest, highest = Fraction(rules.min_rate), Fraction(rules.max_rate)
    for points in range(rules.min_points, 100 * rules.min_points + 1, rules.granularity):
        # Only the fewest periods give the fastest clock for this length.
        periods = -(-shift * points // highest)
        rate = shift * points / periods
        if rate >= lowest and _has_digits(rate, rules.rate_digits):
            yield SerrodyneClock(points=points, periods=int(periods), sample_rate=float(rate))


def _has_digits(rate: Fraction, digits: int) -> bool:
    """Tell whether a rate is exact in so many significant decimal digits."""
    return Fraction(f"{float(rate):.{digits - 1}e}") == rate


def serrodyne_samples(
    shift_hz: float,
    clock: SerrodyneClock,
    *,
    v_pi: float,
    gain: float,
    phase: float = 0.0,
    flyback: float = 0.0,
) -> NDArray[np.float64]:
    """Return generator voltages of a sawtooth that shifts light by `shift_hz`.

    The optical phase is ``wrap(2π shift t + phase)`` in [−π, π), as volts
    ``V(t) = φ(t) V_π / (π gain)``. Over `flyback` seconds before each wrap it returns linearly
    instead of at once; light in that time is not shifted.

    Parameters
    ----------
    shift_hz : float
        Frequency shift; negative: the sawtooth falls.
    clock : SerrodyneClock
        Of `serrodyne_clock`.
    v_pi : float
        Voltage at the modulator for a phase of π, V. No default: it is the modulator's own.
    gain : float
        Voltage gain from generator into 50 Ω to modulator, with the sign of the amplifier.
    phase : float
        Starting phase of the sawtooth, rad: the constant phase added to the light.
    flyback : float
        Time of the return, s; 0: within one sample.

    Returns
    -------
    ndarray of float64, shape (points,)
        V into 50 Ω, peak to peak 2 V_π / |gain| and no more.

    Raises
    ------
    ValueError
        If `v_pi` or `gain` is no possible value, the clock is that of another frequency, or the
        fly-back is as long as the period.
    """
    _check_modulator(v_pi, gain)
    if not np.isclose(clock.periods * clock.sample_rate / clock.points, abs(shift_hz), rtol=1e-12):
        message = f"`clock` must be that of {shift_hz} Hz, but is {clock}"
        raise ValueError(message)
    lost = flyback * abs(shift_hz)
    if not 0 <= lost < 1:
        message = f"`flyback` must be 0 to {1 / abs(shift_hz):g} s, but is {flyback:g} s"
        raise ValueError(message)
    turns = np.arange(clock.points) * clock.periods % clock.points / clock.points
    rising = 1.0 if shift_hz > 0 else -1.0
    turns = rising * turns + phase / (2 * pi)
    # Into [−1/2, 1/2): a wrap falls on a sample exactly.
    wrapped: NDArray[np.float64] = turns - np.floor(turns + 0.5)
    if lost:
        wrapped = rising * _with_flyback(rising * wrapped, lost)
    return 2 * v_pi / gain * wrapped


def _with_flyback(turns: NDArray[np.float64], lost: float) -> NDArray[np.float64]:
    """Replace the last part `lost` of each rise from −1/2 to 1/2 by a linear return."""
    top = 0.5 - lost
    return np.interp(turns, [-0.5, top, 0.5], [-0.5, top, -0.5])


def _check_modulator(v_pi: float, gain: float) -> None:
    if not (isfinite(v_pi) and v_pi > 0):
        message = f"`v_pi` must be a voltage above 0, but is {v_pi}"
        raise ValueError(message)
    if not (isfinite(gain) and gain != 0):
        message = f"`gain` must be a number other than 0, but is {gain}"
        raise ValueError(message)
