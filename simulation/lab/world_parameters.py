"""Constants of the virtual lab's world: what no instrument can change."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any, Final, Self

import numpy as np
from scipy import constants

PerDevice = tuple[float, float]
"""Devices A, B."""
PerDetector = tuple[float, float]
"""Detectors 1, 2."""
PerLaser = tuple[float, float]
"""Lasers pump, read."""
PerFilter = tuple[float, float, float, float, float, float]
"""In the order of `FILTERS`."""

FILTERS: Final = ("pump", "read", "1a", "1b", "2a", "2b")
"""Tunable filters: one behind each laser, then two in a row before each detector."""

_FRACTIONS: Final = ("splitting", "read_splitting", "afterpulse", "crosstalk")
_NOT_NEGATIVE: Final = (
    *("arm_transmission", "laser_gain", "polarisation_drift", "arm_drift", "power_drift"),
    *("splitting_drift", "laser_noise", "mechanical_jitter_hz", "recovery_time", "stray_light_hz"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldParameters:
    """The laboratory of seed 003 (Riedinger et al. 2018); SI units, rates ``_hz`` ordinary.

    Defaults marked (003) are the paper's, (fit) were set so that the paper's instrument settings
    give the expected counts of `simulation.theory.dlcz.riedinger2018_matched`, whose read fluxes
    agree as well as the paper's, (chosen) are ours because the paper does not give them:
    plausible, but nobody's measurement.

    Attributes
    ----------
    period : float
        Trigger period (003).
    cavity_wavelength : float
        Optical resonance of device A (003).
    cavity_mismatch_hz : float
        Resonance of device B above that of A (fit; 003: less than 100 MHz apart).
    cavity_q : float
        Optical quality factor of both devices (003).
    coupling_ratio : float
        κ_e/κ (chosen).
    g_0_hz, omega_m_hz, lifetime : PerDevice
        Vacuum coupling g₀/2π, mechanical frequency, energy lifetime 1/Γ (003).
    temperature : float
        Mixing chamber, K (003).
    excess_phonons : PerDevice
        Imperfect thermalisation (fit).
    bath_lifetime : float
        1/γ of the absorption-heated phonon bath (003).
    prompt_heating, bath_heating : PerDevice
        Phonons per J of drive at the device: during the pulse itself; amplitude b of the delayed
        part b (e^{−Γt} − e^{−γt}) (fit to 003's 0.03 and 0.05 phonons).
    splitting, read_splitting : float
        Combining coupler, part of A's light that goes to detector 1 (003: 0.5 to 0.6 %); for light
        of the read laser where that differs (None: as `splitting`). Near 1 the coupler is a mirror.
    arm_transmission : PerDevice
        Fibre to device, of the calibrated transmission; drive and scattered light both pass it.
    laser_gain : PerLaser
        Power at a laser's head of what it reports.
    polarisation_angle, polarisation_drift : float
        Between the light of A and B at the combining coupler, rad: contrast cos² of it; random walk
        in rad/√s.
    arm_drift, power_drift, splitting_drift, slow_drift_time : float
        Standard deviations of slow drifts from the calibrated values: of both arms' transmission
        and of both lasers' power (parts of them), of the splitting; their correlation time.
    laser_noise : PerLaser
        Noise photons on the cavity's resonance, per drive photon that a device reflects, in front
        of the prefilter: phase noise at the mechanical frequency.
    mechanical_jitter_hz : PerDevice
        Standard deviation of the mechanical frequency from trial to trial.
    path_mismatch : float
        Optical path of arm B longer than that of A, m: the fringe follows the difference of the
        lasers' frequencies, θ = … + 2π (L/c) (ν_pump − ν_read − 2 Ω_B/2π).
    heating_curvature : float
        Absorption heats by E (1 + curvature · E), 1/J.
    arm_input : PerDevice
        Power from a laser's head to the device, all fixed losses, attenuator fully open (chosen).
    arm_output : PerDevice
        Scattered photons from device to combiner (fit).
    detection : PerDetector
        Combiner to detector without filters and detector efficiency (fit).
    aom_full_drive : float
        Drive in V (peak, 50 Ω) of full diffraction, η = sin²(π V/2 V_full) (chosen).
    aom_efficiency, aom_extinction, aom_rise, aom_delay : float
        Peak diffraction, light at no drive, 10–90 % rise, acoustic delay (chosen).
    attenuator_volts, attenuator_db : float
        Attenuation in dB = attenuator_db · (V/attenuator_volts)², clipped to it (chosen).
    filter_fsr_hz, filter_hz_per_volt : float
        Free spectral range (18 GHz for this type), tuning (chosen).
    filter_width_hz : PerFilter
        Full width at half maximum (003: 50 MHz; pairs before the detectors fit to its leaks).
    filter_volts : PerFilter
        Voltage at which a filter passes the cavity's resonance, freshly calibrated (chosen).
    filter_backlash : float
        Full width of the hysteresis, V (chosen).
    filter_drift_hz : float
        Random walk per √s (chosen).
    laser_drift_hz, laser_drift_time : float
        Standard deviation and correlation time of the stabilised lasers (chosen).
    eom_arm_delay, awg_delay : float
        From AOM to EOM in the fibre, and from trigger to AWG output at the EOM (chosen).
    awg_bandwidth_hz, amplifier_low_hz, amplifier_high_hz : float
        600 MHz, 0.5 MHz, 1 GHz (003).
    amplifier_gain, amplifier_limit : float
        Voltage gain; output clips at ± this many V (chosen).
    eom_v_pi, eom_bias_v_pi : float
        Half-wave voltage of RF and bias electrode (chosen).
    detection_delay : float
        From EOM to detector (chosen).
    path_phase : float
        φ₀ of pump and read light when the lock pulse is balanced (003: fringe maximum near
        Δφ = 0.1π, see `simulation.theory.dlcz.state`).
    phase_drift, phase_drift_rate : float
        Free interferometer: random walk in rad/√s, steady drift in rad/s (chosen).
    acoustic_noise, acoustic_bandwidth_hz : float
        Standard deviation in rad and corner frequency of acoustic noise (chosen).
    stretcher : float
        rad per V (chosen).
    lock_window : tuple of float
        Sampling window of the balanced detector, s after the trigger (003: about 5 µs).
    lock_volts_per_watt, lock_noise : float
        Fringe amplitude per W of √(P_A P_B) at the devices in the window; V rms (chosen).
    modulator_sign : float
        1, or −1 for a modulator with its polarity reversed: the serrodyne runs backwards.
    detector_efficiency, detector_dark_hz : PerDetector
        On the plateau, and at the nominal current (dark: 003).
    nominal_current, switching_current : float
        SNSPD bias in A (chosen).
    efficiency_current, efficiency_width, dark_current : float
        Half-efficiency current, its width, e-fold of dark counts, A (chosen).
    jitter, detector_dead_time : float
        Standard deviation of a click's time; recovery (chosen).
    afterpulse, afterpulse_time : PerDetector, float
        Probability that a click makes a false one of the same detector, and its mean delay beyond
        the dead time.
    recovery_time : PerDetector
        A time t after a click the part e^{−(t − dead time)/recovery_time} of the efficiency is
        missing.
    crosstalk, crosstalk_lag : PerDetector, float
        Probability that a click of the other detector makes a false one of this, and its delay.
    stray_light_hz : PerDetector
        Counts per s of stray light on the cavity's resonance, the filters in tune: dark counts
        that depend on the filters.
    swapped_detectors : bool
        The detectors' cables at the tagger are exchanged.
    pulse_volts_per_amp, pulse_fall, pulse_noise, noise_bandwidth_hz : float
        Amplified detector pulse: height per bias current, fall time, rms noise, noise bandwidth
        (chosen).
    power_noise : float
        Noise of one reading of a power meter, W rms (chosen).
    sync_volts : float
        Height of the positive trigger pulse at the tagger (chosen).
    sync_width : float
        Width of it (chosen).
    tagger_dead_time : float
        Of each input (chosen; not found for the NANO).
    fifo_records : int
        Records the tagger's FIFO holds (chosen).
    """

    period: float = 50e-6
    cavity_wavelength: float = 1553.8e-9
    cavity_mismatch_hz: float = -9e6
    cavity_q: float = 2.2e5
    coupling_ratio: float = 0.5
    g_0_hz: PerDevice = (550e3, 790e3)
    omega_m_hz: PerDevice = (5.1e9, 5.145e9)
    lifetime: PerDevice = (4.0e-6, 5.8e-6)
    temperature: float = 0.060
    excess_phonons: PerDevice = (0.007, 0.010)
    bath_lifetime: float = 0.5e-6
    prompt_heating: PerDevice = (1.6e11, 1.9e11)
    bath_heating: PerDevice = (3.9e12, 4.5e12)
    splitting: float = 0.5
    read_splitting: float | None = None
    arm_transmission: PerDevice = (1.0, 1.0)
    laser_gain: PerLaser = (1.0, 1.0)
    polarisation_angle: float = 0.0
    polarisation_drift: float = 0.0
    arm_drift: float = 0.0
    power_drift: float = 0.0
    splitting_drift: float = 0.0
    slow_drift_time: float = 1800.0
    laser_noise: PerLaser = (0.0, 0.0)
    mechanical_jitter_hz: PerDevice = (0.0, 0.0)
    path_mismatch: float = 0.0
    heating_curvature: float = 0.0
    arm_input: PerDevice = (1.0e-3, 1.0e-3)
    arm_output: PerDevice = (0.0452, 0.0310)
    detection: PerDetector = (0.541, 0.863)
    aom_full_drive: float = 1.0
    aom_efficiency: float = 0.8
    aom_extinction: float = 1e-6
    aom_rise: float = 8e-9
    aom_delay: float = 100e-9
    attenuator_volts: float = 5.0
    attenuator_db: float = 45.0
    filter_fsr_hz: float = 18e9
    filter_hz_per_volt: float = 1.5e9
    filter_width_hz: PerFilter = (50e6, 50e6, 50.6e6, 50.6e6, 47.3e6, 47.3e6)
    filter_volts: PerFilter = (4.0, 6.5, 5.1, 4.7, 5.6, 5.3)
    filter_backlash: float = 0.02
    filter_drift_hz: float = 5e4
    laser_drift_hz: float = 1e6
    laser_drift_time: float = 120.0
    eom_arm_delay: float = 20e-9
    awg_delay: float = 40e-9
    awg_bandwidth_hz: float = 600e6
    amplifier_low_hz: float = 0.5e6
    amplifier_high_hz: float = 1e9
    amplifier_gain: float = 10.0
    amplifier_limit: float = 15.0
    eom_v_pi: float = 6.0
    eom_bias_v_pi: float = 6.5
    detection_delay: float = 180e-9
    path_phase: float = -0.585 * np.pi
    phase_drift: float = 0.05
    phase_drift_rate: float = 0.001
    acoustic_noise: float = 0.3
    acoustic_bandwidth_hz: float = 5.0
    stretcher: float = 2.0
    lock_window: tuple[float, float] = (4.5e-6, 7.5e-6)
    lock_volts_per_watt: float = 1e7
    lock_noise: float = 2e-3
    modulator_sign: float = 1.0
    detector_efficiency: PerDetector = (0.85, 0.9)
    detector_dark_hz: PerDetector = (4.83, 8.83)
    nominal_current: float = 12e-6
    switching_current: float = 16e-6
    efficiency_current: float = 8e-6
    efficiency_width: float = 0.8e-6
    dark_current: float = 1e-6
    jitter: float = 127.4e-12
    detector_dead_time: float = 50e-9
    afterpulse: PerDetector = (0.0, 0.0)
    afterpulse_time: float = 100e-9
    recovery_time: PerDetector = (0.0, 0.0)
    crosstalk: PerDetector = (0.0, 0.0)
    crosstalk_lag: float = 120e-9
    stray_light_hz: PerDetector = (0.0, 0.0)
    swapped_detectors: bool = False
    pulse_volts_per_amp: float = 25e3
    pulse_fall: float = 15e-9
    pulse_noise: float = 0.01
    noise_bandwidth_hz: float = 1e9
    power_noise: float = 5e-11
    sync_volts: float = 0.8
    sync_width: float = 100e-9
    tagger_dead_time: float = 25e-9
    fifo_records: int = 1 << 21

    def __post_init__(self) -> None:
        for names, high, text in (
            (_FRACTIONS, 1.0, "lie in [0, 1]"),
            (_NOT_NEGATIVE, inf, "be ≥ 0"),
        ):
            for name in names:
                value = getattr(self, name)
                parts = value if isinstance(value, tuple) else (0.0 if value is None else value,)
                if not all(0 <= part <= high for part in parts):
                    message = f"`{name}` of the world must {text}, but is {value}"
                    raise ValueError(message)
        if self.modulator_sign not in (-1.0, 1.0):
            message = f"`modulator_sign` must be 1 or -1, but is {self.modulator_sign}"
            raise ValueError(message)
        if not (self.period > 0 and self.slow_drift_time > 0):
            message = (
                "`period` and `slow_drift_time` must be > 0 s, "
                f"but are {self.period} and {self.slow_drift_time}"
            )
            raise ValueError(message)
        if self.read_splitting is not None and not 0 < self.splitting < 1:
            message = (
                "`splitting` must lie between 0 and 1 if `read_splitting` is given, "
                f"but is {self.splitting}; take 0.001 or 0.999"
            )
            raise ValueError(message)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Self:
        """Return the usual world but for some constants; one number serves for both of a pair.

        Raises
        ------
        ValueError
            If a name is unknown or a value impossible.
        """
        known = {entry.name: entry.default for entry in fields(cls)}
        if unknown := sorted(set(plain) - set(known)):
            message = f"`parameters` must name constants of the world, but has {', '.join(unknown)}"
            raise ValueError(message)
        return cls(**{name: _like(known[name], value) for name, value in plain.items()})

    @property
    def resonance_hz(self) -> tuple[float, float]:
        """Optical resonances of devices A, B."""
        first = constants.c / self.cavity_wavelength
        return first, first + self.cavity_mismatch_hz

    @property
    def kappa(self) -> float:
        """Energy decay rate of the optical cavities, rad/s."""
        return 2 * np.pi * self.resonance_hz[0] / self.cavity_q


def _like(usual: object, value: Any) -> Any:
    """Return a plain value as a tuple where the usual one is a tuple."""
    if not isinstance(usual, tuple):
        return value
    return tuple(value) if isinstance(value, list | tuple) else (value,) * len(usual)
