import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.fits import fit_decay, fit_fringe, fit_heating
from analysis.separable_fit import Estimate
from simulation.theory.dlcz.budget import heating_curve

SEED = 556


@settings(max_examples=40)
@given(
    amplitude=st.floats(0.5, 5.0),
    phase=st.floats(-3.1, 3.1),
    period=st.floats(0.8, 3.0),
    shift=st.floats(-5.0, 5.0),
)
def test_a_clean_fringe_is_recovered(
    amplitude: float, phase: float, period: float, shift: float
) -> None:
    x = shift + np.linspace(0.0, 2.5, 15)
    fit = fit_fringe(x, 6.0 + amplitude * np.sin(2 * np.pi * x / period + phase))
    assert fit.amplitude.value == pytest.approx(amplitude, rel=1e-6)
    assert fit.period.value == pytest.approx(period, rel=1e-6)
    assert np.exp(1j * fit.phase.value) == pytest.approx(np.exp(1j * phase), abs=1e-5)
    assert fit.visibility is not None
    assert fit.visibility.value == pytest.approx(amplitude / 6.0, rel=1e-6)
    assert fit.curve(fit.maximum) == pytest.approx(6.0 + amplitude, rel=1e-6)
    assert abs(fit.maximum - x.mean()) <= period / 2 * 1.001


def test_errors_of_a_noisy_fringe_are_its_scatter() -> None:
    rng = np.random.default_rng(SEED)
    x = np.linspace(0.0, 2.0, 12)
    clean = 4.0 + 3.0 * np.sin(2 * np.pi * x / 1.95 + 0.4)
    fits = [fit_fringe(x, clean + rng.normal(0.0, 0.3, 12), 0.3) for _ in range(200)]
    for name in ("amplitude", "phase", "period", "offset", "visibility"):
        values = np.array([getattr(fit, name).value for fit in fits])
        sigmas = np.array([getattr(fit, name).sigma for fit in fits])
        assert values.std() == pytest.approx(sigmas.mean(), rel=0.25)  # 5 σ of 1/√(2·200)
    assert np.mean([fit.chi2_reduced for fit in fits]) == pytest.approx(1.0, abs=4 / np.sqrt(800))


def test_a_known_period_is_kept() -> None:
    x = np.linspace(0.0, 1.0, 6)
    fit = fit_fringe(x, 2.0 + np.cos(np.pi * x), 0.1, period=2.0)
    assert (fit.period.value, fit.period.sigma) == (2.0, 0.0)
    assert fit.phase.value == pytest.approx(np.pi / 2)
    assert fit.visibility is not None
    assert fit.visibility.value == pytest.approx(0.5)


def test_visibility_of_a_fringe_around_zero_is_undefined() -> None:
    x = np.linspace(0.0, 2.0, 20)
    fit = fit_fringe(x, np.sin(2 * np.pi * x) - 0.1)
    assert fit.visibility is None
    assert "undefined" in str(fit)


@pytest.mark.parametrize("offset", [None, 0.5])
def test_a_decay_is_recovered_wherever_time_begins(offset: float | None) -> None:
    x = np.linspace(2.0, 12.0, 20)
    fit = fit_decay(x, 0.5 + 3.0 * np.exp(-x / 4.0), offset=offset)
    assert fit.lifetime.value == pytest.approx(4.0, rel=1e-7)
    assert fit.amplitude.value == pytest.approx(3.0, rel=1e-7)
    assert fit.offset.value == pytest.approx(0.5, rel=1e-7)
    assert fit.curve(0.0) == pytest.approx(3.5, rel=1e-7)


def test_errors_of_a_noisy_decay_are_its_scatter() -> None:
    rng = np.random.default_rng(SEED)
    x = np.linspace(1.0, 15.0, 15)
    fits = [
        fit_decay(x, 3.0 * np.exp(-x / 4.0) + rng.normal(0.0, 0.05, 15), 0.05, offset=0.0)
        for _ in range(200)
    ]
    for name in ("amplitude", "lifetime"):
        values = np.array([getattr(fit, name).value for fit in fits])
        sigmas = np.array([getattr(fit, name).sigma for fit in fits])
        assert values.std() == pytest.approx(sigmas.mean(), rel=0.25)


def test_the_published_heating_curve_is_recovered() -> None:
    rates = {"n_init": 0.02, "n_start": 0.05, "heating_rate": 3e5}
    times = {"lifetime": 4.0e-6, "bath_lifetime": 0.5e-6}
    t = np.geomspace(0.1e-6, 30e-6, 40)
    fit = fit_heating(t, heating_curve(t, **rates, **times))
    assert fit.lifetime.value == pytest.approx(4.0e-6, rel=1e-5)
    assert fit.bath_lifetime.value == pytest.approx(0.5e-6, rel=1e-5)
    assert fit.n_final.value == pytest.approx(0.02, rel=1e-5)
    assert fit.heating_rate == pytest.approx(3e5, rel=1e-5)
    np.testing.assert_allclose(fit.curve(t), heating_curve(t, **rates, **times), rtol=1e-6)
    assert "bath lifetime" in str(fit)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit_fringe([1, 2, 3, 4], [1, 2, 1, 2]), "more than 4 different points .* is 4"),
        (lambda: fit_fringe([1, 1, 1, 1, 1], [1, 2, 1, 2, 3]), "several different points"),
        (lambda: fit_fringe([], []), "several different points, but holds 0"),
        (lambda: fit_fringe([1, 2, 3], [1, 2]), "lists of equal length"),
        (lambda: fit_fringe(range(9), [*range(8), np.nan]), "must be finite"),
        (lambda: fit_fringe(range(9), range(9), 0.0), r"`sigma` must be above 0 .*, but is 0\.0"),
        (lambda: fit_fringe(range(9), range(9), [1, 2]), "`sigma` must be one number or as long"),
        (lambda: fit_fringe(range(9), range(9), period=0.0), "`period` must be above 0"),
        (lambda: fit_fringe(range(9), [3.0] * 9), "must determine all 4 parameters"),
        (lambda: fit_fringe(range(9), [0.0] * 9, period=4.0), "`y` must vary with x"),
        (lambda: fit_decay([0, 1, 2], [3, 2, 1]), "more than 3 different points .* is 3"),
        (lambda: fit_heating(range(5), range(5)), "more than 5 different points .* is 5"),
    ],
)
def test_data_that_cannot_be_fitted_are_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_estimates_print_with_two_digits_of_their_error() -> None:
    assert str(Estimate(value=0.79345, sigma=0.0312)) == "0.793 ± 0.031"
    assert str(Estimate(value=2.0, sigma=0.0)) == "2"
    assert str(Estimate(value=4.0e-6, sigma=1.2e-7)) == "4e-06 ± 1.2e-07"
