"""Procedures: each usable alone from Python, an experiment file or a notebook."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from labkit.procedures.session import Session
    from labkit.sequence import PulseSequence


class Result(Protocol):
    """What every procedure returns."""

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A procedure by name: where its function and its options class are."""

    module: str
    function: str
    options: str

    def load(self) -> "tuple[Callable[[Session, PulseSequence, Any], Result], type[Any]]":
        """Import and return (function, options class)."""
        module = import_module(f"labkit.procedures.{self.module}")
        return getattr(module, self.function), getattr(module, self.options)


PROCEDURES: dict[str, Procedure] = {
    "switch_on": Procedure(module="switch_on", function="switch_on", options="SwitchOnOptions"),
    "identify": Procedure(module="identify", function="identify", options="IdentifyOptions"),
    "filters": Procedure(module="filters", function="filters", options="FilterOptions"),
    "balance": Procedure(module="balance", function="balance", options="BalanceOptions"),
    "lock": Procedure(module="lock", function="lock", options="LockOptions"),
    "thermometry": Procedure(
        module="single_device", function="thermometry", options="ThermometryOptions"
    ),
    "pump_probe": Procedure(
        module="single_device", function="pump_probe", options="PumpProbeOptions"
    ),
    "g2": Procedure(module="single_device", function="g2_of_device", options="G2Options"),
    "phase_sweep": Procedure(
        module="phase_sweep", function="phase_sweep", options="PhaseSweepOptions"
    ),
    "delay_sweep": Procedure(
        module="delay_sweep", function="delay_sweep", options="DelaySweepOptions"
    ),
    "witness": Procedure(module="witness", function="witness", options="WitnessOptions"),
    "autopilot": Procedure(module="autopilot", function="autopilot", options="AutopilotOptions"),
}
"""By the name used in experiment files."""
