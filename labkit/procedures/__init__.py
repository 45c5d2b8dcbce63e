"""Procedures: each usable alone from Python, an experiment file or a notebook."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.evaluation import Evaluation
    from labkit.procedures.session import Session
    from labkit.sequence import PulseSequence

Needs = Literal["nothing", "light", "lock"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result(ABC):
    """What every procedure returns.

    Attributes
    ----------
    evaluation : Evaluation or None
        Of a procedure that measures g² and R_m; a report is written about it.
    diagnosis : tuple of str
        What is wrong with the set-up, as far as the data tell.
    """

    procedure: ClassVar[str]
    evaluation: "Evaluation | None" = None
    diagnosis: tuple[str, ...] = ()

    @abstractmethod
    def to_dict(self) -> dict[str, object]:
        """Return plain types."""

    @abstractmethod
    def plot(self) -> "Figure":
        """Draw the main picture."""

    def figures(self) -> "dict[str, Figure]":
        """Return all pictures by name."""
        return {self.procedure: self.plot()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """An entry of the table of procedures: where its function and its options class are.

    Attributes
    ----------
    module, function, options : str
        The function takes a `Session`, a `PulseSequence` and the options; it returns a `Result`.
    needs : {"nothing", "light", "lock"}
        What must be done before: nothing, `switch_on`, or `switch_on` and `lock`.
    """

    module: str
    function: str
    options: str
    needs: Needs = "light"

    def load(self) -> "tuple[Callable[[Session, PulseSequence, Any], Result], type[Any]]":
        """Import and return (function, options class)."""
        module = import_module(self.module)
        return getattr(module, self.function), getattr(module, self.options)


def _ours(module: str, function: str, options: str, needs: Needs = "light") -> Procedure:
    module = f"labkit.procedures.{module}"
    return Procedure(module=module, function=function, options=options, needs=needs)


PROCEDURES: dict[str, Procedure] = {
    "switch_on": _ours("switch_on", "switch_on", "SwitchOnOptions", "nothing"),
    "identify": _ours("identify", "identify", "IdentifyOptions"),
    "filters": _ours("filters", "filters", "FilterOptions"),
    "balance": _ours("balance", "balance", "BalanceOptions"),
    "lock": _ours("lock", "lock", "LockOptions"),
    "thermometry": _ours("thermometry", "thermometry", "ThermometryOptions"),
    "pump_probe": _ours("pump_probe", "pump_probe", "PumpProbeOptions"),
    "g2": _ours("g2", "g2_of_device", "G2Options"),
    "phase_sweep": _ours("phase_sweep", "phase_sweep", "PhaseSweepOptions", "lock"),
    "delay_sweep": _ours("delay_sweep", "delay_sweep", "DelaySweepOptions", "lock"),
    "witness": _ours("witness", "witness", "WitnessOptions", "lock"),
    "autopilot": _ours("autopilot", "autopilot", "AutopilotOptions", "nothing"),
}
"""By the name used in experiment files."""
