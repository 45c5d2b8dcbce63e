"""Filtered output: vacuum stays vacuum, thermal light is kept, entanglement of the output."""

import numpy as np
import pytest

from simulation.theory.couplings import two_mode_squeezing
from simulation.theory.evolution import evolve_driven
from simulation.theory.gaussian import occupation, thermal
from simulation.theory.measures import is_physical, log_negativity
from simulation.theory.network import Mode, Network
from simulation.theory.output_modes import capture_rate, with_output_mode
from simulation.theory.steady_state import steady_state


def filtered(network, **arguments):
    return steady_state(with_output_mode(network, name="out", **arguments).build())


def test_the_output_of_a_mode_in_equilibrium_is_its_bath_whatever_the_filter():
    cavity = Network(modes=[Mode("a", detuning=0.3, damping=1.0, occupation=0.8)])
    state = filtered(cavity, port="a", bandwidth=np.array([1e-3, 0.4, 50.0]), detuning=0.7)
    np.testing.assert_allclose(occupation(state.of("out"))[:, 0], 0.8, rtol=1e-9)
    np.testing.assert_allclose(state.of("a", "out")[:, :2, 2:], 0, atol=1e-9)


def test_the_filtered_spectrum_of_an_amplifier_is_the_known_one():
    # signal of a parametric amplifier: S(ω) = κ² g²/|κ²/4 + ... |², seen by a narrow filter
    kappa, g = 1.0, 0.3
    omega = np.array([0.0, 0.4, 1.5])
    amplifier = Network(
        modes=[Mode("s", damping=kappa), Mode("i", damping=kappa)],
        couplings=[two_mode_squeezing("s", "i", g)],
    )
    state = filtered(amplifier, port="s", bandwidth=1e-6, detuning=omega)
    gain = kappa**2 * g**2 / np.abs((kappa / 2 - 1j * omega) ** 2 - g**2) ** 2
    np.testing.assert_allclose(occupation(state.of("out"))[:, 0], gain, rtol=2e-5)


def test_narrow_filters_of_both_outputs_are_a_two_mode_squeezed_vacuum():
    kappa, g = 1.0, 0.3
    amplifier = Network(
        modes=[Mode("s", damping=kappa), Mode("i", damping=kappa)],
        couplings=[two_mode_squeezing("s", "i", g)],
    )
    both = with_output_mode(amplifier, "s", name="out_s", bandwidth=1e-6)
    both = with_output_mode(both, "i", name="out_i", bandwidth=1e-6)
    pair = steady_state(both.build()).of("out_s", "out_i")
    squeezing = 2 * np.log((kappa / 2 + g) / (kappa / 2 - g))
    assert log_negativity(pair) == pytest.approx(squeezing, rel=1e-5)
    assert is_physical(pair, tolerance=1e-9)


def test_loss_on_the_way_to_the_filter_is_a_beam_splitter():
    cavity = Network(modes=[Mode("a", damping=1.0, occupation=0.8)])
    state = filtered(cavity, port="a", bandwidth=0.2, efficiency=0.25, occupation=0.1)
    assert occupation(state.of("out"))[0] == pytest.approx(0.25 * 0.8 + 0.75 * 0.1)


def test_a_cavity_of_the_right_rate_swallows_an_emitted_pulse_whole():
    # a cavity that held 5 quanta emits the pulse e^{-t/2}
    times = np.linspace(0, 30, 3001)
    rate = capture_rate(np.exp(-times / 2), times)

    def model_at(t):
        emitter = Network(modes=[Mode("a", damping=1.0)])
        bandwidth = float(np.interp(t, times, rate))
        return with_output_mode(emitter, "a", name="out", bandwidth=bandwidth).build()

    found = evolve_driven(model_at, thermal([5.0, 0.0]), [0.01, 0.1, 1.0, 12.0], tolerance=1e-5)
    assert occupation(found[-1])[1] == pytest.approx(5, rel=0.02)  # the first 1 % of t is missed


def test_capture_needs_a_pulse():
    with pytest.raises(ValueError, match="must hold some energy"):
        capture_rate(np.zeros(3), np.arange(3.0))
    with pytest.raises(ValueError, match="must be 1-D alike"):
        capture_rate(np.ones(3), np.arange(4.0))


def test_the_energy_captured_so_far_follows_the_trapezoid_rule():
    rate = capture_rate([0.0, 1.0, 2.0, 2.0], [0.0, 1.0, 3.0, 4.0])
    np.testing.assert_allclose(rate, [0.0, 1 / 0.5, 4 / 5.5, 4 / 9.5], rtol=1e-15)
