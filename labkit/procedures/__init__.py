"""Procedures: each usable alone from Python, an experiment file or a notebook."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, Protocol

from analysis.plugins import Table

if TYPE_CHECKING:
    from labkit.procedures.session import Session
    from labkit.sequence import PulseSequence


class Result(Protocol):
    """What every procedure returns."""

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A procedure by name: where its function and its options class are.

    Attributes
    ----------
    module, function, options : str
    needs : {"nothing", "light", "lock"}
        What must be done before: nothing, `switch_on`, or `switch_on` and `lock`.
    """

    module: str
    function: str
    options: str
    needs: Literal["nothing", "light", "lock"] = "light"

    def load(self) -> "tuple[Callable[[Session, PulseSequence, Any], Result], type[Any]]":
        """Import and return (function, options class)."""
        module = import_module(self.module)
        return getattr(module, self.function), getattr(module, self.options)


def _named(
    module: str, function: str, options: str, needs: Literal["nothing", "light", "lock"] = "light"
) -> Procedure:
    home = f"{__name__}.{module}"
    return Procedure(module=home, function=function, options=options, needs=needs)


_OWN = {
    "switch_on": _named("switch_on", "switch_on", "SwitchOnOptions", "nothing"),
    "identify": _named("identify", "identify", "IdentifyOptions"),
    "filters": _named("filters", "filters", "FilterOptions"),
    "balance": _named("balance", "balance", "BalanceOptions"),
    "lock": _named("lock", "lock", "LockOptions"),
    "thermometry": _named("thermometry", "thermometry", "ThermometryOptions"),
    "pump_probe": _named("pump_probe", "pump_probe", "PumpProbeOptions"),
    "g2": _named("g2", "g2_of_device", "G2Options"),
    "phase_sweep": _named("phase_sweep", "phase_sweep", "PhaseSweepOptions", "lock"),
    "delay_sweep": _named("delay_sweep", "delay_sweep", "DelaySweepOptions", "lock"),
    "witness": _named("witness", "witness", "WitnessOptions", "lock"),
    "autopilot": _named("autopilot", "autopilot", "AutopilotOptions", "nothing"),
}

PROCEDURES = Table("labkit.procedures", Procedure, _OWN)
"""By the name used in experiment files; those of plug-ins come last."""
