"""Light before and after the interferometer: AOM pulses, attenuators, tunable filters."""

from cmath import rect
from dataclasses import dataclass
from functools import cached_property
from math import pi, sin, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.special import erf

from simulation.lab.ports.drives import DrivePulse, DriveSamples, PulseDrive
from simulation.lab.world_parameters import WorldParameters
from simulation.recordings.pulses import RISE_PER_SIGMA

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

STEP = 0.2e-9
"""Time step of sampled optical pulses, s."""

_LEAD, _TAIL = 30e-9, 90e-9
"""Dark time kept before and after a pulse, for edges and for the ringing of the filters, s."""

_FAINT = 1e-3
"""Light below this part of the highest belongs to no pulse."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LightPulse:
    """A pulse as the AOM lets it through.

    Attributes
    ----------
    start : float
        Time of the first sample, s after the trigger, at the AOM's output.
    transmission : ndarray, shape (n,)
        Power transmission of the AOM, in steps of `STEP`.
    """

    start: float
    transmission: Real

    @property
    def time(self) -> Real:
        """Times of the samples, s after the trigger."""
        return np.asarray(self.start + STEP * np.arange(len(self.transmission)))

    @cached_property
    def duration(self) -> float:
        """Energy over power: the length of a flat pulse of transmission 1, s."""
        return float(self.transmission.sum()) * STEP

    @cached_property
    def arrived(self) -> Real:
        """Part of the light that has come by the end of each sample."""
        total = np.cumsum(self.transmission)
        return np.asarray(total / total[-1])

    @cached_property
    def centre(self) -> float:
        """Mean time of the light, s after the trigger."""
        return float(np.average(self.time, weights=self.transmission))


def aom_transmission(volts: ArrayLike, parameters: WorldParameters) -> Real:
    """Return the diffracted part of the power, η sin²(π V/2 V_full), for an RF level of `volts`."""
    angle = np.pi / 2 * np.asarray(volts, np.float64) / parameters.aom_full_drive
    diffracted = parameters.aom_efficiency * np.sin(angle) ** 2
    return np.asarray(diffracted + parameters.aom_extinction)


def light_pulses(drive: PulseDrive | None, parameters: WorldParameters) -> tuple[LightPulse, ...]:
    """Return the pulses per trial that a drive in step with the trials makes, in time order."""
    if drive is None or drive.trigger != "external":
        return ()
    start, transmission = _transmission(drive, parameters)
    transmission = transmission - transmission[[0, -1]].min()
    return tuple(
        LightPulse(
            start=start + parameters.aom_delay + first * STEP, transmission=transmission[first:last]
        )
        for first, last in _bright(transmission)
    )


def resting_transmission(drive: PulseDrive | None, parameters: WorldParameters) -> float:
    """Return the AOM's mean transmission besides `light_pulses`.

    Extinction, a drive that does not rest at 0 V, and pulses that are not in step with the trials
    (taken as one per trial).
    """
    if drive is None:
        return float(aom_transmission(0.0, parameters))
    shape = drive.shape
    volts = shape.low if isinstance(shape, DrivePulse) else float(shape.samples[0])
    resting = float(aom_transmission(volts, parameters))
    if drive.trigger == "internal":
        _, transmission = _transmission(drive, parameters)
        resting += float(np.sum(transmission - transmission[0])) * STEP / parameters.period
    return max(resting, 0.0)


def attenuator_transmission(volts: float, parameters: WorldParameters) -> float:
    """Return the power transmission of a variable attenuator; open at 0 V."""
    part = min(abs(volts) / parameters.attenuator_volts, 1.0)
    return float(10.0 ** (-parameters.attenuator_db / 10 * part**2))


def filter_amplitude(offset_hz: ArrayLike, width_hz: float, fsr_hz: float) -> Complex:
    """Return the field transmission of a Fabry-Perot filter, (1 − R)/(1 − R e^{2πiδ/FSR}).

    Its power is the Airy comb 1/[1 + (2 FSR/π w)² sin²(πδ/FSR)], a Lorentzian of full width w near
    each order.

    Parameters
    ----------
    offset_hz : array_like
        δ, light from the filter's resonance.
    width_hz, fsr_hz : float
        w and the free spectral range.
    """
    reflectivity = _reflectivity(width_hz, fsr_hz)
    phase = 2j * np.pi * np.asarray(offset_hz, np.float64) / fsr_hz
    return np.asarray((1 - reflectivity) / (1 - reflectivity * np.exp(phase)))


class TunableFilterState:
    """A piezo-tuned filter: hysteresis of its voltage, thermal drift.

    Parameters
    ----------
    resonance_hz : float
        Frequency it passes at `volts` on a rising approach, drift apart.
    volts, hz_per_volt, backlash : float
        Calibration; the piezo follows the voltage with a play of ± backlash/2.
    width_hz, fsr_hz : float
    """

    def __init__(
        self,
        *,
        resonance_hz: float,
        volts: float,
        hz_per_volt: float,
        backlash: float,
        width_hz: float,
        fsr_hz: float,
    ) -> None:
        self.drift_hz = 0.0
        self.fsr_hz, self._width_hz = fsr_hz, width_hz
        self._reflectivity = _reflectivity(width_hz, fsr_hz)
        self._hz_per_volt, self._play = hz_per_volt, backlash / 2
        self._origin = resonance_hz - hz_per_volt * (volts - self._play)
        self._position = 0.0

    def apply(self, volts: float) -> None:
        """Move the piezo: it follows once the play is used up."""
        self._position = min(max(self._position, volts - self._play), volts + self._play)

    @property
    def centre_hz(self) -> float:
        """One of the frequencies it passes; the others lie whole free spectral ranges away."""
        return self._origin + self._hz_per_volt * self._position + self.drift_hz

    def amplitude(self, frequency_hz: float, turn: Complex | complex = 1.0) -> Complex:
        """Return the field transmission, as `filter_amplitude`.

        Parameters
        ----------
        frequency_hz : float
            Optical frequency.
        turn : ndarray of complex, optional
            e^{2πiν/FSR} of light that lies ν from there.
        """
        angle = 2 * pi * (frequency_hz - self.centre_hz) / self.fsr_hz
        back = rect(self._reflectivity, angle) * turn
        return np.asarray((1 - self._reflectivity) / (1 - back))

    def transmission(self, frequency_hz: float) -> float:
        """Return the power transmission: the Airy comb of `filter_amplitude`, for a number."""
        fsr = self.fsr_hz
        ratio = sin(pi * (frequency_hz - self.centre_hz) / fsr) * 2 * fsr / (pi * self._width_hz)
        return 1 / (1 + ratio * ratio)


def _reflectivity(width_hz: float, fsr_hz: float) -> float:
    """R of the mirrors of `filter_amplitude`."""
    root = pi * width_hz / (2 * fsr_hz)
    return (sqrt(1 + root**2) - root) ** 2


def _transmission(drive: PulseDrive, parameters: WorldParameters) -> tuple[float, Real]:
    """Start time and transmission in steps of `STEP`, the AOM's rise included."""
    start, volts = _sampled(drive.shape)
    smooth = gaussian_filter1d(volts, parameters.aom_rise / RISE_PER_SIGMA / STEP, mode="nearest")
    return start, aom_transmission(smooth, parameters)


