"""Compile a sequence: AOM drive per laser, EOM waveform, gates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import pi
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.gates import GateSet
from instruments.keysight_81180a.waveform import MODEL_A
from instruments.tektronix_afg3152c.limits import FAST_POINTS, FAST_RATE
from labkit.sequence.pulses import Pulse, PulseSequence
from labkit.sequence.timing import Hardware, TimingError, check_timing

Volts = NDArray[np.float64]

DRIVE_SAMPLE_RATE, DRIVE_SAMPLES = FAST_RATE, FAST_POINTS
"""Of an AOM drive with several pulses: samples per second, and how many there may be."""

GUARD = 10e-9
"""The EOM waveform begins and ends this long before and after the light, s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Volts behind levels, phases and times. No value has a default: measure them.

    Attributes
    ----------
    aom_full : float
        AOM drive for full level, V at the generator into its declared load.
    v_pi : float
        Half-wave voltage of the EOM, V at its electrode.
    amplifier_gain : float
        From the waveform generator's output (V into 50 Ω) to the EOM's electrode, V/V.
    aom_delay : float
        From the pulse generator's trigger to light at the devices, s, beyond the programmed delay.
    eom_delay : float
        From the waveform generator's trigger to the phase at the EOM as seen at the devices, s.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    aom_full: float
    v_pi: float
    amplifier_gain: float
    aom_delay: float
    eom_delay: float

    def __post_init__(self) -> None:
        for name in ("aom_full", "v_pi", "amplifier_gain"):
            value = getattr(self, name)
            if not value > 0:
                message = f"`{name}` must be > 0, but is {value!r}"
                raise ValueError(message)

    def volts_of_phase(self, phase: float) -> float:
        """Waveform-generator volts for an optical phase (rad): V_π φ / (π · gain)."""
        return self.v_pi * phase / (pi * self.amplifier_gain)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrivePrograms:
    """Drive of one AOM, per trigger.

    Attributes
    ----------
    pulses : tuple of Pulse
        Times as the generator must be told, levels as fractions.
    samples : ndarray of float64 or None
        Volts at `DRIVE_SAMPLE_RATE` from the trigger on, if there is more than one pulse.
    high : float
        Volts of the single pulse, or the largest sample.
    sample_rate : float
        Of `samples`, 1/s.
    """

    pulses: tuple[Pulse, ...]
    samples: Volts | None
    high: float
    sample_rate: float = DRIVE_SAMPLE_RATE

    def sounds_like(self, other: "DrivePrograms | None") -> bool:
        """Tell whether the generator is told the same; optical phases are none of its business."""
        if other is None or (self.high, self.sample_rate) != (other.high, other.sample_rate):
            return False
        if self.samples is None or other.samples is None:
            mine, theirs = (
                [(pulse.start, pulse.duration, pulse.edge) for pulse in drive.pulses]
                for drive in (self, other)
            )
            return self.samples is other.samples and mine == theirs
        return np.array_equal(self.samples, other.samples)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModulatorProgram:
    """Drive of the EOM, per trigger.

    Attributes
    ----------
    segments : tuple of ndarray
        Volts into 50 Ω; every length is a multiple of the granularity and long enough.
    steps : tuple of (int, int)
        (segment number from 1, loops), played once per trigger.
    sample_rate : float
    """

    segments: tuple[Volts, ...]
    steps: tuple[tuple[int, int], ...]
    sample_rate: float

    def waveform(self) -> Volts:
        """Return the samples that one trigger plays."""
        pieces = [np.tile(self.segments[number - 1], loops) for number, loops in self.steps]
        return np.concatenate(pieces)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Programs:
    """All that one sequence asks of the devices.

    Attributes
    ----------
    sequence : PulseSequence
    drives : dict of str to DrivePrograms
        By laser: ``pump``, ``read``.
    modulator : ModulatorProgram or None
        None if no pulse is shifted or offset in phase.
    gates : GateSet
    """

    sequence: PulseSequence
    drives: dict[str, DrivePrograms]
    modulator: ModulatorProgram | None
    gates: GateSet


def compile_sequence(
    sequence: PulseSequence, hardware: Hardware, calibration: Calibration
) -> Programs:
    """Check a sequence and compile it; no instrument is touched.

    Parameters
    ----------
    sequence : PulseSequence
    hardware : Hardware
    calibration : Calibration

    Raises
    ------
    TimingError
        If a timing rule is broken, or a delay would have to be negative.
    """
    check_timing(sequence, hardware)
    lasers = sorted({pulse.laser for pulse in sequence.pulses})
    return Programs(
        sequence=sequence,
        drives={laser: _drive(sequence, laser, calibration) for laser in lasers},
        modulator=_modulator(sequence, hardware, calibration),
        gates=sequence.gates,
    )


