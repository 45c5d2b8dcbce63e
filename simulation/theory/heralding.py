"""States of some modes conditioned on threshold detectors that watch the others.

A threshold detector of a mode stays silent with the operator (1−d)|0⟩⟨0| and clicks with the rest.
Silence of the modes B leaves a Gaussian state of the others, A:

    P(B silent) = Π(1−d) / √det(V_B + 1/2),    V_A → V_A − C (V_B + 1/2)⁻¹ Cᵀ.

A click is everything minus silence, so that a heralded state is no Gaussian state; its second
moments are weighted differences of Gaussian ones.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.gaussian import fraction, loss, reduce

Real = NDArray[np.float64]

_RAREST: Final = 1e-7
"""Smallest probability of two or more clicks that inclusion–exclusion gives to 1e-9."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heralded:
    """What a pattern of clicks leaves.

    Attributes
    ----------
    probability : ndarray, shape (...)
        Of the pattern.
    cov : ndarray, shape (..., 2k, 2k)
        Second moments of the kept modes, symmetrised, given the pattern.
    """

    probability: Real
    cov: Real


def heralded(
    cov: ArrayLike,
    kept: Sequence[int],
    *,
    clicked: Sequence[int] = (),
    silent: Sequence[int] = (),
    efficiency: ArrayLike = 1.0,
    dark: ArrayLike = 0.0,
) -> Heralded:
    """Second moments of the kept modes when some detectors click and some stay silent.

    Parameters
    ----------
    cov : array_like, shape (..., 2n, 2n)
        Gaussian state of zero mean.
    kept, clicked, silent : sequences of int
        Distinct modes; those not named are not looked at.
    efficiency : array_like
        Of every detector.
    dark : array_like
        Probability d of a dark click of every detector.

    Returns
    -------
    Heralded
        One click is as exact as `cov` however improbable. Several clicks are summed by
        inclusion–exclusion.

    Raises
    ------
    ValueError
        If a mode is named twice, the pattern is impossible, or several clicks are less probable
        than 1e-7, where the sum has no digits left (see `simulation.theory.threshold`).
    """
    measured = [*clicked, *silent]
    if len({*kept, *measured}) != len(kept) + len(measured):
        message = f"`kept`, `clicked` and `silent` must be distinct modes, but are {kept, measured}"
        raise ValueError(message)
    seen = loss(cov, efficiency, measured) if measured else np.asarray(cov, np.float64)
    seen = reduce(seen, [*kept, *measured])
    bright = 1 - fraction("dark", dark)
    first = len(kept)
    quiet = list(range(first + len(clicked), first + len(measured)))
    loud = list(range(first, first + len(clicked)))
    base = _silence(seen, first, quiet, bright)
    probability = np.zeros(np.shape(base[0]))
    change = np.zeros(np.shape(base[1]))
    for sign, chosen in _subsets(loud):
        log_ratio, correction = _more_silence(seen, first, quiet, chosen, bright)
        # P(S silent)/P(base) − 1 with the alternating sum of 1 left out, which is 0
        probability = probability + sign * np.expm1(log_ratio)
        change = change - sign * (np.exp(log_ratio)[..., None, None] * correction)
    if not loud:
        return Heralded(probability=np.exp(base[0]), cov=base[1])
    _refuse_rare(np.exp(base[0]) * probability, len(loud))
    moments = base[1] + change / probability[..., None, None]
    return Heralded(probability=np.asarray(np.exp(base[0]) * probability), cov=moments)


def _subsets(modes: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Nonempty subsets with the sign of inclusion–exclusion."""
    for size in range(1, len(modes) + 1):
        for chosen in combinations(modes, size):
            yield (-1) ** size, list(chosen)


def _silence(v: Real, first: int, quiet: Sequence[int], bright: Real) -> tuple[Real, Real]:
    """Ln P and second moments of the first modes, given silence of `quiet`."""
    kept = reduce(v, range(first))
    if not quiet:
        return np.zeros(np.broadcast_shapes(v.shape[:-2], bright.shape)), kept
    return (
        _log_vacuum(reduce(v, quiet)) + len(quiet) * np.log(bright),
        kept - _correction(v, first, quiet),
    )


def _more_silence(
    v: Real, first: int, quiet: Sequence[int], chosen: Sequence[int], bright: Real
) -> tuple[Real, Real]:
    """Ln P(quiet and chosen silent)/P(quiet silent), and what it takes off the second moments."""
    both = reduce(v, [*range(first), *quiet, *chosen])
    start = first + len(quiet)
    if quiet:
        rest = [*range(first), *range(start, start + len(chosen))]
        block = list(range(first, start))
        reduced = reduce(both, rest) - _cross(both, rest, block)
    else:
        reduced = both
    modes = list(range(first, first + len(chosen)))
    ratio = _log_vacuum(reduce(reduced, modes)) + len(chosen) * np.log(bright)
    return np.asarray(ratio), _correction(reduced, first, modes)


def _correction(v: Real, first: int, block: Sequence[int]) -> Real:
    return _cross(v, range(first), block)


def _cross(v: Real, rest: Sequence[int], block: Sequence[int]) -> Real:
    """C (V_B + 1/2)⁻¹ Cᵀ between the modes `rest` and the block B."""
    rows = np.array([2 * mode + k for mode in rest for k in (0, 1)], np.intp)
    columns = np.array([2 * mode + k for mode in block for k in (0, 1)], np.intp)
    c = v[..., rows[:, None], columns]
    b = v[..., columns[:, None], columns] + 0.5 * np.eye(len(columns))
    return np.asarray(c @ np.linalg.solve(b, np.swapaxes(c, -1, -2)))


def _log_vacuum(v: Real) -> Real:
    """Ln ⟨0|ρ|0⟩ = −½ ln det(1 + (V − ½)), accurate for the dimmest light."""
    excess = np.linalg.eigvalsh(v - 0.5 * np.eye(v.shape[-1]))
    return np.asarray(-0.5 * np.sum(np.log1p(excess), axis=-1))


def _refuse_rare(probability: Real, clicks: int) -> None:
    smallest = np.min(probability)
    if not smallest > 0:
        message = f"the pattern of clicks must be possible, but its probability is {smallest:g}"
        raise ValueError(message)
    if clicks > 1 and smallest < _RAREST:
        message = (
            f"{clicks} clicks must have a probability above {_RAREST:g} for their state to be "
            f"summed, but it is {smallest:g}; see `threshold.click_tensor` for the probability"
        )
        raise ValueError(message)
