"""Heralded g²(0), visibility, fidelity, concurrence: exact cases and coverage."""

import numpy as np
import pytest
from scipy import stats

from analysis.heralded import (
    entanglement,
    fidelity,
    heralded_g2,
    inputs_of,
    mean_fidelity,
    moment_witnesses,
    visibility,
)


def test_g2_is_the_ratio_of_the_three_fold():
    found = heralded_g2(8, 4_000, 5_000, 1_000_000)
    assert found.value == pytest.approx(8 * 1_000_000 / (4_000 * 5_000))
    assert found.low < found.value < found.high


def test_no_triples_bound_g2_from_above():
    found = heralded_g2(0, 4_000, 5_000, 1_000_000)
    assert found.low == 0
    assert found.cdf(found.high) == pytest.approx(0.68)


def test_visibility_of_equal_exposures():
    found = visibility(30, 10)
    assert found.value == pytest.approx(0.5)
    assert visibility(10, 0).high == 1


def test_exposures_count():
    assert visibility(60, 10, (2_000, 1_000)).value == pytest.approx(0.5)


def test_visibility_covers_at_least_its_level():
    """All pairs of Poisson counts near 6 and 2: V = 0.5."""
    bright, dark = np.arange(30), np.arange(20)
    weights = np.outer(stats.poisson.pmf(bright, 6), stats.poisson.pmf(dark, 2))
    total = held = 0.0
    for a in bright:
        for b in dark:
            if a + b == 0:
                continue
            found = visibility(int(a), int(b), level=0.9)
            total += weights[a, b]
            held += weights[a, b] * (found.low <= 0.5 <= found.high)
    assert held / total >= 0.9


def test_fidelity_and_the_chance_of_a_classical_channel():
    found = fidelity(16, 4)
    assert found.F.value == pytest.approx(0.8)
    assert found.p_classical == pytest.approx(stats.binom.sf(15, 20, 2 / 3), rel=1e-12)


def test_mean_fidelity_weighs_its_inputs():
    counts = {"H": (70, 30), "V": (80, 20), "D": (700, 300), "L": (650, 350)}
    found = mean_fidelity(counts)
    assert found.F.value == pytest.approx((0.7 + 0.8 + 2 * 0.7 + 2 * 0.65) / 6)
    sigma = np.sqrt((0.21 / 100 + 0.16 / 100 + 4 * 0.21 / 1000 + 4 * 0.2275 / 1000) / 36)
    assert found.F.high - found.F.low == pytest.approx(2 * sigma, rel=0.03)
    with pytest.raises(ValueError, match="L has none"):
        mean_fidelity(counts | {"L": (0, 0)})


def test_inputs_add_up_with_their_partners():
    assert inputs_of([("D", 3, 1), ("A", 2, 2), ("H", 1, 0)]) == {"D": (5, 3), "H": (1, 0)}


def test_a_shared_quantum_is_entangled():
    found = entanglement(one=800, both=2, heralds=1_000, fringe=(900, 100))
    q00, q11 = 0.198, 0.002
    assert found.concurrence == pytest.approx(0.8 * 0.8 - 2 * np.sqrt(q00 * q11))
    assert 0 < found.concurrence_low < found.concurrence
    assert found.transposed < found.transposed_high < 0


def test_product_light_shows_nothing():
    """Two independent coherent beams of 0.5 quanta: V = 1, and no entanglement."""
    click = 1 - np.exp(-0.5)
    heralds = 1_000_000
    one = round(2 * click * (1 - click) * heralds)
    found = entanglement(
        one=one, both=round(click**2 * heralds), heralds=heralds, fringe=(10**6, 0)
    )
    assert found.concurrence == pytest.approx(0, abs=2e-6)
    assert found.concurrence_low < 0
    assert found.transposed_high > 0


def test_moment_witnesses():
    found = moment_witnesses((0.5, 0.5), 0.05, 0.4)
    assert found["HZ1"] == pytest.approx(0.05 - 0.16)
    assert found["R"] == pytest.approx(0.05 / 0.16)
    assert found["visibility"] == pytest.approx(0.8)
    with pytest.raises(ValueError, match="at most n_a n_b"):
        moment_witnesses((0.1, 0.1), 0.01, 0.2)
