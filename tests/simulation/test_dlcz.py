"""The DLCZ model against step-by-step Gaussian maps and extended precision, and its symmetries."""

from dataclasses import fields, replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simulation.theory import gaussian
from simulation.theory.dlcz import (
    DLCZParameters,
    click_probabilities,
    detected_state,
    g2_clicks,
    pair_clicks,
    riedinger2018,
)

M_A, S_A, R_A, M_B, S_B, R_B = range(6)


def after_read(p, cov, device, modes, pump_phase):
    """One device through pump, delay, heating, read and its path to the combiner."""
    m, s, r = modes

    def value(name):
        return getattr(p, f"{name}_{device}")

    squeezing = np.arcsinh(np.sqrt(value("p_pump")))
    cov = gaussian.apply(cov, gaussian.two_mode_squeezing(squeezing, pump_phase), [m, s])
    cov = gaussian.loss(cov, np.exp(-p.delay / value("lifetime")), [m], value("n_env"))
    cov = gaussian.add_noise(cov, value("n_heat"), [m])
    cov = gaussian.apply(cov, gaussian.beam_splitter(1 - value("p_read")), [r, m])
    return gaussian.loss(cov, value("eta"), [s, r])


def step_by_step(p):
    """Covariance of (p1, p2, r1, r2) from one symplectic map after another."""
    cov = gaussian.thermal([p.n_0_A, 0, 0, p.n_0_B, 0, 0])
    cov = after_read(p, cov, "A", (M_A, S_A, R_A), 0.0)
    cov = after_read(p, cov, "B", (M_B, S_B, R_B), p.phi_0)
    read_phase = 2 * np.pi * p.delta_omega_hz * p.delay + p.phi_0 + p.delta_phi
    cov = gaussian.apply(cov, gaussian.phase_rotation(read_phase), [R_B])
    for a, b in ((S_A, S_B), (R_A, R_B)):
        cov = gaussian.apply(cov, gaussian.beam_splitter(p.splitting), [a, b])
    for j, s, r in ((1, S_A, R_A), (2, S_B, R_B)):
        cov = gaussian.loss(cov, getattr(p, f"eta_{j}"), [s, r])
        cov = gaussian.add_noise(cov, getattr(p, f"leak_pump_{j}"), [s])
        cov = gaussian.add_noise(cov, getattr(p, f"leak_read_{j}"), [r])
    return gaussian.reduce(cov, [S_A, S_B, R_A, R_B])


def test_detected_state_is_the_protocol_step_by_step(noisy):
    state, cov = detected_state(noisy()), step_by_step(noisy())
    number, anomalous = gaussian.number_moments(cov), gaussian.anomalous_moments(cov)
    np.testing.assert_allclose(state.pump, number[:2, :2], atol=1e-14)
    np.testing.assert_allclose(state.read, number[2:, 2:], atol=1e-14)
    # the swap's own quarter period is common to both devices and left out of the model
    np.testing.assert_allclose(1j * state.pump_read, anomalous[:2, 2:], atol=1e-14)


@pytest.mark.parametrize("changes", [{}, {"splitting": 0.5, "coherent_read_1": 0.0}, {"eta_1": 1}])
def test_click_patterns_hold_1e_12_against_80_digits(noisy, exact_pattern, changes):
    assert_patterns_exact(noisy(**changes), exact_pattern)


def test_click_patterns_of_the_paper_hold_1e_12_against_80_digits(exact_pattern):
    assert_patterns_exact(riedinger2018(), exact_pattern)


def test_click_patterns_below_1e_20_hold_1e_12_against_80_digits(noiseless, exact_pattern):
    faint = noiseless(p_pump_A=1e-7, p_pump_B=1e-7, eta_1=0.01, eta_2=0.02, delta_phi=0.3)
    assert click_probabilities(faint).patterns[1, 1, 1, 1] < 1e-20
    assert_patterns_exact(faint, exact_pattern)


@pytest.mark.parametrize(
    "changes",
    [{}, {"contrast": 1.0, "phase_noise": 1e-4}, {"blindness": 1.0}, {"afterpulse": 1e-9}],
)
def test_lying_clicks_hold_1e_12_against_80_digits(lying, exact_pattern, changes):
    assert_patterns_exact(lying(**changes), exact_pattern)


def test_lies_of_1e_10_on_the_papers_clicks_hold_1e_12(exact_pattern):
    faint = dict.fromkeys(("afterpulse", "blindness", "crosstalk"), 1e-10)
    assert_patterns_exact(replace(riedinger2018(), contrast=1 - 1e-10, **faint), exact_pattern)


