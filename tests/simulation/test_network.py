"""Networks: legality of the noise, links, conventions of damping, and printed matrices."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.constants import hbar, k

from simulation.theory.baths import thermal_occupation
from simulation.theory.couplings import beam_splitter, dispersive, product, radiation_pressure
from simulation.theory.linear_model import completed_noise_margin, noise_margin
from simulation.theory.models import tan2020, yu2020
from simulation.theory.network import BareDrift, Drive, Link, Mode, Network, Port, bidirectional
from simulation.theory.steady_state import steady_state


def test_the_drift_of_seed_004_is_the_printed_matrix():
    p = yu2020.Yu2020(kappa_2_hz=0.7e6, g_2_hz=3.1e6)
    k1, k2, km, g1, g2, G = 0.1, 0.07, 0.1, 0.38, 0.31, 0.45
    printed = [
        [-k1, 1, 0, 0, 0, g1, 0, 0],
        [-1, -k1, 0, 0, -g1, 0, 0, 0],
        [0, 0, -k2, -1, 0, g2, 0, 0],
        [0, 0, 1, -k2, -g2, 0, 0, 0],
        [0, g1, 0, g2, -km, 0.9, -G, 0],
        [-g1, 0, -g2, 0, -0.9, -km, 0, 0],
        [0, 0, 0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 0, G, -1, -1e-5],
    ]
    np.testing.assert_allclose(yu2020.linear(p).drift, printed, atol=1e-15)


def test_the_drift_of_seed_004_is_its_nonlinear_equations_linearised():
    p, g_0, magnons = yu2020.Yu2020(), 3e-8, 0.45 / np.sqrt(2) / 3e-8
    nonlinear = replace(
        yu2020.network(p),
        couplings=[
            beam_splitter("a1", "m", 0.38),
            beam_splitter("a2", "m", 0.38),
            dispersive("m", "b", g_0 / np.sqrt(2)),
        ],
    )
    drift = nonlinear.build({"m": -1j * magnons}).drift
    np.testing.assert_allclose(drift, yu2020.linear(p).drift, atol=1e-14)


def test_the_matrices_of_seed_002_are_the_corrected_ones():
    p = tan2020.Tan2020(kappa_1=3.0, kappa_2=5.0, eta=0.6, temperature=0.2, delta_2=-0.8)
    model = tan2020.linear(p)
    block = np.zeros((8, 8))
    for j, (rate, delta) in enumerate([(3, 1), (5, -0.8), (1e-5, 1), (0.15, -1)]):
        block[2 * j : 2 * j + 2, 2 * j : 2 * j + 2] = [[-rate / 2, delta], [-delta, -rate / 2]]
    block[2:4, 0:2] = -np.sqrt(0.6 * 15) * np.eye(2)
    block[1, 4] = block[5, 0] = -2 * 0.5
    block[2:4, 6:8] = block[6:8, 2:4] = [[0, 1], [-1, 0]]
    np.testing.assert_allclose(model.drift, block, atol=1e-14)
    n_1 = thermal_occupation(2 * np.pi * 10.02e9, 0.2)
    assert model.diffusion[0, 2] == pytest.approx(np.sqrt(0.6 * 15) * (n_1 + 0.5))
    assert model.diffusion[0, 3] == 0


def test_a_bath_is_given_by_its_quanta_or_by_temperature_and_frequency():
    warm = Mode("a", damping=1.0, temperature=0.1, omega=2 * np.pi * 1e9)
    expected = 1 / np.expm1(hbar * 2 * np.pi * 1e9 / (k * 0.1))
    assert steady_state(Network(modes=[warm]).build()).cov[0, 0] == pytest.approx(expected + 0.5)
    with pytest.raises(ValueError, match="must be given by `occupation`, or by"):
        Mode("a", temperature=0.1)


def test_a_link_carries_field_and_noise_with_its_efficiency():
    eta, n_1, n_2, n_loss = 0.6, 0.3, 0.2, 0.7
    a1 = Mode("a1", damping=2.0, occupation=n_1)
    a2 = Mode("a2", damping=3.0, occupation=n_2)
    model = Network(modes=[a1, a2], links=[Link("a1", "a2", efficiency=eta, occupation=n_loss)])
    model = model.build()
    assert model.drift[2, 0] == pytest.approx(-np.sqrt(eta * 6))
    assert model.diffusion[0, 2] == pytest.approx(np.sqrt(eta * 6) * (n_1 + 0.5))
    expected = 3 * (eta * (n_1 + 0.5) + (1 - eta) * (n_loss + 0.5))
    assert model.diffusion[2, 2] == pytest.approx(expected)


def test_a_link_of_phase_pi_is_real_with_the_other_sign():
    modes = [Mode("c", damping=2.0), Mode("a", damping=2.0)]
    model = Network(modes=modes, links=[Link("c", "a", phase=np.pi)]).build()
    assert set(model.entries) == {(0, 0), (1, 1), (2, 2), (3, 3), (2, 0), (3, 1)}
    assert model.drift[2, 0] == pytest.approx(2.0)


def test_a_bidirectional_link_makes_the_coupling_and_shared_noise_of_a_waveguide():
    kappa, eta, phi = 1.3, 0.7, 0.9
    ports = [
        Port(f"{mode}.{way}", mode=mode, damping=kappa)
        for mode in ("a1", "a2")
        for way in ("right", "left")
    ]
    links = bidirectional(
        ("a1.right", "a1.left"), ("a2.right", "a2.left"), efficiency=eta, phase=phi
    )
    model = Network(modes=[Mode("a1"), Mode("a2")], ports=ports, links=links).build()
    coupling = -kappa * np.sqrt(eta) * np.exp(1j * phi)
    assert model.drift[0, 0] == pytest.approx(-kappa)
    assert model.drift[0, 2] + 1j * model.drift[1, 2] == pytest.approx(coupling)
    assert model.drift[2, 0] + 1j * model.drift[3, 0] == pytest.approx(coupling)
    assert model.diffusion[0, 2] == pytest.approx(kappa * np.sqrt(eta) * np.cos(phi))
    assert model.diffusion[0, 3] == pytest.approx(0, abs=1e-15)
    assert noise_margin(model.drift, model.diffusion) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("convention", ["energy", "amplitude"])
def test_a_damped_mode_relaxes_to_its_bath_whatever_the_convention(convention):
    mode = Mode("a", detuning=0.4, damping=0.3, convention=convention, occupation=2.0)
    model = Network(modes=[mode]).build()
    assert model.drift[0, 0] == pytest.approx(-0.15 if convention == "energy" else -0.3)
    np.testing.assert_allclose(steady_state(model).cov, 2.5 * np.eye(2), atol=1e-14)


def test_brownian_damping_misses_legality_by_what_the_paper_misses():
    model = yu2020.linear(yu2020.Yu2020())
    assert noise_margin(model.drift, model.diffusion) == pytest.approx(-3.0e-8, rel=0.02)
    assert completed_noise_margin(model) > -1e-15


def test_the_noise_of_the_cascade_is_legal_for_any_efficiency():
    model = tan2020.linear(tan2020.Tan2020(eta=np.linspace(0, 1, 5), kappa_1=3.0))
    assert np.all(noise_margin(model.drift, model.diffusion) > -1e-14)


def test_a_link_of_an_undamped_mode_carries_nothing():
    modes = [Mode("a"), Mode("b", damping=2.0, occupation=1.0)]
    linked = Network(modes=modes, links=[Link("a", "b", efficiency=0.5, occupation=1.0)]).build()
    alone = Network(modes=modes).build()
    np.testing.assert_allclose(linked.drift, alone.drift, atol=1e-15)
    bath = Network(modes=modes, links=[Link("b", "a")]).build()
    np.testing.assert_allclose(bath.diffusion, alone.diffusion, atol=1e-15)


def test_an_undamped_port_cannot_be_driven():
    driven = Network(modes=[Mode("a")], drives=[Drive("a", amplitude=1.0)])
    with pytest.raises(ValueError, match="`damping` of the driven port a must be > 0, but is 0"):
        _ = driven.inputs


def test_gain_without_noise_is_refused():
    modes = [Mode("a", damping=1.0), Mode("b", damping=1.0)]
    network = Network(modes=modes, bare_drift=[BareDrift("a", "b", rate=0.9)])
    with pytest.raises(ValueError, match="must keep the commutators"):
        network.build()
    assert network.build(check_noise=False).drift[0, 2] == 0.9


def test_declarations_refuse_what_cannot_be():
    with pytest.raises(ValueError, match="damping of a` must be finite and ≥ 0, but is -1"):
        Network(modes=[Mode("a", damping=-1.0)])
    with pytest.raises(ValueError, match="occupation of a` must"):
        Network(modes=[Mode("a", occupation=-0.1)])
    with pytest.raises(KeyError, match="no mode 'm1'; nearest: a1"):
        Network(modes=[Mode("a1")], couplings=[beam_splitter("a1", "m1", 1.0)])
    with pytest.raises(ValueError, match="distinct names"):
        Network(modes=[Mode("a"), Mode("a")])
    with pytest.raises(ValueError, match=r"efficiency of a → b` must lie in \[0, 1\]"):
        Network(
            modes=[Mode("a", damping=1.0), Mode("b", damping=1.0)],
            links=[Link("a", "b", efficiency=1.1)],
        )
    pair = [Mode("a", damping=1.0), Mode("b", damping=1.0)]
    with pytest.raises(ValueError, match="phase of a → b` must be finite, but is nan"):
        Network(modes=pair, links=[Link("a", "b", phase=[0.0, np.nan])])
    with pytest.raises(ValueError, match="amplitude at a` must be finite, but is inf"):
        Network(modes=pair, drives=[Drive("a", amplitude=np.inf)])
    with pytest.raises(ValueError, match="detuning of a` must be finite"):
        Network(modes=[Mode("a", detuning=np.nan)])
    with pytest.raises(ValueError, match="normally ordered"):
        product(1.0, "a", "a†")


def test_links_must_not_return_all_light_nor_share_a_port():
    modes = [Mode("a", damping=1.0), Mode("b", damping=1.0)]
    with pytest.raises(ValueError, match="must lose or turn the light"):
        Network(modes=modes, links=[Link("a", "b"), Link("b", "a")]).build()
    with pytest.raises(ValueError, match="one link in and one out"):
        Network(
            modes=[*modes, Mode("c", damping=1.0)], links=[Link("a", "b"), Link("a", "c")]
        ).build()


def test_entries_keep_the_shape_they_need():
    delta = np.linspace(-1, 1, 5)[:, None]
    modes = [Mode("a", detuning=delta, damping=np.ones(3)), Mode("b", detuning=1.0, damping=0.1)]
    model = Network(modes=modes, couplings=[radiation_pressure("a", "b", 0.2)]).build()
    assert model.shape == (5, 3)
    assert model.entries[0, 1].shape == (5, 1)
    assert model.entries[0, 0].shape == (3,)
    assert model.entries[2, 3].shape == ()
