import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.witness.systematics import imbalance_correction, systematic_bound

G_A, G_B = 7.1, 9.6

excess = st.floats(0.0, 100.0)


def test_bound_at_the_published_imbalance_of_ten_percent() -> None:
    assert imbalance_correction(0.10, G_A - 1, G_B - 1) == pytest.approx(0.9950, abs=5e-5)
    assert systematic_bound(0.10, G_A - 1, G_B - 1) == pytest.approx(0.9950, abs=5e-5)


@given(delta=st.floats(-1.0, 1.0), x=excess)
def test_equal_devices_leave_only_the_quadratic_term(delta: float, x: float) -> None:
    assert imbalance_correction(delta, x, x) == pytest.approx(1 / (1 - delta**2 / 4), rel=1e-14)
    assert systematic_bound(delta, x, x) == 1.0


@given(delta=st.floats(-1.0, 1.0), x_a=excess, x_b=excess)
def test_swapping_devices_flips_the_sign_of_delta(delta: float, x_a: float, x_b: float) -> None:
    swapped = imbalance_correction(-delta, x_b, x_a)
    assert imbalance_correction(delta, x_a, x_b) == pytest.approx(swapped, rel=1e-14)


@given(delta=st.floats(0.0, 1.0), x_a=excess, x_b=excess)
def test_bound_is_the_worst_case_of_the_whole_range(delta: float, x_a: float, x_b: float) -> None:
    inside = [imbalance_correction(d, x_a, x_b) for d in np.linspace(-delta, delta, 201)]
    bound = systematic_bound(delta, x_a, x_b)
    assert bound <= min(1.0, *inside) + 1e-15
    assert bound == pytest.approx(min(1.0, *inside), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((2.0, 6.0, 8.0), r"`delta` must lie between -2 and 2 .*, but is 2\.0"),
        ((float("nan"), 6.0, 8.0), "`delta` must lie between -2 and 2"),
        ((0.1, -1.5, 8.0), r"`x_A` = g² - 1 must be at least -1 and finite, but is -1\.5"),
        ((0.1, 6.0, float("inf")), "`x_B` = g² - 1 must be at least -1 and finite, but is inf"),
    ],
)
def test_impossible_arguments_are_refused(
    arguments: tuple[float, float, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        imbalance_correction(*arguments)
