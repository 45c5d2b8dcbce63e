"""How fast records go from a tagger's driver to the tag file on the disk."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile import TIMEHARP_260N_T2, PtuWriter
from benchmarks.timing import Row, measured
from instruments.bases.recording import Fault, Recording

RECORDS = 50_000_000
BRIGHTEST = 40e6
"""Highest sync rate of a TimeHarp 260 after its divider: one record each in T2."""


class _Source:
    """A device that always has a full FIFO."""

    def __init__(self, records: int) -> None:
        self._left = records
        self._block = np.arange(131_072, dtype=np.uint32)

    def faults(self) -> Sequence[Fault]:
        return ()

    def read(self, buffer: NDArray[np.uint32]) -> int:
        count = min(len(buffer), self._left)
        buffer[:count] = self._block[:count]
        self._left -= count
        return count

    def ended(self) -> bool:
        return True

    def stop(self) -> None:
        self._left = 0


def run(scale: float) -> Iterator[Row]:
    """Yield the rate of a recorder against the brightest recording."""
    records = round(RECORDS * scale)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bright.ptu"

        def record() -> None:
            with PtuWriter(path, layout=TIMEHARP_260N_T2, overwrite=True) as writer:
                if not Recording(_Source(records), writer, name="bench").wait(60.0):
                    message = "the recording must end within 60 s"
                    raise TimeoutError(message)

        taken = measured({"record": record})["record"]
    ratio, noise = taken.of(records / BRIGHTEST, by_wall=True)  # two threads side by side
    yield Row(
        name="tagger to PTU file, against 40 M records/s",
        ratio=ratio,
        noise=noise,
        target=1.0,
        detail=f"{ratio * BRIGHTEST / 1e6:.0f} M records/s; {taken}",
    )
