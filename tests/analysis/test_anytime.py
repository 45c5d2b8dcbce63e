"""The always-valid test: published numbers, validity by exact expectation, resuming."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import optimize, special

from analysis.published import RIEDINGER_2018
from analysis.witness.anytime import (
    BOUNDS,
    AnytimeTest,
    alternatives,
    anytime_test,
    best_tangent,
)
from analysis.witness.cells import Cells, cells_of, cells_of_blocks
from analysis.witness.separable import (
    Boundary,
    largest_separable,
    lowest_w,
    symmetrised_witness,
)

RUN = RIEDINGER_2018["optimal"].counts
OPTIMAL = cells_of(RUN)
EXTENDED = cells_of(RIEDINGER_2018["extended"].counts)
NONE, FIRST, SECOND, BOTH = (False, False), (True, False), (False, True), (True, True)
ASSUMED = (NONE, FIRST, SECOND, BOTH)


def made(low: ArrayLike, high: ArrayLike, low_acc: ArrayLike, high_acc: ArrayLike) -> Cells:
    arrays = [np.asarray(one, float).reshape(2, -1) for one in (low, high, low_acc, high_acc)]
    return Cells(
        low=arrays[0], high=arrays[1], low_accidentals=arrays[2], high_accidentals=arrays[3]
    )


def growth(cells: Cells, bound: float = 1.0) -> np.ndarray:
    """Logarithms of all processes after one block, shape (4, alternatives)."""
    test = anytime_test(bound, limits=False).add(cells)
    return test.logs[test.bounds.index(bound)]


def coefficients(low_acc: ArrayLike, high_acc: ArrayLike, bound: float = 1.0):
    """The processes are linear in the counts: constant (4, K) and factors (cells, 4, K)."""
    n = np.size(low_acc)
    zero = growth(made(np.zeros(n), np.zeros(n), low_acc, high_acc), bound)
    unit = np.eye(2 * n)
    factors = [growth(made(e[:n], e[n:], low_acc, high_acc), bound) - zero for e in unit]
    return zero, np.array(factors)


def test_null_curve_and_projection_have_the_reference_values() -> None:
    assert float(largest_separable(1.2)) == pytest.approx(6.298387, abs=5e-7)
    assert float(largest_separable(1.2, 0.99)) == pytest.approx(6.340744, abs=5e-7)
    cells = made([0, 0], [0, 0], [10, 10], [17, 17])
    tangent = best_tangent(cells, NONE, np.array(1.25), np.array(8.0), np.array(1.0))
    # n²/Σ(1/Λ) of two equal cells is twice one of them; both halves cancel in the projection
    assert (float(tangent.s), float(tangent.c)) == pytest.approx((1.718742, 7.426833), abs=5e-7)


def test_log_e_of_the_published_counts() -> None:
    """The smallest of the processes that take no herald, or both, as 1: min(A, B)."""
    for cells, log_e in ((OPTIMAL, 1.325351), (EXTENDED, math.log(18.6124))):
        means = special.logsumexp(growth(cells), axis=1) - math.log(60)
        assert min(means[0], means[3]) == pytest.approx(log_e, abs=2e-6)
        assert anytime_test().add(cells).log_e_at(1.0) == pytest.approx(means.min(), rel=1e-12)
        assert means.min() == means[0]  # the two further processes do not lower it here


@given(s=st.floats(0.2, 30.0), x=st.floats(1e-3, 1.0), more=st.floats(1e-9, 5.0))
def test_the_null_curve_is_where_r_equals_x(s: float, x: float, more: float) -> None:
    c = float(largest_separable(s, x))
    assert float(symmetrised_witness(s, c)) == pytest.approx(x, rel=1e-9)
    assert symmetrised_witness(s, c * (1 + more)) < x * (1 + 1e-12)
    w = math.sqrt(1 + x * (2 * max(s, 1.0) - 1))
    point = Boundary(w=np.array(w), x=np.array(x))
    assert (float(point.s), float(point.c)) == pytest.approx((max(s, 1.0), c), rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    acc=st.lists(st.floats(0.05, 1e4), min_size=4, max_size=4),
    s_1=st.sampled_from([1.0, 1.1, 1.25, 2.1]),
    factor=st.floats(1.03, 3.0),
    x=st.floats(0.2, 1.0),
    assumed=st.sampled_from([NONE, FIRST, SECOND]),
)
def test_the_tangent_point_is_the_reverse_information_projection(
    acc: list[float], s_1: float, factor: float, x: float, assumed: tuple[bool, bool]
) -> None:
    cells = made([0, 0], [0, 0], acc[:2], acc[2:])
    c_1 = factor * float(largest_separable(s_1, x))
    found = best_tangent(cells, assumed, np.array(s_1), np.array(c_1), np.array(x))
    free = [one for one, taken in zip(acc[:2], assumed, strict=True) if not taken]
    low, high = len(free) ** 2 / sum(1 / a for a in free), 4 / sum(1 / a for a in acc[2:])
    ones = 2 - len(free)

    def divergence(w: float) -> float:
        point = Boundary(w=np.array(w), x=np.array(x))
        s, c = (2 * float(point.s) - ones) / len(free), float(point.c)
        return -(low * (s_1 * math.log(s) - s) + high * (c_1 * math.log(c) - c))

    first = float(lowest_w(x))
    last = max(math.sqrt(2 * x * c_1 + 1 - x) - 2, first) + 1e-9
    best = optimize.minimize_scalar(divergence, bounds=(first, last), options={"xatol": 1e-10})
    w = float(np.sqrt(1 + x * (2 * found.s - 1)))
    assert divergence(w) <= min(best.fun, divergence(first)) + 1e-9 * abs(best.fun)


@settings(max_examples=50, deadline=None)
@given(
    acc=st.lists(st.floats(0.01, 1e4), min_size=4, max_size=4),
    s=st.tuples(st.floats(0.0, 8.0), st.floats(0.0, 8.0)),
    share=st.floats(0.0, 1.0),
    x=st.floats(0.3, 1.0),
)
def test_no_separable_state_makes_its_process_grow(
    acc: list[float], s: tuple[float, float], share: float, x: float
) -> None:
    """Exact expectation over Poisson counts with R = x of the mean, each s_j < 1 counted as 1."""
    zero, factors = coefficients(acc[:2], acc[2:], x)
    c = 2 * float(largest_separable((max(s[0], 1.0) + max(s[1], 1.0)) / 2, x))
    means = np.array([*s, share * c, (1 - share) * c]) * acc
    log_expectation = zero + np.tensordot(means, np.expm1(factors), axes=1)
    valid = ASSUMED.index((s[0] < 1.0, s[1] < 1.0))
    assert log_expectation[valid].max() < 1e-9 * (1 + means.sum())


@pytest.mark.parametrize(("n_a", "n_b"), [(3, 4), (10, 12), (40, 25)])
@pytest.mark.parametrize("g", [1.0, 1.5, 6.0])
def test_given_the_singles_a_count_is_no_wilder_than_poisson(n_a: int, n_b: int, g: float) -> None:
    """Noncentral hypergeometric C by enumeration: E (1+f)^C exp(-f mean) <= 1, f of either sign."""
    trials, p = 400_000, 1e-4
    both = g * p * p
    odds = both * (1 - 2 * p + both) / (p - both) ** 2
    c = np.arange(min(n_a, n_b) + 1)
    logs = special.gammaln([n_a + 1, n_b + 1]).sum() - (
        special.gammaln(c + 1)
        + special.gammaln(n_a - c + 1)
        + special.gammaln(n_b - c + 1)
        + special.gammaln(trials - n_a - n_b + c + 1)
    )
    weights = np.exp(logs + c * math.log(odds) - special.logsumexp(logs + c * math.log(odds)))
    mean = float(weights @ c)
    for f in (-0.9, -0.3, 0.5, 2.0, 10.0):
        assert weights @ (1 + f) ** c <= math.exp(f * mean) * (1 + 1e-9)
    assert mean == pytest.approx(g * n_a * n_b / trials, rel=1e-3)


def claims(g: tuple[float, ...], runs: int, looks: int, seed: int) -> dict[float, float]:
    """Share of runs whose E ever reaches 1/α, at the paper's rates, blocks of 1e7 trials."""
    low, high = (a / 111.4 for a in (OPTIMAL.low_accidentals, OPTIMAL.high_accidentals))
    zero, factors = coefficients(low, high)
    rng = np.random.default_rng(seed)
    means = np.array(g) * np.r_[low.ravel(), high.ravel()]
    counts = rng.poisson(means, (runs, looks, 4)).cumsum(axis=1)
    reached = np.full(runs, -math.inf)
    for look in range(looks):
        logs = np.tensordot(counts[:, look], factors, axes=1) + (look + 1) * zero
        top = logs.max(axis=-1, keepdims=True)
        mixed = top[..., 0] + np.log(np.exp(logs - top).mean(axis=-1))
        reached = np.maximum(reached, mixed.min(axis=1))
    return {alpha: float(np.mean(reached >= -math.log(alpha))) for alpha in (0.05, 0.01)}


