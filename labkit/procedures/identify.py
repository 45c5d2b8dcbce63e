"""``identify``: optical and mechanical resonances of both devices, by sweeps of the lasers."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from analysis import palette
from labkit.procedures import Result
from labkit.procedures.mechanical_lines import (
    MechanicalLines,
    MechanicalOptions,
    mechanical_lines,
)
from labkit.procedures.optical_lines import OpticalLines, OpticalOptions, optical_lines
from labkit.procedures.session import Device, Session
from labkit.report.diagnostics import shift_remarks
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS: dict[Device, str] = {"A": palette.NEUTRAL, "B": palette.COLORS[3]}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifyOptions:
    """What to look for, and how.

    Attributes
    ----------
    lines : tuple of {"optical", "mechanical"}
    optical : OpticalOptions
    mechanical : MechanicalOptions
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    lines: tuple[Literal["optical", "mechanical"], ...] = ("optical", "mechanical")
    optical: OpticalOptions = field(default_factory=OpticalOptions)
    mechanical: MechanicalOptions = field(default_factory=MechanicalOptions)

    def __post_init__(self) -> None:
        if not self.lines:
            message = "`lines` must name optical, mechanical or both, but is empty"
            raise ValueError(message)

    @property
    def roles(self) -> tuple[str, ...]:
        """What a station must have for this beyond the usual."""
        meters = ("power_meter", "reflection_meter", "wavemeter")
        both = "mechanical" in self.lines or self.optical.centre_wavelength is None
        return (*meters, "read_wavemeter") if both else meters


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IdentifyResult(Result):
    """What was looked for.

    Attributes
    ----------
    optical : OpticalLines or None
    mechanical : MechanicalLines or None
    diagnosis : tuple of str
        Which serrodyne shifts of the sequence do not fit the mechanical mismatch.
    """

    procedure: ClassVar[str] = "identify"
    optical: OpticalLines | None
    mechanical: MechanicalLines | None
    diagnosis: tuple[str, ...] = ()

    @property
    def _found(self) -> dict[str, OpticalLines | MechanicalLines]:
        both = {"optical": self.optical, "mechanical": self.mechanical}
        return {name: lines for name, lines in both.items() if lines is not None}

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        found = {name: lines.to_dict() for name, lines in self._found.items()}
        return found | {"diagnosis": list(self.diagnosis)}

    def __str__(self) -> str:
        return "\n".join([*map(str, self._found.values()), *self.diagnosis])

    def plot(self) -> "Figure":
        """Draw the lines as in Fig. 1 a, b of Riedinger et al. (2018)."""
        from matplotlib.figure import Figure

        number = len(self._found)
        figure = Figure(figsize=(4.8 * number, 3.4), layout="constrained")
        panels = figure.subplots(1, number, squeeze=False)[0]
        for axes, lines in zip(panels, self._found.values(), strict=True):
            lines.draw(axes, COLORS)
        return figure


def identify(session: Session, sequence: PulseSequence, options: IdentifyOptions) -> IdentifyResult:
    """Find both devices' resonances; lasers, filters, attenuators and bias are set back.

    Raises
    ------
    ValueError
        If a line cannot be found within its sweep; the message names device and line.
    """
    optical = mechanical = None
    if "optical" in options.lines:
        optical = optical_lines(session, sequence, options.optical)
        session.say(str(optical))
    if "mechanical" in options.lines:
        mechanical = mechanical_lines(session, sequence, options.mechanical)
    remarks = () if mechanical is None else shift_remarks(sequence, mechanical.delta_omega_hz)
    return IdentifyResult(optical=optical, mechanical=mechanical, diagnosis=remarks)
