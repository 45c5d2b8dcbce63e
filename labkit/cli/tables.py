"""Results as tables for a terminal."""

from collections.abc import Mapping

from rich.table import Table

from analysis.correlation import G2
from analysis.counts_file import WitnessCounts
from analysis.evaluation import Evaluation
from analysis.published import PUBLISHED
from analysis.witness import Witness
from labkit.cli.output import remarks, results


def print_evaluation(
    evaluation: Evaluation,
    bound: float,
    published: Mapping[str, str] | None = None,
) -> None:
    """Print counts, g², autocorrelations and the witness; what is undefined says why."""
    results.print(counts_table(evaluation))
    if evaluation.g2:
        results.print(g2_table(evaluation.g2, "second-order coherence g²"))
    if evaluation.autocorrelation:
        results.print(g2_table(evaluation.autocorrelation, "unheralded autocorrelation g²(0)"))
    if evaluation.witness is not None:
        results.print(witness_table(evaluation.witness, bound, published))
    for name, reason in evaluation.undefined.items():
        remarks.print(f"{name} is undefined: {reason}", markup=False, soft_wrap=True)
    results.print(str(evaluation.counts.quality), markup=False, highlight=False)


def published_beside(counts: WitnessCounts, bound: float) -> dict[str, str] | None:
    """Return the published witness values if these are the published counts."""
    return None


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
