"""``autopilot``: everything, from cold instruments to R_m."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

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
class AutopilotResult:
    """What every step found."""

    filters: FilterResult
    lock: LockResult
    balance: BalanceResult
    phase_sweep: PhaseSweepResult
    witness: WitnessResult

    def to_dict(self) -> dict[str, object]:
        """Return plain types; the witness at top level, the steps below ``steps``."""
        steps = {
            name: getattr(self, name).to_dict()
            for name in ("filters", "lock", "balance", "phase_sweep")
        }
        return self.witness.to_dict() | {"steps": steps}

    def __str__(self) -> str:
        parts = (self.filters, self.lock, self.balance, self.phase_sweep, self.witness)
        return "\n".join(str(part) for part in parts)

    def plot(self) -> "Figure":
        """Draw the densities of R_m."""
        return self.witness.plot()

    def figures(self) -> "dict[str, Figure]":
        """Return every step's picture."""
        names = ("filters", "lock", "balance", "phase_sweep", "witness")
        return {name: getattr(self, name).plot() for name in names}


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
    sweep = phase_sweep(session, sequence, options.phase_sweep)
    say(str(sweep))
    best = sequence.with_read_phase(sweep.optimal_phase)
    session.recover(best)
    result = witness(session, best, options.witness)
    return AutopilotResult(
        filters=found_filters, lock=found_lock, balance=found_balance, phase_sweep=sweep,
        witness=result,
    )  # fmt: skip
