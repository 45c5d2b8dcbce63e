"""Results on a terminal: tables on stdout, cautions on stderr."""

from collections.abc import Iterable, Mapping

from rich.table import Table

from analysis.evaluation import Evaluation
from analysis.published import PublishedWitness
from analysis.witness.estimate import caution_lines
from labkit.cli.output import print_lines, remarks, results
from labkit.report.tables import PUBLISHED, ResultTable, counts_table, g2_table, witness_table


def print_evaluation(
    evaluation: Evaluation,
    bound: float,
    published: PublishedWitness | None = None,
    diagnosis: Iterable[str] = (),
) -> None:
    """Print counts, g², autocorrelations, witness and verdict; what is undefined says why."""
    print_table(counts_table(evaluation.counts, published))
    if evaluation.g2:
        print_table(g2_table(evaluation.g2, "second-order coherence g²", published))
    if evaluation.autocorrelation:
        print_table(g2_table(evaluation.autocorrelation, "unheralded autocorrelation g²(0)"))
    if evaluation.witness is not None:
        print_table(witness_table(evaluation.witness, bound, published))
    for name, reason in evaluation.undefined.items():
        remarks.print(f"{name} is undefined: {reason}", markup=False, soft_wrap=True)
    print_cautions(evaluation.cautions)
    for sentence in diagnosis:
        remarks.print(f"set-up: {sentence}", markup=False, soft_wrap=True)
    print_lines(f"trials: {evaluation.counts.trials}\ndata quality")
    print_lines(str(evaluation.counts.quality))
    if evaluation.verdict is not None:
        print_lines(str(evaluation.verdict))


def print_cautions(cautions: Mapping[str, str]) -> None:
    """Print what could be misread, on stderr."""
    for line in caution_lines(cautions):
        remarks.print(f"caution: {line}", markup=False, soft_wrap=True)


def print_table(table: ResultTable) -> None:
    """Print a table of results, its numbers aligned."""
    shown = Table(title=table.title, title_justify="left", title_style="bold")
    shown.caption, shown.caption_justify = table.note or None, "left"
    for number, head in enumerate(table.head):
        style = "dim" if head == PUBLISHED else ""
        shown.add_column(head, justify="right" if number else "left", style=style, overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    results.print(shown)
