"""What of a station's working point and channels could not be set, told before anything is."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from labkit.station.ending import said
from labkit.station.references import find

if TYPE_CHECKING:
    from labkit.station.lab import Lab

OUTPUTS = {
    "pump_drive": "pulse_generator",
    "read_drive": "pulse_generator",
    "eom_drive": "waveform_generator",
}
"""Role whose outputs each channel of a station file counts."""


def working_point_problems(lab: "Lab") -> list[str]:
    """Return what the working point and the channels of a station file ask for in vain.

    A parameter that is not there, a value that its validator does not take, a detector or an output
    that the instrument does not have.
    """
    return [
        *_parameters(lab.instruments, lab.file.config.working_point.parameters),
        *_currents(lab),
        *_channels(lab),
    ]


def _parameters(instruments: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for path, value in wanted.items():
        place = f"labkit.working_point.parameters.{path}"
        try:
            parameter = find(instruments, path)
        except KeyError as error:
            yield f"{place}: {error.args[0]}"
            continue
        if not hasattr(parameter, "validate"):
            yield f"{place}: must name a parameter, but is a {type(parameter).__name__}"
            continue
        try:
            parameter.validate(value)
        except (TypeError, ValueError, KeyError) as error:
            yield f"{place}: cannot be {value!r}: {said(error)}"


def _currents(lab: "Lab") -> Iterator[str]:
    wanted = lab.file.config.working_point.detector_currents
    if not wanted or "detector_bias" not in lab.file.config.roles:
        return
    known = getattr(lab.detector_bias, "channels", None)
    for number, current in wanted.items():
        place = f"labkit.working_point.detector_currents.{number}"
        if known is None:
            continue
        if not 1 <= number <= len(known):
            yield f"{place}: the detector bias has channels 1 to {len(known)}"
            continue
        try:
            known[number - 1].current.validate(current)
        except (TypeError, ValueError) as error:
            yield f"{place}: cannot be {current!r}: {said(error)}"


def _channels(lab: "Lab") -> Iterator[str]:
    roles = lab.file.config.roles
    for name, role in OUTPUTS.items():
        number = lab.file.config.channels.get(name)
        count = getattr(getattr(lab, role), "n_channels", None) if role in roles else None
        if number is not None and count is not None and not 1 <= number <= count:
            yield f"labkit.channels.{name}: {roles[role]} has outputs 1 to {count}, not {number}"
