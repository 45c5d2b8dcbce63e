"""Duan and EPR criteria from homodyne data of pulse pairs, vacuum variance 1/2.

    Duan  (Var(x_a − x_b) + Var(p_a + p_b))/2 < 1            Duan et al., PRL 84, 2722 (2000)
    EPR   2 √(Var(x_a|x_b) Var(p_a|p_b)) < 1                 Reid, PRA 40, 913 (1989)

with the best linear estimate, Var(x_a|x_b) = Var x_a − Cov²/Var x_b. For Gaussian data a sample
variance of ν degrees of freedom is σ² χ²_ν/ν; intervals are exact for each variance, and for the
sum of two they take (1 − level)/2 of error from each (Bonferroni).
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from analysis.binomial import Interval

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HomodyneWitness:
    """Duan and EPR of two modes.

    Attributes
    ----------
    duan : Interval
        Entangled below 1.
    epr_a_b, epr_b_a : Interval
        Mode a inferred from b, and b from a; steering below 1.
    pulses : tuple of int
        Pulse pairs measured in x and in p.
    """

    duan: Interval
    epr_a_b: Interval
    epr_b_a: Interval
    pulses: tuple[int, int]

    def __str__(self) -> str:
        return f"Duan {self.duan}   EPR a|b {self.epr_a_b}   b|a {self.epr_b_a}"


def variance(samples: ArrayLike, level: float = 0.68, fitted: int = 1) -> Interval:
    """Return the sample variance with its exact χ² interval for Gaussian data.

    Parameters
    ----------
    samples : array_like, shape (n,)
    level : float
    fitted : int
        Parameters fitted to the data: the mean, and a slope for inferred variances.

    Raises
    ------
    ValueError
        If there are too few samples, or any is not finite.
    """
    x = _samples("samples", samples)
    freedom = len(x) - fitted
    if freedom < 1:
        message = f"`samples` must be at least {fitted + 1}, but are {len(x)}"
        raise ValueError(message)
    centred = x - x.mean()
    total = float(centred @ centred)
    tail = (1 - level) / 2
    low, high = (total / (2 * float(special.gammaincinv(freedom / 2, q))) for q in (1 - tail, tail))
    return Interval(value=total / freedom, low=low, high=high, level=level)


def homodyne_witness(
    x_a: ArrayLike, x_b: ArrayLike, p_a: ArrayLike, p_b: ArrayLike, level: float = 0.68
) -> HomodyneWitness:
    """Estimate Duan and EPR from pulse pairs measured in x and (others) in p.

    The local phases are those of ⟨a b⟩ real and positive: x correlated, p anticorrelated.

    Parameters
    ----------
    x_a, x_b : array_like, shape (n,)
        Quadratures of the same pulses, vacuum variance 1/2.
    p_a, p_b : array_like, shape (m,)
    level : float

    Raises
    ------
    ValueError
        If lengths differ, or there are too few samples.
    """
    xs = _pairs("x", x_a, x_b)
    ps = _pairs("p", p_a, p_b)
    inner = 1 - (1 - level) / 2
    minus, plus = variance(xs[0] - xs[1], inner), variance(ps[0] + ps[1], inner)
    duan = Interval(
        value=(minus.value + plus.value) / 2,
        low=(minus.low + plus.low) / 2,
        high=(minus.high + plus.high) / 2,
        level=level,
    )
    return HomodyneWitness(
        duan=duan,
        epr_a_b=_epr(_inferred(xs[0], xs[1], inner), _inferred(ps[0], ps[1], inner), level),
        epr_b_a=_epr(_inferred(xs[1], xs[0], inner), _inferred(ps[1], ps[0], inner), level),
        pulses=(len(xs[0]), len(ps[0])),
    )


def pulses_for(duan: float, n_sigma: float = 3.0) -> int:
    """Pulses of each quadrature that put a Duan value n_sigma below 1.

    Var(s²) = 2σ⁴/n for both variances of about `duan`, so that σ(Duan) = duan/√n.

    Raises
    ------
    ValueError
        If the value is not between 0 and 1.
    """
    if not 0 < duan < 1:
        message = f"`duan` must lie between 0 and 1 to be shown, but is {duan}"
        raise ValueError(message)
    return ceil((n_sigma * duan / (1 - duan)) ** 2)


def _inferred(target: Real, given: Real, level: float) -> Interval:
    """Variance of the target after the best linear estimate from the given one."""
    centred = given - given.mean()
    spread = float(centred @ centred)
    slope = float(centred @ target) / spread if spread else 0.0
    return variance(target - slope * given, level, fitted=2)


def _epr(x: Interval, p: Interval, level: float) -> Interval:
    return Interval(
        value=2 * float(np.sqrt(x.value * p.value)),
        low=2 * float(np.sqrt(x.low * p.low)),
        high=2 * float(np.sqrt(x.high * p.high)),
        level=level,
    )


def _pairs(name: str, a: ArrayLike, b: ArrayLike) -> tuple[Real, Real]:
    first, second = _samples(f"{name}_a", a), _samples(f"{name}_b", b)
    if len(first) != len(second):
        message = (
            f"`{name}_a` and `{name}_b` must be of the same pulses, but have {len(first)} and "
            f"{len(second)} values"
        )
        raise ValueError(message)
    return first, second


def _samples(name: str, values: ArrayLike) -> Real:
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or not np.all(np.isfinite(x)):
        message = f"`{name}` must be a list of finite numbers, but has shape {x.shape}"
        raise ValueError(message)
    return x
