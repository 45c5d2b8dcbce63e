"""Decode 32-bit records into events, and encode events into records, for every layout.

Source: PicoQuant, "TTTR Record Format" (time-tagged file format documentation).
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.events import MAX_TIME, EventError, Events, check_events
from analysis.tagfile.layouts import MARKER, SYNC, RecordLayout
from analysis.tagfile.source import Records

_OVERFLOW = np.uint8(254)
_UNKNOWN = np.uint8(255)
_FIRST_NON_EVENT = np.uint8(MARKER + 16)
_PICO_SPECIAL = 0xF0000000


class Decoder:
    """Turn blocks of records into events, keeping the overflow count between blocks.

    Parameters
    ----------
    layout : RecordLayout
    overflow : int, optional
        Time (T2 ticks or T3 syncs) to which the overflows before the first block add up.

    Attributes
    ----------
    layout : RecordLayout
    overflow : int
        Overflows so far, times the wrap: the time at which the current wrap began.
    overflow_records : int
        Overflow records seen so far.
    unknown_records : int
        Records with a reserved special code seen so far; they are in no event.
    """

    def __init__(self, layout: RecordLayout, *, overflow: int = 0) -> None:
        self.layout = layout
        self.overflow = overflow
        self.overflow_records = 0
        self.unknown_records = 0
        self._is_event: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._codes = _hydra_codes(layout) if layout.family == "hydra" else None

    def decode(self, records: Records) -> Events:
        """Decode one block.

        Parameters
        ----------
        records : ndarray of uint32, shape (n,)
            The next records of the stream, in file order.

        Returns
        -------
        Events
            Photons, markers and (T2) syncs; T2 ``time`` in absolute ticks, T3 ``time`` is the
            absolute sync number. A PicoHarp T2 marker keeps its marker bits in the lowest four
            bits of its time, as the vendor's reader does.

        Raises
        ------
        TypeError
            If the records are not 32-bit unsigned integers.
        ValueError
            If the overflows add up to more than `MAX_TIME`.
        """
        records = _check_records(records)
        kind = self._kinds(records)
        elapsed = self._count_overflows(records, kind)
        is_event = kind < _FIRST_NON_EVENT
        self._is_event = is_event
        self.unknown_records += int(np.count_nonzero(kind == _UNKNOWN))
        if not is_event.all():
            records, kind = records[is_event], kind[is_event]
            elapsed = elapsed[is_event] if elapsed.ndim else elapsed
        time = (records & np.uint32((1 << self.layout.time_bits) - 1)).astype(np.int64)
        time += elapsed
        return Events(time=time, dtime=self._dtime(records, kind), channel=kind)

    def record_of(self, event: int) -> int:
        """Return which record of the block decoded last an event of it is, both from 0."""
        return int(np.flatnonzero(self._is_event)[event])

    def _kinds(self, records: Records) -> NDArray[np.uint8]:
        """Return channel numbers, or ``_OVERFLOW`` / ``_UNKNOWN``, one per record."""
        if self._codes is not None:
            return np.take(self._codes, records >> np.uint32(25))
        kind = (records >> np.uint32(28)).astype(np.uint8)
        special = np.flatnonzero(kind == 15)
        if self.layout.mode == "T2":
            bits = records[special] & np.uint32(15)
        else:
            bits = (records[special] >> np.uint32(16)) & np.uint32(0xFFF)
        kind[special] = np.select([bits == 0, bits < 16], [_OVERFLOW, MARKER + bits], _UNKNOWN)
        return kind

    def _count_overflows(self, records: Records, kind: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the overflow time at each record (or one for all), and move `overflow` on."""
        where = np.flatnonzero(kind == _OVERFLOW)
        before = self.overflow
        if len(where) == 0:
            return np.asarray(before, dtype=np.int64)
        counts = np.ones(len(where), dtype=np.int64)
        if self.layout.counted_overflows:
            field = records[where] & np.uint32((1 << self.layout.time_bits) - 1)
            np.maximum(field, 1, out=counts, casting="unsafe")
        after = before + int(counts.sum()) * self.layout.wrap
        if after > MAX_TIME:
            message = (
                f"overflow records must add up to at most {MAX_TIME}, but add up to {after} "
                "ticks or syncs; the records are corrupt or have another layout"
            )
            raise ValueError(message)
        elapsed = np.zeros(len(records), dtype=np.int64)
        elapsed[where] = counts * self.layout.wrap
        np.cumsum(elapsed, out=elapsed)
        elapsed += before
        self.overflow = after
        self.overflow_records += len(where)
        return elapsed

    def _dtime(self, records: Records, kind: NDArray[np.uint8]) -> NDArray[np.int32] | None:
        if self.layout.mode == "T2":
            return None
        if self.layout.family == "hydra":
            return ((records >> np.uint32(10)) & np.uint32(0x7FFF)).astype(np.int32)
        dtime = ((records >> np.uint32(16)) & np.uint32(0xFFF)).astype(np.int32)
        dtime[kind > MARKER] = 0
        return dtime


