"""Squeezed and correlated baths, gain, and rings of links, against closed forms."""

import numpy as np
import pytest

from simulation.theory.couplings import single_mode_squeezing
from simulation.theory.linear_model import noise_margin
from simulation.theory.measures import log_negativity
from simulation.theory.network import Gain, Link, Mode, Network, Port, SharedBath
from simulation.theory.output_spectra import output_spectra
from simulation.theory.steady_state import growth_rate, steady_state

R = 0.7


def cov(network):
    model = network.build()
    assert noise_margin(model.drift, model.diffusion) > -1e-12
    return steady_state(model).cov


def test_a_mode_damped_into_squeezed_vacuum_is_squeezed():
    found = cov(Network(modes=[Mode("a", damping=1.3, squeezing=R)]))
    np.testing.assert_allclose(found, np.diag([np.exp(-2 * R), np.exp(2 * R)]) / 2, rtol=1e-12)


def test_the_angle_of_a_squeezed_bath_turns_its_ellipse_by_half():
    turned = cov(Network(modes=[Mode("a", damping=1.3, squeezing=R, angle=np.pi)]))
    np.testing.assert_allclose(turned, np.diag([np.exp(2 * R), np.exp(-2 * R)]) / 2, rtol=1e-12)
    skew = cov(Network(modes=[Mode("a", damping=1.3, squeezing=R, angle=np.pi / 2)]))
    expected = 0.5 * np.array(
        [[np.cosh(2 * R), -np.sinh(2 * R)], [-np.sinh(2 * R), np.cosh(2 * R)]]
    )
    np.testing.assert_allclose(skew, expected, rtol=1e-12)


def test_a_detuned_mode_sees_only_the_mean_noise_of_a_squeezed_bath():
    """⟨aa⟩ turns at 2Δ and is averaged away as κ/(κ + 2iΔ)."""
    kappa, delta, n = 1.0, 40.0, 0.3
    mode = Mode("a", detuning=delta, damping=kappa, occupation=n, squeezing=R)
    v = cov(Network(modes=[mode]))
    paired = 0.5 * (v[0, 0] - v[1, 1]) + 1j * v[0, 1]
    expected = -(n + 0.5) * np.sinh(2 * R) * kappa / (kappa + 2j * delta)
    assert 0.5 * (v[0, 0] + v[1, 1]) == pytest.approx((n + 0.5) * np.cosh(2 * R))
    assert paired == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("angle", [0.0, 1.1])
def test_an_all_pass_cavity_reflects_squeezed_light_unchanged_on_resonance(angle):
    network = Network(modes=[Mode("a", damping=1.0, squeezing=R, angle=angle)])
    at_zero = output_spectra(network, ["a"], [0.0])[0].real
    expected = 2 * cov(Network(modes=[Mode("a", damping=1.0, squeezing=R, angle=angle)]))
    np.testing.assert_allclose(at_zero, expected, rtol=1e-12, atol=1e-14)


def test_a_parametric_oscillator_can_undo_the_squeezing_of_its_bath():
    """Degenerate gain 2ξ = κ x' multiplies the bath's variances by 1/(1 ∓ x')."""
    x = np.tanh(R)
    mode = Mode("s", damping=1.0, squeezing=R)
    v = cov(Network(modes=[mode], couplings=[single_mode_squeezing("s", 0.5j * x)]))
    expected = [np.exp(-2 * R) / (1 - x) / 2, np.exp(2 * R) / (1 + x) / 2]
    np.testing.assert_allclose(np.diag(v), expected, rtol=1e-12)


def test_two_cavities_in_two_mode_squeezed_light_are_entangled_by_2r():
    modes = [Mode("a", damping=1.0), Mode("b", damping=1.0)]
    v = cov(Network(modes=modes, shared_baths=[SharedBath("a", "b", squeezing=R)]))
    assert log_negativity(v) == pytest.approx(2 * R, rel=1e-12)
    np.testing.assert_allclose(np.diag(v), np.cosh(2 * R) / 2, rtol=1e-12)


def test_unequal_cavities_store_only_what_their_lines_share():
    """⟨ab⟩ = ⟨ww⟩ √(κ_a κ_b)/((κ_a + κ_b)/2)."""
    modes = [Mode("a", damping=1.0), Mode("b", damping=3.0)]
    shared = SharedBath("a", "b", squeezing=R, phase=np.pi)
    v = cov(Network(modes=modes, shared_baths=[shared]))
    assert v[0, 2] == pytest.approx(0.5 * np.sinh(2 * R) * np.sqrt(3) / 2, rel=1e-12)


def test_correlated_thermal_noise_is_seen_in_both_and_entangles_nothing():
    n, c = 0.8, 0.5
    modes = [Mode("a", damping=1.0), Mode("b", damping=1.0)]
    v = cov(Network(modes=modes, shared_baths=[SharedBath("a", "b", occupation=n, coherence=c)]))
    np.testing.assert_allclose(np.diag(v), n + 0.5, rtol=1e-12)
    assert v[0, 2] == pytest.approx(c, rel=1e-12)
    assert v[1, 3] == pytest.approx(c, rel=1e-12)
    assert log_negativity(v) == 0


