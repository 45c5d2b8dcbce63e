"""The closed form against the exact model, and what drawn parameters amount to."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.inference.model import laser_coincidences, pair_marginals, probabilities
from simulation.inference.setting import Setting, Settings, parameters_at
from simulation.inference.table import PARAMETERS, from_coordinate, from_coordinates, to_coordinate
from simulation.theory.dlcz import DLCZParameters, click_probabilities, riedinger2018


def random_parameters(number, seed, **changes):
    rng = np.random.default_rng(seed)

    def fraction(low, high):
        return np.exp(rng.uniform(np.log(low), np.log(high), number))

    names = {
        "n_0_A": (1e-3, 2), "n_0_B": (1e-3, 2), "p_pump_A": (1e-4, 0.3), "p_pump_B": (1e-4, 0.3),
        "n_prompt_A": (1e-4, 0.1), "n_heat_A": (1e-3, 1), "n_heat_B": (1e-3, 1),
        "p_read_A": (1e-3, 0.9), "p_read_B": (1e-3, 0.9), "eta_A": (1e-3, 1), "eta_B": (1e-3, 1),
        "splitting": (0.1, 0.9), "eta_1": (0.01, 1), "eta_2": (0.01, 1), "dark_1": (1e-9, 1e-2),
        "dark_2": (1e-9, 1e-2), "leak_read_1": (1e-9, 1e-2), "leak_pump_2": (1e-9, 1e-2),
        "contrast": (0.1, 1), "phase_noise": (0.01, 1), "delay": (1e-8, 5e-6),
    }  # fmt: skip
    values = {name: fraction(*span) for name, span in names.items()}
    return DLCZParameters(
        **values, delta_phi=rng.uniform(-3, 3, number), phi_0=rng.uniform(-3, 3, number), **changes
    )


def test_the_closed_form_is_the_exact_model_at_200_random_points():
    parameters = random_parameters(200, seed=1)
    exact, fast = click_probabilities(parameters), pair_marginals(parameters)
    np.testing.assert_allclose(fast.singles, exact.singles, rtol=1e-12)
    np.testing.assert_allclose(fast.coincidences, exact.coincidences, rtol=1e-12)


def test_memory_is_exact_but_for_double_clicks_of_the_pump_gate():
    """At the paper's rates p1 and p2 click together in 2 of 1e4 pump clicks."""
    parameters = replace(
        riedinger2018(), afterpulse=2e-3, blindness=0.2, crosstalk=1e-3, contrast=0.8
    )
    exact, fast = click_probabilities(parameters), pair_marginals(parameters)
    np.testing.assert_allclose(fast.singles, exact.singles, rtol=1e-6)
    np.testing.assert_allclose(fast.coincidences, exact.coincidences, rtol=3e-4)


def test_coherent_leaks_are_refused():
    with pytest.raises(ValueError, match="coherent_read"):
        pair_marginals(replace(riedinger2018(), coherent_read_1=1e-5))


def test_laser_light_has_accidental_coincidences_unless_detectors_remember():
    singles = np.array([0.1, 0.2, 1e-4, 2e-4])
    accidental = np.outer(singles[2:], singles[:2])
    np.testing.assert_allclose(laser_coincidences({}, singles), accidental, rtol=1e-12)
    blind = laser_coincidences({"blindness": np.array([0.3])}, singles)[0]
    assert blind[0, 0] == pytest.approx(0.7 * accidental[0, 0] / (1 - 0.3 * 0.1), rel=1e-9)
    assert blind[0, 1] > accidental[0, 1]  # the unseen rate is higher than the seen one


@pytest.mark.parametrize("name", ["afterpulse", "blindness", "crosstalk"])
def test_memory_of_one_detector_alone_is_twice_that_of_both_at_it_and_none_at_the_other(name):
    parameters = replace(riedinger2018(), **{name: 0.1})
    double = replace(riedinger2018(), **{name: 0.2})
    nothing, both = pair_marginals(riedinger2018()), pair_marginals(double)
    alone = pair_marginals(parameters, {f"{name}_share": 0.0})
    for i, like in ((0, nothing), (1, both)):
        np.testing.assert_allclose(alone.coincidences[i], like.coincidences[i], rtol=1e-12)
    singles = np.array([0.1, 0.2, 0.05, 0.06])
    values = {name: np.array([0.1]), f"{name}_share": np.array([0.0])}
    light = laser_coincidences(values, singles)[0]
    np.testing.assert_allclose(light[0], 0.05 * singles[:2], rtol=1e-12)
    twice = laser_coincidences({name: np.array([0.2])}, singles)[0]
    np.testing.assert_allclose(light[1], twice[1], rtol=1e-12)


