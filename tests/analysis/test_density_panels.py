import numpy as np
import pytest
from scipy import stats

from analysis.witness.posterior import Array, resolve


def test_a_narrow_peak_between_distant_landmarks_is_resolved() -> None:
    normal = stats.norm(0.7, 1e-3)
    panels = resolve(normal.pdf, np.array([0.01, 0.69, 30.0]))
    assert panels.total == pytest.approx(1.0, abs=1e-12)
    x = normal.ppf([1e-9, 0.16, 0.5, 0.999])
    assert panels.below(x) == pytest.approx(normal.cdf(x), abs=1e-12)
    low, high = panels.peak()
    assert low < 0.7 < high
    assert high - low < 1e-3


def test_heavy_tails_are_followed_to_the_end() -> None:
    panels = resolve(stats.cauchy.pdf, np.array([-1.0, 0.0, 1.0]))
    assert panels.total == pytest.approx(1.0, abs=1e-12)


def test_a_kink_is_resolved_by_halving() -> None:
    panels = resolve(stats.laplace(loc=0.3).pdf, np.array([-1.0, 1.0]))
    assert panels.total == pytest.approx(1.0, abs=1e-10)
    assert panels.below(np.array([0.3])) == pytest.approx([0.5], abs=1e-10)


def test_a_fast_fall_beside_a_border_is_seen() -> None:
    def density(x: Array) -> Array:
        return np.exp(np.minimum(x - 1.0, (1.0 - x) / 1e-4))

    panels = resolve(density, np.array([-1.0, 0.9, 1.0]))
    assert panels.total == pytest.approx(1.0 + 1e-4, abs=1e-9)


def test_brackets_enclose_the_quantile() -> None:
    q = np.array([1e-6, 0.16, 0.5, 0.84, 1 - 1e-6])
    low, high = resolve(stats.norm.pdf, np.array([-1.0, 1.0])).bracket(q)
    quantile = stats.norm.ppf(q)
    assert (low < quantile).all()
    assert (quantile < high).all()


def test_a_density_that_is_zero_everywhere_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="zero everywhere"):
        resolve(np.zeros_like, np.array([-1.0, 1.0]))