def test_gain_amplifies_with_the_least_noise_quantum_mechanics_allows():
    """n = (κ n̄ + g (n_idler + 1))/(κ − g); unstable from g = κ."""
    kappa, g, n, idler = 1.0, 0.6, 0.4, 0.2

    def network(rate):
        gains = [Gain("a", rate=rate, occupation=idler)]
        return Network(modes=[Mode("a", damping=kappa, occupation=n)], gains=gains)

    expected = (kappa * n + g * (idler + 1)) / (kappa - g)
    np.testing.assert_allclose(cov(network(g)), (expected + 0.5) * np.eye(2), rtol=1e-12)
    assert growth_rate(network(1.2).build()) == pytest.approx(0.1)


def test_an_amplifier_adds_gain_minus_one_to_the_reflected_vacuum():
    """Power gain G = ((κ + g)/(κ − g))² on resonance; output noise 2G − 1."""
    kappa, g = 1.0, 0.5
    network = Network(modes=[Mode("a", damping=kappa)], gains=[Gain("a", rate=g)])
    power = ((kappa + g) / (kappa - g)) ** 2
    at_zero = output_spectra(network, ["a"], [0.0])[0].real
    np.testing.assert_allclose(at_zero, (2 * power - 1) * np.eye(2), rtol=1e-12)


@pytest.mark.parametrize("phase", [0.4, np.pi / 2, 2.5])
def test_a_port_closed_on_itself_only_shifts_its_mode(phase):
    """Lossless: −(κ/2)(1 + e^{iφ})/(1 − e^{iφ}) = −i (κ/2) cot(φ/2)."""
    kappa = 1.4
    network = Network(modes=[Mode("a", damping=kappa)], links=[Link("a", "a", phase=phase)])
    drift = network.build().drift
    assert drift[0, 0] == pytest.approx(0, abs=1e-14)
    assert drift[0, 1] == pytest.approx(kappa / 2 / np.tan(phase / 2))


def test_feedback_onto_the_same_port_broadens_or_narrows_the_line():
    """Amplitude t around the ring: κ (1 + t)/(1 − t), and the bath is still the bath."""
    for t in (0.5, -0.5):
        link = Link("a", "a", efficiency=0.25, phase=0 if t > 0 else np.pi, occupation=2.0)
        model = Network(modes=[Mode("a", damping=1.0)], links=[link]).build()
        assert model.drift[0, 0] == pytest.approx(-0.5 * (1 + t) / (1 - t))
        np.testing.assert_allclose(steady_state(model).cov, 2.5 * np.eye(2), rtol=1e-12)


def test_a_ring_of_two_cavities_is_legal_and_the_same_wherever_it_is_opened():
    modes = [Mode("a", damping=1.0), Mode("b", damping=2.0)]
    links = [
        Link("a", "b", efficiency=0.8, phase=0.3, occupation=0.2),
        Link("b", "a", efficiency=0.6, phase=1.0),
    ]
    model = Network(modes=modes, links=links).build()
    assert noise_margin(model.drift, model.diffusion) == pytest.approx(0, abs=1e-14)
    t_ab, t_ba = np.sqrt(0.8) * np.exp(0.3j), np.sqrt(0.6) * np.exp(1j)
    into_b = -np.sqrt(2) * t_ab / (1 - t_ab * t_ba)
    assert model.drift[2, 0] + 1j * model.drift[3, 0] == pytest.approx(into_b)
    other = Network(modes=modes[::-1], links=links).build()
    swap = np.array([2, 3, 0, 1])
    np.testing.assert_allclose(other.drift, model.drift[swap][:, swap], atol=1e-15)
    np.testing.assert_allclose(other.diffusion, model.diffusion[swap][:, swap], atol=1e-15)


def test_light_that_circulates_is_seen_at_the_outputs():
    """All that enters is the ring's loss; it meets itself with −t on resonance, with t far off."""
    network = Network(
        modes=[Mode("a", damping=1.0)], links=[Link("a", "a", efficiency=0.5, occupation=3.0)]
    )
    t = np.sqrt(0.5)
    inside = output_spectra(network, ["a"], [0.0, 1e6])[:, 0, 0]
    np.testing.assert_allclose(inside, 7 * 0.5 / np.array([1 + t, 1 - t]) ** 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"links": [Link("a", "a")]}, "must lose or turn the light"),
        ({"gains": [Gain("a", rate=-1.0)]}, "gain of a"),
        ({"shared_baths": [SharedBath("a", "a")]}, "two ports that no link"),
        ({"shared_baths": [SharedBath("a", "b", coherence=1.0)]}, "at most its occupation"),
        (
            {"shared_baths": [SharedBath("a", "b", occupation=1, coherence=1, squeezing=1)]},
            "coherence or be squeezed",
        ),
        ({"shared_baths": [SharedBath("a", "b")], "links": [Link("a", "b")]}, "but b is none"),
    ],
)
def test_what_cannot_be_is_refused(parts, message):
    with pytest.raises(ValueError, match=message):
        Network(modes=[Mode("a", damping=1.0), Mode("b", damping=1.0)], **parts).build()


def test_a_squeezed_port_is_no_brownian_bath():
    with pytest.raises(ValueError, match="Brownian damping is no port"):
        Network(modes=[Mode("b", damping=1.0, convention="brownian", squeezing=R)])


def test_batches_of_squeezed_baths_agree_with_single_points():
    r = np.array([0.0, 0.4, 1.2])
    batch = cov_of(r)
    for place, value in enumerate(r):
        np.testing.assert_allclose(batch[place], cov_of(value), rtol=1e-13)


def cov_of(r):
    port = Port("a.back", mode="a", damping=0.7, squeezing=r, angle=0.3)
    mode = Mode("a", detuning=0.2, damping=1.0)
    return steady_state(Network(modes=[mode], ports=[port]).build()).cov