def test_stray_light_of_the_signals_frequency_is_kept_off_by_filters_beside_the_line():
    values = {n: one.centre if one.centre is not None else getattr(riedinger2018(), n, 20.0)
              for n, one in PARAMETERS.items()}  # fmt: skip
    on, off = (Setting(delay=123e-9, on_line=line) for line in (True, False))
    usual, beside = (parameters_at(values, s, reference_delay=123e-9).dark_1 for s in (on, off))
    assert beside == usual
    stray = values | {"stray_share_1": 0.75}
    assert parameters_at(stray, on, reference_delay=123e-9).dark_1 == usual
    beside = parameters_at(stray, off, reference_delay=123e-9)
    assert float(beside.dark_1) == pytest.approx(0.25 * float(usual), rel=1e-6)
    assert beside.dark_2 == parameters_at(values, off, reference_delay=123e-9).dark_2


UNBOUNDED = ("n_", "b_", "leak_pump", "leak_read", "dark")


@pytest.mark.parametrize("sigmas", [-30, -8, 8, 30])
def test_no_proposal_leaves_the_domain_of_the_model(sigmas):
    """Wide proposals reach far: one crosstalk beyond 1 had ended a whole inference."""
    centre = riedinger2018()
    setting = Setting(delay=123e-9)
    usual = {
        name: PARAMETERS[name].centre
        if PARAMETERS[name].centre is not None
        else getattr(centre, name, 5.0)
        for name in PARAMETERS
    }
    for name, item in PARAMETERS.items():
        if item.unit != "s" and not name.startswith(UNBOUNDED):
            z = to_coordinate(name, float(np.ravel(usual[name])[0])) + sigmas * item.sd
            parameters_at(usual | {name: from_coordinate(name, z)}, setting, reference_delay=123e-9)


ALONE = Setting(delay=123e-9, e_pump=(1.0, 0.0), e_read=(1.0, 0.0))
SWEEP = [Setting(delay=123e-9, delta_phi=phase) for phase in (0.0, 1.0, 2.5)]


@pytest.mark.parametrize(
    "settings",
    [
        [SWEEP[0]],
        [SWEEP[1], SWEEP[1]],
        SWEEP,
        [*SWEEP, ALONE, replace(SWEEP[1], on_line=False), SWEEP[2], replace(ALONE, delta_phi=1.0)],
        [Setting(delay=late, delta_phi=late * 1e6) for late in (1e-7, 5e-7, 1e-7)],
        [replace(SWEEP[0], gates=(length, length)) for length in (50e-9, 60e-9)],
    ],
)
def test_many_settings_at_once_are_as_each_alone(settings):
    free = tuple(name for name in PARAMETERS if name != "drift")
    centre = riedinger2018()
    usual = [
        PARAMETERS[n].centre if PARAMETERS[n].centre is not None else getattr(centre, n, 20.0)
        for n in free
    ]
    z = np.array([to_coordinate(n, value) for n, value in zip(free, usual, strict=True)])
    sd = np.array([PARAMETERS[n].sd for n in free])
    draws = z + 0.5 * sd * np.random.default_rng(5).standard_normal((7, len(free)))
    values = from_coordinates(free, draws)
    for number, name in enumerate(free):
        np.testing.assert_array_equal(values[name], from_coordinate(name, draws[:, number]))
    together = probabilities(values, Settings.of(settings), reference_delay=123e-9)
    assert together.singles.shape == (len(settings), 7, 4)
    for row, setting in enumerate(settings):
        alone = probabilities(values, setting, reference_delay=123e-9)
        np.testing.assert_allclose(together.singles[row], alone.singles, rtol=1e-13)
        np.testing.assert_allclose(together.coincidences[row], alone.coincidences, rtol=1e-13)


def test_laser_light_of_many_settings_is_that_of_each():
    values = {"afterpulse": np.array([0.0, 0.1]), "blindness": np.array([0.2, 0.1]),
              "afterpulse_share": np.array([1.0, 0.0])}  # fmt: skip
    singles = np.array([[0.1, 0.2, 0.05, 0.06], [0.01, 0.02, 0.3, 0.2]])
    together = laser_coincidences(values, singles)
    for one, alone in zip(together, singles, strict=True):
        np.testing.assert_array_equal(one, laser_coincidences(values, alone))


def test_parameters_without_checks_are_those_with_them():
    given = {"eta_A": np.array([0.1, 0.2]), "delay": 2e-7}
    checked, trusted = DLCZParameters(**given), DLCZParameters.unchecked(given)
    for name in DLCZParameters.quantities():
        np.testing.assert_array_equal(getattr(checked, name), getattr(trusted, name))
    with pytest.raises(AttributeError):
        DLCZParameters.unchecked({"eta_C": 0.1})
