"""The instruments set as in seed 003, put on the ports directly: for tests and benchmarks.

In the laboratory, real or virtual, the same settings travel through the instruments' protocols.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from simulation.lab.ports.drives import DrivePulse, DriveSamples, PhaseDrive, PulseDrive
from simulation.lab.ports.phase_lock import LockSettings
from simulation.lab.ports.steady import LaserState
from simulation.lab.wiring import LASERS, Wiring
from simulation.lab.world_parameters import FILTERS, WorldParameters

Volts = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """Settings of the witness measurement; instants are at the generators, s after the trigger.

    Attributes
    ----------
    pump_start, delay, pulse_width, edge : float
        Start of the pump pulse, from pump to read (003), length and edges of both (chosen).
    pump_volts, read_volts, lock_volts : float
        RF levels at the AOMs (fit to the scattering probabilities; lock: chosen).
    lock_start, lock_width : float
        Lock pulse: 5 µs after the read pulse (003), length (chosen).
    attenuator_volts : tuple of float
        In arms A, B (fit).
    laser_power : float
        W (chosen).
    serrodyne_hz : float
        Shift of the pump to A by −serrodyne_hz, of the read by + (003).
    serrodyne_volts : float
        Peak to peak at the AWG; 2π at the modulator.
    delta_phi : float
        Phase Δφ of the read pulse, of B relative to A (003; `simulation.theory.dlcz.state`).
    bias_current : float
        SNSPD, A (chosen).
    """

    pump_start: float = 300e-9
    delay: float = 123e-9
    pulse_width: float = 40e-9
    edge: float = 5e-9
    pump_volts: float = 0.217
    read_volts: float = 0.727
    lock_volts: float = 0.1
    lock_start: float = 5.4e-6
    lock_width: float = 1e-6
    attenuator_volts: tuple[float, float] = (0.0, 0.966)
    laser_power: float = 10e-3
    serrodyne_hz: float = 45e6
    serrodyne_volts: float = 1.2
    delta_phi: float = 0.2 * np.pi
    bias_current: float = 12e-6


def apply_paper_settings(
    wiring: Wiring,
    parameters: WorldParameters | None = None,
    settings: PaperSettings | None = None,
) -> None:
    """Publish the settings on all ports, the phase lock engaged."""
    world, chosen = parameters or WorldParameters(), settings or PaperSettings()
    for name, side in zip(LASERS, (1, -1), strict=True):
        frequency = world.resonance_hz[0] + side * world.omega_m_hz[1]
        wiring.laser[name].state = LaserState(
            wavelength=constants.c / frequency, power=chosen.laser_power, emission=True
        )
        tuning = side * world.omega_m_hz[1] / world.filter_hz_per_volt
        wiring.actuator[f"filter_{name}"].apply(world.filter_volts[FILTERS.index(name)] + tuning)
    for number, name in enumerate(FILTERS[2:], start=2):
        wiring.actuator[f"filter_{name}"].apply(world.filter_volts[number])
    wiring.aom_drive[1].drive = PulseDrive(
        shape=DrivePulse(
            delay=chosen.pump_start,
            width=chosen.pulse_width,
            lead=chosen.edge,
            trail=chosen.edge,
            low=0.0,
            high=chosen.pump_volts,
        )
    )
    wiring.aom_drive[2].drive = PulseDrive(shape=read_and_lock(chosen))
    wiring.eom_drive[1].drive = serrodyne_drive(chosen, world)
    for name, volts in zip("ab", chosen.attenuator_volts, strict=True):
        wiring.actuator[f"attenuator_{name}"].apply(volts)
    for detector in (1, 2):
        wiring.bias[detector].apply(chosen.bias_current)
    wiring.lock.configure(
        LockSettings(engaged=True, gain=0.1, integral_rate=2e4, low=-10.0, high=10.0)
    )


def read_and_lock(settings: PaperSettings, sample_rate: float = 1e9) -> DriveSamples:
    """Return the waveform of the read laser's AOM: read pulse, later the lock pulse."""
    read_start = settings.pump_start + settings.delay
    length = settings.lock_start + settings.lock_width - read_start
    time = (np.arange(round(length * sample_rate) + 100) - 50) / sample_rate
    volts = np.zeros(len(time))
    volts[(time >= 0) & (time < settings.pulse_width)] = settings.read_volts
    volts[(time >= settings.lock_start - read_start) & (time < length)] = settings.lock_volts
    return DriveSamples(samples=volts, sample_rate=sample_rate, delay=read_start - 50 / sample_rate)


def serrodyne_drive(
    settings: PaperSettings, world: WorldParameters, sample_rate: float = 4.2e9
) -> PhaseDrive:
    """Return the modulator's waveform: falling sawtooth for the pump, rising for the read.

    The modulator sits in the arm of device A: the read's sawtooth starts at −Δφ.
    """
    at_eom = world.aom_delay + world.eom_arm_delay - world.awg_delay
    first = settings.pump_start + at_eom - 20e-9
    second = first + settings.delay
    length = 100e-9
    time = np.arange(round((second + length) * sample_rate)) / sample_rate
    volts = np.zeros(len(time))
    for start, sign, phase in ((first, -1, 0.0), (second, 1, -settings.delta_phi)):
        inside = (time >= start) & (time < start + length)
        turns = sign * settings.serrodyne_hz * (time[inside] - start) + phase / (2 * np.pi)
        volts[inside] = settings.serrodyne_volts * (np.mod(turns, 1.0) - 0.5)
    return PhaseDrive(steps=((volts, 1),), sample_rate=sample_rate)
