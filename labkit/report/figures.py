"""Figures of a run for a paper: vector, in a journal's widths and letters, without titles."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.palette import COLORS, FAINT, LEFT_OUT
from analysis.plots import arrival_histogram, coincidence_matrix, figure_of, witness_densities
from analysis.witness.verdict import LEVELS
from labkit.learned import PICTURE, Learned, learned_of
from labkit.monitoring import RunMonitor, Series, Snapshot
from labkit.procedures.phase_sweep import fringe_of_blocks, sweep_result
from labkit.report.diagnostics import CROSSED
from labkit.run import Block, RunFolder
from labkit.sequence.drawing import timing_diagram

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMN, PAGE = 86.0, 178.0
"""Widths of one and of two columns, mm."""

GOLDEN = 0.66
"""Height over width."""

UNITS = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
"""Of the time over which readings are drawn: the first of which there are two or more."""

STYLE: dict[Any, Any] = {  # matplotlib's own names
    "font.family": "sans-serif", "font.sans-serif": ["Arial", "Helvetica", "DejaVu Sans"],
    "font.size": 7.0, "axes.labelsize": 7.0, "xtick.labelsize": 6.0, "ytick.labelsize": 6.0,
    "legend.fontsize": 6.0, "axes.linewidth": 0.6, "lines.linewidth": 1.0, "lines.markersize": 3.0,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False, "pdf.fonttype": 42, "ps.fonttype": 42,
    "svg.fonttype": "none", "svg.hashsalt": "labkit",
}  # fmt: skip


@contextmanager
def journal_style() -> Iterator[None]:
    """Draw in a journal's letters and lines within the block."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


class RunPictures:
    """What a run's figures are drawn from, read once.

    Parameters
    ----------
    folder : RunFolder
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    @cached_property
    def snapshot(self) -> Snapshot:
        """The run as it is."""
        return RunMonitor(self.folder).snapshot()

    @cached_property
    def blocks(self) -> list[Block]:
        """All blocks."""
        return self.folder.journal.read()

    @property
    def learned(self) -> Learned | None:
        """What limits R_m, if it has been learned by now."""
        return learned_of(self.folder)

    def counts(self, pictures: str) -> Any:
        """Return the summed counts; `pictures` names what wants them.

        Raises
        ------
        ValueError
            If there are none.
        """
        found = self.snapshot.evaluation
        if found is None:
            message = f"{self.folder.path}: {pictures} needs a good block, but the run has none"
            raise ValueError(message)
        return found.counts


def densities(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw the densities of R_m for both heralds and symmetrised."""
    witness = run.snapshot.witness
    if witness is None:
        raise _lacks(run, "densities", "R_m")
    return witness_densities(witness, run.snapshot.bound, ax)


