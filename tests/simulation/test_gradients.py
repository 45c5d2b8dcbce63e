"""Derivatives of entanglement from the equations, against differences and closed forms."""

import numpy as np
import pytest

from simulation.theory import optimum, sensitivity
from simulation.theory.couplings import (
    beam_splitter,
    radiation_pressure,
    single_mode_squeezing,
    two_mode_squeezing,
)
from simulation.theory.gradients import Star, slopes_of
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


def star_at(centre):
    """Points of a search around one of the unit cube."""
    centre = np.asarray(centre, float)
    return Star.around(centre, np.full(len(centre), 1e-5), 0 * centre, 0 * centre + 1)


def differences(model, result, name, value, step):
    """Differences of fourth order, central or downwards from the border of a range."""
    inside = value + 2 * step <= model.parameters.quantities()[name].allowed.high
    places, weights = [-2, -1, 1, 2], [1, -8, 8, -1]
    if not inside:
        places, weights = [-4, -3, -2, -1, 0], [3, -16, 36, -48, 25]
    values = model.evaluate([result], **{name: value + step * np.array(places, float)})[result]
    return float(values @ np.array(weights) / (12 * step))


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
    star = star_at([0.0])
    value, slope = slopes_of(own_model(oscillator), ["log_nu_a_b"], {"g": star.points[:, 0]}, star)
    assert value == pytest.approx(0, abs=1e-14)
    assert np.isnan(slope).all()
    assert sensitivity(own_model(oscillator), "log_nu_a_b", ["g"], g=0.0)["g"] == pytest.approx(0)


def test_what_has_no_steady_state_has_no_derivative():
    assert np.isnan(sensitivity(own_model(oscillator), "log_nu_a_b", ["g"], g=0.6)["g"])
    with pytest.raises(ValueError, match="differentiate it numerically"):
        slopes_of(get("bell2018"), ["S"], {}, star_at([1.0]))


OVER = {"xi": (0.0, 0.4), "delta": (0.5, 1.5), "phi": (0.0, 3.0), "G": (0.05, 0.2)}


@pytest.mark.parametrize(
    ("model", "aim", "over", "constraints", "spread"),
    [
        (own_model(squeezed_drive), "log_nu_a_b", OVER, {}, {}),
        (get("yu2020"), "E_N", {"delta_1": (0.5, 1.5), "delta_2": (-1.5, -0.5)}, {}, {}),
        (own_model(squeezed_drive), "log_nu_a_b", OVER,
         {"n_b": (-np.inf, 3.0), "growth_rate": (-1.0, -1e-3), "E_s_a": (0.01, np.inf)}, {}),
        (own_model(squeezed_drive), "squeezing_a", OVER, {"n_a": (0.0, 9.0)},
         {"delta": 0.05, "n_b": 0.5}),
    ],
    ids=["own", "yu", "under constraints", "robust and constrained"],
)  # fmt: skip
def test_a_search_uses_them_and_gets_the_same_slopes(model, aim, over, constraints, spread):
    task = optimum._Task(
        model=model, aim=aim, names=tuple(over), limits=np.array(list(over.values())).T,
        constraints=constraints, fixed={}, shifts=optimum._shifts(model, spread, 16, 1),
    )  # fmt: skip
    place = np.full(len(over), 0.44)
    star = star_at(place)
    exact = task._exact_slopes(star)
    every = np.column_stack(task.evaluate(star.points))
    assert exact[0] == pytest.approx(every[0], rel=1e-10)
    np.testing.assert_allclose(exact[1], star.slopes(every).T, rtol=1e-7, atol=1e-7)
    assert task.slopes(place)[1] == pytest.approx(exact[1], rel=1e-9)


def test_a_search_under_constraints_and_spread_never_asks_for_shifted_solutions(monkeypatch):
    """Of the model itself a climb asks only where it ends."""
    model = own_model(squeezed_drive)
    asked = []
    evaluate = type(model).evaluate

    def counting(self, wanted=None, /, **parameters):
        asked.append(max(np.shape(v)[0] for v in parameters.values() if np.ndim(v)))
        return evaluate(self, wanted, **parameters)

    monkeypatch.setattr(type(model), "evaluate", counting)
    task = optimum._Task(
        model=model, aim="log_nu_a_b", names=("xi", "delta"),
        limits=np.array([[0, 0.4], [0.5, 1.5]]).T,
        constraints={"n_b": (-np.inf, 3.0)}, fixed={},
        shifts=optimum._shifts(model, {"delta": 0.05}, 8, 1),
    )  # fmt: skip
    task.climb(np.array([0.3, 0.5]), -9.0)
    assert asked == [1]


def test_a_slope_at_the_border_of_a_range_is_taken_from_inside():
    """f = 1 + 2x + 3x² + x³ on [0, 1]: exact but for x³."""
    for place in (0.0, 0.5, 1.0):
        star = star_at([place])
        assert np.all((star.points >= 0) & (star.points <= 1))
        slope = star.slopes(np.polyval([1, 3, 2, 1], star.points[:, 0]))
        assert slope == pytest.approx(np.polyval([3, 6, 2], place), rel=1e-8)


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        ("n_b", "quanta"),
        ("squeezing_a", "squeezing"),
        ("growth_rate", "growth_rate"),
        ("E_s_a", "E_N"),
    ],
)
def test_every_moment_is_differentiated_by_the_equations(result, kind):
    model = own_model(squeezed_drive)
    assert model.moments[result].kind == kind
    found = sensitivity(model, result)
    defaults = model.parameters.defaults()
    for name, slope in found.items():
        numeric = differences(model, result, name, defaults[name], 1e-3)
        assert slope == pytest.approx(numeric, rel=1e-7, abs=1e-8), name


def test_where_supermodes_merge_the_growth_rate_has_no_derivative_by_the_equations():
    """Two cavities of κ = 1, 0.2 meet at g = 0.2: an exceptional point."""

    def pair(g=0.2):
        return Network(
            modes=[Mode("a", damping=1.0), Mode("b", damping=0.2)],
            couplings=[beam_splitter("a", "b", g)],
        )

    star = star_at([0.2])
    _, slope = slopes_of(own_model(pair), ["growth_rate"], {"g": star.points[:, 0]}, star)
    assert np.isnan(slope).all()
