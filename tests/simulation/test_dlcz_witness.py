"""g², witnesses and fringe of the DLCZ model: exact cases."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.theory.dlcz import (
    detected_state,
    fringe_phase,
    g2_clicks,
    g2_moments,
    measurable_witness,
    riedinger2018,
    symmetrised_witness,
    true_witness,
    visibility,
)


def test_one_lossless_device_shows_two_mode_squeezed_vacuum(noiseless):
    alone = {"p_pump_A": 0.02, "p_pump_B": 0, "splitting": 1.0, "eta_A": 1, "p_read_A": 1}
    g = g2_moments(noiseless(**alone, leak_pump_2=1e-3, leak_read_2=1e-3))
    assert g[0, 0] == pytest.approx(2 + 1 / 0.02, rel=1e-12)
    np.testing.assert_allclose([g[0, 1], g[1, 0], g[1, 1]], 1, rtol=1e-12)


@pytest.mark.parametrize("n_0", [0.0, 0.02, 0.4])
def test_thermal_mechanics_lower_the_cross_correlation(noiseless, n_0):
    p = 0.01
    g = g2_moments(noiseless(n_0_A=n_0, n_0_B=n_0, n_env_A=n_0, n_env_B=n_0))
    exact = 1 + (1 + p) * (1 + n_0) / (n_0 + p * (1 + n_0))
    np.testing.assert_allclose(g, [[1, exact], [exact, 1]], rtol=1e-12)


def test_light_uncorrelated_with_the_herald_has_g2_of_one(noiseless):
    p = noiseless(p_read_A=0, p_read_B=0, leak_read_1=0.1, coherent_read_2=0.2)
    np.testing.assert_allclose(g2_moments(p), 1, rtol=1e-12)
    np.testing.assert_allclose(g2_clicks(p), 1, rtol=1e-12)


def test_threshold_g2_tends_to_the_moments_at_low_efficiency(noiseless):
    weak = noiseless(n_heat_A=0.3, eta_1=1e-8, eta_2=1e-8, delta_phi=0.5)
    np.testing.assert_allclose(g2_clicks(weak), g2_moments(weak), rtol=1e-7)


def test_small_occupations_follow_equation_s2(noiseless):
    # single device: g² ≈ 1 + e^{−Γt}/(n_th + p e^{−Γt}), leading order in small numbers
    p = noiseless(
        splitting=1.0,
        p_pump_A=1e-4,
        n_heat_A=1e-3,
        lifetime_A=4e-6,
        delay=1e-6,
        leak_pump_2=1e-3,
        leak_read_2=1e-3,
    )
    survival = np.exp(-1e-6 / 4e-6)
    expected = 1 + survival / (1e-3 + 1e-4 * survival)
    assert g2_moments(p)[0, 0] == pytest.approx(expected, rel=2e-4)


FAINT = {"eta_1": 1e-14, "eta_2": 1e-14}
"""Heralds so faint that a click has the weight p†p of Eq. (S1)."""


@pytest.mark.parametrize("p_pump", [1e-4, 0.01, 0.5])
def test_measured_witness_is_the_true_one_for_identical_noiseless_devices(noiseless, p_pump):
    p = noiseless(p_pump_A=p_pump, p_pump_B=p_pump, **FAINT)
    np.testing.assert_allclose(measurable_witness(g2_moments(p)), true_witness(p), rtol=1e-12)


def test_measured_witness_bounds_the_true_one_over_the_whole_fringe(noiseless):
    p = noiseless(n_heat_A=0.1, n_heat_B=0.1, delta_phi=np.linspace(-1.5, 1.5, 41), **FAINT)
    excess = measurable_witness(g2_moments(p)) / true_witness(p)
    assert np.min(excess) == pytest.approx(1, rel=1e-12)
    assert np.argmin(excess[:, 0]) == 20


def test_flux_imbalance_changes_the_witness_as_derived(noiseless):
    # heralds balanced, read fluxes n (1 ± δ/2): the correction replacing the paper's 1 + δ²/2
    delta, n, pair = 0.1, 0.15, 0.01
    n_a, n_b = n * (1 + delta / 2), n * (1 - delta / 2)
    p = noiseless(n_heat_A=n_a - pair, n_heat_B=n_b - pair, **FAINT)
    x_a, x_b = (1 + pair) / n_a, (1 + pair) / n_b
    expected = (1 + delta / 4 * (x_a - x_b) / (1 + (x_a + x_b) / 2)) / (1 - delta**2 / 4)
    ratio = measurable_witness(g2_moments(p)) / true_witness(p)
    np.testing.assert_allclose(ratio, expected, rtol=1e-12)


def test_true_witness_of_the_paper_is_that_of_its_clicks():
    np.testing.assert_allclose(true_witness(riedinger2018()), [0.435501, 0.431292], atol=5e-7)


def test_true_witness_of_a_click_is_the_difference_of_gaussian_states(noisy):
    p = noisy(coherent_read_1=0.0, coherent_read_2=0.0)
    state, dark = detected_state(p), p.per_detector("dark")
    n_a, n_b = state.mechanics
    for j in (0, 1):
        light, (k_a, k_b) = state.pump[j, j].real, state.pump_mechanics[j]
        silent = (1 - dark[j]) / (1 + light)
        left_a, left_b = (n - abs(k) ** 2 / (1 + light) for n, k in ((n_a, k_a), (n_b, k_b)))
        between = abs(k_a * k_b) / (1 + light)
        joint = (n_a * n_b - silent * (left_a * left_b + between**2)) / (1 - silent)
        expected = joint / (silent * between / (1 - silent)) ** 2
        assert true_witness(p)[j] == pytest.approx(expected, rel=1e-9)


def test_dark_heralds_carry_no_entanglement(noiseless):
    r = true_witness(noiseless(dark_1=np.array([0.0, 1e-4, 1e-1])))
    assert np.all(np.diff(r[:, 0]) > 0)
    assert r[0, 0] < 1 < r[2, 0]
    assert np.all(np.isinf(true_witness(noiseless(eta_1=0.0, dark_1=1e-3))[0]))
    with pytest.raises(ValueError, match="true witness needs clicks of both heralds"):
        true_witness(noiseless(eta_1=0.0))


def test_contrast_enters_the_moments_as_the_clicks(noiseless):
    p = noiseless(contrast=0.6, phase_noise=0.3, delta_phi=0.4, eta_1=1e-8, eta_2=1e-8)
    np.testing.assert_allclose(g2_moments(p), g2_clicks(p), rtol=1e-6)


def test_no_contrast_witnesses_nothing():
    witness = measurable_witness([[1.5, 2.0], [1.5, 3.0]])
    np.testing.assert_array_equal(witness, [np.inf, 16])
    assert symmetrised_witness([0.5, 0.7]) == pytest.approx(0.6)


def test_true_witness_falls_from_pairs_to_noise(noiseless):
    n_heat = np.array([0.0, 0.1, 10.0])
    r = true_witness(noiseless(n_heat_A=n_heat, n_heat_B=n_heat))
    assert np.all(np.diff(r, axis=0) > 0)
    assert np.all(r[0] < 0.05)
    assert np.all(r[2] > 1)


def test_different_detectors_agree_best_and_equal_ones_least_at_zero_phase(noisy):
    p = noisy(splitting=0.5, delta_phi=np.linspace(0, 2 * np.pi, 400))
    g, phase = g2_clicks(p), fringe_phase(p)
    assert np.cos(phase[np.argmax(g[:, 1, 0])]) == pytest.approx(1, abs=1e-3)
    assert np.cos(phase[np.argmin(g[:, 0, 0])]) == pytest.approx(1, abs=1e-3)


def test_the_fringe_is_a_cosine_of_the_phase(noisy):
    p = noisy(delta_phi=np.linspace(0, 2 * np.pi, 60, endpoint=False))
    g, phase = g2_moments(p), fringe_phase(p)
    for i, j, sign in ((1, 0, 1), (0, 1, 1), (0, 0, -1), (1, 1, -1)):
        amplitude = 2 * np.mean(g[:, i, j] * np.cos(phase))
        assert sign * amplitude > 0.01
        fringe = g[:, i, j].mean() + amplitude * np.cos(phase)
        np.testing.assert_allclose(g[:, i, j], fringe, rtol=1e-12)


def test_fringe_repeats_after_two_pi_and_after_one_beat_of_the_devices(noiseless):
    p = noiseless(delta_omega_hz=45e6, delay=100e-9, delta_phi=0.3)
    for shifted in (replace(p, delta_phi=0.3 + 2 * np.pi), replace(p, delay=100e-9 + 1 / 45e6)):
        np.testing.assert_allclose(g2_clicks(shifted), g2_clicks(p), rtol=1e-9)


def test_pump_path_phase_counts_twice(noiseless):
    turned, shifted = noiseless(phi_0=0.2), noiseless(delta_phi=0.4)
    np.testing.assert_allclose(g2_clicks(turned), g2_clicks(shifted), rtol=1e-12)


def test_visibility_of_equal_arms_is_c_over_c_plus_2(noiseless):
    p = noiseless(n_heat_A=0.1, n_heat_B=0.1)
    contrast = g2_moments(p)[1, 0] - 1
    there = visibility(replace(p, delta_phi=1.234), g2_moments)
    assert there == pytest.approx(contrast / (contrast + 2), rel=1e-12)


def test_g2_of_a_gate_that_never_clicks_is_an_error(noiseless):
    with pytest.raises(ValueError, match="undefined where a gate never clicks"):
        g2_clicks(noiseless(eta_1=0))