class Encoder:
    """Turn events into records block by block, inserting overflow records where needed.

    Parameters
    ----------
    layout : RecordLayout
    overflow : int, optional
        Overflow time already written, a multiple of the wrap.
    largest_count : int, optional
        Most overflows to put into one record, by default `max_overflow_count`.

    Attributes
    ----------
    layout : RecordLayout
    largest_count : int
    """

    def __init__(
        self, layout: RecordLayout, *, overflow: int = 0, largest_count: int | None = None
    ) -> None:
        if overflow < 0 or overflow % layout.wrap:
            message = (
                f"`overflow` must be a multiple of the wrap {layout.wrap} and not negative, "
                f"but is {overflow}"
            )
            raise ValueError(message)
        self.layout = layout
        self.largest_count = largest_count or max_overflow_count(layout)
        self._wraps = overflow // layout.wrap

    @property
    def overflow(self) -> int:
        """Overflow time written so far, in T2 ticks or T3 syncs."""
        return self._wraps * self.layout.wrap

    def encode(self, events: Events) -> Records:
        """Encode the next events of the stream.

        Raises
        ------
        EventError
            If an event does not fit the layout or lies before an overflow already written; the
            message names the event's index in this block.
        """
        time = np.asarray(events.time, dtype=np.int64)
        channel = np.asarray(events.channel)
        dtime = check_events(events, self.layout)
        if len(time) == 0:
            return np.empty(0, dtype=np.uint32)
        wraps = time // self.layout.wrap
        local = time - wraps * self.layout.wrap
        steps = np.empty_like(wraps)
        steps[0] = wraps[0] - self._wraps
        np.subtract(wraps[1:], wraps[:-1], out=steps[1:])
        if steps.min() < 0:
            index = int(np.argmax(steps < 0))
            written = int(wraps[index] - steps[index]) * self.layout.wrap
            rule = (
                f"time must not lie before overflow time {written}, which is already written, "
                f"but is {time[index]}; sort the events by time"
            )
            raise EventError(index, rule)
        words = self._words(local, dtime, channel)
        records = insert_overflows(words, steps, self.layout, self.largest_count)
        self._wraps = int(wraps[-1])
        return records

    def finish(self, end_time: int) -> Records:
        """Return the overflow records between the last event and the end of the measurement.

        Parameters
        ----------
        end_time : int
            T2 ticks or T3 sync number at the end; every wrap up to and including it is counted.
        """
        end = int(end_time) // self.layout.wrap
        if end < self._wraps:
            message = (
                f"`end_time` must not lie before the last overflow written ({self.overflow}), "
                f"but is {end_time}"
            )
            raise ValueError(message)
        step = np.array([end - self._wraps], dtype=np.int64)
        self._wraps = end
        nothing = np.zeros(1, dtype=np.uint32)
        return insert_overflows(nothing, step, self.layout, self.largest_count)[:-1]

    def _words(
        self, local: NDArray[np.int64], dtime: NDArray[np.int64], channel: NDArray[np.integer]
    ) -> NDArray[np.uint32]:
        if self.layout.family == "hydra":
            # `SYNC` is 64, so that it and the markers beyond set the special bit
            word = channel.astype(np.uint32) << np.uint32(25)
            word |= local.astype(np.uint32)
            if self.layout.mode == "T3":
                word |= dtime.astype(np.uint32) << np.uint32(10)
            return cast("Records", word)
        number = channel.astype(np.int64)
        bits = np.maximum(number - MARKER, 0)
        if self.layout.mode == "T2":
            field = np.where(bits > 0, (local & ~15) | bits, local)
        else:
            field = (np.where(bits > 0, bits, dtime) << 16) | local
        word = np.where(bits > 0, _PICO_SPECIAL, number << 28)
        return cast("Records", (word | field).astype(np.uint32))


