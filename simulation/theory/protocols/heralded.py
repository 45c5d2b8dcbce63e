"""What clicks leave: moments, number populations and click statistics of the unmeasured modes.

Every quantity q is averaged over the signed sum of Gaussian states that a pattern of clicks leaves,
⟨q⟩ = Δ[P(S) q(S)] / Δ[P(S)], with the exact rules of `simulation.theory.silent_sets`, so that
nothing cancels at any rate. Modes are counted as `kept` by `Conditioned`; all are of one kind.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.theory.silent_sets import SilenceFunction
from simulation.theory.threshold import Conditioned

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Populations:
    """Two modes in the space of no or one quantum each; the rest to 1 are higher numbers.

    Attributes
    ----------
    p00, p10, p01, p11 : ndarray, shape (...)
        Populations ⟨ij|ρ|ij⟩ of exactly i and j quanta.
    d : ndarray of complex, shape (...)
        Coherence ⟨10|ρ|01⟩.
    """

    p00: Real
    p10: Real
    p01: Real
    p11: Real
    d: Complex

    @property
    def concurrence(self) -> Real:
        """Lower bound 2|d| − 2√(p00 p11) of the concurrence; negative: nothing shown.

        Chou et al., Nature 438, 828 (2005); of the unnormalised subspace, so that it bounds the
        whole state's.
        """
        return np.asarray(2 * np.abs(self.d) - 2 * np.sqrt(self.p00 * self.p11))

    @property
    def fidelity(self) -> Real:
        """With the one-quantum Bell state of the best phase, (p10 + p01)/2 + |d|."""
        return np.asarray((self.p10 + self.p01) / 2 + np.abs(self.d))

    @property
    def transposed(self) -> Real:
        """Lowest eigenvalue of the partial transpose on {0, 1}², entangled if negative.

        λ = (p00 + p11)/2 − √((p00 − p11)²/4 + |d|²).
        """
        mean, half = (self.p00 + self.p11) / 2, (self.p00 - self.p11) / 2
        return np.asarray(mean - np.sqrt(half**2 + np.abs(self.d) ** 2))


def occupation(state: Conditioned, mode: int) -> Real:
    """⟨a†a⟩ of a kept mode, shape (...)."""
    return _mean(state, _number(state, mode))


def coherence(state: Conditioned, i: int, j: int) -> Complex:
    """⟨:v_i v_j†:⟩ of two kept modes: ⟨a_i†a_j⟩ of matter, its conjugate of light."""
    moment = state.kernel[i, j]
    if state.mean is not None:
        moment = moment + state.mean[i] * state.mean[j].conj
    return _mean(state, moment)


def amplitude(state: Conditioned, mode: int) -> Complex:
    """⟨v⟩ of a kept mode, shape (...)."""
    if state.mean is None:
        return np.zeros(state.probability.shape, np.complex128)
    return _mean(state, state.mean[mode])


def joint_number(state: Conditioned, i: int, j: int) -> Real:
    """⟨a_i†a_j†a_j a_i⟩ of two kept modes, or of one twice (Wick)."""
    k = state.kernel[i, j]
    both = _number(state, i) * _number(state, j) + (k * k.conj).real
    if state.mean is not None:
        cross = k * (state.mean[j] * state.mean[i].conj)
        both = both + cross.real.times(2.0)
    return _mean(state, both)


def autocorrelation(state: Conditioned, mode: int) -> Real:
    """g²(0) = ⟨a†a†aa⟩/⟨a†a⟩² of a kept mode given the clicks."""
    return np.asarray(joint_number(state, mode, mode) / occupation(state, mode) ** 2)


def populations(state: Conditioned, i: int = 0, j: int = 1) -> Populations:
    """Exact populations of two kept modes of a state without means.

    With G = 1 + K: p00 = P/det G, and with B = 1 − G⁻¹: p10 = p00 B_11, d = p00 B_12,
    p11 = p00 (B_11 B_22 + |B_12|²).

    Raises
    ------
    ValueError
        If the modes are displaced.
    """
    if state.mean is not None:
        message = "modes must have no mean amplitude for their populations; use the moments"
        raise ValueError(message)
    one, two, cross = state.kernel[i, i].real, state.kernel[j, j].real, state.kernel[i, j]
    overlap = (cross * cross.conj).real
    minor = one * two - overlap
    vacuum = (one + two + minor).plus(1.0).reciprocal
    none = state.weight * vacuum
    up, down, mixed = (minor + one) * vacuum, (minor + two) * vacuum, cross * vacuum
    pair = up * down + (mixed * mixed.conj).real
    probability = state.probability
    return Populations(
        p00=none.all_click / probability,
        p10=(none * up).all_click / probability,
        p01=(none * down).all_click / probability,
        p11=(none * pair).all_click / probability,
        d=np.asarray((none * mixed).all_click / probability, np.complex128),
    )


def one_quantum(state: Conditioned, mode: int) -> Real:
    """Probability of the clicks and of exactly one quantum in a kept mode without a mean.

    Δ[P(S) K/(1 + K)²], shape (...).
    """
    number = state.kernel[mode, mode].real
    vacuum = number.plus(1.0).reciprocal
    return np.asarray((state.weight * (number * (vacuum * vacuum))).all_click)


def click_populations(state: Conditioned) -> tuple[Real, Real, Real]:
    """Click probabilities q10, q01, q11 of ideal detectors on the two kept modes."""
    first = state.ask()
    both, only = first.ask(), first.silence()
    other = state.silence().ask()
    probability = state.probability
    return (
        np.asarray(only.probability / probability),
        np.asarray(other.probability / probability),
        np.asarray(both.probability / probability),
    )


def _number(state: Conditioned, mode: int) -> SilenceFunction:
    number = state.kernel[mode, mode].real
    if state.mean is not None:
        number = number + (state.mean[mode] * state.mean[mode].conj).real
    return number


def _mean(state: Conditioned, quantity: SilenceFunction) -> NDArray[Any]:
    probability = state.probability
    if not np.all(probability > 0):
        message = (
            "the pattern of clicks must be possible, but its probability is "
            f"{np.min(probability):g}"
        )
        raise ValueError(message)
    return np.asarray((state.weight * quantity).all_click / probability)
