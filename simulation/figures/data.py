"""A figure as numbers: axes, maps and curves, with what is blank and why; no drawing here."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Mask = NDArray[np.bool_]
Style = Literal["solid", "dashed", "dashdot", "dotted"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Axis:
    """A swept quantity in the unit of the paper's axis.

    Attributes
    ----------
    label : str
        With unit, as drawn.
    values : ndarray, shape (n,)
    """

    label: str
    values: Real


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ticks:
    """A second scale of the abscissa: texts at its positions."""

    label: str
    positions: Real
    texts: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Map:
    """A density plot.

    Attributes
    ----------
    panel : str
        Letter of the panel, "" if the figure has one only.
    x, y : Axis
    label : str
        What the colour means.
    values : ndarray, shape (len(y), len(x))
        nan exactly where `unstable`.
    blank : ndarray of bool
        Where the quantity is defined but the paper leaves the plot blank (not entangled).
    unstable : ndarray of bool
        Where there is no steady state.
    small_is_strong : bool
        Criteria that fall below a bound, so that colours are turned round.
    growth : ndarray or None
        Growth rate to show instead where nothing is stable.
    growth_label : str
    note : str
        A finding, written on the panel.
    """

    panel: str
    x: Axis
    y: Axis
    label: str
    values: Real
    blank: Mask
    unstable: Mask
    small_is_strong: bool = False
    growth: Real | None = None
    growth_label: str = ""
    note: str = ""

    @property
    def shown(self) -> Mask:
        """Where the paper's plot has colour."""
        return ~(self.blank | self.unstable)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One curve; nan exactly where `unstable`."""

    label: str
    values: Real
    style: Style = "solid"
    color: int = 0
    unstable: Mask | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Points:
    """Measured values with 68 % intervals."""

    label: str
    x: Real
    values: Real
    low: Real
    high: Real
    color: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves:
    """A plot of curves over one axis.

    Attributes
    ----------
    panel : str
    x : Axis
    label : str
        Of the ordinate.
    lines : sequence of Line
    points : sequence of Points
    steps : bool
        Draw as a histogram: `x.values` are the edges, one more than the values.
    growth : sequence of Line
        Growth rates on a second ordinate, where there is no steady state to show.
    growth_label : str
    limits : tuple of float or None
        Of the ordinate.
    level : float or None
        A horizontal mark, for example the bound of a criterion.
    top : Ticks or None
        The same abscissa in another unit.
    log_x : bool
    note : str
        A finding, written on the panel.
    """

    panel: str
    x: Axis
    label: str
    lines: Sequence[Line]
    points: Sequence[Points] = ()
    steps: bool = False
    growth: Sequence[Line] = ()
    growth_label: str = ""
    limits: tuple[float, float] | None = None
    level: float | None = None
    top: Ticks | None = None
    log_x: bool = False
    note: str = ""


Panel = Map | Curves


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FigureData:
    """One figure of a paper, recomputed.

    Attributes
    ----------
    name : str
        For example "004-2".
    title : str
    panels : sequence of Map or Curves
        In reading order.
    columns : int
        Panels per row.
    parameters : str
        What is held fixed.
    reproduces, differs : str
        What of the published figure comes out, and what does not.
    finding : str
        Written above the panels: that nothing of the published figure comes out.
    """

    name: str
    title: str
    panels: Sequence[Panel]
    columns: int
    parameters: str
    reproduces: str
    differs: str = ""
    finding: str = ""

    @property
    def caption(self) -> str:
        """Parameters, what reproduces and what does not, as one paragraph."""
        return " ".join(f"{name}: {text}" for name, text in self.remarks)

    @property
    def remarks(self) -> list[tuple[str, str]]:
        """The caption's parts that are not empty, each with its heading."""
        parts = [
            ("Parameters", self.parameters),
            ("Reproduces", self.reproduces),
            ("Differs", self.differs),
        ]
        return [part for part in parts if part[1]]

    def panel(self, letter: str) -> Panel:
        """Return one panel.

        Raises
        ------
        KeyError
            If there is none of that letter.
        """
        for panel in self.panels:
            if panel.panel == letter:
                return panel
        letters = ", ".join(panel.panel for panel in self.panels)
        message = f"figure {self.name} has no panel {letter!r}; it has {letters}"
        raise KeyError(message)
