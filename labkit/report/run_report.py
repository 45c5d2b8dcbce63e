"""The report of a run: all that somebody needs to know who has only this."""

import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from io import StringIO
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analysis.counts import Counts
from analysis.published import RIEDINGER_2018
from analysis.witness import Verdict
from analysis.witness.conditions import NOT_MEASURED
from labkit.learned import PICTURE
from labkit.monitoring.outcome import outcome_of
from labkit.report.figures import PAGE, SEQUENCE, RunPictures, draw_figure, journal_style
from labkit.report.page import Section, evaluation_sections, render, section_of
from labkit.report.tables import ResultTable, budget_table
from labkit.run import RunFolder
from labkit.run.events import settings_made, unset_drift
from labkit.run.left_out import left_out_of
from labkit.run.lines import sha256_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REPORT = "report.html"
MOST_LEFT_OUT = 50
ELSEWHERE = (PICTURE, "phase_sweep", "witness")
"""Pictures of procedures that have a section of their own, drawn from the record."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")


def write_run_report(
    folder: RunFolder,
    path: Path | None = None,
    *,
    remarks: Sequence[str] | None = None,
    learned: Callable[[], object] | None = None,
    figures: "ReportFigures | None" = None,
) -> Path:
    """Write the report of a run, as one HTML page that prints well or, by the suffix, as PDF.

    Parameters
    ----------
    folder : RunFolder
    path : Path, optional
        By default ``report.html`` in the run folder.
    remarks : sequence of str, optional
        What must be said first; by default what the run's diagnosis says.
    learned : callable, optional
        Waits for the noise budget that is being learned; all else is drawn before.
    figures : ReportFigures, optional
        Drawn before, when the run had its last block.

    Raises
    ------
    RuntimeError
        If a PDF is wanted and there is no browser that prints.
    """
    path = folder.path / REPORT if path is None else path
    if path.suffix.lower() == ".pdf":
        browser = next(filter(None, map(shutil.which, BROWSERS)), None)
        if browser is None:
            message = (
                f"{path}: a PDF is printed by Chromium or Chrome, but {', '.join(BROWSERS)} are "
                "not on PATH; install one (Debian: chromium), or write .html and print it"
            )
            raise RuntimeError(message)
        with TemporaryDirectory() as place:
            page = Path(place) / REPORT
            page.write_text(report_of(folder, remarks, learned, figures), encoding="utf-8")
            _print_pdf(browser, page, path)
        return path
    part = path.with_name(f".{path.name}.part")  # whole whenever it is there
    part.write_text(report_of(folder, remarks, learned, figures), encoding="utf-8")
    part.replace(path)
    return path


def report_of(
    folder: RunFolder,
    remarks: Sequence[str] | None = None,
    learned: Callable[[], object] | None = None,
    figures: "ReportFigures | None" = None,
) -> str:
    """Return the report of a run as HTML; see `write_run_report`."""
    run = RunPictures(folder)
    figures = figures or ReportFigures(folder)
    found = run.snapshot
    manifest = folder.manifest()
    published = RIEDINGER_2018.get(str(manifest.experiment.get("compare", "")))
    said = found.diagnosis if remarks is None else remarks
    unsafe = [f"NOT SAFE at the end: {name}: {why}" for name, why in manifest.unsafe.items()]
    title = manifest.comment or manifest.kind.replace("_", " ")
    sections = [section_of(_what(folder)) | {"text": True}]
    sections += figures.section("sequence")
    if found.evaluation is not None:
        if found.evaluation.verdict is not None:
            sections.append(section_of(conditions_table(found.evaluation.verdict)) | {"text": True})
        sections += evaluation_sections(found.evaluation, None, found.bound, published)
        sections.append(section_of(ungated_table(found.evaluation.counts)))
    sections += figures.section("course of the measurement")
    sections += figures.section("phase sweep")
    sections += _pictures(folder)
    after = [
        *figures.section("rates, lock, temperature, lasers"),
        section_of(left_out_of(run.blocks).table()),
        *(section_of(table) | {"text": True, "long": True} for table in _tables(run)),
    ]
    if learned is not None:
        learned()
    sections += [*_noise_budget(run), *after]
    return render(title, found.evaluation, [*unsafe, *said], sections)


def _what(folder: RunFolder) -> ResultTable:
    manifest, found = folder.manifest(), outcome_of(folder)
    rows = {
        "procedure": manifest.kind, "comment": manifest.comment, "sample": manifest.sample,
        "operator": manifest.operator, "tags": ", ".join(manifest.tags),
        "began": _clock(manifest.started), "ended": _clock(manifest.ended) or "not yet",
        "duration": found.duration, "sessions": str(manifest.sessions),
        "status": " ".join(filter(None, (manifest.status, manifest.reason))), "goal": found.goal,
        "where": f"{manifest.host} ({manifest.system})",
        "software": ", ".join(f"{n} {v}" for n, v in manifest.versions.items()),
        "commit": manifest.commit, "run folder": folder.path.name,
    }  # fmt: skip
    return ResultTable(
        title="what, when, where, who", head=("", ""),
        rows=tuple((name, text) for name, text in rows.items() if text),
    )  # fmt: skip


def _clock(iso: str) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S} UTC" if iso else ""


def conditions_table(verdict: Verdict) -> ResultTable:
    """Return the conditions of a verdict with their evidence: what is wrong first."""
    words = {False: "NOT MET", None: "undecided", True: "met"}
    rows = []
    for word in words:
        for one in verdict.conditions.values():
            if one.met is not word:
                continue
            value = f"{one.value:.4g}" if isinstance(one.value, float) else str(one.value or "")
            if one.low is not None:
                value += f" [{one.low:.4g}, {one.high:.4g}]"
            name = one.name.replace("_", " ")
            said = "not known" if one.source == NOT_MEASURED else words[word]
            rows.append((said, name, value, str(one.demand), one.source))
    return ResultTable(
        title="conditions of the verdict, and controls",
        head=("", "condition", "value", "demand", "from"), rows=tuple(rows),
    )  # fmt: skip


def ungated_table(counts: Counts) -> ResultTable:
    """Return what the clicks outside all gates are: an even background, and light at other times.

    The background is the median density per bin outside the gates; what exceeds it is light: edges
    and tails of the pulses. The histogram ends soon after the last gate; later clicks (the lock
    pulse, and the background until the next trial) are told as one number of all detectors.
    """
    edges = counts.bin_edges
    middle, width = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    outside = np.ones(len(middle), bool)
    for gate in counts.gates.gates:
        outside &= (middle < gate.start) | (middle >= gate.stop)
    rows = []
    for row, detector in enumerate(counts.gates.detectors):
        clicks = counts.histogram[row][outside]
        level = float(np.median(clicks / width[outside])) if clicks.size else 0.0
        even = level * float(width[outside].sum())
        rate = level / max(counts.trials.number, 1)
        total = int(clicks.sum())
        rest = max(total - even, 0.0)
        rows.append(
            (f"detector {detector}", f"{total:,}", f"{even:,.0f}", f"{rate:.3g}", f"{rest:,.0f}")
        )
    within = sum(int(clicks[outside].sum()) for clicks in counts.histogram)
    later = max(counts.quality.ungated_clicks - within, 0)
    note = (
        "background: median density outside all gates; rest: edges and tails of pulses; "
        f"{later:,} more clicks came later than {edges[-1] * 1e9:,.0f} ns: lock pulse, background"
    )
    head = ("", "clicks outside the gates", "even background", "background (1/s)", "rest")
    return ResultTable(
        title="clicks outside the gates, explained", head=head, rows=tuple(rows), note=note
    )


class ReportFigures:
    """The figures of a run's report, drawn when they are wanted first.

    Parameters
    ----------
    folder : RunFolder
        Of a run that takes no more blocks when they are wanted.
    """

    sections: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "sequence": (SEQUENCE,),
        "course of the measurement": ("course", "evidence", "g2"),
        "phase sweep": ("fringe",),
        "rates, lock, temperature, lasers": ("rates", "phase_noise", "temperature", "lasers"),
    }

    early: ClassVar[tuple[str, ...]] = (SEQUENCE, "fringe")
    """What a witness adds nothing to."""

    def __init__(self, folder: RunFolder) -> None:
        self._run = RunPictures(folder)
        self._ahead: dict[str, str] = {}
        self._swept: object = None
        self._drawn: dict[str, str] | None = None

    def draw_ahead(self) -> None:
        """Draw those of a run that goes on which will hardly change; they are looked after."""
        now = RunPictures(self._run.folder)
        self._swept = _swept(now)
        self._ahead = dict(_drawn(now, self.early))

    def draw(self) -> dict[str, str]:
        """Draw all for which the run has what they show; return them as SVG by name."""
        if self._drawn is None:
            names = chain.from_iterable(self.sections.values())
            ahead = self._ahead if _swept(self._run) == self._swept else {}
            left = [name for name in names if name not in ahead]
            self._drawn = ahead | dict(_drawn(self._run, left))
        return self._drawn

    def section(self, title: str) -> Iterator[Section]:
        """Yield a section of those of its figures that there are."""
        names = self.sections[title]
        drawn = [svg for name in names if (svg := self.draw().get(name)) is not None]
        if drawn:
            note = f"labkit plot {self._run.folder.path.name} {'|'.join(names)}"
            empty = ResultTable(title=title, head=(), rows=(), note=note)
            yield section_of(empty) | {"figures": drawn}


def _drawn(run: RunPictures, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield figures as SVG, by name, as far as the run has measured what they show."""
    for name in names:
        with suppress(ValueError):
            yield name, _svg(draw_figure(run, name, PAGE))


