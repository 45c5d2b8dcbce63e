"""The interactive figures of a run: Bokeh models that are made once and then follow the run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from math import inf, log
from typing import Any

import numpy as np
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    Label,
    Line,
    Range1d,
    Scatter,
    Step,
    VArea,
    Whisker,
)
from numpy.typing import NDArray

from analysis.palette import COLORS, CROSSED, LEFT_OUT, SAME
from analysis.witness.verdict import LEVELS
from labkit.dashboard.chart import Chart, Columns, push
from labkit.dashboard.thinning import thinned
from labkit.monitoring import Series, Snapshot
from labkit.report.diagnostics import CROSSED as CROSSED_PAIRS

SHOWN_IN = {"Hz": ("MHz", 1e-6), "K": ("mK", 1e3), "rad": ("mrad", 1e3), "1/s": ("clicks/s", 1.0)}
"""Units of the laboratory: name, and how many of them is 1 SI unit."""

OTHER = "#8a8580"
"""Of the run that is compared with: reads on paper and in the dark."""


class TimeChart(Chart):
    """Quantities over local time, block by block; those that are left out are grey crosses."""

    def __init__(self, name: str, title: str, x_range: Any = None) -> None:
        zone = f"{datetime.now().astimezone():%Z}"
        options = {} if x_range is None else {"x_range": x_range}
        super().__init__(name, title, f"time ({zone})", "", x_axis_type="datetime", **options)

    def update(self, series: Sequence[Series], reasons: Mapping[int, str], last: float) -> None:
        """Show quantities of one unit, of the last so many seconds."""
        self.show(bool(series))
        if not series:
            return
        unit, scale = SHOWN_IN.get(series[0].unit, (series[0].unit, 1.0))
        self.figure.yaxis.axis_label = unit
        newest = max(float(one.time[-1]) for one in series)
        shown = []
        for one, color in zip(series, COLORS * 4, strict=False):
            part = one if last == inf else one.since(newest - last)
            good = self.source(one.label, partial(self._points, color=color, text=one.label))
            push(good, _columns(part, part.good, scale))
            columns = _columns(part, ~part.good, scale)
            why = [reasons.get(int(block), "") for block in columns["block"]]
            name = f"{one.label} left out"
            if why or name in self.sources:
                out = self.source(name, self._crosses)
                push(out, columns | {"reason": np.array(why, dtype=object)})
            shown += [one.label, *(["left out"] if why else [])]
        self.legend(shown)

    def _points(self, source: ColumnDataSource, color: str, text: str) -> None:
        points = self.draw(_dots("time", "value", 5, color), source, text)
        whisker = Whisker(
            base="time", lower="low", upper="high", source=source, line_color=color,
            line_alpha=0.5, upper_head=None, lower_head=None,
        )  # fmt: skip
        self.figure.add_layout(whisker)
        rows = [
            ("", text), ("block", "@block"), ("time", "@time{%F %T}"),
            ("value", "@value{0.000} ± @sigma{0.000}"),
        ]  # fmt: skip
        self.hover([points], rows, formatters={"@time": "datetime"})

    def _crosses(self, source: ColumnDataSource) -> None:
        cross = Scatter(
            x="time", y="value", size=9, marker="x", line_color=LEFT_OUT, line_width=1.8
        )
        crosses = self.draw(cross, source, "left out")
        rows = [("block", "@block left out"), ("time", "@time{%F %T}"), ("reason", "@reason")]
        self.hover([crosses], rows, formatters={"@time": "datetime"})


def _dots(x: str, y: str, size: float, color: str) -> Scatter:
    return Scatter(x=x, y=y, size=size, fill_color=color, line_color=color)


def _columns(series: Series, which: NDArray[np.bool_], scale: float) -> dict[str, NDArray[Any]]:
    """Return what is drawn of some of a series' points, times in ms of the local clock."""
    found = np.flatnonzero(which)
    shown = found[thinned(series.value[found])]
    value, sigma = scale * series.value[shown], scale * series.sigma[shown]
    shift = datetime.now().astimezone().utcoffset()
    offset = 0.0 if shift is None else shift.total_seconds()
    return {
        "block": series.block[shown], "time": 1e3 * (series.time[shown] + offset),
        "value": value, "sigma": sigma, "low": value - sigma, "high": value + sigma,
    }  # fmt: skip


