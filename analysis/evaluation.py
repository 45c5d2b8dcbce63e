"""From counts to results: every g², the autocorrelations and, where defined, the witness."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from types import MappingProxyType

from analysis.correlation import G2, autocorrelation, g2
from analysis.counting.count import count
from analysis.counts import Counts
from analysis.counts_file import witness_counts
from analysis.evidence import BlockCounts, Evidence
from analysis.gates import GateSet
from analysis.notebook import html_text
from analysis.witness import Condition, Verdict, Witness, judge, witness


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What counts say, as plain results; a pure function of the counts.

    Attributes
    ----------
    counts : Counts
    coincidences : Mapping[str, int]
        Trials with clicks in two gates, by pair: ``r1p2`` is read at detector 1, pump at 2.
    g2 : Mapping[str, G2]
        By the same names.
    autocorrelation : Mapping[str, G2]
        Unheralded g²(0) between two detectors, by gate (``read``; with more than two detectors
        ``read12``, …).
    witness : Witness or None
        None if the gates are not pump and read with detectors 1 and 2, or a g² is undefined.
        It describes, as published; only the verdict says what is shown.
    verdict : Verdict or None
        None if there were no trials, or the gates are not pump and read with detectors 1 and 2.
    undefined : Mapping[str, str]
        What could not be computed, and why.
    """

    counts: Counts
    coincidences: Mapping[str, int]
    g2: Mapping[str, G2]
    autocorrelation: Mapping[str, G2]
    witness: Witness | None
    verdict: Verdict | None
    undefined: Mapping[str, str]

    @property
    def cautions(self) -> dict[str, str]:
        """What could be misread: witnesses whose posterior reaches below R_m = 0."""
        return {} if self.witness is None else self.witness.cautions

    def __str__(self) -> str:
        lines = [f"trials     {self.counts.trials}"]
        if self.witness is None:
            lines += [f"g² {name}    {pair}" for name, pair in self.g2.items()]
        else:
            lines += ["as published, descriptive:", str(self.witness)]
        lines += [f"{name} is undefined: {why}" for name, why in self.undefined.items()]
        return "\n".join([*lines, *([] if self.verdict is None else [str(self.verdict)])])

    def __repr__(self) -> str:
        said = "no verdict" if self.verdict is None else self.verdict.sentence
        return f"<Evaluation: {self.counts.trials.number:,} trials, {said}>"

    def _repr_html_(self) -> str:
        """Show words and verdict in a notebook."""
        if self.verdict is None:
            return html_text(str(self))
        return html_text(str(replace(self, verdict=None))) + self.verdict._repr_html_()

    def to_dict(self, bound: float = 1.0) -> dict[str, object]:
        """Return plain types: the JSON object of ``labkit analyse``."""
        counts = self.counts
        return {
            "trials": counts.trials.number,
            "trials_range": [counts.trials.low, counts.trials.high],
            "trials_source": counts.trials.source,
            "singles": {
                name: {str(detector): counts.single(name, detector) for detector in detectors}
                for name in counts.gates.names
                for detectors in [counts.gates.detectors]
            },
            "coincidences": dict(self.coincidences),
            "g2": {name: pair.to_dict() for name, pair in self.g2.items()},
            "autocorrelation": {
                name: pair.to_dict() for name, pair in self.autocorrelation.items()
            },
            "witness": None if self.witness is None else self.witness.to_dict(),
            "as_published": None if self.witness is None else self.witness.as_published(bound),
            "verdict": None if self.verdict is None else self.verdict.to_dict(),
            "bound": bound,
            "undefined": dict(self.undefined),
            "cautions": self.cautions,
            "quality": counts.quality.to_dict(),
            "gates": counts.gates.to_dict(),
        }


