"""``bell``: the CHSH test of the two devices, from coincidences at four phases of the fringe."""

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from analysis.bell import CHSH, SETTINGS, chsh, coincidences_of
from analysis.palette import COLORS, FAINT
from labkit.procedures import Result
from labkit.procedures.phase_sweep import good_block
from labkit.procedures.session import Session, check_options
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PUMP_ANGLES = {"b1": 0.0, "b2": pi / 2}
READ_ANGLES = {"r1": -pi / 4, "r2": pi / 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class BellOptions:
    """How long, in which order.

    Attributes
    ----------
    trials : int
        Of each of the four settings.
    block : int
        Trials per block.
    seed : int
        Of the random order of the settings, drawn anew for each round of four blocks.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    trials: int = 5_000_000_000
    block: int = 36_000_000
    seed: int = 1

    def __post_init__(self) -> None:
        check_options(self, at_least={"trials": 1, "block": 1, "seed": 0})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BellResult(Result):
    """What the four settings show.

    Attributes
    ----------
    test : CHSH
    trials : int
        Of each setting.
    """

    procedure: ClassVar[str] = "bell"
    test: CHSH
    trials: int

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {"trials_per_setting": self.trials, **self.test.to_dict()}

    def __str__(self) -> str:
        return (
            f"{self.test}\nIt assumes fairly sampled coincidences, and settings that are set by "
            "one phase (pump's and read's add up) and not drawn anew for each trial"
        )

    def plot(self) -> "Figure":
        """Draw E at the four settings, with the values of S = 2 and of 2√2."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(SETTINGS))
        values = np.array([self.test.E[name] for name in SETTINGS])
        numbers = np.array([self.test.coincidences[name] for name in SETTINGS])
        axes.errorbar(places, values, np.sqrt((1 - values**2) / numbers), fmt="o", color=COLORS[0])
        for height, label, style in ((0.5, "S = 2", "--"), (np.sqrt(0.5), "S = 2√2", ":")):
            axes.axhline(height, label=label, color=FAINT, lw=1, ls=style)
            axes.axhline(-height, color=FAINT, lw=1, ls=style)
        axes.set(xticks=places, xticklabels=SETTINGS, ylabel="E", ylim=(-1, 1))
        axes.set_title(f"S = {self.test.S.value:.3f} ± {self.test.sigma:.3f}", fontsize=9)
        axes.legend(frameon=False, fontsize=8)
        return figure


def bell(session: Session, sequence: PulseSequence, options: BellOptions) -> BellResult:
    """Measure the four settings; the sequence's read phase must be that of θ = 0.

    Setting (b, r) is at θ = φ_b + φ_r with φ_b = 0, π/2 of the pump and φ_r = ∓π/4 of the read
    pulse; one modulator makes their sum, so that two settings are the same phase measured twice.
    Blocks of the four take turns in random order, so that drifts spread over all.

    Raises
    ------
    RuntimeError
        If a block is bad twice, or a setting has no coincidence.
    """
    best = float(sequence.pulse("read").phase)
    rng = np.random.default_rng(options.seed)
    found = {name: dict.fromkeys(("r1p1", "r1p2", "r2p1", "r2p2"), 0) for name in SETTINGS}
    played = {}
    for name in SETTINGS:
        pump, read = name.split()
        turned = best + PUMP_ANGLES[pump] + READ_ANGLES[read]
        played[name] = sequence.with_read_phase(float(pi - np.mod(pi - turned, 2 * pi)))
    session.check(played.values())
    taken = 0
    while taken < options.trials:
        trials = min(options.block, options.trials - taken)
        for name in rng.permutation(SETTINGS):
            setting: dict[str, float | str] = {
                "procedure": "bell", "setting": str(name), "from_trial": taken,
                "delta_phi": float(played[name].pulse("read").phase),
            }  # fmt: skip
            block = good_block(session, played[name], trials, setting, f"setting {name}")
            for pair, number in coincidences_of(block.counts).items():
                found[name][pair] += number
        taken += trials
        total = sum(sum(pairs.values()) for pairs in found.values())
        session.say(f"{taken:,} of {options.trials:,} trials per setting, {total} coincidences")
    try:
        test = chsh(found)
    except ValueError as error:
        message = f"{error}; take more trials"
        raise RuntimeError(message) from None
    return BellResult(test=test, trials=options.trials)
