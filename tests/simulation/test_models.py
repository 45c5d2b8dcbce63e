"""Published and derived numbers of the models of seeds 002 and 004, and their borders."""

import numpy as np
import pytest
from scipy.constants import h, k

from simulation.theory.models import get, point, tan2020, yu2020
from simulation.theory.models.yu2020 import Yu2020, coupling_from_power, drive_power

YU_POINTS = [
    ({}, {"E_N": 0.0980931034, "duan": 2.0636186123, "n_phonon": 0.48050644}),
    ({"delta_1": 0.9, "delta_2": -1.1}, {"E_N": 0.0680791354, "duan": 1.8746472667}),
    ({"kappa_2_hz": 0.5e6, "g_2_hz": 3.04e6}, {"E_N": 0.1480237760}),
]
TAN_POINTS = [
    ({}, {"E_bm": 0.2193596704, "S_m_b": 0.5043691272, "S_b_m": 1.6647228032}),
    ({"eta": 0.5, "temperature": 0.1}, {"E_bm": 0.4784443159, "S_m_b": 0.7617154314}),
]


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [("yu2020", *row) for row in YU_POINTS] + [("tan2020", *row) for row in TAN_POINTS],
)
def test_reference_points_to_eight_digits(name, parameters, expected):
    results = point(get(name), **parameters)
    for result, value in expected.items():
        assert results[result] == pytest.approx(value, rel=1e-8), result


def test_the_baths_of_seed_004_are_at_the_modes_own_frequencies():
    a1, a2, m, b = yu2020.network(yu2020.Yu2020(temperature=1.0)).modes
    at = {a1: 10.001e9, a2: 9.981e9, m: 10e9, b: 10e6}  # drive at ω_m − 0.9 ω_b
    for mode, frequency_hz in at.items():
        assert mode.quanta == pytest.approx(1 / np.expm1(h * frequency_hz / k), rel=1e-12)


def test_drive_power_of_the_yig_sphere_is_two_percent_above_the_printed_approximation():
    powers = drive_power(Yu2020(), diameter=250e-6, G_0_hz=np.array([0.3, 1.0]))
    np.testing.assert_allclose(powers, [6.3e-3, 0.57e-3], rtol=0.025)
    back = coupling_from_power(Yu2020(), power=powers[0], diameter=250e-6, G_0_hz=0.3)
    assert back == pytest.approx(4.5e6)


def test_power_and_magnons_of_seed_002_are_not_the_printed_ones():
    p = tan2020.Tan2020()
    assert tan2020.drive_power(p, g_0_hz=150.0) == pytest.approx(1.20e-6, rel=0.01)
    assert tan2020.magnons(p, g_0_hz=150.0) == pytest.approx(1.12e9, rel=0.01)


@pytest.mark.parametrize(("change", "limit"), [({}, 0.156), (None, 0.185)])
def test_microwave_entanglement_survives_warmer_than_printed(change, limit):
    model = get("yu2020")
    if change is None:  # optimum of Fig. 2(b)
        kappa, g = np.linspace(0.1, 1, 91)[:, None], np.linspace(0.5, 1.2, 71)
        found = model.evaluate(["E_N"], kappa_2_hz=1e6 * kappa, g_2_hz=3.8e6 * g)["E_N"]
        best = np.unravel_index(np.argmax(found), found.shape)
        change = {"kappa_2_hz": 1e6 * kappa[best[0], 0], "g_2_hz": 3.8e6 * g[best[1]]}
    temperature = np.linspace(0.14, 0.2, 601)
    entangled = model.evaluate(["E_N"], temperature=temperature, **change)["E_N"] > 0
    assert temperature[entangled][-1] == pytest.approx(limit, abs=1e-3)


def test_an_unstable_point_names_the_growing_supermode_and_a_map_flags_it():
    model = get("tan2020")
    with pytest.raises(ValueError, match=r"supermode of b 64 %, m .* growth rate \+0.00684968"):
        point(model, delta_1=-1.0)
    results = model.evaluate(["E_bm", "n_b"], delta_1=np.array([-1.0, 1.0]))
    assert results["stable"].tolist() == [False, True]
    assert np.isnan(results["E_bm"]).tolist() == [True, False]


def test_unknown_names_offer_the_nearest():
    with pytest.raises(KeyError, match="nearest: yu2020"):
        get("yu_2020")
    with pytest.raises(KeyError, match="nearest: kappa_1"):
        get("tan2020").evaluate(kapa_1=1.0)
    with pytest.raises(KeyError, match="nearest: E_N"):
        get("tan2020").evaluate(["EN"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kappa_1": -1.0}, r"`kappa_1` must be finite and ≥ 0, but is -1.0"),
        ({"temperature": -0.1}, r"`temperature` must be finite and ≥ 0, but is -0.1"),
        ({"eta": 1.2}, r"`eta` must lie in \[0, 1\], but is 1.2"),
        ({"delta_1": np.nan}, r"`delta_1` must be finite, but is nan"),
        ({"g_ab": np.ones(2), "eta": np.ones(3)}, r"must broadcast .*'g_ab': \(2,\)"),
        ({"eta": "high"}, r"`eta` must be a number"),
    ],
)
def test_values_outside_their_range_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        get("tan2020").evaluate(**change)


def test_a_point_refuses_arrays():
    with pytest.raises(ValueError, match=r"`eta` must be a number for a single point"):
        point(get("tan2020"), eta=[0.5, 1.0])
