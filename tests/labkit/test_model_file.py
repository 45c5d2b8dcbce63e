"""A theorist's own network in a file: a model like any other, from the command line and Python."""

import json

import numpy as np
import pytest

import labkit
from labkit.cli import run
from labkit.model_file import evaluated, read_model, write_template
from simulation.theory.couplings import single_mode_squeezing, two_mode_squeezing
from simulation.theory.models import point, sweep
from simulation.theory.models.own import own_model
from simulation.theory.network import Mode, Network


@pytest.fixture(params=["py", "yaml"])
def file(request, tmp_path):
    path = tmp_path / f"mine.{request.param}"
    write_template(path)
    return path


def test_the_template_squeezes_as_the_textbook_says(file):
    """V(p) = ½/(1 + x'), x' = 2ξ/κ, of a degenerate oscillator in vacuum."""
    model = labkit.read_model(file)
    xi = np.array([0.0, 0.1, 0.3, 0.49])
    np.testing.assert_allclose(
        model.evaluate(["squeezing_s"], xi=xi)["squeezing_s"], 0.5 / (1 + 2 * xi), rtol=1e-12
    )


def test_at_threshold_there_is_no_steady_state_and_the_growing_mode_is_named(file):
    with pytest.raises(ValueError, match=r"supermode of s .* growth rate \+0\.1 at frequency 0"):
        point(read_model(file), xi=0.6)


def test_both_templates_are_one_model(tmp_path):
    results = []
    for suffix in ("py", "yaml"):
        path = tmp_path / f"t.{suffix}"
        write_template(path)
        results.append(point(read_model(path), delta=0.9, phi=0.4))
    assert results[0] == pytest.approx(results[1], rel=1e-14)