def assert_patterns_exact(parameters, exact_pattern):
    clicks = click_probabilities(parameters)
    with mp.workdps(80):
        exact = exact_patterns(parameters, exact_pattern)
        for pattern in np.ndindex(2, 2, 2, 2):
            assert abs(clicks.patterns[pattern] / exact[pattern] - 1) < 1e-12
        for mode in range(4):
            single = mp.fsum(p for pattern, p in exact.items() if pattern[mode])
            assert abs(clicks.singles[mode] / single - 1) < 1e-12
        for i, j in np.ndindex(2, 2):
            both = mp.fsum(p for pattern, p in exact.items() if pattern[j] and pattern[2 + i])
            assert abs(clicks.coincidences[i, j] / both - 1) < 1e-12


def exact_patterns(parameters, exact_pattern):
    """Patterns in mpmath: θ and θ + π mixed, then every accident of the detectors' memory."""
    left = parameters.contrast * mp.exp(-(mp.mpf(parameters.phase_noise) ** 2) / 2)
    there = replace(parameters, delta_phi=parameters.delta_phi + np.pi)
    mixed = dict.fromkeys(np.ndindex(2, 2, 2, 2), mp.mpf(0))
    for one, weight in ((parameters, (1 + left) / 2), (there, (1 - left) / 2)):
        state = detected_state(one)
        mean = np.concatenate([[0, 0], state.read_amplitude])
        dark = np.tile(one.per_detector("dark"), 2)
        for pattern in mixed:
            mixed[pattern] += weight * exact_pattern(state.kernel, mean, dark, pattern)
    remembered = dict.fromkeys(mixed, mp.mpf(0))
    for (p1, p2, r1, r2), probability in mixed.items():
        for accidents in np.ndindex(2, 2, 2, 2, 2, 2):
            chance = mp.fprod(
                mp.mpf(value) if happens else 1 - mp.mpf(value)
                for happens, value in zip(
                    accidents,
                    2 * [parameters.blindness, parameters.afterpulse, parameters.crosstalk],
                    strict=True,
                )
            )
            blind_1, after_1, cross_1, blind_2, after_2, cross_2 = accidents
            seen_1 = (r1 and not (p1 and blind_1)) or (p1 and after_1) or (p2 and cross_1)
            seen_2 = (r2 and not (p2 and blind_2)) or (p2 and after_2) or (p1 and cross_2)
            remembered[p1, p2, int(bool(seen_1)), int(bool(seen_2))] += probability * chance
    return remembered


def test_contrast_and_phase_noise_damp_the_fringe_alike(noiseless):
    def fringe(**changes):
        g = g2_clicks(noiseless(delta_phi=np.array([0.0, np.pi]), **changes))
        return g[0, 1, 0] - g[1, 1, 0]

    assert fringe(contrast=0.8) / fringe() == pytest.approx(0.8, rel=1e-9)
    assert fringe(phase_noise=0.5) / fringe() == pytest.approx(np.exp(-0.125), rel=1e-9)
    assert fringe(contrast=0.0) == pytest.approx(0, abs=1e-9)


def test_memory_of_independent_light_makes_the_correlations_that_fool(noiseless):
    """Coherent-like light: g² = 1 + a/P, 1 − b, 1 + x/P to leading order."""
    light = {"p_read_A": 0, "p_read_B": 0, "leak_read_1": 1e-5, "leak_read_2": 1e-5}
    a, b, x = 3e-5, 0.3, 2e-5
    read = click_probabilities(noiseless(**light)).singles[2]
    after = g2_clicks(noiseless(**light, afterpulse=a))
    blind = g2_clicks(noiseless(**light, blindness=b))
    cross = g2_clicks(noiseless(**light, crosstalk=x))
    np.testing.assert_allclose(np.diag(after), 1 + a / read, rtol=3e-3)
    np.testing.assert_allclose(np.diag(blind), 1 - b, rtol=1e-3)
    np.testing.assert_allclose([cross[0, 1], cross[1, 0]], 1 + x / read, rtol=3e-3)
    np.testing.assert_allclose([after[0, 1], blind[0, 1], cross[0, 0]], 1, rtol=3e-3)


def test_prompt_heating_is_heat_before_the_pump_that_decays(noisy):
    warm = click_probabilities(noisy(n_prompt_A=0.05)).patterns
    same = click_probabilities(noisy(n_0_A=noisy().n_0_A + 0.05)).patterns
    np.testing.assert_allclose(warm, same, rtol=1e-13)


def test_joint_clicks_are_those_of_the_covariance_matrix_step_by_step(noisy):
    """Silent modes S of a Gaussian state without displacement: P = 1/√det(V_S + 1/2)."""
    parameters = noisy(
        **dict.fromkeys(("dark_1", "dark_2", "coherent_read_1", "coherent_read_2"), 0)
    )
    cov, patterns = step_by_step(parameters), click_probabilities(parameters).patterns
    for silent in np.ndindex(2, 2, 2, 2):
        modes = np.flatnonzero(silent).tolist()
        block = gaussian.reduce(cov, modes) + 0.5 * np.eye(2 * len(modes))
        free = tuple(0 if quiet else slice(None) for quiet in silent)
        expected = 1 / np.sqrt(np.linalg.det(block)) if modes else 1.0
        assert patterns[free].sum() == pytest.approx(expected, rel=1e-12)


