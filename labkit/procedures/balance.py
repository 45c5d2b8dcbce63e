"""``balance``: equal rates of pump-scattered photons from both arms, by the two attenuators."""

from dataclasses import dataclass
from math import erf, exp, hypot, inf, log, sqrt
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from analysis.palette import COLORS
from analysis.witness.conditions import LARGEST_PUMP_DIFFERENCE
from labkit.procedures import Result
from labkit.procedures.repair import tune_if_due
from labkit.procedures.session import CLOSED, DEVICES, Device, Session, check_options, only
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FAINT = 0.2
"""Of the other arm's rate: below it, arm A's light may have the wrong frequency."""


UNLIKELY = 0.5
"""Chance to end within the tolerance below which a step is not finished: its correction is due."""

NEAR = 0.05
"""Imbalance up to which a step still tells about the arms after a correction."""


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
        In so many parts, the arms taking turns (A B B A …), so that drifts hit both alike. Arms
        that will hardly be found in balance are corrected before all of them are taken, and no more
        are taken once their 68 % intervals say enough: that of the step within what a verdict
        allows (2 %), or `tolerance` if that is more, that of all steps within `tolerance`.
    steps : int
        Largest number of corrections.
    closed : float
        Transmission that counts as a blocked arm.
    level : float or None
        Drive of the AOM for the pump pulse meanwhile, 0 to 1; by default as in the sequence. A
        brighter pulse balances sooner, but heats: fluxes go with n + 1.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    tolerance: float = 0.02
    trials: int = 40_000_000
    rounds: int = 10
    steps: int = 8
    closed: float = CLOSED
    level: float | None = None

    def __post_init__(self) -> None:
        check_options(
            self,
            positive=("tolerance", "closed", "level"),
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
    trials : tuple of int
        Behind both rates at every step.
    imbalance, sigma : float
        Last (rate A − rate B) / mean, and its standard deviation.
    """

    procedure: ClassVar[str] = "balance"
    rates: tuple[tuple[float, float], ...]
    transmissions: tuple[tuple[float, float], ...]
    trials: tuple[int, ...]
    imbalance: float
    sigma: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "rates": [list(pair) for pair in self.rates],
            "transmissions": [list(pair) for pair in self.transmissions],
            "trials": list(self.trials),
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
        for device, shift, rates, color in zip(
            DEVICES, (-0.05, 0.05), np.array(self.rates).T, COLORS[:2], strict=True
        ):
            error = 1e6 * np.sqrt(rates / np.array(self.trials))
            axes.errorbar(
                steps + shift, rates * 1e6, error, fmt="o", color=color, label=f"arm {device}"
            )
        axes.set_xticks(steps)
        axes.set(xlabel="step", ylabel="pump clicks per 10⁶ trials")
        axes.legend(frameon=False)
        return figure


def balance(session: Session, sequence: PulseSequence, options: BalanceOptions) -> BalanceResult:
    """Balance the arms: one attenuator open, the other one adjusted. The lock is not needed.

    Changes the attenuators, and leaves them balanced. A correction goes by all steps near balance,
    each by the transmissions that it had; what is found at the end is of the last step alone.

    Raises
    ------
    RuntimeError
        If an arm gives no clicks, or the tolerance is not reached.
    """
    pump_only = sequence.without_pulse("read")
    if options.level is not None:
        pump_only = pump_only.with_pulse("pump", level=options.level)
    attenuators = session.lab.attenuators
    rates: list[tuple[float, float]] = []
    settings: list[tuple[float, float]] = []
    behind: list[int] = []
    for step in range(1, options.steps + 1):
        present = {arm: float(attenuators[arm].transmission()) for arm in DEVICES}
        settings.append((present["A"], present["B"]))
        before = _before(rates, settings, behind)
        clicks, trials, enough = _both_arms(
            session, (sequence, pump_only), options, present, before, step
        )
        a, b = clicks["A"], clicks["B"]
        rates.append((a / trials, b / trials))
        behind.append(trials)
        if step == 1 and a < FAINT * b:
            _refuse_reversed(session, pump_only, a / trials, options)
        imbalance, sigma = _imbalance(a, b)
        session.say(f"balance step {step}: A/B = {a / b:.4f}")
        if enough or abs(imbalance) <= options.tolerance:
            return BalanceResult(
                rates=tuple(rates), transmissions=tuple(settings), trials=tuple(behind),
                imbalance=imbalance, sigma=sigma,
            )  # fmt: skip
        ratio = _ratio(rates, settings, behind)
        wanted: dict[Device, float] = {"A": 1 / sqrt(ratio), "B": sqrt(ratio)}
        for arm, value in wanted.items():  # the more open one fully open: no light is lost
            attenuators[arm].transmission(value / max(wanted.values()))
    message = (
        f"the arms must be balanced to {100 * options.tolerance:g} % within {options.steps} steps, "
        f"but are at {100 * imbalance:+.2f} %; take more trials per step"
    )
    raise RuntimeError(message)


def _both_arms(
    session: Session,
    sequences: tuple[PulseSequence, PulseSequence],
    options: BalanceOptions,
    present: dict[Device, float],
    before: "_Known",
    step: int,
) -> tuple[dict[Device, int], int, bool]:
    """Return the clicks of both arms, the trials of each, and whether they are in balance already.

    All trials are taken, unless it is clear before. Filters are tuned with the first sequence, if
    that is due; the second one is measured with.
    """
    sequence, pump_only = sequences
    clicks, part = dict.fromkeys(DEVICES, 0), options.trials // options.rounds
    rounds = range(1, options.rounds + 1)
    enough = False
    for number in session.steps(f"balance, correction {step}: round", rounds):
        if number % 2:  # not within A B B A
            tune_if_due(session, sequence, 4 * part)
        for arm in reversed(DEVICES) if number % 2 else DEVICES:
            clicks[arm] += _alone(session, pump_only, arm, options, present)
        if min(clicks.values()) == 0 or number % 2 or number == options.rounds:
            continue
        found = _Known(*_imbalance(clicks["A"], clicks["B"]))
        together = before.and_also(found)
        enough = _is_enough(found, together, options.tolerance)
        chance = _chance(found, together, number / options.rounds, options.tolerance)
        if enough or chance < UNLIKELY:
            break
    if min(clicks.values()) == 0:
        dark = min(clicks, key=lambda arm: clicks[arm])
        message = (
            f"arm {dark} must give pump clicks, but gives none in {options.trials:,} trials; "
            "check its light, its filter and the detectors"
        )
        raise RuntimeError(message)
    return clicks, number * part, enough


class _Known(NamedTuple):
    """An imbalance, and its standard deviation."""

    value: float
    sigma: float

    def and_also(self, other: "_Known") -> "_Known":
        """Return the mean of both, weighed."""
        mine, others = self.sigma**-2, other.sigma**-2
        value = (self.value * mine + other.value * others) / (mine + others)
        return _Known(value, (mine + others) ** -0.5)


def _imbalance(a: float, b: float) -> tuple[float, float]:
    """Return (a - b) / mean of two Poisson counts, and its standard deviation."""
    return 2 * (a - b) / (a + b), 4 * sqrt(a * b / (a + b) ** 3)


def _is_enough(found: _Known, together: _Known, tolerance: float) -> bool:
    """Tell whether a step's interval, and that of all steps, lie where they must."""
    allowed = max(tolerance, LARGEST_PUMP_DIFFERENCE)
    return (
        abs(found.value) + found.sigma <= allowed
        and abs(together.value) + together.sigma <= tolerance
    )


def _chance(found: _Known, together: _Known, done: float, tolerance: float) -> float:
    """Return how likely a step of which this part is done will end within the tolerance.

    Its rest will scatter around what all steps say.
    """
    left = 1.0 - done
    if left == 0.0:
        return float(abs(found.value) <= tolerance)
    end = done * found.value + left * together.value
    spread = sqrt(2.0) * left * hypot(together.sigma, found.sigma * sqrt(done / left))
    return 0.5 * (erf((tolerance - end) / spread) + erf((tolerance + end) / spread))


def _before(
    rates: list[tuple[float, float]], settings: list[tuple[float, float]], behind: list[int]
) -> _Known:
    """Return the present imbalance, as the steps before say that were near balance."""
    open_a, open_b = settings[-1]
    present = log(open_a / open_b)
    found = _Known(0.0, inf)
    for (a, b), (was_a, was_b), trials in zip(rates, settings, behind, strict=False):
        imbalance, sigma = _imbalance(a * trials, b * trials)
        if abs(imbalance) <= NEAR:
            found = found.and_also(_Known(log(a / b * was_b / was_a) + present, sigma))
    return found


def _ratio(
    rates: list[tuple[float, float]], settings: list[tuple[float, float]], behind: list[int]
) -> float:
    """Return A/B of the rates with equal transmissions, by the last step and those near balance."""
    found = weights = 0.0
    steps = list(zip(rates, settings, behind, strict=True))
    for number, ((a, b), (open_a, open_b), trials) in enumerate(steps, 1):
        imbalance, sigma = _imbalance(a * trials, b * trials)
        if number == len(steps) or abs(imbalance) <= NEAR:
            found += log(a / b * open_b / open_a) / sigma**2
            weights += sigma**-2
    return exp(found / weights)


def _refuse_reversed(
    session: Session, pump_only: PulseSequence, rate: float, options: BalanceOptions
) -> None:
    """Refuse to balance an arm A whose light passes the filters once its shift is reversed."""
    shift = pump_only.pulse("pump").shift_hz
    if not shift:
        return
    other = pump_only.with_pulse("pump", shift_hz=-shift)
    setting: dict[str, float | str] = {"procedure": "repair", "arm": "A"}
    with only(session, "A", options.closed):
        counts = session.clicks(other, max(1, options.trials // options.rounds), setting)
    turned = float(counts.singles[0].sum()) / counts.trials.number
    if turned * FAINT > rate:
        message = (
            f"the serrodyne runs backwards: arm A gives {turned:.2g} clicks per trial if its shift "
            f"is reversed, but {rate:.2g} as it is; change the sign of the shifts, or the polarity "
            "of the modulator or of its amplifier"
        )
        raise RuntimeError(message)


def _alone(
    session: Session,
    sequence: PulseSequence,
    device: Device,
    options: BalanceOptions,
    present: dict[Device, float],
) -> int:
    """Return the pump clicks through one arm, the other one blocked."""
    setting: dict[str, float | str] = {
        "procedure": "balance", "arm": device,
        **{f"transmission_{arm}": value for arm, value in present.items()},
    }  # fmt: skip
    with only(session, device, options.closed):
        trials = options.trials // options.rounds
        counts = session.clicks(sequence, trials, setting)
    return int(counts.singles[0].sum())
