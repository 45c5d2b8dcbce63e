"""``phase_sweep``: g² against the phase offset Δφ of the read pulse; gives the optimal phase."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis import palette
from analysis.correlation import GammaPosterior, pooled_g2
from analysis.evaluation import g2_of_pairs
from analysis.fits import FringeFit, fit_fringe
from analysis.opposite_fringes import OppositeFringes, fit_opposite_fringes
from analysis.plots import axes_or_new, figure_of
from analysis.separable_fit import Estimate
from labkit.procedures import Result
from labkit.procedures.repair import repair, upkeep
from labkit.procedures.session import Session, check_options
from labkit.run import Block
from labkit.run.progress import said_setting
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REFITS = 3
"""How often errors are taken from the fitted curve, and the curve fitted again."""

CROSSED, SAME = ("r1p2", "r2p1"), ("r1p1", "r2p2")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseSweepOptions:
    """Phases to visit.

    Attributes
    ----------
    start, stop : float
        First and last Δφ, rad; both are measured.
    points : int
    trials : int
        Per point.
    adaptive : bool
        Take two points a quarter period apart, from `start` on, then all others where the fringe is
        steepest by the points so far, on either side of its maximum in turn. The phase becomes as
        certain as by a grid of 1.4 times the trials; period and visibility are not what this is
        for.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    start: float = 0.0
    stop: float = 2 * np.pi
    points: int = 9
    trials: int = 100_000_000
    adaptive: bool = False

    def __post_init__(self) -> None:
        check_options(self, at_least={"points": 4, "trials": 1})
        if not self.adaptive and self.start == self.stop:
            message = f"`start` and `stop` must differ, but both are {self.start:g}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorrelationFringe:
    """Correlations between different and between the same detectors along a scan.

    Attributes
    ----------
    x : ndarray
        What was scanned.
    crossed, same : tuple of GammaPosterior
        Pooled g² of different detectors (r1p2, r2p1) and of the same (r1p1, r2p2).
    """

    x: NDArray[np.float64]
    crossed: tuple[GammaPosterior, ...]
    same: tuple[GammaPosterior, ...]

    def values(self, which: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return g² and its standard deviation of ``crossed`` or ``same``."""
        points = self.crossed if which == "crossed" else self.same
        value = np.array([p.events / p.exposure for p in points])
        sigma = np.array([np.sqrt(p.events + 1) / p.exposure for p in points])
        return value, sigma


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhaseSweepResult(Result):
    """The fringe over Δφ.

    Attributes
    ----------
    fringe : CorrelationFringe
    crossed, same : FringeFit
        With a period of 2π.
    optimal_phase : Estimate
        Δφ at which different detectors correlate most and the same least, rad in (−π, π].
    period : Estimate or None
        Of a fit of different detectors in which it is free; None where the points do not determine
        it.
    visibility : Estimate or None
        (max − min)/(max + min) of the fit of different detectors.
    """

    procedure: ClassVar[str] = "phase_sweep"
    fringe: CorrelationFringe
    crossed: FringeFit
    same: FringeFit
    optimal_phase: Estimate
    period: Estimate | None
    visibility: Estimate | None

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        crossed, sigma_crossed = self.fringe.values("crossed")
        same, sigma_same = self.fringe.values("same")
        return {
            "delta_phi": self.fringe.x.tolist(),
            "g2_crossed": crossed.tolist(),
            "g2_crossed_sigma": sigma_crossed.tolist(),
            "g2_same": same.tolist(),
            "g2_same_sigma": sigma_same.tolist(),
            "optimal_phase": self.optimal_phase.value,
            "optimal_phase_sigma": self.optimal_phase.sigma,
            **_with_sigma("period", self.period),
            **_with_sigma("visibility", self.visibility),
        }

    def __str__(self) -> str:
        best, pi = self.optimal_phase, np.pi
        period = "undetermined"
        if self.period is not None:
            period = f"{self.period.value / pi:.2f} ± {self.period.sigma / pi:.2f} π"
        return (
            f"optimal phase {best.value / pi:+.3f} ± {best.sigma / pi:.3f} π, period {period}, "
            f"visibility {self.visibility or 'undetermined'}"
        )

    def plot(self) -> "Figure":
        """Draw both fringes with their fits."""
        return figure_of(self.draw())

    def draw(self, ax: "Axes | None" = None) -> "Axes":
        """Draw both fringes with their fits, and the optimal phase, into axes."""
        pi = np.pi
        axes = draw_fringe(self.fringe, self.crossed, self.same, "Δφ (π)", scale=1 / pi, ax=ax)
        for turn in (-2 * np.pi, 0.0, 2 * np.pi):
            best = self.optimal_phase.value + turn
            if self.fringe.x.min() <= best <= self.fringe.x.max():
                axes.axvline(best / pi, color=palette.FAINT, lw=1, ls="--")
        return axes


def _with_sigma(name: str, found: Estimate | None) -> dict[str, float | None]:
    if found is None:
        return {name: None, f"{name}_sigma": None}
    return {name: found.value, f"{name}_sigma": found.sigma}


def phase_sweep(
    session: Session, sequence: PulseSequence, options: PhaseSweepOptions
) -> PhaseSweepResult:
    """Scan Δφ and fit the fringe; it must have a period of 2π (single-particle interference).

    Raises
    ------
    RuntimeError
        If a point has no accidentals to compare with: too few trials.
    """
    if options.adaptive:
        return _steepest(session, sequence, options)
    phases = np.linspace(options.start, options.stop, options.points)
    return sweep_result(_fringe_at(session, sequence, options, phases.tolist()))


def sweep_result(fringe: CorrelationFringe) -> PhaseSweepResult:
    """Fit a fringe over Δφ with its period of 2π."""
    crossed = fit_counts(fringe, "crossed", 2 * np.pi)
    same = fit_counts(fringe, "same", 2 * np.pi)
    return PhaseSweepResult(
        fringe=fringe,
        crossed=crossed,
        same=same,
        optimal_phase=both_fringes(fringe).phase,
        period=_free_period(fringe),
        visibility=crossed.visibility,
    )


def fringe_of_blocks(blocks: Sequence[Block]) -> CorrelationFringe:
    """Return the fringe over Δφ of a run's blocks; the last good one of each phase counts.

    Raises
    ------
    ValueError
        If there are fewer than three phases with accidentals of every pair.
    """
    points = {}
    for block in blocks:
        if block.good and block.setting.get("procedure") == PhaseSweepResult.procedure:
            found = g2_of_pairs(block.counts)
            if all(pair in found for pair in CROSSED + SAME):
                points[float(block.setting["delta_phi"])] = found
    if len(points) < 3:
        message = (
            f"a fringe must have at least 3 phases with g² of every pair, but has {len(points)}"
        )
        raise ValueError(message)
    x = sorted(points)
    crossed, same = (
        tuple(pooled_g2([points[phi][pair] for pair in pairs]) for phi in x)
        for pairs in (CROSSED, SAME)
    )
    return CorrelationFringe(x=np.array(x), crossed=crossed, same=same)


def _fringe_at(
    session: Session, sequence: PulseSequence, options: PhaseSweepOptions, phases: list[float]
) -> CorrelationFringe:
    sequences = {phi: sequence.with_read_phase(phi) for phi in phases}
    setting: dict[str, float | str] = {"procedure": "phase_sweep"}
    return measure_fringe(session, sequences, options.trials, setting, "delta_phi")


def _steepest(
    session: Session, sequence: PulseSequence, options: PhaseSweepOptions
) -> PhaseSweepResult:
    """Measure one point after another where it tells most."""
    fringe = _fringe_at(session, sequence, options, [options.start])
    while len(fringe.x) < options.points:
        more = _fringe_at(session, sequence, options, [next_phase(fringe)])
        fringe = CorrelationFringe(
            x=np.append(fringe.x, more.x),
            crossed=fringe.crossed + more.crossed,
            same=fringe.same + more.same,
        )
    crossed, same = (fit_counts(fringe, which, 2 * np.pi) for which in ("crossed", "same"))
    return PhaseSweepResult(
        fringe=fringe, crossed=crossed, same=same, optimal_phase=both_fringes(fringe).phase,
        period=None, visibility=crossed.visibility,
    )  # fmt: skip


def next_phase(fringe: CorrelationFringe) -> float:
    """Return the Δφ at which one more point tells most about the phase, rad in (−π, π].

    A quarter period after the first point; then a quarter period before and after the maximum by
    all points so far, in turn.
    """
    if len(fringe.x) == 1:
        wanted = fringe.x[0] + np.pi / 2
    else:
        side = 1 if len(fringe.x) % 2 else -1
        wanted = both_fringes(fringe).phase.value + side * np.pi / 2
    return float(np.pi - np.mod(np.pi - wanted, 2 * np.pi))


def both_fringes(fringe: CorrelationFringe) -> OppositeFringes:
    """Fit different and same detectors together: their fringes are each other's opposite."""
    crossed, same = (
        ([p.events for p in points], [p.exposure for p in points])
        for points in (fringe.crossed, fringe.same)
    )
    return fit_opposite_fringes(fringe.x, crossed, same)


def _free_period(fringe: CorrelationFringe) -> Estimate | None:
    try:
        return fit_counts(fringe, "crossed").period
    except ValueError:
        return None


def measure_fringe(
    session: Session,
    sequences: dict[float, PulseSequence],
    trials: int,
    setting: dict[str, float | str],
    name: str,
) -> CorrelationFringe:
    """Measure one block per sequence; blocks that are not good are taken once more.

    Before each the filters are tuned if it is time, and the interferometer locked if it is not.
    Points that an earlier session of a resumed run has measured are not measured again.
    """
    session.check(sequences.values())
    crossed, same = [], []
    procedure = str(setting["procedure"])
    for x in session.steps(procedure, sequences, lambda x: said_setting(name, x)):
        place = said_setting(name, x)
        block = good_block(session, sequences[x], trials, setting | {name: x}, place)
        found = g2_of_pairs(block.counts)
        missing = [pair for pair in CROSSED + SAME if pair not in found]
        if missing:
            message = f"{place}: g² of {', '.join(missing)} is undefined; take more trials"
            raise RuntimeError(message)
        crossed.append(pooled_g2([found[pair] for pair in CROSSED]))
        same.append(pooled_g2([found[pair] for pair in SAME]))
        found_there = f"{crossed[-1].mode:.2f} crossed, {same[-1].mode:.2f} same"
        session.point(f"{place}: g² {found_there}")
    return CorrelationFringe(x=np.array(list(sequences)), crossed=tuple(crossed), same=tuple(same))


def good_block(
    session: Session,
    sequence: PulseSequence,
    trials: int,
    setting: dict[str, float | str],
    place: str,
) -> Block:
    """Return a good block: of an earlier session of a resumed run, or measured now."""
    before = session.earlier(sequence, trials, setting)
    if before is not None:
        return before
    upkeep(session, sequence, trials)
    block = session.measure(sequence, trials, setting)
    if not block.good:
        session.say(f"{place}: {block.reason}; measuring again")
        repair(session, sequence, block)
        upkeep(session, sequence, trials)
        block = session.measure(sequence, trials, setting)
    if not block.good:
        message = f"{place}: the block is bad after repair too: {block.reason}"
        raise RuntimeError(message)
    return block


def fit_counts(fringe: CorrelationFringe, which: str, period: float | None = None) -> FringeFit:
    """Fit a fringe of g²; each point's error is that of the events the curve expects there.

    Errors from the events that were found would favour points that happen to have few.

    Raises
    ------
    ValueError
        If the points do not determine the curve.
    """
    value, sigma = fringe.values(which)
    points = fringe.crossed if which == "crossed" else fringe.same
    exposure = np.array([point.exposure for point in points])
    fit = fit_fringe(fringe.x, value, np.full_like(sigma, sigma.mean()), period=period)
    for _ in range(REFITS):
        expected = np.maximum(fit.curve(fringe.x) * exposure, 0.5)
        fit = fit_fringe(fringe.x, value, np.sqrt(expected) / exposure, period=period)
    return fit


def draw_fringe(
    fringe: CorrelationFringe,
    crossed: FringeFit,
    same: FringeFit,
    label: str,
    *,
    scale: float = 1.0,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draw g² of different and of the same detectors against `scale` times what was scanned."""
    axes = axes_or_new(ax, 6.4, 3.6)
    fine = np.linspace(fringe.x.min(), fringe.x.max(), 400)
    for which, fit, color, marker in (
        ("crossed", crossed, palette.CROSSED, "x"),
        ("same", same, palette.SAME, "o"),
    ):
        value, sigma = fringe.values(which)
        text = "different detectors" if which == "crossed" else "same detector"
        axes.errorbar(scale * fringe.x, value, sigma, fmt=marker, color=color, label=text)
        axes.plot(scale * fine, fit.curve(fine), color=color, lw=1)
    axes.set(xlabel=label, ylabel="$g^{(2)}$")
    axes.legend(frameon=False)
    return axes
