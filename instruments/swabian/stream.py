"""A Swabian tag stream as a source of 32-bit T2 records."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from instruments.bases.recording import BlockReader, Fault
from instruments.bases.t2_records import SYNC, T2Encoder

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
