"""Timing rules: what a sequence must respect before any instrument is touched."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from analysis.tagfile.layouts import TIMEHARP_260N_T3
from analysis.tagfile.ptu_writer import NANO_BASE_RESOLUTION
from instruments.keysight_81180a.waveform import MODEL_A
from labkit.sequence.pulses import Pulse, PulseSequence


class TimingError(ValueError):
    """A sequence breaks timing rules; the message names every pulse and rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What the set-up can do, and what the devices need; defaults of an 81180A and a TimeHarp 260.

    Attributes
    ----------
    aom_rise : float
        Shortest 10 % to 90 % edge the AOMs can make, s.
    awg_sample_rate : float
        Samples per second of the EOM drive.
    awg_granularity : int
        Segments are a multiple of so many samples.
    awg_shortest : int
        Shortest segment in samples.
    awg_samples : int
        Waveform memory in samples.
    eom_band_hz : tuple of float
        Band of the EOM's amplifier: a sawtooth must begin inside and keep 5 harmonics inside.
    tagger_resolution, tagger_bins : float, int
        T3 bin width in s and number of bins; clicks beyond their product are lost.
    dead_time : float
        Detector dead time, s: gates of one trial must lie further apart.
    lifetime : float
        Longest mechanical energy lifetime, s.
    lifetimes_to_thermalise : float
        Lifetimes of darkness before the next trial.
    largest_duty : float
        Largest fraction of time with light on the devices (heating).
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    aom_rise: float = 6e-9
    awg_sample_rate: float = 3.6e9
    awg_granularity: int = MODEL_A.granularity
    awg_shortest: int = MODEL_A.min_points
    awg_samples: int = MODEL_A.points
    eom_band_hz: tuple[float, float] = (0.5e6, 1e9)
    tagger_resolution: float = NANO_BASE_RESOLUTION
    tagger_bins: int = TIMEHARP_260N_T3.dtime_bins
    dead_time: float = 20e-9
    lifetime: float = 5.8e-6
    lifetimes_to_thermalise: float = 7.0
    largest_duty: float = 0.05

    @property
    def tagger_range(self) -> float:
        """Longest time after the trigger that a T3 tag can hold, s."""
        return self.tagger_resolution * self.tagger_bins


def check_timing(sequence: PulseSequence, hardware: Hardware) -> None:
    """Check a sequence against every rule.

    Raises
    ------
    TimingError
        Naming all pulses and rules that are broken.
    """
    broken = [
        *_shapes(sequence, hardware),
        *_order(sequence),
        *_modulation(sequence, hardware),
        *_detection(sequence, hardware),
        *_rest(sequence, hardware),
    ]
    if broken:
        message = "the sequence breaks timing rules:\n" + "\n".join(f"- {text}" for text in broken)
        raise TimingError(message)


def _shapes(sequence: PulseSequence, hardware: Hardware) -> Iterator[str]:
    for p in sequence.pulses:
        if p.duration <= 0:
            yield f"pulse {p.name!r}: duration must be > 0, but is {_ns(p.duration)}"
        if p.edge < hardware.aom_rise:
            yield (
                f"pulse {p.name!r}: edge must be at least the AOM rise time of "
                f"{_ns(hardware.aom_rise)}, but is {_ns(p.edge)}"
            )
        if p.edge > p.duration:
            yield (
                f"pulse {p.name!r}: edge must not exceed the duration of {_ns(p.duration)}, "
                f"but is {_ns(p.edge)}"
            )
        if not 0 <= p.level <= 1:
            yield f"pulse {p.name!r}: level must be 0 to 1, but is {p.level:g}"


def _order(sequence: PulseSequence) -> Iterator[str]:
    for p in sequence.pulses:
        foot, end = p.feet
        if foot < 0:
            yield (
                f"pulse {p.name!r}: light must not begin before the trigger, "
                f"but does at {_ns(foot)}"
            )
        if end > sequence.period:
            yield (
                f"pulse {p.name!r}: light must end within the period of {_ns(sequence.period)}, "
                f"but ends at {_ns(end)}"
            )
    for before, after in pairwise(sequence.pulses):
        if after.feet[0] < before.feet[1]:
            yield (
                f"pulses {before.name!r} and {after.name!r} must not overlap, but light of the "
                f"first ends at {_ns(before.feet[1])} and of the second begins at "
                f"{_ns(after.feet[0])}"
            )


