"""Measures of Gaussian states against exact cases."""

import numpy as np
import pytest

from simulation.theory import gaussian, measures


def squeezed_vacuum(r):
    return gaussian.apply(gaussian.vacuum(2), gaussian.two_mode_squeezing(r))


def test_log_negativity_of_two_mode_squeezed_vacuum_is_2r():
    r = np.array([1e-6, 0.1, 1.0, 3.0])
    np.testing.assert_allclose(measures.log_negativity(squeezed_vacuum(r)), 2 * r, rtol=1e-8)


def test_separable_states_have_no_log_negativity():
    mixed = gaussian.apply(gaussian.thermal([3.0, 0.2]), gaussian.beam_splitter(0.3))
    assert measures.log_negativity(mixed) == 0.0
    assert measures.log_negativity(gaussian.vacuum(2)) == 0.0


def test_thermal_noise_of_known_size_ends_entanglement():
    # ν̃₋ = e^{−2r} (n̄ + 1/2) for symmetric thermal input
    r, n = 0.6, 0.4
    cov = gaussian.apply(gaussian.thermal([n, n]), gaussian.two_mode_squeezing(r))
    assert measures.smallest_transposed_eigenvalue(cov) == pytest.approx(np.exp(-2 * r) * (n + 0.5))


def test_entanglement_is_found_between_the_modes_named():
    cov = gaussian.apply(gaussian.vacuum(3), gaussian.two_mode_squeezing(0.5), [0, 2])
    assert measures.log_negativity(cov, [0, 2]) == pytest.approx(1.0)
    assert measures.log_negativity(cov, [0, 1]) == pytest.approx(0, abs=1e-15)


def test_symplectic_eigenvalues_survive_symplectic_maps():
    cov = gaussian.apply(gaussian.thermal([0.3, 2.0]), gaussian.two_mode_squeezing([0.2, 1.3]))
    np.testing.assert_allclose(measures.symplectic_eigenvalues(cov), [[0.8, 2.5]] * 2)


def test_purity_is_one_for_pure_and_known_for_thermal_states():
    assert measures.purity(squeezed_vacuum(1.0)) == pytest.approx(1.0)
    assert measures.purity(gaussian.thermal([1.0, 0.5])) == pytest.approx(1 / 3 / 2)


def test_what_is_no_positive_matrix_has_no_purity():
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        measures.purity(-np.eye(4))  # its determinant is positive
    with pytest.raises(ValueError, match=r"must have shape \(\.\.\., 2n, 2n\), but has \(3, 3\)"):
        measures.symplectic_eigenvalues(np.eye(3))


def test_unstable_points_of_a_batch_stay_nan_and_are_not_physical():
    cov = np.stack([gaussian.thermal([1.0, 0.5]), np.full((4, 4), np.nan)])
    np.testing.assert_allclose(measures.purity(cov), [1 / 6, np.nan])
    np.testing.assert_allclose(measures.symplectic_eigenvalues(cov)[1], np.nan)
    assert measures.is_physical(cov).tolist() == [True, False]


def test_a_state_below_vacuum_noise_is_not_physical():
    assert measures.uncertainty_margin(0.9 * gaussian.vacuum(1)) == pytest.approx(-0.05)
    assert not measures.is_physical(0.9 * gaussian.vacuum(1))
    assert not measures.is_physical((1 - 1e-9) * gaussian.vacuum(1))
    assert measures.is_physical(squeezed_vacuum([0.0, 2.0])).all()


def test_log_negativity_needs_two_modes():
    with pytest.raises(ValueError, match="must name two modes"):
        measures.log_negativity(gaussian.vacuum(3), [0, 1, 2])


def test_transposed_eigenvalue_equals_the_symplectic_spectrum_of_the_transposed_state():
    rng = np.random.default_rng(2)
    squeeze = gaussian.two_mode_squeezing(rng.uniform(0, 1.5, 50), rng.uniform(0, 6, 50))
    mix = gaussian.beam_splitter(rng.uniform(0, 1, 50), rng.uniform(0, 6, 50))
    cov = gaussian.apply(gaussian.apply(gaussian.thermal([0.7, 0.1]), squeeze), mix)
    mirror = np.diag([1, 1, 1, -1])
    spectrum = measures.symplectic_eigenvalues(mirror @ cov @ mirror)
    np.testing.assert_allclose(
        measures.smallest_transposed_eigenvalue(cov), spectrum[:, 0], rtol=1e-11
    )


def test_log_nu_goes_below_zero_where_log_negativity_stops():
    cov = gaussian.thermal([0.5, 0.5])
    assert measures.log_nu(cov) == pytest.approx(-np.log(2))
    assert measures.log_negativity(cov) == 0.0


def test_squeezed_variance_is_the_smallest_of_any_quadrature():
    turned = gaussian.phase_rotation(0.7)
    cov = turned @ np.diag([0.5 * np.exp(-2.0), 0.5 * np.exp(2.0)]) @ turned.T
    assert measures.squeezed_variance(cov) == pytest.approx(0.5 * np.exp(-2.0), rel=1e-12)
    assert measures.squeezed_variance(squeezed_vacuum(1.0), 1) == pytest.approx(np.cosh(2) / 2)