class CourseChart(Chart):
    """R_m and the always-valid limit, or g², or log E against good trials, with another run's."""

    def __init__(self, name: str, title: str, y_label: str) -> None:
        super().__init__(name, title, "good trials (10⁶)", y_label)
        self._others: set[str] = set()

    def update(
        self,
        snapshot: Snapshot,
        curves: Mapping[str, tuple[str, Columns]],
        other: Mapping[str, Columns] | None,
    ) -> None:
        """Show curves by name: colour, and columns trials, value and, if known, low and high."""
        self.show(any(len(columns["trials"]) for _, columns in curves.values()))
        for name, (color, columns) in curves.items():
            band = "low" in columns
            source = self.source(name, partial(self._curve, name=name, color=color, band=band))
            push(source, columns)
        compared = {} if other is None else other
        for name in {*(n for n in self.sources if n in self._others), *compared}:
            columns = compared.get(name, _NOTHING)
            self._others.add(name)
            source = self.source(f"other {name}", self._other)
            push(source, {key: columns[key] for key in ("trials", "value")})
        shown = [name for name, (_, columns) in curves.items() if len(columns["trials"])]
        self.legend([*shown, *([COMPARED] if compared else [])])

    def _curve(self, source: ColumnDataSource, name: str, color: str, band: bool) -> None:
        rows = [("", name), ("trials", "@trials{0,0.0} × 10⁶"), ("value", "@value{0.000}")]
        if band:
            area = VArea(x="trials", y1="low", y2="high", fill_color=color, fill_alpha=0.18)
            self.draw(area, source)
            rows.append(("16 % to 84 %", "@low{0.000} to @high{0.000}"))
        self.draw(Line(x="trials", y="value", line_color=color, line_width=1.5), source, name)
        points = self.draw(_dots("trials", "value", 5, color), source, name)
        self.hover([points], rows)

    def _other(self, source: ColumnDataSource) -> None:
        dashes = Line(x="trials", y="value", line_color=OTHER, line_width=1.5, line_dash="dashed")
        self.draw(dashes, source, COMPARED)


COMPARED = "compared run"

_NOTHING: Columns = {"trials": np.array([]), "value": np.array([])}


def course_of(snapshot: Snapshot) -> dict[str, Columns]:
    """Return R_m (mode, 16 %, 84 %) and its always-valid upper limit against trials."""
    points = [
        (evaluation.counts.trials.number, witness.sym.mode, witness.sym.low, witness.sym.high)
        for evaluation in snapshot.course
        if (witness := snapshot.witness_of(evaluation)) is not None
    ]
    limits = [(p.trials, p.upper_limit) for p in snapshot.evidence if p.upper_limit < inf]
    return {
        "R_m": _table(points, ("trials", "value", "low", "high")),
        "95 % limit at any time": _table(limits, ("trials", "value")),
    }


def g2_of(snapshot: Snapshot) -> dict[str, Columns]:
    """Return g² of both cross pairs against trials."""
    found = {}
    for pair in CROSSED_PAIRS:
        rows = [
            (e.counts.trials.number, e.g2[pair].value, e.g2[pair].low, e.g2[pair].high)
            for e in snapshot.course
            if pair in e.g2
        ]
        found[f"g²({pair})"] = _table(rows, ("trials", "value", "low", "high"))
    return found


def evidence_of(snapshot: Snapshot) -> dict[str, Columns]:
    """Return log E against trials."""
    rows = [(point.trials, point.log_e) for point in snapshot.evidence]
    return {"log E": _table(rows, ("trials", "value"))}


def _table(rows: Sequence[tuple[float, ...]], names: tuple[str, ...]) -> Columns:
    columns = np.array(rows, float).reshape(-1, len(names)).T
    columns[0] /= 1e6
    return dict(zip(names, columns, strict=True))