def _modulation(sequence: PulseSequence, hardware: Hardware) -> Iterator[str]:
    low, high = hardware.eom_band_hz
    for p in sequence.pulses:
        if p.shift_hz and not low <= abs(p.shift_hz) <= high / 5:
            yield (
                f"pulse {p.name!r}: the shift must lie between {low / 1e6:g} and "
                f"{high / 5e6:g} MHz (five harmonics within the amplifier's band), "
                f"but is {p.shift_hz / 1e6:g} MHz"
            )
        if abs(p.shift_hz) > hardware.awg_sample_rate / 20:
            yield (
                f"pulse {p.name!r}: a sawtooth needs at least 20 samples per period, but at "
                f"{p.shift_hz / 1e6:g} MHz has {hardware.awg_sample_rate / abs(p.shift_hz):.1f}"
            )
        if p.name == "lock" and p.shift_hz:
            yield "pulse 'lock': must not be shifted, because the lock would see a beat"
    shifted = [p for p in sequence.pulses if p.shift_hz or p.phase]
    if shifted:
        samples = shifted[-1].feet[1] * hardware.awg_sample_rate
        if samples > hardware.awg_samples:
            yield (
                f"pulse {shifted[-1].name!r}: the EOM waveform must fit {hardware.awg_samples:,} "
                f"samples, but needs {samples:,.0f}"
            )


def _detection(sequence: PulseSequence, hardware: Hardware) -> Iterator[str]:
    try:
        gates = sequence.gates.gates
    except ValueError as error:
        yield f"gates: {error}"
        return
    for gate in gates:
        if gate.stop > hardware.tagger_range:
            yield (
                f"pulse {gate.name!r}: its gate must end within the tagger's T3 range of "
                f"{_ns(hardware.tagger_range)}, but ends at {_ns(gate.stop)}; "
                "use a coarser binning"
            )
    for before, after in pairwise(gates):
        distance = sequence.pulse(after.name).start - sequence.pulse(before.name).stop
        if distance < hardware.dead_time:
            yield (
                f"pulse {after.name!r}: must begin at least the detectors' dead time of "
                f"{_ns(hardware.dead_time)} after {before.name!r} ends, but begins "
                f"{_ns(distance)} after"
            )
    for p in sequence.pulses:
        if not p.gated:
            yield from _outside_gates(p, sequence)


def _outside_gates(pulse: Pulse, sequence: PulseSequence) -> Iterator[str]:
    foot, end = (t + sequence.detection.cable_delay for t in pulse.feet)
    for gate in sequence.gates.gates:
        if foot < gate.stop and end > gate.start:
            yield f"pulse {pulse.name!r}: must lie outside the gates, but overlaps {gate.name!r}"


def _rest(sequence: PulseSequence, hardware: Hardware) -> Iterator[str]:
    if not sequence.pulses:
        yield "a sequence must have at least one pulse, but has none"
        return
    dark = sequence.period - sequence.pulses[-1].feet[1]
    wanted = hardware.lifetimes_to_thermalise * hardware.lifetime
    if dark < wanted:
        yield (
            f"pulse {sequence.pulses[-1].name!r}: must leave {hardware.lifetimes_to_thermalise:g} "
            f"mechanical lifetimes ({_ns(wanted)}) of darkness before the next trial, but leaves "
            f"{_ns(dark)}"
        )
    if sequence.duty_cycle > hardware.largest_duty:
        yield (
            f"light must be on for at most {100 * hardware.largest_duty:g} % of the time "
            f"(heating), but is for {100 * sequence.duty_cycle:.3g} %"
        )


def _ns(seconds: float) -> str:
    return f"{seconds * 1e9:g} ns"
