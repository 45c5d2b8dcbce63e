"""Linear quantum Langevin equations dξ/dt = A ξ + noise: drift A, diffusion D, and their legality.

Entries of A and D are kept one by one, each with its own batch shape: what does not depend on a
swept parameter stays a number, and the pattern of zeros is known to the solver.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.baths import unit_phase
from simulation.theory.couplings import Rates
from simulation.theory.declarations import Bath
from simulation.theory.measures import symplectic_form

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
Entries = Mapping[tuple[int, int], Real]

NOISE_TOLERANCE = 1e-12
"""Allowed negative eigenvalue of D + iK/2, relative to the largest entry of D: rounding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BathNoise:
    """Noise of one bath: D_bath = (n̄ + 1/2) Γ; the squeezing of a squeezed bath is in Γ.

    Attributes
    ----------
    name : str
        Port, or "source → target" for the loss of a link.
    occupation : ndarray
        n̄, mean quanta of the bath.
    entries : mapping of (int, int) to ndarray
        Γ, symmetric, independent of temperature.
    completion : mapping of (int, int) to ndarray
        What Brownian damping lacks to be legal: γ/(4 (2n̄ + 1)) of position noise, else empty.
    """

    name: str
    occupation: Real
    entries: Entries
    completion: Entries

    @classmethod
    def passive(cls, name: str, bath: Bath, weights: Mapping[int, Complex]) -> "BathNoise":
        """Bath that enters mode k as weights[k] · w(t) of one field w."""
        entries: dict[tuple[int, int], Real] = {}
        squeezed = bool(bath.squeezing.any())
        stretch = np.cosh(2 * bath.squeezing) if squeezed else np.ones(())
        paired = -np.sinh(2 * bath.squeezing) * unit_phase(bath.angle)
        for k, left in weights.items():
            for j, right in weights.items():
                pairs = [paired * left * right] if squeezed else []
                _put_ladder(entries, k, j, [stretch * left * np.conj(right)], pairs)
        return cls(
            name=name,
            occupation=bath.occupation,
            entries=_nonzero(entries),
            completion={},
        )

    @classmethod
    def brownian(
        cls, name: str, occupation: ArrayLike, mode: int, damping: ArrayLike
    ) -> "BathNoise":
        """Force noise ⟨ξξ⟩ = γ (2n̄ + 1) on the momentum of one mode."""
        n = np.asarray(occupation, np.float64)
        gamma = np.asarray(damping, np.float64)
        x, p = 2 * mode, 2 * mode + 1
        return cls(
            name=name,
            occupation=n,
            entries=_nonzero({(p, p): 2 * gamma}),
            completion=_nonzero({(x, x): gamma / (4 * (2 * n + 1))}),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearModel:
    """Drift and noise of a network, for all points of a batch.

    Attributes
    ----------
    labels : tuple of str
        Modes; quadratures are (x1, p1, x2, p2, …) in this order.
    entries : mapping of (int, int) to ndarray
        Nonzero entries of A, each with the batch shape it needs.
    baths : tuple of BathNoise
    """

    labels: tuple[str, ...]
    entries: Entries
    baths: tuple[BathNoise, ...]

    @classmethod
    def from_ladder(
        cls, labels: Sequence[str], u: Rates, v: Rates, baths: Sequence[BathNoise]
    ) -> "LinearModel":
        """From do_k/dt = Σ_j u_kj o_j + v_kj o_j† + noise."""
        numbers = {name: place for place, name in enumerate(labels)}
        entries: dict[tuple[int, int], Real] = {}
        for k, j in {*u, *v}:
            _put_ladder(entries, numbers[k], numbers[j], u.get((k, j), []), v.get((k, j), []))
        model = cls(labels=tuple(labels), entries=_nonzero(entries), baths=tuple(baths))
        _ = model.shape
        return model

    @property
    def size(self) -> int:
        """Number of quadratures, 2n."""
        return 2 * len(self.labels)

    @property
    def drift_shape(self) -> tuple[int, ...]:
        """Batch shape of A and of the baths' Γ; the occupations may span more."""
        arrays = [*self.entries.values()]
        arrays += [array for bath in self.baths for array in bath.entries.values()]
        return _broadcast(arrays)

    @property
    def shape(self) -> tuple[int, ...]:
        """Batch shape of the model, ``()`` for a single point."""
        return _broadcast([np.empty(self.drift_shape), *(bath.occupation for bath in self.baths)])

    @property
    def drift(self) -> Real:
        """A, shape (..., 2n, 2n)."""
        return self.dense(self.entries, self.shape)

    @property
    def diffusion(self) -> Real:
        """D = Σ (n̄ + 1/2) Γ over the baths, shape (..., 2n, 2n)."""
        return self.dense(self.diffusion_entries, self.shape)

    @property
    def diffusion_entries(self) -> dict[tuple[int, int], Real]:
        """Nonzero entries of D, each with the batch shape it needs."""
        total: dict[tuple[int, int], Real] = {}
        for bath in self.baths:
            for pair, gamma in bath.entries.items():
                total[pair] = np.asarray(total.get(pair, 0.0) + (bath.occupation + 0.5) * gamma)
        return total

    def dense(self, entries: Entries, shape: tuple[int, ...]) -> Real:
        """Entries as full matrices, shape (..., 2n, 2n)."""
        matrix = np.zeros((*shape, self.size, self.size))
        for (row, column), value in entries.items():
            matrix[..., row, column] = value
        return matrix

    def numbers(self, *modes: str) -> tuple[int, ...]:
        """Place of each named mode."""
        return tuple(self.labels.index(mode) for mode in modes)


def noise_margin(drift: ArrayLike, diffusion: ArrayLike) -> Real:
    """Smallest eigenvalue of D + iK/2, K = −(AΩ + ΩAᵀ), shape (...); legal noise has it ≥ 0.

    It is the condition under which the commutators survive (V + iΩ/2 ≥ 0 stays true in time).
    Negative values are in the unit of the rates. Brownian damping alone misses it, by less than
    γ/4: see `BathNoise.completion`.
    """
    a, d = np.asarray(drift, np.float64), np.asarray(diffusion, np.float64)
    omega = symplectic_form(a.shape[-1] // 2)
    k = -(a @ omega + omega @ np.swapaxes(a, -1, -2))
    return np.asarray(np.linalg.eigvalsh(d + 0.5j * k)[..., 0])


def completed_noise_margin(model: LinearModel) -> Real:
    """`noise_margin` with the position noise that Brownian damping lacks filled in."""
    diffusion = model.diffusion
    for bath in model.baths:
        diffusion = diffusion + model.dense(bath.completion, model.shape)
    return noise_margin(model.drift, diffusion)


def refuse_illegal_noise(model: LinearModel) -> None:
    """Raise ValueError if D + iK/2 has an eigenvalue below −`NOISE_TOLERANCE`·max|D|."""
    margin = completed_noise_margin(model)
    scale = np.max(np.abs(model.diffusion), axis=(-2, -1), initial=0.0)
    if np.any(margin < -NOISE_TOLERANCE * scale):
        message = (
            f"the noise must keep the commutators (D + iK/2 ≥ 0), but its smallest eigenvalue is "
            f"{np.min(margin):.6g}; replace bare drift by links or couplings"
        )
        raise ValueError(message)


def _put_ladder(
    entries: dict[tuple[int, int], Real], k: int, j: int, u: Sequence[Complex], v: Sequence[Complex]
) -> None:
    """Write the 2×2 block of o_k ← Σu o_j + Σv o_j† (see `gaussian.symplectic_matrix`)."""
    plus, minus = [*u, *v], [*u, *(-addend for addend in v)]
    entries[2 * k, 2 * j] = _sum([addend.real for addend in plus])
    entries[2 * k, 2 * j + 1] = _sum([-addend.imag for addend in minus])
    entries[2 * k + 1, 2 * j] = _sum([addend.imag for addend in plus])
    entries[2 * k + 1, 2 * j + 1] = _sum([addend.real for addend in minus])


def _sum(addends: Sequence[Real]) -> Real:
    """Sum without addends that are zero all over, whose batch shape does not matter."""
    return np.asarray(sum((addend for addend in addends if addend.any()), np.zeros(())))


def _nonzero(entries: Mapping[tuple[int, int], Real]) -> dict[tuple[int, int], Real]:
    arrays = {pair: np.asarray(value) for pair, value in entries.items()}
    return {pair: array for pair, array in arrays.items() if array.any()}


def _broadcast(arrays: Sequence[Real]) -> tuple[int, ...]:
    shapes = [array.shape for array in arrays if array.ndim]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        message = f"array parameters must broadcast, but have shapes {sorted(set(shapes))}"
        raise ValueError(message) from None
