"""``balance``: equal rates of pump-scattered photons from both arms, by the two attenuators."""

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from labkit.procedures import Result
from labkit.procedures.session import CLOSED, DEVICES, Device, Session, check_options, only
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceOptions:
    """How well to balance.

    Attributes
    ----------
    tolerance : float
        Largest relative difference of the two rates.
    trials : int
        Trials per arm and step.
    rounds : int
        In so many parts, the arms taking turns (A B B A …), so that drifts hit both alike.
    steps : int
        Largest number of corrections.
    closed : float
        Transmission that counts as a blocked arm.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    tolerance: float = 0.02
    trials: int = 40_000_000
    rounds: int = 10
    steps: int = 8
    closed: float = CLOSED

    def __post_init__(self) -> None:
        check_options(
            self,
            positive=("tolerance", "closed"),
            at_least={"rounds": 1, "trials": self.rounds, "steps": 1},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceResult(Result):
    """Rates per arm at every step.

    Attributes
    ----------
    rates : tuple of (float, float)
        Pump clicks per trial through A alone and B alone, dark ones included.
    transmissions : tuple of (float, float)
        Attenuators A and B at that step.
    trials : int
        Behind each rate.
    imbalance, sigma : float
        Last (rate A − rate B) / mean, and its standard deviation.
    """

    procedure: ClassVar[str] = "balance"
    rates: tuple[tuple[float, float], ...]
    transmissions: tuple[tuple[float, float], ...]
    trials: int
    imbalance: float
    sigma: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "rates": [list(pair) for pair in self.rates],
            "transmissions": [list(pair) for pair in self.transmissions],
            "trials": self.trials,
            "imbalance": self.imbalance,
            "sigma": self.sigma,
        }

    def __str__(self) -> str:
        a, b = self.transmissions[-1]
        return (
            f"arms balanced to {100 * self.imbalance:+.2f} ± {100 * self.sigma:.2f} %; "
            f"attenuators at {a:.4g} (A) and {b:.4g} (B)"
        )

    def plot(self) -> "Figure":
        """Draw the rates against the step."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3), layout="constrained")
        axes = figure.add_subplot()
        steps = np.arange(1, len(self.rates) + 1)
        for device, shift, rates in zip(
            DEVICES, (-0.05, 0.05), np.array(self.rates).T, strict=True
        ):
            error = np.sqrt(rates / self.trials)
            axes.errorbar(steps + shift, rates * 1e6, error * 1e6, fmt="o", label=f"arm {device}")
        axes.set_xticks(steps)
        axes.set(xlabel="step", ylabel="pump clicks per 10⁶ trials")
        axes.legend(frameon=False)
        return figure


def balance(session: Session, sequence: PulseSequence, options: BalanceOptions) -> BalanceResult:
    """Balance the arms: one attenuator open, the other one adjusted. The lock is not needed.

    Changes the attenuators, and leaves them balanced.

    Raises
    ------
    RuntimeError
        If an arm gives no clicks, or the tolerance is not reached.
    """
    pump_only = sequence.without_pulse("read")
    attenuators = session.lab.attenuators
    rates, settings = [], []
    for step in range(1, options.steps + 1):
        present = {arm: float(attenuators[arm].transmission()) for arm in DEVICES}
        clicks = dict.fromkeys(DEVICES, 0)
        for number in range(options.rounds):
            for arm in DEVICES if number % 2 else reversed(DEVICES):
                clicks[arm] += _alone(session, pump_only, arm, options)
        settings.append((present["A"], present["B"]))
        trials = options.rounds * (options.trials // options.rounds)
        rates.append((clicks["A"] / trials, clicks["B"] / trials))
        if min(clicks.values()) == 0:
            dark = min(clicks, key=lambda arm: clicks[arm])
            message = (
                f"arm {dark} must give pump clicks, but gives none in {options.trials:,} trials; "
                "check its light, its filter and the detectors"
            )
            raise RuntimeError(message)
        a, b = clicks["A"], clicks["B"]
        imbalance, sigma = 2 * (a - b) / (a + b), 2 * sqrt(a * b / (a + b) ** 3)
        session.say(f"balance step {step}: A/B = {a / b:.4f}")
        if abs(imbalance) <= options.tolerance:
            return BalanceResult(
                rates=tuple(rates), transmissions=tuple(settings), trials=trials,
                imbalance=imbalance, sigma=sigma,
            )  # fmt: skip
        wanted: dict[Device, float] = {
            "A": present["A"] * sqrt(b / a),
            "B": present["B"] * sqrt(a / b),
        }
        for arm, value in wanted.items():  # the more open one fully open: no light is lost
            attenuators[arm].transmission(value / max(wanted.values()))
    message = (
        f"the arms must be balanced to {100 * options.tolerance:g} % within {options.steps} steps, "
        f"but are at {100 * imbalance:+.2f} %; take more trials per step"
    )
    raise RuntimeError(message)


def _alone(
    session: Session, sequence: PulseSequence, device: Device, options: BalanceOptions
) -> int:
    """Return the pump clicks through one arm, the other one blocked."""
    setting: dict[str, float | str] = {"procedure": "balance", "arm": device}
    with only(session, device, options.closed):
        trials = options.trials // options.rounds
        counts = session.clicks(sequence, trials, setting)
    return int(counts.singles[0].sum())
