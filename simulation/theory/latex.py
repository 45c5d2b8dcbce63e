"""The equations of a network or a linear model as LaTeX: in symbols, and with a point's numbers."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.couplings import Term
from simulation.theory.formulas import SPANS, Design, Factors, Formula, design, formula
from simulation.theory.linear_model import Entries, LinearModel
from simulation.theory.network import Network
from simulation.theory.quantities import Parameters

Real = NDArray[np.float64]

BATH: Final = "n̄ "
"""Before the name of a bath whose occupation has no formula in the parameters."""
_STAR: Final = r"{}^{\ast}"
_GREEK: Final = re.compile(
    "(alpha|beta|[Gg]amma|[Dd]elta|epsilon|zeta|eta|[Tt]heta|kappa|[Ll]ambda|mu|nu|[Xx]i|rho"
    "|[Ss]igma|tau|[Pp]hi|chi|[Pp]si|[Oo]mega)"
)
_IRRATIONAL: Final = {"": 1.0, r"\sqrt{2}": np.sqrt(2), r"\pi": np.pi}


@dataclass(frozen=True, slots=True)
class Equations:
    """Equations of a model; a notebook shows them set, ``print`` as source.

    Attributes
    ----------
    latex : str
        Symbols, then the numbers of the point.
    """

    latex: str

    def __str__(self) -> str:
        return self.latex

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Equated:
    """What a model declares: its parameters, and what they make of them.

    Attributes
    ----------
    parameters : type of Parameters
    linear : callable
        ``linear(parameters)`` returns the linear model.
    network : callable or None
        ``network(parameters)`` returns the network, of a model that is one.
    """

    parameters: type[Parameters]
    linear: Callable[[Any], LinearModel]
    network: Callable[[Any], Network] | None

    def linear_at(self, at: Mapping[str, Any]) -> LinearModel:
        """Return the linear model of named values."""
        return self.linear(self.parameters(**at))

    def network_at(self, at: Mapping[str, Any]) -> Network | None:
        """Return the network of named values."""
        return None if self.network is None else self.network(self.parameters(**at))


def shown(model: Equated, at: Mapping[str, Any], *, digits: int = 6) -> Equations:
    r"""Return H, A and D in the names of the parameters, and beside them the numbers of a point.

    Formulas are those of `simulation.theory.formulas`. What has none is a number with a star; the
    occupation of a bath that has none (of a temperature) is n̄ of the bath. A function that takes
    no arrays of its parameters has its numbers shown alone.

    Parameters
    ----------
    model : Equated
    at : mapping of str to object
        The point: every parameter.
    digits : int
    """
    there = model.linear_at(at)
    found = _found(model, at, there)
    vector, motion, *matrices = _lines(there, digits)
    lines = [rf"H/\hbar = {found['H']}"] if "H" in found else []
    network = model.network_at(at)
    if network is not None:
        lines.append(hamiltonian(network, digits=digits))
    lines += [vector, motion]
    for name, numeric in zip("AD", matrices, strict=True):
        lines += [f"{name} = {found[name]}"] if name in found else []
        lines.append(numeric)
    values = [
        f"{_symbol(name)} = {_number(float(value), digits)}"
        for name, value in at.items()
        if isinstance(value, int | float) and np.isfinite(value)
    ]
    if values:
        lines.append(r"\text{numbers at } " + r",\ ".join(values))
    if any(_STAR in text for text in found.values()):
        lines.append(r"{}^{\ast}\ \text{depends on parameters in another way: its number here}")
    return Equations(_gathered(lines))


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
    return _gathered(_lines(model, digits))


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


def _lines(model: LinearModel, digits: int) -> list[str]:
    """Vector, equations of motion, A and D with numbers."""
    names = [f"{letter}_{{{_name(label)}}}" for label in model.labels for letter in "xp"]
    return [
        r"\xi = (" + r",\ ".join(names) + r")^T",
        r"\dot\xi = A \xi + n(t), \quad A V + V A^T + D = 0",
        f"A = {_matrix(model.drift, digits)}",
        f"D = {_matrix(model.diffusion, digits)}",
    ]


def _gathered(lines: Sequence[str]) -> str:
    return r" \\ ".join(lines).join((r"\begin{gathered} ", r" \end{gathered}"))


def _found(model: Equated, at: Mapping[str, Any], there: LinearModel) -> dict[str, str]:
    """Return H, A and D in symbols; none where the model takes no arrays of its parameters."""
    for span in SPANS:
        try:
            chosen = _design(model, at, span)
            moved = {**at, **{name: chosen.points[name] for name in chosen.points if name in at}}
            linear, network = model.linear_at(moved), model.network_at(moved)
        except (ValueError, TypeError):  # refuses some of these points, or arrays altogether
            continue
        return _texts(chosen, linear, network, there)
    return {}


def _design(model: Equated, at: Mapping[str, Any], span: tuple[float, float]) -> Design:
    """Vary the parameters and the occupations of all baths (more than where nothing is lost)."""
    first = design(model.parameters, at, span=span)
    baths = model.linear_at({**at, **first.points}).baths
    return design(model.parameters, at, [f"{BATH}{bath.name}" for bath in baths], span=span)


def _texts(
    chosen: Design, linear: LinearModel, network: Network | None, there: LinearModel
) -> dict[str, str]:
    texts = {}
    if network is not None:
        texts["H"] = _symbolic_hamiltonian(network, chosen)
    drift = {place: _spread(values, chosen) for place, values in linear.entries.items()}
    diffusion: dict[tuple[int, int], Real] = {}
    for bath in linear.baths:
        quanta = _spread(bath.occupation, chosen)
        if formula(quanta, chosen) is None:
            quanta = chosen.points[f"{BATH}{bath.name}"]
        for place, gamma in bath.entries.items():
            diffusion[place] = diffusion.get(place, 0.0) + (quanta + 0.5) * gamma
    texts["A"] = _symbolic_matrix(drift, there.drift, chosen)
    texts["D"] = _symbolic_matrix(diffusion, there.diffusion, chosen)
    return texts


def _spread(values: ArrayLike, chosen: Design) -> Real:
    return np.broadcast_to(np.asarray(values, np.float64), chosen.size)


def _symbolic_matrix(entries: Entries, numbers: Real, chosen: Design) -> str:
    cells = [["0"] * len(numbers) for _ in numbers]
    rounding = 1e-14 * max(
        (float(np.max(np.abs(values))) for values in entries.values()), default=0
    )
    for (row, column), values in entries.items():
        found = formula(np.asarray(values), chosen, rounding)
        number = _number(float(numbers[row, column]), 6)
        cells[row][column] = number + _STAR if found is None else _formula(found)
    rows = [" & ".join(row) for row in cells]
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def _symbolic_hamiltonian(network: Network, chosen: Design) -> str:
    sums: dict[tuple[tuple[str, bool], ...], Any] = {}
    for coupling in network.hamiltonian:
        for term in coupling.terms:
            key = _ordered(term)
            sums[key] = sums.get(key, 0.0) + np.broadcast_to(term.coefficient, chosen.size)
    parts = []
    for key, values in sums.items():
        text = _complex_formula(values, chosen)
        operators = " ".join(_operator(*item) for item in key)
        if text != "0":
            parts.append(operators if text == "1" else f"{text}\\, {operators}")
    return " + ".join(parts).replace("+ -", "- ") or "0"


def _complex_formula(values: Any, chosen: Design) -> str:
    real, imaginary = (formula(np.asarray(part), chosen) for part in (values.real, values.imag))
    if real is None or imaginary is None:
        return "c" + _STAR
    texts = [_formula(real)] if real.terms else []
    if imaginary.terms:
        inner = _formula(imaginary)
        texts.append(f"i \\left({inner}\\right)" if len(imaginary.terms) > 1 else f"{inner}\\, i")
    text = " + ".join(texts).replace("+ -", "- ") or "0"
    return rf"\left({text}\right)" if len(real.terms) + len(imaginary.terms) > 1 else text


def _formula(found: Formula) -> str:
    """Return a sum of products."""
    text = " + ".join(_product(*term) for term in found.terms) or "0"
    return text.replace("+ -", "- ")


def _product(coefficient: float, factors: Factors) -> str:
    above, below, roots = [], [], []
    for name, function in factors:
        symbol = _symbol(name)
        if function == "p":
            above.append(symbol)
        elif function == "p²":
            above.append(f"{symbol}^2")
        elif function == "1/p":
            below.append(symbol)
        elif function == "√p":
            roots.append(symbol)
        elif function == "1/√p":
            below.append(rf"\sqrt{{{symbol}}}")
        elif function == "√(1-p)":
            above.append(rf"\sqrt{{1 - {symbol}}}")
        else:
            kind, twice = (function[:-1], "2 ") if function[-1] == "2" else (function, "")
            above.append(rf"\{kind}({twice}{symbol})")
    if roots:
        above.append(rf"\sqrt{{{' '.join(roots)}}}")
    sign = "-" if coefficient < 0 else ""
    number, irrational = _exact(abs(coefficient))
    if isinstance(number, Fraction):
        top = [str(number.numerator)] * (number.numerator != 1 or not (above or irrational))
        bottom = [str(number.denominator)] * (number.denominator != 1)
    else:
        top, bottom = [_number(number, 6)], []
    top += [irrational] * bool(irrational) + above
    whole = r" ".join(top) or "1"
    bottom += below
    return f"{sign}{whole}" if not bottom else rf"{sign}\frac{{{whole}}}{{{' '.join(bottom)}}}"


def _exact(value: float) -> tuple[Fraction | float, str]:
    """Return a positive number as a small fraction times 1, √2 or π, else itself."""
    for name, unit in _IRRATIONAL.items():
        near = Fraction(value / unit).limit_denominator(32)
        if near.numerator <= 64 and abs(float(near) * unit - value) <= 1e-8 * value:
            return near, name
    return value, ""


def _symbol(name: str) -> str:
    """Return a parameter's name as a symbol: kappa_a is κ with the index a."""
    if name.startswith(BATH):
        bath = name.removeprefix(BATH).replace("_", " ").replace("→", r"\to ")
        return rf"\bar n_{{\mathrm{{{bath}}}}}"
    first, *rest = name.split("_")
    if _GREEK.fullmatch(first):
        letter = rf"\{first}"
    else:
        letter = first if len(first) == 1 else rf"\mathrm{{{first}}}"
    parts = ["Hz" if part == "hz" else part for part in rest if part]
    index = r",\,".join(part if len(part) == 1 else rf"\mathrm{{{part}}}" for part in parts)
    return f"{letter}_{{{index}}}" if index else letter


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
