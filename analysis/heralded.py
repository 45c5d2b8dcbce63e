"""What heralded clicks show: g²(0), visibility, fidelity, concurrence and partial transpose.

Every interval is exact for few counts: Clopper–Pearson for shares, the same conditioned on the
total for a ratio of two Poisson counts, Gamma quantiles for g²(0). Bounds of several counts at once
share the allowed error evenly (Bonferroni), which can only widen them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analysis.binomial import Interval, SumPosterior, at_least, share, weighted_sum
from analysis.correlation import G2, LEVEL, g2
from analysis.counts_file import count_of, must_not_exceed

CLASSICAL: Final = 2 / 3
"""Best fidelity of teleporting a qubit without entanglement."""

INPUTS: Final = ("H", "V", "D", "A", "L", "R")
"""Polarisations that are teleported, in the order of their files."""
TELEPORTATION_WEIGHTS: Final = {"H": 1 / 6, "V": 1 / 6, "D": 1 / 3, "L": 1 / 3}
"""Weights of the mean fidelity of Fiaschi et al. 2021 (A and R stand for D and L)."""


def heralded_g2(triples: int, read_1: int, read_2: int, heralds: int, level: float = LEVEL) -> G2:
    """Estimate g²(0|h) = N(p r1 r2) N(p) / (N(p r1) N(p r2)) from three-fold coincidences.

    Heralded trials are the trials of `analysis.correlation.g2`: the likelihood of C triples is
    ∝ g^C e^(−gλ), λ = N(p r1) N(p r2)/N(p), with quantiles of Gamma(C + 1, λ); one-sided from 0
    without triples. λ is taken as known: N(p r) are thousands when triples are few.

    Parameters
    ----------
    triples : int
        Trials with the herald and both read detectors.
    read_1, read_2 : int
        Trials with the herald and read detector 1, 2.
    heralds : int
    level : float

    Raises
    ------
    ValueError
        If a count is impossible, or no read click was heralded.
    """
    names = ("triples", "read_1", "read_2")
    return g2(triples, read_1, read_2, heralds, level, names=names)


def visibility(
    brightest: int,
    darkest: int,
    exposures: tuple[int, int] = (1, 1),
    level: float = LEVEL,
) -> Interval:
    """Estimate V = (r₁ − r₂)/(r₁ + r₂) of two rates r = counts/exposure.

    Both counts are Poisson; given their total, the first is binomial with share
    q = r₁e₁/(r₁e₁ + r₂e₂), whose Clopper–Pearson ends are carried over: exact at any count.

    Parameters
    ----------
    brightest, darkest : int
        Counts at both phases.
    exposures : tuple of int
        Trials (or heralds) behind each.
    level : float

    Raises
    ------
    ValueError
        If a count or an exposure is impossible, or nothing was counted.
    """
    a, b = count_of("brightest", brightest), count_of("darkest", darkest)
    first, second = (count_of("exposures", value) for value in exposures)
    if min(first, second) < 1:
        message = f"`exposures` must be at least 1, but are {exposures}"
        raise ValueError(message)
    q = share(a, a + b, level)

    def of(value: float) -> float:
        ratio = value * second, (1 - value) * first
        return (ratio[0] - ratio[1]) / (ratio[0] + ratio[1])

    return Interval(value=of(q.value), low=of(q.low), high=of(q.high), level=level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Fidelity of one input, or the mean of several.

    Attributes
    ----------
    F : Interval
        Of one input Clopper–Pearson; of a mean the posterior's quantiles.
    p_classical : float
        Of one input the exact probability of so many right clicks at F = 2/3; of a mean the
        posterior probability of a mean below 2/3.
    """

    F: Interval
    p_classical: float

    def __str__(self) -> str:
        return f"F {self.F}, against {CLASSICAL:.4f}: {self.p_classical:.3g}"


def fidelity(right: int, wrong: int, level: float = LEVEL) -> Fidelity:
    """Estimate F = right/(right + wrong) of read clicks given the herald.

    Raises
    ------
    ValueError
        If a count is impossible, or nothing was counted.
    """
    k, other = count_of("right", right), count_of("wrong", wrong)
    return Fidelity(F=share(k, k + other, level), p_classical=at_least(k, k + other, CLASSICAL))


