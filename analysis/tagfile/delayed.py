"""A recording with the clicks of some channels moved to later times."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.codec import Decoder
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import Events
from analysis.tagfile.source import TagFileError, TagSource


class DelayedSource(EncodedSource):
    """A recording with the clicks of some channels moved to later times.

    A delay of all detectors by d lets a gate begin up to d before its trial: a gate [a, b) then
    stands for clicks in [a − d, b − d). T3 clicks that a delay moves beyond the sync period belong
    to a later sync, and those moved beyond what a T3 record holds are put into its last bin. A
    delayed click comes after an undelayed tag of the same time.

    Parameters
    ----------
    source : TagSource
        Tags in order of time.
    delays : mapping of int to float
        Seconds ≥ 0 by input channel as it stands in the file, rounded to the file's resolution.

    Raises
    ------
    ValueError
        If a delay is not allowed, or the sync period of a T3 file is not known.
    """

    def __init__(self, source: TagSource, delays: Mapping[int, float]) -> None:
        for channel, delay in delays.items():
            if not (isfinite(delay) and delay >= 0 and 0 <= channel <= source.layout.max_channel):
                message = (
                    f"delays must be >= 0 seconds on channels 0 to {source.layout.max_channel}, "
                    f"but channel {channel} has {delay!r}; to advance one detector, delay the "
                    "others and move the gates"
                )
                raise ValueError(message)
        super().__init__(source.path, Acquisition.of(source))
        self.format = source.format
        self.sync_divider, self.counts_syncs = source.sync_divider, source.counts_syncs
        self._source = source
        self._ticks = np.zeros(256, np.int64)
        for channel, delay in delays.items():
            self._ticks[channel] = round(delay / source.resolution)

    def read_events(self) -> Iterator[Events]:
        """Yield the moved events in order of time.

        Raises
        ------
        TagFileError
            If the file's tags are not in order of time.
        """
        decoder = Decoder(self._source.layout)
        held = _Tags.none(t3=self.layout.mode == "T3")
        last = 0
        for block in self._source.blocks():
            events = decoder.decode(block)
            if not len(events):
                continue
            if events.time[0] < last or np.any(np.diff(events.time) < 0):
                message = (
                    f"{self.path}: tags must be in order of time to be delayed, but some run "
                    "backwards; see `labkit info`"
                )
                raise TagFileError(message)
            last = int(events.time[-1])
            held = held.merged(self._moved(events))
            done = int(
                np.searchsorted(held.events.time, last)
            )  # later tags can be as early as that
            yield held.part(slice(0, done)).events
            held = held.part(slice(done, None))
        yield held.events
        self.acquisition = replace(self.acquisition, end_time=decoder.overflow)

    def _moved(self, events: Events) -> "_Tags":
        ticks = self._ticks[events.channel]
        if events.dtime is None:
            moved = Events(time=events.time + ticks, dtime=None, channel=events.channel)
            return _Tags(moved, ticks > 0)
        period = (self.sync_period or 0.0) / self.resolution
        dtime = events.dtime + ticks
        syncs = np.where(ticks > 0, np.floor((dtime + 0.5) / period), 0).astype(np.int64)
        dtime = np.maximum(dtime - np.rint(syncs * period).astype(np.int64), 0)
        dtime = np.minimum(dtime, self.layout.dtime_bins - 1)
        moved = Events(
            time=events.time + syncs, dtime=dtime.astype(np.int32), channel=events.channel
        )
        return _Tags(moved, ticks > 0)


@dataclass(frozen=True, slots=True)
class _Tags:
    """Events, and which of them were delayed: those come after others of the same time."""

    events: Events
    delayed: NDArray[np.bool_]

    @classmethod
    def none(cls, *, t3: bool) -> "_Tags":
        dtime = np.empty(0, np.int32) if t3 else None
        empty = Events(time=np.empty(0, np.int64), dtime=dtime, channel=np.empty(0, np.uint8))
        return cls(empty, np.empty(0, np.bool_))

    def merged(self, later: "_Tags") -> "_Tags":
        a, b = self.events, later.events
        time, delayed = np.append(a.time, b.time), np.append(self.delayed, later.delayed)
        dtime = None
        if a.dtime is not None and b.dtime is not None:
            dtime = np.append(a.dtime, b.dtime)
        both = _Tags(
            Events(time=time, dtime=dtime, channel=np.append(a.channel, b.channel)), delayed
        )
        return both.part(np.lexsort((delayed, time)))

    def part(self, which: "slice | NDArray[np.intp]") -> "_Tags":
        each = self.events
        dtime = None if each.dtime is None else each.dtime[which]
        part = Events(time=each.time[which], dtime=dtime, channel=each.channel[which])
        return _Tags(part, self.delayed[which])
