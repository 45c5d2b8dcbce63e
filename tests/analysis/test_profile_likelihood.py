"""Point, interval and fixed-sample test of the symmetrised R against published and brute force."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from analysis.published import RIEDINGER_2018
from analysis.witness.cells import Cells, cells_of
from analysis.witness.profile import (
    fixed_sample_confidence,
    fixed_sample_statistic,
    least_fixed_sample_statistic,
    ratio_estimate,
    witness_likelihood,
)
from analysis.witness.separable import Boundary, largest_separable, lowest_w

OPTIMAL = cells_of(RIEDINGER_2018["optimal"].counts)
EXTENDED = cells_of(RIEDINGER_2018["extended"].counts)
COUNTS = st.lists(st.integers(0, 60), min_size=4, max_size=4)
ACCIDENTALS = st.lists(st.floats(0.3, 60.0), min_size=4, max_size=4)


def made(counts: ArrayLike, accidentals: ArrayLike) -> Cells:
    c, a = (np.asarray(one, float).reshape(2, 2, -1) for one in (counts, accidentals))
    return Cells(low=c[0], high=c[1], low_accidentals=a[0], high_accidentals=a[1])


def test_reference_point_interval_and_fixed_sample_test() -> None:
    found = ratio_estimate(OPTIMAL)
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.739269, 0.664653, 0.834351), abs=1e-6
    )
    found = ratio_estimate(EXTENDED)
    assert (found.value, found.low, found.high) == pytest.approx((0.743, 0.684, 0.812), abs=6e-4)
    statistic = fixed_sample_statistic(OPTIMAL, 0.995)
    assert statistic == pytest.approx(5.089855, abs=5e-7)
    assert fixed_sample_confidence(statistic) == pytest.approx(0.987967, abs=5e-7)
    assert fixed_sample_confidence(fixed_sample_statistic(OPTIMAL, 1.0)) == pytest.approx(
        0.9890, abs=5e-5
    )
    assert fixed_sample_confidence(fixed_sample_statistic(EXTENDED, 1.0)) == pytest.approx(
        0.9988, abs=5e-5
    )
    for cells in (OPTIMAL, EXTENDED):  # the paper loses nothing by the heralds' floor
        assert least_fixed_sample_statistic(cells, 1.0) == fixed_sample_statistic(cells, 1.0)


def grid_maximum(cells: Cells, x: float) -> float:
    """Largest log-likelihood on R = x over a grid of w and of both splits of a mean."""

    def best_split(counts: np.ndarray, accidentals: np.ndarray, mean: np.ndarray) -> np.ndarray:
        share = np.r_[0.0, np.geomspace(1e-4, 0.5, 300)]
        share = np.r_[share, 1 - share]
        total = np.zeros((mean.size, share.size))
        for part, count, accidental in zip((share, 1 - share), counts, accidentals, strict=True):
            g = 2 * mean[:, np.newaxis] * part
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = g * accidental / count if count else np.ones_like(g)
                total += np.where(count, count * (np.log(ratio) - ratio + 1), -g * accidental)
        return total.max(axis=1)

    first = float(lowest_w(x))
    high = float((cells.high / cells.high_accidentals).mean())
    low = float((cells.low / cells.low_accidentals).mean())
    last = max(first, math.sqrt(1 + 2 * x * max(high, low, 1.0))) + 0.1
    point = Boundary(w=first * (last / first) ** np.linspace(0.0, 1.0, 400), x=np.array(x))
    values = best_split(cells.low.ravel(), cells.low_accidentals.ravel(), point.s)
    return float(
        (values + best_split(cells.high.ravel(), cells.high_accidentals.ravel(), point.c)).max()
    )


@settings(max_examples=15, deadline=None)
@given(counts=COUNTS, accidentals=ACCIDENTALS, x=st.floats(0.2, 5.0))
def test_the_profile_is_the_maximum_over_everything_with_that_r(
    counts: list[int], accidentals: list[float], x: float
) -> None:
    cells = made(counts, accidentals)
    found, grid = witness_likelihood(cells).at(x), grid_maximum(cells, x)
    assert found >= grid - 1e-9
    assert found <= grid + 0.02 * (1 + abs(grid))


@settings(max_examples=60, deadline=None)
@given(counts=COUNTS, accidentals=ACCIDENTALS)
def test_the_point_lies_inside_its_interval_and_its_ends_on_the_level(
    counts: list[int], accidentals: list[float]
) -> None:
    cells = made(counts, accidentals)
    found = ratio_estimate(cells)
    assert 0.0 <= found.low <= found.value <= found.high
    likelihood = witness_likelihood(cells)
    for end in (found.low, found.high):
        if 0.0 < end < math.inf:
            drop = 2 * (likelihood.best[2] - likelihood.at(end))
            assert drop == pytest.approx(0.98894, abs=1e-5)


def test_multiplier_against_extended_precision() -> None:
    """Four cells of θ and θ + π with a given mean, by mpmath with 40 digits."""
    counts, accidentals, mean = [16, 41, 3, 0.0], [9.0, 30.0, 4.5, 7.0], 1.9
    cells = made([*counts, 9, 9, 9, 9], [*accidentals, 1, 1, 1, 1])
    value, _ = witness_likelihood(cells).low.at(mean)
    with mpmath.workdps(40):
        filled = list(zip(counts[:3], accidentals[:3], strict=True))
        nu = mpmath.findroot(lambda v: sum(c / (a + v) for c, a in filled) - 4 * mean, -3.5)
        g = [c / (a + nu) for c, a in filled]
        exact = sum(
            c * mpmath.log(u * a / c) - u * a + c for u, (c, a) in zip(g, filled, strict=True)
        )
    assert value == pytest.approx(float(exact), rel=1e-10)


@pytest.mark.parametrize("scale", [1, 10**3, 10**9])
def test_width_falls_as_the_root_of_the_counts(scale: int) -> None:
    found = ratio_estimate(made(np.array([9, 12, 80, 75]) * scale, np.array([9, 9, 9, 9]) * scale))
    width = (found.high - found.low) * math.sqrt(scale)
    assert found.low < found.value < found.high
    # first order: R = 4(s + c - 1)/D² at s = 7/6, c = 8.6111, variances of the means ΣC/Λ²/4
    slopes = 4 / 7.4444**2 + 35.1111 * 2 / 7.4444**3, 4 / 7.4444**2 - 35.1111 * 2 / 7.4444**3
    sigma = math.sqrt(slopes[0] ** 2 * 21 / 324 + slopes[1] ** 2 * 155 / 324)
    assert width == pytest.approx(2 * math.sqrt(0.98894) * sigma, rel=0.02 if scale == 1 else 1e-3)


def test_no_counts_and_no_contrast_leave_r_infinite() -> None:
    nothing = ratio_estimate(made([0] * 4, [3.0] * 4))
    assert (nothing.value, nothing.low, nothing.high) == (math.inf, 0.0, math.inf)
    flat = ratio_estimate(made([40, 44, 42, 42], [4.0] * 4))
    assert flat.value == flat.high == math.inf
    assert flat.low > 1.0
    equal = ratio_estimate(made([40, 40, 40, 40], [4.0] * 4))
    assert equal.high == math.inf
    with pytest.raises(ValueError, match="must have clicks in every gate"):
        ratio_estimate(made([1] * 4, [0.0, 1, 1, 1]))
    with pytest.raises(ValueError, match="must lie above 0 and not above 1"):
        fixed_sample_statistic(OPTIMAL, 0.0)


def test_a_point_on_the_separable_side_has_no_statistic() -> None:
    cells = made([30, 30, 60, 60], [20.0] * 4)
    assert fixed_sample_statistic(cells, 1.0) == 0.0
    assert fixed_sample_confidence(0.0) == 0.5


@pytest.mark.parametrize(("s", "share"), [((1.2, 1.2), 0.5), ((0.6, 2.5), 0.5), ((0.05, 2.0), 0.5)])
def test_fixed_sample_claims_of_separable_states(s: tuple[float, float], share: float) -> None:
    """500 samples: σ of 5 % is 0.97 %. Without the heralds' floor (0.05, 2) claims in 61 %."""
    rng = np.random.default_rng(19)
    c = 2 * float(largest_separable((max(s[0], 1.0) + max(s[1], 1.0)) / 2))
    means = np.array([*s, share * c, (1 - share) * c])
    exposures = np.r_[OPTIMAL.low_accidentals.ravel(), OPTIMAL.high_accidentals.ravel()]
    claimed = 0
    for counts in rng.poisson(means * exposures, (500, 4)):
        cells = made(counts, exposures)
        if fixed_sample_statistic(cells, 1.0) > 2.7:
            statistic = least_fixed_sample_statistic(cells, 1.0)
            claimed += fixed_sample_confidence(statistic) >= 0.95
    assert claimed / 500 <= 0.05 + 3 * 0.0097