def _swept(run: RunPictures) -> list[tuple[int, bool]]:
    """Return what the fringe is drawn from: blocks of phase sweeps, and whether they count."""
    return [(b.number, b.good) for b in run.blocks if b.setting.get("procedure") == "phase_sweep"]


def _svg(figure: "Figure") -> str:
    stream = StringIO()
    with journal_style():
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _pictures(folder: RunFolder) -> Iterator[Section]:
    """Yield a section of what the procedures have drawn: balance, filters, lock, sweeps."""
    paths = [path for path in folder.figures() if path.stem not in ELSEWHERE]
    if paths:
        pictures = [
            (path.stem.replace("_", " "), b64encode(path.read_bytes()).decode("ascii"))
            for path in paths
        ]
        table = ResultTable(title="what the procedures found", head=(), rows=())
        yield section_of(table) | {"pictures": pictures}


def _noise_budget(run: RunPictures) -> Iterator[Section]:
    """Yield the section of what limits R_m, if it has been learned."""
    learned = run.learned
    if learned is not None:
        lines = (learned.fit, *learned.budget.sentences(), *learned.remarks)
        figure = _svg(draw_figure(run, PICTURE, PAGE))
        yield section_of(budget_table(learned.budget)) | {"figures": [figure], "lines": lines}


