"""The dashboard's figures, as SVG: g² and R_m against trials, and the blocks over time."""

import re
from collections.abc import Sequence
from datetime import datetime
from html import escape
from io import BytesIO
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.plots import COLORS
from labkit.monitoring import Series, Snapshot
from labkit.report.diagnostics import CROSSED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEFT_OUT = "#78716c"
SHOWN_IN = {"Hz": ("MHz", 1e-6), "K": ("mK", 1e3), "rad": ("mrad", 1e3), "1/s": ("clicks/s", 1.0)}
"""Units of the laboratory: name, and how many of them is 1 SI unit."""

MANY = 400
"""Of a longer series so many points are drawn: the page would slow down and grow with the run."""

STYLE: dict[Any, Any] = {  # matplotlib's own names
    "svg.fonttype": "none", "svg.hashsalt": "labkit", "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#57534e",
    "axes.grid": True, "grid.color": "#e7e5e4", "grid.linewidth": 0.6, "legend.frameon": False,
    "axes.titlesize": 9.5, "axes.titlelocation": "left",
}  # fmt: skip


def figures(snapshot: Snapshot, last: float = inf) -> dict[str, str]:
    """Return the figures for which there are data, by title, as SVG elements.

    A block that is left out is a grey cross that says why when the pointer rests on it.

    Parameters
    ----------
    snapshot : Snapshot
    last : float
        So many seconds before the last block are drawn where time is the abscissa.
    """
    from matplotlib import rc_context

    drawn: dict[str, Figure] = {}
    newest = max((series.time[-1] for series in snapshot.series.values()), default=0.0)
    parts = {name: series.since(newest - last) for name, series in snapshot.series.items()}
    series = {name: part for name, part in parts.items() if part.value}
    with rc_context(STYLE):
        found = snapshot.evaluation
        if found is not None and any(found.coincidences.get(pair) for pair in CROSSED):
            drawn["Result against trials"] = _course(snapshot)
        rates = [s for name, s in series.items() if name.startswith("rate.")]
        locks = [series[name] for name in ("phase_noise", "lock_output") if name in series]
        lasers = [s for name, s in series.items() if name.startswith("laser.")]
        if rates:
            drawn["Clicks in the gates"] = _rates(rates)
        if locks:
            drawn["Interferometer"] = _stacked([[s] for s in locks])
        if "temperature" in series:
            drawn["Temperature"] = _stacked([[series["temperature"]]])
        if lasers:
            drawn["Laser frequencies since the first block"] = _stacked([lasers])
        reasons = {block.block: block.reason for block in snapshot.left_out}
        return {title: _svg(figure, reasons) for title, figure in drawn.items()}


def _course(snapshot: Snapshot) -> "Figure":
    """Draw R_m with interval and bound, and g² of both cross pairs, against trials."""
    witnesses = [
        (evaluation.counts.trials.number, witness.sym)
        for evaluation in snapshot.course
        if (witness := snapshot.witness_of(evaluation)) is not None
    ]
    figure, axes = _axes(2 if witnesses else 1)
    if witnesses:
        above = axes[0]
        trials = [number for number, _ in witnesses]
        above.plot(trials, [sym.mode for _, sym in witnesses], color=COLORS[0], marker=".")
        low, high = [sym.low for _, sym in witnesses], [sym.high for _, sym in witnesses]
        above.fill_between(trials, low, high, color=COLORS[0], alpha=0.18, lw=0)
        above.axhline(snapshot.bound, color="black", lw=1, ls="--")
        above.set_ylabel("$R_m$ (16 % to 84 %)")
        last = witnesses[-1][1]
        above.set_ylim(min(0.0, last.low), max(1.5 * snapshot.bound, 1.2 * last.high))
    for pair, color in zip(CROSSED, COLORS, strict=False):
        points = [(e.counts.trials.number, e.g2[pair]) for e in snapshot.course if pair in e.g2]
        if not points:
            continue
        trials, value = [n for n, _ in points], [g.value for _, g in points]
        axes[-1].plot(trials, value, color=color, marker=".", label=pair)
        low, high = [g.low for _, g in points], [g.high for _, g in points]
        axes[-1].fill_between(trials, low, high, color=color, alpha=0.15, lw=0)
    if axes[-1].lines:
        _legend(axes[-1])
    axes[-1].set_ylabel("$g^{(2)}$")
    axes[-1].set_ylim(bottom=0)
    axes[-1].set_xlim(left=0)
    axes[-1].set_xlabel("good trials")
    return figure


