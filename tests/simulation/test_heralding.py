"""Heralding: photon subtraction, silence, dim light, and consistency of all outcomes."""

import numpy as np
import pytest

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


def test_impossible_rare_and_doubled_patterns_are_refused():
    with pytest.raises(ValueError, match="must be possible"):
        heralded(gaussian.vacuum(2), [0], clicked=[1])
    cov = gaussian.thermal([0.0, 1e-5, 1e-5])
    with pytest.raises(ValueError, match="probability above"):
        heralded(cov, [0], clicked=[1, 2])
    with pytest.raises(ValueError, match="must be distinct modes"):
        heralded(cov, [0], clicked=[0])