@pytest.mark.parametrize(
    ("s", "share"),
    [((2.0, 2.0), 0.5), ((0.6, 2.5), 0.5), ((0.05, 2.0), 0.5), ((0.05, 2.0), 0.575)],
)
def test_false_claims_stay_below_alpha_with_300_looks(s: tuple[float, float], share: float) -> None:
    """300 runs: σ of 5 % is 1.26 %. Tested herald by herald (0.05, 2) claimed in half the runs."""
    c = 2 * float(largest_separable((max(s[0], 1.0) + max(s[1], 1.0)) / 2))
    found = claims((*s, share * c, (1 - share) * c), runs=300, looks=300, seed=7)
    assert found[0.05] <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)
    assert found[0.01] <= 0.01 + 3 * math.sqrt(0.01 * 0.99 / 300)


def test_entanglement_of_the_paper_is_found() -> None:
    """150 runs of 1.65e9 trials at the model's g²: the 99 % claim comes in more than half."""
    found = claims((1.07, 1.08, 8.17, 7.69), runs=150, looks=165, seed=3)
    assert found[0.01] > 0.5


def test_a_run_resumes_exactly_from_json() -> None:
    block = made([1, 2], [5, 4], [0.8, 1.9], [1.2, 1.3])
    half = anytime_test(0.9937, declared=(1.18, 8.0)).add(block).add(OPTIMAL)
    resumed = AnytimeTest.from_dict(json.loads(json.dumps(half.to_dict())))
    for test in (half.add(EXTENDED), resumed.add(EXTENDED)):
        assert test.blocks == 3
    assert np.array_equal(half.add(EXTENDED).logs, resumed.add(EXTENDED).logs)
    assert half.add(EXTENDED).to_dict() == resumed.add(EXTENDED).to_dict()
    with pytest.raises(ValueError, match="must hold `largest`"):
        AnytimeTest.from_dict({k: v for k, v in half.to_dict().items() if k != "largest"})


