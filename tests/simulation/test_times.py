"""Two-time correlations and periodically modulated networks, against closed forms."""

import numpy as np
import pytest

from simulation.theory.couplings import beam_splitter, single_mode_squeezing, two_mode_squeezing
from simulation.theory.network import Mode, Network
from simulation.theory.periodic import periodic_state
from simulation.theory.steady_state import steady_state
from simulation.theory.two_time import two_time

TAU = np.linspace(0, 5, 11)


def test_thermal_light_bunches_and_loses_coherence_at_its_damping_rate():
    """g1 = e^{−κτ/2 − iΔτ}, g2 = 1 + e^{−κτ}."""
    kappa, delta = 0.8, 3.0
    mode = Mode("a", detuning=delta, damping=kappa, occupation=2.0)
    found = two_time(Network(modes=[mode]).build(), TAU)
    np.testing.assert_allclose(
        found.g_1("a"), np.exp(-(kappa / 2 + 1j * delta) * TAU), rtol=1e-10, atol=1e-14
    )
    np.testing.assert_allclose(found.g_2("a"), 1 + np.exp(-kappa * TAU), rtol=1e-10)
    np.testing.assert_allclose(found.anomalous("a", "a"), 0, atol=1e-14)


def test_light_below_the_parametric_threshold_is_superbunched():
    """g2(0) = 2 + |⟨aa⟩|²/n², with n = x²/(2(1 − x²)), ⟨aa⟩ = x/(2(1 − x²)), x = 2ξ/κ."""
    x = 0.4
    network = Network(
        modes=[Mode("s", damping=1.0)], couplings=[single_mode_squeezing("s", 0.5j * x)]
    )
    found = two_time(network.build(), TAU)
    assert found.g_2("s")[0] == pytest.approx(2 + 1 / x**2, rel=1e-10)
    slow, fast = np.exp(-(1 - x) * TAU / 2), np.exp(-(1 + x) * TAU / 2)
    n, pairs = x**2 / (2 * (1 - x**2)), x / (2 * (1 - x**2))
    coherence = ((1 + x) * slow - (1 - x) * fast) * x / (4 * (1 - x**2))
    np.testing.assert_allclose(found.normal("s", "s"), coherence, rtol=1e-9, atol=1e-14)
    assert found.quanta["s"] == pytest.approx(n)
    assert abs(found.anomalous("s", "s")[0]) == pytest.approx(pairs)


def test_pairs_leave_together():
    """Idler after signal: g2 − 1 = |⟨ab⟩|²/n² at zero delay, falling in time, > thermal."""
    g = 0.1
    modes = [Mode("a", damping=1.0), Mode("b", damping=1.0)]
    network = Network(modes=modes, couplings=[two_mode_squeezing("a", "b", 1j * g)])
    found = two_time(network.build(), TAU)
    v = steady_state(network.build())
    pairs = abs(v.cov[0, 2]) ** 2 / found.quanta["a"] ** 2
    assert found.g_2("b", "a")[0] == pytest.approx(1 + pairs, rel=1e-9)
    assert found.g_2("b", "a")[0] > 20
    assert np.all(np.diff(found.g_2("b", "a")) < 0)
    assert found.g_2("a")[0] == pytest.approx(2, rel=1e-9)


def test_correlations_of_what_grows_are_refused():
    growing = Network(
        modes=[Mode("s", damping=1.0)], couplings=[single_mode_squeezing("s", 0.6j)]
    ).build()
    with pytest.raises(ValueError, match="must be stable to have correlations"):
        two_time(growing, [0.0])
    with pytest.raises(ValueError, match="`delays` must be finite"):
        two_time(growing, [-1.0])


def modulated(depth, nu, kappa=1.0, n=0.5):
    def at(time):
        mode = Mode("a", detuning=2 + depth * np.cos(nu * time), damping=kappa, occupation=n)
        return Network(modes=[mode]).build()

    return at


def test_a_constant_network_settles_into_its_steady_state():
    model = Network(
        modes=[Mode("a", damping=1.0, detuning=0.3), Mode("b", damping=0.2, occupation=3.0)],
        couplings=[beam_splitter("a", "b", 0.4)],
    ).build()
    found = periodic_state(lambda _: model, 2.0, times=3)
    np.testing.assert_allclose(found.cov, [steady_state(model).cov] * 3, rtol=1e-9, atol=1e-14)
    exponents = np.log(np.abs(found.multipliers)) / 2.0
    expected = np.sort(np.linalg.eigvals(model.drift).real)[::-1]
    np.testing.assert_allclose(exponents, expected, rtol=1e-8)


def test_modulating_a_frequency_changes_no_quanta():
    nu = 3.0
    found = periodic_state(modulated(0.7, nu), 2 * np.pi / nu)
    assert found.stable
    assert found.growth_rate == pytest.approx(-0.5, rel=1e-8)
    np.testing.assert_allclose(found.of("a"), [np.eye(2)] * 65, atol=1e-8)


def test_a_spring_modulated_at_twice_its_frequency_amplifies_parametrically():
    """H = Δ a†a + ε cos(2Δt)(a + a†)²/2: rotating wave ξ = ε/2; V stretched by 1/(1 ∓ 2ξ/κ)."""
    delta, kappa, epsilon = 200.0, 1.0, 0.4

    def at(time):
        strength = epsilon * np.cos(2 * delta * time)
        mode = Mode("a", detuning=delta + strength, damping=kappa)
        return Network(modes=[mode], couplings=[single_mode_squeezing("a", strength)]).build()

    found = periodic_state(at, np.pi / delta, times=5, tolerance=1e-9)
    smallest, largest = np.linalg.eigvalsh(found.cov[0])
    x = epsilon / kappa
    assert largest == pytest.approx(0.5 / (1 - x), rel=0.01)
    assert smallest == pytest.approx(0.5 / (1 + x), rel=0.01)


def test_above_its_threshold_a_modulated_spring_has_no_periodic_state():
    delta = 50.0

    def at(time):
        strength = 1.4 * np.cos(2 * delta * time)
        mode = Mode("a", detuning=delta + strength, damping=1.0)
        return Network(modes=[mode], couplings=[single_mode_squeezing("a", strength)]).build()

    found = periodic_state(at, np.pi / delta, times=5)
    assert not found.stable
    assert found.growth_rate == pytest.approx(0.2, rel=0.02)
    assert np.all(np.isnan(found.cov))


@pytest.mark.parametrize(
    ("period", "times", "message"),
    [(0.0, 5, "`period` must be"), (1.0, [0.0, 0.5], "must run from 0 to the period 1")],
)
def test_a_period_that_is_none_is_refused(period, times, message):
    with pytest.raises(ValueError, match=message):
        periodic_state(modulated(0.1, 1.0), period, times=times)
