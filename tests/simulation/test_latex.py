"""Equations as LaTeX say what the numbers say."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labkit.cli import run
from simulation.theory.couplings import kerr, radiation_pressure, single_mode_squeezing
from simulation.theory.formulas import design, formula
from simulation.theory.latex import equations, hamiltonian
from simulation.theory.models import get
from simulation.theory.models.own import own_model
from simulation.theory.network import Link, Mode, Network
from simulation.theory.quantities import FINITE, FRACTION, POSITIVE, Parameters, Quantity, Value


def test_a_hamiltonian_has_every_term_once():
    modes = [Mode("a1", detuning=0.5), Mode("b", detuning=1.0)]
    couplings = [radiation_pressure("a1", "b", 0.2j), single_mode_squeezing("b", 3e-7)]
    assert hamiltonian(Network(modes=modes, couplings=couplings)) == (
        r"H/\hbar = 0.5\, {a_{1}}^\dagger a_{1} + 1\, {b}^\dagger b"
        r" + 0.2 i\, {a_{1}}^\dagger b - 0.2 i\, {b}^\dagger a_{1}"
        r" + 0.2 i\, {a_{1}}^\dagger {b}^\dagger - 0.2 i\, a_{1} b"
        r" + 1.5 \times 10^{-7}\, {b}^\dagger {b}^\dagger + 1.5 \times 10^{-7}\, b b"
    )


def test_a_kerr_term_is_k_times_two_creations_and_two_annihilations():
    text = hamiltonian(Network(modes=[Mode("a")], couplings=[kerr("a", 0.25)]))
    assert text == r"H/\hbar = 0.25\, {a}^\dagger {a}^\dagger a a"


def test_drift_and_diffusion_stand_as_matrices():
    network = Network(modes=[Mode("light", detuning=2.0, damping=1.0, occupation=1.0)])
    text = equations(network.build())
    assert r"A = \begin{pmatrix} -0.5 & 2 \\ -2 & -0.5 \end{pmatrix}" in text
    assert r"D = \begin{pmatrix} 1.5 & 0 \\ 0 & 1.5 \end{pmatrix}" in text
    assert r"x_{\mathrm{light}},\ p_{\mathrm{light}}" in text


def test_batches_are_refused():
    batch = Network(modes=[Mode("a", detuning=np.ones(2), damping=1.0)])
    with pytest.raises(ValueError, match="must be a single point"):
        equations(batch.build())
    with pytest.raises(ValueError, match="must be of single numbers"):
        hamiltonian(batch)


def test_the_command_line_prints_the_equations_of_a_model(capsys):
    assert run(["theory", "equations", "tan2020"]) == 0
    assert r"\begin{pmatrix} -5 & 1 " in capsys.readouterr().out
    assert run(["theory", "equations", "riedinger2018"]) == 1
    assert "riedinger2018 has no linear equations" in capsys.readouterr().err


def test_a_model_shows_its_equations_in_symbols_and_numbers():
    @own_model
    def mine(delta: float = 0.5, kappa: float = 1.0, n_b: float = 0.0) -> Network:
        return Network(modes=[Mode("a", detuning=delta, damping=kappa, occupation=n_b)])

    shown = mine.show(delta=2.0)
    for text in (
        r"H/\hbar = \delta\, {a}^\dagger a \\ H/\hbar = 2\, {a}^\dagger a",
        r"A = \begin{pmatrix} -\frac{\kappa}{2} & \delta \\ -\delta & -\frac{\kappa}{2} \end",
        r"A = \begin{pmatrix} -0.5 & 2 \\ -2 & -0.5 \end{pmatrix}",
        r"D = \begin{pmatrix} \frac{\kappa}{2} + \kappa n_{b} & 0 ",
        r"\text{numbers at } \delta = 2,\ \kappa = 1,\ n_{b} = 0",
    ):
        assert text in str(shown)
    assert shown._repr_latex_().startswith("$$\n\\begin{gathered}")
    with pytest.raises(KeyError, match="nearest: delta"):
        mine.show(delt=1.0)


def test_losses_phases_and_squeezing_have_formulas():
    @own_model
    def chain(
        kappa_s: float = 1.0,
        kappa_a: float = 0.5,
        eta: float = 0.9,
        phi: float = 0.0,
        r: float = 0.0,
    ) -> Network:
        modes = [Mode("s", damping=kappa_s, squeezing=r), Mode("a", damping=kappa_a)]
        return Network(modes=modes, links=[Link("s", "a", efficiency=eta, phase=phi)])

    text = str(chain.show())
    assert r"-\cos(\phi) \sqrt{\kappa_{s} \kappa_{a} \eta}" in text
    assert r"\frac{\kappa_{s} \cosh(2 r)}{2} - \frac{\kappa_{s} \sinh(2 r)}{2}" in text
    assert r"{}^{\ast}" not in text


def test_a_temperature_is_the_occupation_of_its_bath():
    text = str(get("tan2020").show())
    assert r"\gamma_{b,\,\mathrm{Hz}} \bar n_{\mathrm{b}}" in text
    assert r"-\sqrt{\kappa_{1} \kappa_{2} \eta}" in text


def test_what_has_no_formula_keeps_its_number_and_says_so():
    @own_model
    def bent(delta: float = 0.5) -> Network:
        return Network(modes=[Mode("a", detuning=np.tanh(delta), damping=1.0)])

    text = str(bent.show())
    assert r"0.462117{}^{\ast}" in text
    assert "depends on parameters in another way" in text


def test_a_function_of_single_numbers_shows_its_numbers():
    @own_model
    def scalar(delta: float = 0.25) -> Network:
        return Network(modes=[Mode("a", detuning=math.sqrt(delta), damping=1.0)])

    assert r"A = \begin{pmatrix} -0.5 & 0.5 " in str(scalar.show())


def test_a_limit_that_is_no_range_of_a_parameter_still_leaves_symbols():
    @own_model
    def lossy(eta: float = 0.95) -> Network:
        return Network(
            modes=[Mode("s", damping=1.0), Mode("a", damping=1.0)],
            links=[Link("s", "a", efficiency=eta)],
        )

    assert r"-\sqrt{\eta}" in str(lossy.show())


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_a_formula_found_is_the_function_everywhere(weights, seed):
    @dataclass(frozen=True, slots=True, kw_only=True, eq=False)
    class Three(Parameters):
        a: Annotated[Value, Quantity("", POSITIVE, "", "")] = 2.0
        b: Annotated[Value, Quantity("", FRACTION, "", "")] = 1.0
        c: Annotated[Value, Quantity("", FINITE, "", "")] = 0.0

    def function(a, b, c):
        w = weights
        return w[0] * np.sqrt(a * b) * np.cos(c) + w[1] * a + w[2] * (1 - b) * a + w[3]

    chosen = design(Three, Three.defaults(), seed=seed)
    found = formula(function(**chosen.points), chosen)
    assert found is not None
    elsewhere = {"a": 7.0, "b": 0.2, "c": -2.0}
    assert found.at(elsewhere) == pytest.approx(function(**elsewhere), abs=1e-6)
