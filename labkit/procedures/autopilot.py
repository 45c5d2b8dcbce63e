"""``autopilot``: everything, from cold instruments to R_m."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from labkit.procedures import Result
from labkit.procedures.balance import BalanceOptions, BalanceResult, balance
from labkit.procedures.filters import FilterOptions, FilterResult, filters
from labkit.procedures.lock import LockOptions, LockResult, lock
from labkit.procedures.null_test import NullTestOptions, NullTestResult, null_test
from labkit.procedures.phase_sweep import PhaseSweepOptions, PhaseSweepResult, phase_sweep
from labkit.procedures.repair import tune
from labkit.procedures.session import Session
from labkit.procedures.splitting import SplittingOptions, SplittingResult, splitting
from labkit.procedures.stray_light import StrayLightOptions, StrayLightResult, stray_light
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.procedures.witness import WitnessOptions, WitnessResult, check_rates, witness
from labkit.run import Block, Goal
from labkit.run.evidence import RunJudge, blocks_of
from labkit.run.journal import main_setting
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


STEPS = (
    "switch_on", "filters", "balance", "splitting", "stray_light", "null_test", "lock",
    "phase_sweep", "witness",
)  # fmt: skip

AGAIN = "after"
"""Name of the calibrations that are repeated at the end."""

MEMORY = 6
"""Blocks at either end of the witness whose rates are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopilotOptions:
    """Options of every step.

    `drift` is the relative change of a detector's pump rate, beyond noise, from the first to the
    last blocks of the witness after which the calibrations are repeated.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    filters: FilterOptions = field(
        default_factory=lambda: FilterOptions(points=9, trials=800_000, passes=1)
    )
    lock: LockOptions = field(default_factory=LockOptions)
    balance: BalanceOptions = field(default_factory=BalanceOptions)
    splitting: SplittingOptions = field(default_factory=SplittingOptions)
    stray_light: StrayLightOptions = field(default_factory=StrayLightOptions)
    null_test: NullTestOptions = field(default_factory=NullTestOptions)
    phase_sweep: PhaseSweepOptions = field(default_factory=PhaseSweepOptions)
    drift: float = 0.1
    witness: WitnessOptions = field(
        default_factory=lambda: WitnessOptions(goal=Goal(trials=1.114e9))
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AutopilotResult(Result):
    """What every step found; a resumed run keeps its phase and makes no second sweep."""

    procedure: ClassVar[str] = "autopilot"
    filters: FilterResult
    lock: LockResult
    balance: BalanceResult
    splitting: SplittingResult
    stray_light: StrayLightResult
    null_test: NullTestResult
    phase_sweep: PhaseSweepResult | None
    witness: WitnessResult

    @property
    def _steps(self) -> dict[str, Result]:
        named: dict[str, Result | None] = {
            "filters": self.filters,
            "balance": self.balance,
            "splitting": self.splitting,
            "stray_light": self.stray_light,
            "null_test": self.null_test,
            "lock": self.lock,
            "phase_sweep": self.phase_sweep,
        }
        return {name: step for name, step in named.items() if step is not None}

    def to_dict(self) -> dict[str, object]:
        """Return plain types; the witness at top level, the steps below ``steps``."""
        steps = {name: step.to_dict() for name, step in self._steps.items()}
        return self.witness.to_dict() | {"steps": steps}

    def __str__(self) -> str:
        return "\n".join(str(part) for part in (*self._steps.values(), self.witness))

    def plot(self) -> "Figure":
        """Draw the densities of R_m."""
        return self.witness.plot()

    def pictures(self) -> "dict[str, Callable[[], Figure]]":
        """Return what draws every step's picture."""
        found = {name: step.plot for name, step in self._steps.items()}
        return found | {"witness": self.witness.plot}


def autopilot(
    session: Session, sequence: PulseSequence, options: AutopilotOptions
) -> AutopilotResult:
    """Measure the witness from cold instruments, and what its verdict needs, in this order.

    Switch on; tune the filters; balance; one arm at a time (`splitting`); background
    (`stray_light`); laser light only (`null_test`); lock; find the optimal phase; witness. The
    three calibrations take about a tenth of the witness's trials, and are repeated at the end if
    the rates have drifted.
    """
    check_rates(options.witness, sequence.gates)
    with _begun(session, "switch_on"):
        switch_on(session, sequence, SwitchOnOptions())
    with _begun(session, "filters"):
        found_filters = filters(session, sequence, options.filters)
        session.found(found_filters)
        tune(session, sequence)
    with _begun(session, "balance"):
        found_balance = balance(session, sequence, options.balance)
        session.found(found_balance)
    with _begun(session, "splitting"):
        found_splitting = splitting(session, sequence, options.splitting)
        session.found(found_splitting)
    with _begun(session, "stray_light"):
        found_light = stray_light(session, sequence, options.stray_light)
        session.found(found_light)
    with _begun(session, "null_test"):
        found_null = null_test(session, sequence, options.null_test)
        session.found(found_null)
    with _begun(session, "lock"):
        found_lock = lock(session, sequence, options.lock)
        session.found(found_lock)
    phase, sweep = _phase_before(session), None
    if phase is None:
        with _begun(session, "phase_sweep"):
            sweep = phase_sweep(session, sequence, options.phase_sweep)
            session.found(sweep)
        phase = sweep.optimal_phase.value
    best = sequence.with_read_phase(phase)
    with _begun(session, "witness"):
        result = witness(session, best, options.witness)
    if _drifted(session.blocks, options.drift):
        session.say("the rates have drifted: the calibrations are repeated")
        # the balance does not share its pump clicks with a repetition
        again = replace(options.splitting, pump_trials=options.balance.trials)
        splitting(session, sequence, again, when=AGAIN)
        stray_light(session, sequence, options.stray_light, when=AGAIN)
        null_test(session, sequence, options.null_test, when=AGAIN)
        judged = RunJudge(session.folder.path, options.witness.goal).evaluate(session.blocks)
        result = replace(result, evaluation=judged or result.evaluation)
    return AutopilotResult(
        filters=found_filters, lock=found_lock, balance=found_balance, splitting=found_splitting,
        stray_light=found_light, null_test=found_null, phase_sweep=sweep,
        witness=result, evaluation=result.evaluation, diagnosis=result.diagnosis,
    )  # fmt: skip


def _begun(session: Session, step: str) -> AbstractContextManager[None]:
    number = STEPS.index(step) + 1
    return session.step("autopilot", number, len(STEPS), step.replace("_", " "))


def _drifted(blocks: list[Block], most: float) -> bool:
    """Whether a pump rate of the last witness blocks differs from that of the first."""
    good = blocks_of(blocks, main_setting(blocks))
    if len(good) < 2 * MEMORY:
        return False
    first, last = (
        sum(block.counts.singles[0] for block in part) for part in (good[:MEMORY], good[-MEMORY:])
    )
    trials = [sum(b.counts.trials.number for b in p) for p in (good[:MEMORY], good[-MEMORY:])]
    usual = np.asarray(first) * trials[1] / trials[0]
    noise = 3.0 * np.sqrt(np.asarray(last) + usual * trials[1] / trials[0])
    return bool(np.any(np.abs(last - usual) > most * usual + noise))


def _phase_before(session: Session) -> float | None:
    """Return the phase of the witness blocks of a resumed run, if it got that far."""
    for block in reversed(session.blocks):
        if block.setting.get("procedure") == "witness":
            return float(block.setting.get("theta", block.setting["delta_phi"]))
    return None