def _tables(run: RunPictures) -> Iterator[ResultTable]:
    folder = run.folder
    manifest = folder.manifest()
    left = [block for block in run.blocks if not block.good]
    if left:
        rows = tuple(
            (str(b.number), _clock(b.started), str(b.setting.get("procedure", "")), b.reason)
            for b in left[-MOST_LEFT_OUT:]
        )
        note = "" if len(left) <= MOST_LEFT_OUT else f"the last {MOST_LEFT_OUT} of {len(left)}"
        head = ("block", "began", "procedure", "reason")
        yield ResultTable(title="every block left out", head=head, rows=rows, note=note)
    made = settings_made(folder.path)
    drift = unset_drift(manifest.drift, made)
    if drift:
        yield ResultTable(
            title="drift between both ends, unset by the run",
            head=("reading", "at the beginning", "at the end"),
            rows=tuple((name, str(a), str(b)) for name, (a, b) in drift.items()),
        )
    if made:
        yield ResultTable(
            title="settings that the run made", head=("parameter", "last value"),
            rows=tuple((name, str(value)) for name, value in sorted(made.items())),
        )  # fmt: skip
    yield _provenance(run)


def _provenance(run: RunPictures) -> ResultTable:
    folder = run.folder
    rows = [("sequence and options", "manifest.json, which holds them and the station file")]
    rows += [(name, f"SHA-256 {digest}") for name, digest in folder.manifest().files.items()]
    rows.append(("journal.jsonl", f"SHA-256 {sha256_of(folder.journal.path)}"))
    hashed = sum(bool(block.hashes) for block in run.blocks)
    rows.append(
        ("tag segments", f"{len(run.blocks):,}, SHA-256 of {hashed:,} in the journal; check with "
         "labkit runs verify")
    )  # fmt: skip
    return ResultTable(title="provenance", head=("what", "where it comes from"), rows=tuple(rows))


def _print_pdf(browser: str, page: Path, path: Path) -> None:
    """Have a browser print a page."""
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer",
        f"--user-data-dir={page.parent / 'profile'}", f"--print-to-pdf={path.resolve()}",
        page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    if done.returncode != 0 or not path.is_file():
        message = f"{path}: {browser} must print the report, but said: {done.stderr.strip()[-300:]}"
        raise RuntimeError(message)
