"""``autopilot``: everything, from cold instruments to R_m."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from labkit.procedures import Result
from labkit.procedures.balance import BalanceOptions, BalanceResult, balance
from labkit.procedures.filters import FilterOptions, FilterResult, filters
from labkit.procedures.lock import LockOptions, LockResult, lock
from labkit.procedures.phase_sweep import PhaseSweepOptions, PhaseSweepResult, phase_sweep
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.procedures.witness import WitnessOptions, WitnessResult, witness
from labkit.run import Goal
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopilotOptions:
    """Options of every step."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    filters: FilterOptions = field(default_factory=FilterOptions)
    lock: LockOptions = field(default_factory=LockOptions)
    balance: BalanceOptions = field(default_factory=BalanceOptions)
    phase_sweep: PhaseSweepOptions = field(default_factory=PhaseSweepOptions)
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
    phase_sweep: PhaseSweepResult | None
    witness: WitnessResult

    @property
    def _steps(self) -> dict[str, Result]:
        named: dict[str, Result | None] = {
            "filters": self.filters,
            "balance": self.balance,
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

    def figures(self) -> "dict[str, Figure]":
        """Return every step's picture."""
        found = {name: step.plot() for name, step in self._steps.items()}
        return found | {"witness": self.witness.plot()}


def autopilot(
    session: Session, sequence: PulseSequence, options: AutopilotOptions
) -> AutopilotResult:
    """Switch on, tune the filters, lock, balance, find the optimal phase, measure the witness."""
    say = session.say
    switch_on(session, sequence, SwitchOnOptions())
    found_filters = filters(session, sequence, options.filters)
    say(str(found_filters))
    found_balance = balance(session, sequence, options.balance)
    say(str(found_balance))
    found_lock = lock(session, sequence, options.lock)
    say(str(found_lock))
    phase, sweep = _phase_before(session), None
    if phase is None:
        sweep = phase_sweep(session, sequence, options.phase_sweep)
        say(str(sweep))
        phase = sweep.optimal_phase.value
    best = sequence.with_read_phase(phase)
    result = witness(session, best, options.witness)
    return AutopilotResult(
        filters=found_filters, lock=found_lock, balance=found_balance, phase_sweep=sweep,
        witness=result, evaluation=result.evaluation, diagnosis=result.diagnosis,
    )  # fmt: skip


def _phase_before(session: Session) -> float | None:
    """Return the phase of the witness blocks of a resumed run, if it got that far."""
    for block in reversed(session.blocks):
        if block.setting.get("procedure") == "witness":
            return float(block.setting["delta_phi"])
    return None
