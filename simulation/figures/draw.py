"""Draws the figures of `simulation.figures.data` with matplotlib, laid out as in the papers."""

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from analysis.palette import ALARM, COLORS, LEFT_OUT, SHADE, TEXT
from simulation.figures.data import Curves, FigureData, Line, Map

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = (*COLORS[:4], TEXT)
"""Of curves: our colours, and black for what a legal model says."""
PANEL_SIZE = (3.6, 2.9)
SMALL = 7.5


def draw(data: FigureData) -> "Figure":
    """Draw a figure; its caption stays with the data, to be printed below.

    Parameters
    ----------
    data : FigureData

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    columns = min(data.columns, len(data.panels))
    rows = -(-len(data.panels) // columns)
    width = max(PANEL_SIZE[0] * columns, 4.8)
    finding = fill(data.finding, int(width * 13))
    head = 0.16 * (finding.count("\n") + 1) if finding else 0.0
    figure = Figure(figsize=(width, PANEL_SIZE[1] * rows + head), layout="constrained")
    if finding:
        figure.suptitle(finding, fontsize=8.5, color=ALARM, weight="bold")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, data.panels, strict=False):
        if isinstance(panel, Map):
            _draw_map(axes, panel)
        else:
            _draw_curves(axes, panel)
        axes.tick_params(labelsize=SMALL)
        if panel.panel:
            axes.set_title(f"({panel.panel})", loc="left", fontsize=9)
    for axes in grid[len(data.panels) :]:
        axes.set_axis_off()
    return figure


def _draw_map(axes: "Axes", panel: Map) -> None:
    axes.set_xlabel(panel.x.label, fontsize=8)
    axes.set_ylabel(panel.y.label, fontsize=8)
    x, y = panel.x.values, panel.y.values
    if panel.unstable.any():
        axes.set_facecolor(SHADE)
        white = np.ma.masked_array(np.ones_like(panel.values), panel.unstable)
        axes.pcolormesh(x, y, white, cmap="gray", vmin=0, vmax=1, rasterized=True)
    if panel.shown.any():
        palette = "viridis_r" if panel.small_is_strong else "viridis"
        _colored(axes, panel, np.ma.masked_array(panel.values, ~panel.shown), panel.label, palette)
    elif panel.growth is not None:
        _colored(axes, panel, np.ma.masked_array(panel.growth), panel.growth_label, "Reds")
    _write(axes, panel.note)


def _colored(
    axes: "Axes", panel: Map, values: "np.ma.MaskedArray[tuple[int, int], np.dtype[np.float64]]",
    label: str, palette: str,
) -> None:  # fmt: skip
    mesh = axes.pcolormesh(panel.x.values, panel.y.values, values, cmap=palette, rasterized=True)
    parent = axes.get_figure(root=False)
    if parent is not None:
        bar = parent.colorbar(mesh, ax=axes)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=SMALL)


def _draw_curves(axes: "Axes", panel: Curves) -> None:
    axes.set_xlabel(panel.x.label, fontsize=8)
    axes.set_ylabel(panel.label, fontsize=8)
    if panel.log_x:
        axes.set_xscale("log")
    for line in panel.lines:
        _draw_line(axes, panel, line)
    for points in panel.points:
        error = np.abs(np.stack([points.values - points.low, points.high - points.values]))
        axes.errorbar(
            points.x, points.values, error, fmt="x", ms=4, lw=1,
            color=LINES[points.color], label=points.label,
        )  # fmt: skip
    if panel.level is not None:
        axes.axhline(panel.level, color=LEFT_OUT, lw=0.8, ls=":")
    axes.set_xlim(panel.x.values[0], panel.x.values[-1])
    if panel.limits is not None:
        axes.set_ylim(*panel.limits)
    if panel.growth:
        _draw_growth(axes, panel)
    if panel.top is not None:
        _second_abscissa(axes, panel)
    if any(line.label for line in panel.lines) or panel.points:
        axes.legend(
            frameon=False, fontsize=SMALL, handlelength=1.8,
            loc="upper left" if panel.growth else "best",
        )  # fmt: skip
    _write(axes, panel.note)


def _draw_line(axes: "Axes", panel: Curves, line: Line) -> None:
    color = LINES[line.color]
    if panel.steps:
        axes.stairs(
            line.values, panel.x.values, color=color, label=line.label, fill=True, alpha=0.4
        )
    else:
        axes.plot(panel.x.values, line.values, ls=line.style, color=color, label=line.label, lw=1.3)
    if line.unstable is not None and line.unstable.all():
        axes.set_facecolor(SHADE)


def _draw_growth(axes: "Axes", panel: Curves) -> None:
    second = axes.twinx()
    for line in panel.growth:
        second.plot(
            panel.x.values, line.values, ls=line.style, color=LINES[line.color], label=line.label
        )
    second.set_ylabel(panel.growth_label, fontsize=8)
    second.tick_params(labelsize=SMALL)
    highest = max(float(np.max(line.values)) for line in panel.growth)
    second.set_ylim(0, 1.8 * max(highest, 0.0) or 1.0)
    second.legend(frameon=False, fontsize=SMALL, loc="upper right")


def _second_abscissa(axes: "Axes", panel: Curves) -> None:
    if panel.top is None:
        return
    second = axes.secondary_xaxis("top")
    second.set_xticks(panel.top.positions, panel.top.texts)
    second.set_xlabel(panel.top.label, fontsize=8)
    second.tick_params(labelsize=SMALL)


def _write(axes: "Axes", note: str) -> None:
    if note:
        axes.text(
            0.5, 0.13, fill(note, 44), transform=axes.transAxes, ha="center", va="bottom",
            fontsize=SMALL, bbox={"facecolor": "white", "alpha": 0.85, "lw": 0, "pad": 2},
        )  # fmt: skip
