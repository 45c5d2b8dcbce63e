"""Borders of stability, exceptional points and filtered outputs, against closed forms."""

import numpy as np
import pytest

from simulation.theory.couplings import beam_splitter, radiation_pressure, single_mode_squeezing
from simulation.theory.measures import log_negativity
from simulation.theory.models.own import own_model
from simulation.theory.network import Gain, Mode, Network
from simulation.theory.output_modes import filtered_covariance, with_output_mode
from simulation.theory.output_spectra import output_spectra
from simulation.theory.spectral_paths import exceptional_points, stability_border
from simulation.theory.steady_state import steady_state


@own_model
def parametric(xi: float = 0.1, kappa: float = 1.0) -> Network:
    return Network(
        modes=[Mode("s", damping=kappa)], couplings=[single_mode_squeezing("s", 1j * xi)]
    )


@own_model
def pair(
    g: float = 0.1, kappa_a: float = 1.0, kappa_b: float = 0.2, delta: float = 0.0, gain: float = 0
) -> Network:
    modes = [Mode("a", detuning=3 + delta, damping=kappa_a), Mode("b", detuning=3, damping=kappa_b)]
    gains = [Gain("b", rate=gain)]
    return Network(modes=modes, couplings=[beam_splitter("a", "b", g)], gains=gains)


def test_the_border_of_a_parametric_oscillator_is_its_threshold():
    assert stability_border(parametric, "xi", -2, 2) == pytest.approx((-0.5, 0.5), abs=1e-11)
    assert stability_border(parametric, "xi", 0, 0.4) == ()
    assert stability_border(parametric, "xi", 0, 2, kappa=3.0) == pytest.approx((1.5,), abs=1e-11)


def test_two_coupled_cavities_meet_at_a_quarter_of_the_difference_of_their_dampings():
    (found,) = exceptional_points(pair, "g", 0.01, 1.0)
    assert found.value == pytest.approx(0.2, abs=1e-9)
    assert found.growth_rate == pytest.approx(-0.3, abs=1e-4)
    assert found.frequency == pytest.approx(3, abs=1e-4)
    assert found.modes == pytest.approx({"a": 0.5, "b": 0.5}, abs=1e-3)


def test_balanced_gain_and_loss_meet_at_half_of_the_rate():
    """PT symmetry: κ and g − κ_b equal and opposite, exceptional at g = κ/2."""
    (found,) = exceptional_points(pair, "g", 0.01, 2.0, gain=1.2)
    assert found.value == pytest.approx(0.5, abs=1e-9)
    assert found.growth_rate == pytest.approx(0, abs=1e-4)


def test_what_only_crosses_or_avoids_is_no_exceptional_point():
    assert exceptional_points(pair, "delta", -1, 1, g=0.0) == ()
    assert exceptional_points(pair, "delta", -1, 1, g=0.3) == ()
    assert exceptional_points(pair, "g", 0.01, 1.0, delta=0.05) == ()


def test_paths_need_a_drift_and_an_interval():
    with pytest.raises(ValueError, match="must have a drift"):
        stability_border("riedinger2018", "delay", 0, 1e-6)
    with pytest.raises(ValueError, match="`low` must be below"):
        exceptional_points(pair, "g", 1, 0)
    with pytest.raises(KeyError, match="nearest"):
        stability_border(pair, "gg", 0, 1)


def lorentzian(width, centre=0.0):
    return lambda omega: np.sqrt(width) / (width / 2 + 1j * (omega - centre))


def test_sidebands_of_a_squeezer_are_entangled_as_its_spectrum_says():
    """Narrow filters at ±ω: ν = S_p(ω)/2, so E_N = −ln S_p(ω)."""
    network = parametric_network(0.3)
    at, width = 0.8, 0.01

    def gaussian(centre):
        return lambda omega: np.exp(-((omega - centre) ** 2) / (2 * width**2))

    omega = np.linspace(-1, 1, 40_001)
    v = filtered_covariance(
        network, {"upper": ("s", gaussian(at)), "lower": ("s", gaussian(-at))}, omega
    )
    squeezed = output_spectra(network, ["s"], [at])[0, 1, 1].real
    assert log_negativity(v) == pytest.approx(-np.log(squeezed), rel=1e-3)


def parametric_network(xi):
    return Network(modes=[Mode("s", damping=1.0)], couplings=[single_mode_squeezing("s", 1j * xi)])


@pytest.mark.parametrize("centre", [0.0, 0.9, -0.6])
def test_a_filter_of_any_shape_agrees_with_the_cavity_that_is_one(centre):
    modes = [
        Mode("a", detuning=1.0, damping=0.5),
        Mode("b", detuning=1.0, damping=0.05, occupation=0.2),
    ]
    network = Network(modes=modes, couplings=[radiation_pressure("a", "b", 0.15)])
    width = 0.3
    held = steady_state(
        with_output_mode(network, "a", name="f", bandwidth=width, detuning=centre).build()
    )
    omega = np.tan(np.linspace(-np.pi / 2, np.pi / 2, 60_003)[1:-1])
    found = filtered_covariance(network, {"f": ("a", lorentzian(width, centre))}, omega)
    np.testing.assert_allclose(np.linalg.eigvalsh(found), np.linalg.eigvalsh(held.of("f")), 2e-3)
    assert found[0, 0] + found[1, 1] == pytest.approx(np.trace(held.of("f")), rel=2e-3)


def test_vacuum_behind_a_filter_is_vacuum():
    network = Network(modes=[Mode("a", damping=1.0), Mode("b", damping=2.0)])
    filters = {"one": ("a", lorentzian(0.2)), "two": ("b", lorentzian(0.3, 0.1))}
    found = filtered_covariance(network, filters, np.linspace(-9, 9, 2001))
    np.testing.assert_allclose(found, np.eye(4) / 2, atol=1e-12)


def test_filters_that_are_none_are_refused():
    network = Network(modes=[Mode("a", damping=1.0)])
    grid = np.linspace(-9, 9, 2001)
    with pytest.raises(ValueError, match="overlap by 1"):
        filtered_covariance(
            network, {"one": ("a", lorentzian(0.2)), "two": ("a", lorentzian(0.2))}, grid
        )
    with pytest.raises(ValueError, match="must pass something"):
        filtered_covariance(network, {"one": ("a", np.zeros_like)}, grid)
    with pytest.raises(ValueError, match="ascend"):
        filtered_covariance(network, {"one": ("a", lorentzian(0.2))}, grid[::-1])
