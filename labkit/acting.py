"""What acts on the light of what a sequence asks for: a pulse's energy, and the phase offset."""

from math import pi
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labkit.compiler.programs import Calibration, compile_sequence
from labkit.sequence import Pulse, PulseSequence
from labkit.sequence.timing import Hardware

Real = NDArray[np.float64]

RISE_PER_SIGMA: Final = 2.5631031310892007
"""10 % to 90 % of a Gaussian-smoothed step, in σ."""


def pulse_energy(pulse: Pulse, aom_rise: float = 0.0) -> float:
    """Return ∫ sin²(π/2 · level · s(t)) dt of a pulse, s; with soft edges s it is no level² law.

    Parameters
    ----------
    pulse : Pulse
    aom_rise : float
        10 % to 90 % rise of the modulator, which the drive's edge adds to in squares, s.
    """
    sigma = _sigma(pulse, aom_rise)
    margin = 8 * sigma
    time = np.linspace(-margin, pulse.duration + margin, 4001)
    return float(np.trapezoid(_power(pulse, time, sigma), time))


def acting_phase(sequence: PulseSequence, hardware: Hardware, calibration: Calibration) -> float:
    """Return the phase offset of the read pulse that acts, rad; the asked one at an offset of 0.

    The modulator's amplifier passes nothing below its band. What a first-order high pass takes off
    the waveform is averaged over the light of each pulse (pump and read count alike in the fringe
    phase); what it takes off at Δφ = 0 is part of the fringe's own phase.

    Parameters
    ----------
    sequence : PulseSequence
        With a pump and a read pulse.
    hardware, calibration : Hardware, Calibration
        Of the station: the amplifier's band, and with what the waveform was made.
    """
    asked = sequence.pulse("read").phase
    if asked == 0:
        return asked
    lost, usual = (
        _lost(each, hardware, calibration) for each in (sequence, sequence.with_read_phase(0.0))
    )
    return float(asked + lost - usual)


def _lost(sequence: PulseSequence, hardware: Hardware, calibration: Calibration) -> float:
    """Return what the amplifier adds to the phase of B relative to A by passing no slow part.

    The phase sits in arm A, so that what is taken off there is added to B's lead.
    """
    modulator = compile_sequence(sequence, hardware, calibration).modulator
    if modulator is None:
        return 0.0
    phase = modulator.waveform() / calibration.volts_of_phase(1.0)
    time = np.arange(len(phase)) / modulator.sample_rate + calibration.eom_delay
    keep = float(np.exp(-2 * pi * hardware.eom_band_hz[0] / modulator.sample_rate))
    taken = phase - _high_pass(phase, keep)
    total = 0.0
    for name in ("pump", "read"):
        pulse = sequence.pulse(name)
        weight = _power(pulse, time - pulse.start, _sigma(pulse, hardware.aom_rise))
        if weight.any():
            total += float(np.angle(np.sum(weight * np.exp(1j * taken))))
    return total


def _high_pass(phase: Real, keep: float) -> Real:
    """Return y_n = k (y_{n−1} + x_n − x_{n−1}), of a first-order high pass.

    By a bidiagonal system: scipy.signal takes 0.6 s to import.
    """
    from scipy import linalg

    bands = np.ones((2, len(phase)))
    bands[1] = -keep
    return np.asarray(linalg.solve_banded((1, 0), bands, keep * np.diff(phase, prepend=0.0)))


def _sigma(pulse: Pulse, aom_rise: float) -> float:
    return float(np.hypot(pulse.edge, aom_rise)) / RISE_PER_SIGMA


def _power(pulse: Pulse, time: Real, sigma: float) -> Real:
    """Return sin² of the smoothed drive at instants from the pulse's start."""
    from scipy import special

    if sigma == 0:
        shape = ((time >= 0) & (time <= pulse.duration)).astype(np.float64)
    else:
        root = np.sqrt(2) * sigma
        shape = 0.5 * (special.erf(time / root) - special.erf((time - pulse.duration) / root))
    return np.asarray(np.sin(pi / 2 * pulse.level * shape) ** 2)