def _sampled(shape: DrivePulse | DriveSamples) -> tuple[float, Real]:
    """Start time and volts in steps of `STEP`, with dark time around."""
    if isinstance(shape, DrivePulse):
        start = shape.delay - 2 * shape.lead - _LEAD
        length = shape.width + 2 * (shape.lead + shape.trail) + _LEAD + _TAIL
        time = start + STEP * np.arange(round(length / STEP), dtype=np.float64)
        up = _edge(time - shape.delay, shape.lead)
        down = _edge(time - shape.delay - shape.width, shape.trail)
        return start, shape.low + (shape.high - shape.low) * (up - down)
    number = len(shape.samples)
    steps = np.arange(-round(_LEAD / STEP), round((number / shape.sample_rate + _TAIL) / STEP))
    index = np.floor((steps + 0.5) * STEP * shape.sample_rate).astype(np.int64)
    index[(index < 0) | (index >= number)] = 0
    return shape.delay + steps[0] * STEP, np.asarray(shape.samples, np.float64)[index]


def _edge(time: Real, rise: float) -> Real:
    """Smooth step with a 10 % to 90 % time of `rise`."""
    if rise == 0:
        return np.heaviside(time, 0.5)
    return np.asarray(0.5 * (1 + erf(time * RISE_PER_SIGMA / (np.sqrt(2) * rise))))


def _bright(transmission: Real) -> list[tuple[int, int]]:
    """Ranges of samples with light, dark margins included, merged where they touch."""
    light = np.flatnonzero(transmission > max(_FAINT * transmission.max(), 1e-9))
    if not len(light):
        return []
    lead, tail = round(_LEAD / STEP), round(_TAIL / STEP)
    cuts = np.flatnonzero(np.diff(light) > lead)
    firsts = light[np.append(0, cuts + 1)] - lead
    lasts = light[np.append(cuts, len(light) - 1)] + tail
    return [
        (max(int(first), 0), min(int(last), len(transmission)))
        for first, last in zip(firsts, lasts, strict=True)
    ]