def test_passage_acts_by_gate_device_and_detector(noiseless):
    only_b = noiseless(eta_A=0.0, eta_1=0.0)
    passage = np.ones((2, 2, 2))
    passage[0, 0, 1] = 0.0  # Stokes light of A on its way to detector 2
    blocked = detected_state(noiseless(), passage)
    assert blocked.pump[1, 1] == pytest.approx(detected_state(only_b).pump[1, 1], rel=1e-12)
    assert blocked.pump[0, 0] == detected_state(noiseless()).pump[0, 0]
    np.testing.assert_array_equal(blocked.read, detected_state(noiseless()).read)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(heat=st.floats(0, 1), eta=st.floats(0.01, 1), leak=st.floats(0, 0.1), dark=st.floats(0, 0.1))
def test_marginals_are_sums_of_the_patterns(noisy, heat, eta, leak, dark):
    c = click_probabilities(noisy(n_heat_A=heat, eta_1=eta, leak_pump_2=leak, dark_1=dark))
    assert c.patterns.min() >= 0
    assert c.patterns.sum() == pytest.approx(1, abs=1e-12)
    assert c.patterns[:, 1].sum() == pytest.approx(c.singles[1], rel=1e-12)
    assert c.patterns[:, 1, 1].sum() == pytest.approx(c.coincidences[0, 1], rel=1e-12)


def test_batches_equal_single_points(noisy):
    delays = np.array([0.0, 50e-9, 1e-6])
    phases = np.array([0.0, 1.0])[:, None]
    batch = click_probabilities(noisy(delay=delays, delta_phi=phases)).patterns
    assert batch.shape == (2, 3, 2, 2, 2, 2)
    alone = click_probabilities(noisy(delay=1e-6, delta_phi=1.0)).patterns
    np.testing.assert_allclose(batch[1, 2], alone, rtol=1e-12)


def swapped(p, first, second):
    """Parameters of `first` and `second` (devices or detectors) exchanged."""
    exchange = str.maketrans(first + second, second + first)
    named = [
        name for name in DLCZParameters.quantities() if name.endswith((f"_{first}", f"_{second}"))
    ]
    return replace(
        p, **{name: getattr(p, name[:-1] + name[-1].translate(exchange)) for name in named}
    )


def reversed_phases(p):
    phases = ("phi_0", "delta_phi", "delta_omega_hz")
    return replace(p, **{name: -getattr(p, name) for name in phases})


def test_swapping_devices_at_a_balanced_combiner_changes_nothing(noisy):
    p = noisy(splitting=0.5)
    mirrored = reversed_phases(swapped(p, "A", "B"))
    np.testing.assert_allclose(g2_clicks(mirrored), g2_clicks(p), rtol=1e-12)


def test_swapping_devices_and_detectors_relabels_the_patterns(noisy):
    mirrored = reversed_phases(swapped(swapped(noisy(), "A", "B"), "1", "2"))
    patterns = click_probabilities(noisy()).patterns.transpose(1, 0, 3, 2)
    np.testing.assert_allclose(click_probabilities(mirrored).patterns, patterns, rtol=1e-12)


def test_every_parameter_is_described(noisy):
    assert {entry.name for entry in fields(DLCZParameters)} == set(DLCZParameters.quantities())
    assert noisy(delay=np.zeros((3, 1)), phi_0=np.zeros(4)).shape == (3, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eta_A": 1.2}, r"`eta_A` must lie in \[0, 1\], but is 1.2"),
        ({"n_0_B": -1e-3}, "`n_0_B` must be finite and ≥ 0, but is -0.001"),
        ({"lifetime_A": 0}, "`lifetime_A` must be > 0"),
        ({"delta_phi": np.nan}, "`delta_phi` must be finite, but is nan"),
        ({"delay": [1e-9, -1e-9]}, "`delay` must be finite and ≥ 0, but is -1e-09"),
        ({"splitting": "half"}, "`splitting` must be a number"),
        ({"delay": np.zeros(2), "phi_0": np.zeros(3)}, "must broadcast against each other"),
    ],
)
def test_illegal_parameters_are_refused_by_name(noisy, changes, message):
    with pytest.raises(ValueError, match=message):
        noisy(**changes)


@pytest.mark.parametrize(
    "changed",
    [
        {"delta_phi": np.linspace(0, 6, 7)[:, None], "coherent_read_2": np.array([0, 1e-5])},
        {"contrast": np.array([0.8, 0.9]), "splitting": 0.48},
        {"blindness": 0.1, "crosstalk": np.array([0.0, 0.01])},
    ],
)
def test_pairs_alone_click_as_in_the_full_patterns(changed):
    p = replace(riedinger2018(), **changed)
    full, pairs = click_probabilities(p), pair_clicks(p)
    np.testing.assert_allclose(pairs.singles, full.singles, rtol=1e-13)
    np.testing.assert_allclose(pairs.coincidences, full.coincidences, rtol=1e-13)
