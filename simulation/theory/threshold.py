"""Threshold detectors on Gaussian light: click probabilities and heralded states, at any rate.

Detectors are asked one after the other. Silence of a mode leaves a Gaussian state of the others; a
click is what silence leaves, kept as a difference of its own (`simulation.theory.silent_sets`), so
that probabilities of 1e-20 and the moments they herald hold as many digits as the state itself.

Light here is what pulsed heralding makes of thermal and coherent inputs: modes of two signs, so
that a phase rotation of all modes, of opposite direction for the two, changes nothing but the
means. With v_k = a_k for modes of one sign and a_k† for the other, all is in the normally ordered
covariance K = ⟨:v v†:⟩ − ⟨v⟩⟨v⟩† and the means d = ⟨v⟩. Silence of mode k::

    has probability  (1 − dark) exp(−|d_k|²/(1 + K_kk))/(1 + K_kk)
    and leaves       K → K − K_·k K_k·/(1 + K_kk),   d → d − K_·k d_k/(1 + K_kk).

Any other Gaussian state (`simulation.theory.heralding`) has both a and a† of each mode in v; both
are then silent together, with the square root of that probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.silent_sets import (
    CLICK,
    FREE,
    SILENT,
    SilenceFunction,
    asked,
    constant,
    inverse_determinants,
)

__all__ = ["CLICK", "FREE", "SILENT", "Conditioned", "click_tensor", "condition"]

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
_Step = tuple[SilenceFunction, SilenceFunction, SilenceFunction, SilenceFunction | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditioned:
    """Unmeasured modes for every set of silent detectors, weighted by its probability.

    Attributes
    ----------
    weight : SilenceFunction of (...)
        Probability.
    kernel : SilenceFunction of (k, k, ...)
        K of the other modes given that silence.
    mean : SilenceFunction of (k, ...), or None
        Their means; None if all are 0.
    paired : bool
        Whether each mode has both components, a and a†, one after the other: any Gaussian state,
        squeezed single modes included.
    """

    weight: SilenceFunction
    kernel: SilenceFunction
    mean: SilenceFunction | None
    paired: bool = False

    @property
    def probability(self) -> Real:
        """Probability that all detectors asked click, shape (...); rounding below 0 is 0."""
        return np.maximum(self.weight.all_click, 0.0)

    def keep(self, *modes: int) -> "Conditioned":
        """Leave only these of the modes, in this order; the others are not looked at."""
        index = np.array(modes, np.intp)
        if self.paired:
            index = np.stack([2 * index, 2 * index + 1], axis=-1).ravel()
        return self._with(
            self.weight,
            self.kernel[index[:, None], index],
            None if self.mean is None else self.mean[index],
        )

    def silence(self, dark: ArrayLike = 0.0) -> "Conditioned":
        """Condition on silence of the first mode left."""
        return self._split(dark)[1]

    def ask(self, dark: ArrayLike = 0.0) -> "Conditioned":
        """Ask the detector of the first mode left."""
        free, silent, click = self._split(dark)
        mean = None
        if free.mean is not None and silent.mean is not None and click.mean is not None:
            mean = asked(free.mean, silent.mean, click.mean)
        return self._with(
            asked(free.weight, silent.weight, click.weight),
            asked(free.kernel, silent.kernel, click.kernel),
            mean,
        )

    def _split(self, dark: ArrayLike) -> tuple["Conditioned", "Conditioned", "Conditioned"]:
        """First mode not asked, silent, and their differences (the weight's with dark clicks)."""
        silent, lit, kernel, mean = self._first_silent() if self.paired else self._first_alone()
        d = np.asarray(dark, np.float64)
        silent, click = self.weight * silent, self.weight * lit
        if np.any(d):
            silent, click = silent.times(1 - d), click.times(1 - d) + self.weight.times(d)
        size = 2 if self.paired else 1
        free_kernel = self.kernel[size:, size:]
        free_mean = silent_mean = None
        if self.mean is not None and mean is not None:
            free_mean = self.mean[size:]
            silent_mean = free_mean - mean
        return (
            self._with(self.weight, free_kernel, free_mean),
            self._with(silent, free_kernel - kernel, silent_mean),
            self._with(click, kernel, mean),
        )

    def _with(
        self, weight: SilenceFunction, kernel: SilenceFunction, mean: SilenceFunction | None
    ) -> "Conditioned":
        return Conditioned(weight=weight, kernel=kernel, mean=mean, paired=self.paired)

    def _first_alone(self) -> _Step:
        """Silence of one component: its factor, 1 − it, and what it takes off K and d."""
        kappa, vacuum, change, taken = _eliminate(self.kernel)
        lit = kappa * vacuum
        if self.mean is None:
            return vacuum, lit, change, None
        amplitude = self.mean[0]
        exponent = -((amplitude * amplitude.conj).real * vacuum)
        attenuated = vacuum * exponent.expm1
        return vacuum + attenuated, lit - attenuated, change, taken * amplitude[None]

    def _first_silent(self) -> _Step:
        """Silence of a mode with both its components, a and a†: the factors' square roots."""
        kappa, vacuum, change, taken = _eliminate(self.kernel)
        second = _eliminate(self.kernel[1:, 1:] - change)
        exponent = kappa.log1p + second[0].log1p
        change = change[1:, 1:] + second[2]
        mean = None
        if self.mean is not None:
            first = self.mean[0]
            shift = taken * first[None]
            other = self.mean[1] - shift[0]
            exponent = exponent + (first * first.conj).real * vacuum
            exponent = exponent + (other * other.conj).real * second[1]
            mean = shift[1:] + second[3] * other[None]
        lit = -exponent.times(-0.5).expm1
        return (-lit).plus(1.0), lit, change, mean


def _eliminate(
    kernel: SilenceFunction,
) -> tuple[SilenceFunction, SilenceFunction, SilenceFunction, SilenceFunction]:
    """κ of the first component, 1/(1 + κ), K_·k K_k·/(1 + κ) and K_·k/(1 + κ) of the others."""
    kappa = kernel[0, 0].real
    vacuum = kappa.plus(1.0).reciprocal
    column = kernel[1:, 0]
    taken = column * vacuum[None]
    return kappa, vacuum, taken[:, None] * column.conj[None, :], taken


def condition(
    kernel: ArrayLike,
    mean: ArrayLike | None = None,
    *,
    kept: Sequence[int] = (),
    clicked: Sequence[int] = (),
    silent: Sequence[int] = (),
    dark: ArrayLike | None = None,
) -> Conditioned:
    """Ask the detectors of `clicked` after those of `silent` stayed silent; keep `kept`.

    Parameters
    ----------
    kernel : array_like of complex, shape (..., n, n)
        K, Hermitian: ⟨a_j†a_i⟩ among modes of the first sign, ⟨a_i†a_j⟩ among the second, and
        ⟨a_i a_j⟩ between them, fluctuations only.
    mean : array_like of complex, shape (..., n), optional
        ⟨v⟩: mean amplitudes, conjugated for modes of the second sign.
    kept, clicked, silent : sequences of int
        Distinct modes; those not named are not looked at.
    dark : array_like, shape (..., n), optional
        Probability of a click without light.

    Returns
    -------
    Conditioned
        Axes of the detectors in the order of `clicked`, batch axes last.

    Raises
    ------
    ValueError
        If shapes do not go together or a mode is named twice.
    """
    order = [*silent, *clicked, *kept]
    k, d, darks = _with_batch_last(kernel, mean, dark)
    if len(set(order)) < len(order) or not all(0 <= mode < len(k) for mode in order):
        message = (
            f"`kept`, `clicked` and `silent` must be distinct modes from 0 to {len(k) - 1}, but "
            f"are {list(kept)}, {list(clicked)}, {list(silent)}"
        )
        raise ValueError(message)
    index = np.array(order, np.intp)
    displaced = d is not None and bool(np.any(d[index]))
    state = Conditioned(
        weight=constant(np.ones(k.shape[2:])),
        kernel=constant(k[index[:, None], index]),
        mean=constant(d[index]) if d is not None and displaced else None,
    )
    for mode in silent:
        state = state.silence(0.0 if darks is None else darks[mode])
    for mode in clicked:
        state = state.ask(0.0 if darks is None else darks[mode])
    return state


def click_tensor(kernel: ArrayLike, displacement: ArrayLike, dark: ArrayLike) -> Real:
    """Probabilities of every outcome of n threshold detectors, marginal ones included.

        P(S silent) = Π_{k∈S} (1 − d_k) · exp(−⟨v⟩_S† G_S⁻¹ ⟨v⟩_S) / det G_S,    G = 1 + K.

    Parameters
    ----------
    kernel : array_like of complex, shape (..., n, n)
        K as for `condition`.
    displacement : array_like of complex, shape (..., n)
        ⟨v⟩: mean amplitudes, conjugated for modes of the second sign.
    dark : array_like, shape (..., n)
        Probability d_k of a click without light.

    Returns
    -------
    ndarray, shape (3, ..., 3, ...)
        n axes of length 3 (`FREE`, `SILENT`, `CLICK`), then the batch axes.

    Notes
    -----
    Relative error some 1e-15 unless the physics itself is a small difference, as for the
    probability that one detector misses what a lossless other one saw (where it is exactly 0,
    rounding below 0 is raised to 0).
    """
    if np.any(displacement) or np.any(dark):
        modes = range(np.shape(kernel)[-1])
        weight = condition(kernel, displacement, clicked=modes, dark=dark).weight
    else:
        weight = inverse_determinants(_with_batch_last(kernel, displacement, dark)[0])
    return np.maximum(weight.outcomes, 0.0)


def _with_batch_last(
    kernel: ArrayLike, mean: ArrayLike | None, dark: ArrayLike | None
) -> tuple[Complex, Complex | None, Real | None]:
    k = np.asarray(kernel, np.complex128)
    n = k.shape[-1]
    d = None if mean is None else np.asarray(mean, np.complex128)
    p = None if dark is None else np.asarray(dark, np.float64)
    given = [array.shape for array in (d, p) if array is not None]
    if k.shape[-2] != n or any(shape[-1:] != (n,) for shape in given):
        message = (
            "`kernel`, means and `dark` must have shapes (..., n, n), (..., n), (..., n), "
            f"but have {', '.join(map(str, [k.shape, *given]))}"
        )
        raise ValueError(message)
    batch = np.broadcast_shapes(k.shape[:-2], *(shape[:-1] for shape in given))

    def last(array: NDArray[np.generic], axes: int) -> NDArray[np.generic]:
        spread = np.broadcast_to(array, (*batch, *array.shape[-axes:]))
        own = len(batch)
        return spread.transpose(*range(own, own + axes), *range(own))

    return (
        np.asarray(last(k, 2), np.complex128),
        None if d is None else np.asarray(last(d, 1), np.complex128),
        None if p is None else np.asarray(last(p, 1), np.float64),
    )
