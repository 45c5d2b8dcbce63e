"""Results as tables for a terminal."""

from collections.abc import Mapping

from rich.table import Table

from analysis.correlation import G2
from analysis.evaluation import Evaluation
from analysis.witness import Witness


def counts_table(evaluation: Evaluation) -> Table:
    """Return singles per gate and detector."""
    counts = evaluation.counts
    table = Table(title=f"trials: {counts.trials}", title_justify="left")
    table.add_column("clicks")
    for detector in counts.gates.detectors:
        table.add_column(f"detector {detector}", justify="right")
    for gate in counts.gates.names:
        table.add_row(gate, *(f"{counts.single(gate, d):,}" for d in counts.gates.detectors))
    return table


def g2_table(
    estimates: Mapping[str, G2], title: str, published: Mapping[str, str] | None = None
) -> Table:
    """Return g² with intervals; `published` adds a column."""
    table = Table(title=title, title_justify="left")
    table.add_column("pair")
    for head in ("coincidences", "accidentals", "g²", "16 %", "84 %"):
        table.add_column(head, justify="right")
    if published is not None:
        table.add_column("published", justify="right")
    for name, pair in estimates.items():
        row = [
            name,
            f"{pair.coincidences:,}",
            f"{pair.accidentals:.2f}",
            f"{pair.value:.3f}",
            f"{pair.low:.3f}",
            f"{pair.high:.3f}",
        ]
        table.add_row(*row, *([] if published is None else [published.get(name, "")]))
    return table


def witness_table(
    witness: Witness, bound: float, published: Mapping[str, str] | None = None
) -> Table:
    """Return R_m with interval and confidence; `published` adds a column."""
    table = Table(
        title=f"entanglement witness R_m (separable states: R_m ≥ 1; bound {bound:g})",
        title_justify="left",
    )
    table.add_column("herald")
    for head in ("mode", "16 %", "84 %", "plug-in", f"P(R_m < {bound:g})"):
        table.add_column(head, justify="right")
    if published is not None:
        table.add_column("published", justify="right")
    named = {"1": witness.detector[1], "2": witness.detector[2], "sym": witness.sym}
    for name, posterior in named.items():
        plugin = "undefined" if posterior.plugin is None else f"{posterior.plugin:.4f}"
        row = [
            {"sym": "symmetrised"}.get(name, f"detector {name}"),
            f"{posterior.mode:.4f}",
            f"{posterior.low:.4f}",
            f"{posterior.high:.4f}",
            plugin,
            f"{100 * posterior.confidence(bound):.2f} %",
        ]
        table.add_row(*row, *([] if published is None else [published.get(name, "")]))
    return table
