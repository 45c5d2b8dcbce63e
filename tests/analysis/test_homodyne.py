"""Duan and EPR from samples of known Gaussian states."""

import numpy as np
import pytest

from analysis.homodyne import homodyne_witness, pulses_for, variance


def pulses(n_s, n_m, cross, number, seed):
    """Quadratures of a pair with ⟨s m⟩ = cross, in x and (other pulses) in p."""
    rng = np.random.default_rng(seed)
    a, b = n_s + 0.5, n_m + 0.5
    x = rng.multivariate_normal([0, 0], [[a, cross], [cross, b]], number)
    p = rng.multivariate_normal([0, 0], [[a, -cross], [-cross, b]], number)
    return x[:, 0], x[:, 1], p[:, 0], p[:, 1]


def test_estimates_agree_with_the_state():
    n_s, n_m, cross = 0.3, 0.5, 0.6
    found = homodyne_witness(*pulses(n_s, n_m, cross, 200_000, 1))
    duan = 1 + n_s + n_m - 2 * cross
    assert abs(found.duan.value - duan) < 4 * duan / np.sqrt(200_000)
    epr = 2 * (n_m + 0.5 - cross**2 / (n_s + 0.5))
    assert abs(found.epr_b_a.value - epr) < 4 * epr / np.sqrt(200_000)
    assert found.duan.low < duan < found.duan.high


def test_duan_intervals_hold_the_truth_at_least_as_often_as_they_say():
    duan = 1 + 0.3 + 0.5 - 1.2
    held = 0
    for seed in range(200):
        found = homodyne_witness(*pulses(0.3, 0.5, 0.6, 12, seed), level=0.68)
        held += found.duan.low <= duan <= found.duan.high
    assert held / 200 >= 0.68 - 3 * np.sqrt(0.68 * 0.32 / 200)


def test_variance_interval_is_exact_for_two_samples():
    """χ² of one degree of freedom: ends of (Δ²/2)/χ²."""
    found = variance([0.0, 1.0], 0.68)
    assert found.value == pytest.approx(0.5)
    assert found.low == pytest.approx(0.5 / 1.9742**1, rel=0.01)
    assert found.high == pytest.approx(0.5 / 0.040705, rel=0.01)


def test_pulses_for_the_deficit_of_device_a():
    """0.705e-3 below 1 at 3 σ takes some 2e7 pulses of each quadrature."""
    assert pulses_for(1 - 7.05e-4) == pytest.approx(1.81e7, rel=0.01)
    with pytest.raises(ValueError, match="between 0 and 1"):
        pulses_for(1.2)


def test_samples_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="same pulses"):
        homodyne_witness([1.0, 2.0], [1.0], [1.0], [1.0])
    with pytest.raises(ValueError, match="at least 2"):
        variance([1.0])
    with pytest.raises(ValueError, match="finite"):
        variance([1.0, np.nan])
