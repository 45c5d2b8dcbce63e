"""The page about one run: its words, and a document that stands alone."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import labkit
from labkit.monitoring import Snapshot
from labkit.monitoring.status import duration_text
from labkit.report import headline
from labkit.report.tables import budget_table
from labkit.run.evidence import WITNESS
from labkit.run.parts import VOLTAGE
from labkit.run.progress import said_setting

if TYPE_CHECKING:
    from jinja2 import Environment

    from labkit.monitoring.comparison import Comparison

MOST_LEFT_OUT = 12
"""Rows of the table of blocks that are left out."""

MOST_EVENTS = 80
"""Rows of the table of events."""

WIDE = 3.0
"""A picture so many times wider than high gets a row of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    title: str
    base64: str
    wide: bool


class Page:
    """Renders snapshots of one run in words; pictures are read again when they have changed."""

    def __init__(self) -> None:
        self._pictures: dict[Path, tuple[float, _Picture]] = {}

    def head(self, snapshot: Snapshot, now: float) -> str:
        """Return the lines at the top and the strip of states; `now` is Unix time, s."""
        return templates().get_template("head.html.jinja").render(
            run=snapshot,
            headline=" · ".join(_headline(snapshot)),
            steps=" · ".join(str(step) for step in snapshot.steps),
            left=_left(snapshot),
            part=None if snapshot.progress is None else snapshot.progress.part(),
            remark=_remark(snapshot),
            footing=" · ".join(_footing(snapshot, now)),
        )  # fmt: skip

    def tables(
        self,
        snapshot: Snapshot,
        runs: Sequence[Mapping[str, str]] = (),
        comparison: "Comparison | None" = None,
    ) -> str:
        """Return what stands below the figures.

        Parameters
        ----------
        snapshot : Snapshot
        runs : sequence of mapping
            A row per run of the folder.
        comparison : Comparison, optional
            With another run.
        """
        rows = [
            {"left": row, "began": clock(row.time)}
            for row in reversed(snapshot.left_out[-MOST_LEFT_OUT:])
        ]
        events = [
            {"day": said[:10], "clock": said[11:19], "kind": event.kind, "text": event.text}
            for event in reversed(snapshot.events[-MOST_EVENTS:])
            for said in (clock(event.time),)
        ]
        evaluation = snapshot.evaluation if _of_witness(snapshot) else None
        verdict = None if evaluation is None else evaluation.verdict
        compared = (
            [] if comparison is None else [*comparison.facts.items(), *comparison.settings.items()]
        )
        return templates().get_template("tables.html.jinja").render(
            run=snapshot, rows=rows, left_out=len(snapshot.left_out), events=events, runs=runs,
            beside=beside,
            comparison=comparison, rows_compared=[(n, v) for n, v in compared if any(map(str, v))],
            verdict=verdict, evidence="" if verdict is None else _evidence(verdict),
            conditions=[] if verdict is None else conditions_of(verdict),
            budget=None if snapshot.learned is None else budget_table(snapshot.learned.budget),
            budget_words=() if snapshot.learned is None else (
                snapshot.learned.fit, *snapshot.learned.budget.sentences()
            ),
            pictures=[self._picture(path) for path in snapshot.figures],
        )  # fmt: skip

    def document(self, snapshot: Snapshot, now: float) -> str:
        """Return a whole page, for a file: figures that answer, without a server.

        Raises
        ------
        RuntimeError
            If Bokeh is not installed.
        """
        try:
            from bokeh.document import Document
            from bokeh.embed import file_html
            from bokeh.resources import INLINE
        except ImportError:
            raise RuntimeError(MISSING) from None
        from labkit.dashboard.charts import Charts

        charts, document = Charts(), Document()
        charts.update(snapshot)
        for figure in charts.figures.values():
            document.add_root(figure)
        parts = {"head": self.head(snapshot, now), "tables": self.tables(snapshot)}
        return file_html(
            document, INLINE, title=snapshot.name, template=templates().get_template(PAGE),
            template_variables=variables(charts.figures) | {"parts": parts},
        )  # fmt: skip

    def _picture(self, path: Path) -> _Picture:
        """Return a PNG, read again when it has been replaced."""
        written = path.stat().st_mtime
        known = self._pictures.get(path)
        if known is not None and known[0] == written:
            return known[1]
        content = path.read_bytes()
        width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
        picture = _Picture(
            title=path.stem.replace("_", " "), base64=b64encode(content).decode("ascii"),
            wide=width > WIDE * height,
        )  # fmt: skip
        self._pictures[path] = (written, picture)
        return picture


PAGE = "page.html.jinja"
BESIDE = "beside.html.jinja"

MISSING = "the page needs Panel and Bokeh: pip install -e '.[dashboard]'"


