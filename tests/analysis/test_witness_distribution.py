import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from analysis.correlation import GammaPosterior
from analysis.witness.distribution import RatioDistribution
from analysis.witness.posterior import resolve

CASES = [
    (9, 10.8, 130, 16.7),
    (0, 11.0, 0, 9.0),
    (0, 1.0, 1, 1.0),
    (5, 5.0, 5, 5.0),
    (0, 0.01, 1, 2),
]

distributions = st.builds(
    lambda c_a, l_a, c_b, l_b: ratio(c_a, l_a, c_b, l_b),
    st.integers(0, 300),
    st.floats(0.05, 100.0),
    st.integers(0, 300),
    st.floats(0.05, 100.0),
)


def ratio(events_a: int, exposure_a: float, events_b: int, exposure_b: float) -> RatioDistribution:
    a = GammaPosterior(events=events_a, exposure=exposure_a)
    return RatioDistribution(a=a, b=GammaPosterior(events=events_b, exposure=exposure_b))


def brute_force_cdf(distribution: RatioDistribution, x: float) -> float:
    """Integrate p_a times the probability of b beyond the roots of R_m = x, for x > 0."""
    a0 = max((x - 1.0) / (2.0 * x), 0.0)

    def integrand(a: float) -> float:
        root = 2.0 * np.sqrt(max(2.0 * x * a + 1.0 - x, 0.0))
        inside = distribution.b.cdf((x * a + 2.0 + root) / x)
        inside -= distribution.b.cdf((x * a + 2.0 - root) / x)
        return float(distribution.a.density(a) * inside)

    far = float(distribution.a.quantile(1.0 - 1e-15))
    touching = np.sqrt(max(1.0 - x, 0.0))  # where the lower root reaches b = 0
    kinks = [a0 + 1e-3, 2.0 * (1.0 - touching) / x, 2.0 * (1.0 + touching) / x]
    middle = [float(q) for q in distribution.a.quantile([0.01, 0.2, 0.5, 0.8, 0.99])]
    points = [q for q in [*middle, *kinks] if a0 < q < far]
    return 1.0 - integrate.quad(integrand, a0, far, points=points, limit=500, epsabs=1e-12)[0]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("x", [0.05, 0.6, 0.999, 1.0, 1.3, 8.0])
def test_cdf_agrees_with_direct_integration_over_one_g2(
    case: tuple[int, float, int, float], x: float
) -> None:
    distribution = ratio(*case)
    assert distribution.cdf(x) == pytest.approx(brute_force_cdf(distribution, x), abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_cdf_agrees_with_monte_carlo_within_four_sigma(
    case: tuple[int, float, int, float],
) -> None:
    rng = np.random.default_rng(7)
    n = 400_000
    distribution = ratio(*case)
    a, b = (rng.gamma(g.events + 1, 1.0 / g.exposure, n) for g in (distribution.a, distribution.b))
    sample = 4.0 * (a + b - 1.0) / (a - b) ** 2
    x = np.r_[np.quantile(sample, [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99]), -1.0, 0.0, 1.0]
    expected = distribution.cdf(x)
    sigma = np.sqrt(np.maximum(expected * (1.0 - expected), 1.0 / n) / n)
    np.testing.assert_array_less(np.abs((sample[:, None] < x).mean(axis=0) - expected), 4 * sigma)


@settings(max_examples=60)
@given(distribution=distributions)
def test_cdf_rises_from_zero_to_one(distribution: RatioDistribution) -> None:
    x = np.sinh(np.linspace(-60.0, 60.0, 400))
    cdf = distribution.cdf(x)
    assert np.diff(cdf).min() > -1e-11
    assert cdf[0] == pytest.approx(0.0, abs=1e-8)
    assert cdf[-1] == pytest.approx(1.0, abs=1e-8)


@settings(max_examples=40)
@given(distribution=distributions, x=st.floats(-30.0, 30.0))
def test_density_integrates_to_the_cdf(distribution: RatioDistribution, x: float) -> None:
    panels = resolve(distribution.density, np.r_[distribution.landmarks(), 0.0, 1.0])
    assert panels.total == pytest.approx(1.0, abs=1e-9)
    assert panels.below(np.array([x]))[0] == pytest.approx(float(distribution.cdf(x)), abs=1e-9)


@settings(max_examples=40)
@given(distribution=distributions, x=st.floats(-20.0, 20.0))
def test_swapping_the_detectors_changes_nothing(distribution: RatioDistribution, x: float) -> None:
    swapped = RatioDistribution(a=distribution.b, b=distribution.a)
    assert distribution.cdf(x) == pytest.approx(float(swapped.cdf(x)), abs=1e-10)
    assert distribution.density(x) == pytest.approx(float(swapped.density(x)), rel=1e-8, abs=1e-12)


def test_negative_region_is_the_probability_of_a_plus_b_below_one() -> None:
    # two exponentials of rate λ: P(a + b < 1) = 1 - e^-λ (1 + λ)
    assert ratio(0, 3.0, 0, 3.0).cdf(0.0) == pytest.approx(1.0 - np.exp(-3.0) * 4.0, rel=1e-13)


def test_tail_falls_as_the_power_three_halves() -> None:
    density = ratio(9, 10.8, 12, 10.8).density([1e8, 1e10])
    assert density[0] / density[1] == pytest.approx(1e3, rel=1e-3)


@pytest.mark.parametrize("case", [*CASES, (5218, 12215.4, 2005, 4986.1), (76, 46.2, 49, 29.5)])
def test_more_nodes_over_wider_windows_change_no_digit_that_counts(
    case: tuple[int, float, int, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.r_[ratio(*case).landmarks(), np.linspace(-1.0, 3.0, 41), np.sinh([-8.0, 5.0, 20.0])]
    density, cdf = ratio(*case).density(x), ratio(*case).cdf(x)
    nodes, weights = np.polynomial.legendre.leggauss(300)
    for name, value in (("_NODES", nodes), ("_WEIGHTS", weights), ("_FALL", 60.0)):
        monkeypatch.setattr(f"analysis.witness.distribution.{name}", value)
    exact = ratio(*case).density(x)
    np.testing.assert_allclose(density, exact, rtol=0, atol=1e-12 * exact.max())
    np.testing.assert_allclose(cdf, ratio(*case).cdf(x), rtol=0, atol=1e-12)