def test_the_command_line_takes_a_file_as_a_model(file, tmp_path, capsys):
    assert run(["theory", "point", str(file), "--set", "delta=0.9", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["results"]["E_a_b"] == point(read_model(file), delta=0.9)["E_a_b"] > 0
    assert run(["theory", "sweep", str(file), "--x", "eta:0:1:3", "-o", f"{tmp_path}/s.nc"]) == 0
    assert run(["theory", "show", str(file)]) == 0
    assert "efficiency of the link" in " ".join(capsys.readouterr().out.split())


def test_a_figure_of_a_file_is_drawn(file, tmp_path, capsys):
    axes = ["--x", "delta:0.5:1.5:5", "--y", "eta:0:1:3", "--result", "E_a_b"]
    assert run(["theory", "figure", str(file), *axes, "--out", str(tmp_path)]) == 0
    made = tmp_path / "squeezed_drive-E_a_b-delta-eta.png"
    assert capsys.readouterr().out.strip() == str(made)
    assert made.stat().st_size > 1000
    assert run(["theory", "figure", str(file)]) == 1
    assert "give both" in capsys.readouterr().err


def test_a_new_model_runs_at_once_and_nothing_is_overwritten(tmp_path, capsys):
    path = str(tmp_path / "new.py")
    assert run(["new", "model", path]) == 0
    assert run(["theory", "point", path]) == 0
    assert run(["new", "model", path]) == 1
    assert "the file exists" in capsys.readouterr().err


def test_units_ranges_and_sources_are_checked_as_in_any_model(file):
    model = read_model(file)
    assert model.parameters.quantities()["xi"].unit == "omega_b"
    with pytest.raises(ValueError, match=r"`eta` must lie in \[0, 1\], but is 1.5"):
        point(model, eta=1.5)
    with pytest.raises(KeyError, match="nearest: delta"):
        point(model, delt=1.0)


def test_a_two_mode_oscillator_below_threshold_is_exact():
    """ν = ½/(1 + 2g/κ) of two modes of equal energy damping κ in vacuum."""

    def pair(g=0.1, kappa=1.0):
        modes = [Mode("a", damping=kappa), Mode("b", damping=kappa)]
        return Network(modes=modes, couplings=[two_mode_squeezing("a", "b", g)])

    g = np.linspace(0.0, 0.49, 8)
    found = sweep(own_model(pair), x=("g", g))
    np.testing.assert_allclose(found.E_a_b, np.log(1 + 2 * g), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.growth_rate, g - 0.5, atol=1e-12)


def test_the_phase_of_single_mode_squeezing_turns_the_squeezed_quadrature():
    network = Network(modes=[Mode("a", damping=1.0)], couplings=[single_mode_squeezing("a", 0.1j)])
    np.testing.assert_allclose(network.build().drift, np.diag([-0.4, -0.6]))
    turned = Network(modes=[Mode("a", damping=1.0)], couplings=[single_mode_squeezing("a", -0.1j)])
    np.testing.assert_allclose(turned.build().drift, np.diag([-0.6, -0.4]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modes: {a: {damping: gama}}\nparameters: {gamma: 1}", "gama must be a number, one of"),
        ("modes: {a: {damping: 1}}\ncouplings: [{kick: [a, 1]}]", "coupling kick must be one of"),
        ("modes: {a: {damping: 1}}\ncouplings: [{beam_splitter: 3}]", "2 modes and a rate"),
        ("modes: {a: {damping: 1}}\ncouplings: [3]", r"must be one \{kind: \[modes, rate\]\}"),
        ("modes: {a: {damping: 1}}\ncouplings: {beam_splitter: [a]}", "couplings must be a list"),
        ("modes: {a: {damping: 1}}\nlinks: [{source: a}]", "link must have 'target'"),
        ("modes: {a: {damping: 1/g}}\nparameters: {g: 0}", "'1/g' has no value: float division"),
        ("modes: {a: {detuning: 2*i}}", "detuning of mode a must be real"),
        ("modes: {a: {damping: 1}}\nparameters: {pi: 3}", "parameter pi must be a word"),
        ("modes: {a: {damping: 1}}\nparameters: {a-b: 3}", "parameter a-b must be a word"),
        ("modes: {a: {damping: 1}}\nparameters: {g: {unit: Hz}}", "g must have 'default'"),
        ("modes: {a: {damping: 1}}\nparameters: {g: {default: 1, lo: 0}}", "g has no 'lo'"),
        ("modes: {a: {damping: 1}}\nparameters: {g: abc}", "g must be a number, but is 'abc'"),
        ("name: empty", "modes must be a mapping of names"),
        ("modes: {a: {damping: 1}}\nlinks: [{source: a, target: c}]", "no port 'c'; nearest"),
        ("modes: {a: {dampin: 1}}", "mode a has no 'dampin'; it takes detuning, damping"),
        ("mode: {a: {damping: 1}}", "mode must be one of"),
        (
            "modes: {a: {damping: 1}}\ncouplings: [{beam_splitter: [a]}]",
            "beam_splitter must have 2 modes and a rate",
        ),
        ("modes: {a: {damping: -1}}", "`damping of a` must be finite and ≥ 0"),
        ("modes: {a: {damping: __import__('os')}}", "must be a number"),
    ],
)
def test_mistakes_in_a_yaml_file_are_named_with_the_file(tmp_path, text, message):
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [("MODEL = 1", "must set MODEL = own_model"), ("1/0", "fails with ZeroDivisionError")],
)
def test_mistakes_in_a_python_file_are_named_with_the_file(tmp_path, text, message):
    path = tmp_path / "wrong.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as caught:
        read_model(path)
    assert str(path) in str(caught.value)


def test_a_parameter_without_a_default_is_refused():
    def pair(g):
        return Network(modes=[Mode("a", damping=g)])

    with pytest.raises(ValueError, match="`g` of pair must have a default"):
        own_model(pair)


def test_expressions_are_arithmetic_and_nothing_else():
    assert evaluated("2*i*xi**2 - sqrt(pi**2)/2", {"xi": 3.0}) == 18j - np.pi / 2
    for text in (
        "xi.real",
        "(lambda: 1)()",
        "[1]",
        "'a'",
        "True",
        "True and 1",
        "1 if 1 else 2",
        "1 +",
    ):
        with pytest.raises(ValueError, match="must be"):
            evaluated(text, {"xi": 1.0})


def test_a_yaml_file_has_gain_squeezed_and_shared_baths(tmp_path):
    """Against closed forms: n = g/(κ − g); E_N = 2r of two cavities in two-mode squeezed light."""
    path = tmp_path / "open.yaml"
    path.write_text(
        "parameters: {r: 0.4, g: 0.5}\n"
        "modes: {a: {damping: 1}, b: {damping: 1}, c: {damping: 1},\n"
        "        d: {damping: 1, squeezing: r}}\n"
        "gains: [{mode: c, rate: g}]\n"
        "shared_baths: [{first: a, second: b, squeezing: r}]\n"
    )
    results = point(read_model(path))
    assert results["E_a_b"] == pytest.approx(0.8)
    assert results["n_c"] == pytest.approx(1.0)
    assert results["squeezing_d"] == pytest.approx(0.5 * np.exp(-0.8))


def test_the_command_line_finds_borders_and_exceptional_points(tmp_path, capsys):
    """Threshold 2ξ = κ; two cavities meet at g = |κ_a − κ_b|/4."""
    path = tmp_path / "pair.yaml"
    path.write_text(
        "parameters: {g: 0.1, xi: 0}\n"
        "modes: {a: {damping: 1}, b: {damping: 0.2}, s: {damping: 1}}\n"
        "couplings: [{beam_splitter: [a, b, g]}, {single_mode_squeezing: [s, i*xi]}]\n"
    )
    assert run(["theory", "borders", str(path), "g:0.01:1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stability_border"] == []
    assert found["exceptional_points"][0]["value"] == pytest.approx(0.2)
    assert run(["theory", "borders", str(path), "xi:0:1"]) == 0
    assert "xi = 0.5" in capsys.readouterr().out
    assert run(["theory", "borders", str(path), "xi:0"]) == 1
    assert "NAME:LOW:HIGH" in capsys.readouterr().err
