"""``splitting``: one arm open at a time: the combiner's transmission, balance, device ratio."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from analysis.palette import COLORS
from analysis.witness import Condition
from labkit.procedures import Result
from labkit.procedures.filters import off_the_line
from labkit.procedures.repair import tune_if_due
from labkit.procedures.session import CLOSED, DEVICES, Session, check_options, only
from labkit.run.evidence import SPLITTING, WHEN, epochs
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class SplittingOptions:
    """How long.

    Attributes
    ----------
    trials : int
        Per arm, with the run's light.
    leak_trials : int
        Per arm with the filters before the detectors beside the line: what is no scattered light
        is taken off the read fluxes. 0 for none; then they are compared with all that is in them.
    pump_trials : int
        Per arm with the pump pulse alone, for its balance; 0 for none.
    pump_level : float or None
        Drive of the AOM for those, 0 to 1; by default as in the sequence. A brighter pulse knows
        the balance sooner, but heats: fluxes go with n + 1.
    rounds : int
        In so many parts, the arms taking turns, so that drifts hit both alike.
    closed : float
        Transmission that counts as a blocked arm.
    aside : float
        How far the filters are moved for the leaks, to either side in turn, V.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    trials: int = 32_000_000
    leak_trials: int = 10_000_000
    pump_trials: int = 6_000_000
    pump_level: float | None = None
    rounds: int = 4
    closed: float = CLOSED
    aside: float = 0.15

    def __post_init__(self) -> None:
        check_options(
            self, positive=("pump_level", "closed", "aside"),
            at_least={"rounds": 1, "trials": self.rounds, "pump_trials": 0, "leak_trials": 0},
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SplittingResult(Result):
    """What single arms tell.

    Attributes
    ----------
    conditions : tuple of Condition
        `pump_balance`, `read_balance`, `splitting` (T, the worse of both gates) and
        `device_ratio`, as far as the clicks determine them.
    trials : int
        Per arm.
    """

    procedure: ClassVar[str] = "splitting"
    conditions: tuple[Condition, ...]
    trials: int

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "trials": self.trials,
            "conditions": {one.name: one.to_dict() for one in self.conditions},
        }

    def __str__(self) -> str:
        return "\n".join(map(_line, self.conditions))

    def plot(self) -> "Figure":
        """Draw every value with its interval."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 2.6), layout="constrained")
        shown = [one for one in self.conditions if isinstance(one.value, float)]
        panels = figure.subplots(1, max(1, len(shown)), squeeze=False)[0]
        for axes, one in zip(panels, shown, strict=False):
            value = float(one.value or 0.0)
            low, high = (value if end is None else end for end in (one.low, one.high))
            axes.errorbar(0, value, [[value - low], [high - value]], fmt="o", color=COLORS[0])
            axes.set_xticks([])
            axes.set_title(one.name.replace("_", " "), fontsize=9)
        return figure


def _line(one: Condition) -> str:
    between = "" if one.low is None else f"  [{one.low:.4g}, {one.high:.4g}]"
    return f"{one}{between}"


def splitting(
    session: Session, sequence: PulseSequence, options: SplittingOptions, *, when: str = ""
) -> SplittingResult:
    """Measure with one arm open at a time (A B B A …); no lock is needed. Both are opened again.

    Filters beside the line tell what of the read gate's clicks is no scattered light.

    Clicks of both detectors give the combiner's transmission, T/(1-T) = √(n_A1 n_B2/(n_A2 n_B1)),
    in which detector efficiencies cancel, and the balance of both arms; coincidences give the
    ratio of both devices' g² - 1.

    Parameters
    ----------
    session : Session
    sequence : PulseSequence
    options : SplittingOptions
    when : str
        Names a repetition, whose blocks are then judged apart.

    Raises
    ------
    RuntimeError
        If an arm gives no clicks.
    """
    pump_only = sequence.without_pulse("read")
    if options.pump_level is not None:
        pump_only = pump_only.with_pulse("pump", level=options.pump_level)
    for number in session.steps("splitting", range(options.rounds)):
        tune_if_due(session, sequence)
        aside = options.aside * (-1) ** number
        for arm in DEVICES if number % 2 else reversed(DEVICES):
            with only(session, arm, options.closed):
                for light, played, trials, beside in (
                    ("both", sequence, options.trials, nullcontext()),
                    ("pump", pump_only, options.pump_trials, nullcontext()),
                    ("leaks", sequence, options.leak_trials, off_the_line(session, aside)),
                ):
                    if not trials:
                        continue
                    setting: dict[str, float | str] = {
                        "procedure": SPLITTING, "arm": arm, "light": light, WHEN: when,
                    }  # fmt: skip
                    part = max(1, trials // options.rounds)
                    with beside:
                        counts = session.clicks(played, part, setting)
                    if light != "leaks" and not counts.singles[0].sum():
                        _refuse(arm, part)
    found = epochs(b for b in session.blocks if b.good)[-1].conditions(when)
    return SplittingResult(conditions=tuple(found), trials=options.trials)


def _refuse(arm: str, trials: int) -> None:
    message = (
        f"arm {arm} must give pump clicks, but gives none in {trials:,} trials; check its light, "
        "its filter and the detectors"
    )
    raise RuntimeError(message)
