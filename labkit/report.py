"""One self-contained HTML page about an evaluation, with its pictures inside."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import labkit
from analysis.evaluation import Evaluation
from analysis.published import PublishedWitness
from labkit.diagnostics import diagnose

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

    Returns
    -------
    Path
        The page.
    """
    from jinja2 import Environment, PackageLoader

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    environment = Environment(autoescape=True, loader=PackageLoader("labkit", ""))
    page = environment.get_template("report.html.jinja")
    html = page.render(
        title=title,
        headline=headline(evaluation, bound),
        warnings=[*_warnings(evaluation), *(diagnose(evaluation) if remarks is None else remarks)],
        sections=_sections(evaluation, folder, bound, published),
        version=labkit.__version__,
    )
    path = folder / "report.html"
    path.write_text(html, encoding="utf-8")
    return path


def headline(evaluation: Evaluation, bound: float = 1.0) -> str:
    """Return the result in one sentence; empty if there is no witness."""
    if evaluation.witness is None:
        return ""
    sym = evaluation.witness.sym
    value = f"R_m = {sym.mode:.3f} (16 % to 84 %: {sym.low:.3f} to {sym.high:.3f})"
    if "sym" in evaluation.cautions:
        return f"{value}; no statement about entanglement: {evaluation.cautions['sym']}"
    return (
        f"{value}; entangled (R_m < {bound:g}) with {100 * sym.confidence(bound):.2f} % confidence"
    )


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
        picture = witness_densities(evaluation.witness, bound)
        sections.append(
            _witness_rows(evaluation, bound, published)
            | {"image": _save(picture, folder / "witness.png")}
        )
    sections.append(
        _g2_rows(evaluation, published)
        | {"image": _save(coincidence_matrix(counts), folder / "pairs.png")}
    )
    detectors = counts.gates.detectors
    arrivals = arrival_histogram(counts)
    sections.append(
        {
            "title": "Clicks",
            "head": ["gate", *(f"detector {d}" for d in detectors)],
            "rows": [
                [gate, *(f"{counts.single(gate, d):,}" for d in detectors)]
                for gate in counts.gates.names
            ],
            "image": _save(arrivals, folder / "arrivals.png"),
            "note": f"trials: {counts.trials}",
        }
    )
    quality = {k: v for k, v in counts.quality.to_dict().items() if k != "warnings"}
    sections.append(
        {
            "title": "Data quality",
            "head": ["what", "number"],
            "rows": [[name.replace("_", " "), f"{number:,}"] for name, number in quality.items()],
        }
    )
    return sections


def _witness_rows(
    evaluation: Evaluation, bound: float, published: PublishedWitness | None
) -> Section:
    witness = evaluation.witness
    rows = []
    for name, values in ({} if witness is None else witness.to_dict(bound)).items():
        plugin = values["plugin"]
        row = [
            {"sym": "symmetrised"}.get(name, f"heralded by detector {name}"),
            f"{values['mode']:.4f}",
            f"{values['low']:.4f} … {values['high']:.4f}",
            "undefined" if plugin is None else f"{plugin:.4f}",
            f"{100 * (values['confidence'] or 0.0):.2f} %",
        ]
        rows.append(row if published is None else [*row, str(published.witness[name])])
    head = ["witness", "mode", "16 % … 84 %", "plug-in", f"P(R_m < {bound:g})"]
    return {
        "title": "Entanglement witness R_m (separable states: R_m ≥ 1)",
        "head": head if published is None else [*head, "published"],
        "rows": rows,
    }


def _g2_rows(evaluation: Evaluation, published: PublishedWitness | None) -> Section:
    named = dict(evaluation.g2) | {
        f"{name} (auto)": pair for name, pair in evaluation.autocorrelation.items()
    }
    rows = []
    for name, pair in named.items():
        row = [
            name,
            f"{pair.coincidences:,}",
            f"{pair.accidentals:.2f}",
            f"{pair.value:.3f}",
            f"{pair.low:.3f} … {pair.high:.3f}",
        ]
        paper = {} if published is None else published.counts.coincidences
        rows.append(row if published is None else [*row, f"{paper.get(name, '')}"])
    head = ["pair", "coincidences", "accidentals", "g²", "16 % … 84 %"]
    return {
        "title": "Coincidences and second-order coherence g²",
        "head": head if published is None else [*head, "published coincidences"],
        "rows": rows,
        "note": "r1p2: read click at detector 1 heralded by a pump click at detector 2.",
    }


def _save(figure: "Figure", path: Path) -> str:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    path.write_bytes(buffer.getvalue())
    return b64encode(buffer.getvalue()).decode("ascii")
