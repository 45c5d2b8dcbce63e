"""Better gates from the data, judged on trials that they were not chosen by."""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import sqrt
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.counting import count
from analysis.counting.shifts import first_tick
from analysis.counts import Counts
from analysis.gates import Gate, GateSet, as_gates, gates_path
from analysis.questions.segments import count_every
from analysis.tagfile import TagSource, open_tags

Window = tuple[int, int]
STEPS: Final = 12
"""Parts of a gate at whose edges a better one may begin and end."""

_SLICES: Final = 40
_FEWEST: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BetterGates:
    """Gates chosen for the signal-to-noise ratio of the coincidences, and what that is worth.

    The ratio is (C − λ)/√(C + 1) of C coincidences of the early and the late gate, any detectors,
    where λ are accidental.

    Attributes
    ----------
    gates : GateSet
        Chosen by all trials.
    given : float
        Ratio of the gates as given, all trials.
    chosen : float
        Ratio of the chosen gates on the trials that they were chosen by: too high by choice.
    honest : float
        Ratio to expect of the chosen gates: each half of the recording judges the gates that the
        other half chose, put together for the whole.
    """

    gates: GateSet
    given: float
    chosen: float
    honest: float

    def __str__(self) -> str:
        verdict = "better" if self.honest > self.given else "NOT better"
        return (
            f"signal/noise of the coincidences: {self.given:.3g} as given, {self.honest:.3g} to "
            f"expect of the new gates ({verdict}), judged on trials that they were not chosen by; "
            f"{self.chosen:.3g} on those they were chosen by, which is too high by choice"
        )

    def to_dict(self) -> dict[str, object]:
        """Return plain types, as the command line prints them in JSON."""
        return {
            "gates": self.gates.to_dict(),
            "signal_to_noise": {
                "given": self.given,
                "expected": self.honest,
                "on_choosing_trials": self.chosen,
            },
        }


def better_gates(
    path: str | Path | TagSource,
    gates: GateSet | str | Path | None = None,
    *,
    between: tuple[str, str] = ("pump", "read"),
    steps: int = STEPS,
) -> BetterGates:
    """Look for narrower gates inside the given ones, by a grid of `steps` parts of each.

    The recording is cut into 40 slices; even and odd ones choose and judge in turn. Gates that are
    to be used on the same recording are still chosen by it: use them on another one, or quote
    ``honest``.

    Parameters
    ----------
    path : path or open source
    gates : GateSet or path of a gates file, or None for the one beside the tag file
        Wide ones; without windows of single detectors.
    between : tuple of str
        Early and late gate.
    steps : int

    Raises
    ------
    TagFileError
        If the file cannot be read.
    ValueError
        If there are no such gates, or too few coincidences to choose by.
    """
    source = path if isinstance(path, TagSource) else open_tags(path)
    gate_set = as_gates(gates_path(source.path) if gates is None else gates)
    edges = [_edges(gate_set, name, source.resolution, steps) for name in between]
    whole = count(source, gate_set)
    length = max(whole.trials.number * gate_set.period / _SLICES, gate_set.period)
    slices = count_every(source, _cut(gate_set, between, edges), length).counts
    halves = [_Grid.of(slices[half::2], [len(each) - 1 for each in edges]) for half in (0, 1)]
    both = halves[0].with_(halves[1])
    if both.pairs.sum() < _FEWEST:
        message = (
            f"{source.path}: gates need {_FEWEST} coincidences of {between[0]} and {between[1]} to "
            f"be chosen by, but there are {both.pairs.sum()}"
        )
        raise ValueError(message)
    found = both.best()
    judged = [halves[1].sums(*halves[0].best()), halves[0].sums(*halves[1].best())]
    names = dict(zip(between, zip(edges, found, strict=True), strict=True))
    return BetterGates(
        gates=replace(
            gate_set,
            gates=tuple(
                _narrowed(gate, *names[gate.name]) if gate.name in names else gate
                for gate in gate_set.gates
            ),
        ),
        given=_ratio(*both.sums((0, len(edges[0]) - 1), (0, len(edges[1]) - 1))),
        chosen=_ratio(*both.sums(*found)),
        honest=_ratio(*(sum(part) for part in zip(*judged, strict=True))),
    )


def _edges(gates: GateSet, name: str, resolution: float, steps: int) -> list[float]:
    """Return where a gate may be cut, in seconds on the file's grid."""
    if name not in gates.names:
        message = f"`between` must name two of {', '.join(gates.names)}, but names {name}"
        raise ValueError(message)
    gate = gates.gates[gates.names.index(name)]
    if gate.windows or steps < 2:
        message = (
            f"gate {name!r} must have one window for all detectors, cut into two or more parts; "
            "use delays for detectors that lie apart"
        )
        raise ValueError(message)
    first, stop = first_tick(gate.start, resolution), first_tick(gate.stop, resolution)
    cuts = np.unique(np.rint(np.linspace(first, stop, steps + 1))) * resolution
    return [gate.start, *cuts[1:-1].tolist(), gate.stop]


def _cut(gates: GateSet, between: tuple[str, str], edges: list[list[float]]) -> GateSet:
    """Return the two gates as many narrow ones, the early before the late."""
    parts = [
        Gate(name=f"{name}_{k}", start=start, stop=stop)
        for name, cuts in zip(between, edges, strict=True)
        for k, (start, stop) in enumerate(pairwise(cuts))
    ]
    return replace(gates, gates=tuple(parts))


def _narrowed(gate: Gate, edges: list[float], window: Window) -> Gate:
    return replace(gate, start=edges[window[0]], stop=edges[window[1]])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Grid:
    """Clicks of the parts of both gates, summed over detectors, and their coincidences."""

    trials: int
    early: NDArray[np.int64]
    late: NDArray[np.int64]
    pairs: NDArray[np.int64]

    @classmethod
    def of(cls, slices: tuple[Counts, ...], parts: list[int]) -> "_Grid":
        total = sum(slices[1:], slices[0])
        singles = total.singles.sum(axis=1)
        shape = total.singles.shape
        pairs = total.pairs.reshape(*shape, *shape).sum(axis=(1, 3))
        return cls(
            trials=total.trials.number,
            early=singles[: parts[0]],
            late=singles[parts[0] :],
            pairs=pairs[: parts[0], parts[0] :],
        )

    def with_(self, other: "_Grid") -> "_Grid":
        return _Grid(
            trials=self.trials + other.trials,
            early=self.early + other.early,
            late=self.late + other.late,
            pairs=self.pairs + other.pairs,
        )

    def sums(self, early: Window, late: Window) -> tuple[float, float]:
        """Return coincidences and accidental ones of two windows."""
        a, b = slice(*early), slice(*late)
        accidental = float(self.early[a].sum()) * float(self.late[b].sum()) / max(self.trials, 1)
        return float(self.pairs[a, b].sum()), accidental

    def best(self) -> tuple[Window, Window]:
        """Return the windows with the best ratio."""
        windows = [
            [(a, b) for a in range(n) for b in range(a + 1, n + 1)] for n in self.pairs.shape
        ]
        return max(
            ((early, late) for early in windows[0] for late in windows[1]),
            key=lambda both: _ratio(*self.sums(*both)),
        )


def _ratio(coincidences: float, accidental: float) -> float:
    return (coincidences - accidental) / sqrt(coincidences + 1)
