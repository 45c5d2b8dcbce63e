"""Procedures: each usable alone from Python, an experiment file or a notebook."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from importlib import import_module
from io import StringIO
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from analysis.plugins import Table
from analysis.yamlfile import read_mapping

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

    def pictures(self) -> "dict[str, Callable[[], Figure]]":
        """Return what draws each picture, by name."""
        return {self.procedure: self.plot}

    def _repr_html_(self) -> str:
        """Show words and main picture in a notebook."""
        stream = StringIO()
        self.plot().savefig(stream, format="svg")
        text = stream.getvalue()
        return f"<pre>{escape(str(self))}</pre>{text[text.index('<svg') :]}"


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


def _named(module: str, function: str, options: str, needs: Needs = "light") -> Procedure:
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
    "splitting": _named("splitting", "splitting", "SplittingOptions"),
    "stray_light": _named("stray_light", "stray_light", "StrayLightOptions"),
    "null_test": _named("null_test", "null_test", "NullTestOptions"),
    "phase_sweep": _named("phase_sweep", "phase_sweep", "PhaseSweepOptions", "lock"),
    "delay_sweep": _named("delay_sweep", "delay_sweep", "DelaySweepOptions", "lock"),
    "bell": _named("bell", "bell", "BellOptions", "lock"),
    "single_phonons": _named("single_phonons", "single_phonons", "SinglePhononsOptions"),
    "witness": _named("witness", "witness", "WitnessOptions", "lock"),
    "autopilot": _named("autopilot", "autopilot", "AutopilotOptions", "nothing"),
}

PROCEDURES = Table("labkit.procedures", Procedure, _OWN)
"""By the name used in experiment files; those of plug-ins come last."""


def options_of(kind: str, plain: Mapping[str, object], where: str) -> Any:
    """Return the checked options of a procedure; `where` names their origin in errors."""
    _, options = PROCEDURES[kind].load()
    return read_mapping(options, plain, f"{where}: options")
