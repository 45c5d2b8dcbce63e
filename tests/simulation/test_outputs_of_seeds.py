"""Outputs of seeds 002 and 004: probes and homodyne detection, filtered cavity outputs."""

import numpy as np
import pytest

from simulation.theory.measures import is_physical, log_negativity
from simulation.theory.models import get, yu2020
from simulation.theory.output_modes import filtered_covariance

READOUT = get("tan2020_readout")


@pytest.mark.parametrize("bandwidth", [1e-6, 1e-4])
def test_a_weak_probe_shows_the_phonons_of_an_undriven_mechanics(bandwidth):
    """ε n̄ · 4C/(1 + C)² · γ_t/(γ_t + Γ), to first order in γ_t/κ."""
    gamma, kappa, g, efficiency = 1e-5, 10.0, 5e-3, 0.8
    found = READOUT.evaluate(
        ["n_b_out"], g_ab=0, g_bp=g, kappa_pb=kappa, bandwidth=bandwidth, efficiency=efficiency
    )["n_b_out"]
    cooperativity = 4 * g**2 / (kappa * gamma)
    total = gamma * (1 + cooperativity)
    n = 1 / np.expm1(4.799243073366221e-11 * 10e6 / 30e-3)  # h/k_B
    share = 4 * cooperativity / (1 + cooperativity) ** 2 * total / (total + bandwidth)
    assert found == pytest.approx(efficiency * n * share, rel=3e-5)


def test_without_coupling_the_probes_see_nothing_of_the_pair():
    found = READOUT.evaluate(["E_out", "E_bm", "E_N_out"], g_bp=0, g_mp=0, temperature=0)
    assert found["E_out"] == pytest.approx(1, rel=1e-12)
    assert found["E_N_out"] == pytest.approx(0, abs=1e-12)
    untouched = get("tan2020").evaluate(["E_bm"], temperature=0)["E_bm"]
    assert found["E_bm"] == pytest.approx(untouched, rel=1e-8)


def test_the_default_probes_prove_entanglement_and_loss_mixes_vacuum_in():
    clean = READOUT.evaluate(["E_out", "cov"])
    assert clean["E_out"] == pytest.approx(0.198349, abs=1e-6)
    lossy = READOUT.evaluate(["cov"], efficiency=0.6)["cov"].reshape(4, 4)
    mixed = 0.6 * clean["cov"].reshape(4, 4) + 0.4 * np.eye(4) / 2
    np.testing.assert_allclose(lossy, mixed, atol=1e-6)  # thermal light of 30 mK at 10 GHz


def test_cavities_in_vacuum_send_out_vacuum():
    at = yu2020.Yu2020(G_hz=0.0, temperature=0.0)
    np.testing.assert_allclose(
        yu2020.output_covariance(at, bandwidth=0.1), np.eye(4) / 2, atol=1e-13
    )


def test_filtered_outputs_of_seed_004_are_the_integrals_of_their_spectra():
    """The same by ∫ dω over the spectral matrix; more entangled than the cavities."""
    at, gamma = yu2020.Yu2020(), 0.1
    found = yu2020.output_covariance(at, bandwidth=gamma)

    def lorentzian(centre):
        return lambda omega: 1 / (gamma / 2 + 1j * (omega - centre))  # filled until now

    near = gamma * np.tan(np.linspace(-np.pi / 2, np.pi / 2, 8003)[1:-1])
    omega = np.unique(np.concatenate([centre + near for centre in (-1.0, 1.0)]))
    filters = {"o1": ("a1", lorentzian(1.0)), "o2": ("a2", lorentzian(-1.0))}
    integrated = filtered_covariance(yu2020.network(at), filters, omega)
    np.testing.assert_allclose(found, integrated, atol=2e-3)
    assert is_physical(found)
    assert log_negativity(found) == pytest.approx(0.464342566, rel=1e-7)
    assert log_negativity(found) > 4 * get("yu2020").evaluate(["E_N"])["E_N"]


def test_narrower_filters_and_lossy_ways():
    at = yu2020.Yu2020()
    ways = yu2020.output_covariance(at, bandwidth=np.array([0.01, 1.0])[:, None],
                                    efficiency=np.array([1.0, 0.5]))  # fmt: skip
    narrow, wide = log_negativity(ways)
    assert narrow[0] == pytest.approx(1.278916954, rel=1e-7)
    assert narrow[0] > narrow[1] > wide[1] > 0
    np.testing.assert_allclose(ways[0, 1], 0.5 * ways[0, 0] + np.eye(4) / 4, atol=1e-12)


def test_the_cavities_disentangle_where_it_says():
    at = yu2020.Yu2020()
    ends = yu2020.entangled_up_to(at)
    e_n = get("yu2020").evaluate(["E_N"], temperature=[ends - 1e-5, ends + 1e-5])["E_N"]
    assert e_n[0] > 0
    assert e_n[1] == 0
    assert yu2020.entangled_up_to(yu2020.Yu2020(G_hz=0.0)) == 0.0
    with pytest.raises(ValueError, match="must be a single point"):
        yu2020.entangled_up_to(yu2020.Yu2020(G_hz=np.array([1e6, 2e6])))
