"""Growth rates of many matrices at once: LAPACK's eigenvalues, exact spectra, what fails is nan."""

import numpy as np
import pytest

from simulation.theory import lyapunov
from simulation.theory.compiled_spectrum import largest_real_parts


def found(matrices):
    rates = np.empty(len(matrices))
    largest_real_parts(matrices, rates)
    return rates


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8, 11])
def test_rates_are_those_of_lapack(size):
    matrices = np.random.default_rng(size).normal(size=(500, size, size))
    expected = np.linalg.eigvals(matrices).real.max(axis=-1)
    np.testing.assert_allclose(found(matrices), expected, atol=1e-11 * size)


def test_a_jordan_block_is_as_exact_as_its_condition_allows():
    block = -0.3 * np.eye(4) + np.eye(4, k=1)
    turned = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    assert found((turned @ block @ turned.T)[None]) == pytest.approx(-0.3, abs=2e-3)
    assert found(block[None]) == -0.3


def test_cyclic_shifts_converge_though_their_eigenvalues_have_one_modulus():
    cyclic = np.roll(np.eye(8), 1, axis=0)
    assert found(cyclic[None]) == pytest.approx(1.0, abs=1e-13)


def test_many_points_and_few_give_the_same_rates_and_nan_is_kept():
    rng = np.random.default_rng(0)
    matrices = np.broadcast_to(rng.normal(size=(1, 2, 2)), (40_000, 2, 2)).copy()
    matrices[7] = [[0.0, 1.0], [-1.0, 0.0]]
    rates = lyapunov.growth_rate(matrices.reshape(200, 200, 2, 2))
    assert rates.shape == (200, 200)
    np.testing.assert_allclose(rates[0, :9], lyapunov.growth_rate(matrices[:9]), atol=1e-14)
    assert np.isnan(found(np.full((1, 3, 3), np.nan)))
