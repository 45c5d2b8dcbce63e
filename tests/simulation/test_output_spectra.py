"""Spectra of outputs against the textbook's parametric oscillator and against filtered modes."""

import numpy as np
import pytest

from simulation.theory.couplings import radiation_pressure, single_mode_squeezing
from simulation.theory.network import Link, Mode, Network
from simulation.theory.output_modes import with_output_mode
from simulation.theory.output_spectra import output_spectra, squeezing_spectrum
from simulation.theory.steady_state import steady_state

OMEGA = np.linspace(-3, 3, 13)


def oscillator(xi, kappa=1.0, **link):
    modes = [Mode("s", damping=kappa)]
    links = []
    if link:
        modes.append(Mode("end", damping=10.0))  # all-pass: it turns x and p alike
        links.append(Link("s", "end", **link))
    return Network(modes=modes, couplings=[single_mode_squeezing("s", 1j * xi)], links=links)


def test_output_of_a_parametric_oscillator_is_the_textbooks():
    x = 0.6  # 2ξ/κ
    spectra = output_spectra(oscillator(0.3), ["s"], OMEGA)
    s_x = 1 + 4 * x / ((1 - x) ** 2 + (2 * OMEGA) ** 2)
    s_p = 1 - 4 * x / ((1 + x) ** 2 + (2 * OMEGA) ** 2)
    np.testing.assert_allclose(spectra[:, 0, 0], s_x, rtol=1e-12)
    np.testing.assert_allclose(spectra[:, 1, 1], s_p, rtol=1e-12)
    np.testing.assert_allclose(spectra[:, 0, 0] * spectra[:, 1, 1], 1, rtol=1e-12)
    np.testing.assert_allclose(squeezing_spectrum(oscillator(0.3), "s", OMEGA), s_p, rtol=1e-12)


def test_vacuum_in_vacuum_out():
    np.testing.assert_allclose(output_spectra(oscillator(0.0), ["s"], OMEGA)[:], [np.eye(2)] * 13)


def test_a_thermal_port_reflects_its_quanta():
    network = Network(modes=[Mode("s", damping=1.0, occupation=3.0)])
    np.testing.assert_allclose(output_spectra(network, ["s"], OMEGA), [7 * np.eye(2)] * 13)


def test_the_integral_of_a_filtered_spectrum_is_the_covariance_of_the_filtered_mode():
    """⟨x_f²⟩ = ∫ dω/2π S(ω)/2 · Γ/(ω² + Γ²/4), for an optomechanical port."""
    modes = [
        Mode("a", detuning=1.0, damping=0.5),
        Mode("b", detuning=1.0, damping=0.05, occupation=2.0, convention="brownian"),
    ]
    network = Network(modes=modes, couplings=[radiation_pressure("a", "b", 0.2)])
    gamma = 0.3
    held = steady_state(with_output_mode(network, "a", name="f", bandwidth=gamma).build())
    omega = np.tan(np.linspace(-np.pi / 2, np.pi / 2, 40_003)[1:-1])
    spectra = output_spectra(network, ["a"], omega).real
    weight = gamma / (omega**2 + gamma**2 / 4)
    found = np.trapezoid(0.5 * spectra * weight[:, None, None], omega, axis=0) / (2 * np.pi)
    np.testing.assert_allclose(found, held.of("f"), atol=2e-4)


def test_loss_of_a_link_mixes_vacuum_in():
    clean = output_spectra(oscillator(0.3), ["s"], OMEGA)
    lossy = output_spectra(oscillator(0.3, efficiency=0.7), ["end"], OMEGA)
    np.testing.assert_allclose(lossy, 0.7 * clean + 0.3 * np.eye(2), rtol=1e-12, atol=1e-12)


def test_the_phase_of_a_link_turns_the_quadratures():
    clean = output_spectra(oscillator(0.3), ["s"], OMEGA)
    turned = output_spectra(oscillator(0.3, phase=np.pi / 2), ["end"], OMEGA)
    np.testing.assert_allclose(turned[:, 0, 0], clean[:, 1, 1], rtol=1e-12)


def test_what_has_no_spectrum_is_refused():
    with pytest.raises(ValueError, match="must be stable"):
        output_spectra(oscillator(0.6), ["s"], OMEGA)
    with pytest.raises(ValueError, match="must be of single numbers"):
        output_spectra(oscillator(np.array([0.1, 0.2])), ["s"], OMEGA)
    with pytest.raises(KeyError, match="no port 'a'"):
        output_spectra(oscillator(0.1), ["a"], OMEGA)