def test_a_block_without_accidentals_in_a_cell_is_skipped() -> None:
    test = anytime_test().add(made([0, 3], [2, 2], [0.0, 1.0], [1.0, 1.0]))
    assert (test.blocks, test.skipped, test.log_e_at(1.0)) == (0, 1, 0.0)


def test_the_upper_limit_never_rises_and_agrees_with_the_confidence() -> None:
    rng = np.random.default_rng(11)
    scale = 1e8 / 1.114e9
    low, high = OPTIMAL.low_accidentals * scale, OPTIMAL.high_accidentals * scale
    test, limits = anytime_test(), []
    for _ in range(60):
        counts = rng.poisson(1.1 * low), rng.poisson(9.0 * high)
        test = test.add(made(*counts, low, high))
        limits.append(test.upper_limit(0.05))
    assert limits == sorted(limits, reverse=True)
    assert BOUNDS[0] < limits[-1] < 1.0
    assert test.confidence(limits[-1]) == pytest.approx(0.95, abs=1e-9)
    assert test.confidence(limits[-1] + 0.02) > 0.95 > test.confidence(limits[-1] - 0.02)
    assert test.log_evidence(0.8) <= test.log_evidence(0.9) <= test.log_evidence(1.0)


@settings(max_examples=20, deadline=None)
@given(
    acc=st.lists(st.floats(0.05, 1e4), min_size=4, max_size=4),
    counts=st.lists(st.sampled_from([0, 1, 3, 16, 17, 40]), min_size=4, max_size=4),
)
def test_bets_between_nodes_are_the_best_ones(acc: list[float], counts: list[int]) -> None:
    """What `add` bets by interpolation, against every tangent by itself."""
    cells, x = made(counts[:2], counts[2:], acc[:2], acc[2:]), np.array(0.85)
    states = alternatives()
    found = growth(cells, 0.85)
    for row, assumed in zip(found, ASSUMED, strict=True):
        t = best_tangent(cells, assumed, np.array(states.s), np.array(states.c), x)
        exact = (t.slope * t.s - t.c) * t.bet
        for count, expected in zip(counts[2:], acc[2:], strict=True):
            exact += count * np.log1p(t.bet / (2 * expected))
        for count, expected, taken in zip(counts[:2], acc[:2], assumed, strict=True):
            per_low = t.slope * t.bet / 2
            exact += -per_low if taken else count * np.log1p(-per_low / expected)
        assert row == pytest.approx(exact, rel=1e-6, abs=1e-6 * (1 + sum(acc)))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4, 1e8])
