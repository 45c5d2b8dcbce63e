"""A compiled sequence in the instruments: loading it, and whether it still runs."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from instruments.roles import PulseShape
from labkit.cleanup import said
from labkit.compiler import Programs

if TYPE_CHECKING:
    from labkit.lab import Lab


def load(lab: "Lab", programs: Programs) -> None:
    """Load programs into the generators; their outputs are on afterwards, unused ones off."""
    generator = lab.pulse_generator
    for laser in ("pump", "read"):
        channel = lab.channel(f"{laser}_drive")
        drive = programs.drives.get(laser)
        if drive is None:
            generator.set_output(channel, on=False)
            continue
        if drive.samples is None:
            pulse = drive.pulses[0]
            shape = PulseShape(
                width=pulse.duration, delay=pulse.start, low=0.0, high=drive.high,
                edge=pulse.edge,
            )  # fmt: skip
            generator.program_pulse(channel, shape)
        else:
            generator.program_waveform(channel, drive.samples, drive.sample_rate)
        generator.set_output(channel, on=True)
    modulator, channel = lab.waveform_generator, lab.channel("eom_drive")
    if programs.modulator is None:
        modulator.set_output(channel, on=False)
        return
    program = programs.modulator
    modulator.load_segments(channel, program.segments, program.sample_rate)
    modulator.load_sequence(channel, program.steps)
    modulator.set_output(channel, on=True)


def what_stopped(lab: "Lab", programs: Programs) -> list[str]:
    """Ask lasers and generators of a loaded sequence whether they are on; tell who is not."""
    stopped = []
    for what, is_on in _needed(lab, programs):
        try:
            if not is_on():
                stopped.append(f"{what} is off")
        except (OSError, RuntimeError) as error:
            stopped.append(f"{what} cannot be asked: {said(error)}")
    return stopped


def _needed(lab: "Lab", programs: Programs) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Give what must be on, and what asks the instrument."""
    for laser in programs.drives:
        yield f"the {laser} laser", lab.lasers[laser].emission
        channel = lab.channel(f"{laser}_drive")
        yield f"the {laser} drive", partial(lab.pulse_generator.output_is_on, channel)
    if programs.modulator is not None:
        channel = lab.channel("eom_drive")
        yield "the EOM drive", partial(lab.waveform_generator.output_is_on, channel)