def _drive(sequence: PulseSequence, laser: str, calibration: Calibration) -> DrivePrograms:
    pulses = tuple(
        replace(pulse, start=pulse.start - calibration.aom_delay)
        for pulse in sequence.pulses
        if pulse.laser == laser
    )
    for pulse in pulses:
        if pulse.feet[0] < 0:
            message = (
                f"pulse {pulse.name!r}: must begin at least the AOM path's delay of "
                f"{calibration.aom_delay * 1e9:g} ns after the trigger, but begins "
                f"{-pulse.feet[0] * 1e9:g} ns too early"
            )
            raise TimingError(message)
    high = calibration.aom_full * max(pulse.level for pulse in pulses)
    samples = None if len(pulses) == 1 else _drive_samples(pulses, calibration.aom_full)
    return DrivePrograms(pulses=pulses, samples=samples, high=high)


def _drive_samples(pulses: Sequence[Pulse], full: float) -> Volts:
    """Sample pulses with raised-cosine edges of the stated 10 % to 90 % time."""
    n = int(np.ceil(pulses[-1].feet[1] * DRIVE_SAMPLE_RATE)) + 2
    if n > DRIVE_SAMPLES:
        message = (
            f"the {pulses[0].laser} laser's pulses must lie within "
            f"{DRIVE_SAMPLES / DRIVE_SAMPLE_RATE * 1e6:g} µs (generator memory), but span "
            f"{n / DRIVE_SAMPLE_RATE * 1e6:g} µs"
        )
        raise TimingError(message)
    time = np.arange(n) / DRIVE_SAMPLE_RATE
    volts = np.zeros(n)
    for pulse in pulses:
        rise = _edge(time - pulse.start, pulse.edge)
        fall = _edge(time - pulse.stop, pulse.edge)
        volts += full * pulse.level * (rise - fall)
    return volts


def _edge(time: Volts, rise: float) -> Volts:
    """Raised-cosine step through 1/2 at 0 with the given 10 % to 90 % rise time."""
    width = rise / 0.5903  # a raised cosine of full width w rises from 10 % to 90 % in 0.5903 w
    x = np.clip(time / width, -0.5, 0.5)
    return 0.5 * (1 + np.sin(np.pi * x))


def _modulator(
    sequence: PulseSequence, hardware: Hardware, calibration: Calibration
) -> ModulatorProgram | None:
    pulses = [pulse for pulse in sequence.pulses if pulse.shift_hz or pulse.phase]
    if not pulses:
        return None
    rate, unit = hardware.awg_sample_rate, hardware.awg_granularity
    idle = np.zeros(hardware.awg_shortest)
    segments: list[Volts] = [idle]
    steps: list[tuple[int, int]] = []
    at = 0
    for pulse in pulses:
        first, stop = _window(pulse, calibration, rate)
        first -= first % unit
        if first < at:
            message = (
                f"pulse {pulse.name!r}: its EOM waveform must begin after the trigger and the "
                f"pulse before, but would have to begin {(at - first) / rate * 1e9:g} ns earlier; "
                "lengthen the delay"
            )
            raise TimingError(message)
        loops, rest = divmod(first - at, len(idle))
        if loops:
            steps.append((1, loops))
        length = max(rest + stop - first, hardware.awg_shortest)
        length += -length % unit
        start = at + loops * len(idle)
        segments.append(_sawtooth(pulse, calibration, rate, start, length, first, stop))
        steps.append((len(segments), 1))
        at = start + length
    while len(steps) < MODEL_A.min_steps:
        steps.append((1, 1))
    return ModulatorProgram(segments=tuple(segments), steps=tuple(steps), sample_rate=rate)


def _window(pulse: Pulse, calibration: Calibration, rate: float) -> tuple[int, int]:
    """Return the first sample of a pulse's waveform and the first one after it."""
    foot, end = pulse.feet
    first = np.floor((foot - GUARD - calibration.eom_delay) * rate)
    stop = np.ceil((end + GUARD - calibration.eom_delay) * rate)
    return int(first), int(stop)


def _sawtooth(
    pulse: Pulse,
    calibration: Calibration,
    rate: float,
    start: int,
    length: int,
    first: int,
    stop: int,
) -> Volts:
    """Sample `Pulse.modulation` in volts; 0 outside the pulse."""
    sample = np.arange(start, start + length)
    time = sample / rate + calibration.eom_delay
    volts = calibration.volts_of_phase(1.0) * pulse.modulation(time)
    return np.where((sample >= first) & (sample < stop), volts, 0.0)
