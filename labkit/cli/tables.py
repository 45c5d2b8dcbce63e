"""Results as tables for a terminal, published values beside them where there are any."""

from collections.abc import Iterable, Mapping

from rich.table import Table

from analysis.correlation import G2
from analysis.evaluation import Evaluation
from analysis.published import PublishedWitness
from analysis.witness import Witness
from labkit.cli.output import remarks, results


def print_evaluation(
    evaluation: Evaluation,
    bound: float,
    published: PublishedWitness | None = None,
    diagnosis: Iterable[str] = (),
) -> None:
    """Print counts, g², autocorrelations and the witness; what is undefined says why."""
    results.print(counts_table(evaluation, published))
    if evaluation.g2:
        results.print(g2_table(evaluation.g2, "second-order coherence g²", published))
    if evaluation.autocorrelation:
        results.print(g2_table(evaluation.autocorrelation, "unheralded autocorrelation g²(0)"))
    if evaluation.witness is not None:
        results.print(witness_table(evaluation.witness, bound, published))
    for name, reason in evaluation.undefined.items():
        remarks.print(f"{name} is undefined: {reason}", markup=False, soft_wrap=True)
    print_cautions(evaluation.cautions)
    for sentence in diagnosis:
        remarks.print(f"set-up: {sentence}", markup=False, soft_wrap=True)
    print_lines(f"trials: {evaluation.counts.trials}\ndata quality")
    print_lines(str(evaluation.counts.quality))


def print_cautions(cautions: Mapping[str, str]) -> None:
    """Print what could be misread, on stderr."""
    for name, reason in cautions.items():
        remarks.print(f"caution: R_m({name}): {reason}", markup=False, soft_wrap=True)


def print_lines(text: str) -> None:
    """Print text as it is: no markup, no colours, no wrapping."""
    results.print(text, markup=False, highlight=False, soft_wrap=True)


def counts_table(evaluation: Evaluation, published: PublishedWitness | None = None) -> Table:
    """Return trials, and singles per gate and detector."""
    counts = evaluation.counts
    table = _table("counts", "clicks", (f"detector {d}" for d in counts.gates.detectors), published)
    beside = {} if published is None else {
        "pump": published.counts.pump, "read": published.counts.read
    }  # fmt: skip
    for gate in counts.gates.names:
        singles = (f"{counts.single(gate, d):,}" for d in counts.gates.detectors)
        paper = " / ".join(f"{n:,}" for n in beside.get(gate, ()))
        table.add_row(gate, *singles, *_beside(published, paper))
    trials = f"{counts.trials.number:,}"
    paper = "" if published is None else f"{published.counts.trials:,}"
    blanks = [""] * (len(counts.gates.detectors) - 1)
    table.add_row("trials", trials, *blanks, *_beside(published, paper))
    return table


def g2_table(
    estimates: Mapping[str, G2], title: str, published: PublishedWitness | None = None
) -> Table:
    """Return coincidences, accidentals and g² with intervals."""
    heads = ("coincidences", "accidentals", "g²", "16 %", "84 %")
    table = _table(title, "pair", heads, published)
    for name, pair in estimates.items():
        paper = "" if published is None else f"{published.counts.coincidences.get(name, '')}"
        table.add_row(
            name,
            f"{pair.coincidences:,}",
            f"{pair.accidentals:.2f}",
            f"{pair.value:.3f}",
            f"{pair.low:.3f}",
            f"{pair.high:.3f}",
            *_beside(published, paper),
        )
    return table


def witness_table(
    witness: Witness, bound: float, published: PublishedWitness | None = None
) -> Table:
    """Return R_m with interval and confidence."""
    heads = ("mode", "16 %", "84 %", "plug-in", f"P(R_m < {bound:g})")
    title = "entanglement witness R_m (separable states: R_m ≥ 1)"
    table = _table(title, "herald", heads, published)
    for name, posterior in witness.named.items():
        table.add_row(
            {"sym": "both"}.get(name, f"detector {name}"),
            f"{posterior.mode:.4f}",
            f"{posterior.low:.4f}",
            f"{posterior.high:.4f}",
            "undefined" if posterior.plugin is None else f"{posterior.plugin:.4f}",
            f"{100 * posterior.confidence(bound):.2f} %",
            *_beside(published, "" if published is None else str(published.witness[name])),
        )
    if published is not None and bound in published.confidence:
        confidence = 100 * published.confidence[bound]
        table.caption = f"published: R_m < {bound:g} with {confidence:g} % confidence"
        table.caption_justify = "left"
    return table


def _table(
    title: str, first: str, heads: Iterable[str], published: PublishedWitness | None
) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for head in heads:
        table.add_column(head, justify="right")
    if published is not None:
        table.add_column("published", justify="right", style="dim")
    return table


def _beside(published: PublishedWitness | None, text: str) -> list[str]:
    return [] if published is None else [text]
