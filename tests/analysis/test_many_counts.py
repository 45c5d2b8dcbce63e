"""Posteriors after very many counts: as exact and as quick as after a few hundred."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.correlation import GammaPosterior
from analysis.witness import WitnessPosterior, witness

COUNTS = {"r1p1": 136, "r2p1": 71, "r1p2": 71, "r2p2": 136}


def heralded(factor: int) -> WitnessPosterior:
    """R_m(1) after `factor` times the counts of a short measurement."""
    counts = {pair: number * factor for pair, number in COUNTS.items()}
    pump, read = [500_000 * factor] * 2, [60_000 * factor] * 2
    return witness(counts, pump, read, 1_100_000_000 * factor).detector[1]


@pytest.mark.parametrize("factor", [1, 10**4, 10**8])
def test_quantiles_agree_with_monte_carlo_within_four_sigma(factor: int) -> None:
    rng, n = np.random.default_rng(factor), 400_000
    exposure = 500_000 * 60_000 / 1.1e9 * factor
    a, b = (rng.gamma(COUNTS[p] * factor + 1, 1 / exposure, n) for p in ("r1p1", "r2p1"))
    sampled = 4 * (a + b - 1) / (a - b) ** 2
    quantiles = [0.025, 0.16, 0.5, 0.84, 0.975]
    for q, x in zip(quantiles, heralded(factor).quantile(quantiles), strict=True):
        assert np.mean(sampled < x) == pytest.approx(q, abs=4 * np.sqrt(q * (1 - q) / n))


@pytest.mark.parametrize("factor", [1, 100, 10**5, 10**8, 8 * 10**9])
def test_work_does_not_grow_with_the_counts_and_the_density_stays_normalised(factor: int) -> None:
    panels = heralded(factor).panels
    assert len(panels.low) < 150
    assert panels.total == pytest.approx(1.0, abs=1e-10)


@settings(max_examples=20, deadline=None)
@given(factor=st.integers(10**4, 10**9))
def test_width_falls_as_the_root_of_the_counts(factor: int) -> None:
    few, many = heralded(10**4), heralded(factor)
    ratio = (few.high - few.low) / (many.high - many.low)
    assert ratio == pytest.approx(np.sqrt(factor / 10**4), rel=1e-3)
    assert many.low < many.mode < many.high
    assert many.plugin is not None
    assert abs(many.mode - many.plugin) < many.high - many.low


@settings(max_examples=50, deadline=None)
@given(events=st.integers(1, 10**15), sigmas=st.floats(-5.0, 5.0))
def test_log_density_keeps_its_shape_at_any_number_of_events(events: int, sigmas: float) -> None:
    posterior = GammaPosterior(events=events, exposure=events / 4)
    g = max(4.0 * (1.0 + sigmas / np.sqrt(events)), 0.01)
    with localcontext() as context:
        context.prec = 60
        ratio = Decimal(g) / 4
        exact = float(events * (ratio.ln() - ratio + 1))
    found = float(posterior.log_density(g) - posterior.log_density(4.0))
    assert found == pytest.approx(exact, abs=1e-14 * np.sqrt(events) + 1e-12)


@pytest.mark.parametrize("events", [1, 99, 100, 10_000])
def test_peak_agrees_with_scipy_on_both_sides_of_the_change_to_a_series(events: int) -> None:
    posterior = GammaPosterior(events=events, exposure=2.0)
    expected = stats.gamma(events + 1, scale=0.5).pdf(events / 2)
    assert posterior.density(events / 2) == pytest.approx(expected, rel=1e-11)
