"""One optical pulse on both devices: fields, scattered photons, and what the filters let through.

Fields are sampled in time, E ∝ e^{+2πiνt}, and filtered as spectra. Photons of both devices are
compared at equal optical frequency, on an axis relative to laser ∓ Ω_A, so that a wrong frequency
shift in one arm shows as lost overlap of the two fields, as fringes in time do in the laboratory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import expm1

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import constants
from scipy.fft import fft, fftfreq, ifft, next_fast_len

from simulation.lab.device import DevicePulse, reflected_parts, scattering_spectrum
from simulation.lab.eom import PhaseRecord
from simulation.lab.optics import STEP, LightPulse, TunableFilterState
from simulation.lab.world_parameters import WorldParameters

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_EMPTY = 1e-8
"""Spectral bins below this part of the highest are left out."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ScatteredPulse:
    """A pulse after both devices, before the filters.

    Attributes
    ----------
    laser : {0, 1}
        Which laser it comes from.
    side : {-1, 1}
        Photons on the cavity's resonance are Stokes (−1) or anti-Stokes (1).
    exponent : ndarray, shape (2, 2)
        2∫𝒢dt per W at the device (for an AOM transmission of 1), element [Stokes or anti-Stokes,
        device].
    light : LightPulse
    frequency_hz : ndarray, shape (m,)
        Axis of the spectra, relative to the laser (drive) or to laser + side·Ω_A (photons).
    drive : ndarray, shape (2, m)
        Energy spectra at A, B, each with sum 1.
    photons : ndarray of complex, shape (2, m)
        Field spectra of the scattered photons, each of norm 1.
    bins, length : ndarray of int, shape (m,), and int
        Where the spectra stand in a full one of this length; all other bins are next to empty.
    """

    laser: int
    side: int
    exponent: Real
    light: LightPulse
    frequency_hz: Real
    drive: Real
    photons: Complex
    bins: NDArray[np.int64]
    length: int

    def at_device(self, device: int, power: float) -> DevicePulse:
        """Return the pulse as a device sees it at `power` (W for an AOM transmission of 1)."""
        stokes, anti_stokes = self._exponents[device]
        return DevicePulse(
            time=self.light.centre,
            energy=power * self.light.duration,
            stokes=expm1(power * stokes),
            anti_stokes=-expm1(-power * anti_stokes),
        )

    def turn(self, fsr_hz: float, apart_hz: float) -> Complex:
        """Return e^{2πiν/FSR} of photons and drive light ν from the laser, shape (2, m)."""
        if (fsr_hz, apart_hz) not in self._turns:
            axes = self.frequency_hz + np.array([[apart_hz], [0.0]])
            self._turns[fsr_hz, apart_hz] = np.exp(2j * np.pi * axes / fsr_hz)
        return self._turns[fsr_hz, apart_hz]

    @cached_property
    def photon_powers(self) -> Real:
        """Energy spectra of the photons of A, B, shape (2, m)."""
        return _power(self.photons)

    @cached_property
    def photon_beat(self) -> Complex:
        """Field of B times the conjugate one of A, shape (m,)."""
        return np.asarray(np.conj(self.photons[0]) * self.photons[1])

    @cached_property
    def _exponents(self) -> tuple[tuple[float, float], ...]:
        """`exponent` by device."""
        return tuple((float(blue), float(red)) for blue, red in self.exponent.T)

    @cached_property
    def _turns(self) -> dict[tuple[float, float], Complex]:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilteredPulse:
    """What comes through the filters before detectors 1, 2.

    Attributes
    ----------
    passage : ndarray, shape (2, 2)
        Part of the photons of device X that passes the filters of detector j, element [X, j].
    overlap : complex
        Overlap of the photons of A with those of B, Σ_j ⟨A|B⟩ over both detectors: its modulus is
        the contrast of their interference, its phase that of B relative to A.
    leak : ndarray, shape (2, 2)
        Part of the drive's energy that is reflected by the device and passes.
    amplitude : ndarray of complex, shape (2, m)
        Field transmission of the filters of detector j for the photons.
    """

    passage: Real
    overlap: complex
    leak: Real
    amplitude: Complex


