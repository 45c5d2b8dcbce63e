from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.theory.dlcz.device_matching import (
    matching_probability,
    matching_sets,
    number_of_sets,
    simulated_probability,
    single_device_probability,
)

CHIP = {"spread": 2e-9, "tolerance_hz": 100e6, "wavelength": 1551.2e-9}


def test_published_probabilities() -> None:
    assert single_device_probability(**CHIP) == pytest.approx(0.0320e-2, abs=5e-7)
    assert matching_probability(234, **CHIP) == pytest.approx(0.9999959, abs=5e-8)
    assert matching_probability(234, offset=2.5e-9, **CHIP) == pytest.approx(0.99977, abs=5e-6)
    # printed 92.7 %
    assert matching_probability(234, offset=5e-9, **CHIP) == pytest.approx(0.9257, abs=1e-4)
    assert matching_probability(500, chips=4, **CHIP) == pytest.approx(0.5159, abs=5e-5)


def test_two_chips_agree_with_simulated_chips() -> None:
    rng = np.random.default_rng(4)
    chip = {"spread": 2e-9, "tolerance_hz": 1e9, "wavelength": 1551.2e-9}
    tolerance, n = 1551.2e-9**2 * 1e9 / 299_792_458, 2000
    first, second = rng.normal(0.0, 2e-9, (2, n, 12))
    found = (np.abs(first[:, :, None] - second[:, None, :]) < tolerance).any(axis=(1, 2)).mean()
    expected = matching_probability(12, **chip)
    sigma = np.sqrt(expected * (1 - expected) / n)
    assert found == pytest.approx(expected, abs=4 * sigma)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"devices": 0}, "`devices` must be at least 1"),
        ({"chips": 1}, "`chips` at least 2"),
        ({"chips": 3, "offset": 1e-9}, "`offset` must be 0 for more than two chips"),
        ({"spread": 0.0}, "`spread` must be above 0"),
    ],
)
def test_impossible_arguments_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        matching_probability(**({"devices": 234} | CHIP | change))  # type: ignore[arg-type]


chip = st.lists(st.integers(0, 40), min_size=1, max_size=6)


@given(chips=st.lists(chip, min_size=2, max_size=4), tolerance=st.integers(1, 10))
def test_sets_are_those_of_trying_all(chips: list[list[int]], tolerance: int) -> None:
    tried = {
        devices: max(f) - min(f)
        for devices in product(*(range(len(one)) for one in chips))
        for f in ([one[d] for one, d in zip(chips, devices, strict=True)],)
        if max(f) - min(f) <= tolerance
    }
    assert number_of_sets(chips, tolerance) == len(tried)
    found = matching_sets(chips, tolerance)
    assert all(tried[one.devices] == one.spread_hz for one in found)
    assert bool(found) == bool(tried)
    if tried:
        assert found[0].spread_hz == min(tried.values())
        assert matching_sets(chips, tolerance, most=1) == found[:1]


def test_simulated_chance_of_two_chips_is_the_papers_formula() -> None:
    """Within 4 σ; sets of few devices are nearly independent."""
    hz = 299_792_458 / 1551.2e-9**2
    found, sigma = simulated_probability(
        [12, 12], spreads=[2e-9 * hz] * 2, means=[0.0, 1e-9 * hz], tolerance_hz=1e9, draws=2000
    )
    wide = {"spread": 2e-9, "tolerance_hz": 1e9, "wavelength": 1551.2e-9}
    assert found == pytest.approx(matching_probability(12, offset=1e-9, **wide), abs=4 * sigma)


def test_mean_number_of_quartets_is_the_integral() -> None:
    """n⁴ · 4 t³ ∫f⁴ of normal resonances, Poisson-like: within 4 σ of 400 draws' scatter."""
    rng = np.random.default_rng(8)
    n, sigma, tolerance = 40, 250.0, 4.0
    numbers = [number_of_sets(list(rng.normal(0.0, sigma, (4, n))), tolerance) for _ in range(400)]
    overlap = np.sqrt(np.pi / 2) * sigma / (2 * np.pi * sigma**2) ** 2
    expected = n**4 * 4 * tolerance**3 * overlap
    assert np.mean(numbers) == pytest.approx(expected, abs=4 * np.std(numbers) / 20)
    assert expected > 1.0


@pytest.mark.parametrize(
    ("chips", "tolerance", "message"),
    [
        ([[1.0]], 1.0, "two or more lists"),
        ([[1.0], []], 1.0, "two or more lists"),
        ([[1.0], [float("nan")]], 1.0, "finite"),
        ([[1.0], [1.0]], 0.0, "`tolerance_hz` must be above 0"),
    ],
)
def test_impossible_surveys_are_refused(
    chips: list[list[float]], tolerance: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        matching_sets(chips, tolerance)
