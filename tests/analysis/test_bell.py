"""CHSH of coincidences: exact cases, the local bound, and calibration of the interval."""

import numpy as np
import pytest

from analysis.bell import PAIRS, SETTINGS, SIGNS, chsh


def counts(same, different):
    """Counts of every setting, equal pairs alike."""
    pairs = {"r1p1": same, "r2p2": same, "r1p2": different, "r2p1": different}
    swapped = {"r1p1": different, "r2p2": different, "r1p2": same, "r2p1": same}
    return {
        name: pairs if sign > 0 else swapped for name, sign in zip(SETTINGS, SIGNS, strict=True)
    }


def test_s_is_the_sum_of_correlations():
    found = chsh(counts(300, 100))
    assert found.S.value == pytest.approx(2.0)
    assert dict(found.E) == pytest.approx({"b1 r1": 0.5, "b1 r2": 0.5, "b2 r1": 0.5, "b2 r2": -0.5})
    assert found.sigma == pytest.approx(np.sqrt(4 * 0.75 / 800))


def test_the_sign_of_all_correlations_does_not_matter():
    up, down = chsh(counts(300, 60)), chsh(counts(60, 300))
    assert down.S.value == pytest.approx(up.S.value)
    assert [down.S.low, down.S.high] == pytest.approx([up.S.low, up.S.high], abs=1e-6)
    assert down.p_local == pytest.approx(up.p_local)


def test_interval_tends_to_the_large_count_error():
    found = chsh(counts(40_000, 6_000))
    assert found.S.high - found.S.low == pytest.approx(2 * 0.99446 * found.sigma, rel=2e-3)
    assert found.above > 0.999999
    assert found.p_local < 1e-100


def test_a_local_model_seldom_looks_nonlocal():
    """Shared random bits that win 3/4: p_local below 5 % in at most 5 % of 200 runs (3 σ)."""
    rng = np.random.default_rng(9)
    low = 0
    for _ in range(200):
        wins = rng.binomial(50, 0.75, 4)
        table = {}
        for name, sign, k in zip(SETTINGS, SIGNS, wins, strict=True):
            same = int(k) if sign > 0 else 50 - int(k)
            table[name] = dict(zip(PAIRS, (same, 50 - same, 0, 0), strict=True))
        low += chsh(table).p_local < 0.05
    assert low <= 200 * 0.05 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Truth drawn from the prior: 68 % of 250 intervals hold it (3 σ)."""
    rng = np.random.default_rng(6)
    held = 0
    for _ in range(250):
        shares = rng.uniform(0.75, 1.0, 4)
        table, truth = {}, 0.0
        for name, sign, x in zip(SETTINGS, SIGNS, shares, strict=True):
            p = x if sign > 0 else 1 - x
            k = int(rng.binomial(60, p))
            table[name] = dict(zip(PAIRS, (k, 60 - k, 0, 0), strict=True))
            truth += sign * (2 * p - 1)
        found = chsh(table)
        held += found.S.low <= truth <= found.S.high
    assert abs(held / 250 - 0.68) < 3 * np.sqrt(0.68 * 0.32 / 250)


def test_missing_and_empty_settings_are_refused():
    table = counts(3, 1)
    with pytest.raises(ValueError, match="must give r1p1 of setting 'b2 r2'"):
        chsh({name: table[name] for name in SETTINGS[:3]})
    with pytest.raises(ValueError, match="'b1 r1' must have at least 1 coincidence"):
        chsh(table | {"b1 r1": dict.fromkeys(PAIRS, 0)})
