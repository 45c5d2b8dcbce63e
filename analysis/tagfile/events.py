"""Decoded tags: the form for looking at, converting and simulating; counting never needs it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
