"""``switch_on``: from the safe state to the working point named in the station file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from labkit.procedures import Result
from labkit.procedures.session import Session
from labkit.sequence import PulseSequence
from labkit.station.references import find
from labkit.station.working_point import working_point_problems

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOnOptions:
    """Nothing to choose: the working point is the station's."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOnResult(Result):
    """What was set, in order: (parameter path, value); and the sequence that runs."""

    procedure: ClassVar[str] = "switch_on"
    settings: tuple[tuple[str, object], ...]
    sequence: PulseSequence

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {"settings": [list(pair) for pair in self.settings]}

    def __str__(self) -> str:
        return "\n".join(f"{path} = {value}" for path, value in self.settings)

    def plot(self) -> "Figure":
        """Draw the timing diagram of what runs now."""
        from labkit.sequence.drawing import timing_diagram

        return timing_diagram(self.sequence)


def switch_on(
    session: Session, sequence: PulseSequence, options: SwitchOnOptions
) -> SwitchOnResult:
    """Set the station's working point, detectors last; interlocks are checked after every step.

    The detectors are biased only when all light is set, and their currents only ramp.
    """
    del options
    done: list[tuple[str, object]] = []
    point = session.lab.file.config.working_point
    # All are looked at before the first is set: what cannot be set ends nothing half-way.
    if problems := working_point_problems(session.lab):
        message = f"{session.lab.file.path}: {'; '.join(problems)}"
        raise ValueError(message)
    found = {path: find(session.lab.instruments, path) for path in point.parameters}
    session.lab.check_interlocks()
    for path, value in point.parameters.items():
        found[path](value)
        done.append((path, value))
        session.lab.check_interlocks()
    for channel, current in point.detector_currents.items():
        session.lab.detector_bias.ramp_to(channel, current)
        done.append((f"detector_bias channel {channel}", current))
        session.lab.check_interlocks()
    session.arm(sequence)
    session.say(f"working point set: {len(done)} settings")
    return SwitchOnResult(settings=tuple(done), sequence=sequence)
