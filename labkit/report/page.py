"""One self-contained HTML page about an evaluation, with its pictures inside."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import labkit
from analysis.evaluation import Evaluation
from analysis.published import PublishedWitness
from labkit.report.diagnostics import diagnose
from labkit.report.tables import ResultTable, counts_table, g2_table, witness_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Section = dict[str, object]


def write_report(
    evaluation: Evaluation,
    folder: str | Path,
    *,
    title: str = "Entanglement witness from time tags",
    bound: float = 1.0,
    published: PublishedWitness | None = None,
    remarks: Sequence[str] | None = None,
    tables: Sequence[ResultTable] = (),
) -> Path:
    """Write ``report.html`` and its pictures (PNG) to a folder.

    Parameters
    ----------
    evaluation : Evaluation
    folder : path
        Made if it does not exist.
    title : str
    bound : float
        Bound for separable states.
    published : PublishedWitness, optional
        Published counts and values, shown beside ours.
    remarks : sequence of str, optional
        What is wrong with the set-up; by default what `diagnose` finds in the counts alone.
    tables : sequence of ResultTable
        Further tables, shown last.

    Returns
    -------
    Path
        The page.
    """
    from jinja2 import Environment, PackageLoader

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    environment = Environment(autoescape=True, loader=PackageLoader("labkit.report", ""))
    page = environment.get_template("report.html.jinja")
    html = page.render(
        title=title,
        headline=headline(evaluation),
        verdict="" if evaluation.verdict is None else str(evaluation.verdict),
        warnings=[*_warnings(evaluation), *(diagnose(evaluation) if remarks is None else remarks)],
        sections=[
            *_sections(evaluation, folder, bound, published),
            *(_section(table) for table in tables),
        ],
        version=labkit.__version__,
    )
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def headline(evaluation: Evaluation) -> str:
    """Return the verdict in one sentence; empty if there is none."""
    verdict = evaluation.verdict
    return "" if verdict is None else f"{verdict.sentence}; R = {verdict.R}"


def _warnings(evaluation: Evaluation) -> list[str]:
    return [
        *evaluation.counts.quality.warnings,
        *(f"{name} is undefined: {reason}" for name, reason in evaluation.undefined.items()),
        *(f"R_m({name}): {reason}" for name, reason in evaluation.cautions.items()),
    ]


def _sections(
    evaluation: Evaluation, folder: Path, bound: float, published: PublishedWitness | None
) -> list[Section]:
    from analysis.plots import arrival_histogram, coincidence_matrix, witness_densities

    counts = evaluation.counts
    sections: list[Section] = []
    if evaluation.witness is not None:
        table = witness_table(evaluation.witness, bound, published)
        picture = witness_densities(evaluation.witness, bound)
        sections.append(_section(table, _save(picture, folder / "witness.png")))
    table = g2_table(evaluation.g2, "coincidences and second-order coherence g²", published)
    note = "r1p2: read click at detector 1 heralded by a pump click at detector 2"
    sections.append(_section(table, _save(coincidence_matrix(counts), folder / "pairs.png"), note))
    if evaluation.autocorrelation:
        title = "unheralded autocorrelation g²(0)"
        sections.append(_section(g2_table(evaluation.autocorrelation, title)))
    picture = arrival_histogram(counts)
    clicks = counts_table(counts, published)
    note = f"trials: {counts.trials}"
    sections.append(_section(clicks, _save(picture, folder / "arrivals.png"), note))
    quality = {k: v for k, v in counts.quality.to_dict().items() if k != "warnings"}
    rows = tuple((name.replace("_", " "), f"{number:,}") for name, number in quality.items())
    sections.append(_section(ResultTable(title="data quality", head=("what", "number"), rows=rows)))
    return sections


def _section(table: ResultTable, image: str = "", note: str = "") -> Section:
    return asdict(table) | {
        "title": table.title[:1].upper() + table.title[1:],
        "image": image,
        "note": "; ".join(filter(None, (table.note, note))),
    }


def _save(figure: "Figure", path: Path) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    path.write_bytes(buffer.getvalue())
    return b64encode(buffer.getvalue()).decode("ascii")
