"""Gaussian state of the pulsed DLCZ protocol: mechanics at the read, and the four detected modes.

Per device (pump, delay, read; seed 003 and its reference 27, all steps linear):

- thermal mechanics n₀, the pump's prompt heating included (n_0 + n_prompt, decaying alike);
  pump, two-mode squeezing with the Stokes mode s, p = sinh² r:
  ⟨s†s⟩ = p (1 + n₀), ⟨m†m⟩ = n₀ + p (1 + n₀), ⟨s m⟩ = √(p (1 + p)) (1 + n₀);
- delay τ, energy survival ε = e^{−τ/t₁} in a bath n_env, then n_heat classical phonons:
  ⟨m†m⟩ → ε ⟨m†m⟩ + (1 − ε) n_env + n_heat, ⟨s m⟩ → √ε ⟨s m⟩;
- read, beam splitter with the anti-Stokes mode: r = √p_read m + √(1 − p_read) vacuum.

Phases, of B relative to A: φ₀ on the pump path, φ₀ + Δφ on the read path, ΔΩ τ of the mechanics,
so that every interference depends on

    θ = (φ₀ + ΔΩ τ) + (φ₀ + Δφ)

(θ_m + θ_r of the paper's Eqs. (1), (2); in |A⟩ + e^{iθ_m}|B⟩ all of it counts B against A). Δφ is
what the read pulse of B has beyond that of A, and the pump pulses have not. The paper's modulator
sits in arm A and makes Δφ by a phase of −Δφ there. Both paths meet on the symmetric coupler of
`gaussian.beam_splitter`, whose reflection is a quarter period late: ⟨p₁r₂⟩ and ⟨p₂r₁⟩ are
∝ c_A + c_B e^{iθ}, ⟨p₁r₁⟩ and ⟨p₂r₂⟩ are ∝ c_A − c_B e^{iθ} on a 50/50 coupler. The optimal phase,
where different detectors are correlated most, is θ = 0.

`detected_state` is the state at one θ. Distinguishable photons and phase noise leave the part
v = contrast · e^{−σ²/2} of the interference: whatever is observed is the mixture
(1 + v)/2 of the state at θ and (1 − v)/2 of the one at θ + π. To the fringe's first harmonic this
is every way of losing contrast; the second, a few 1e-8 of it at the paper's rates, stays whole.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.theory.dlcz.parameters import DLCZParameters

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

MODES = ("p1", "p2", "r1", "r2")
"""Detected modes in the order of every array: pump then read gate, detector 1 then 2."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeviceMoments:
    """Second moments of each device after the read pulse's optics, devices A, B on the last axis.

    Attributes
    ----------
    stokes : ndarray, shape (..., 2)
        ⟨s†s⟩ at the device.
    mechanics : ndarray, shape (..., 2)
        ⟨m†m⟩ just before the read.
    stokes_mechanics : ndarray of complex, shape (..., 2)
        ⟨s m⟩ just before the read, with the phase θ_m = φ₀ + ΔΩ τ on B.
    """

    stokes: Real
    mechanics: Real
    stokes_mechanics: Complex


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectedState:
    """Gaussian state of the detected modes p1, p2, r1, r2, efficiencies and leaks included.

    Attributes
    ----------
    pump : ndarray of complex, shape (..., 2, 2)
        ⟨p_i†p_j⟩.
    read : ndarray of complex, shape (..., 2, 2)
        ⟨r_i†r_j⟩ without the coherent part.
    pump_read : ndarray of complex, shape (..., 2, 2)
        ⟨p_i r_j⟩.
    read_amplitude : ndarray, shape (..., 2)
        ⟨r_j⟩, the coherent leak (both real: the coupler's quarter period makes the joint clicks
        of r1 and r2 independent of their common phase and least sensitive to their difference).
    mechanics : ndarray, shape (..., 2)
        ⟨m_X†m_X⟩ of A, B just before the read; ⟨m_A†m_B⟩ = 0 without a herald.
    pump_mechanics : ndarray of complex, shape (..., 2, 2)
        ⟨p_j m_X⟩: what a herald at detector j says about device X.
    """

    pump: Complex
    read: Complex
    pump_read: Complex
    read_amplitude: Real
    mechanics: Real
    pump_mechanics: Complex

    @property
    def kernel(self) -> Complex:
        """Normally ordered covariance of (p1, p2, r1†, r2†), Hermitian, shape (..., 4, 4)."""
        shape = np.broadcast_shapes(self.pump.shape, self.read.shape, self.pump_read.shape)
        kernel = np.empty((*shape[:-2], 4, 4), np.complex128)
        kernel[..., :2, :2] = np.swapaxes(self.pump, -1, -2)
        kernel[..., 2:, 2:] = self.read
        kernel[..., :2, 2:] = self.pump_read
        kernel[..., 2:, :2] = np.conj(np.swapaxes(self.pump_read, -1, -2))
        return kernel

    @property
    def photons(self) -> Real:
        """Mean photons in each detected mode, coherent part included, shape (..., 4)."""
        pump = np.diagonal(self.pump, axis1=-2, axis2=-1).real
        read = np.diagonal(self.read, axis1=-2, axis2=-1).real + self.read_amplitude**2
        return np.concatenate(np.broadcast_arrays(pump, read), axis=-1)


