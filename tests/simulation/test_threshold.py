"""Click statistics against inclusion–exclusion in 80 digits."""

import itertools

import mpmath as mp
import numpy as np
import pytest

from simulation.theory import gaussian
from simulation.theory.threshold import CLICK, FREE, SILENT, click_tensor


def random_state(rng, scale, mean):
    """Pairs of squeezed and noisy modes whose occupations are about `scale`."""
    x = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
    kernel = scale * x @ x.conj().T / 8
    pairs = np.sqrt(scale) * (rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2))) / 5
    kernel[:2, 2:], kernel[2:, :2] = pairs, pairs.conj().T
    kernel = (kernel + kernel.conj().T) / 2
    amplitude = mean * np.sqrt(scale) * (rng.normal(size=4) + 1j * rng.normal(size=4))
    return kernel, amplitude


@pytest.mark.parametrize("scale", [1.0, 1e-2, 1e-4, 1e-6, 1e-9])
@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_every_pattern_holds_1e_12_down_to_1e_20(scale, mean, exact_pattern):
    rng = np.random.default_rng(3)
    kernel, amplitude = random_state(rng, scale, mean)
    dark = scale * np.array([0.0, 1e-3, 0.1, 1e-6])
    outcomes = click_tensor(kernel, amplitude, dark)
    with mp.workdps(80):
        for clicks in itertools.product((0, 1), repeat=4):
            exact = exact_pattern(kernel, amplitude, dark, clicks)
            value = outcomes[tuple(CLICK if click else SILENT for click in clicks)]
            assert abs(value / exact - 1) < 1e-12


def test_smallest_probability_of_the_test_above_is_below_1e_20():
    kernel, amplitude = random_state(np.random.default_rng(3), 1e-9, 0.0)
    assert 0 < click_tensor(kernel, amplitude, np.zeros(4))[(CLICK,) * 4] < 1e-17


def test_a_thermal_mode_clicks_with_n_over_n_plus_1():
    n = np.array([1e-18, 0.3, 1e3])
    outcomes = click_tensor(n[:, None, None], np.zeros(1), np.zeros(1))
    np.testing.assert_allclose(outcomes[CLICK], n / (n + 1), rtol=1e-15)
    np.testing.assert_allclose(outcomes[SILENT], 1 / (n + 1), rtol=1e-15)


def test_coherent_light_clicks_independently():
    mean = np.sqrt([0.2, 1e-9])
    outcomes = click_tensor(np.zeros((2, 2)), mean, np.zeros(2))
    single = -np.expm1(-(mean**2))
    np.testing.assert_allclose(outcomes[CLICK, CLICK], single.prod(), rtol=1e-15)


def test_darks_alone_click_independently():
    outcomes = click_tensor(np.zeros((2, 2)), np.zeros(2), [1e-7, 0.3])
    assert outcomes[CLICK, CLICK] == pytest.approx(3e-8, rel=1e-15)
    assert outcomes[CLICK, FREE] == pytest.approx(1e-7, rel=1e-15)


def test_free_means_whatever_the_detector_does():
    kernel, amplitude = random_state(np.random.default_rng(5), 0.1, 0.3)
    outcomes = click_tensor(kernel, amplitude, np.full(4, 1e-3))
    np.testing.assert_allclose(outcomes[FREE], outcomes[SILENT] + outcomes[CLICK], rtol=1e-14)
    assert outcomes[FREE, FREE, FREE, FREE] == 1


def test_two_mode_squeezed_vacuum_matches_the_covariance_formula():
    cov = gaussian.apply(gaussian.vacuum(2), gaussian.two_mode_squeezing(0.4, 0.7))
    n, m = gaussian.number_moments(cov), gaussian.anomalous_moments(cov)
    kernel = np.array([[n[0, 0], m[0, 1]], [m[0, 1].conj(), n[1, 1]]])
    outcomes = click_tensor(kernel, np.zeros(2), np.zeros(2))
    both = np.linalg.det(cov + np.eye(4) / 2) ** -0.5
    assert outcomes[SILENT, SILENT] == pytest.approx(both, rel=1e-14)
    assert outcomes[CLICK, SILENT] == pytest.approx(0, abs=1e-16)


def test_batches_of_any_length_equal_single_points():
    rng = np.random.default_rng(11)
    states = [random_state(rng, 1e-3, 0.2) for _ in range(2)]
    together = click_tensor(
        np.stack([k for k, _ in states]), np.stack([a for _, a in states]), np.zeros(4)
    )
    for index, (kernel, amplitude) in enumerate(states):
        alone = click_tensor(kernel, amplitude, np.zeros(4))
        np.testing.assert_allclose(together[..., index], alone, rtol=1e-13)


def test_mismatched_shapes_are_refused():
    with pytest.raises(ValueError, match=r"but have \(3, 3\), \(2,\), \(3,\)"):
        click_tensor(np.eye(3), np.zeros(2), np.zeros(3))
