"""Pulses on mechanical sidebands: published numbers, exact relations, refusals."""

import numpy as np
import pytest
from scipy import constants

from simulation.theory import sideband

TURN = 2 * np.pi


def pulse_coupling(power, *, kappa_hz, omega_hz, g_hz):
    photons = sideband.drive_photons(
        power, wavelength=1550e-9, kappa=TURN * kappa_hz, detuning=TURN * omega_hz
    )
    return TURN * g_hz * np.sqrt(photons)


def test_pulses_of_seed_000_give_its_couplings_squeezing_and_transfer():
    blue = pulse_coupling(0.4e-6, kappa_hz=1.3e9, omega_hz=5.3e9, g_hz=825e3)
    red = pulse_coupling(33.5e-6, kappa_hz=20e6, omega_hz=100e6, g_hz=1.7e3)
    r = sideband.squeezing_parameter(sideband.scattering_rate(blue, TURN * 1.3e9), 10e-6)
    w = sideband.swap_efficiency(sideband.scattering_rate(red, TURN * 20e6), 10e-6)
    assert blue / TURN == pytest.approx(3.93e6, rel=2e-3)
    assert r == pytest.approx(2.1703, abs=5e-5)
    assert w == pytest.approx(0.94980, abs=5e-6)


def test_printed_coupling_gives_the_printed_squeezing():
    rate = sideband.scattering_rate(TURN * 3.93e6, TURN * 1.3e9)
    assert sideband.squeezing_parameter(rate, 10e-6) == pytest.approx(2.1733, abs=5e-5)


@pytest.mark.parametrize("exponent", [1e-12, 1e-3, 1.0, 5.0])
def test_pairs_and_squeezing_agree_and_weak_pulses_lose_no_digits(exponent):
    p = sideband.pair_probability(exponent, 1.0)
    r = sideband.squeezing_parameter(exponent, 1.0)
    assert p == pytest.approx(np.expm1(2 * exponent), rel=1e-14)
    assert np.sinh(r) ** 2 == pytest.approx(p, rel=1e-13)
    assert sideband.swap_efficiency(exponent, 1.0) == pytest.approx(p / (1 + p), rel=1e-13)


@pytest.mark.parametrize("n", [0.0, 0.02, 3.0])
def test_sideband_asymmetry_tells_the_occupation(n):
    p = 0.3
    stokes, anti_stokes = p * (1 + n), p / (1 + p) * n
    assert sideband.sideband_occupation(stokes, anti_stokes, p) == pytest.approx(n, rel=1e-13)


def test_scattering_halves_at_half_a_linewidth():
    assert sideband.off_sideband(0.5, 1.0) == pytest.approx(0.5)


def test_what_no_cavity_or_temperature_does_is_refused():
    with pytest.raises(ValueError, match="`kappa_ext` must not exceed `kappa`"):
        sideband.drive_photons(1, wavelength=1e-6, kappa=1.0, detuning=0, kappa_ext=2.0)
    with pytest.raises(ValueError, match="`power` must be finite and ≥ 0, but is -1"):
        sideband.drive_photons(-1, wavelength=1e-6, kappa=1.0, detuning=0)
    with pytest.raises(ValueError, match="`anti_stokes` must stay below"):
        sideband.sideband_occupation(1.0, 1.0)


@pytest.mark.parametrize("coupling", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_reflection_is_the_square_of_the_input_output_amplitude(coupling):
    kappa, detuning = TURN * 877e6, TURN * np.linspace(-3e9, 3e9, 7)
    amplitude = 1 - coupling * kappa / (kappa / 2 - 1j * detuning)
    found = sideband.reflectivity(detuning, kappa=kappa, kappa_ext=coupling * kappa)
    assert found == pytest.approx(np.abs(amplitude) ** 2, abs=1e-14)


def test_what_is_not_reflected_is_what_drive_photons_lose_inside():
    """1 − R = κ_i n_c ħω/P: energy is conserved."""
    kappa, external, detuning = TURN * 877e6, TURN * 300e6, TURN * 250e6
    inside = sideband.drive_photons(
        1e-6, wavelength=1553.8e-9, kappa=kappa, detuning=detuning, kappa_ext=external
    )
    energy = constants.h * constants.c / 1553.8e-9
    lost = (kappa - external) * inside * energy / 1e-6
    back = sideband.reflectivity(detuning, kappa=kappa, kappa_ext=external)
    assert lost + back == pytest.approx(1.0, rel=1e-12)


def test_external_coupling_beyond_the_linewidth_is_refused():
    with pytest.raises(ValueError, match="`kappa_ext` must not exceed `kappa`"):
        sideband.reflectivity(0.0, kappa=1.0, kappa_ext=1.1)