def encode(events: Events, layout: RecordLayout, *, overflow: int = 0) -> Records:
    """Encode events into records, the inverse of `Decoder.decode`.

    Parameters
    ----------
    events : Events
        In time order, apart from disorder within one wrap.
    layout : RecordLayout
    overflow : int, optional
        Overflow time already written before these events, a multiple of the wrap.

    Returns
    -------
    ndarray of uint32
        The events' records with overflow records inserted, several overflows in one record where
        the layout counts them.

    Raises
    ------
    EventError
        If an event does not fit the layout; the message names the event's index.
    """
    return Encoder(layout, overflow=overflow).encode(events)


def _hydra_codes(layout: RecordLayout) -> NDArray[np.uint8]:
    """Table from the top seven bits of a record (special, channel) to what it is."""
    codes = np.full(128, _UNKNOWN, dtype=np.uint8)
    codes[:64] = np.arange(64)
    codes[65:80] = MARKER + np.arange(1, 16)
    codes[127] = _OVERFLOW
    if layout.mode == "T2":
        codes[64] = SYNC
    return codes


def _check_records(records: Records) -> Records:
    if records.dtype != np.uint32 or records.ndim != 1:
        message = (
            "`records` must be a one-dimensional array of uint32, "
            f"but is {records.ndim}-dimensional {records.dtype}"
        )
        raise TypeError(message)
    return records


MAX_OVERFLOW_RECORDS = 1 << 23
"""Most overflow records that one block of events may need."""

HYDRA_OVERFLOW = 0xFE000000
PICO_OVERFLOW = 0xF0000000


def max_overflow_count(layout: RecordLayout) -> int:
    """Return the largest number of overflows that `Encoder` puts into one record.

    In T3 this is what the field holds. In T2 it is 127, because some readers multiply count and
    wrap in 32 bits and would silently lose time beyond 2**32 ticks.
    """
    if not layout.counted_overflows:
        return 1
    return 127 if layout.mode == "T2" else (1 << layout.time_bits) - 1


def insert_overflows(
    words: Records, steps: NDArray[np.int64], layout: RecordLayout, largest: int
) -> Records:
    """Put overflow records before each word so that ``steps`` wraps pass there.

    Raises
    ------
    EventError
        If that needs more than `MAX_OVERFLOW_RECORDS`, naming the longest gap.
    """
    late = np.flatnonzero(steps)
    needed = -(-steps[late] // largest)
    total = int(needed.sum())
    if total > MAX_OVERFLOW_RECORDS:
        index = int(late[np.argmax(needed)])
        rule = (
            f"the {total} overflow records up to it must be at most {MAX_OVERFLOW_RECORDS} "
            f"in {layout}; check its time, or use a layout with counted overflows"
        )
        raise EventError(index, rule)
    if total == 0:
        return words
    marker = HYDRA_OVERFLOW if layout.family == "hydra" else PICO_OVERFLOW
    full = marker | largest if layout.counted_overflows else marker
    records = np.full(len(words) + total, full, dtype=np.uint32)
    last = late + np.cumsum(needed) - 1
    is_word = np.ones(len(records), np.bool_)
    is_word[last] = False
    if total > len(late):
        back = np.repeat(np.cumsum(needed), needed) - np.arange(total) - 1
        is_word[np.repeat(last, needed) - back] = False
    if layout.counted_overflows:
        rest = steps[late] - (needed - 1) * largest
        records[last] = (marker | rest).astype(np.uint32)
    records[is_word] = words
    return records