def arrivals(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw clicks against arrival time, with the gates."""
    return arrival_histogram(run.counts("arrivals"), ax)


def pairs(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw coincidences of all pairs."""
    return coincidence_matrix(run.counts("pairs"), ax)


def fringe(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw g² over Δφ with both fits."""
    return sweep_result(fringe_of_blocks(run.blocks)).draw(ax)


def course(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw R_m with its interval, and its limit valid at any time, against trials."""
    found = run.snapshot
    points = [
        (e.counts.trials.number, w.sym)
        for e in found.course
        if (w := found.witness_of(e)) is not None
    ]
    if not points:
        raise _lacks(run, "course", "R_m")
    axes = _axes(ax)
    trials = [number / 1e6 for number, _ in points]
    axes.plot(
        trials, [sym.mode for _, sym in points], ".-", color=COLORS[0], label="$R_m$ as published"
    )
    low, high = ([getattr(sym, end) for _, sym in points] for end in ("low", "high"))
    axes.fill_between(trials, low, high, color=COLORS[0], alpha=0.2, lw=0)
    limits = [(p.trials / 1e6, p.upper_limit) for p in found.evidence if p.upper_limit < 10]
    if limits:
        axes.step(
            *zip(*limits, strict=True), where="post", color=COLORS[2],
            label="95 % limit at any time",
        )  # fmt: skip
    axes.axhline(found.bound, color=FAINT, ls="--")
    axes.set(xlabel="good trials (10⁶)", ylabel="$R_m$", xlim=(0, None), ylim=(0, None))
    axes.legend()
    return axes


def evidence(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw the always-valid log E against trials, with the levels of confidence."""
    points = run.snapshot.evidence
    if not points:
        raise _lacks(run, "evidence", "the always-valid test")
    axes = _axes(ax)
    axes.plot([p.trials / 1e6 for p in points], [p.log_e for p in points], color=COLORS[0])
    for level in LEVELS:
        axes.axhline(-log(1 - level), color=FAINT, ls="--")
        place = (0.01, -log(1 - level))
        axes.text(*place, f"{100 * level:g} %", va="bottom", transform=axes.get_yaxis_transform())
    axes.set(xlabel="good trials (10⁶)", ylabel="log E")
    return axes


def g2(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw g² of both cross pairs against trials."""
    axes = _axes(ax)
    for pair, color in zip(CROSSED, COLORS, strict=False):
        rows = [
            (e.counts.trials.number / 1e6, e.g2[pair]) for e in run.snapshot.course if pair in e.g2
        ]
        if rows:
            trials = [number for number, _ in rows]
            axes.plot(trials, [value.value for _, value in rows], ".-", color=color, label=pair)
            low, high = ([getattr(value, end) for _, value in rows] for end in ("low", "high"))
            axes.fill_between(trials, low, high, color=color, alpha=0.2, lw=0)
    if not axes.lines:
        raise _lacks(run, "g2", "g²")
    axes.set(xlabel="good trials (10⁶)", ylabel="$g^{(2)}$", xlim=(0, None), ylim=(0, None))
    axes.legend()
    return axes


def rates(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw click rates by gate and detector over time."""
    found = [one for name, one in run.snapshot.series.items() if name.startswith("rate.")]
    return _over_time(run, "rates", found, "clicks / s", 1.0, ax)


def phase_noise(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw the lock's phase noise over time, with the largest that counts."""
    axes = _over_time(run, "phase_noise", _named(run, "phase_noise"), "phase noise (mrad)", 1e3, ax)
    axes.axhline(1e3 * run.snapshot.limits.phase_noise, color=FAINT, ls="--")
    axes.set_ylim(bottom=0)
    return axes


def temperature(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw the mixing chamber's temperature over time, with the interlock's limit."""
    axes = _over_time(run, "temperature", _named(run, "temperature"), "temperature (mK)", 1e3, ax)
    if run.snapshot.limits.temperature is not None:
        axes.axhline(1e3 * run.snapshot.limits.temperature, color=FAINT, ls="--")
    axes.set_ylim(bottom=0)
    return axes


def lasers(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw laser frequencies relative to the first block's over time."""
    found = [one for name, one in run.snapshot.series.items() if name.startswith("laser.")]
    return _over_time(run, "lasers", found, "detuning from the first block (MHz)", 1e-6, ax)


def noise_budget(run: RunPictures, ax: "Axes | None" = None) -> "Axes":
    """Draw what each source of noise costs in R_m, as `labkit budget RUN` has learned it."""
    found = run.learned
    if found is None:
        raise _lacks(run, PICTURE, "what `labkit budget RUN` learns")
    return found.budget.figure(_axes(ax))


Draw = Callable[..., "Axes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigure:
    """A figure of a run: what draws it into axes, and what it shows."""

    draw: Draw
    shows: str


def _shown_by(draw: Draw) -> str:
    return str(draw.__doc__).split(".", maxsplit=1)[0].removeprefix("Draw ")


FIGURES: Mapping[str, RunFigure] = {
    name: RunFigure(draw=draw, shows=_shown_by(draw))
    for name, draw in {
        "densities": densities, "course": course, "evidence": evidence, "g2": g2, "fringe": fringe,
        "arrivals": arrivals, "pairs": pairs, "rates": rates, "phase_noise": phase_noise,
        "temperature": temperature, "lasers": lasers, PICTURE: noise_budget,
    }.items()
}  # fmt: skip
"""Figures by the name that ``labkit plot`` takes; ``sequence`` is one too, of several axes."""

SEQUENCE = "sequence"


def draw_figure(run: RunPictures, name: str, width: float = COLUMN) -> "Figure":
    """Draw a figure of a run in a journal's style.

    Parameters
    ----------
    run : RunPictures
    name : str
        One of `FIGURES`, or ``sequence``.
    width : float
        mm.

    Raises
    ------
    ValueError
        If there is no such figure, or the run has not what it shows.
    """
    from matplotlib.figure import Figure

    inches = width / 25.4
    if name == SEQUENCE:
        sequence = run.folder.sequence()
        if sequence is None:
            raise _lacks(run, name, "a pulse sequence")
        with journal_style():
            figure = timing_diagram(sequence)
            figure.set_size_inches(inches, GOLDEN * inches)
            figure.suptitle("")
            return figure
    if name not in FIGURES:
        known = ", ".join([*FIGURES, SEQUENCE])
        message = f"figure must be one of {known}, but is {name!r}"
        raise ValueError(message)
    with journal_style():
        axes = Figure(figsize=(inches, GOLDEN * inches), layout="constrained").add_subplot()
        return figure_of(FIGURES[name].draw(run, axes))


def save_figure(run: RunPictures, name: str, path: Path, width: float = COLUMN) -> None:
    """Draw a figure of a run into a file; the suffix says in which format, vector or not."""
    figure = draw_figure(run, name, width)
    with journal_style():
        figure.savefig(path, dpi=600)


def _axes(ax: "Axes | None") -> "Axes":
    from analysis.plots import axes_or_new

    return axes_or_new(ax, COLUMN / 25.4, GOLDEN * COLUMN / 25.4)


def _named(run: RunPictures, name: str) -> list[Series]:
    return [one for key, one in run.snapshot.series.items() if key == name]


def _over_time(
    run: RunPictures, name: str, series: Sequence[Series], label: str, scale: float,
    ax: "Axes | None",
) -> "Axes":  # fmt: skip
    """Draw series over the time since the first block; what is left out as grey crosses."""
    if not series:
        raise _lacks(run, name, "such readings")
    axes = _axes(ax)
    begin = min(float(one.time[0]) for one in series)
    span = max(float(one.time[-1]) for one in series) - begin
    unit, seconds = next((u, s) for u, s in UNITS if span >= 2 * s or s == 1.0)
    for one, color in zip(series, COLORS * 4, strict=False):
        along, value, sigma = (one.time - begin) / seconds, scale * one.value, scale * one.sigma
        good = one.good
        axes.errorbar(
            along[good], value[good], sigma[good] if sigma.any() else None, fmt=".", color=color,
            elinewidth=0.5, label=one.label,
        )  # fmt: skip
        if not good.all():
            axes.plot(along[~good], value[~good], "x", color=LEFT_OUT)
    local = datetime.fromtimestamp(begin).astimezone()
    axes.set(xlabel=f"{unit} since {local:%Y-%m-%d %H:%M %Z}", ylabel=label)
    if len(series) > 1:
        axes.legend()
    return axes


def _lacks(run: RunPictures, figure: str, what: str) -> ValueError:
    message = f"{run.folder.path}: figure {figure!r} needs {what}, but the run has none"
    return ValueError(message)
