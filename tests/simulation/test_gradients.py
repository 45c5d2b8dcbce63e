"""Derivatives of entanglement from the equations, against differences and closed forms."""

import numpy as np
import pytest

from simulation.theory import optimum, sensitivity
from simulation.theory.couplings import (
    radiation_pressure,
    single_mode_squeezing,
    two_mode_squeezing,
)
from simulation.theory.gradients import log_nu_gradient
from simulation.theory.models import get
from simulation.theory.models.own import own_model
from simulation.theory.network import Link, Mode, Network


def oscillator(g=0.1, kappa=1.0, n=0.0):
    """−ln 2ν̃₋ = ln(1 + 2g/κ) − ln(1 + 2n)."""
    modes = [Mode(name, damping=kappa, occupation=n) for name in "ab"]
    return Network(modes=modes, couplings=[two_mode_squeezing("a", "b", g)])


def squeezed_drive(xi=0.2, delta=0.9, eta=0.8, phi=0.3, G=0.15, n_b=2.0):
    modes = [Mode("s", damping=1.0), Mode("a", detuning=delta, damping=0.5),
             Mode("b", detuning=1.0, damping=1e-3, occupation=n_b)]  # fmt: skip
    couplings = [single_mode_squeezing("s", 1j * xi), radiation_pressure("a", "b", G)]
    link = Link("s", "a", efficiency=eta, phase=phi)
    return Network(modes=modes, couplings=couplings, links=[link])


def differences(model, result, name, value, step):
    """Central differences of fourth order."""
    points = value + step * np.array([-2.0, -1.0, 1.0, 2.0])
    values = model.evaluate([result], **{name: points})[result]
    return float(values @ np.array([1, -8, 8, -1]) / (12 * step))


def test_two_modes_below_threshold():
    found = sensitivity(own_model(oscillator), "log_nu_a_b", g=0.2, n=0.1)
    assert found == pytest.approx({"g": 2 / 1.4, "kappa": -0.4 / 1.4, "n": -2 / 1.2}, rel=1e-10)


@pytest.mark.parametrize(
    ("model", "result"),
    [
        (own_model(squeezed_drive), "log_nu_a_b"),
        (own_model(squeezed_drive), "E_a_b"),
        (get("yu2020"), "E_N"),
        (get("yu2020"), "E_mb"),
        (get("tan2020"), "E_N"),
        (get("fan2026_cascade"), "E_mb"),
        (get("tan2020_readout"), "log_nu_out"),
    ],
    ids=["own log_nu", "own E", "yu E_N", "yu E_mb", "tan", "fan", "readout"],
)
def test_the_equations_give_the_numeric_derivative_of_every_parameter(model, result):
    defaults = model.parameters.defaults()
    found = sensitivity(model, result)
    assert any(abs(slope) > 0 for slope in found.values())
    for name, slope in found.items():
        if np.isnan(slope):
            continue  # at the border of the parameter's range
        scale = abs(defaults[name]) or 1.0
        step = 1e-5 if model.name == "tan2020_readout" else 1e-3  # its filters are narrow
        numeric = differences(model, result, name, defaults[name], step * scale)
        assert slope * scale == pytest.approx(numeric * scale, rel=1e-7, abs=1e-7), name


def test_where_nothing_is_entangled_e_n_is_flat_and_log_nu_is_not():
    model = own_model(oscillator)
    assert sensitivity(model, "E_a_b", ["g"], n=1.0) == {"g": 0.0}
    assert sensitivity(model, "log_nu_a_b", ["g"], n=1.0)["g"] == pytest.approx(2 / 1.2)


def test_where_both_symplectic_eigenvalues_cross_differences_are_taken():
    """−ln 2ν̃₋ = ln(1 + 2|g|/κ): a kink at g = 0, whose central difference is 0."""
    value, slope = log_nu_gradient(
        own_model(oscillator), ("a", "b"), {"g": np.array([0.0, 1e-5, -1e-5])}, np.array([2e-5])
    )
    assert value == pytest.approx(0, abs=1e-14)
    assert np.isnan(slope).all()
    assert sensitivity(own_model(oscillator), "log_nu_a_b", ["g"], g=0.0)["g"] == pytest.approx(0)


def test_what_has_no_steady_state_has_no_derivative():
    assert np.isnan(sensitivity(own_model(oscillator), "log_nu_a_b", ["g"], g=0.6)["g"])
    with pytest.raises(ValueError, match="differentiate it numerically"):
        log_nu_gradient(get("bell2018"), ("a", "b"), {}, np.ones(1))


@pytest.mark.parametrize(
    ("model", "aim", "over"),
    [
        (own_model(squeezed_drive), "log_nu_a_b",
         {"xi": (0.0, 0.4), "delta": (0.5, 1.5), "phi": (0.0, 3.0), "G": (0.05, 0.2)}),
        (get("yu2020"), "E_N", {"delta_1": (0.5, 1.5), "delta_2": (-1.5, -0.5)}),
    ],
    ids=["own", "yu"],
)  # fmt: skip
def test_a_search_uses_them_and_gets_the_same_slopes(model, aim, over):
    task = optimum._Task(
        model=model, aim=aim, names=tuple(over), limits=np.array(list(over.values())).T,
        constraints={}, fixed={}, shifts={},
    )  # fmt: skip
    points, widths = optimum._star(*(np.full(len(over), x) for x in (0.43999, 0.44, 0.44001)))
    exact = task._exact_slopes(points, widths)
    numeric, _ = task.evaluate(points)
    slopes = (numeric[1 : len(over) + 1] - numeric[len(over) + 1 :]) / widths
    assert exact[0][0] == pytest.approx(numeric[0], rel=1e-10)
    np.testing.assert_allclose(exact[1][0], slopes, rtol=1e-7, atol=1e-7)
    assert task.slopes(points[0])[1][0] == pytest.approx(exact[1][0], rel=1e-9)