def test_any_number_of_counts_gives_finite_logarithms(scale: float) -> None:
    for low, high in (((0, 0), (0, 0)), ((0, 0), (9, 5)), ((9, 8), (1, 0)), ((1, 1), (8, 8))):
        counts = np.round(np.array([low, high]) * max(scale, 1.0))
        test = anytime_test(0.31).add(made(*counts, [scale] * 2, [scale * 1.3] * 2))
        assert np.isfinite(test.logs).all()
        assert 0.0 <= test.confidence(0.31) <= test.confidence(1.0) <= 1.0


def test_theta_and_pi_in_turn_bet_on_four_and_four_cells() -> None:
    """Equal halves at θ and θ + π say as much as the whole at θ."""
    theta = made([2, 8], [40, 36], [2, 6], [5, 5])
    both = made([[1, 1], [4, 4]], [[20, 20], [18, 18]], [[1, 1], [3, 3]], [[2.5] * 2] * 2)
    one, two = anytime_test().add(theta), anytime_test().add(both)
    assert both.n == 4
    assert two.log_e_at(1.0) == pytest.approx(one.log_e_at(1.0), abs=1e-9)
    with pytest.raises(ValueError, match="some are of each kind"):
        cells_of_blocks([(RUN, None), (RUN, RUN)])


def test_a_declared_alternative_takes_half_the_weight() -> None:
    states = alternatives((1.18, 8.0))
    assert len(states.s) == 61
    assert states.weights[-1] == 0.5
    assert sum(states.weights) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="must be an entangled state"):
        alternatives((1.2, 5.0))
    with pytest.raises(ValueError, match="must lie above 0 and not above 1"):
        anytime_test(1.1)
    with pytest.raises(ValueError, match="values tested"):
        anytime_test(limits=False).log_e_at(0.5)
