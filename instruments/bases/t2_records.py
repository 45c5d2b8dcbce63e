"""Time tags of any tagger as PicoQuant's 32-bit T2 records (record type of the MultiHarp 150).

Source: PicoQuant, "TTTR Record Format". The tag files of labkit hold such records; the reading side
has its own code, so that each can be tested against the other.
"""

import numpy as np
from numpy.typing import NDArray

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
