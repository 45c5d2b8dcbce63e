"""A tag file whose records stand a little out of order, read in order."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.codec import Decoder, Encoder
from analysis.tagfile.events import EventError, Events
from analysis.tagfile.source import BLOCK_RECORDS, Records, TagFileError, TagSource

HELD_EVENTS = 1 << 14
"""Tags that are held back so that later ones can still come before them."""

PART_OF_WRAP = 16
"""A step back of more than a wrap divided by this is taken for lost overflow records."""


class DisorderError(TagFileError):
    """Tags are so far out of order that sorting them cannot be trusted."""


class OrderedSource(TagSource):
    """The records of another source, sorted by time; tags of equal time keep their order.

    Devices that serve several inputs at once may write tags out of order. How far is documented
    for none that we know; but where overflow records are lost, every channel steps back. So tags
    are sorted where each channel is in order by itself, or steps back by no more than a sixteenth
    of a wrap.

    Parameters
    ----------
    source : TagSource

    Attributes
    ----------
    largest_step : int
        T2 ticks or T3 syncs by which a tag stood too late at most, as far as read.
    """

    def __init__(self, source: TagSource) -> None:
        for name in TagSource.__annotations__:
            setattr(self, name, getattr(source, name))
        self._source = source
        self._newest_of: dict[int, int] = {}
        self.largest_step = 0

    @property
    def n_records(self) -> int:
        """Number of records of the other source."""
        return self._source.n_records

    def blocks(
        self, start: int = 0, stop: int | None = None, *, size: int = BLOCK_RECORDS
    ) -> Iterator[Records]:
        """Yield all records in order; a part of them cannot be had.

        Raises
        ------
        DisorderError
            If they are too far out of order.
        ValueError
            If a part is asked for.
        """
        if start or stop not in (None, self.n_records):
            message = f"{self.path}: sorted records can only be read from the first to the last"
            raise ValueError(message)
        return self._blocks(size)

    def _blocks(self, size: int) -> Iterator[Records]:
        decoder, encoder = Decoder(self.layout), Encoder(self.layout)
        held: Events | None = None
        newest = done = -1
        self._newest_of.clear()
        for block in self._source.blocks(size=size):
            events = decoder.decode(block)
            if len(events) == 0:
                continue
            newest = self._check_steps(events, newest)
            held = events if held is None else _join(held, events)
            ready, held = _split(held)
            done = self._check_done(ready, done)
            yield from _cut(self._encode(encoder, ready), size)
        if held is not None:
            self._check_done(held, done)
            yield from _cut(self._encode(encoder, held), size)
        if decoder.overflow > encoder.overflow:
            yield from _cut(encoder.finish(decoder.overflow), size)

    def _encode(self, encoder: Encoder, events: Events) -> Records:
        try:
            return encoder.encode(events)
        except EventError as error:
            message = f"{self.path}: sorted tags cannot be written as records: {error.rule}"
            raise DisorderError(message) from None

    def _check_steps(self, events: Events, newest: int) -> int:
        """Look for steps back that are too long; return the latest time so far."""
        latest, step = _latest(events.time, newest)
        self.largest_step = max(self.largest_step, step)
        for channel in np.unique(events.channel).tolist():
            time = events.time[events.channel == channel]
            own, step = _latest(time, self._newest_of.get(channel, -1))
            self._newest_of[channel] = own
            if step > self.layout.wrap // PART_OF_WRAP:
                message = (
                    f"{self.path}: a tag is {step} {self._unit} earlier than one before it on the "
                    "same channel"
                )
                raise DisorderError(message)
        return latest

    def _check_done(self, ready: Events, done: int) -> int:
        if len(ready) == 0:
            return done
        if ready.time[0] < done:
            message = f"{self.path}: a tag stands more than {HELD_EVENTS} tags too late"
            raise DisorderError(message)
        return int(ready.time[-1])

    @property
    def _unit(self) -> str:
        return "ticks" if self.layout.mode == "T2" else "syncs"


def _latest(time: NDArray[np.int64], before: int) -> tuple[int, int]:
    """Return the latest time, and the longest step back, of times that follow on `before`."""
    latest = np.maximum.accumulate(np.concatenate([[before], time]))
    return int(latest[-1]), int((latest[:-1] - time).max())


def _cut(records: Records, size: int) -> Iterator[Records]:
    """Yield records in arrays of at most `size`."""
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _join(first: Events, second: Events) -> Events:
    """Return both in time order."""
    time = np.concatenate([first.time, second.time])
    order = np.argsort(time, kind="stable")
    dtime = None
    if first.dtime is not None and second.dtime is not None:
        dtime = np.concatenate([first.dtime, second.dtime])[order]
    channel = np.concatenate([first.channel, second.channel])[order]
    return Events(time=time[order], dtime=dtime, channel=channel)


def _split(events: Events) -> tuple[Events, Events]:
    """Return the tags that are ready, and those to be held back."""
    order = np.argsort(events.time, kind="stable")
    ready = max(len(order) - HELD_EVENTS, 0)
    return _take(events, order[:ready]), _take(events, order[ready:])


def _take(events: Events, which: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Events:
    dtime = None if events.dtime is None else events.dtime[which]
    return Events(time=events.time[which], dtime=dtime, channel=events.channel[which])
