"""V(t): exact decays, approach to the steady state, changing coefficients, growth."""

import math

import numpy as np
import pytest

from simulation.theory.couplings import beam_splitter, two_mode_squeezing
from simulation.theory.evolution import evolve, evolve_driven
from simulation.theory.gaussian import (
    apply,
    occupation,
    thermal,
    vacuum,
)
from simulation.theory.gaussian import (
    two_mode_squeezing as squeeze,
)
from simulation.theory.models import tan2020
from simulation.theory.network import Mode, Network
from simulation.theory.steady_state import steady_state


def decay(rate=0.7, n=3.0):
    return Network(modes=[Mode("a", detuning=2.0, damping=rate, occupation=n)]).build()


def test_a_mode_decays_to_its_bath_exponentially():
    times = np.array([0.0, 0.1, 0.5, 2.0, 40.0])
    found = evolve(decay(), thermal([10.0]), times)
    np.testing.assert_allclose(occupation(found)[:, 0], 3 + 7 * np.exp(-0.7 * times), rtol=1e-12)


def test_any_state_ends_in_the_steady_state_even_of_a_stiff_model():
    model = tan2020.linear(tan2020.Tan2020(eta=np.array([0.3, 1.0])))
    found = evolve(model, vacuum(4), [0.0, 1e3, 2e3])
    np.testing.assert_allclose(found[-1], steady_state(model).cov, rtol=1e-8, atol=1e-10)


def test_lossless_squeezing_grows_as_it_must():
    model = Network(
        modes=[Mode("a"), Mode("b")], couplings=[two_mode_squeezing("a", "b", 0.4j)]
    ).build()
    found = evolve(model, vacuum(2), [0.0, 1.0, 2.5])
    expected = apply(vacuum(2), squeeze(0.4 * np.array([0.0, 1.0, 2.5])))
    np.testing.assert_allclose(found, expected, atol=1e-13)


def test_changing_coefficients_rotate_by_the_area_of_the_pulse():
    def model_at(t):
        g = np.sin(t) ** 2
        return Network(
            modes=[Mode("a", occupation=1.0), Mode("b")], couplings=[beam_splitter("a", "b", g)]
        ).build()

    times = np.linspace(0, 2, 5)
    found = evolve_driven(model_at, thermal([4.0, 0.0]), times)
    area = times / 2 - np.sin(2 * times) / 4
    np.testing.assert_allclose(occupation(found)[:, 1], 4 * np.sin(area) ** 2, atol=1e-8)


def test_a_changing_rate_decays_by_its_integral():
    found = evolve_driven(lambda t: decay(rate=1 + t), thermal([10.0]), [0.0, 1.0, 3.0])
    expected = 3 + 7 * np.exp(-np.array([0.0, 1.5, 7.5]))
    np.testing.assert_allclose(occupation(found)[:, 0], expected, rtol=1e-7)


def rotating(cosine, calls):
    """Two modes coupled by cos t, each answer counted."""

    def model_at(time):
        calls.append(time)
        modes = [Mode("a", detuning=1.0, damping=0.2, occupation=2.0), Mode("b", damping=0.1)]
        return Network(modes=modes, couplings=[beam_splitter("a", "b", cosine(time))]).build()

    return model_at


def test_a_function_of_arrays_is_asked_for_all_instants_of_a_step_at_once():
    calls = [], []
    found = [
        evolve_driven(rotating(cosine, asked), thermal([3.0, 0.0]), [0.0, 2.0])
        for cosine, asked in zip((np.cos, math.cos), calls, strict=True)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)
    assert len(calls[0]) < len(calls[1]) / 5


def test_a_function_that_takes_arrays_for_one_number_is_asked_for_single_times():
    largest = evolve_driven(lambda t: decay(rate=1 + np.max(t)), thermal([10.0]), [0.0, 1.0, 3.0])
    each = evolve_driven(lambda t: decay(rate=1 + t), thermal([10.0]), [0.0, 1.0, 3.0])
    np.testing.assert_allclose(largest, each, rtol=1e-12)


def test_constant_coefficients_agree_between_the_two():
    model = tan2020.linear(tan2020.Tan2020(kappa_1=2.0, kappa_2=2.0))
    times = [0.0, 0.5, 3.0]
    driven = evolve_driven(lambda _: model, vacuum(4), times)
    np.testing.assert_allclose(driven, evolve(model, vacuum(4), times), rtol=1e-6, atol=1e-7)


def test_times_must_ascend_and_sizes_match():
    with pytest.raises(ValueError, match="`times` must be 1-D and ascend"):
        evolve(decay(), vacuum(1), [1.0, 0.0])
    with pytest.raises(ValueError, match=r"must have shape \(..., 2, 2\)"):
        evolve(decay(), vacuum(2), [0.0, 1.0])