def fringe_phase(parameters: DLCZParameters) -> Real:
    """θ = 2 φ₀ + Δφ + ΔΩ τ in rad, shape (...); different detectors agree best at θ = 0."""
    return np.asarray(_mechanical_phase(parameters) + parameters.phi_0 + parameters.delta_phi)


def device_moments(parameters: DLCZParameters) -> DeviceMoments:
    """Pump, delay and heating of both devices (see the module's equations)."""
    n_0 = parameters.per_device("n_0") + parameters.per_device("n_prompt")
    p = parameters.per_device("p_pump")
    decay = -np.asarray(parameters.delay)[..., None] / parameters.per_device("lifetime")
    stokes = p * (1 + n_0)
    heating = parameters.per_device("n_heat") - np.expm1(decay) * parameters.per_device("n_env")
    cross = np.sqrt(p * (1 + p)) * (1 + n_0) * np.exp(decay / 2)
    return DeviceMoments(
        stokes=stokes,
        mechanics=(n_0 + stokes) * np.exp(decay) + heating,
        stokes_mechanics=cross * _phase_of_b(_mechanical_phase(parameters)),
    )


def detected_state(
    parameters: DLCZParameters, passage: NDArray[np.float64] | None = None
) -> DetectedState:
    """State of the four detected modes and its correlation with the mechanics.

    Parameters
    ----------
    parameters : DLCZParameters
        Batch shape (...).
    passage : ndarray, shape (..., 2, 2, 2), optional
        Further power transmission of scattered photons, by gate (pump, read), device (A, B) and
        detector (1, 2), where it is no product of device and detector; by default 1.

    Returns
    -------
    DetectedState
    """
    device = device_moments(parameters)
    eta, p_read = parameters.per_device("eta"), parameters.per_device("p_read")
    read_phase = _phase_of_b(np.asarray(parameters.phi_0) + parameters.delta_phi)
    to_pump = to_read = _combiner(parameters)
    if passage is not None:
        to_pump, to_read = (
            to_pump * np.sqrt(np.swapaxes(passage[..., k, :, :], -1, -2)) for k in (0, 1)
        )
    pump = _combined(to_pump.conj(), device.stokes * eta, to_pump)
    read = _combined(to_read.conj(), device.mechanics * p_read * eta, to_read)
    return DetectedState(
        pump=pump + _diagonal(parameters.per_detector("leak_pump")),
        read=read + _diagonal(parameters.per_detector("leak_read")),
        pump_read=_combined(
            to_pump, device.stokes_mechanics * np.sqrt(p_read) * eta * read_phase, to_read
        ),
        read_amplitude=np.sqrt(parameters.per_detector("coherent_read")),
        mechanics=device.mechanics,
        pump_mechanics=to_pump * (np.sqrt(eta) * device.stokes_mechanics)[..., None, :],
    )


def _mechanical_phase(parameters: DLCZParameters) -> Real:
    """θ_m = φ₀ + ΔΩ τ."""
    precession = 2 * np.pi * np.asarray(parameters.delta_omega_hz) * parameters.delay
    return np.asarray(parameters.phi_0 + precession)


def _phase_of_b(phase: Real) -> Complex:
    phases = np.ones((2, *np.shape(phase)), np.complex128)
    phases[1] = np.exp(1j * phase)
    return phases.transpose(*range(1, phases.ndim), 0)


def _combiner(parameters: DLCZParameters) -> Complex:
    """Amplitude from device X to detector j, efficiency included, shape (..., 2, 2)."""
    t = np.asarray(parameters.splitting)
    matrix = np.empty((*t.shape, 2, 2), np.complex128)
    matrix[..., 0, 0] = matrix[..., 1, 1] = np.sqrt(t)
    matrix[..., 0, 1] = matrix[..., 1, 0] = 1j * np.sqrt(1 - t)
    return np.asarray(np.sqrt(parameters.per_detector("eta"))[..., None] * matrix)


def _combined(left: Complex, moments: Real | Complex, right: Complex) -> Complex:
    """Σ_X left_iX moments_X right_jX."""
    return np.asarray((left * moments[..., None, :]) @ np.swapaxes(right, -1, -2))


def _diagonal(values: Real) -> Real:
    return np.asarray(values[..., None] * np.eye(2))
