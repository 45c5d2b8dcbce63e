"""Gates on a file's own time grid: which bin of the arrival histogram a tick belongs to."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from analysis.gates import GateSet

GATE_BINS = 128
GAP_BINS = 64
NO_GATE = -1


def first_tick(time: float, resolution: float) -> int:
    """Return the smallest tick k with k · resolution >= time.

    A time within 1e-6 tick of a tick is that tick: 123e-9 / 250e-12 is 492.00000000000006 in
    floating point, but means tick 492.
    """
    ticks = time / resolution
    nearest = round(ticks)
    return nearest if abs(ticks - nearest) < 1e-6 else ceil(ticks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """A trial cut into segments (gates and the gaps around them), each cut into bins.

    Bin edges coincide with gate edges, so that a click's bin alone says whether it is in a gate,
    and the clicks in a gate are a slice of the histogram.

    Attributes
    ----------
    starts : ndarray of int64, shape (segments + 1,)
        First tick of each segment, then the first tick that is in none.
    widths : ndarray of int64, shape (segments,)
        Ticks per bin; a segment's last bin may be narrower.
    first_bins : ndarray of int64, shape (segments + 1,)
        Number of the first bin of each segment, then the number of bins.
    gate_of_bin : ndarray of int8, shape (bins + 1,)
        Gate index or ``NO_GATE``; the last entry is for clicks beyond all segments.
    """

    starts: NDArray[np.int64]
    widths: NDArray[np.int64]
    first_bins: NDArray[np.int64]
    gate_of_bin: NDArray[np.int8]

    @property
    def n_bins(self) -> int:
        """Number of bins (the one beyond all segments not counted)."""
        return int(self.first_bins[-1])

    def bin_of(self, ticks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bin of each tick after the trial's start; ``n_bins`` beyond all segments."""
        segment = np.searchsorted(self.starts, ticks, side="right") - 1
        inside = (segment >= 0) & (segment < len(self.widths))
        segment = np.where(inside, segment, 0)
        bins = self.first_bins[segment] + (ticks - self.starts[segment]) // self.widths[segment]
        return np.where(inside, bins, self.n_bins)

    def edges(self, resolution: float) -> NDArray[np.float64]:
        """Return bin edges in seconds, shape (bins + 1,)."""
        pieces = [
            np.arange(start, stop, width)
            for start, stop, width in zip(
                self.starts[:-1], self.starts[1:], self.widths, strict=True
            )
        ]
        return np.concatenate([*pieces, self.starts[-1:]]) * resolution


def make_timeline(gates: GateSet, resolution: float, *, end: int | None = None) -> Timeline:
    """Lay `gates` on ticks of `resolution` seconds.

    Parameters
    ----------
    gates : GateSet
    resolution : float
        Seconds per tick (T2) or per dtime bin (T3).
    end : int, optional
        First tick that the file cannot hold (T3: number of dtime bins).

    Raises
    ------
    ValueError
        If a gate lies beyond `end`, or is narrower than one tick.
    """
    starts, widths, bins, gate_of_bin = [0], [], [], []

    def add(stop: int, gate: int) -> None:
        length = stop - starts[-1]
        if length == 0:
            return
        width = ceil(length / (GAP_BINS if gate == NO_GATE else GATE_BINS))
        widths.append(width)
        bins.append(ceil(length / width))
        gate_of_bin.extend([gate] * bins[-1])
        starts.append(stop)

    for index, gate in enumerate(gates.gates):
        first = first_tick(gate.start, resolution)
        stop = first_tick(gate.stop, resolution)
        _check_range(gate.name, first, stop, end, resolution)
        add(first, NO_GATE)
        add(stop, index)
    span = max(gate.stop - gate.start for gate in gates.gates)
    tail = starts[-1] + ceil(span / resolution)
    add(min(tail, end or tail, first_tick(gates.period, resolution)), NO_GATE)
    return Timeline(
        starts=np.array(starts, np.int64),
        widths=np.array(widths, np.int64),
        first_bins=np.cumsum([0, *bins]),
        gate_of_bin=np.array([*gate_of_bin, NO_GATE], np.int8),
    )


def _check_range(name: str, first: int, stop: int, end: int | None, resolution: float) -> None:
    if stop <= first:
        message = (
            f"gate {name!r} must be at least one tick of {resolution:g} s wide, but covers none"
        )
        raise ValueError(message)
    if end is not None and stop > end:
        message = (
            f"gate {name!r} must stop within the file's T3 range of {end} bins × {resolution:g} s "
            f"= {end * resolution:g} s, but stops at {stop * resolution:g} s; later clicks are not "
            "in the file: record with a coarser binning, or in T2"
        )
        raise ValueError(message)
