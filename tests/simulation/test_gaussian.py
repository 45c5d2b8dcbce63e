"""Symplectic maps: exact states, and physicality of everything they make."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.theory import gaussian, measures

SQUEEZING = st.floats(0, 2)
FRACTION = st.floats(0, 1)
PHASE = st.floats(-10, 10)


def test_two_mode_squeezed_vacuum_holds_sinh_squared_r_quanta_per_mode():
    r = np.array([0.1, 0.7, 1.5])
    cov = gaussian.apply(gaussian.vacuum(2), gaussian.two_mode_squeezing(r))
    np.testing.assert_allclose(gaussian.occupation(cov), (np.sinh(r) ** 2)[:, None] * [1, 1])
    np.testing.assert_allclose(
        gaussian.anomalous_moments(cov)[:, 0, 1], np.sinh(r) * np.cosh(r), rtol=1e-14
    )


def test_two_mode_squeezing_phase_is_the_phase_of_the_anomalous_moment():
    cov = gaussian.apply(gaussian.vacuum(2), gaussian.two_mode_squeezing(0.8, 0.3))
    assert np.angle(gaussian.anomalous_moments(cov)[0, 1]) == pytest.approx(0.3)


def test_beam_splitter_swaps_at_zero_transmissivity_and_keeps_the_total():
    cov = gaussian.apply(gaussian.thermal([2.0, 0.5]), gaussian.beam_splitter([0.0, 0.3, 1.0]))
    n = gaussian.occupation(cov)
    np.testing.assert_allclose(n, [[0.5, 2.0], [0.95, 1.55], [2.0, 0.5]])


def test_beam_splitter_reflection_is_a_quarter_period_late():
    cov = gaussian.apply(gaussian.thermal([2.0, 0.5]), gaussian.beam_splitter(0.5))
    np.testing.assert_allclose(gaussian.number_moments(cov)[0, 1], 0.75j, atol=1e-15)


def test_loss_relaxes_to_the_bath():
    cov = gaussian.loss(gaussian.thermal([4.0, 1.0]), [1.0, 0.25, 0.0], [0], occupation=0.4)
    np.testing.assert_allclose(gaussian.occupation(cov), [[4, 1], [1.3, 1], [0.4, 1]])


def test_amplifier_adds_the_noise_of_its_idler():
    cov = gaussian.amplify(gaussian.thermal([3.0]), 2.0, [0], occupation=0.5)
    np.testing.assert_allclose(gaussian.occupation(cov), [2 * 3 + 1 * 1.5])


def test_added_noise_adds_quanta_and_nothing_else():
    cov = gaussian.apply(gaussian.vacuum(2), gaussian.two_mode_squeezing(0.5))
    noisy = gaussian.add_noise(cov, 0.3, [1])
    np.testing.assert_allclose(noisy - cov, np.diag([0, 0, 0.3, 0.3]), atol=1e-15)


def test_a_phase_rotation_moves_the_phase_of_the_moments_only():
    cov = gaussian.apply(gaussian.vacuum(2), gaussian.two_mode_squeezing(0.5))
    turned = gaussian.apply(cov, gaussian.phase_rotation(0.4), [1])
    np.testing.assert_allclose(gaussian.occupation(turned), gaussian.occupation(cov))
    assert np.angle(gaussian.anomalous_moments(turned)[0, 1]) == pytest.approx(0.4)


def test_moments_and_covariance_are_the_same_state():
    rng = np.random.default_rng(7)
    squeezers = gaussian.two_mode_squeezing(rng.uniform(0, 1, 5), rng.uniform(0, 6, 5))
    cov = gaussian.apply(gaussian.thermal([0.1, 0.2, 0.3]), squeezers, [2, 0])
    moments = gaussian.number_moments(cov), gaussian.anomalous_moments(cov)
    np.testing.assert_allclose(gaussian.from_moments(*moments), cov, atol=1e-14)


def test_reduce_takes_modes_in_the_order_asked():
    cov = gaussian.thermal([0.1, 0.2, 0.3])
    np.testing.assert_allclose(gaussian.occupation(gaussian.reduce(cov, [2, 0])), [0.3, 0.1])


@given(r=SQUEEZING, phi=PHASE, t=FRACTION, psi=PHASE)
def test_maps_are_symplectic(r, phi, t, psi):
    squeeze, mix = gaussian.two_mode_squeezing(r, phi), gaussian.beam_splitter(t, psi)
    s = gaussian.embed(squeeze, [2, 1], 3) @ gaussian.embed(mix, [0, 1], 3)
    omega = measures.symplectic_form(3)
    np.testing.assert_allclose(s @ omega @ s.T, omega, atol=1e-11)


@given(r=SQUEEZING, n=st.floats(0, 5), t=FRACTION, noise=st.floats(0, 3), gain=st.floats(1, 5))
def test_channels_keep_states_physical(r, n, t, noise, gain):
    cov = gaussian.apply(gaussian.thermal([n, 0.0]), gaussian.two_mode_squeezing(r))
    cov = gaussian.add_noise(gaussian.amplify(gaussian.loss(cov, t, [0]), gain, [1]), noise, [0])
    assert measures.is_physical(cov)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian.thermal([-0.1]), "`occupations` must be ≥ 0, but the smallest is -0.1"),
        (lambda: gaussian.beam_splitter(1.2), r"`transmissivity` must lie in \[0, 1\]"),
        (lambda: gaussian.loss(gaussian.vacuum(1), np.nan, [0]), "`transmissivity` must lie"),
        (lambda: gaussian.add_noise(gaussian.vacuum(1), -1, [0]), "`quanta` must be ≥ 0"),
        (lambda: gaussian.amplify(gaussian.vacuum(1), 0.5, [0]), "use `loss` to attenuate"),
        (lambda: gaussian.reduce(gaussian.vacuum(2), [0, 2]), "distinct numbers from 0 to 1"),
        (lambda: gaussian.embed(np.eye(2), [0, 1], 2), r"must have shape \(..., 4, 4\)"),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()