@cache
def templates() -> "Environment":
    """Return the templates of this room; `base` is Bokeh's, for the page that extends it."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader

    own = PackageLoader("labkit.dashboard", "")
    return Environment(autoescape=True, trim_blocks=True, loader=ChoiceLoader([own]))


@cache
def css() -> str:
    """Return the style sheet of the page and of the words on it."""
    return (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def variables(charts: Mapping[str, object]) -> dict[str, Any]:
    """Return what the page's template is given besides its parts."""
    return {"charts": list(charts), "css": css()}


def clock(seconds: float) -> str:
    """Return a Unix time in local time."""
    return f"{datetime.fromtimestamp(seconds).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def conditions_of(verdict: Any) -> list[dict[str, str]]:
    """Return a row per condition of a verdict: what is wrong first, then what is not known."""
    words = {True: ("met", "good"), False: ("NOT MET", "bad"), None: ("not known", "unknown")}
    rows = []
    for one in verdict.conditions.values():
        word, level = words[one.met]
        value = _said(one.value) if isinstance(one.value, float) else str(one.value or "")
        if one.low is not None:
            value += f" [{one.low:.4g}, {one.high:.4g}]"
        rows.append({
            "word": word, "level": level, "name": one.name.replace("_", " "), "value": value,
            "demand": str(one.demand), "source": one.source,
        })  # fmt: skip
    order = {"bad": 0, "unknown": 1, "good": 2}
    return sorted(rows, key=lambda row: order[row["level"]])


def _said(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1e5 and not isinf(value) else f"{value:.4g}"


def beside(*names: str) -> str:
    """Return the address of a page that shows runs side by side."""
    return f"?{urlencode({'beside': names}, doseq=True)}"


def _evidence(verdict: Any) -> str:
    limit = (
        "no limit yet"
        if isinf(verdict.upper_limit_95)
        else f"R < {verdict.upper_limit_95:.3f} (95 %, any time)"
    )
    return (
        f"R = {verdict.R} (symmetrised, 68 %) · log E = {verdict.log_E:.3g}, always-valid "
        f"confidence {100 * verdict.always_confidence:.3g} % · {limit} · separable states: "
        f"R ≥ {verdict.bound:.4g}"
    )


def _left(snapshot: Snapshot) -> str:
    """Return the time left, with its interval, in words."""
    left = snapshot.time_left
    if left is None or left.seconds <= 0.0:  # the goal is reached, calibrations may come again
        return ""
    said = f"about {duration_text(left.seconds)} left"
    if left.low is None or left.high is None or left.low == left.high:
        return said
    return f"{said} ({duration_text(left.low)} to {duration_text(left.high)}, 68 %)"


def _of_witness(snapshot: Snapshot) -> bool:
    """Whether the run is about a witness by now: calibrations have no verdict."""
    return snapshot.about.get("procedure", WITNESS) == WITNESS


def _remark(snapshot: Snapshot) -> str:
    if not _of_witness(snapshot):
        return ""
    if snapshot.remark or not snapshot.judged or snapshot.judged >= snapshot.blocks:
        return snapshot.remark
    return f"the verdict is of the first {snapshot.judged:,} of {snapshot.blocks:,} blocks so far"


def _headline(snapshot: Snapshot) -> list[str]:
    """Return what somebody who passes by wants to know."""
    found = []
    if snapshot.goal is not None:
        part = None if snapshot.progress is None else snapshot.progress.part()
        percent = "" if part is None else f"{100 * part:.0f} % of "
        found.append(f"{percent}{snapshot.goal}")
    if snapshot.evaluation is None:
        return [*found, "no good block yet"]
    if snapshot.witness is not None:
        return [*found, headline(snapshot.evaluation) or "no verdict yet"]
    about = {n: v for n, v in snapshot.about.items() if v != "" and not n.startswith(VOLTAGE)}
    procedure = str(about.pop("procedure", "")).replace("_", " ")
    setting = ", ".join(
        said_setting(name, value) if isinstance(value, float) else f"{name} {value}"
        for name, value in about.items()
    )
    return [*found, f"now: {', '.join(filter(None, (procedure, setting)))}"]


def _footing(snapshot: Snapshot, now: float) -> list[str]:
    """Return the small print."""
    found = [f"{snapshot.good:,} of {snapshot.blocks:,} blocks are good"]
    if snapshot.evaluation is not None:
        found.append(f"{snapshot.evaluation.counts.trials.number:,} trials")
    if snapshot.progress is not None and snapshot.progress.click_rate:
        found.append(f"{snapshot.progress.click_rate:.1f} clicks/s")
    if snapshot.status.recording is not None:
        found.append(f"recording block {snapshot.status.recording:,}")
    since = duration_text(now - snapshot.status.sign_of_life)
    found.append(f"last written {since} ago on {snapshot.host}")
    return [*found, f"as of {clock(now)}", f"labkit {labkit.__version__}"]
