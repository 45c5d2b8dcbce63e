"""Counts: what an experiment measured, as numbers that add up over blocks, files and machines."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from analysis.gates import GateSet
from analysis.labelled import Labelled
from analysis.notebook import html_text

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Number of trials measured, empty ones included.

    Attributes
    ----------
    number : int
        Best value.
    low, high : int
        Bounds within which the true number lies.
    source : str
        Where the number comes from.
    """

    number: int
    low: int
    high: int
    source: str

    def __add__(self, other: Self) -> "Trials":
        sources = dict.fromkeys((*self.source.split("; "), *other.source.split("; ")))
        return Trials(
            number=self.number + other.number,
            low=self.low + other.low,
            high=self.high + other.high,
            source="; ".join(sources),
        )

    def __str__(self) -> str:
        exact = self.low == self.high
        bounds = "exact" if exact else f"between {self.low:,} and {self.high:,}"
        return f"{self.number:,} ({bounds}; {self.source})"


def exact_trials(number: int, source: str) -> Trials:
    """Return a number of trials that is known exactly."""
    return Trials(number=number, low=number, high=number, source=source)


def trials_from_sync_numbers(
    seen: int, *, wrap: int, measured_time: float | None, sync_rate: float | None
) -> tuple[Trials, str | None]:
    """Infer the trials of a T3 file, which holds no record for an empty trial.

    The records prove that at least `seen` syncs came (largest sync number + 1, or the wraps of a
    trailing overflow record); after the last record up to ``wrap`` - 1 more can have come
    unrecorded. The header's measured time × sync rate is taken where it lies in that range (its
    sync rate is an integer measured once, at the start); otherwise the records decide.

    Parameters
    ----------
    seen : int
        Syncs proven by the records.
    wrap : int
        Sync numbers per overflow record.
    measured_time : float or None
        Seconds, from the header.
    sync_rate : float or None
        1/s, from the header.

    Returns
    -------
    trials : Trials
    warning : str or None
        What disagrees, if header and records differ by more than 1 % and one wrap.
    """
    low, high = seen, seen + wrap - 1
    if not measured_time or not sync_rate:
        return Trials(number=low, low=low, high=high, source="sync numbers in the records"), None
    expected = round(measured_time * sync_rate)
    if low <= expected <= high:
        source = "header's measured time × sync rate, confirmed by the overflow records"
        return Trials(number=expected, low=low, high=high, source=source), None
    trials = Trials(number=low, low=low, high=high, source="sync numbers in the records")
    if abs(expected - low) <= wrap + 0.01 * expected:
        return trials, None
    warning = (
        f"the records prove {low:,} trials, but the header's {measured_time:g} s × "
        f"{sync_rate:g} syncs/s make {expected:,}: overflow records are lost, the file is "
        "truncated, or the sync failed; the records' number is used"
    )
    return trials, warning


DOUBLED_GAP = 0.5
"""A trial start less than this many periods after the one before is one too many."""

_MEANING = {
    "records": "records read",
    "missing_syncs": "trial starts missing (gap of more than 1.5 periods)",
    "doubled_syncs": "trial starts less than half a period after the one before",
    "out_of_order": "tags whose time runs backwards (lost overflow or disorder)",
    "unknown_records": "records with a reserved special code, skipped",
    "early_clicks": "clicks before the first trial, not counted",
    "foreign_clicks": "clicks on channels that are no detector, not counted",
    "ungated_clicks": "clicks outside all gates, not counted",
    "markers": "marker records that start no trial",
    "repeated_clicks": "further clicks of one detector in one gate of one trial, counted once",
    "crowded_trials": "trials with such repeated clicks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Data-quality record of a count: integers that add, and the files' own warnings.

    ``missing_syncs`` counts trial starts that a regular period calls for but the file lacks;
    ``doubled_syncs`` counts those that follow the one before much too early, which the number of
    trials includes; ``out_of_order`` counts tags earlier than their predecessor. The other fields
    say what was read and not counted. `warnings` holds sentences about whole files (truncation,
    FIFO overrun, dropped events, sync divider, doubtful trial number).
    """

    records: int = 0
    missing_syncs: int = 0
    doubled_syncs: int = 0
    out_of_order: int = 0
    unknown_records: int = 0
    early_clicks: int = 0
    foreign_clicks: int = 0
    ungated_clicks: int = 0
    markers: int = 0
    repeated_clicks: int = 0
    crowded_trials: int = 0
    warnings: tuple[str, ...] = field(default=())

    def __add__(self, other: Self) -> "Quality":
        sums = {name: getattr(self, name) + getattr(other, name) for name in _MEANING}
        return Quality(**sums, warnings=self.warnings + other.warnings)

    def to_dict(self) -> dict[str, object]:
        """Return all fields as plain types."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "warnings": list(self.warnings)
        }

    def __str__(self) -> str:
        rows = [
            f"{getattr(self, name):>13,}  {meaning}"
            for name, meaning in _MEANING.items()
            if getattr(self, name) or name == "records"
        ]
        return "\n".join([*rows, *(f"{'warning':>13}  {text}" for text in self.warnings)])


