import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from simulation.theory.baths import temperature_of, thermal_occupation
from simulation.theory.dlcz.budget import (
    g2_single_device,
    heating_curve,
    thermal_phonons,
    visibility_bound,
)

A = {"lifetime": 4.0e-6, "p_pump": 0.56e-2, "n_leak": 3.2e-2, "n_bg": 3e-3}
B = {"lifetime": 5.8e-6, "p_pump": 0.80e-2, "n_leak": 3.2e-2, "n_bg": 3e-3}
small = st.floats(1e-4, 0.5)


def test_thermal_phonons_of_both_published_devices() -> None:
    assert thermal_phonons(7.1, 123e-9, **A) == pytest.approx(0.11854, abs=5e-6)
    assert thermal_phonons(9.6, 123e-9, **B) == pytest.approx(7.10e-2, abs=5e-5)


@given(n_th=small, p_pump=small, n_leak=small, n_bg=small, delay=st.floats(0.0, 1e-5))
def test_occupation_from_g2_inverts_g2_from_occupation(
    n_th: float, p_pump: float, n_leak: float, n_bg: float, delay: float
) -> None:
    noise = {"lifetime": 4e-6, "p_pump": p_pump, "n_leak": n_leak, "n_bg": n_bg}
    g2 = g2_single_device(delay, n_th=n_th, **noise)
    assert thermal_phonons(g2, delay, **noise) == pytest.approx(n_th, rel=1e-9)


def test_g2_without_other_noise_approaches_one_plus_inverse_pump_probability() -> None:
    g2 = g2_single_device([0.0, 1e-6], lifetime=4e-6, n_th=0.0, p_pump=0.01)
    assert g2 == pytest.approx([101.0, 101.0], rel=1e-14)


def test_g2_decays_to_one() -> None:
    g2 = g2_single_device(np.linspace(0.0, 2e-4, 50), n_th=0.1, **A)
    assert (np.diff(g2) <= 0.0).all()
    assert g2[-1] == pytest.approx(1.0, abs=1e-12)


def test_occupation_of_a_5_ghz_mode_at_60_mk() -> None:
    omega = 2 * np.pi * 5.1e9
    n = thermal_occupation(omega, 0.060)
    assert n == pytest.approx(1.0 / np.expm1(6.62607015e-34 * 5.1e9 / (1.380649e-23 * 0.060)))
    assert temperature_of(n, omega) == pytest.approx(0.060, rel=1e-12)
    assert thermal_occupation(omega, 0.0) == 0.0
    assert temperature_of(0.0, omega) == 0.0


@pytest.mark.parametrize("bath_lifetime", [0.5e-6, 3.99e-6, 4e-6, 20e-6])
def test_heating_curve_solves_its_rate_equation(bath_lifetime: float) -> None:
    n_init, n_start, rate, lifetime = 0.02, 0.05, 3e5, 4e-6
    t = np.linspace(0.0, 20e-6, 30)
    solution = integrate.solve_ivp(
        lambda t, n: (n_init - n) / lifetime + rate * np.exp(-t / bath_lifetime),
        (0.0, t[-1]),
        [n_start],
        t_eval=t,
        rtol=1e-10,
        atol=1e-12,
    )
    curve = heating_curve(
        t,
        n_init=n_init,
        n_start=n_start,
        heating_rate=rate,
        lifetime=lifetime,
        bath_lifetime=bath_lifetime,
    )
    np.testing.assert_allclose(curve, solution.y[0], rtol=1e-7)


def test_visibility_is_bound_by_the_worse_device() -> None:
    assert visibility_bound(7.1, 9.6) == pytest.approx(6.1 / 8.1)
    assert visibility_bound([1.0, 3.0], 3.0) == pytest.approx([0.0, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: thermal_phonons(1.0, 0.0, **A), r"`g2` must be above 1 .*, but is 1\.0"),
        (lambda: thermal_phonons(40.0, 0.0, **A), r"`g2` must not exceed .*, but is 40\.0"),
        (lambda: g2_single_device(-1e-9, n_th=0.1, **A), "`delay` must not be negative"),
        (
            lambda: g2_single_device(0.0, n_th=-0.1, **A),
            r"`n_th` must not be negative, but is -0\.1",
        ),
        (lambda: g2_single_device(0.0, lifetime=0.0, n_th=1.0, p_pump=0.0), "`lifetime` must be"),
        (lambda: g2_single_device(0.0, lifetime=1.0, n_th=0.0, p_pump=0.0), "g² would be infinite"),
        (lambda: thermal_occupation(0.0, 1.0), "`omega` must be finite and > 0"),
        (lambda: thermal_occupation(1e9, float("nan")), "`temperature` must be finite and ≥ 0"),
        (lambda: visibility_bound(0.9, 5.0), "`g2_A` and `g2_B` must be at least 1"),
    ],
)
def test_impossible_arguments_are_refused(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
