"""States and propagator of seed 000, Eqs. (13), (14), (18)–(21), against one another."""

import numpy as np
import pytest

from simulation.theory.pulsed_link import link_covariance, link_density_matrix
from simulation.theory.pulsed_states import (
    density_matrix,
    squeezing_propagator,
    swapped_states,
    travelling_states,
)

R_SQUEEZE = 0.4
CUTOFF = 14


def lowering(size):
    return np.diag(np.sqrt(np.arange(1, size)), 1)


def test_the_propagator_is_unitary_and_turns_the_field_as_equation_12():
    size, low = 24, 5  # the cut leaves n⁸ tanh⁴⁸r ~ 1e-10 of the highest of them
    u = squeezing_propagator(R_SQUEEZE, size).reshape(size**2, size**2)
    field = np.kron(lowering(size), np.eye(size))
    phonons = np.kron(np.eye(size), lowering(size))
    places = (np.arange(low)[:, None] * size + np.arange(low)).ravel()
    block = np.ix_(places, places)
    np.testing.assert_allclose((u.conj().T @ u)[block], np.eye(low**2), atol=1e-9)
    turned = np.cosh(R_SQUEEZE) * field + 1j * np.sinh(R_SQUEEZE) * phonons.T
    np.testing.assert_allclose((u.conj().T @ field @ u)[block], turned[block], atol=1e-9)


def test_the_last_sign_as_printed_is_not_unitary():
    """With e^{−i tanh r C b}: ⟨11|U†U|11⟩ is not 1."""
    size = 24
    u = squeezing_propagator(R_SQUEEZE, size)
    assert np.sum(np.abs(u[:, :, 1, 1]) ** 2) == pytest.approx(1, abs=1e-11)
    tanh, cosh = np.tanh(R_SQUEEZE), np.cosh(R_SQUEEZE)
    n = np.arange(size)
    from_vacuum = (1j * tanh) ** n / cosh
    from_one = n * np.append(0, (1j * tanh) ** n[:-1]) / cosh**3
    right, printed = from_one + 1j * tanh * from_vacuum, from_one - 1j * tanh * from_vacuum
    np.testing.assert_allclose(u[n, n, 1, 1], right, atol=1e-12)
    assert np.sum(np.abs(printed) ** 2) > 1.2


def test_from_vacuum_the_propagator_makes_the_pair_of_equation_14():
    made = squeezing_propagator(R_SQUEEZE, CUTOFF)[:, :, 0, 0]  # axes C1, b1
    (pair, *lost) = travelling_states(R_SQUEEZE, 0.0, CUTOFF)  # axes b1, light
    np.testing.assert_allclose(made.T, pair, atol=1e-14)
    assert not np.any(lost)


@pytest.mark.parametrize("lost", [0.0, 0.3, 1.0])
def test_light_behind_the_fibre_is_a_link_of_full_swap_but_for_a_quarter_turn(lost):
    """Eq. (18): W = 1 of Eq. (21) differs by the iⁿ⁻ᵗ of the scattering alone."""
    turn = 1j ** np.arange(CUTOFF)
    rho = density_matrix(travelling_states(R_SQUEEZE, lost, CUTOFF))
    turned = rho * turn[None, :, None, None] * turn.conj()
    np.testing.assert_allclose(
        turned, link_density_matrix(R_SQUEEZE, 1.0, lost, CUTOFF), atol=1e-14
    )


def test_tracing_the_light_out_of_equation_20_gives_equation_21():
    states = swapped_states(R_SQUEEZE, 0.7, 0.3, CUTOFF)
    traced = np.einsum("tabl,tcdl->abcd", states, states.conj())
    expected = link_density_matrix(R_SQUEEZE, 0.7, 0.3, CUTOFF)
    np.testing.assert_allclose(traced, expected, atol=1e-14)
    small = density_matrix(states[:6, :6, :6, :6])
    assert np.trace(small.reshape(216, 216)).real == pytest.approx(1 - np.tanh(R_SQUEEZE) ** 12)


def test_light_that_missed_the_second_mechanics_holds_the_rest():
    """⟨n_light⟩ = (1 − R)(1 − W) sinh² r, ⟨n_b2⟩ as in Eq. (22)."""
    states = np.abs(swapped_states(R_SQUEEZE, 0.7, 0.3, 30)) ** 2
    n = np.arange(30)
    b2 = link_covariance(R_SQUEEZE, 0.7, 0.3)[2, 2] - 0.5
    assert np.sum(states * n[:, None]) == pytest.approx(b2, rel=1e-10)
    assert np.sum(states * n) == pytest.approx(0.7 * 0.3 * np.sinh(R_SQUEEZE) ** 2, rel=1e-10)


def test_what_cannot_be_written_out_is_refused():
    with pytest.raises(ValueError, match="lower `cutoff`"):
        density_matrix(swapped_states(0.1, 0.5, 0.5, 32))
    with pytest.raises(ValueError, match="`cutoff` must be at least 1"):
        travelling_states(0.1, 0.5, 0)
    with pytest.raises(ValueError, match="`R` must"):
        travelling_states(0.1, 1.5, 4)
