"""Cascade of seed 000: published points, the corrected equations, gauge and legality."""

import numpy as np
import pytest

from simulation.theory.linear_model import noise_margin
from simulation.theory.measures import log_negativity
from simulation.theory.models import get, point
from simulation.theory.models.fan2026_cascade import (
    Fan2026Cascade,
    couplings,
    drive_powers,
    linear,
    network,
)
from simulation.theory.steady_state import steady_state

ODD = {"delta_c": 0.6, "delta_1": -1.3, "eta": 0.7, "kappa_c": 1.5, "gamma_m": 0.3, "G_2_hz": 4e6}


def means(p):
    """⟨c⟩, ⟨b⟩, ⟨a1⟩, ⟨a2⟩, ⟨m⟩ of the model, in the units of ω_b."""
    g_1, g_m = couplings(p)
    unit = p.omega_b_hz
    c = p.G_c_hz / p.g_c_hz
    b = 1j * p.g_c_hz / unit * c**2 / (1j + p.gamma_b / 2)
    return np.array([c, b, g_1 * unit / p.g_hz, p.G_2_hz / p.g_hz, g_m * unit / p.g_hz])


def motion(p, alpha):
    """Mean-field equations (3) with (2), drives as Eq. (6) corrected."""
    c, b, a1, a2, m = alpha
    steady = means(p)
    g_c, g = p.g_c_hz / p.omega_b_hz, p.g_hz / p.omega_b_hz
    bare = p.delta_c + 2 * g_c * steady[1].real
    epsilon = (1j * p.delta_c + p.kappa_c / 2) * steady[0]
    epsilon_2 = p.kappa_a / 2 * steady[3] + 1j * g * steady[2] * np.conj(steady[4])
    light = np.sqrt(p.kappa_c) * c - epsilon / np.sqrt(p.kappa_c)
    return np.array(
        [
            -(1j * bare + p.kappa_c / 2) * c + 2j * g_c * c * b.real + epsilon,
            -(1j + p.gamma_b / 2) * b + 1j * g_c * abs(c) ** 2,
            -(1j * p.delta_1 + p.kappa_a / 2) * a1
            - 1j * g * a2 * m
            + np.sqrt(p.eta * p.kappa_a) * light,
            -p.kappa_a / 2 * a2 - 1j * g * a1 * np.conj(m) + epsilon_2,
            -(1j * p.delta_1 + p.gamma_m / 2) * m - 1j * g * a1 * np.conj(a2),
        ]
    )


def jacobian(p):
    """Central differences over (x, p) of every mode; exact but for rounding, as motion is cubic."""
    steady, columns = means(p), []
    for place in range(10):
        step = np.zeros(5, complex)
        step[place // 2] = (1j if place % 2 else 1) / np.sqrt(2)
        slope = (motion(p, steady + step) - motion(p, steady - step)) / 2
        columns.append(np.stack([slope.real, slope.imag], -1).ravel() * np.sqrt(2))
    return np.array(columns).T


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"E_cb": 0.1039338278, "E_a1b": 0.2400110689, "E_mb": 0.1978932897}),
        (
            {"delta_c": 0.75, "eta": 0.9},
            {"E_cb": 0.0983601257, "E_a1b": 0.2171207339, "E_mb": 0.1870131587},
        ),
    ],
)
def test_reference_points_to_eight_digits(changes, expected):
    results = point(get("fan2026_cascade"), **changes)
    for name, value in expected.items():
        assert results[name] == pytest.approx(value, rel=1e-8), name


def test_mean_couplings_of_the_reference_point():
    results = point(get("fan2026_cascade"))
    assert results["G_1_hz"] == pytest.approx(0.617837e6 - 0.033782e6j, abs=1.0)
    assert results["G_m_hz"] == pytest.approx(0.172063e6 - 0.053150e6j, abs=1.0)


@pytest.mark.parametrize("changes", [{}, ODD])
def test_means_are_a_fixed_point_of_the_corrected_equations(changes):
    p = Fan2026Cascade(**changes)
    rates = motion(p, means(p))
    assert np.max(np.abs(rates)) < 1e-10 * np.max(np.abs(means(p)))


@pytest.mark.parametrize("changes", [{}, ODD])
def test_drift_is_the_jacobian_of_the_nonlinear_equations(changes):
    p = Fan2026Cascade(**changes)
    np.testing.assert_allclose(linear(p).drift, jacobian(p), atol=2e-9)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_noise_keeps_the_commutators_and_follows_the_corrected_equation_8(eta):
    p = Fan2026Cascade(eta=eta, kappa_a=1.0)
    model = linear(p)
    assert noise_margin(model.drift, model.diffusion) > -1e-12
    assert model.diffusion[0, 4] == pytest.approx(-0.5 * np.sqrt(eta * 2.0))
    assert model.diffusion[4, 4] == pytest.approx(0.5)


def test_entanglement_does_not_know_the_phases_of_the_drives():
    p = Fan2026Cascade(**ODD)
    c, _, a1, a2, m = means(p)
    turn, other = np.exp(0.7j), np.exp(-1.9j)
    turned = {"c": c * turn, "a1": a1 * turn, "a2": a2 * other, "m": m * turn / other}
    pairs = [("c", "b"), ("a1", "b"), ("m", "b")]
    there, here = steady_state(network(p).build(turned)), steady_state(linear(p))
    for pair in pairs:
        expected = log_negativity(here.of(*pair))
        assert log_negativity(there.of(*pair)) == pytest.approx(expected, rel=1e-10)


def test_drives_of_the_powers_make_the_couplings():
    p = Fan2026Cascade()
    first, _ = drive_powers(p)
    photon = 6.62607015e-34 * 299792458 / 1550e-9
    kappa, detuning = 2 * np.pi * 20e6, 2 * np.pi * 10e6
    photons = kappa * first / (photon * (kappa**2 / 4 + detuning**2))
    assert 100 * np.sqrt(photons) == pytest.approx(3e6)


def test_the_second_drive_holds_the_mean_of_a2_against_decay_and_scattering():
    p = Fan2026Cascade(**ODD)
    unit, (_, second) = 2 * np.pi * p.omega_b_hz, drive_powers(p)
    _, _, a1, a2, m = means(p)
    rest = -p.kappa_a / 2 * a2 - 1j * p.g_hz / p.omega_b_hz * a1 * np.conj(m)
    photon = 6.62607015e-34 * 299792458 / p.wavelength
    assert second == pytest.approx(photon * unit * abs(rest) ** 2 / p.kappa_a, rel=1e-9)


def test_without_a_link_nothing_remote_is_entangled():
    results = point(get("fan2026_cascade"), eta=0.0)
    assert results["E_a1b"] == results["E_mb"] == 0
    assert results["E_cb"] > 0.1


def test_undamped_resonant_mechanics_are_refused():
    with pytest.raises(ValueError, match="`gamma_m` must be > 0 where `delta_1` is 0"):
        point(get("fan2026_cascade"), gamma_m=0.0, delta_1=0.0)
