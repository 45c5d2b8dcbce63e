"""Delays of detectors and gates before the trial's start, laid on a file's grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf

from analysis.gates import GateSet
from analysis.tagfile.layouts import RecordLayout

_MOST_TICKS = 1 << 52


def first_tick(time: float, resolution: float) -> int:
    """Return the smallest tick k with k · resolution >= time.

    A time within 1e-6 tick of a tick is that tick: 123e-9 / 250e-12 is 492.00000000000006 in
    floating point, but means tick 492.
    """
    ticks = time / resolution
    nearest = round(ticks)
    return nearest if abs(ticks - nearest) < 1e-6 else ceil(ticks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shifts:
    """By how many ticks clicks move before they are gated.

    Attributes
    ----------
    lead : int
        Ticks from where the timeline of a trial begins to the trial's start.
    looked_up : dict of int to int
        By detector: added to a click's time after the trial's start.
    moved : dict of int to int
        By channel: added to a click's time before it is known which trial it belongs to. Empty
        unless a window reaches into the trial before or after.
    """

    lead: int
    looked_up: Mapping[int, int]
    moved: Mapping[int, int]


def find_shifts(
    gates: GateSet, layout: RecordLayout, resolution: float, *, sync_period: float | None = None
) -> Shifts:
    """Lay delays, and gates that begin before their trial, on ticks of `resolution` seconds.

    A delay is rounded to whole ticks.

    Raises
    ------
    ValueError
        If gates and delays together do not fit into one period, or a gate needs clicks that a T3
        file does not hold.
    """
    delays = {n: round(gates.delays.get(n, 0.0) / resolution) for n in gates.detectors}
    period = gates.period if layout.mode == "T2" or sync_period is None else sync_period
    if not max(period, gates.period) / resolution < _MOST_TICKS:
        message = (
            f"a period of {max(period, gates.period):g} s must be fewer than 2**52 of the file's "
            f"ticks of {resolution:g} s: the header's resolution is corrupt"
        )
        raise ValueError(message)
    last = ceil(period / resolution - 1e-6)
    first_start, first_raw, last_raw, last_stop = inf, inf, -inf, -inf
    for gate in gates.gates:
        for number, delay in delays.items():
            start, stop = (first_tick(time, resolution) for time in gate.window(number))
            first_start, first_raw = min(first_start, start), min(first_raw, start - delay)
            last_raw, last_stop = max(last_raw, stop - delay), max(last_stop, stop)
    lead = max(0, -int(first_start))
    if first_raw >= 0 and last_raw <= max(last, last_stop):
        looked_up = {number: delay + lead for number, delay in delays.items()}
        return Shifts(lead=lead, looked_up=looked_up, moved={})
    lead = max(lead, -min(delays.values()))
    _check_moved(gates, layout, resolution, last=last, stop=int(last_stop) + lead)
    return Shifts(
        lead=lead,
        looked_up=dict.fromkeys(delays, 0),
        moved={gates.detectors[number]: delay + lead for number, delay in delays.items()},
    )


def _check_moved(
    gates: GateSet, layout: RecordLayout, resolution: float, *, last: int, stop: int
) -> None:
    if layout.mode == "T3" and last > layout.dtime_bins:
        message = (
            "a gate reaches into the trial before or after, but clicks later than "
            f"{layout.dtime_bins * resolution:g} s are not in a T3 file of this resolution, whose "
            f"trials last {last * resolution:g} s: record with a coarser binning, or in T2"
        )
        raise ValueError(message)
    if stop > last:
        message = (
            f"gates and delays together must fit into one period of {gates.period:g} s, but take "
            f"{stop * resolution:g} s; let the trial begin elsewhere"
        )
        raise ValueError(message)