class ArrivalChart(Chart):
    """Clicks against time after the trial's start, with the gates."""

    def __init__(self) -> None:
        title, label = "Arrival times", "time after the trial's start (ns)"
        super().__init__("arrivals", title, label, "clicks / (ns · trial)", y_axis_type="log")
        self._gates: list[BoxAnnotation] = []

    def update(self, snapshot: Snapshot) -> None:
        """Show the sum of the good blocks."""
        found = snapshot.evaluation
        self.show(found is not None and bool(found.counts.histogram.any()))
        if found is None:
            return
        counts = found.counts
        edges = counts.bin_edges * 1e9
        trials = max(counts.trials.number, 1)
        for row, detector in enumerate(counts.gates.detectors):
            density = counts.histogram[row] / np.diff(edges) / trials
            name, color = f"detector {detector}", COLORS[row % len(COLORS)]
            source = self.source(name, partial(self._steps, name=name, color=color))
            columns = {
                "start": edges[:-1], "clicks": counts.histogram[row],
                "density": np.where(density > 0, density, np.nan),
            }  # fmt: skip
            push(source, columns)
        spans = [(g.name, g.start * 1e9, g.stop * 1e9) for g in counts.gates.gates]
        if [(g.left, g.right) for g in self._gates] != [(a, b) for _, a, b in spans]:
            self._shade(spans)
        self.legend()

    def _steps(self, source: ColumnDataSource, name: str, color: str) -> None:
        self.draw(Step(x="start", y="density", line_color=color, mode="after"), source, name)
        unseen = Scatter(x="start", y="density", size=6, fill_alpha=0.0, line_alpha=0.0)
        points = self.draw(unseen, source)
        self.hover([points], [("", name), ("from", "@start{0.0} ns"), ("clicks", "@clicks{0,0}")])

    def _shade(self, spans: Sequence[tuple[str, float, float]]) -> None:
        for old in self._gates:
            old.visible = False
        self._gates = []
        for name, start, stop in spans:
            box = BoxAnnotation(left=start, right=stop, fill_color=COLORS[4], fill_alpha=0.15)
            label = Label(
                x=(start + stop) / 2, y=4, y_units="screen", text=name, name="words",
                text_align="center", text_font_size="11px",
            )  # fmt: skip
            self.figure.add_layout(box)
            self.figure.add_layout(label)
            self._gates.append(box)


class ScanChart(Chart):
    """The scan that is taken now, or was taken last."""

    def __init__(self) -> None:
        super().__init__("scan", "Scan", "", "")

    def update(self, snapshot: Snapshot) -> None:
        """Show its points so far."""
        scan = snapshot.scan
        self.show(scan is not None)
        if scan is None:
            return
        steps = snapshot.steps
        going = bool(steps) and steps[-1].procedure not in ("autopilot", "witness")
        self.figure.title.text = f"Scan: {scan.title}" + (" (being taken)" if going else " (last)")
        self.figure.xaxis.axis_label = scan.x_label
        self.figure.yaxis.axis_label = scan.y_label
        for name in {*self.sources} - {*scan.curves}:
            push(self.sources[name], _NO_POINTS)
        for number, (name, curve) in enumerate(scan.curves.items()):
            color = {"different detectors": CROSSED, "same detector": SAME}.get(
                name, COLORS[number % len(COLORS)]
            )
            source = self.source(name, partial(self._points, name=name, color=color))
            y, sigma = np.array(curve.y), np.array(curve.sigma)
            columns = {
                "x": np.array(curve.x), "y": y, "low": y - sigma, "high": y + sigma,
                "block": np.array(curve.block),
            }  # fmt: skip
            push(source, columns)
        self.legend(scan.curves)

    def _points(self, source: ColumnDataSource, name: str, color: str) -> None:
        self.draw(Line(x="x", y="y", line_color=color, line_alpha=0.4), source)
        points = self.draw(_dots("x", "y", 7, color), source, name)
        whisker = Whisker(
            base="x", lower="low", upper="high", source=source, line_color=color, upper_head=None,
            lower_head=None,
        )  # fmt: skip
        self.figure.add_layout(whisker)
        rows = [("", name), ("at", "@x{0.0000}"), ("value", "@y{0.00}"), ("block", "@block")]
        self.hover([points], rows)


_NO_POINTS: Columns = {name: np.array([]) for name in ("x", "y", "low", "high", "block")}


