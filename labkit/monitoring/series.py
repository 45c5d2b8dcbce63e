"""What a run's blocks tell over time: click rates, lock, temperature, lasers."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from labkit.run import Block, main_setting

LASER = "_laser_hz"
"""End of the name of a monitor that is a laser's frequency."""

_COLUMNS = ("block", "time", "value", "sigma", "good")
_MONITORS = {
    "phase_noise": ("phase noise", "rad"),
    "lock_output": ("lock output", "V"),
    "temperature": ("mixing chamber", "K"),
}
_OF_ALL_BLOCKS = ("temperature",)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One quantity, block by block; blocks that do not have it are passed over.

    Attributes
    ----------
    label, unit : str
    block : ndarray of int, shape (n,)
        Block numbers.
    time : ndarray, shape (n,)
        When each block began, Unix time, s.
    value : ndarray, shape (n,)
    sigma : ndarray, shape (n,)
        Standard deviations; 0 where a value is a plain reading.
    good : ndarray of bool, shape (n,)
        Whether the block counts.
    offset : float
        What has been subtracted from every value.
    """

    label: str
    unit: str
    block: NDArray[np.int64]
    time: Array
    value: Array
    sigma: Array
    good: NDArray[np.bool_]
    offset: float = 0.0

    def since(self, time: float) -> "Series":
        """Return the part that began at a Unix time, s, or later."""
        first = int(np.searchsorted(self.time, time))
        parts = {name: getattr(self, name)[first:] for name in _COLUMNS}
        return replace(self, **parts)

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        columns = {name: getattr(self, name).tolist() for name in _COLUMNS}
        return {"label": self.label, "unit": self.unit, "offset": self.offset, **columns}


class _Column:
    """A series that grows at its end, and can be cut there."""

    def __init__(self, label: str, unit: str, offset: float) -> None:
        self.label, self.unit, self.offset = label, unit, offset
        self._rows = array("d")  # one after another: a row is added by one call

    def add(self, block: Block, time: float, value: float, sigma: float) -> None:
        self._rows.extend((block.number, time, value - self.offset, sigma, block.good))

    def cut(self, last: int) -> None:
        rows, width = self._rows, len(_COLUMNS)
        while rows and rows[-width] > last:
            del rows[-width:]

    def series(self) -> Series:
        columns = dict(
            zip(_COLUMNS, np.array(self._rows).reshape(-1, len(_COLUMNS)).T, strict=True)
        )
        return Series(
            label=self.label, unit=self.unit, offset=self.offset, time=columns["time"],
            value=columns["value"], sigma=columns["sigma"],
            block=columns["block"].astype(np.int64), good=columns["good"].astype(bool),
        )  # fmt: skip


class SeriesBook:
    """All series of a run by name, kept up as it grows: one more block costs one row.

    ``rate.pump1``, …: click rate of a gate and detector, 1/s of measured time, with the standard
    deviation of its posterior under a flat prior, √(n + 1) / T. Rates, ``phase_noise`` and
    ``lock_output`` are of the blocks of the procedure that the run is about (others block an arm
    or scan); ``temperature`` and ``laser.pump``, … (relative to the first) of all blocks.
    """

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._about: tuple[object, object] | None = None
        self._names: dict[tuple[tuple[str, int], ...], tuple[tuple[str, str], ...]] = {}
        self._done = 0

    def follow(self, blocks: Sequence[Block], first: int) -> None:
        """Take in blocks, of which those before the one numbered `first` are known.

        Parameters
        ----------
        blocks : sequence of Block
            All of the run, in order.
        first : int
            Number of the first one that is new, or has changed.
        """
        procedure = main_setting(blocks).get("procedure")
        mine = (b for b in reversed(blocks) if b.setting.get("procedure") == procedure)
        about = procedure, next((b.gates.cells for b in mine), ())
        if about != self._about:
            self._about, self._done = about, 0
            self._columns.clear()
        keep = min(self._done, first - 1)
        for column in self._columns.values():
            column.cut(keep)
        for block in blocks[keep:]:
            self._add(block, procedure)
        self._done = len(blocks)

    def series(self) -> dict[str, Series]:
        """Return all series that have values, rates first."""
        found = {name: column.series() for name, column in self._columns.items()}
        named = [n for n in found if n.startswith("rate.")]
        named += [n for n in (*_MONITORS,) if n in found]
        named += sorted(n for n in found if n.startswith("laser."))
        return {name: found[name] for name in named if found[name].value.size}

    def _add(self, block: Block, procedure: object) -> None:
        time = began(block)
        main = block.setting.get("procedure") == procedure
        if main:
            gates = block.gates
            seconds = block.trials * gates.period
            clicks = zip(self._names_of(gates.cells), block.singles.ravel().tolist(), strict=True)
            for (name, label), number in clicks if seconds else ():
                sigma = sqrt(number + 1) / seconds
                self._row(name, label, "1/s", block, time, number / seconds, sigma)
        monitors: Mapping[str, float] = block.monitors
        for name, (label, unit) in _MONITORS.items():
            if name in monitors and (main or name in _OF_ALL_BLOCKS):
                self._row(name, label, unit, block, time, monitors[name])
        for name, value in monitors.items():
            if name.endswith(LASER):
                laser = name.removesuffix(LASER)
                column, label = f"laser.{laser}", f"{laser} laser"
                self._row(column, label, "Hz", block, time, value, offset=value)

    def _names_of(self, cells: tuple[tuple[str, int], ...]) -> tuple[tuple[str, str], ...]:
        """Return names and labels of the rates of cells, made once."""
        if cells not in self._names:
            self._names[cells] = tuple(
                (f"rate.{gate}{detector}", f"{gate} {detector}") for gate, detector in cells
            )
        return self._names[cells]

    def _row(
        self, name: str, label: str, unit: str, block: Block, time: float, value: float,
        sigma: float = 0.0, *, offset: float = 0.0,
    ) -> None:  # fmt: skip
        """Add a row; `offset` is that of the first one."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = _Column(label, unit, offset)
        column.add(block, time, value, sigma)


def began(block: Block) -> float:
    """Return when a block began, Unix time, s."""
    return datetime.fromisoformat(block.started).timestamp()


def ended(block: Block) -> float:
    """Return when a block ended, Unix time, s."""
    return datetime.fromisoformat(block.ended).timestamp()
