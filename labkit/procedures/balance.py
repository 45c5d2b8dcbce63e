"""``balance``: equal rates of pump-scattered photons from both arms, by the two attenuators."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, exp, hypot, inf, log, sqrt
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from scipy import special

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

WANDERED = 0.15
"""The same where it is looked whether the arms drift; farther off is no drift."""

SEEN = 0.05
"""Chance of counting to scatter them as much, below which the arms are seen to drift."""

LEAST_PAIRS, LEAST_CLICKS = 3, 25
"""So many pairs of rounds (A B B A), of so many clicks an arm, must tell of a drift."""


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
        (rate A − rate B) / mean with the attenuators as they are left, of all steps that had them
        so, and its standard deviation by counting.
    drift : float
        Standard deviation of A/B, in two rounds, beyond counting, relative; 0 if none is seen.
    """

    procedure: ClassVar[str] = "balance"
    rates: tuple[tuple[float, float], ...]
    transmissions: tuple[tuple[float, float], ...]
    trials: tuple[int, ...]
    imbalance: float
    sigma: float
    drift: float = 0.0

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "rates": [list(pair) for pair in self.rates],
            "transmissions": [list(pair) for pair in self.transmissions],
            "trials": list(self.trials),
            "imbalance": self.imbalance,
            "sigma": self.sigma,
            "drift": self.drift,
        }

    def __str__(self) -> str:
        a, b = self.transmissions[-1]
        wander = f" while they drift by {100 * self.drift:.1f} %" if self.drift else ""
        even = abs(self.imbalance) <= LARGEST_PUMP_DIFFERENCE
        state = "balanced to" if even or not self.drift else "NOT balanced, but left at"
        return (
            f"arms {state} {100 * self.imbalance:+.2f} ± {100 * self.sigma:.2f} %{wander}; "
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


class _Known(NamedTuple):
    """An imbalance, and its standard deviation."""

    value: float
    sigma: float

    def and_also(self, other: "_Known") -> "_Known":
        """Return the mean of both, weighed."""
        mine, others = self.sigma**-2, other.sigma**-2
        value = (self.value * mine + other.value * others) / (mine + others)
        return _Known(value, (mine + others) ** -0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A step: the attenuators meanwhile, the clicks of arms A and B by round, trials of each."""

    open_a: float
    open_b: float
    rounds: tuple[tuple[int, int], ...]
    trials: int

    @property
    def a(self) -> int:
        return sum(a for a, _ in self.rounds)

    @property
    def b(self) -> int:
        return sum(b for _, b in self.rounds)

    @property
    def imbalance(self) -> _Known:
        return _Known(*_imbalance(self.a, self.b))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Clicks of A and B in two rounds each, A B B A; in one where there is no second."""
        both = (self.rounds[first : first + 2] for first in range(0, len(self.rounds), 2))
        return [(sum(a for a, _ in two), sum(b for _, b in two)) for two in both]

    def with_attenuators(self, open_a: float, open_b: float) -> _Known:
        """Return ln(A/B) as it would be with other transmissions."""
        moved = open_a / open_b * self.open_b / self.open_a
        return _Known(log(self.a / self.b * moved), self.imbalance.sigma)


def balance(session: Session, sequence: PulseSequence, options: BalanceOptions) -> BalanceResult:
    """Balance the arms: one attenuator open, the other one adjusted. The lock is not needed.

    Changes the attenuators, and leaves them balanced. A correction goes by all steps near balance,
    each by the transmissions that it had; what is found at the end is of the steps alone that had
    the last ones.

    Arms that drift cannot be found within the tolerance, and to correct each step by the drift it
    met would not help. Once the rounds scatter by more than they count, whole steps are taken, and
    their mean is corrected as long as it is more than its error, to which a step adds the drift;
    then the steps at one setting are averaged. It ends where these are within what a verdict
    allows, or after the last step; the drift is told.

    Raises
    ------
    RuntimeError
        If an arm gives no clicks, or neither the last step nor the mean of all is within the
        tolerance; of arms that drift, if the mean is off by more than `NEAR` and its error.
    """
    pump_only = sequence.without_pulse("read")
    if options.level is not None:
        pump_only = pump_only.with_pulse("pump", level=options.level)
    attenuators = session.lab.attenuators
    taken: list[_Step] = []
    for step in range(1, options.steps + 1):
        present = {arm: float(attenuators[arm].transmission()) for arm in DEVICES}
        now, enough = _both_arms(session, (sequence, pump_only), options, present, taken)
        taken.append(now)
        if step == 1 and now.a < FAINT * now.b:
            _refuse_reversed(session, pump_only, now.a / now.trials, options)
        session.say(f"balance step {step}: A/B = {now.a / now.b:.4f}")
        drift = _drift(taken)
        found = _found(taken)
        mean = _all_together(taken, now, drift)
        may_stay = drift > 0 and abs(mean.value) <= max(options.tolerance, mean.sigma)
        if drift:
            balanced = may_stay and abs(found.value) <= _allowed(options.tolerance)
        else:
            balanced = enough or abs(found.value) <= options.tolerance
        if step == options.steps:
            balanced |= _is_near(mean, drift, options.tolerance)
        if balanced:
            return BalanceResult(
                rates=tuple((one.a / one.trials, one.b / one.trials) for one in taken),
                transmissions=tuple((one.open_a, one.open_b) for one in taken),
                trials=tuple(one.trials for one in taken),
                imbalance=found.value, sigma=found.sigma, drift=drift,
            )  # fmt: skip
        if may_stay or step == options.steps:
            continue
        ratio = exp(mean.value) * now.open_b / now.open_a
        wanted: dict[Device, float] = {"A": 1 / sqrt(ratio), "B": sqrt(ratio)}
        for arm, value in wanted.items():  # the more open one fully open: no light is lost
            attenuators[arm].transmission(value / max(wanted.values()))
    advice = "check what moves in them" if drift else "take more trials per step"
    wander = f" while they drift by {100 * drift:.1f} %" if drift else ""
    message = (
        f"the arms must be balanced to {100 * options.tolerance:g} % within {options.steps} steps, "
        f"but are at {100 * found.value:+.2f} %{wander}; {advice}"
    )
    raise RuntimeError(message)


def _drift(taken: Sequence[_Step]) -> float:
    """Return the standard deviation of ln(A/B) of pairs of rounds near balance beyond counting.

    In A B B A what both arms do alike cancels. By DerSimonian and Laird (1986) from the scatter
    about their weighted mean; 0 where counting alone would scatter them as much with a chance of
    `SEEN`, or where they are too few.
    """
    pairs = [
        (log(a / b * one.open_b / one.open_a), 1 / a + 1 / b)
        for one in taken if abs(one.imbalance.value) <= WANDERED
        for a, b in one.pairs if min(a, b) >= LEAST_CLICKS
    ]  # fmt: skip
    if len(pairs) < LEAST_PAIRS:
        return 0.0
    value, variance = np.array(pairs).T
    weight = 1 / variance
    scatter = float(np.sum(weight * (value - np.average(value, weights=weight)) ** 2))
    free = len(pairs) - 1
    if special.chdtrc(free, scatter) > SEEN:
        return 0.0
    return sqrt((scatter - free) / float(weight.sum() - (weight**2).sum() / weight.sum()))


def _all_together(taken: Sequence[_Step], now: _Step, drift: float) -> _Known:
    """Return ln(A/B) with the attenuators as they are, by the last step and those near balance."""
    near, found = (WANDERED if drift else NEAR), _Known(0.0, inf)
    for one in taken:
        if one is now or abs(one.imbalance.value) <= near:
            known = one.with_attenuators(now.open_a, now.open_b)
            found = found.and_also(_Known(known.value, hypot(known.sigma, drift)))
    return found


def _is_near(mean: _Known, drift: float, tolerance: float) -> bool:
    """Tell whether all steps together leave the arms balanced, whatever the last one found."""
    return abs(mean.value) <= (max(NEAR, mean.sigma) if drift else tolerance)


def _found(taken: Sequence[_Step]) -> _Known:
    """Return the imbalance by the clicks of all steps with the last attenuators."""
    last = taken[-1]
    mine = [one for one in taken if (one.open_a, one.open_b) == (last.open_a, last.open_b)]
    return _Known(*_imbalance(sum(one.a for one in mine), sum(one.b for one in mine)))


def _allowed(tolerance: float) -> float:
    return max(tolerance, LARGEST_PUMP_DIFFERENCE)


def _both_arms(
    session: Session,
    sequences: tuple[PulseSequence, PulseSequence],
    options: BalanceOptions,
    present: dict[Device, float],
    taken: Sequence[_Step],
) -> tuple[_Step, bool]:
    """Return the next step, and whether the arms are in balance already.

    All trials are taken, unless it is clear before. Filters are tuned with the first sequence, if
    that is due; the second one is measured with.
    """
    sequence, pump_only = sequences
    clicks, part = dict.fromkeys(DEVICES, 0), options.trials // options.rounds
    by_round: list[tuple[int, int]] = []
    drift, before = _drift(taken), _before(taken, present)
    rounds = range(1, options.rounds + 1)
    enough = False
    for number in session.steps(f"balance, correction {len(taken) + 1}: round", rounds):
        if number % 2:  # not within A B B A
            tune_if_due(session, sequence, 4 * part)
        now: dict[Device, int] = {}
        for arm in reversed(DEVICES) if number % 2 else DEVICES:
            now[arm] = _alone(session, pump_only, arm, options, present)
            clicks[arm] += now[arm]
        by_round.append((now["A"], now["B"]))
        if drift or min(clicks.values()) == 0 or number % 2 or number == options.rounds:
            continue  # over a drift a whole step is averaged
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
    step = _Step(
        open_a=present["A"], open_b=present["B"], rounds=tuple(by_round), trials=number * part
    )
    return step, enough


def _imbalance(a: float, b: float) -> tuple[float, float]:
    """Return (a - b) / mean of two Poisson counts, and its standard deviation."""
    return 2 * (a - b) / (a + b), 4 * sqrt(a * b / (a + b) ** 3)


def _is_enough(found: _Known, together: _Known, tolerance: float) -> bool:
    """Tell whether a step's interval, and that of all steps, lie where they must."""
    return (
        abs(found.value) + found.sigma <= _allowed(tolerance)
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


def _before(taken: Sequence[_Step], present: dict[Device, float]) -> _Known:
    """Return the present imbalance, as the steps before say that were near balance."""
    found = _Known(0.0, inf)
    for one in taken:
        if abs(one.imbalance.value) <= NEAR:
            found = found.and_also(one.with_attenuators(present["A"], present["B"]))
    return found


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
