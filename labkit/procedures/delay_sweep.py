"""``delay_sweep``: the fringe over the delay τ between pump and read; coherence of the state."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.fits import FringeFit, fit_fringe
from labkit.procedures.phase_sweep import Fringe, draw_fringe, measure_fringe
from labkit.procedures.session import Session
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class DelaySweepOptions:
    """Delays to visit: windows of one fringe each.

    Attributes
    ----------
    delays : tuple of float
        Start of each window, s.
    fringe_hz : float
        Mechanical frequency difference, Hz: a window is 1/`fringe_hz` long (22 ns at 45 MHz).
    points : int
        Per window.
    trials : int
        Per point.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    delays: tuple[float, ...] = (123e-9, 500e-9, 1e-6, 2e-6, 3e-6)
    fringe_hz: float = 45e6
    points: int = 6
    trials: int = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DelaySweepResult:
    """Fringe and visibility per window.

    Attributes
    ----------
    delays : ndarray
        Middle of each window, s.
    visibility, sigma : ndarray
        Amplitude over offset of the fit of different detectors.
    windows : tuple of (Fringe, FringeFit, FringeFit)
    """

    delays: NDArray[np.float64]
    visibility: NDArray[np.float64]
    sigma: NDArray[np.float64]
    windows: tuple[tuple[Fringe, FringeFit, FringeFit], ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "delay": self.delays.tolist(),
            "visibility": self.visibility.tolist(),
            "visibility_sigma": self.sigma.tolist(),
        }

    def __str__(self) -> str:
        rows = zip(self.delays, self.visibility, self.sigma, strict=True)
        return "\n".join(f"τ = {1e9 * t:6.0f} ns  visibility {v:.2f} ± {s:.2f}" for t, v, s in rows)

    def plot(self) -> "Figure":
        """Draw the visibility against the delay."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.errorbar(self.delays * 1e6, self.visibility, self.sigma, fmt="x", color="#4d7c0f")
        axes.set(xlabel="delay τ (µs)", ylabel="visibility", ylim=(0, 1))
        return figure

    def plot_window(self, index: int) -> "Figure":
        """Draw one window's fringe."""
        return draw_fringe(*self.windows[index], "delay τ (s)")


def delay_sweep(
    session: Session, sequence: PulseSequence, options: DelaySweepOptions
) -> DelaySweepResult:
    """Scan τ over one fringe at several delays, with Δφ and φ0 fixed."""
    period = 1 / options.fringe_hz
    windows, visibility, sigma = [], [], []
    for start in options.delays:
        steps = start + np.arange(options.points) * period / options.points
        fringe = measure_fringe(
            session,
            {float(tau): sequence.with_delay(float(tau)) for tau in steps},
            options.trials,
            {"procedure": "delay_sweep"},
            "delay",
        )
        crossed = fit_fringe(fringe.x, *fringe.values("crossed"), period=period)
        same = fit_fringe(fringe.x, *fringe.values("same"), period=period)
        windows.append((fringe, crossed, same))
        visibility.append(abs(crossed.amplitude.value) / crossed.offset.value)
        sigma.append(crossed.amplitude.sigma / crossed.offset.value)
    return DelaySweepResult(
        delays=np.array(options.delays) + period / 2,
        visibility=np.array(visibility),
        sigma=np.array(sigma),
        windows=tuple(windows),
    )
