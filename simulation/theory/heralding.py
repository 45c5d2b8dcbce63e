"""States of some modes conditioned on threshold detectors that watch the others.

A threshold detector of a mode stays silent with the operator (1−d)|0⟩⟨0| and clicks with the rest.
Silence of the modes B leaves a Gaussian state of the others, A:

    P(B silent) = Π(1−d) e^{−½ x_Bᵀ (V_B + 1/2)⁻¹ x_B} / √det(V_B + 1/2),
    V_A → V_A − C (V_B + 1/2)⁻¹ Cᵀ,    x_A → x_A − C (V_B + 1/2)⁻¹ x_B.

A click is everything minus silence, so that a heralded state is no Gaussian state; its moments are
weighted differences of Gaussian ones, which `simulation.theory.threshold` takes without
cancellation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.gaussian import (
    anomalous_moments,
    fraction,
    from_moments,
    loss,
    number_moments,
    reduce,
)
from simulation.theory.silent_sets import constant
from simulation.theory.threshold import Conditioned

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heralded:
    """What a pattern of clicks leaves.

    Attributes
    ----------
    probability : ndarray, shape (...)
        Of the pattern.
    cov : ndarray, shape (..., 2k, 2k)
        Covariance matrix of the kept modes given the pattern.
    mean : ndarray, shape (..., 2k)
        Mean quadratures of the kept modes given the pattern.
    """

    probability: Real
    cov: Real
    mean: Real


def heralded(
    cov: ArrayLike,
    kept: Sequence[int],
    *,
    clicked: Sequence[int] = (),
    silent: Sequence[int] = (),
    efficiency: ArrayLike = 1.0,
    dark: ArrayLike = 0.0,
    mean: ArrayLike | None = None,
) -> Heralded:
    """First and second moments of the kept modes when some detectors click and some stay silent.

    Parameters
    ----------
    cov : array_like, shape (..., 2n, 2n)
        Any Gaussian state.
    kept, clicked, silent : sequences of int
        Distinct modes; those not named are not looked at.
    efficiency : array_like
        Of every detector.
    dark : array_like
        Probability d of a dark click of every detector.
    mean : array_like, shape (..., 2n), optional
        Mean quadratures; 0 if None.

    Returns
    -------
    Heralded
        However improbable the clicks, as exact as the quanta V − 1/2 of `cov` are.

    Raises
    ------
    ValueError
        If a mode is named twice, or the pattern is impossible.
    """
    measured = [*silent, *clicked]
    if len({*kept, *measured}) != len(kept) + len(measured):
        message = f"`kept`, `clicked` and `silent` must be distinct modes, but are {kept, measured}"
        raise ValueError(message)
    order = [*measured, *kept]
    seen = loss(cov, efficiency, measured) if measured else np.asarray(cov, np.float64)
    amplitudes = None if mean is None else _amplitudes(mean, efficiency, order, len(measured))
    d = fraction("dark", dark)
    state = _state(reduce(seen, order), amplitudes, np.shape(d))
    for _ in silent:
        state = state.silence(d)
    for _ in clicked:
        state = state.ask(d)
    return _moments(state)


def _state(cov: Real, mean: Complex | None, shape: tuple[int, ...]) -> Conditioned:
    """State with both components a, a† of each mode, batch axes last."""
    number, anomalous = number_moments(cov), anomalous_moments(cov)
    n = number.shape[-1]
    batch = np.broadcast_shapes(cov.shape[:-2], shape, () if mean is None else mean.shape[:-1])
    kernel = np.empty((2 * n, 2 * n, *batch), np.complex128)
    kernel[0::2, 0::2] = _last(number.swapaxes(-1, -2), batch)
    kernel[1::2, 1::2] = _last(number, batch)
    kernel[0::2, 1::2] = _last(anomalous, batch)
    kernel[1::2, 0::2] = _last(anomalous.conj(), batch)
    both = None
    if mean is not None:
        both = np.empty((2 * n, *batch), np.complex128)
        both[0::2] = np.moveaxis(np.broadcast_to(mean, (*batch, n)), -1, 0)
        both[1::2] = both[0::2].conj()
    return Conditioned(
        weight=constant(np.ones(batch)),
        kernel=constant(kernel),
        mean=None if both is None else constant(both),
        paired=True,
    )


def _last(matrix: Complex, batch: tuple[int, ...]) -> Complex:
    spread = np.broadcast_to(matrix, (*batch, *matrix.shape[-2:]))
    return np.moveaxis(spread, (-2, -1), (0, 1))


def _amplitudes(
    mean: ArrayLike, efficiency: ArrayLike, order: Sequence[int], measured: int
) -> Complex:
    """Return ⟨a⟩ of the modes in order, those measured after their loss."""
    x = np.asarray(mean, np.float64)
    amplitudes = (x[..., 0::2] + 1j * x[..., 1::2])[..., list(order)] / np.sqrt(2)
    share = np.sqrt(fraction("efficiency", efficiency))[..., None]
    return np.asarray(amplitudes * np.where(np.arange(len(order)) < measured, share, 1.0))


def _moments(state: Conditioned) -> Heralded:
    probability = state.probability
    if not np.all(probability > 0):
        message = (
            "the pattern of clicks must be possible, but its probability is "
            f"{np.min(probability):g}"
        )
        raise ValueError(message)

    second, first = state.kernel, None
    if state.mean is not None:
        second = second + state.mean[:, None] * state.mean.conj[None, :]
        first = (state.weight[None] * state.mean).all_click / probability
    moments = (state.weight[None, None] * second).all_click / probability
    if first is not None:
        moments = moments - first[:, None] * first.conj()[None, :]
    moments = np.moveaxis(moments, (0, 1), (-2, -1))
    k = moments.shape[-1] // 2
    x = np.zeros((*moments.shape[:-2], 2 * k))
    if first is not None:
        amplitude = np.moveaxis(first[0::2], 0, -1) * np.sqrt(2)
        x[..., 0::2], x[..., 1::2] = amplitude.real, amplitude.imag
    return Heralded(
        probability=np.asarray(probability),
        cov=from_moments(moments[..., 1::2, 1::2], moments[..., 0::2, 1::2]),
        mean=x,
    )
