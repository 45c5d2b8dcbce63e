"""A figure that is made once and then follows a run: sources, legend, limits, what a point says."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.core.validation import silence
from bokeh.core.validation.warnings import MISSING_RENDERERS
from bokeh.models import (
    ColumnDataSource,
    Glyph,
    GlyphRenderer,
    HoverTool,
    Label,
    Legend,
    LegendItem,
    Span,
)
from bokeh.plotting import figure
from numpy.typing import NDArray

from analysis.palette import SAME

HEIGHT = 270
MOST_IN_LINE, LINE_OF_MANY = 4, 3
"""Entries of a legend that stand in one line, and so many in each line of more."""


silence(MISSING_RENDERERS, True)  # a figure is empty, and hidden, until it has data

Columns = Mapping[str, NDArray[Any]]


def push(source: ColumnDataSource, columns: Columns) -> None:
    """Bring a source up to date: rows that are new are streamed, anything else replaces it all."""
    old = source.data
    new = {name: np.asarray(column) for name, column in columns.items()}
    size = len(next(iter(new.values())))
    known = len(next(iter(old.values()))) if old else 0
    same = old.keys() == new.keys() and known <= size
    if same and all(_equal(np.asarray(old[name]), new[name][:known]) for name in new):
        if size > known:
            source.stream({name: column[known:] for name, column in new.items()})
        return
    source.data = dict(new)


def _equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f")


class Chart:
    """A figure with sources that are made when they are first asked for.

    Parameters
    ----------
    name : str
        Of the figure, and the beginning of its sources' names.
    title, x_label, y_label : str

    Attributes
    ----------
    figure : bokeh.plotting.figure
    sources : dict of str to ColumnDataSource
        By their names without the figure's.
    """

    def __init__(self, name: str, title: str, x_label: str, y_label: str, **options: Any) -> None:
        self.name = name
        self.figure = figure(
            name=f"figure.{name}", title=title, height=HEIGHT, sizing_mode="stretch_width",
            tools="pan,box_zoom,wheel_zoom,reset,save", toolbar_location="above",
            x_axis_label=x_label, y_axis_label=y_label, min_border_left=60, visible=False,
            **options,
        )  # fmt: skip
        self.figure.toolbar.logo = None
        self.figure.toolbar.active_drag = None  # a finger scrolls the page
        self.figure.background_fill_color = self.figure.border_fill_color = None
        self.figure.outline_line_color = None
        self.sources: dict[str, ColumnDataSource] = {}
        self._limits: dict[str, Span] = {}

    def source(self, name: str, make: Callable[[ColumnDataSource], None]) -> ColumnDataSource:
        """Return a source by name; `make` draws it when it is new."""
        if name not in self.sources:
            self.sources[name] = ColumnDataSource(name=f"{self.name}.{name}")
            make(self.sources[name])
        return self.sources[name]

    def draw(self, glyph: Glyph, source: ColumnDataSource, entry: str = "") -> GlyphRenderer:
        """Draw a source, with an entry in the legend or without.

        Bokeh's own methods make two more models of every curve, for what is selected or muted.
        """
        drawn = GlyphRenderer(data_source=source, glyph=glyph)
        self.figure.renderers.append(drawn)
        if entry:
            if not self.figure.legend:
                self.figure.add_layout(styled_legend(), "above")
            items = self.figure.legend[0].items
            known = next((item for item in items if item.label.value == entry), None)
            if known is None:
                items.append(LegendItem(label=value(entry), renderers=[drawn]))
            else:
                known.renderers.append(drawn)
        return drawn

    def show(self, seen: bool) -> None:
        """Show the figure, or hide it while it has no data."""
        if self.figure.visible != seen:
            self.figure.visible = seen

    def limit(self, name: str, at: float | None, text: str = "", *, below: bool = False) -> None:
        """Draw a limit as a dashed line, or move or hide it; its words stand above or below it."""
        if name not in self._limits:
            if at is None:
                return
            span = Span(
                location=at, dimension="width", line_dash="dashed", line_color=SAME, line_width=1.2
            )
            self.figure.add_layout(span)
            self._limits[name] = span
            if text:
                label = Label(
                    x=4, y=at, x_units="screen", text=text, text_font_size="11px",
                    text_color=SAME, y_offset=-15 if below else 2, name="limit",
                )  # fmt: skip
                self.figure.add_layout(label)
        span = self._limits[name]
        if at is None:
            span.visible = False
        elif span.location != at:
            span.location = at

    def hover(
        self, renderers: Sequence[Any], rows: Sequence[tuple[str, str]], **options: Any
    ) -> None:
        """Say values when the pointer rests on a point."""
        self.figure.add_tools(HoverTool(renderers=list(renderers), tooltips=list(rows), **options))

    def limits_seen(self, *limits: float) -> None:
        """Choose the ordinate's range so that limits are in view, and all points with them."""
        values = [*limits, 0.0]
        for source in self.sources.values():
            for column in ("low", "high"):
                found = np.asarray(source.data.get(column, ()), float)
                values += [found.min(), found.max()] if found.size else []
        low, high = min(values), max(values)
        space = 0.06 * (high - low)
        start, end = low - space if low < 0 else 0.0, high + space
        axis = self.figure.y_range
        if (axis.start, axis.end) != (start, end):
            axis.update(start=start, end=end)

    def legend(self, shown: Collection[str] | None = None) -> None:
        """Put the legend above the figure; a click on an entry hides its curve.

        Parameters
        ----------
        shown : collection of str, optional
            Entries that have data; by default all.
        """
        for one in self.figure.legend:
            seen = [shown is None or item.label.value in shown for item in one.items]
            for item, visible in zip(one.items, seen, strict=True):
                if item.visible != visible:
                    item.visible = visible
            columns = "auto" if sum(seen) <= MOST_IN_LINE else LINE_OF_MANY
            if one.ncols != columns:
                one.ncols = columns


def styled_legend() -> Legend:
    """Return a small legend without a box, its entries clickable."""
    return Legend(
        click_policy="hide", background_fill_alpha=0.0, border_line_color=None,
        label_text_font_size="11px", spacing=0, padding=2, margin=2, glyph_height=14,
        orientation="horizontal",
    )  # fmt: skip
