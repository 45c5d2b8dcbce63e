"""Files that are a header and a stream of 32-bit records: the stream."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from analysis.tagfile.source import (
    BLOCK_RECORDS,
    Records,
    TagFileError,
    TagSource,
    file_size,
    open_file,
)

RECORD_BYTES = 4


class RecordFile(TagSource):
    """Base of the formats whose records stand in the file as they are.

    Only the header is read when the file is opened; `blocks` opens the file anew for every
    iteration, so several threads may read one `RecordFile`.

    Attributes
    ----------
    data_offset : int
        Byte at which the records start.
    """

    data_offset: int
    _n_records: int

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def n_records(self) -> int:
        """Number of whole records the file held when it was opened."""
        return self._n_records

    def blocks(
        self, start: int = 0, stop: int | None = None, *, size: int = BLOCK_RECORDS
    ) -> Iterator[Records]:
        """Yield records ``start`` to ``stop`` in order, in arrays of at most `size`.

        The array is a view of a buffer that the next step overwrites: use it or copy it.

        Raises
        ------
        ValueError
            If the range or the size makes no sense.
        TagFileError
            If the file ends before ``stop`` (it shrank while being read).
        """
        stop = self.n_records if stop is None else stop
        if not 0 <= start <= stop or size < 1:
            message = (
                "`start`, `stop` and `size` must satisfy 0 <= start <= stop and size >= 1, "
                f"but are {start}, {stop} and {size}"
            )
            raise ValueError(message)
        return self._blocks(start, stop, size)

    def follow(
        self,
        *,
        start: int = 0,
        poll: float = 0.1,
        idle_timeout: float | None = None,
        stop: Callable[[], bool] | None = None,
        size: int = BLOCK_RECORDS,
    ) -> Iterator[Records]:
        """Yield the records of a file that is still growing, as they arrive.

        Parameters
        ----------
        start : int, optional
            First record.
        poll : float, optional
            Seconds between looks at the file when nothing new is there.
        idle_timeout : float, optional
            End after so many seconds without a new record; by default never.
        stop : callable, optional
            Asked at every look; once it returns True, what is in the file by then is still
            yielded, and then the iteration ends.
        size : int, optional
            Most records per block.

        Raises
        ------
        TagFileError
            If the file becomes shorter than what was already read.
        """
        position = start
        last_growth = time.monotonic()
        while True:
            stopping = stop is not None and stop()
            available = self._records_now(position)
            grew = available > position
            if grew:
                yield from self._blocks(position, available, size)
                position = available
                last_growth = time.monotonic()
            if stopping:
                return
            if not grew:
                idle = time.monotonic() - last_growth
                if idle_timeout is not None and idle >= idle_timeout:
                    return
                time.sleep(poll)

    def reopened(self) -> Self:
        """Return the file as it is now: its header is complete only once the recording ended."""
        return type(self)(self.path)

    def _blocks(self, start: int, stop: int, size: int) -> Iterator[Records]:
        buffer: Records = np.empty(min(size, max(stop - start, 1)), dtype=np.uint32)
        view = buffer.view(np.uint8).data
        with open_file(self.path, buffering=0) as stream:
            stream.seek(self.data_offset + start * RECORD_BYTES)
            for first in range(start, stop, size):
                count = min(size, stop - first)
                filled = _fill(stream, view[: count * RECORD_BYTES])
                if filled < count * RECORD_BYTES:
                    raise TagFileError(self._shrunk(first + filled // RECORD_BYTES, stop))
                yield buffer[:count]

    def _records_now(self, position: int) -> int:
        available = (file_size(self.path) - self.data_offset) // RECORD_BYTES
        if available < position:
            raise TagFileError(self._shrunk(max(available, 0), position))
        return available

    def _shrunk(self, record: int, expected: int) -> str:
        byte = self.data_offset + record * RECORD_BYTES
        return (
            f"{self.path}: the file must hold {expected} records, but ends at record {record} "
            f"(byte {byte}): it became shorter while being read; open it again"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}: {self.layout}, {self.n_records} records>"


def _fill(stream: BinaryIO, view: memoryview) -> int:
    """Read until the view is full or the file ends; return the bytes read."""
    filled = 0
    while filled < len(view):
        got = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if not got:
            break
        filled += got
    return filled
