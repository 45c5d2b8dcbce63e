import numpy as np
import pytest

from simulation.theory.dlcz.device_matching import matching_probability, single_device_probability

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