def doubled_syncs_warning(number: int, first_record: int) -> str:
    """Say how many trial starts came too early, and where to look for the first."""
    return (
        f"{number:,} trial starts (syncs) follow the one before within half a period (the first is "
        f"record {first_record:,}, counted from 0): noise or reflections at the sync input; each "
        "of them counts as a trial and ends the one before"
    )


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

    def exchanged(self, gate: str) -> "Counts":
        """Return the counts with the detectors of one gate in reverse order.

        At θ + π the two detectors change their roles in the read gate: so folded, counts at θ + π
        add to those at θ. The histogram, of what the detectors themselves saw, stays.

        Raises
        ------
        KeyError
            If there is no such gate.
        """
        if gate not in self.gates.names:
            message = f"no gate {gate!r}; gates are {', '.join(self.gates.names)}"
            raise KeyError(message)
        row, number = self.gates.names.index(gate), len(self.gates.detectors)
        order = np.arange(self.singles.size).reshape(self.singles.shape)
        order[row] = order[row, ::-1].copy()
        cells = order.ravel()
        return replace(
            self,
            singles=self.singles.ravel()[cells].reshape(-1, number),
            repeated=self.repeated.ravel()[cells].reshape(-1, number),
            pairs=self.pairs[np.ix_(cells, cells)],
        )

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

    def labelled(self) -> Labelled:
        """Return named variables with units, and the gates as attributes."""
        import json

        gates, detectors = np.array(self.gates.names), np.array(list(self.gates.detectors))
        shape = (len(gates), len(detectors)) * 2
        axes, arrivals = ("gate", "detector"), ("detector", "time")
        four, pairs = (*axes, "other_gate", "other_detector"), self.pairs.reshape(shape)
        bins = {"units": "s", "long_name": "bin start"}
        return Labelled(
            variables={
                "singles": (axes, self.singles, {"units": "trials"}),
                "coincidences": (four, pairs, {"units": "trials"}),
                "repeated": (axes, self.repeated, {"units": "clicks"}),
                "histogram": (arrivals, self.histogram, {"units": "clicks per bin"}),
                "bin_width": (("time",), np.diff(self.bin_edges), {"units": "s"}),
                "gate_of_bin": (("time",), self.gate_of_bin, {"long_name": "gate, or -1"}),
                "trials": ((), np.array(self.trials.number), {}),
            },
            coordinates={
                "gate": (("gate",), gates, {}),
                "detector": (("detector",), detectors, {}),
                "other_gate": (("other_gate",), gates, {}),
                "other_detector": (("other_detector",), detectors, {}),
                "time": (("time",), self.bin_edges[:-1], bins),
            },
            attributes={
                "gates": json.dumps(self.gates.to_dict()),
                "trials_source": self.trials.source,
                "trials_low": self.trials.low,
                "trials_high": self.trials.high,
                "last_bin_edge": float(self.bin_edges[-1]),
                "quality": json.dumps(self.quality.to_dict()),
            },
        )

    def to_xarray(self) -> "xr.Dataset":
        """Return the same as an xarray Dataset."""
        return self.labelled().to_xarray()

    @classmethod
    def from_xarray(cls, data: "xr.Dataset") -> "Counts":
        """Read what `to_xarray` returned.

        Raises
        ------
        ValueError
            If a variable or an attribute is missing.
        """
        import json

        try:
            singles, pairs = data["singles"].values, data["coincidences"].values
            trials, quality = int(data["trials"]), json.loads(data.attrs["quality"])
            return cls(
                gates=GateSet.from_dict(json.loads(data.attrs["gates"])),
                trials=Trials(
                    number=trials,
                    low=int(data.attrs["trials_low"]),
                    high=int(data.attrs["trials_high"]),
                    source=data.attrs["trials_source"],
                ),
                quality=Quality(**{**quality, "warnings": tuple(quality["warnings"])}),
                singles=singles.astype(np.int64),
                pairs=pairs.reshape(singles.size, singles.size).astype(np.int64),
                repeated=data["repeated"].values.astype(np.int64),
                histogram=data["histogram"].values.astype(np.int64),
                bin_edges=np.append(data["time"].values, data.attrs["last_bin_edge"]),
                gate_of_bin=data["gate_of_bin"].values.astype(np.int8),
            )
        except KeyError as error:
            message = f"counts must be as Counts.to_xarray writes them: {error.args[0]}"
            raise ValueError(message) from None

    def __repr__(self) -> str:
        return (
            f"<Counts: {self.trials.number:,} trials, gates {', '.join(self.gates.names)}, "
            f"detectors {', '.join(map(str, self.gates.detectors))}>"
        )

    def _repr_html_(self) -> str:
        """Show the numbers in a notebook."""
        return html_text(str(self))

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
