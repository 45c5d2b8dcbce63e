"""Correlations of two times in the steady state, by the quantum regression theorem.

With dξ/dt = A ξ + noise, τ ≥ 0 and the order of the operators as written,

    ⟨ξ_i(t + τ) ξ_j(t)⟩ = [e^{Aτ} (V + iΩ/2)]_ij,    ⟨ξ_j(t) ξ_i(t + τ)⟩ = [e^{Aτ} (V − iΩ/2)]_ij,

from which the correlations of ladder operators follow, and of Gaussian states all others (Wick).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.evolution import transition
from simulation.theory.gaussian import occupation
from simulation.theory.linear_model import LinearModel
from simulation.theory.measures import symplectic_form
from simulation.theory.steady_state import describe_growth, steady_state

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

_TO_LADDER = np.array([[1, 1j], [1, -1j]]) / np.sqrt(2)
"""(o, o†) of (x, p)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TwoTime:
    """Correlations of a steady state between t and t + τ.

    Attributes
    ----------
    labels : tuple of str
    delays : ndarray, shape (t,)
        τ ≥ 0.
    cov : ndarray, shape (t, 2n, 2n)
        e^{Aτ} V, the symmetrised correlation ½⟨{ξ_i(t + τ), ξ_j(t)}⟩.
    commutator : ndarray, shape (t, 2n, 2n)
        e^{Aτ} Ω, with [ξ_i(t + τ), ξ_j(t)] = i times it: the linear response.
    quanta : dict of str to float
        ⟨o†o⟩ of each mode.
    """

    labels: tuple[str, ...]
    delays: Real
    cov: Real
    commutator: Real
    quanta: dict[str, float]

    def normal(self, later: str, earlier: str) -> Complex:
        """⟨o₂†(t) o₁(t + τ)⟩ of modes 1, 2 = `later`, `earlier`, shape (t,)."""
        return self._ladder(self.cov - 0.5j * self.commutator, later, earlier)[:, 0, 1]

    def anomalous(self, later: str, earlier: str) -> Complex:
        """⟨o₁(t + τ) o₂(t)⟩ of modes 1, 2 = `later`, `earlier`, shape (t,)."""
        return self._ladder(self.cov + 0.5j * self.commutator, later, earlier)[:, 0, 0]

    def g_1(self, mode: str) -> Complex:
        """g⁽¹⁾(τ) = ⟨o†(t) o(t + τ)⟩/⟨o†o⟩, shape (t,); nan of an empty mode."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.normal(mode, mode) / self.quanta[mode])

    def g_2(self, later: str, earlier: str | None = None) -> Real:
        """g⁽²⁾(τ) = ⟨o₂†(t) o₁†(t + τ) o₁(t + τ) o₂(t)⟩/(n₁ n₂), shape (t,).

        1 + (|⟨o₂†(t) o₁(t + τ)⟩|² + |⟨o₁(t + τ) o₂(t)⟩|²)/(n₁ n₂), of fluctuations without mean
        field; of one mode if `earlier` is left out; nan of an empty mode.
        """
        other = later if earlier is None else earlier
        pairs = np.abs(self.normal(later, other)) ** 2 + np.abs(self.anomalous(later, other)) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1 + pairs / (self.quanta[later] * self.quanta[other]))

    def _ladder(self, matrix: Complex, later: str, earlier: str) -> Complex:
        rows, columns = (
            slice(2 * self.labels.index(name), 2 * self.labels.index(name) + 2)
            for name in (later, earlier)
        )
        return np.asarray(_TO_LADDER @ matrix[:, rows, columns] @ _TO_LADDER.T)


def two_time(model: LinearModel, delays: ArrayLike) -> TwoTime:
    """Correlate the steady state of a model with itself at later times.

    Parameters
    ----------
    model : LinearModel
        A single point.
    delays : array_like, shape (t,)
        τ ≥ 0, in the inverse unit of the rates.

    Raises
    ------
    ValueError
        If the model is a batch or has no steady state, or a delay is negative.
    """
    tau = np.atleast_1d(np.asarray(delays, np.float64))
    if tau.ndim != 1 or not np.all((tau >= 0) & np.isfinite(tau)):
        message = f"`delays` must be finite and >= 0, but are {tau}"
        raise ValueError(message)
    if model.shape:
        message = f"`model` must be a single point, but has shape {model.shape}"
        raise ValueError(message)
    state = steady_state(model)
    if not state.stable:
        message = f"the model must be stable to have correlations, but {describe_growth(model)}"
        raise ValueError(message)
    cov, drift = state.cov, model.drift
    still = np.zeros_like(drift)
    moved = np.stack([transition(drift, still, float(step))[0] for step in tau])
    return TwoTime(
        labels=model.labels,
        delays=tau,
        cov=moved @ cov,
        commutator=moved @ symplectic_form(len(model.labels)),
        quanta=dict(zip(model.labels, occupation(cov).tolist(), strict=True)),
    )
