"""Couplings of bosonic modes as polynomials of their ladder operators.

A Hamiltonian H/ħ = Σ c Π o + h.c. is a list of terms. Its mean-field equations and their
linearisation are derivatives, the same for every coupling: with ⟨o_k⟩ = α_k,

    dα_k/dt = −i ∂H/∂α_k*,
    dδo_k/dt = Σ_j u_kj δo_j + v_kj δo_j†,
    u_kj = −i ∂²H/∂α_k*∂α_j,    v_kj = −i ∂²H/∂α_k*∂α_j*.

Operators are written by the name of their mode, creation operators with a dagger: ``"a1†"``.
Terms must be normally ordered. Coefficients may be arrays; they broadcast over a batch.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Complex = NDArray[np.complex128]
Amplitudes = dict[str, Complex]
Rates = dict[tuple[str, str], list[Complex]]

DAGGER: Final = "†"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term:
    """One product c · o₁ o₂ … of a Hamiltonian, without its Hermitian conjugate.

    Attributes
    ----------
    coefficient : ndarray of complex
        c, in the unit of all rates of the network.
    operators : tuple of (str, bool)
        Mode names; True for a creation operator.
    """

    coefficient: Complex
    operators: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Coupling:
    """A Hermitian polynomial: all its terms, conjugates included."""

    terms: tuple[Term, ...]

    @property
    def modes(self) -> set[str]:
        """Names of the modes it touches."""
        return {mode for term in self.terms for mode, _ in term.operators}

    @property
    def is_linear(self) -> bool:
        """Whether the equations of motion it makes are linear (H of second order)."""
        return all(len(term.operators) <= 2 for term in self.terms)


def product(coefficient: ArrayLike, *operators: str) -> Coupling:
    """Coupling H/ħ = c o₁ o₂ … + h.c., normally ordered: ``product(g, "a†", "m")``."""
    c = np.asarray(coefficient, np.complex128)
    if not np.all(np.isfinite(c)):
        message = f"the coefficient of {' '.join(operators)} must be finite, but is {c}"
        raise ValueError(message)
    written = tuple((name.removesuffix(DAGGER), name.endswith(DAGGER)) for name in operators)
    if sorted(written, key=lambda operator: not operator[1]) != list(written):
        message = f"operators must be normally ordered (daggers first), but are {operators}"
        raise ValueError(message)
    return Coupling(
        terms=(
            Term(coefficient=c, operators=written),
            Term(
                coefficient=c.conj(),
                operators=tuple((mode, not dagger) for mode, dagger in reversed(written)),
            ),
        )
    )


def total(*couplings: Coupling) -> Coupling:
    """Sum of couplings."""
    return Coupling(terms=tuple(term for coupling in couplings for term in coupling.terms))


def detuning(mode: str, delta: ArrayLike) -> Coupling:
    """H/ħ = Δ o†o."""
    return product(0.5 * np.asarray(delta, np.float64), mode + DAGGER, mode)


def beam_splitter(first: str, second: str, g: ArrayLike) -> Coupling:
    """H/ħ = g a†b + g* a b†: exchange of quanta."""
    return product(g, first + DAGGER, second)


def two_mode_squeezing(first: str, second: str, g: ArrayLike) -> Coupling:
    """H/ħ = g a†b† + g* a b: creation of pairs."""
    return product(g, first + DAGGER, second + DAGGER)


def single_mode_squeezing(mode: str, g: ArrayLike) -> Coupling:
    """H/ħ = (g a†² + g* a²)/2: a degenerate parametric oscillator, da/dt = … − i g a†.

    g = iξ amplifies x and squeezes p: V(x) = ½/(1 − 2ξ/κ), V(p) = ½/(1 + 2ξ/κ) of an oscillator of
    energy damping κ in vacuum, below its threshold 2ξ = κ.
    """
    return product(0.5 * np.asarray(g, np.complex128), mode + DAGGER, mode + DAGGER)


def radiation_pressure(field: str, mechanics: str, G: ArrayLike) -> Coupling:
    """H/ħ = (G a† + G* a)(b + b†), the linearised pressure of a driven field, nothing rotated away.

    Parameters
    ----------
    field, mechanics : str
        Modes a and b.
    G : array_like of complex
        Single-quantum coupling to b + b† times ⟨a⟩, with its sign: −g₀⟨a⟩ for
        H = −g₀ a†a (b + b†), g₀⟨a⟩/√2 for H = g₀ a†a q.
    """
    return total(beam_splitter(field, mechanics, G), two_mode_squeezing(field, mechanics, G))


def dispersive(field: str, mechanics: str, g_0: ArrayLike) -> Coupling:
    """H/ħ = g₀ a†a (b + b†): the frequency of a follows the position of b (nonlinear)."""
    return product(g_0, field + DAGGER, mechanics + DAGGER, field)


def triple_resonance(upper: str, lower: str, mechanics: str, g: ArrayLike) -> Coupling:
    """H/ħ = g a†c m + g* m†c†a: scattering between two fields (nonlinear).

    Seed 000 Eq. (1), with a = a1 (`upper`), c = a2 (`lower`).
    """
    return product(g, upper + DAGGER, lower, mechanics)


def kerr(mode: str, strength: ArrayLike) -> Coupling:
    """H/ħ = K a†a†a a (nonlinear)."""
    return product(0.5 * np.asarray(strength, np.float64), mode + DAGGER, mode + DAGGER, mode, mode)


def force(couplings: Iterable[Coupling], mean: Mapping[str, Complex]) -> Amplitudes:
    """−i ∂H/∂α_k* at the means, by mode: what the couplings add to dα_k/dt."""
    rates: Amplitudes = defaultdict(lambda: np.zeros((), np.complex128))
    for term in _terms(couplings):
        for place, (mode, dagger) in enumerate(term.operators):
            if dagger:
                rates[mode] = rates[mode] - 1j * term.coefficient * _others(term, (place,), mean)
    return rates


def linearise(couplings: Iterable[Coupling], mean: Mapping[str, Complex]) -> tuple[Rates, Rates]:
    """Return u_kj and v_kj of dδo_k/dt = Σ_j u_kj δo_j + v_kj δo_j†, by pairs (k, j) of modes.

    Each is a list of addends, which keep their own batch shapes. Modes without an entry in `mean`
    count as at rest in vacuum, α = 0.
    """
    u: Rates = defaultdict(list)
    v: Rates = defaultdict(list)
    for term in _terms(couplings):
        for place, (mode, dagger) in enumerate(term.operators):
            if not dagger:
                continue
            for other, (partner, raised) in enumerate(term.operators):
                if other != place:
                    rates = v if raised else u
                    slope = term.coefficient * _others(term, (place, other), mean)
                    rates[mode, partner].append(-1j * slope)
    return u, v


def _terms(couplings: Iterable[Coupling]) -> Iterable[Term]:
    return (term for coupling in couplings for term in coupling.terms)


def _others(term: Term, places: tuple[int, ...], mean: Mapping[str, Complex]) -> Complex:
    """Product of the means of all operators but those at `places`."""
    values = [
        np.conj(mean.get(mode, 0.0)) if dagger else np.asarray(mean.get(mode, 0.0))
        for place, (mode, dagger) in enumerate(term.operators)
        if place not in places
    ]
    return np.asarray(reduce(mul, values, np.ones((), np.complex128)))
