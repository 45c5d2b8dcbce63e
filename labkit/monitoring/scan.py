"""The scan that a run is taking, or took last, from its blocks: fringe, filter line, balance."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.evaluation import g2_of_pairs
from labkit.report.diagnostics import CROSSED, SAME
from labkit.run import Block
from labkit.run.parts import VOLTAGE

MOST_BLOCKS = 200
"""A scan of more blocks shows the last ones."""

MOST_NAMES = 2
"""Of more filters than this, moved together, a title tells the number."""

_AXES = {
    "delta_phi": ("Δφ (π)", 1 / pi),
    "delay": ("delay (ns)", 1e9),
    "voltage": ("filter (V)", 1.0),
}
"""Settings that are scanned: name on the axis, and factor to its unit."""

_APART = ("filter", "device")
"""Settings that tell one scan from the next."""

_TOLD_APART = ("arm", "light")
"""Settings that make curves of their own within a scan."""

NO_SCAN = ("witness", "repair", "null_test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points of one curve: x, y, standard deviation of y, block."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    sigma: tuple[float, ...]
    block: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A scan as far as it is.

    Attributes
    ----------
    title, x_label, y_label : str
    curves : dict of str to Curve
    """

    title: str
    x_label: str
    y_label: str
    curves: Mapping[str, Curve]

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        columns = ("x", "y", "sigma", "block")
        curves = {n: {k: list(getattr(c, k)) for k in columns} for n, c in self.curves.items()}
        return {
            "title": self.title, "x_label": self.x_label, "y_label": self.y_label,
            "curves": curves,
        }  # fmt: skip


class ScanBook:
    """Keeps the blocks of the scan that is taken; one more block costs that block."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._made: tuple[int, Scan | None] = (0, None)
        self._over = False
        self._interrupted: list[Block] = []

    def follow(self, blocks: Sequence[Block], first: int) -> None:
        """Take in blocks, of which those before the one numbered `first` are known."""
        self._made = (0, None)
        for kept in (self._blocks, self._interrupted):
            while kept and kept[-1].number >= first:
                kept.pop()
        for block in blocks[first - 1 :]:
            procedure = block.setting.get("procedure")
            if procedure in NO_SCAN or procedure is None:
                self._over |= procedure == "witness"
                continue
            self._turn_to(block)
            self._over = False
            self._blocks.append(block)
        del self._blocks[:-MOST_BLOCKS]

    def _turn_to(self, block: Block) -> None:
        """Make room for a block of another scan; one in which filters were tuned goes on after."""
        if self._over:
            self._blocks, self._interrupted = [], []
            return
        if not self._blocks or _key(block) == _key(self._blocks[-1]):
            return
        before = self._blocks
        if block.setting["procedure"] == "filters":
            if before[-1].setting["procedure"] != "filters":
                self._interrupted = before
            self._blocks = []
            return
        same = self._interrupted and _key(block) == _key(self._interrupted[-1])
        self._blocks, self._interrupted = (self._interrupted if same else []), []

    def scan(self) -> Scan | None:
        """Return the scan that was taken last; None if there is none."""
        if not self._blocks:
            return None
        if self._made[0] != len(self._blocks):
            self._made = len(self._blocks), _scan(self._blocks)
        return self._made[1]


def _key(block: Block) -> tuple[object, ...]:
    return tuple(block.setting.get(name) for name in ("procedure", *_APART))


class _Point(NamedTuple):
    """What came at one setting: all of a block, or a part of one through which it was moved."""

    block: Block
    setting: Mapping[str, float | str]
    trials: int
    singles: NDArray[np.int64]


def _points(blocks: Sequence[Block]) -> Iterator[_Point]:
    for block in blocks:
        if block.parts is None:
            yield _Point(block, block.setting, block.trials, block.singles)
        for part in block.parts or ():
            if part.trials:
                yield _Point(block, {**block.setting, **part.setting}, part.trials, part.singles)


def _scan(blocks: Sequence[Block]) -> Scan:
    found = list(_points(blocks))
    procedure = str(blocks[0].setting["procedure"])
    name = next((n for n in _AXES if len({one.setting.get(n) for one in found}) > 1), "")
    if not name and procedure in ("phase_sweep", "delay_sweep", "filters"):
        name = {"phase_sweep": "delta_phi", "delay_sweep": "delay", "filters": "voltage"}[procedure]
    label, scale = _AXES.get(name, ("block", 1.0))
    stepwise = any(n.startswith(VOLTAGE) for one in found for n in one.setting)
    if stepwise:
        name, label = "", "step"
    points: dict[str, list[tuple[float, float, float, int]]] = {}
    correlated = procedure in ("phase_sweep", "delay_sweep")
    for step, one in enumerate(found, 1):
        number = one.block.number
        place = one.setting.get(name, number) if name else step if stepwise else number
        if not isinstance(place, int | float):
            continue  # pump_probe names its references
        for curve, y, sigma in _g2(one.block) if correlated else _rates(one):
            points.setdefault(curve, []).append((scale * place, y, sigma, number))
    apart = " ".join(str(blocks[0].setting[n]) for n in _APART if n in blocks[0].setting)
    if len(apart.split()) > MOST_NAMES:
        apart = f"{len(apart.split())} together"
    columns = ("x", "y", "sigma", "block")
    return Scan(
        title=" ".join(filter(None, (procedure.replace("_", " "), apart))),
        x_label=label,
        y_label="g²" if correlated else "clicks per 10⁶ trials",
        curves={
            curve: Curve(**dict(zip(columns, zip(*sorted(rows), strict=True), strict=True)))
            for curve, rows in points.items()
        },
    )


def _g2(block: Block) -> list[tuple[str, float, float]]:
    found = g2_of_pairs(block.counts)
    curves = []
    for curve, pairs in (("different detectors", CROSSED), ("same detector", SAME)):
        have = [found[pair] for pair in pairs if pair in found]
        exposure = sum(g2.accidentals for g2 in have)
        if exposure > 0:
            events = sum(g2.coincidences for g2 in have)
            curves.append((curve, events / exposure, sqrt(events + 1) / exposure))
    return curves


def _rates(point: _Point) -> list[tuple[str, float, float]]:
    gates = point.block.gates
    apart = " ".join(str(point.setting[n]) for n in _TOLD_APART if n in point.setting)
    per_million = 1e6 / max(point.trials, 1)
    singles = point.singles.sum(axis=1) if "arm" in point.setting else None
    if singles is not None:  # both detectors together: the arms are compared
        rows = zip(gates.names, singles.tolist(), strict=True)
        return [
            (f"{gate}, arm {apart}", n * per_million, sqrt(n + 1) * per_million) for gate, n in rows
        ]
    cells = zip(gates.cells, point.singles.ravel().tolist(), strict=True)
    return [
        (" ".join(filter(None, (f"{gate} {d}", apart))), n * per_million, sqrt(n + 1) * per_million)
        for (gate, d), n in cells
    ]
