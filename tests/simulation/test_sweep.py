"""Sweeps: labels, chunks, and the borders."""

import numpy as np
import pytest

from simulation.theory.models import get, point, sweep

GRID = {"x": ("delta_1", np.linspace(0.5, 1.5, 7)), "y": ("delta_2", np.linspace(-1.5, -0.5, 4))}


def test_a_sweep_is_labelled_with_units_and_parameters():
    data = sweep(get("yu2020"), **GRID, temperature=0.05)
    assert data["E_N"].dims == ("delta_1", "delta_2")
    assert data["delta_1"].attrs["units"] == "omega_b"
    assert data["growth_rate"].attrs["units"] == "omega_b"
    assert data.attrs["model"] == "yu2020"
    assert data.attrs["temperature"] == 0.05
    assert "delta_1" not in data.attrs


def test_a_sweep_holds_the_points_and_does_not_depend_on_chunks():
    model = get("yu2020")
    seen = []
    data = sweep(model, **GRID, progress=lambda done, total: seen.append((done, total)), chunk=9)
    assert seen == [(8, 28), (16, 28), (24, 28), (28, 28)]
    here = {"delta_1": float(data["delta_1"][3]), "delta_2": float(data["delta_2"][2])}
    for name, value in point(model, **here).items():
        assert float(data[name].sel(here)) == pytest.approx(float(value), abs=1e-12)
    whole = sweep(model, **GRID)
    np.testing.assert_allclose(data["E_N"], whole["E_N"], atol=1e-13)


def test_a_line_has_one_dimension_and_unstable_points_are_flagged_nan():
    data = sweep(get("tan2020"), x=("delta_1", [-1.0, 1.0]), wanted=["S_m_b"])
    assert set(data.data_vars) == {"S_m_b", "stable"}
    assert data["stable"].values.tolist() == [False, True]
    assert np.isnan(data["S_m_b"].values).tolist() == [True, False]


def test_a_result_that_is_swept_itself_is_the_coordinate():
    data = sweep(get("fan2026_pulsed"), x=("r", [0.0, 1.44]), W=0.8, R=0.5)
    assert "r" in data.coords
    assert "r" not in data.data_vars
    np.testing.assert_allclose(data["E_12"], [0.0, 0.7868414526], atol=1e-10)


def test_a_word_cannot_be_swept():
    with pytest.raises(ValueError, match="`variant` must be fixed in a sweep"):
        sweep(get("liu2024"), x=("variant", [0.0, 1.0]))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": ("delta_3", [0.0])}, KeyError, "nearest: delta_"),
        ({"x": ("delta_1", 0.0)}, ValueError, "must be 1-D"),
        ({"x": ("eta", [0.5]), "eta": 0.1}, ValueError, "either swept or fixed"),
        ({"x": ("eta", [0.5]), "kappa_1": [1.0]}, ValueError, "must be a number in a sweep"),
        ({"x": ("eta", [0.5]), "y": ("eta", [0.5])}, ValueError, "different parameters"),
    ],
)
def test_a_sweep_refuses_what_it_cannot_do(arguments, error, message):
    with pytest.raises(error, match=message):
        sweep(get("tan2020"), **arguments)
