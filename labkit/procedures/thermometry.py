"""``thermometry``: phonons of one device by the asymmetry of its sidebands."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from labkit.procedures import Result
from labkit.procedures.filters import off_the_line
from labkit.procedures.repair import tune_if_due
from labkit.procedures.session import Device, Session, check_options, only
from labkit.sequence import PulseSequence
from simulation.theory.sideband import sideband_occupation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermometryOptions:
    """Which device, and how long.

    Attributes
    ----------
    device : {"A", "B"}
    trials : int
        On each sideband, and for the background.
    rounds : int
        In so many parts, taking turns, so that drifts hit all alike; the filters are tuned in
        between when it is time.
    aside : float
        How far the filters before the detectors are moved for the background, V: many line
        widths, but little compared with their distance from the drive light.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    device: Device = "A"
    trials: int = 400_000_000
    rounds: int = 10
    aside: float = 0.15

    def __post_init__(self) -> None:
        check_options(self, positive=("aside",), at_least={"rounds": 1, "trials": self.rounds})


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermometryResult(Result):
    """Mean phonon number by sideband asymmetry.

    Attributes
    ----------
    device : str
    stokes, anti_stokes, background : int
        Clicks with the pulse on the upper and on the lower sideband, and with it on the lower one
        but the filters beside the line (leaked drive light, dark counts), in as many trials.
    n_th : float
        (anti_stokes − background) / (stokes − anti_stokes), while that pulse is on: what it heats
        at once is included.
    sigma : float
    """

    procedure: ClassVar[str] = "thermometry"
    device: str
    stokes: int
    anti_stokes: int
    background: int
    n_th: float
    sigma: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "device": self.device, "stokes": self.stokes, "anti_stokes": self.anti_stokes,
            "background": self.background, "n_th": self.n_th, "sigma": self.sigma,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"device {self.device}: n_th = {self.n_th:.4f} ± {self.sigma:.4f}"

    def plot(self) -> "Figure":
        """Draw both sidebands over the background."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4, 3), layout="constrained")
        axes = figure.add_subplot()
        clicks = np.array([self.stokes, self.anti_stokes, self.background])
        names = ["Stokes\n(n + 1)", "anti-Stokes\n(n)", "filters\nbeside the line"]
        axes.bar(names, clicks, 0.6, yerr=np.sqrt(clicks), color=["#0b6e99", "#c2410c", "#a8a29e"])
        axes.set(ylabel="clicks", yscale="log", title=str(self))
        axes.title.set_fontsize(9)
        return figure


def thermometry(
    session: Session, sequence: PulseSequence, options: ThermometryOptions
) -> ThermometryResult:
    """Compare the scattering of equal pulses on both sidebands: rates n + 1 and n.

    The pump pulse's shape and level are given once to the pump and once to the read laser, whose
    powers must be equal behind their filters: tune these (`filters`) first. Its background is
    measured with the filters before the detectors beside the line, in turns on either side.
    Correct to first order in the scattering probability. Blocked arm, filters and attenuators are
    set back.

    Raises
    ------
    RuntimeError
        If there are no more Stokes than anti-Stokes clicks.

    Notes
    -----
    Source: Riedinger et al., Nature 556, 473 (2018), supplement, "Second Order Coherence".
    """
    pump = sequence.pulse("pump")
    blue = sequence.without_pulse("read")
    red = sequence.without_pulse("pump").with_pulse(
        "read", start=pump.start, duration=pump.duration, edge=pump.edge, level=pump.level
    )
    stokes = anti = background = 0
    part = options.trials // options.rounds
    with only(session, options.device):
        for number in session.steps("thermometry", range(options.rounds)):
            tune_if_due(session, sequence)
            stokes += _clicks(session, blue, part, options, "stokes")
            anti += _clicks(session, red, part, options, "anti_stokes")
            with off_the_line(session, options.aside * (-1) ** number):
                background += _clicks(session, red, part, options, "background")
    difference = stokes - anti
    if difference <= 0:
        message = (
            f"device {options.device}: Stokes clicks must exceed anti-Stokes ones, but are "
            f"{stokes} and {anti}; check both lasers' wavelengths and powers"
        )
        raise RuntimeError(message)
    n_th = float(sideband_occupation(stokes - background, anti - background))
    variance = (1 + n_th) ** 2 * anti + background + n_th**2 * stokes
    return ThermometryResult(
        device=options.device, stokes=stokes, anti_stokes=anti, background=background,
        n_th=n_th, sigma=float(np.sqrt(variance) / difference),
    )  # fmt: skip


def _clicks(
    session: Session, sequence: PulseSequence, trials: int, options: ThermometryOptions, light: str
) -> int:
    setting: dict[str, float | str] = {
        "procedure": "thermometry", "device": options.device, "light": light,
    }  # fmt: skip
    return int(session.clicks(sequence, trials, setting, keep=True).singles.sum())
