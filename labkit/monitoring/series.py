"""What a run's blocks tell over time: click rates, lock, temperature, lasers."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike, NDArray

from labkit.run import Block, main_setting
from labkit.run.journal import clicks_of

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
        self._rows = array("d")  # one row after another

    def add(self, of: Array, value: Array, sigma: ArrayLike) -> None:
        """Add a row per block; `of` has their numbers, times, and whether they are good."""
        rows = np.empty((len(value), len(_COLUMNS)))
        rows[:, 0], rows[:, 1], rows[:, 4] = of.T
        rows[:, 2], rows[:, 3] = value - self.offset, sigma
        self._rows.frombytes(rows.tobytes())

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
        self._add(blocks[keep:], procedure)
        self._done = len(blocks)

    def series(self) -> dict[str, Series]:
        """Return all series that have values, rates first."""
        found = {name: column.series() for name, column in self._columns.items()}
        named = [n for n in found if n.startswith("rate.")]
        named += [n for n in (*_MONITORS,) if n in found]
        named += sorted(n for n in found if n.startswith("laser."))
        return {name: found[name] for name in named if found[name].value.size}

    def _add(self, blocks: Sequence[Block], procedure: object) -> None:
        of = np.array([(b.number, began(b), b.good) for b in blocks], float).reshape(-1, 3)
        main = [at for at, b in enumerate(blocks) if b.setting.get("procedure") == procedure]
        with_trials = (at for at in main if blocks[at].trials)
        for _, group in groupby(with_trials, lambda at: blocks[at].gates):
            same = list(group)
            self._add_rates([blocks[at] for at in same], of[same])
        every = range(len(blocks))
        for name, (label, unit) in _MONITORS.items():
            places = every if name in _OF_ALL_BLOCKS else main
            self._add_monitor(name, name, label, unit, blocks, of, places)
        for name in sorted({n for b in blocks for n in b.monitors if n.endswith(LASER)}):
            laser = name.removesuffix(LASER)
            self._add_monitor(f"laser.{laser}", name, f"{laser} laser", "Hz", blocks, of, every)

    def _add_rates(self, blocks: Sequence[Block], of: Array) -> None:
        """Add the click rates of blocks with the same gates."""
        gates = blocks[0].gates
        seconds = np.array([block.trials for block in blocks]) * gates.period
        clicks = clicks_of(blocks).reshape(len(blocks), -1)
        for (gate, detector), number in zip(gates.cells, clicks.T, strict=True):
            column = self._column(f"rate.{gate}{detector}", f"{gate} {detector}", "1/s")
            column.add(of, number / seconds, np.sqrt(number + 1) / seconds)

    def _add_monitor(
        self, column: str, name: str, label: str, unit: str, blocks: Sequence[Block], of: Array,
        places: Sequence[int],
    ) -> None:  # fmt: skip
        """Add a reading of those blocks that have it; lasers are told from their first one."""
        having = [at for at in places if name in blocks[at].monitors]
        if having:
            values = np.array([blocks[at].monitors[name] for at in having], float)
            offset = values[0] if name.endswith(LASER) else 0.0
            self._column(column, label, unit, float(offset)).add(of[having], values, 0.0)

    def _column(self, name: str, label: str, unit: str, offset: float = 0.0) -> _Column:
        """Return a column; `offset` is that of its first row."""
        if name not in self._columns:
            self._columns[name] = _Column(label, unit, offset)
        return self._columns[name]


def began(block: Block) -> float:
    """Return when a block began, Unix time, s."""
    return datetime.fromisoformat(block.started).timestamp()


def ended(block: Block) -> float:
    """Return when a block ended, Unix time, s."""
    return datetime.fromisoformat(block.ended).timestamp()