def scatter(
    light: LightPulse,
    laser: int,
    frequency_hz: float,
    eom: PhaseRecord,
    parameters: WorldParameters,
) -> ScatteredPulse:
    """Let a light pulse scatter off both devices.

    Parameters
    ----------
    light : LightPulse
    laser : {0, 1}
    frequency_hz : float
        The laser's optical frequency.
    eom : PhaseRecord
        Phase modulator, in the arm of device A.
    parameters : WorldParameters
    """
    number = next_fast_len(len(light.time))
    axis = np.asarray(fftfreq(number, STEP))
    envelope = np.sqrt(np.maximum(light.transmission, 0.0))
    fields = (envelope * np.exp(1j * eom.at(light.time + parameters.eom_arm_delay)), envelope)
    spectra = [fft(field, number) for field in fields]
    weight = np.array(
        [
            [scattering_spectrum(x, frequency_hz + axis, side, parameters) for x in (0, 1)]
            for side in (-1, 1)
        ]
    )
    drive = np.array([_normalised(np.abs(spectrum) ** 2) for spectrum in spectra])
    exponent = np.sum(weight * drive, axis=-1) * light.duration
    side = -1 if exponent[0].sum() >= exponent[1].sum() else 1
    photons = [
        _photon_spectrum(spectra[x], weight[(side + 1) // 2, x], light, side, x, parameters)
        for x in (0, 1)
    ]
    bins = _filled(drive.sum(axis=0) + np.sum(np.abs(photons) ** 2, axis=0))
    return ScatteredPulse(
        laser=laser,
        side=side,
        exponent=exponent,
        light=light,
        frequency_hz=axis[bins],
        drive=drive[:, bins],
        photons=np.array(photons)[:, bins],
        bins=bins,
        length=number,
    )


def through_filters(
    pulse: ScatteredPulse,
    laser_hz: float,
    filters: Sequence[Sequence[TunableFilterState]],
    parameters: WorldParameters,
) -> FilteredPulse:
    """Send a pulse's photons and its drive light through the filters.

    Parameters
    ----------
    pulse : ScatteredPulse
    laser_hz : float
        The laser's frequency now.
    filters : sequence of sequences of TunableFilterState
        Those before detector 1, and before detector 2.
    parameters : WorldParameters
    """
    apart_hz = pulse.side * parameters.omega_m_hz[0]
    amplitude = np.ones((len(filters), 2, len(pulse.bins)), np.complex128)
    for through, chain in zip(amplitude, filters, strict=True):
        for element in chain:
            through *= element.amplitude(laser_hz, pulse.turn(element.fsr_hz, apart_hz))
    passed, leaked = _power(amplitude).swapaxes(0, 1)
    passage = pulse.photon_powers @ passed.T
    reflected = pulse.drive * reflected_parts(laser_hz + pulse.frequency_hz, parameters)
    joint = complex(pulse.photon_beat @ passed.sum(axis=0))
    norm = float(np.sqrt(np.prod(passage.sum(axis=-1))))
    return FilteredPulse(
        passage=passage,
        overlap=joint / norm if norm > 0 else 0j,
        leak=reflected @ leaked.T,
        amplitude=amplitude[:, 0],
    )


def intensity(pulse: ScatteredPulse, filtered: FilteredPulse) -> Real:
    """Return the light of both devices at each detector against time (any unit).

    Returns
    -------
    ndarray, shape (2, n)
        Detectors 1, 2; in steps of `STEP` from the light pulse's start.
    """
    spectrum = pulse.photons[:, None] * filtered.amplitude
    if len(pulse.bins) < pulse.length:
        full = np.zeros((2, 2, pulse.length), np.complex128)
        full[..., pulse.bins] = spectrum
        spectrum = full
    field = ifft(spectrum, axis=-1, overwrite_x=True)[..., : len(pulse.light.transmission)]
    return np.asarray(_power(field).sum(axis=0))


def photon_energy(frequency_hz: ArrayLike) -> Real:
    """Return hν in J."""
    return np.asarray(constants.h * np.asarray(frequency_hz, np.float64))


def _photon_spectrum(
    spectrum: Complex,
    weight: Real,
    light: LightPulse,
    side: int,
    device: int,
    parameters: WorldParameters,
) -> Complex:
    """Scattered field on the axis relative to laser + side·Ω_A, of norm 1."""
    field = ifft(spectrum * np.sqrt(weight))
    beat_hz = side * (parameters.omega_m_hz[device] - parameters.omega_m_hz[0])
    time = light.start + STEP * np.arange(len(field))
    photon = fft(field * np.exp(2j * np.pi * beat_hz * time))
    norm = np.linalg.norm(photon)
    return np.asarray(photon / norm if norm > 0 else photon)


def _power(field: Complex) -> Real:
    return np.asarray(field.real**2 + field.imag**2)


def _filled(energy: Real) -> NDArray[np.int64]:
    """Bins with more than next to nothing in them."""
    return np.flatnonzero(energy >= _EMPTY * energy.max())


def _normalised(values: Real) -> Real:
    total = values.sum()
    return np.asarray(values / total if total > 0 else np.full_like(values, 1 / len(values)))
