"""Planned elimination: right for any sparse pattern, and cheap where entries share axes."""

import numpy as np
import pytest

from simulation.theory.elimination import run_plan
from simulation.theory.half_matrices import backward_error, dense, pairs, place, positive_definite
from simulation.theory.lyapunov import solve_dense
from simulation.theory.pivoting import make_plan, varying_axes


def random_pattern(seed, size=6, points=40):
    rng = np.random.default_rng(seed)
    drift = {(i, i): -rng.uniform(0.5, 2, points) for i in range(size)}
    for i, j in rng.integers(0, size, (2 * size, 2)):
        if i != j:
            drift[int(i), int(j)] = rng.normal(size=points)
    diffusion = {(i, i): rng.uniform(0.5, 1, points) for i in range(size)}
    diffusion[1, 0] = rng.uniform(-0.3, 0.3, points)
    return drift, diffusion


def matrices(entries, size, shape, symmetric=False):
    full = np.zeros((*shape, size, size))
    for (i, j), value in entries.items():
        full[..., i, j] = value
        if symmetric:
            full[..., j, i] = value
    return full


@pytest.mark.parametrize("seed", range(6))
def test_a_plan_solves_its_pattern(seed):
    drift, diffusion = random_pattern(seed)
    plan = make_plan(6, drift, diffusion, (40,), (40,))
    found = run_plan(plan, drift, diffusion)
    stack = np.stack([np.broadcast_to(found[pair], 40) for pair in pairs(6)])
    expected = solve_dense(matrices(drift, 6, (40,)), matrices(diffusion, 6, (40,), True))
    scale = np.max(np.abs(expected), axis=(1, 2))[:, None, None]
    np.testing.assert_allclose(dense(stack, range(6)) / scale, expected / scale, atol=1e-10)
    assert np.median(backward_error(drift, found, diffusion, found, 6)) < 1e-14


def test_what_depends_on_one_axis_is_computed_on_one_axis():
    upstream = np.linspace(1, 2, 5)[:, None]
    drift = {(0, 0): -upstream, (1, 1): -np.linspace(1, 3, 7), (1, 0): np.array(0.5)}
    diffusion = {(0, 0): np.array(1.0), (1, 1): np.array(1.0)}
    plan = make_plan(2, drift, diffusion, (5, 7), (5, 7))
    found = run_plan(plan, drift, diffusion)
    assert found[0, 0].shape == (5, 1)
    np.testing.assert_allclose(found[0, 0][:, 0], 0.5 / upstream[:, 0])
    assert found[1, 1].shape == (5, 7)


def test_definiteness_and_places_of_entries():
    cov = {(0, 0): np.array([1.0, 1.0, np.nan]), (1, 0): np.array([0.5, 2.0, 0.0])}
    cov[1, 1] = np.ones(3)
    with np.errstate(invalid="ignore"):
        assert positive_definite(cov, 2).tolist() == [True, False, False]
    assert [place(i, j) for i, j in pairs(4)] == list(range(10))
    assert place(1, 3) == place(3, 1)
    assert varying_axes(np.ones((1, 4)), 3) == 0b100


def test_an_error_in_any_entry_is_seen():
    drift, diffusion = random_pattern(3)
    a, d = matrices(drift, 6, (40,)), matrices(diffusion, 6, (40,), True)
    cov = solve_dense(a, d)
    exact = {(i, j): cov[:, i, j] for i, j in pairs(6)}
    for pair in pairs(6):
        off = exact | {pair: exact[pair] * (1 + 1e-3)}
        wrong = matrices(off, 6, (40,), True)
        residual = np.abs(a @ wrong + wrong @ np.swapaxes(a, 1, 2) + d)
        width = np.sqrt(np.abs(np.diagonal(wrong, axis1=1, axis2=2)))
        by_hand = np.max(residual / (width[:, :, None] * width[:, None, :]), axis=(1, 2))
        by_hand /= 2 * np.max(np.sum(np.abs(a), axis=2), axis=1)
        found = backward_error(drift, off, diffusion, off, 6)
        np.testing.assert_allclose(found, by_hand, rtol=1e-9)
        assert np.median(found) > 1e-6
