"""Pulsed entanglement link of seed 000, scheme 2: Eqs. (21), (22) and their agreement."""

import math

import numpy as np
import pytest

from simulation.theory import measures
from simulation.theory.pulsed_link import (
    fibre_reflectivity,
    link_covariance,
    link_density_matrix,
)


def published_covariance(r, W, R):
    wt = W * (1 - R)
    a, b = 0.5 * math.cosh(2 * r), wt * math.sinh(r) ** 2 + 0.5
    c = 0.5 * math.sqrt(wt) * math.sinh(2 * r)
    return [[a, 0, -c, 0], [0, a, 0, c], [-c, 0, b, 0], [0, c, 0, b]]


def corrected_equation_21(r, W, R, cutoff):
    """Term by term, as printed but for the exponent of W."""
    rho = np.zeros((cutoff,) * 4, complex)
    x, f, t_ = math.tanh(r), math.factorial, 1 - R
    for n, m in np.ndindex(cutoff, cutoff):
        for t in range(min(n, m) + 1):
            for k in range(min(n, m) - t + 1):
                p, q = n - t - k, m - t - k
                fibre = math.sqrt(f(n) * f(m) / (f(t) ** 2 * f(n - t) * f(m - t)))
                swap = math.sqrt(f(n - t) * f(m - t) / (f(k) ** 2 * f(p) * f(q)))
                fibre *= R**t * t_ ** ((n + m) / 2 - t)
                swap *= W ** ((n + m) / 2 - t - k) * (1 - W) ** k
                phase = 1j**n * (-1j) ** m * 1j**p * (-1j) ** q
                rho[n, p, m, q] += phase * x ** (n + m) * fibre * swap / math.cosh(r) ** 2
    return rho


def second_moments(rho):
    """Covariance matrix of two modes from their density matrix."""
    cutoff = len(rho)
    a = np.diag(np.sqrt(np.arange(1, cutoff)), 1)
    x, p = (a + a.T) / math.sqrt(2), -1j * (a - a.T) / math.sqrt(2)
    one = np.eye(cutoff)
    xi = [np.kron(x, one), np.kron(p, one), np.kron(one, x), np.kron(one, p)]
    flat = rho.reshape(cutoff**2, cutoff**2)
    return np.array([[np.trace(flat @ (u @ v + v @ u)).real / 2 for v in xi] for u in xi])


def test_published_number_of_the_pulsed_scheme():
    assert measures.log_negativity(link_covariance(1.44, 0.80, 0.5)) == pytest.approx(
        0.7868414526, abs=5e-11
    )


@pytest.mark.parametrize("point", [(1.44, 0.8, 0.5), (0.3, 1.0, 0.0), (2.18, 0.95, 0.99)])
def test_covariance_is_equation_22(point):
    np.testing.assert_allclose(link_covariance(*point), published_covariance(*point), atol=1e-13)


def test_density_matrix_is_the_corrected_equation_21():
    point = (0.6, 0.7, 0.4)
    expected = corrected_equation_21(*point, 7)
    np.testing.assert_allclose(link_density_matrix(*point, 7), expected, atol=1e-15)


def test_density_matrix_and_covariance_are_one_state():
    point, cutoff = (0.4, 0.7, 0.4), 24
    rho = link_density_matrix(*point, cutoff)
    trace = np.einsum("abab->", rho)
    assert trace == pytest.approx(1 - math.tanh(0.4) ** (2 * cutoff), abs=1e-14)
    np.testing.assert_allclose(second_moments(rho), link_covariance(*point), atol=1e-10)


def test_nothing_lost_is_two_mode_squeezed_vacuum():
    r = np.array([0.1, 1.0, 2.5])
    np.testing.assert_allclose(
        measures.log_negativity(link_covariance(r, 1.0, 0.0)), 2 * r, rtol=1e-10
    )


def test_fifty_kilometres_of_fibre_lose_ten_decibels():
    np.testing.assert_allclose(fibre_reflectivity([0, 50, 100]), [0, 0.9, 0.99], rtol=1e-14)


@pytest.mark.parametrize(
    ("point", "name"), [((-1, 0.5, 0.5), "`r`"), ((1, 1.5, 0.5), "`W`"), ((1, 0.5, -0.1), "`R`")]
)
def test_impossible_pulses_and_fibres_are_refused(point, name):
    with pytest.raises(ValueError, match=f"{name} must"):
        link_covariance(*point)
