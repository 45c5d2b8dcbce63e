"""Between events in device units and absolute times in whole picoseconds, without loss.

T2: time_ps = ticks · resolution. T3: time_ps = nsync · sync_period + dtime · resolution, rounded
to whole picoseconds; a trial's number and its dtime bin follow back by division as long as dtime
stays within the sync period.
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.events import MAX_TIME, EventError, Events

MAX_DTIME = np.iinfo(np.int32).max
Times = NDArray[np.int64]


class InexactTimeError(EventError):
    """A time cannot be given exactly in another unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A time unit in picoseconds, split so that long products stay exact in 64 bits.

    Attributes
    ----------
    whole : int
    part : float
        Between 0 and 1, and 0 for a whole number of picoseconds.
    """

    whole: int
    part: float

    @classmethod
    def of(cls, seconds: float) -> "Unit":
        """Take the decimal number that is written, so that 50e-6 s is exactly 50000000 ps."""
        exact = Decimal(repr(seconds)).scaleb(12)
        whole = int(exact)
        return cls(whole=whole, part=float(exact - whole))

    def __float__(self) -> float:
        return self.whole + self.part


def to_picoseconds(events: Events, acquisition: Acquisition, *, round_times: bool = False) -> Times:
    """Return absolute times in ps.

    Parameters
    ----------
    events : Events
    acquisition : Acquisition
        Their units.
    round_times : bool, optional
        Accept that the events cannot be recovered exactly.

    Raises
    ------
    InexactTimeError
        If an event cannot be recovered from its time in ps, unless `round_times`.
    """
    times = _times(events, acquisition)
    if not round_times:
        back = _events(times, events.channel, acquisition)
        lost = back.time != events.time
        if events.dtime is not None and back.dtime is not None:
            lost |= back.dtime != events.dtime
        if lost.any():
            index = int(np.argmax(lost))
            rule = (
                f"tag ({_describe(events, index)}) must follow back from its time in whole "
                f"picoseconds, but {times[index]} ps gives ({_describe(back, index)})"
            )
            raise InexactTimeError(index, rule)
    return times


def from_picoseconds(
    times_ps: Times,
    channel: NDArray[np.uint8],
    acquisition: Acquisition,
    *,
    round_times: bool = False,
) -> Events:
    """Return events in device units.

    Parameters
    ----------
    times_ps : ndarray of int64
    channel : ndarray of uint8
    acquisition : Acquisition
        The units to use.
    round_times : bool, optional
        Round to the nearest tick or bin where a time lies between.

    Raises
    ------
    EventError
        If a time is negative or too large.
    InexactTimeError
        If a time is no whole number of ticks or bins, unless `round_times`.
    """
    outside = (times_ps < 0) | (times_ps > MAX_TIME)
    if outside.any():
        index = int(np.argmax(outside))
        raise EventError(index, f"time_ps must be 0 to {MAX_TIME}, but is {times_ps[index]}")
    events = _events(times_ps, channel, acquisition)
    if not round_times:
        between = _times(events, acquisition) != times_ps
        if between.any():
            index = int(np.argmax(between))
            unit = float(Unit.of(acquisition.resolution))
            rule = (
                f"time_ps must be a whole number of steps of {unit:.9g} ps, "
                f"but is {times_ps[index]}"
            )
            raise InexactTimeError(index, rule)
    return events


def _times(events: Events, acquisition: Acquisition) -> Times:
    resolution = Unit.of(acquisition.resolution)
    if acquisition.mode == "T2":
        return _scale(events.time, resolution, 0.0)
    period = Unit.of(acquisition.sync_period or 0.0)
    bins = np.asarray(events.dtime, dtype=np.float64)
    return _scale(events.time, period, bins * float(resolution))


def _scale(count: Times, unit: Unit, extra: NDArray[np.float64] | float) -> Times:
    """Return count · unit + extra, rounded to whole ps; products of integers stay integers."""
    _check_range(count, unit)
    times: Times = np.rint(count * unit.part + extra).astype(np.int64)
    times += count * unit.whole
    return times


def _check_range(count: Times, unit: Unit) -> None:
    limit = int(MAX_TIME / max(float(unit), 1.0)) - 1
    beyond = count > limit
    if beyond.any():
        index = int(np.argmax(beyond))
        rule = f"time must be at most {limit} to be given in ps, but is {count[index]}"
        raise EventError(index, rule)


def _events(times_ps: Times, channel: NDArray[np.uint8], acquisition: Acquisition) -> Events:
    resolution = Unit.of(acquisition.resolution)
    if acquisition.mode == "T2":
        ticks, rest = _divide(times_ps, resolution, 0.5 * float(resolution))
        ticks += rest >= 0.5 * float(resolution)
        return Events(time=ticks, dtime=None, channel=channel)
    period = Unit.of(acquisition.sync_period or 0.0)
    # A time rounded down by up to half a picosecond still belongs to the sync it starts with.
    nsync, rest = _divide(times_ps, period, 0.5)
    bins = np.rint(np.clip(rest / float(resolution), 0, MAX_DTIME))
    return Events(time=nsync, dtime=bins.astype(np.int32), channel=channel)


def _divide(times_ps: Times, unit: Unit, slack: float) -> tuple[Times, NDArray[np.float64]]:
    """Return how often the unit fits, and what remains in ps (from -slack if it has a part)."""
    if unit.part == 0.0:
        count, rest = np.divmod(times_ps, unit.whole)
        return count, rest.astype(np.float64)
    count = np.floor(times_ps / float(unit)).astype(np.int64)
    for _ in range(2):
        remainder = (times_ps - count * unit.whole) - count * unit.part
        count += (remainder >= float(unit) - slack).astype(np.int64)
        count -= (remainder < -slack).astype(np.int64)
    np.maximum(count, 0, out=count)
    return count, (times_ps - count * unit.whole) - count * unit.part


def _describe(events: Events, index: int) -> str:
    if events.dtime is None:
        return f"{events.time[index]} ticks"
    return f"sync {events.time[index]}, bin {events.dtime[index]}"
