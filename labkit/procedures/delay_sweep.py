"""``delay_sweep``: the fringe over the delay τ between pump and read; coherence of the state."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.fits import FringeFit
from analysis.palette import COLORS, FAINT
from analysis.plots import figure_of
from analysis.separable_fit import Estimate
from labkit.procedures import Result
from labkit.procedures.g2 import G2Options, g2_of_device
from labkit.procedures.phase_sweep import CorrelationFringe, draw_fringe, fit_counts, measure_fringe
from labkit.procedures.session import DEVICES, Session, check_options
from labkit.report.diagnostics import shift_remarks
from labkit.run.progress import said_setting
from labkit.sequence import PulseSequence
from simulation.theory.dlcz.budget import visibility_bound

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DelaySweepOptions:
    """Delays to visit: windows of one fringe each.

    Attributes
    ----------
    delays : tuple of float
        Start of each window, s.
    fringe_hz : float
        Mechanical frequency difference as known so far (`identify`), Hz: a window is
        1/`fringe_hz` long (22 ns at 45 MHz).
    points : int
        Per window.
    trials : int
        Per point.
    bound_trials : int
        Trials per window and device for the bound on the visibility; 0 for none.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    delays: tuple[float, ...] = (123e-9, 500e-9, 1e-6, 2e-6, 3e-6)
    fringe_hz: float = 45e6
    points: int = 6
    trials: int = 100_000_000
    bound_trials: int = 200_000_000

    def __post_init__(self) -> None:
        check_options(
            self,
            positive=("delays", "fringe_hz"),
            at_least={"points": 4, "trials": 1, "bound_trials": 0},
        )
        if not self.delays:
            message = "`delays` must name at least one window, but is empty"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DelaySweepResult(Result):
    """Fringe and visibility per window.

    Attributes
    ----------
    delays : ndarray
        Middle of each window, s.
    visibility, sigma : ndarray
        Amplitude over offset of the fit of different detectors, and its standard deviation.
    bound : ndarray or None
        V_max by the g² of the two devices alone (`simulation.theory.dlcz.budget`), or None. It
        holds for equal devices; a better second one lets the visibility exceed it a little.
    delta_omega_hz : Estimate or None
        (Ω_B − Ω_A)/2π from how the fringe's phase moves from window to window; None for one window.
        It is the one nearest to `fringe_hz` that the delays allow.
    windows : tuple of (CorrelationFringe, FringeFit, FringeFit)
        Of different detectors and of the same.
    diagnosis : tuple of str
        Which serrodyne shifts of the sequence do not fit `delta_omega_hz`.
    """

    procedure: ClassVar[str] = "delay_sweep"
    delays: Array
    visibility: Array
    sigma: Array
    bound: Array | None
    delta_omega_hz: Estimate | None
    windows: tuple[tuple[CorrelationFringe, FringeFit, FringeFit], ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        beat = self.delta_omega_hz
        return {
            "delay": self.delays.tolist(),
            "visibility": self.visibility.tolist(),
            "visibility_sigma": self.sigma.tolist(),
            "visibility_bound": None if self.bound is None else self.bound.tolist(),
            "delta_omega_hz": None if beat is None else beat.value,
            "delta_omega_sigma_hz": None if beat is None else beat.sigma,
            "diagnosis": list(self.diagnosis),
        }

    def __str__(self) -> str:
        rows = [
            f"τ = {1e9 * t:6.0f} ns  visibility {v:.2f} ± {s:.2f}"
            for t, v, s in zip(self.delays, self.visibility, self.sigma, strict=True)
        ]
        if self.bound is not None:
            rows = [f"{row}, V_max ≈ {b:.2f}" for row, b in zip(rows, self.bound, strict=True)]
        beat = self.delta_omega_hz
        if beat is not None:
            rows.append(
                f"fringe of {1e9 / beat.value:.3f} ns: "
                f"{beat.value / 1e6:.3f} ± {beat.sigma / 1e6:.3f} MHz"
            )
        return "\n".join([*rows, *self.diagnosis])

    def plot(self) -> "Figure":
        """Draw the visibility, and its bound, against the delay."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        time = self.delays * 1e6
        axes.errorbar(time, self.visibility, self.sigma, fmt="x", color=COLORS[2], label="measured")
        if self.bound is not None:
            axes.plot(
                time, self.bound, "_", ms=14, color=FAINT, label="$V_{max}$ by the devices' g²"
            )
        axes.set(xlabel="delay τ (µs)", ylabel="visibility", ylim=(0, 1.2))
        axes.legend(frameon=False)
        return figure

    def pictures(self) -> "dict[str, Callable[[], Figure]]":
        """Return what draws the decay, and every window's fringe."""
        found: dict[str, Callable[[], Figure]] = {"delay_sweep": self.plot}
        for number, window in enumerate(self.windows, 1):
            found[f"window_{number}"] = partial(_draw_window, window)
        return found


def _draw_window(window: tuple[CorrelationFringe, FringeFit, FringeFit]) -> "Figure":
    return figure_of(draw_fringe(*window, "delay τ (µs)", scale=1e6))


def delay_sweep(
    session: Session, sequence: PulseSequence, options: DelaySweepOptions
) -> DelaySweepResult:
    """Scan τ over one fringe at several delays, with Δφ and φ0 fixed.

    Each window is fitted with the period 1/`fringe_hz`; what that is off shows as a phase that
    moves from window to window.

    Notes
    -----
    Source: Riedinger et al., Nature 556, 473 (2018), Fig. 4 and supplement (V_max).
    """
    period = 1 / options.fringe_hz
    windows, bound = [], []
    within = np.arange(options.points) * period / options.points
    plans = {
        start: {float(tau): sequence.with_delay(float(tau)) for tau in start + within}
        for start in options.delays
    }
    session.check(trial for plan in plans.values() for trial in plan.values())
    for start in session.steps("windows", plans, lambda start: said_setting("delay", start)):
        fringe = measure_fringe(
            session,
            plans[start],
            options.trials,
            {"procedure": "delay_sweep"},
            "delay",
        )
        crossed = fit_counts(fringe, "crossed", period)
        same = fit_counts(fringe, "same", period)
        windows.append((fringe, crossed, same))
        if options.bound_trials:
            middle = sequence.with_delay(start + period / 2)
            bound.append(_bound(session, middle, options.bound_trials))
    fits = [crossed for _, crossed, _ in windows]
    beat = _beat(np.array(options.delays), fits, options.fringe_hz)
    return DelaySweepResult(
        delays=np.array(options.delays) + period / 2,
        visibility=np.array([fit.amplitude.value / fit.offset.value for fit in fits]),
        sigma=np.array([fit.amplitude.sigma / fit.offset.value for fit in fits]),
        bound=np.array(bound) if bound else None,
        delta_omega_hz=beat,
        windows=tuple(windows),
        diagnosis=() if beat is None else shift_remarks(sequence, beat),
    )


def _bound(session: Session, sequence: PulseSequence, trials: int) -> float:
    """Return V_max from both devices alone."""
    g2 = [
        g2_of_device(session, sequence, G2Options(device=device, trials=trials)).posterior.mode
        for device in DEVICES
    ]
    return float(visibility_bound(*(max(1.0, g) for g in g2)))


def _beat(delays: Array, fits: list[FringeFit], fringe_hz: float) -> Estimate | None:
    """Return the frequency that the phases of the windows' fringes follow from first to last."""
    if len(fits) < 2:
        return None
    order = np.argsort(delays)
    phase = np.unwrap(np.array([fit.phase.value for fit in fits])[order])
    weight = np.array([fit.phase.sigma for fit in fits])[order] ** -2.0
    time = delays[order] - np.average(delays[order], weights=weight)
    spread = np.sum(weight * time**2)
    slope = np.sum(weight * time * phase) / spread
    return Estimate(
        value=float(fringe_hz + slope / (2 * np.pi)), sigma=float(spread**-0.5 / (2 * np.pi))
    )