def _rates(rates: Sequence[Series]) -> "Figure":
    """Draw a panel per gate, with its detectors."""
    gates = dict.fromkeys(series.label.split()[0] for series in rates)
    return _stacked([[s for s in rates if s.label.split()[0] == gate] for gate in gates])


def _stacked(panels: Sequence[Sequence[Series]]) -> "Figure":
    """Draw panels above one another, against the local time at which blocks began."""
    figure, axes = _axes(len(panels))
    for below, panel in zip(axes, panels, strict=True):
        for series, color in zip(panel, COLORS * 4, strict=False):
            _over_time(below, series, color)
        unit, _ = SHOWN_IN.get(panel[0].unit, (panel[0].unit, 1.0))
        below.set_ylabel(f"{panel[0].label} ({unit})" if len(panel) == 1 else unit)
        if len(panel) > 1:
            _legend(below)
    _date_axis(axes[-1])
    return figure


def _over_time(axes: "Axes", series: Series, color: str) -> None:
    """Draw one series; left-out blocks as grey crosses, each with an id for its reason."""
    good = np.array(series.good)
    _, scale = SHOWN_IN.get(series.unit, (series.unit, 1.0))
    times = np.array(series.time) / 86400
    values, sigmas = scale * np.array(series.value), scale * np.array(series.sigma)
    shown = np.flatnonzero(good)
    shown = shown[_thinned(values[shown])]
    errors = sigmas[shown] if np.any(sigmas) else None
    axes.errorbar(
        times[shown], values[shown], errors, color=color, fmt=".", ms=4, elinewidth=0.8,
        label=series.label,
    )  # fmt: skip
    for i in np.flatnonzero(~good):
        axes.plot(
            times[i], values[i], "x", color=LEFT_OUT, ms=7, mew=1.6,
            gid=f"left-out-{series.block[i]}",
        )  # fmt: skip


def _thinned(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return which of many points to draw: the lowest and the highest of each stretch, and ends.

    So no excursion is lost, however long the run is.
    """
    if len(values) <= MANY:
        return np.arange(len(values))
    starts = np.linspace(0, len(values), (MANY - 2) // 2 + 1).astype(int)
    kept = {0, len(values) - 1}
    for start, stop in pairwise(starts):
        part = values[start:stop]
        kept |= {start + int(part.argmin()), start + int(part.argmax())}
    return np.array(sorted(kept))


def _axes(rows: int) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6, 1.0 + 1.5 * rows), layout="constrained")
    grid = figure.subplots(rows, 1, sharex=True, squeeze=False)
    return figure, list(grid[:, 0])


def _legend(axes: "Axes") -> None:
    axes.legend(
        ncols=2, loc="lower right", bbox_to_anchor=(1, 1), borderpad=0, borderaxespad=0.2,
        handletextpad=0.4,
    )  # fmt: skip


def _date_axis(axes: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    local = datetime.now().astimezone().tzinfo
    locator = AutoDateLocator(tz=local, minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    formatter = ConciseDateFormatter(locator, tz=local)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel(f"time ({datetime.now().astimezone():%Z})")


def _svg(figure: "Figure", reasons: dict[int, str]) -> str:
    """Return a figure as an SVG element, with the reasons of left-out blocks as tooltips."""
    stream = BytesIO()
    figure.savefig(stream, format="svg", dpi=200, metadata={"Date": None})
    text = stream.getvalue().decode("utf-8")

    def titled(found: re.Match[str]) -> str:
        number = int(found[1])
        return f"{found[0]}<title>block {number} left out: {escape(reasons[number])}</title>"

    svg = text[text.index("<svg") :]
    return re.sub(r'<g id="left-out-(\d+)">', titled, svg)
