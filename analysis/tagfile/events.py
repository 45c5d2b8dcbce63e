"""Decoded tags, and whether they fit a record layout.

The form for looking at, converting and simulating; counting never needs it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.layouts import MARKER, SYNC, RecordLayout


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Events:
    """Decoded tags in file order, overflow records resolved and removed.

    Attributes
    ----------
    time : ndarray of int64, shape (n,)
        T2: ticks since the start of the measurement. T3: sync number since the start (the
        trial), counted from 0 as in the records.
    dtime : ndarray of int32 or None, shape (n,)
        T3: start-stop bin after that sync. None in T2.
    channel : ndarray of uint8, shape (n,)
        Input channel as it stands in the file (0-62), ``SYNC`` (64) for T2 sync records,
        ``MARKER + bits`` (65-79) for markers.
    """

    time: NDArray[np.int64]
    dtime: NDArray[np.int32] | None
    channel: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.time)


MAX_TIME = 1 << 62
"""Largest time (ticks or syncs) in use: beyond it 64-bit sums would wrap."""


class EventError(ValueError):
    """An event does not fit a layout.

    Attributes
    ----------
    index : int
        Which event, counted from 0 in the block that was checked.
    rule : str
        What it must be, and what it is.
    """

    def __init__(self, index: int, rule: str) -> None:
        super().__init__(index, rule)
        self.index = index
        self.rule = rule

    def __str__(self) -> str:
        return f"event {self.index}: {self.rule}"


def check_events(events: Events, layout: RecordLayout) -> NDArray[np.int64]:
    """Check that events fit the layout and return their dtime (0 in T2).

    Raises
    ------
    EventError
        For the first event with a time, dtime or channel that the layout cannot hold.
    ValueError
        If the arrays differ in length, or `dtime` is there in T2 or missing in T3.
    """
    time, channel = np.asarray(events.time), np.asarray(events.channel)
    if layout.mode == "T3" and events.dtime is None:
        message = f"events for {layout} must have `dtime`, but it is None"
        raise ValueError(message)
    if layout.mode == "T2" and events.dtime is not None:
        message = f"events for {layout} must not have `dtime`; T2 has times only"
        raise ValueError(message)
    dtime = np.zeros(len(time), np.int64) if events.dtime is None else np.asarray(events.dtime)
    if not len(time) == len(channel) == len(dtime):
        message = (
            "`time`, `dtime` and `channel` must have the same length, but have "
            f"{len(time)}, {len(dtime)} and {len(channel)}"
        )
        raise ValueError(message)
    if len(time):
        _check_range("time", time, MAX_TIME)
        _check_range("dtime", dtime, max(layout.dtime_bins, 1) - 1)
        if channel.max() > layout.max_channel or channel.min() < 0:
            _check_channels(time, dtime, channel, layout)
    return dtime.astype(np.int64)


def _check_range(name: str, values: NDArray[np.integer], largest: int) -> None:
    if values.min() < 0 or values.max() > largest:
        wrong = (values < 0) | (values > largest)
        _refuse(wrong, values, f"{name} must be 0 to {largest}")


def _check_channels(
    time: NDArray[np.integer],
    dtime: NDArray[np.integer],
    channel: NDArray[np.integer],
    layout: RecordLayout,
) -> None:
    is_marker = (channel > MARKER) & (channel <= MARKER + 15)
    has_sync = layout.family == "hydra" and layout.mode == "T2"
    valid = (channel >= 0) & (channel <= layout.max_channel) | is_marker
    rule = f"channel must be 0 to {layout.max_channel}, or a marker (65 to 79)"
    if has_sync:
        valid |= channel == SYNC
        rule += f", or a sync ({SYNC})"
    _refuse(~valid, channel, f"{rule} in {layout}")
    if layout.family == "pico":
        bits = channel.astype(np.int64) - MARKER
        coarse = is_marker & ((time % 16 != bits) if layout.mode == "T2" else (dtime != 0))
        rule = (
            "a marker's time must hold the marker bits in its lowest four bits"
            if layout.mode == "T2"
            else "a marker must have dtime 0"
        )
        _refuse(coarse, time if layout.mode == "T2" else dtime, f"{rule} in {layout}")


def _refuse(wrong: NDArray[np.bool_], values: NDArray[np.integer], rule: str) -> None:
    if wrong.any():
        index = int(np.argmax(wrong))
        raise EventError(index, f"{rule}, but is {int(values[index])}")