def evaluate(
    counts: Counts,
    *,
    declared: Mapping[str, float] = MappingProxyType({}),
    trials_fixed_in_advance: bool = False,
    measured: Iterable[Condition] = (),
    bound: float = 1.0,
) -> Evaluation:
    """Compute every g², the witness and the verdict from counts.

    What is undefined (no trials, a gate without clicks) is left out and named in ``undefined``.

    Parameters
    ----------
    counts : Counts
    declared : mapping of str to float
        Conditions of the witness that the user vouches for, see `analysis.evidence.DECLARABLE`.
    trials_fixed_in_advance : bool
        Whether the number of trials was fixed before the run.
    measured : iterable of Condition
        Conditions measured elsewhere.
    bound : float
        Largest bound of the verdict if below 1, see `analysis.witness.judge`.

    Returns
    -------
    Evaluation
    """
    undefined: dict[str, str] = {}
    pairs = cross_pairs(counts.gates)
    return Evaluation(
        counts=counts,
        coincidences=MappingProxyType({n: counts.coincidence(*pair) for n, pair in pairs.items()}),
        g2=MappingProxyType(_correlations(counts, undefined)),
        autocorrelation=MappingProxyType(_autocorrelations(counts, undefined)),
        witness=_witness(counts, undefined),
        verdict=_verdict(counts, declared, trials_fixed_in_advance, measured, bound),
        undefined=MappingProxyType(undefined),
    )


def g2_of_pairs(counts: Counts) -> dict[str, G2]:
    """Return every g² of cells in different gates that is defined, as `Evaluation.g2` has them.

    To be used where nobody asks for the witness, which takes a hundred times as long.
    """
    return _correlations(counts, {})


def _correlations(counts: Counts, undefined: dict[str, str]) -> dict[str, G2]:
    found = {
        name: _try_g2(counts, name, late, early, undefined)
        for name, (late, early) in cross_pairs(counts.gates).items()
    }
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def analyse(
    paths: str | Path | Iterable[str | Path], gates: GateSet | str | Path | None = None
) -> Evaluation:
    """Count tag files and compute every g² and the witness: `evaluate` of `count`.

    Parameters
    ----------
    paths : path or several
    gates : GateSet or path of a gates file, optional
        By default the gates file beside the first tag file.

    Raises
    ------
    ValueError
        As for `analysis.counting.count`.
    """
    return evaluate(count(paths, gates))


def cross_pairs(gates: GateSet) -> dict[str, tuple[tuple[str, int], tuple[str, int]]]:
    """Return the pairs of cells in different gates: name to (later cell, earlier cell).

    A cell is named by its gate's initial and its detector, ``r1``; by the gate's full name where
    initials are not unique.
    """
    initials = {name[0] for name in gates.names}
    short = len(initials) == len(gates.names)

    def label(cell: tuple[str, int]) -> str:
        return f"{cell[0][0] if short else cell[0]}{cell[1]}"

    pairs = {}
    for early, late in combinations(gates.names, 2):
        for j in gates.detectors:
            for i in gates.detectors:
                a, b = (late, i), (early, j)
                pairs[label(a) + label(b)] = (a, b)
    return pairs


def _try_g2(
    counts: Counts,
    name: str,
    a: tuple[str, int],
    b: tuple[str, int],
    undefined: dict[str, str],
) -> G2 | None:
    try:
        return g2(
            counts.coincidence(a, b),
            counts.single(*a),
            counts.single(*b),
            counts.trials.number,
            names=(name, f"{a[0]} {a[1]}", f"{b[0]} {b[1]}"),
        )
    except ValueError as error:
        undefined[f"g2.{name}"] = str(error)
        return None


def _autocorrelations(counts: Counts, undefined: dict[str, str]) -> dict[str, G2]:
    found = {}
    couples = list(combinations(counts.gates.detectors, 2))
    for gate in counts.gates.names:
        for i, j in couples:
            name = gate if len(couples) == 1 else f"{gate}{i}{j}"
            try:
                found[name] = autocorrelation(
                    counts.coincidence((gate, i), (gate, j)),
                    counts.single(gate, i),
                    counts.single(gate, j),
                    counts.trials.number,
                )
            except ValueError as error:
                undefined[f"autocorrelation.{name}"] = str(error)
    return found


def _witness(counts: Counts, undefined: dict[str, str]) -> Witness | None:
    try:
        return witness(counts)
    except ValueError as error:
        undefined["witness"] = str(error)
        return None


def _verdict(
    counts: Counts,
    declared: Mapping[str, float],
    fixed: bool,
    measured: Iterable[Condition],
    bound: float,
) -> Verdict | None:
    try:
        nine = witness_counts(counts)
    except ValueError:
        return None
    if nine.trials == 0:
        return None
    evidence = Evidence(
        blocks=(BlockCounts(theta=nine),), declared=declared, trials_fixed_in_advance=fixed
    )
    return judge(evidence, measured=measured, bound=min(bound, 1.0))
