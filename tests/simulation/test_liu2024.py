"""Bidirectional fibre of seed 001: as printed (mostly unstable) and as a legal network."""

import numpy as np
import pytest
from scipy.constants import c, h

from simulation.theory.linear_model import noise_margin
from simulation.theory.measures import log_negativity
from simulation.theory.models import get, liu2024, point
from simulation.theory.models.liu2024 import (
    Liu2024,
    linear,
    mean_fields,
    network,
    single_photon_coupling_hz,
)
from simulation.theory.steady_state import steady_state

STABLE = {"phi": 0.5 * np.pi, "power": 1e-3}


def printed_motion(p, alpha):
    """Mean-field equations (7) as printed, in units of ω_m, at fixed effective detuning."""
    unit, kappa = 2 * np.pi * p.omega_m_hz, 2 * np.pi * p.kappa_hz
    quantum = 6.62607015e-34 * 299792458 / p.wavelength
    drive = np.sqrt(2 * kappa * p.power / quantum)
    drives = drive * np.exp([-0.5j * p.dtheta, 0.5j * p.dtheta])
    link = np.sqrt(2 * p.eta * kappa) * np.exp(1j * p.phi)
    own = -(1j * p.delta + kappa / unit) * alpha + drives / unit
    return own + link * (drives[::-1] - np.sqrt(2 * kappa) * alpha[::-1] * 1.0) / unit


def test_reference_points_to_eight_digits():
    stable = point(get("liu2024"), **STABLE)
    assert stable["growth_rate"] == pytest.approx(-0.00499459, abs=5e-9)
    assert stable["log_nu"] == pytest.approx(-0.9502101088, rel=1e-9)
    assert stable["E_N"] == 0
    paper = get("liu2024").evaluate(["growth_rate"])
    assert paper["growth_rate"] == pytest.approx(0.26602923, abs=5e-9)
    assert not paper["stable"]


def test_the_papers_point_is_refused_naming_the_growing_supermode():
    with pytest.raises(ValueError, match=r"supermode of a2 .*a1 .*growth rate \+0.266029"):
        point(get("liu2024"))


def test_a_sweep_over_the_papers_window_flags_every_point():
    results = get("liu2024").evaluate(dtheta=np.linspace(0.18, 0.25, 8) * np.pi)
    assert not results["stable"].any()
    assert not results["physical"].any()
    assert np.isnan(results["E_N"]).all()


@pytest.mark.parametrize("changes", [{}, STABLE, {"eta": 0.4, "dtheta": -0.3, "delta": 0.7}])
def test_printed_means_solve_the_printed_equations(changes):
    p = Liu2024(**changes)
    alpha = np.array(mean_fields(p))
    assert np.max(np.abs(printed_motion(p, alpha))) < 1e-9 * np.max(np.abs(alpha))


def test_optical_supermodes_grow_as_derived():
    p = Liu2024(power=0.0)
    optics = linear(p).drift[:4, :4]
    rates = np.unique(np.linalg.eigvals(optics).real.round(12)) / (45 / 88.54)
    np.testing.assert_allclose(rates, [-1 + 2 * np.cos(0.8 * np.pi), 0.618034], rtol=1e-6)


def test_printed_noise_breaks_the_commutators_as_derived():
    model = linear(Liu2024(power=0.0))
    margin = noise_margin(model.drift, model.diffusion) / (45 / 88.54)
    assert margin == pytest.approx(2 * np.cos(0.8 * np.pi), rel=1e-6)


def test_legal_fibre_has_the_derived_coupling_and_shared_noise():
    p = Liu2024(variant="slh", eta=0.6, phi=0.7, power=0.0)
    model, kappa = linear(p), 45 / 88.54
    link = kappa * np.sqrt(0.6) * np.exp(0.7j)
    np.testing.assert_allclose(model.drift[0, :4], [-kappa, 1.4, -link.real, link.imag])
    assert model.diffusion[0, 0] == pytest.approx(kappa)
    assert model.diffusion[0, 2] == pytest.approx(link.real)
    assert noise_margin(model.drift, model.diffusion) > -1e-12


def test_legal_fibre_entangles_no_mechanics_at_any_drive():
    rng = np.random.default_rng(5)
    results = get("liu2024").evaluate(
        variant="slh",
        power=10 ** rng.uniform(-3, 9, 2000),
        phi=rng.uniform(0, 2 * np.pi, 2000),
        dtheta=rng.uniform(0, 2 * np.pi, 2000),
        delta=rng.uniform(-2, 2, 2000),
        eta=rng.uniform(0, 1, 2000),
        temperature=0.0,
    )
    assert results["physical"].all()
    assert results["stable"].sum() > 500
    assert np.nanmax(results["E_N"]) == 0


def test_entanglement_does_not_know_the_common_phase_of_the_drives():
    p = Liu2024(**STABLE)
    first, second = (alpha * np.exp(1.1j) for alpha in mean_fields(p))
    turned = steady_state(network(p).build({"a1": first, "a2": second}, check_noise=False))
    here, there = steady_state(linear(p)).of("b1", "b2"), turned.of("b1", "b2")
    np.testing.assert_allclose(there, here, rtol=1e-9, atol=1e-9)
    assert log_negativity(there) == 0


def test_single_photon_coupling_of_the_text():
    assert single_photon_coupling_hz(Liu2024()) == pytest.approx(0.37418768, rel=1e-7)


def test_unknown_variants_are_refused():
    with pytest.raises(ValueError, match="`variant` must be one of printed, slh, but is 'both'"):
        point(get("liu2024"), variant="both")


def test_a_legal_cavity_alone_holds_the_photons_of_its_one_driven_port():
    p = Liu2024(variant="slh", eta=0.0, power=1e-3, delta=1.4)
    kappa, omega = 2 * np.pi * p.kappa_hz, 2 * np.pi * p.omega_m_hz
    photons = kappa * p.power * p.wavelength / (h * c) / ((1.4 * omega) ** 2 + kappa**2)
    np.testing.assert_allclose(np.abs(mean_fields(p)) ** 2, photons, rtol=1e-12)


def test_the_light_is_a_million_times_too_weak_whatever_the_stability():
    """|G|²/(κγ(n̄ + ½)) of the legal fibre at the text's point, n̄ ≈ k_BT/ħω = 23.0 at 0.1 K."""
    legal = liu2024.Liu2024(variant="slh")
    first, second = liu2024.backaction_ratio(legal)
    assert (first, second) == pytest.approx((3.124e-7, 2.081e-6), rel=1e-3)
    coupling_hz = liu2024.single_photon_coupling_hz(legal) * abs(liu2024.mean_fields(legal)[1])
    assert second == pytest.approx(coupling_hz**2 / (45e6 * 2.2e3 * 23.5), rel=0.01)
