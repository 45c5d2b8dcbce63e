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
from analysis.witness.estimate import caution_lines
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
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    html = render(
        title, evaluation, remarks,
        [
            *evaluation_sections(evaluation, folder, bound, published),
            *(section_of(table) for table in tables),
        ],
    )  # fmt: skip
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def render(
    title: str,
    evaluation: Evaluation | None,
    remarks: Sequence[str] | None,
    sections: Sequence[Section],
) -> str:
    """Return the page of sections, with what must be said first above them."""
    from jinja2 import Environment, PackageLoader

    warnings = list(remarks or ())
    if evaluation is not None:
        found = diagnose(evaluation) if remarks is None else remarks
        warnings = [*_warnings(evaluation), *found]
    environment = Environment(autoescape=True, loader=PackageLoader("labkit.report", ""))
    verdict = None if evaluation is None else evaluation.verdict
    return environment.get_template("report.html.jinja").render(
        title=title, headline="" if evaluation is None else headline(evaluation),
        verdict=() if verdict is None else verdict.lines(), warnings=warnings, sections=sections,
        version=labkit.__version__,
    )  # fmt: skip


def headline(evaluation: Evaluation) -> str:
    """Return the verdict in one sentence; empty if there is none."""
    verdict = evaluation.verdict
    return "" if verdict is None else f"{verdict.sentence}; R = {verdict.R}"


def _warnings(evaluation: Evaluation) -> list[str]:
    return [
        *evaluation.counts.quality.warnings,
        *(f"{name} is undefined: {reason}" for name, reason in evaluation.undefined.items()),
        *caution_lines(evaluation.cautions),
    ]


def evaluation_sections(
    evaluation: Evaluation,
    folder: Path | None,
    bound: float,
    published: PublishedWitness | None,
) -> list[Section]:
    """Return what an evaluation says; its pictures (PNG) are also written to a folder, if given."""
    from analysis.plots import (
        arrival_histogram,
        coincidence_matrix,
        figure_of,
        witness_densities,
    )

    counts = evaluation.counts
    sections: list[Section] = []
    if evaluation.witness is not None:
        table = witness_table(evaluation.witness, bound, published)
        picture = figure_of(witness_densities(evaluation.witness, bound))
        sections.append(section_of(table, _save(picture, folder, "witness")))
    table = g2_table(evaluation.g2, "coincidences and second-order coherence g²", published)
    note = "r1p2: read click at detector 1 heralded by a pump click at detector 2"
    picture = figure_of(coincidence_matrix(counts))
    sections.append(section_of(table, _save(picture, folder, "pairs"), note))
    if evaluation.autocorrelation:
        title = "unheralded autocorrelation g²(0)"
        sections.append(section_of(g2_table(evaluation.autocorrelation, title)))
    picture = figure_of(arrival_histogram(counts))
    clicks = counts_table(counts, published)
    note = f"trials: {counts.trials}"
    sections.append(section_of(clicks, _save(picture, folder, "arrivals"), note))
    quality = {k: v for k, v in counts.quality.to_dict().items() if k != "warnings"}
    rows = tuple((name.replace("_", " "), f"{number:,}") for name, number in quality.items())
    sections.append(
        section_of(ResultTable(title="data quality", head=("what", "number"), rows=rows))
    )
    return sections


def section_of(table: ResultTable, image: str = "", note: str = "") -> Section:
    """Return a table as a section of a page, with a picture (PNG, base64) and a note."""
    return asdict(table) | {
        "title": table.title[:1].upper() + table.title[1:],
        "image": image,
        "note": "; ".join(filter(None, (table.note, note))),
    }


def _save(figure: "Figure", folder: Path | None, name: str) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    if folder is not None:
        (folder / f"{name}.png").write_bytes(buffer.getvalue())
    return b64encode(buffer.getvalue()).decode("ascii")
