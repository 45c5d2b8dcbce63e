"""The corner plot: pairs of determined parameters, and the prior beside each posterior."""

from typing import TYPE_CHECKING

import numpy as np

from analysis.palette import COLORS, FAINT
from simulation.inference.posterior import Posterior
from simulation.inference.table import PARAMETERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 10
"""Parameters that one picture holds."""

USUAL = (
    "n_0_A", "n_0_B", "n_read_A", "n_read_B", "p_pump_A", "p_pump_B", "contrast", "phi", "eta_A",
    "eta_B",
)  # fmt: skip
"""Parameters that are drawn unless others are asked for, if the data determine some of them."""


def corner_plot(posterior: Posterior, names: tuple[str, ...] | None = None) -> "Figure":
    """Draw histograms (prior in grey) and pairs of the parameters that the data determine.

    Raises
    ------
    ValueError
        If none of them is determined, or there are too many.
    """
    from matplotlib.figure import Figure

    known = [name for name in posterior.free if posterior.determined(name)]
    if names is None:
        names = tuple(name for name in USUAL if name in known) or tuple(known[:MOST])
    shown = [name for name in names if name in known]
    if not 0 < len(shown) <= MOST:
        message = (
            f"`names` must hold 1 to {MOST} parameters that the data determine, but hold "
            f"{len(shown)}; determined are "
            f"{', '.join(known) or 'none'}"
        )
        raise ValueError(message)
    size = len(shown)
    figure = Figure(figsize=(1.3 * size + 1, 1.3 * size + 1), layout="constrained")
    panels = figure.subplots(size, size, squeeze=False)
    for row, y in enumerate(shown):
        for column, x in enumerate(shown):
            axes = panels[row][column]
            if column > row:
                axes.set_visible(False)
                continue
            if column == row:
                low, high = np.quantile(posterior.draws[x], [0.001, 0.999])
                bins = list(np.linspace(low, high, 40))
                axes.hist(posterior.prior[x], bins, density=True, color=FAINT)
                axes.hist(posterior.draws[x], bins, density=True, histtype="step", color=COLORS[0])
                axes.set_yticks([])
            else:
                axes.plot(
                    posterior.draws[x][:1500], posterior.draws[y][:1500], ",", color=COLORS[0]
                )
            axes.tick_params(labelsize=6)
            if row == size - 1:
                axes.set_xlabel(_label(x), fontsize=7)
            if column == 0 and row:
                axes.set_ylabel(_label(y), fontsize=7)
    return figure


def _label(name: str) -> str:
    unit = PARAMETERS[name].unit
    return f"{name} ({unit})" if unit else name