class Charts:
    """All figures of a page."""

    def __init__(self) -> None:
        self._result = CourseChart("result", "R_m as published; limit at any time", "R_m")
        self._evidence = CourseChart("evidence", "Always-valid evidence", "log E")
        self._g2 = CourseChart("g2", "Cross-correlation g²", "g²")
        self._scan, self._arrivals = ScanChart(), ArrivalChart()
        first = TimeChart("rates1", "Clicks in the gates")
        shared = first.figure.x_range
        titles = {
            "rates2": "Clicks in the gates", "phase_noise": "Phase noise of the lock",
            "lock_output": "Lock output", "temperature": "Mixing chamber",
            "lasers": "Lasers since the first block",
        }  # fmt: skip
        self._times = {"rates1": first} | {n: TimeChart(n, t, shared) for n, t in titles.items()}
        axis = first.figure.xaxis[0]
        for chart in self._times.values():  # a ticker of times is a dozen models
            chart.figure.xaxis.ticker, chart.figure.xaxis.formatter = axis.ticker, axis.formatter

    @property
    def figures(self) -> dict[str, Any]:
        """All figures by name, in the order of the page."""
        charts = (
            self._result, self._evidence, self._scan, self._g2, self._arrivals,
            *self._times.values(),
        )  # fmt: skip
        return {chart.name: chart.figure for chart in charts}

    def update(self, snapshot: Snapshot, other: Snapshot | None = None, last: float = inf) -> None:
        """Bring every figure up to date.

        Parameters
        ----------
        snapshot : Snapshot
        other : Snapshot, optional
            A run to compare with.
        last : float
            So many seconds before the last block are drawn where time is the abscissa.
        """
        self._update_courses(snapshot, other)
        self._scan.update(snapshot)
        self._arrivals.update(snapshot)
        self._update_times(snapshot, last)

    def _update_courses(self, snapshot: Snapshot, other: Snapshot | None) -> None:
        course, before = course_of(snapshot), None if other is None else course_of(other)
        colors = dict(zip(course, (COLORS[0], COLORS[2]), strict=True))
        self._result.update(
            snapshot,
            {n: (colors[n], c) for n, c in course.items()},
            before and {"R_m": before["R_m"]},
        )
        if len(course["R_m"]["trials"]):
            high = float(course["R_m"]["high"][-1])
            self._result.limit("bound", snapshot.bound, f"separable: R ≥ {snapshot.bound:g}")
            if not isinstance(self._result.figure.y_range, Range1d):
                self._result.figure.y_range = Range1d(0.0, max(1.5 * snapshot.bound, 1.2 * high))
        g2 = g2_of(snapshot)
        self._g2.update(
            snapshot, {n: (COLORS[i], c) for i, (n, c) in enumerate(g2.items())},
            None if other is None else g2_of(other),
        )  # fmt: skip
        self._evidence.update(
            snapshot, {n: (COLORS[0], c) for n, c in evidence_of(snapshot).items()},
            None if other is None else evidence_of(other),
        )  # fmt: skip
        if snapshot.evidence:
            for level in LEVELS:
                self._evidence.limit(f"{level}", -log(1 - level), f"{100 * level:g} %")

    def _update_times(self, snapshot: Snapshot, last: float) -> None:
        series, limits = snapshot.series, snapshot.limits
        reasons = {block.block: block.reason for block in snapshot.left_out}
        rates = [one for name, one in series.items() if name.startswith("rate.")]
        gates = list(dict.fromkeys(one.label.split()[0] for one in rates))
        for number, name in enumerate(("rates1", "rates2")):
            gate = gates[number] if number < len(gates) else ""
            chart = self._times[name]
            chart.update([one for one in rates if one.label.split()[0] == gate], reasons, last)
            chart.figure.title.text = f"Clicks in the {gate} gate"
        for name in ("phase_noise", "lock_output", "temperature"):
            self._times[name].update([series[name]] if name in series else [], reasons, last)
        lasers = [one for name, one in series.items() if name.startswith("laser.")]
        self._times["lasers"].update(lasers, reasons, last)
        for name, limit, text in (
            ("phase_noise", 1e3 * limits.phase_noise, "limit"),
            ("temperature", _times(1e3, limits.temperature), "interlock"),
            ("lock_output", limits.lock_output, "range"),
            ("lasers", 1e-6 * limits.laser_hz, "hop"),
        ):
            if limit is None or not (series.get(name) or (name == "lasers" and lasers)):
                continue
            signs = (1,) if name in ("phase_noise", "temperature") else (-1, 1)
            for sign in signs:
                words = text if sign > 0 else ""
                self._times[name].limit(f"{text} {sign}", sign * limit, words, below=True)
            self._times[name].limits_seen(*(sign * limit for sign in signs))


def _times(scale: float, value: float | None) -> float | None:
    return None if value is None else scale * value
