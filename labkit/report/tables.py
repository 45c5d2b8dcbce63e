"""Results as tables of text, published values beside them: for a terminal and for the report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from analysis.correlation import G2
from analysis.counts import Counts
from analysis.published import PublishedWitness
from analysis.witness import Witness

if TYPE_CHECKING:
    from simulation.inference.budget import BudgetRow, NoiseBudget

PUBLISHED = "published"
"""Head of the last column, if there is something to compare with."""

Rows = Iterable[tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """A table of text, every row as long as its head; the note stands below."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def counts_table(counts: Counts, published: PublishedWitness | None = None) -> ResultTable:
    """Return trials, and singles per gate and detector."""
    gates = counts.gates
    paper = published and {"pump": published.counts.pump, "read": published.counts.read}
    rows = [
        (
            gate,
            *(f"{counts.single(gate, d):,}" for d in gates.detectors),
            " / ".join(f"{n:,}" for n in (paper or {}).get(gate, ())),
        )
        for gate in gates.names
    ]
    blanks = [""] * (len(gates.detectors) - 1)
    trials = "" if published is None else f"{published.counts.trials:,}"
    rows.append(("trials", f"{counts.trials.number:,}", *blanks, trials))
    heads = (f"detector {d}" for d in gates.detectors)
    return _table("counts", ("clicks", *heads), rows, published)


def g2_table(
    estimates: Mapping[str, G2], title: str, published: PublishedWitness | None = None
) -> ResultTable:
    """Return coincidences, accidentals and g² with intervals."""
    head = ("pair", "coincidences", "accidentals", "g²", "16 %", "84 %")
    paper = {} if published is None else published.counts.coincidences
    rows = (
        (
            name,
            f"{pair.coincidences:,}",
            f"{pair.accidentals:.2f}",
            f"{pair.value:.3f}",
            f"{pair.low:.3f}",
            f"{pair.high:.3f}",
            str(paper.get(name, "")),
        )
        for name, pair in estimates.items()
    )
    return _table(title, head, rows, published)


def witness_table(
    witness: Witness, bound: float, published: PublishedWitness | None = None
) -> ResultTable:
    """Return R_m with its interval as the paper states it; only the verdict says what is shown."""
    head = ("herald", "mode", "16 %", "84 %", "plug-in")
    rows = (
        (
            {"sym": "both"}.get(name, f"detector {name}"),
            f"{posterior.mode:.4f}",
            f"{posterior.low:.4f}",
            f"{posterior.high:.4f}",
            "undefined" if posterior.plugin is None else f"{posterior.plugin:.4f}",
            "" if published is None else str(published.witness[name]),
        )
        for name, posterior in witness.named.items()
    )
    note = ""
    if published is not None and bound in published.confidence:
        confidence = 100 * published.confidence[bound]
        note = f"published: R_m < {bound:g} with {confidence:g} % confidence"
    title = "R_m as published: describes, decides nothing"
    return _table(title, head, rows, published, note)


def budget_table(budget: "NoiseBudget") -> ResultTable:
    """Return what each source of noise costs, by the model."""

    def row(label: str, cost: str, entry: "NoiseBudget | BudgetRow") -> tuple[str, ...]:
        trials = f"{entry.trials.median:.3g}" if isfinite(entry.trials.median) else "never"
        alone = (f"{one.median:.2f}" for one in (entry.g2_A, entry.g2_B))
        return (label, *alone, entry.R_m.text(), cost, trials)

    rows = [row("as it is", "", budget)]
    rows += [row(f"without {each.label}", each.cost.text("+.3f"), each) for each in budget.rows]
    return ResultTable(
        title="noise budget (model)",
        head=("", "g² A", "g² B", "R_m", "cost", f"trials to {100 * budget.confidence:g} %"),
        rows=tuple(rows),
        note=(
            f"without all {budget.total.text()} less; costs alone do not add up to it: "
            f"interaction {budget.interaction.text('+.3f')}"
        ),
    )


def _table(
    title: str, head: tuple[str, ...], rows: Rows, published: PublishedWitness | None,
    note: str = "",
) -> ResultTable:  # fmt: skip
    """Return a table whose rows end with the published value, left out if there is none."""
    if published is None:
        return ResultTable(title=title, head=head, rows=tuple(row[:-1] for row in rows))
    return ResultTable(title=title, head=(*head, PUBLISHED), rows=tuple(rows), note=note)
