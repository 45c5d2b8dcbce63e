"""Counts: what an experiment measured, as numbers that add up over blocks, files and machines."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from analysis.gates import GateSet
from analysis.quality import Quality
from analysis.trials import Trials

if TYPE_CHECKING:
    import xarray as xr

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counts:
    """Result of counting: a commutative monoid under ``+``.

    A trial counts at most once for each (gate, detector), called a cell; further clicks are in
    `repeated`. Array axes over cells follow ``gates.cells``.

    Attributes
    ----------
    gates : GateSet
    trials : Trials
    singles : ndarray of int64, shape (gates, detectors)
        Trials with at least one click in the cell.
    pairs : ndarray of int64, shape (cells, cells)
        Trials with clicks in both cells; symmetric, zero diagonal.
    repeated : ndarray of int64, shape (gates, detectors)
        Clicks beyond the first in the same cell of the same trial.
    histogram : ndarray of int64, shape (detectors, bins)
        All clicks by arrival time after the trial's start.
    bin_edges : ndarray of float64, shape (bins + 1,)
        Seconds; gate edges (to the file's resolution) are bin edges.
    gate_of_bin : ndarray of int8, shape (bins,)
        Gate index of each bin, -1 outside gates.
    quality : Quality
    """

    gates: GateSet
    trials: Trials
    singles: IntArray
    pairs: IntArray
    repeated: IntArray
    histogram: IntArray
    bin_edges: NDArray[np.float64]
    gate_of_bin: NDArray[np.int8]
    quality: Quality

    def __add__(self, other: Self) -> "Counts":
        if not isinstance(other, Counts):
            return NotImplemented
        if self.gates != other.gates:
            message = (
                f"counts to be added must have equal gates, but have\n{self.gates}\n"
                f"and\n{other.gates}\ncount again with one gates file"
            )
            raise ValueError(message)
        if not np.array_equal(self.bin_edges, other.bin_edges):
            message = (
                "counts to be added must have equal time bins, but their files differ in time "
                "resolution; convert one of the files (labkit convert) or report them apart"
            )
            raise ValueError(message)
        return Counts(
            gates=self.gates,
            trials=self.trials + other.trials,
            singles=self.singles + other.singles,
            pairs=self.pairs + other.pairs,
            repeated=self.repeated + other.repeated,
            histogram=self.histogram + other.histogram,
            bin_edges=self.bin_edges,
            gate_of_bin=self.gate_of_bin,
            quality=self.quality + other.quality,
        )

    def __radd__(self, other: object) -> "Counts":
        """Let ``sum(counts)`` start from 0."""
        return self if other == 0 else NotImplemented

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counts) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    def single(self, gate: str, detector: int) -> int:
        """Return the trials with a click of `detector` in `gate`.

        Raises
        ------
        KeyError
            If there is no such gate or detector.
        """
        gates, detectors = len(self.gates.names), len(self.gates.detectors)
        return int(self.singles.reshape(gates * detectors)[self._cell(gate, detector)])

    def coincidence(self, a: tuple[str, int], b: tuple[str, int]) -> int:
        """Return the trials with clicks in both cells, each a (gate, detector).

        Raises
        ------
        KeyError
            If there is no such gate or detector.
        ValueError
            If both cells are the same.
        """
        if a == b:
            message = f"a coincidence needs two different cells, but got {a} twice; see `repeated`"
            raise ValueError(message)
        return int(self.pairs[self._cell(*a), self._cell(*b)])

    def _cell(self, gate: str, detector: int) -> int:
        try:
            return self.gates.cells.index((gate, detector))
        except ValueError:
            detectors = ", ".join(map(str, self.gates.detectors))
            message = (
                f"no gate {gate!r} with detector {detector}; gates are "
                f"{', '.join(self.gates.names)}, detectors {detectors}"
            )
            raise KeyError(message) from None

    def arrivals(self, gate: str) -> tuple[NDArray[np.float64], IntArray]:
        """Return the arrival-time histogram of one gate.

        Returns
        -------
        edges : ndarray of float64, shape (n + 1,)
            Seconds after the trial's start.
        clicks : ndarray of int64, shape (detectors, n)
        """
        if gate not in self.gates.names:
            message = f"no gate {gate!r}; gates are {', '.join(self.gates.names)}"
            raise KeyError(message)
        bins = np.flatnonzero(self.gate_of_bin == self.gates.names.index(gate))
        first, stop = bins[0], bins[-1] + 1
        return self.bin_edges[first : stop + 1], self.histogram[:, first:stop]

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain types; `from_dict` is the inverse."""
        trials = self.trials
        return {
            "gates": self.gates.to_dict(),
            "trials": {
                "number": trials.number,
                "low": trials.low,
                "high": trials.high,
                "source": trials.source,
            },
            "singles": self.singles.tolist(),
            "pairs": self.pairs.tolist(),
            "repeated": self.repeated.tolist(),
            "histogram": self.histogram.tolist(),
            "bin_edges": self.bin_edges.tolist(),
            "gate_of_bin": self.gate_of_bin.tolist(),
            "quality": self.quality.to_dict(),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, object]) -> "Counts":
        """Read what `to_dict` returned."""
        trials, quality = plain["trials"], plain["quality"]
        if not isinstance(trials, Mapping) or not isinstance(quality, Mapping):
            message = "`trials` and `quality` must be mappings as written by Counts.to_dict"
            raise ValueError(message)
        return cls(
            gates=GateSet.from_dict(plain["gates"]),
            trials=Trials(**trials),
            quality=Quality(**{**quality, "warnings": tuple(quality["warnings"])}),
            bin_edges=np.array(plain["bin_edges"], np.float64),
            gate_of_bin=np.array(plain["gate_of_bin"], np.int8),
            **{
                name: np.array(plain[name], np.int64)
                for name in ("singles", "pairs", "repeated", "histogram")
            },
        )

    def to_xarray(self) -> "xr.Dataset":
        """Return an xarray Dataset with named dimensions, units and the gates as attributes."""
        import json

        import xarray as xr

        gates, detectors = self.gates.names, list(self.gates.detectors)
        shape = (len(gates), len(detectors)) * 2
        axes = ("gate", "detector")
        arrivals = ("detector", "time")
        return xr.Dataset(
            {
                "singles": (axes, self.singles, {"units": "trials"}),
                "coincidences": (
                    (*axes, "other_gate", "other_detector"),
                    self.pairs.reshape(shape),
                    {"units": "trials"},
                ),
                "repeated": (axes, self.repeated, {"units": "clicks"}),
                "histogram": (arrivals, self.histogram, {"units": "clicks per bin"}),
                "bin_width": ("time", np.diff(self.bin_edges), {"units": "s"}),
                "trials": ((), self.trials.number),
            },
            coords={
                "gate": list(gates),
                "detector": detectors,
                "other_gate": list(gates),
                "other_detector": detectors,
                "time": ("time", self.bin_edges[:-1], {"units": "s", "long_name": "bin start"}),
            },
            attrs={
                "gates": json.dumps(self.gates.to_dict()),
                "trials_source": self.trials.source,
                "quality": json.dumps(self.quality.to_dict()),
            },
        )

    def __str__(self) -> str:
        rows = [f"trials     {self.trials}"]
        for gate, name in enumerate(self.gates.names):
            clicks = zip(self.gates.detectors, self.singles[gate], strict=True)
            rows.append(f"{name:<10} " + "   ".join(f"detector {d}: {n:,}" for d, n in clicks))
        labels = [f"{gate}{detector}" for gate, detector in self.gates.cells]
        for i, label in enumerate(labels[:-1]):
            pairs = [f"{other} {n:,}" for other, n in zip(labels, self.pairs[i], strict=True)]
            rows.append(f"{label:<10} with " + ", ".join(pairs[i + 1 :]))
        return "\n".join([*rows, "quality", str(self.quality)])
