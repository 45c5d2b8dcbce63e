from dataclasses import replace

import numpy as np
import pytest
from scipy import constants

from simulation.lab.device import DevicePulse, heating, resting_phonons, scattering_spectrum
from simulation.lab.world_parameters import WorldParameters

WORLD = WorldParameters()
BLUE = WORLD.resonance_hz[0] + WORLD.omega_m_hz[0]
RED = WORLD.resonance_hz[0] - WORLD.omega_m_hz[0]


def pulse(time, energy):
    return DevicePulse(time=time, energy=energy, stokes=0.0, anti_stokes=0.0)


def test_pump_probability_of_the_paper_takes_31_fj():
    # κ_e = κ/2, g₀/2π = 550 kHz, Q = 2.2e5: the estimate of the theory notes
    per_joule = scattering_spectrum(0, BLUE, -1, WORLD)
    assert np.log1p(0.0056) / per_joule == pytest.approx(31e-15, rel=0.02)


def test_scattering_falls_with_the_lorentzian_of_the_photon():
    kappa_hz = WORLD.kappa / (2 * np.pi)
    on, off = scattering_spectrum(0, [BLUE, BLUE + kappa_hz / 2], -1, WORLD)
    drive = (WORLD.omega_m_hz[0] / (WORLD.omega_m_hz[0] + kappa_hz / 2)) ** 2
    assert off / on == pytest.approx(0.5 * drive, rel=0.02)


def test_far_sideband_is_suppressed_by_the_resolved_sideband():
    near, far = (float(scattering_spectrum(0, RED, side, WORLD)) for side in (1, -1))
    kappa_hz = WORLD.kappa / (2 * np.pi)
    assert far / near == pytest.approx((kappa_hz / (4 * WORLD.omega_m_hz[0])) ** 2, rel=0.01)


def test_coupling_enters_squared():
    double = replace(WORLD, g_0_hz=(1.1e6, 790e3))
    ratio = scattering_spectrum(0, BLUE, -1, double) / scattering_spectrum(0, BLUE, -1, WORLD)
    assert ratio == pytest.approx(4)


def test_cold_device_rests_at_the_bose_occupation():
    ideal = replace(WORLD, excess_phonons=(0.0, 0.0))
    x = constants.h * 5.1e9 / (constants.k * 0.06)
    assert resting_phonons(0, 0.06, ideal) == pytest.approx(1 / np.expm1(x))
    assert resting_phonons(0, 0.06, ideal) == pytest.approx(0.0172, abs=2e-4)


def test_delayed_heating_rises_with_the_bath_and_decays_with_the_device():
    at = np.array([1e-9, 123e-9, 1e-6, 12e-6])
    energy = 30e-15
    n = [heating(0, [pulse(0.0, energy), pulse(t, 0.0)], 1, WORLD) for t in at]
    b, c = WORLD.bath_heating[0], WORLD.prompt_heating[0]
    expected = energy * ((b + c) * np.exp(-at / 4e-6) - b * np.exp(-at / 0.5e-6))
    assert n == pytest.approx(expected, rel=1e-3)


def test_energies_heat_linearly_and_the_previous_trial_counts():
    one = heating(1, [pulse(0.0, 1e-14)], 0, WORLD)
    assert heating(1, [pulse(0.0, 3e-14)], 0, WORLD) == pytest.approx(3 * one)
    close = replace(WORLD, period=2e-6)
    assert heating(1, [pulse(0.0, 1e-14)], 0, close) > 1.5 * one
