"""The electro-optic modulator: what phase an uploaded waveform puts on the light, and when."""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from simulation.lab.ports.drives import PhaseDrive
from simulation.lab.world_parameters import WorldParameters

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_FINEST_RATE = 4e9
"""Waveforms are filtered at this sample rate or above, 1/s."""

_LONGEST = 1 << 21
"""Samples of a waveform that are worked out; later ones leave the phase at rest."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhaseRecord:
    """Phase of the light against time since the trigger, at the modulator.

    Attributes
    ----------
    start, step : float
        Time of the first sample, and between samples, s.
    phase : ndarray, shape (n,)
        From the waveform, rad.
    bias : float
        From the bias electrode, rad; all that is left before and after the waveform.
    in_step : bool
        Whether the waveform starts with the trials; if not, its phase is random in each.
    """

    start: float
    step: float
    phase: Real
    bias: float
    in_step: bool

    def at(self, time: ArrayLike) -> Real:
        """Return the phase at times after the trigger, in rad."""
        if not len(self.phase):
            return np.full(np.shape(time), self.bias)
        times = self.start + self.step * np.arange(len(self.phase))
        phase = np.interp(np.asarray(time, np.float64), times, self.phase, left=0.0, right=0.0)
        return np.asarray(self.bias + phase)


def phase_record(
    drive: PhaseDrive | None, bias: float, until: float, parameters: WorldParameters
) -> PhaseRecord:
    """Return the phase per trial: samples → AWG bandwidth → amplifier band, limit → π V/V_π.

    The amplifier passes no offset: a level that rests longer than some 0.3 µs is lost.

    Parameters
    ----------
    drive : PhaseDrive or None
    bias : float
        Voltage on the bias electrode.
    until : float
        Time after the trigger up to which the phase is needed, s.
    parameters : WorldParameters
    """
    offset = np.pi * bias / parameters.eom_bias_v_pi
    if drive is None or drive.trigger == "none" or not drive.steps:
        return PhaseRecord(start=0.0, step=1.0, phase=np.empty(0), bias=offset, in_step=True)
    start = drive.delay + parameters.awg_delay
    repeat = max(1, ceil(_FINEST_RATE / drive.sample_rate))
    step = 1 / (drive.sample_rate * repeat)
    volts = _played(drive, min(ceil((until - start) / step), _LONGEST) // repeat + 1)
    volts = np.repeat(volts - volts[0], repeat)
    for passes, corner_hz in (
        (_low_pass, parameters.awg_bandwidth_hz),
        (_high_pass, parameters.amplifier_low_hz),
        (_low_pass, parameters.amplifier_high_hz),
    ):
        volts = passes(volts, corner_hz, step)
    limit = parameters.amplifier_limit
    amplified = np.clip(parameters.amplifier_gain * volts, -limit, limit)
    return PhaseRecord(
        start=start,
        step=step,
        phase=parameters.modulator_sign * np.pi * amplified / parameters.eom_v_pi,
        bias=offset,
        in_step=drive.trigger == "external",
    )


def _played(drive: PhaseDrive, number: int) -> Real:
    """Return the first `number` samples of the sequence (fewer if it is shorter)."""
    parts, missing = [], max(number, 1)
    for samples, loops in drive.steps:
        played = np.tile(samples, min(loops, ceil(missing / len(samples))))[:missing]
        parts.append(played)
        missing -= len(played)
        if missing == 0 and drive.trigger == "external":
            break
    rest = drive.steps[0][0][:1]
    return np.concatenate([*parts, rest]).astype(np.float64)


def _low_pass(volts: Real, corner_hz: float, step: float) -> Real:
    """First-order low pass, impulse-invariant: y_n = k y_{n−1} + (1 − k) x_n."""
    keep = float(np.exp(-2 * np.pi * corner_hz * step))
    return _recursion(keep, (1 - keep) * volts)


def _high_pass(volts: Real, corner_hz: float, step: float) -> Real:
    """First-order high pass: what the low pass lets out is taken away."""
    keep = float(np.exp(-2 * np.pi * corner_hz * step))
    return _recursion(keep, keep * np.diff(volts, prepend=0.0))


def _recursion(keep: float, driven: Real) -> Real:
    """Return y_n = k y_{n−1} + x_n, by a bidiagonal system (scipy.signal takes 0.6 s to import)."""
    bands = np.ones((2, len(driven)))
    bands[1] = -keep
    return np.asarray(linalg.solve_banded((1, 0), bands, driven))
