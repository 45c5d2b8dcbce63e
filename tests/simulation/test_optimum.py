"""Optima and sensitivities against exact ones."""

import json

import numpy as np
import pytest

from labkit.cli import run
from simulation.theory import optimise, sensitivity
from simulation.theory.couplings import two_mode_squeezing
from simulation.theory.models import get
from simulation.theory.models.own import own_model
from simulation.theory.network import Mode, Network


def oscillator(g=0.1, kappa=1.0, n=0.0):
    """Two modes below threshold: E_N = ln(1 + 2g/κ) − ln(1 + 2n), n_a = ½/(1 − 4g²) − ½."""
    modes = [Mode(name, damping=kappa, occupation=n) for name in "ab"]
    return Network(modes=modes, couplings=[two_mode_squeezing("a", "b", g)])


MODEL = own_model(oscillator)


def test_a_search_starts_where_nothing_is_entangled_and_says_that_it_ended_at_a_border():
    found = optimise(MODEL, maximise="E_a_b", over={"g": (0.0, 0.05), "n": (0.2, 1.0)})
    assert found.results == {"E_a_b": 0.0}
    assert found.parameters == pytest.approx({"g": 0.05, "n": 0.2}, abs=1e-9)
    assert set(found.at_border) == {"g", "n"}
    assert found.found[0] == pytest.approx(np.log(1.1 / 1.4), rel=1e-9)


def test_a_constraint_holds_where_it_binds():
    found = optimise(
        MODEL, maximise="E_a_b", over={"g": (0.0, 0.49)}, subject_to={"n_a": (-np.inf, 0.1)}
    )
    assert found.parameters["g"] == pytest.approx(0.5 / np.sqrt(6), abs=1e-8)
    assert found.value == pytest.approx(np.log(1 + 1 / np.sqrt(6)), abs=1e-8)
    assert found.at_border == ()


def test_the_optimum_of_seed_004_is_the_largest_of_a_fine_map():
    found = optimise("yu2020", maximise="E_N", over={"delta_1": (0, 2), "delta_2": (-2, 0)})
    around = [found.parameters[name] + np.linspace(-0.05, 0.05, 101) for name in found.parameters]
    there = get("yu2020").evaluate(["E_N"], delta_1=around[0][:, None], delta_2=around[1])["E_N"]
    assert np.max(there) <= found.value + 1e-12
    assert found.parameters == pytest.approx({"delta_1": 0.81, "delta_2": -0.77}, abs=0.005)
    assert found.found == pytest.approx([found.value] * len(found.found), rel=1e-9)


def test_the_robust_value_is_the_mean_over_the_spread():
    """⟨ln(1 + 2g)⟩ = ln(1 + 2ḡ) − 2σ²/(1 + 2ḡ)² + …; 512 pairs of draws leave 2.6e-5 of it."""
    over = {"g": (0.1, 0.2)}
    found = optimise(MODEL, maximise="E_a_b", over=over, spread={"g": 0.02}, draws=1024)
    assert found.parameters["g"] == pytest.approx(0.2)
    assert found.value == pytest.approx(np.log(1.4) - 2 * 0.02**2 / 1.4**2, abs=1e-4)


def test_the_robust_optimum_keeps_away_from_the_threshold():
    found = optimise(MODEL, maximise="E_a_b", over={"g": (0.1, 0.49)}, spread={"g": 0.03})
    assert found.parameters["g"] < 0.5 - 0.03
    assert found.value < np.log(2)


def test_sensitivities_are_derivatives():
    found = sensitivity(MODEL, "log_nu_a_b", g=0.2, n=0.1)
    assert found == pytest.approx({"g": 2 / 1.4, "kappa": -0.4 / 1.4, "n": -2 / 1.2}, rel=1e-8)


def test_at_the_border_of_a_range_a_derivative_is_taken_to_one_side():
    """1/(e^{ħω/kT} − 1) is flat at T = 0; V = 2x|⟨m⟩|/(√⟨m†m⟩ (1 + x²)) falls with heating."""
    cold = sensitivity("yu2020", "E_N", ["temperature"], temperature=0.0)
    assert cold["temperature"] == pytest.approx(0, abs=1e-9)
    found = sensitivity("memory2020", "V", ["n_heat"])
    at = get("memory2020").evaluate(["V", "n_stored"])
    assert found["n_heat"] == pytest.approx(-at["V"] / (2 * at["n_stored"]), rel=1e-7)


def test_whole_numbers_are_no_parameters_to_differentiate_by():
    found = sensitivity("network_herald", "g2")
    assert "n" not in found
    assert found["n_heat"] < 0
    assert "links" not in sensitivity("swapping", "P_link")
    with pytest.raises(ValueError, match="`n` must be fixed: it is a whole number"):
        optimise("network_herald", maximise="g2", over={"n": (2, 6)})
    with pytest.raises(ValueError, match=r"`links` must be a whole number, but is 2\.5"):
        get("swapping").evaluate(["P_link"], links=2.5)


@pytest.mark.parametrize(
    ("model", "result", "said"),
    [("riedinger2018", "R_m", "components 1, 2, sym"), ("fan2026_cascade", "G_m_hz", "complex")],
)
def test_only_one_real_number_can_be_maximised_or_differentiated(model, result, said):
    name = next(iter(get(model).parameters.defaults()))
    message = f"`{result}`.* must be one real number, but .*{said}"
    with pytest.raises(ValueError, match=message):
        sensitivity(model, result, [name])
    with pytest.raises(ValueError, match=message):
        optimise(model, maximise=result, over={name: (1e6, 1e7)})


def test_what_cannot_be_moved_has_no_derivative():
    found = sensitivity("swapping", "T", ["memory_time", "M"], length_km=50.0)
    assert np.isnan(found["memory_time"])
    assert found["M"] < 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"maximise": "E_a_b", "over": {"g": (0.6, 0.9)}}, "must hold stable points"),
        ({"maximise": "E_a_b", "over": {"g": (0.3, 0.1)}}, "must be \\(low, high\\)"),
        ({"maximise": "E_a_b", "over": {}}, "at least one parameter"),
        ({"maximise": "E_a_b", "over": {"g": (0, 0.1)}, "spread": {"g": 0}}, "must be > 0"),
        (
            {"maximise": "E_a_b", "over": {"g": (0, 0.1)}, "subject_to": {"n_a": (2, 1)}},
            "`subject_to` of n_a must be",
        ),
    ],
)
def test_searches_that_cannot_succeed_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        optimise(MODEL, **arguments)


def test_the_command_line_optimises_any_model(capsys):
    box = ["--over", "delta_1:0:2", "--over", "delta_2:-2:0"]
    assert run(["theory", "optimise", "yu2020", "--maximise", "E_N", *box, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == pytest.approx(0.1369503603, rel=1e-8)
    assert run(["theory", "sensitivity", "yu2020", "E_N"]) == 0
    assert "per Hz" in capsys.readouterr().out
    assert run(["theory", "optimise", "yu2020", "--maximise", "E_N", "--over", "eta:0"]) == 1
    assert "--over must be NAME:LOW:HIGH" in capsys.readouterr().err
