"""The equations of a network or a linear model as LaTeX, with the numbers of one point."""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.couplings import Term
from simulation.theory.linear_model import LinearModel
from simulation.theory.network import Network

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Equations:
    """Equations of a model at one point; a notebook shows them set, ``print`` as source."""

    latex: str

    def __str__(self) -> str:
        return self.latex

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"


def equations(model: LinearModel, *, digits: int = 6) -> str:
    r"""Return ξ, A and D of dξ/dt = A ξ + noise, ⟨nᵢ(t) nⱼ(t′)⟩ = Dᵢⱼ δ(t − t′), as LaTeX.

    Parameters
    ----------
    model : LinearModel
        Of a single point.
    digits : int
        Significant digits.

    Raises
    ------
    ValueError
        If the model is a batch.
    """
    if model.shape:
        message = f"`model` must be a single point, but has shape {model.shape}"
        raise ValueError(message)
    names = [f"{letter}_{{{_name(label)}}}" for label in model.labels for letter in "xp"]
    vector = r"\xi = (" + r",\ ".join(names) + r")^T"
    lines = (
        vector,
        r"\dot\xi = A \xi + n(t), \quad A V + V A^T + D = 0",
        f"A = {_matrix(model.drift, digits)}",
        f"D = {_matrix(model.diffusion, digits)}",
    )
    return r" \\ ".join(lines).join((r"\begin{gathered} ", r" \end{gathered}"))


def hamiltonian(network: Network, *, digits: int = 6) -> str:
    r"""Return H/ħ of a network as LaTeX; terms of coefficient 0 are left out.

    Parameters
    ----------
    network : Network
        Of single numbers.
    digits : int

    Raises
    ------
    ValueError
        If a coefficient is an array.
    """
    sums: dict[tuple[tuple[str, bool], ...], complex] = {}
    for coupling in network.hamiltonian:
        for term in coupling.terms:
            key = _ordered(term)
            sums[key] = sums.get(key, 0.0) + _single(term.coefficient)
    parts = [
        f"{_coefficient(value, digits)}\\, {' '.join(_operator(*item) for item in key)}"
        for key, value in sums.items()
        if value
    ]
    text = " + ".join(parts) or "0"
    return rf"H/\hbar = {text}".replace("+ -", "- ")


def _ordered(term: Term) -> tuple[tuple[str, bool], ...]:
    """Creation operators first, each kind by name, so that equal terms add up."""
    return tuple(sorted(term.operators, key=lambda operator: (not operator[1], operator[0])))


def _single(value: ArrayLike) -> complex:
    if np.ndim(value):
        message = f"`network` must be of single numbers, but has shape {np.shape(value)}"
        raise ValueError(message)
    return complex(np.asarray(value))


def _operator(name: str, dagger: bool) -> str:
    return rf"{{{_name(name)}}}^\dagger" if dagger else _name(name)


def _name(label: str) -> str:
    """a1 → a_{1}; longer names upright."""
    letters, number = re.fullmatch(r"(.*?)_?(\d*)", label, re.DOTALL).groups()  # type: ignore[union-attr]
    shown = letters if len(letters) == 1 else rf"\mathrm{{{letters}}}".replace("_", r"\_")
    return f"{shown}_{{{number}}}" if number else shown


def _coefficient(value: complex, digits: int) -> str:
    if value.imag == 0:
        return _number(value.real, digits)
    if value.real == 0:
        return f"{_number(value.imag, digits)} i"
    sign = "-" if value.imag < 0 else "+"
    return f"({_number(value.real, digits)} {sign} {_number(abs(value.imag), digits)} i)"


def _matrix(matrix: Real, digits: int) -> str:
    rows = [" & ".join(_number(value, digits) for value in row) for row in matrix]
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def _number(value: float, digits: int) -> str:
    mantissa, e, exponent = f"{float(value) + 0.0:.{digits}g}".partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if e else mantissa
