"""Equations as LaTeX say what the numbers say."""

import numpy as np
import pytest

from labkit.cli import run
from simulation.theory.couplings import kerr, radiation_pressure, single_mode_squeezing
from simulation.theory.latex import equations, hamiltonian
from simulation.theory.models.own import own_model
from simulation.theory.network import Mode, Network


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


def test_a_model_shows_its_equations_in_a_notebook_and_as_source():
    @own_model
    def mine(delta: float = 0.5, kappa: float = 1.0) -> Network:
        return Network(modes=[Mode("a", detuning=delta, damping=kappa)])

    shown = mine.show(delta=2.0)
    assert r"H/\hbar = 2\, {a}^\dagger a" in str(shown)
    assert r"A = \begin{pmatrix} -0.5 & 2 \\ -2 & -0.5 \end{pmatrix}" in str(shown)
    assert shown._repr_latex_().startswith("$$\n\\begin{gathered}")
    with pytest.raises(KeyError, match="nearest: delta"):
        mine.show(delt=1.0)
