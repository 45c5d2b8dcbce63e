"""Pictures of counts and results, drawn into axes, which are returned."""

from typing import TYPE_CHECKING

import numpy as np

from analysis.counts import Counts
from analysis.palette import COLORS, DENSITY, GATE_SHADE
from analysis.witness import Witness

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from analysis.first_look import FirstLook


def axes_or_new(ax: "Axes | None", width: float, height: float) -> "Axes":
    """Return axes as they are, or new ones in a figure of their own (inches)."""
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def figure_of(ax: "Axes") -> "Figure":
    """Return the figure that axes are in.

    Raises
    ------
    TypeError
        If they are in none of their own, but in a part of one.
    """
    from matplotlib.figure import Figure

    figure = ax.figure
    if not isinstance(figure, Figure):
        message = f"`ax` must be in a figure, but is in a {type(figure).__name__}"
        raise TypeError(message)
    return figure


def arrival_histogram(counts: Counts, ax: "Axes | None" = None) -> "Axes":
    """Draw clicks against arrival time for each detector, with the gates shaded.

    Ordinate: clicks per nanosecond and per trial, logarithmic, so that the dark level beside the
    pulses shows.
    """
    axes = axes_or_new(ax, 8, 3.6)
    edges_ns = counts.bin_edges * 1e9
    trials = max(counts.trials.number, 1)
    for row, (detector, color) in enumerate(zip(counts.gates.detectors, COLORS * 16, strict=False)):
        density = counts.histogram[row] / np.diff(edges_ns) / trials
        axes.stairs(density, edges_ns, color=color, label=f"detector {detector}")
    for gate in counts.gates.gates:
        axes.axvspan(gate.start * 1e9, gate.stop * 1e9, color=GATE_SHADE, zorder=0)
        middle = 0.5e9 * (gate.start + gate.stop)
        axes.text(middle, 1.01, gate.name, ha="center", transform=axes.get_xaxis_transform())
    if counts.histogram.any():
        axes.set_yscale("log")
    axes.set_xlim(edges_ns[0], edges_ns[-1])
    axes.set_xlabel("time after the trial's start (ns)")
    axes.set_ylabel("clicks / (ns · trial)")
    axes.legend(frameon=False)
    return axes


def first_look(seen: "FirstLook") -> "Figure":
    """Draw `first_arrivals` above `first_rates`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    for draw, ax in zip((first_arrivals, first_rates), figure.subplots(2), strict=True):
        draw(seen, ax)
    return figure


def first_arrivals(seen: "FirstLook", ax: "Axes | None" = None) -> "Axes":
    """Draw clicks against time after the sync, pulses shaded."""
    axes = axes_or_new(ax, 8, 3)
    end = seen.bins_of_interest
    edges_ns = seen.edges[: end + 1] * 1e9
    for (channel, clicks), color in zip(seen.arrivals.items(), COLORS * 16, strict=False):
        if len(clicks):
            axes.stairs(clicks[:end], edges_ns, color=color, label=f"channel {channel}")
    for pulse in seen.pulses:
        axes.axvspan(pulse.start * 1e9, pulse.stop * 1e9, color=GATE_SHADE, zorder=0)
    if any(clicks.any() for clicks in seen.arrivals.values()):
        axes.set(yscale="log", ylim=(0.8, None))
    axes.set_xlabel("time after the sync (ns)")
    axes.set_ylabel("clicks / bin")
    return axes


def first_rates(seen: "FirstLook", ax: "Axes | None" = None) -> "Axes":
    """Draw the click rate of every channel against time."""
    axes = axes_or_new(ax, 8, 3)
    for (channel, rates), color in zip(seen.rates.items(), COLORS * 16, strict=False):
        axes.stairs(rates, seen.rate_edges, color=color, label=f"channel {channel}")
    axes.set_xlabel("time (s)")
    axes.set_ylabel("clicks (1/s)")
    if seen.rates:
        axes.legend(frameon=False)
    return axes


def coincidence_matrix(counts: Counts, ax: "Axes | None" = None) -> "Axes":
    """Draw same-trial coincidences of every pair of (gate, detector), with g² where defined."""
    cells = counts.gates.cells
    names = [f"{gate} {detector}" for gate, detector in cells]
    singles = counts.singles.reshape(-1).astype(float)
    expected = np.outer(singles, singles) / max(counts.trials.number, 1)
    axes = axes_or_new(ax, 1.1 * len(cells) + 0.8, 0.9 * len(cells) + 0.6)
    lower = np.tril(np.ones_like(counts.pairs, dtype=bool), -1)
    brightest = max(int(counts.pairs.max(initial=0)), 1)
    shown = np.ma.masked_array(counts.pairs, ~lower)[1:, :-1]
    if shown.size:
        axes.imshow(shown, cmap=DENSITY, vmin=0, vmax=brightest)
    for i, j in zip(*np.nonzero(lower), strict=True):
        pairs = int(counts.pairs[i, j])
        g2 = f"\ng² {pairs / expected[i, j]:.2f}" if expected[i, j] > 0 else ""
        color = "white" if pairs > 0.6 * brightest else "black"
        axes.text(
            j, i - 1, f"{pairs:,}{g2}", ha="center", va="center", color=color, fontsize="small"
        )
    axes.set_xticks(range(len(cells) - 1), names[:-1])
    axes.set_yticks(range(len(cells) - 1), names[1:])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return axes


def witness_densities(witness: Witness, bound: float = 1.0, ax: "Axes | None" = None) -> "Axes":
    """Draw the densities of R_m(θ, 1), R_m(θ, 2) and the symmetrised witness."""
    axes = axes_or_new(ax, 8, 3.6)
    named = {
        "heralded by detector 1": witness.detector[1],
        "heralded by detector 2": witness.detector[2],
        "symmetrised": witness.sym,
    }
    left = min(float(p.quantile(0.001)) for p in named.values())
    right = max(bound * 1.25, min(3.0, max(float(p.quantile(0.97)) for p in named.values())))
    x = np.linspace(min(left, bound), right, 800)
    for (label, posterior), color in zip(named.items(), COLORS, strict=False):
        density = posterior.density(x)
        axes.plot(x, density, color=color, label=f"{label}: {posterior.mode:.3f}")
        inside = (x >= posterior.low) & (x <= posterior.high)
        axes.fill_between(x, density, where=inside.tolist(), color=color, alpha=0.15, lw=0)
    _mark_bound(axes, bound)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("$R_m$ (shaded: 16 % to 84 %)")
    axes.set_ylabel("probability density")
    axes.legend(frameon=False)
    return axes


def _mark_bound(axes: "Axes", bound: float) -> None:
    axes.axvline(bound, color="black", lw=1, ls="--")
    axes.annotate(
        f"separable above {bound:.3g}", (bound, 0.97), xycoords=("data", "axes fraction"),
        xytext=(4, 0), textcoords="offset points", va="top", fontsize="small",
    )  # fmt: skip
