"""Heralding: photon subtraction, silence, dim light, and consistency of all outcomes."""

import numpy as np
import pytest
from scipy.special import gammaln

from simulation.theory import gaussian
from simulation.theory.heralding import heralded


def pairs(r, phase=0.0):
    return gaussian.apply(gaussian.vacuum(2), gaussian.two_mode_squeezing(r, phase))


def test_a_click_on_dim_pairs_heralds_one_quantum_at_any_rate():
    r = np.array([1e-3, 0.01, 0.1])
    state = heralded(pairs(r), [0], clicked=[1])
    np.testing.assert_allclose(state.probability, np.tanh(r) ** 2, rtol=1e-9)
    np.testing.assert_allclose(gaussian.occupation(state.cov)[:, 0], np.cosh(r) ** 2, rtol=1e-9)


def test_silence_on_one_of_a_pair_leaves_vacuum():
    state = heralded(pairs(0.8), [0], silent=[1])
    assert state.probability == pytest.approx(1 / np.cosh(0.8) ** 2)
    np.testing.assert_allclose(state.cov, gaussian.vacuum(1), atol=1e-14)


def test_click_and_silence_add_up_to_no_measurement():
    cov = gaussian.apply(gaussian.thermal([0.4, 0.7]), gaussian.two_mode_squeezing(0.5, 1.0))
    options = {"efficiency": 0.3, "dark": 0.02}
    click = heralded(cov, [0], clicked=[1], **options)
    quiet = heralded(cov, [0], silent=[1], **options)
    assert click.probability + quiet.probability == pytest.approx(1)
    mixed = click.probability * click.cov + quiet.probability * quiet.cov
    np.testing.assert_allclose(mixed, gaussian.reduce(cov, [0]), rtol=1e-12)


def test_two_clicks_and_a_silence_are_part_of_all_outcomes():
    mix = gaussian.beam_splitter(0.4, 0.3)
    cov = gaussian.thermal([0.5, 0.3, 0.9, 0.2])
    cov = gaussian.apply(cov, gaussian.two_mode_squeezing(0.6), [0, 1])
    cov = gaussian.apply(gaussian.apply(cov, mix, [1, 2]), mix, [2, 3])
    total, moments = 0.0, np.zeros((2, 2))
    for bits in np.ndindex(2, 2, 2):
        clicked = [mode + 1 for mode in range(3) if bits[mode]]
        silent = [mode + 1 for mode in range(3) if not bits[mode]]
        state = heralded(cov, [0], clicked=clicked, silent=silent, dark=0.01)
        total += state.probability
        moments += state.probability * state.cov
    assert total == pytest.approx(1)
    np.testing.assert_allclose(moments, gaussian.reduce(cov, [0]), rtol=1e-10, atol=1e-15)


def test_dark_clicks_herald_nothing():
    state = heralded(pairs(0.5), [0], clicked=[1], efficiency=0.0, dark=1e-6)
    assert state.probability == pytest.approx(1e-6)
    np.testing.assert_allclose(state.cov, gaussian.reduce(pairs(0.5), [0]))


@pytest.mark.parametrize("r", [1e-2, 1e-4])
def test_three_rare_clicks_herald_one_quantum_each(r):
    """Three pairs of sinh² r quanta: a probability of 1e-12 and 1e-24."""
    cov = gaussian.vacuum(6)
    for k in range(3):
        cov = gaussian.apply(cov, gaussian.two_mode_squeezing(r), [k, k + 3])
    state = heralded(cov, [0, 1, 2], clicked=[3, 4, 5])
    # the quanta V − 1/2 are held to 1e-16/r²
    assert state.probability == pytest.approx(np.tanh(r) ** 6, rel=1e-15 / r**2)
    np.testing.assert_allclose(gaussian.occupation(state.cov), np.cosh(r) ** 2, rtol=1e-15 / r**2)


def test_a_click_on_one_half_of_squeezed_light_leaves_what_number_states_say():
    """Single-mode squeezed vacuum, split 50/50: an amplitude Σ c_n |2n⟩ through the splitter."""
    r, cutoff = 0.5, 60
    even = np.arange(0, cutoff, 2)
    c = np.zeros(cutoff)
    for n in even:
        log = 0.5 * gammaln(n + 1) - n / 2 * np.log(2) - gammaln(n / 2 + 1)
        c[n] = np.exp(log) * np.tanh(r) ** (n / 2) / np.sqrt(np.cosh(r))
    total = np.arange(cutoff)
    mean = c**2 @ (total / 2)
    silent = np.sum(c**2 * 0.5**total)
    kept_silent = np.sum(c**2 * 0.5**total * total)
    squeezed = gaussian.apply(gaussian.vacuum(1), np.diag([np.exp(r), np.exp(-r)]))
    cov = np.zeros((4, 4))
    cov[:2, :2], cov[2:, 2:] = squeezed, gaussian.vacuum(1)
    state = heralded(gaussian.apply(cov, gaussian.beam_splitter(0.5)), [0], clicked=[1])
    assert state.probability == pytest.approx(1 - silent, rel=1e-12)
    expected = (mean - kept_silent) / (1 - silent)
    assert gaussian.occupation(state.cov)[0] == pytest.approx(expected, rel=1e-12)


def test_displaced_light_heralds_means():
    """Coherent light alone: clicks are independent and leave its mean as it was."""
    mean = np.sqrt(2) * np.array([0.3, 0.1, 1e-4, 0.0, 0.0, 2e-4])
    state = heralded(gaussian.vacuum(3), [0], clicked=[1, 2], efficiency=0.5, mean=mean)
    clicks = -np.expm1(-0.5 * np.array([1e-8, 4e-8]))
    assert state.probability == pytest.approx(clicks.prod(), rel=1e-13)
    np.testing.assert_allclose(state.mean, mean[:2], rtol=1e-13)
    np.testing.assert_allclose(state.cov, gaussian.vacuum(1), atol=1e-15)


def test_displaced_pairs_agree_with_all_outcomes():
    cov = gaussian.apply(gaussian.thermal([0.4, 0.7]), gaussian.two_mode_squeezing(0.5, 1.0))
    mean = np.array([0.3, -0.2, 0.5, 0.8])
    options = {"efficiency": 0.3, "dark": 0.02, "mean": mean}
    click = heralded(cov, [0], clicked=[1], **options)
    quiet = heralded(cov, [0], silent=[1], **options)
    total, moments = np.zeros(2), np.zeros((2, 2))
    for state in (click, quiet):
        total += state.probability * state.mean
        moments += state.probability * (state.cov + np.outer(state.mean, state.mean))
    assert click.probability + quiet.probability == pytest.approx(1)
    np.testing.assert_allclose(total, mean[:2], rtol=1e-12)
    np.testing.assert_allclose(
        moments, gaussian.reduce(cov, [0]) + np.outer(mean[:2], mean[:2]), rtol=1e-12
    )


def test_impossible_and_doubled_patterns_are_refused():
    with pytest.raises(ValueError, match="must be possible"):
        heralded(gaussian.vacuum(2), [0], clicked=[1])
    with pytest.raises(ValueError, match="must be distinct modes"):
        heralded(gaussian.thermal([0.0, 1e-5]), [0], clicked=[0])
