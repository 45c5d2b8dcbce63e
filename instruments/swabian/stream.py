"""A Swabian tag stream as a source of 32-bit T2 records in PicoQuant's layout.

Source: PicoQuant, "TTTR Record Format" (record type of the MultiHarp 150). The reading side of tag
files has its own code, so that each can be tested against the other.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.bases.recording import BlockReader, Fault

RECORD_TYPE = 0x00010207
"""``TTResultFormat_TTTRRecType``."""

SYNC = 64
"""Channel number of sync events given to the encoder; inputs count from 0."""

MAX_CHANNEL = 62
_TIME_BITS = 25
_MAX_COUNT = (1 << _TIME_BITS) - 1
_SPECIAL = 0x80000000
_OVERFLOW = _SPECIAL | (63 << _TIME_BITS)


class T2Encoder:
    """Turn times and channels into records, block by block.

    A record holds 25 bits of time; each wrap is counted by an overflow record before it.
    """

    def __init__(self) -> None:
        self._wraps = 0

    def encode(self, ticks: NDArray[np.int64], channels: NDArray[np.integer]) -> NDArray[np.uint32]:
        """Encode the next events.

        Parameters
        ----------
        ticks : ndarray of int64, shape (n,)
            Time since the start of the recording, in order.
        channels : ndarray of int, shape (n,)
            0 to 62 for inputs, `SYNC` for sync.

        Returns
        -------
        ndarray of uint32
            The records, with overflow records inserted.

        Raises
        ------
        ValueError
            If a channel is out of range, or times run back over a wrap.
        """
        is_sync = channels == SYNC
        if len(channels) and not np.all(is_sync | ((channels >= 0) & (channels <= MAX_CHANNEL))):
            message = (
                f"`channels` must be 0 to {MAX_CHANNEL} or {SYNC} (sync), "
                f"but go from {channels.min()} to {channels.max()}"
            )
            raise ValueError(message)
        wraps = ticks >> _TIME_BITS
        local = ticks & _MAX_COUNT
        number = np.where(is_sync, 0, channels).astype(np.int64)
        words = np.where(is_sync, _SPECIAL, number << _TIME_BITS) | local
        return self._with_overflows(words, wraps)

    def finish(self, ticks: int) -> NDArray[np.uint32]:
        """Return the overflow records up to the end of the recording."""
        nothing = np.zeros(1, np.int64)
        return self._with_overflows(nothing, np.array([ticks >> _TIME_BITS]))[:-1]

    def _with_overflows(
        self, words: NDArray[np.int64], wraps: NDArray[np.int64]
    ) -> NDArray[np.uint32]:
        """Insert before each word the overflow records that lead to its wrap."""
        steps = np.diff(wraps, prepend=self._wraps)
        if len(steps) and steps.min() < 0:
            message = (
                "`ticks` must not run back, but do at event "
                f"{int(np.argmax(steps < 0))} of this block"
            )
            raise ValueError(message)
        inserted = -(-steps // _MAX_COUNT)
        where = np.arange(len(words)) + np.cumsum(inserted)
        records = np.full(len(words) + int(inserted.sum()), _OVERFLOW | _MAX_COUNT, np.int64)
        records[where] = words
        led = inserted > 0
        last_count = steps[led] - (inserted[led] - 1) * _MAX_COUNT
        records[where[led] - 1] = _OVERFLOW | last_count
        if len(wraps):
            self._wraps = int(wraps[-1])
        return records.astype(np.uint32)


TIME_TAG, ERROR, OVERFLOW_BEGIN, OVERFLOW_END, MISSED_EVENTS = range(5)
"""Event types of the vendor's stream."""


class SwabianStream(BlockReader):
    """The tagger's side of a `Recording`; one tick is 1 ps, counted from the stream's start.

    Parameters
    ----------
    stream : object
        The vendor's ``TimeTagStream``.
    sync : int
        Hardware channel of the trigger.
    inputs : sequence of int
        Hardware channels of inputs 0, 1, ….
    """

    def __init__(self, stream: Any, *, sync: int, inputs: Sequence[int]) -> None:
        super().__init__()
        self._stream = stream
        hardware = np.array([sync, *inputs], dtype=np.int64)
        self._order = np.argsort(hardware)
        self._hardware = hardware[self._order]
        self._numbers = np.array([SYNC, *range(len(inputs))], dtype=np.int64)[self._order]
        self._encoder = T2Encoder()
        self._start: int | None = None
        self._faults: list[Fault] = []
        self._missed = 0

    def start(self, duration_ps: int) -> None:
        """Begin the stream."""
        self._stream.startFor(duration_ps)

    def elapsed(self) -> float:
        """Return the seconds captured so far."""
        return float(self._stream.getCaptureDuration()) * 1e-12

    def faults(self) -> Sequence[Fault]:
        """Return what the last block of the stream reported."""
        return self._faults

    def ended(self) -> bool:
        """Tell whether the stream has ended."""
        return not self._stream.isRunning()

    def stop(self) -> None:
        """End the stream."""
        self._stream.stop()

    def next_block(self) -> NDArray[np.uint32]:
        """Return the next block of the stream as records, and note what it reports."""
        data = self._stream.getData()
        if self._start is None:
            self._start = int(data.tStart)
        kinds = np.asarray(data.getEventTypes())
        self._faults = self._faults_in(data, kinds)
        tags = kinds == TIME_TAG
        ticks = np.asarray(data.getTimestamps(), np.int64)[tags] - self._start
        return self._encoder.encode(ticks, self._numbers_of(np.asarray(data.getChannels())[tags]))

    def _numbers_of(self, channels: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the tag file's channel numbers of hardware channels."""
        place = np.searchsorted(self._hardware, channels)
        known = self._hardware[np.minimum(place, len(self._hardware) - 1)] == channels
        if not np.all(known):
            message = (
                f"the stream must hold channels {sorted(self._hardware)}, but holds "
                f"{int(channels[np.argmin(known)])}"
            )
            raise ValueError(message)
        return self._numbers[place]

    def _faults_in(self, data: Any, kinds: NDArray[np.integer]) -> list[Fault]:
        found = []
        if np.any(kinds == ERROR):
            found.append(Fault("system_error", "the tagger reports an error in its data stream"))
        if np.any((kinds == OVERFLOW_BEGIN) | (kinds == OVERFLOW_END)) or data.hasOverflows:
            found.append(Fault("fifo_full", "the tagger's buffer ran over: tags are lost"))
        missed = np.asarray(data.getMissedEvents())[kinds == MISSED_EVENTS]
        if len(missed):
            self._missed += int(missed.sum())
            found.append(Fault("dropped_events", f"{self._missed} tags were lost so far"))
        return found
