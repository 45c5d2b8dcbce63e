"""EPR and Reid products, Gaussian steering, Duan: exact states, bounds, invariance, brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from simulation.theory import gaussian
from simulation.theory.measures import smallest_transposed_eigenvalue
from simulation.theory.steering import (
    duan_sum,
    epr_product,
    gaussian_steering,
    reid_product,
    schur_determinant,
)


def pairs(r, phase=0.7):
    return gaussian.apply(gaussian.vacuum(2), gaussian.two_mode_squeezing(r, phase))


def random_states(seed, n=60):
    """Thermal modes, squeezed one by one and together, and mixed."""
    rng = np.random.default_rng(seed)
    draw = lambda high: rng.uniform(0, high, n)  # noqa: E731
    cov = gaussian.thermal(rng.uniform(0, 2, (n, 2)))
    for mode in (0, 1):
        stretch = np.exp(rng.uniform(-0.6, 0.6, n))
        local = np.zeros((n, 2, 2))
        local[:, 0, 0], local[:, 1, 1] = stretch, 1 / stretch
        cov = gaussian.apply(cov, gaussian.phase_rotation(draw(6)) @ local, [mode])
    cov = gaussian.apply(cov, gaussian.two_mode_squeezing(draw(1.5), draw(6)))
    return gaussian.apply(cov, gaussian.beam_splitter(draw(1), draw(6)))


def test_two_mode_squeezed_vacuum_has_the_known_products():
    r = np.array([1e-3, 0.3, 1.0, 2.0])
    np.testing.assert_allclose(epr_product(pairs(r)), np.exp(-4 * r), rtol=1e-11)
    np.testing.assert_allclose(reid_product(pairs(r)), np.cosh(2 * r) ** -2, rtol=1e-11)
    np.testing.assert_allclose(gaussian_steering(pairs(r)), np.log(np.cosh(2 * r)), atol=1e-12)
    np.testing.assert_allclose(duan_sum(pairs(r, np.pi)), 2 * np.exp(-2 * r), rtol=1e-11)


def test_loss_on_one_side_leaves_one_way_steering():
    cov = gaussian.loss(pairs(1.0), 0.4, [0])
    assert reid_product(cov, (0, 1)) < 1 < reid_product(cov, (1, 0))
    assert gaussian_steering(cov, (0, 1)) > 0 == gaussian_steering(cov, (1, 0))


def test_products_stay_above_their_bounds_and_below_any_choice():
    for seed in range(3):
        cov = random_states(seed)
        epr, reid = epr_product(cov), reid_product(cov)
        assert np.all(epr >= 4 * smallest_transposed_eigenvalue(cov) ** 2 * (1 - 1e-9))
        assert np.all(reid >= 4 * schur_determinant(cov) * (1 - 1e-9))
        x, p = cov[:, 0, 0] - cov[:, 0, 2] ** 2 / cov[:, 2, 2], cov[:, 1, 1]
        assert np.all(reid <= 4 * x * (p - cov[:, 1, 3] ** 2 / cov[:, 3, 3]) * (1 + 1e-12))


@settings(max_examples=8)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_products_do_not_depend_on_local_phases(first, second):
    cov = random_states(5)
    turned = gaussian.apply(cov, gaussian.phase_rotation(first), [0])
    turned = gaussian.apply(turned, gaussian.phase_rotation(second), [1])
    for product in (epr_product, reid_product):
        plain = product(cov)
        witnessed = plain < 1
        assert np.count_nonzero(witnessed) >= 5
        np.testing.assert_allclose(product(turned)[witnessed], plain[witnessed], rtol=1e-8)


def test_a_narrow_valley_of_strong_local_squeezing_is_found():
    """One of the states whose valley lies between the points of the grid of angles."""
    cov = np.array(
        [
            [125.514, -78.538, -72.495, 58.011],
            [-78.538, 49.468, 45.0, -35.995],
            [-72.495, 45.0, 67.001, -53.527],
            [58.011, -35.995, -53.527, 42.829],
        ]
    )
    angles = np.linspace(0, np.pi, 400)
    turned = gaussian.apply(cov, gaussian.phase_rotation(angles)[:, None], [0])
    turned = gaussian.apply(turned, gaussian.phase_rotation(angles)[None], [1])
    a, b, c = turned[..., :2, :2], turned[..., 2:, 2:], turned[..., :2, 2:]
    left = [a[..., k, k] - c[..., k, k] ** 2 / b[..., k, k] for k in (0, 1)]
    assert reid_product(cov) <= np.min(4 * left[0] * left[1])


def separable_states(n):
    """Thermal modes mixed on beam splitters, where gains of opposite sign would do better."""
    rng = np.random.default_rng(1)
    cov = gaussian.thermal(rng.uniform(0, 3, (n, 2)))
    return gaussian.apply(cov, gaussian.beam_splitter(rng.uniform(0, 1, n), rng.uniform(0, 6, n)))


@pytest.mark.parametrize("entangled", [True, False])
def test_the_epr_product_is_what_a_search_over_angles_and_gains_finds(entangled):
    cov = random_states(8, n=12) if entangled else separable_states(3)
    cov = cov[(epr_product(cov) < 0.9) == entangled][:4]

    def value(parameters, v):
        first, second, f, g = np.clip(parameters, -20, 20)
        turn = gaussian.apply(v, gaussian.phase_rotation(first), [0])
        turn = gaussian.apply(turn, gaussian.phase_rotation(second), [1])
        f, g = np.exp([f, g])  # both signs are reached by turning the second mode
        x, p = np.array([1, 0, f, 0]), np.array([0, 1, 0, -g])
        return 4 * (x @ turn @ x) * (p @ turn @ p) / (1 + f * g) ** 2

    rng = np.random.default_rng(0)
    options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 2000}
    for point in range(len(cov)):
        starts = rng.uniform(-2, 2, (8, 4))
        found = [
            minimize(value, s, cov[point], method="Nelder-Mead", options=options).fun
            for s in starts
        ]
        assert epr_product(cov[point]) == pytest.approx(min(found), rel=1e-6)


def test_nan_points_stay_nan_and_shapes_are_kept():
    cov = np.array([[pairs(0.5), np.full((4, 4), np.nan)]])
    assert epr_product(cov).shape == (1, 2)
    assert np.isnan(epr_product(cov)[0]).tolist() == [False, True]


def test_two_modes_must_be_named():
    with pytest.raises(ValueError, match="must name two modes"):
        epr_product(gaussian.vacuum(3), (0,))
