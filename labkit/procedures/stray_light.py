"""``stray_light``: clicks that are no scattered photons, and whether they come alone."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analysis.palette import COLORS
from labkit.procedures import Result
from labkit.procedures.filters import off_the_line
from labkit.procedures.null_test import LaserLightOptions, g2_between_detectors, laser_light
from labkit.procedures.session import CLOSED, Session, check_options, only
from labkit.run.evidence import STRAY_LIGHT, WHEN, background_counts
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayLightOptions:
    """How long, and where.

    Attributes
    ----------
    trials : int
        With the run's light and the filters beside the line, and once more with both arms closed
        and the filters on it.
    aside : float
        How far they are moved, on either side in turn, V: many line widths.
    bright_trials : int
        For g²(0), with the drive light made bright.
    light : LaserLightOptions
        How.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    trials: int = 10_000_000
    aside: float = 0.15
    bright_trials: int = 1_000_000
    light: LaserLightOptions = field(default_factory=LaserLightOptions)

    def __post_init__(self) -> None:
        check_options(self, positive=("aside",), at_least={"trials": 2, "bright_trials": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class StrayLightResult(Result):
    """Background of each gate and detector, and g²(0) of the drive light.

    Attributes
    ----------
    trials : int
    pump, read : tuple of int
        Clicks of detectors 1, 2: with the filters beside the line, and with both arms closed.
    g2 : tuple of float or None
        Unheralded g²(0) of brightened drive light in the pump gate: mode, 16 %, 84 %.
    """

    procedure: ClassVar[str] = "stray_light"
    trials: int
    pump: tuple[int, int]
    read: tuple[int, int]
    g2: tuple[float, float, float] | None

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "trials": self.trials, "pump": list(self.pump), "read": list(self.read),
            "g2_0": None if self.g2 is None else list(self.g2),
        }  # fmt: skip

    def __str__(self) -> str:
        per_million = 1e6 / self.trials
        rates = "; ".join(
            f"{name} {n[0] * per_million:.1f} and {n[1] * per_million:.1f}"
            for name, n in (("pump", self.pump), ("read", self.read))
        )
        found = "undefined"
        if self.g2 is not None:
            found = f"{self.g2[0]:.3f}  [{self.g2[1]:.3f}, {self.g2[2]:.3f}]"
        return (
            f"background per 10⁶ trials at detectors 1 and 2: {rates}\ng²(0) of drive light {found}"
        )

    def plot(self) -> "Figure":
        """Draw the background of every gate and detector."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4, 3), layout="constrained")
        axes = figure.add_subplot()
        clicks = np.array([*self.pump, *self.read])
        names = [f"{gate} {d}" for gate in ("pump", "read") for d in (1, 2)]
        rates, errors = (1e6 * n / self.trials for n in (clicks, np.sqrt(clicks)))
        axes.bar(names, rates, yerr=errors, color=COLORS[0])
        axes.set(ylabel="background per 10⁶ trials")
        return figure


def stray_light(
    session: Session, sequence: PulseSequence, options: StrayLightOptions, *, when: str = ""
) -> StrayLightResult:
    """Measure the background with the filters before the detectors beside the line; no lock.

    With the filters beside the line and the run's light on, leaked drive light and dark counts
    come through; with both arms closed and the filters on the line, stray light at the signal's
    own frequency. Both are added (dark counts twice). Then g²(0) between both detectors, of the
    drive light made bright: 1 if it comes unbunched. Everything is set back.

    Notes
    -----
    Riedinger et al., Nature 556, 473 (2018), supplement, "Entanglement witness and Systematic
    Errors": g²(0) = 1.05 ± 0.09 of stray photons.
    """
    half, parts = options.trials // 2, []
    setting: dict[str, float | str] = {"procedure": STRAY_LIGHT, WHEN: when}
    for sign in (1, -1):
        with off_the_line(session, sign * options.aside):
            side = setting | {"light": "leaks", "aside": sign * options.aside}
            parts.append(session.clicks(sequence, half, side, keep=True))
    with only(session, "A", CLOSED), only(session, "B", CLOSED):
        closed = setting | {"light": "closed"}
        parts.append(session.clicks(sequence, 2 * half, closed, keep=True))
    with laser_light(session, sequence, options.light) as (bright, _):
        unheralded: dict[str, float | str] = {"procedure": "null_test", "light": "unheralded"}
        found = session.clicks(bright, options.bright_trials, unheralded, keep=True)
    total = background_counts(parts)
    return StrayLightResult(
        trials=total.trials, pump=total.pump, read=total.read, g2=g2_between_detectors(found)
    )