def mean_fidelity(
    counts: Mapping[str, tuple[int, int]],
    weights: Mapping[str, float] = TELEPORTATION_WEIGHTS,
    level: float = LEVEL,
) -> Fidelity:
    """Estimate Σ w F of several inputs from (right, wrong) of each.

    Raises
    ------
    ValueError
        If an input of `weights` is missing or has no click.
    """
    for name in weights:
        if name not in counts or not sum(counts[name]):
            message = (
                f"`counts` must hold clicks of every input {', '.join(weights)}; {name} has none"
            )
            raise ValueError(message)
    right = [count_of(f"right of {name}", counts[name][0]) for name in weights]
    total = [k + count_of("wrong", counts[name][1]) for k, name in zip(right, weights, strict=True)]
    posterior = weighted_sum(right, total, list(weights.values()))
    value = float(np.dot(list(weights.values()), np.divide(right, total)))
    return Fidelity(
        F=_quantiles(posterior, value, level), p_classical=1 - posterior.above(CLASSICAL)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Entanglement:
    """Concurrence and partial transpose from click populations and a visibility.

    Attributes
    ----------
    concurrence : float
        Plug-in 2d − 2√(q00 q11), d = V (q10 + q01)/2.
    concurrence_low : float
        The lowest value the counts allow at `level`, one-sided.
    transposed : float
        Plug-in lowest eigenvalue of the partial transpose on {0, 1}², entangled if negative.
    transposed_high : float
        The highest value the counts allow at `level`, one-sided.
    level : float
    """

    concurrence: float
    concurrence_low: float
    transposed: float
    transposed_high: float
    level: float

    def __str__(self) -> str:
        return (
            f"C ≥ {self.concurrence:.4g} (at least {self.concurrence_low:.4g} at {self.level:g}); "
            f"λ {self.transposed:.4g} (at most {self.transposed_high:.4g})"
        )


def entanglement(
    *,
    one: int,
    both: int,
    heralds: int,
    fringe: tuple[int, int],
    exposures: tuple[int, int] = (1, 1),
    level: float = 0.95,
) -> Entanglement:
    """Bound concurrence and partial transpose of two heralded modes from clicks.

    Chou et al., Nature 438, 828 (2005): C ≥ 2|d| − 2√(p00 p11); λ = (p00 + p11)/2 −
    √((p00 − p11)²/4 + |d|²). Click populations stand for number populations, and d comes from the
    fringe of all quanta, so that d = V (q10 + q01)/2 is no lower bound by itself: the claim is as
    good as the absence of higher numbers.

    Parameters
    ----------
    one, both : int
        Heralded trials with a click of exactly one of the two modes, of both.
    heralds : int
    fringe : tuple of int
        Counts at the brightest and the darkest phase of the combined modes.
    exposures : tuple of int
        Heralds behind each of the two.
    level : float
        Confidence of the one-sided bounds; four counted shares have (1 − level)/4 each.

    Raises
    ------
    ValueError
        If a count is impossible.
    """
    n = count_of("heralds", heralds)
    single, pair = count_of("one", one), count_of("both", both)
    must_not_exceed("one + both", single + pair, "heralds", n)
    joint = 1 - (1 - level) / 2
    seen = visibility(*fringe, exposures, joint)
    singles, pairs = share(single, n, joint), share(pair, n, joint)
    none = share(n - single - pair, n, joint)
    plug = _bounds(seen.value * singles.value / 2, none.value, pairs.value)
    worst = _bounds(max(seen.low, 0.0) * singles.low / 2, none.high, pairs.high)
    return Entanglement(
        concurrence=plug[0],
        concurrence_low=worst[0],
        transposed=plug[1],
        transposed_high=worst[1],
        level=level,
    )


def moment_witnesses(
    numbers: tuple[float, float], joint: float, coherence: float
) -> dict[str, float]:
    """Moment witnesses of two modes: Hillery–Zubairy 1, R, and the smallest PPT minor.

    ⟨n_a n_b⟩ < |⟨a†b⟩|² (R < 1) is the minor of (1, a b†) of the partially transposed moments.

    Parameters
    ----------
    numbers : tuple of float
        ⟨n_a⟩, ⟨n_b⟩.
    joint : float
        ⟨n_a n_b⟩.
    coherence : float
        |⟨a†b⟩|.

    Raises
    ------
    ValueError
        If a moment is negative or the coherence exceeds √(n_a n_b).
    """
    n_a, n_b = numbers
    if min(n_a, n_b, joint, coherence) < 0 or coherence**2 > n_a * n_b * (1 + 1e-12):
        message = (
            "moments must be ≥ 0 and |⟨a†b⟩|² at most n_a n_b, but are "
            f"{numbers}, {joint}, {coherence}"
        )
        raise ValueError(message)
    return {
        "HZ1": joint - coherence**2,
        "R": joint / coherence**2 if coherence else float("inf"),
        "visibility": 2 * coherence / (n_a + n_b) if n_a + n_b else 0.0,
    }


def _bounds(d: float, none: float, both: float) -> tuple[float, float]:
    concurrence = 2 * d - 2 * np.sqrt(none * both)
    mean, half = (none + both) / 2, (none - both) / 2
    return float(concurrence), float(mean - np.sqrt(half**2 + d**2))


def _quantiles(posterior: SumPosterior, value: float, level: float) -> Interval:
    tail = (1 - level) / 2
    low, high = posterior.quantile(tail), posterior.quantile(1 - tail)
    return Interval(value=value, low=low, high=high, level=level)


def inputs_of(counts: Sequence[tuple[str, int, int]]) -> dict[str, tuple[int, int]]:
    """Add up (input, right, wrong) of several runs, D with A and L with R."""
    total: dict[str, tuple[int, int]] = {}
    for name, right, wrong in counts:
        key = {"A": "D", "R": "L"}.get(name, name)
        before = total.get(key, (0, 0))
        total[key] = (before[0] + right, before[1] + wrong)
    return total
