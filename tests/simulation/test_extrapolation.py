import math

import pytest

from simulation.theory.dlcz.extrapolation import (
    fibre_length,
    integration_time,
    tolerable_loss_db,
    witness_at_contrast,
)

TRIALS, PERIOD = 1.949e9, 50e-6
DAY = 86_400.0
SURVIVAL_A, SURVIVAL_B = math.exp(-0.123 / 4.0), math.exp(-0.123 / 5.8)
G_TARGET = 1.0 + 0.95 * 6.45972


def test_device_a_tolerates_the_published_loss() -> None:
    assert pytest.approx(7.137, abs=5e-4) == G_TARGET
    loss = tolerable_loss_db(1 + 6.45972, G_TARGET, n_bg=3.2e-3, survival=SURVIVAL_A)
    assert loss == pytest.approx(5.40, abs=5e-3)


def test_device_b_does_not_reproduce_the_printed_loss() -> None:
    loss = tolerable_loss_db(9.6, G_TARGET, n_bg=3.2e-3, survival=SURVIVAL_B)
    assert loss == pytest.approx(11.84, abs=5e-3)  # printed 10.6


def test_published_losses_are_94_km_of_fibre() -> None:
    assert fibre_length(5.40 + 10.6) / 1e3 == pytest.approx(94.1, abs=0.05)
    assert fibre_length(0.17e-3 * 43e3) / 1e3 == pytest.approx(43.0)


def test_published_integration_times() -> None:
    far = integration_time(TRIALS, PERIOD, loss_db=10.6) / DAY
    near = integration_time(TRIALS, PERIOD, loss_db=7.31) / DAY
    assert (far, near) == pytest.approx((171.0, 37.6), abs=0.05)  # printed ~170 and 38


def test_loss_lowers_g2_to_its_target() -> None:
    loss = tolerable_loss_db(7.5, 3.0, n_bg=3e-3, survival=0.9)
    noise = 0.9 / 6.5 + 3e-3 * (10 ** (loss / 10) - 1)
    assert 1 + 0.9 / noise == pytest.approx(3.0, rel=1e-12)
    assert tolerable_loss_db(7.5, 7.5, n_bg=3e-3, survival=0.9) == 0.0


def test_a_fallen_contrast_raises_the_witness() -> None:
    """Equal pairs, g − 1 = ±: R_m = 4 (1 + c (s + d))/(c (s − d))², s, d different and same."""
    s, d, c = 6.5, 0.2, 0.95
    g2 = [[1 + d, 1 + s], [1 + s, 1 + d]]
    expected = 4 * (1 + c * (s + d)) / (c * (s - d)) ** 2
    assert witness_at_contrast(g2, c) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(ValueError, match="`contrast` must lie in"):
        witness_at_contrast(g2, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tolerable_loss_db(7, 8, n_bg=1, survival=1), "`g2_target` must lie between 1 and"),
        (lambda: tolerable_loss_db(7, 6, n_bg=0, survival=1), "`n_bg` must be above 0"),
        (
            lambda: tolerable_loss_db(7, 6, n_bg=1, survival=2),
            "`survival` must lie between 0 and 1",
        ),
        (lambda: fibre_length(-1), "`loss_db` must not be negative, but is -1"),
        (lambda: fibre_length(1, 0), "`attenuation_db_per_m` must be above 0"),
        (lambda: integration_time(0, 1), "`trials` must be above 0"),
        (lambda: integration_time(1, 1, overhead=-1), "`overhead` must not be negative"),
    ],
)
def test_impossible_arguments_are_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
