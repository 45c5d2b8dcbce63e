"""What laser light alone tells about detectors and electronics: coherent light has g² = 1.

A fault acts on cells of the same detector, or of crossed ones, in two ways. Per photon: recovery
after a click, or power that jitters alike in both pulses, multiplies g² by some m. Per pump click:
afterpulses and crosstalk add a, in units of the accidentals at the run's read brightness. Coherent
light in a read gate that is ρ times as bright as in the run shows g² = m + a/ρ. So light as dim as
the run's cannot tell detectors without fault from blind ones whose lost clicks afterpulses replace
(m + a = 1), which separate noise from the run's g²; brighter light can.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from analysis.counts_file import WitnessCounts
from analysis.incomplete_gamma import gammaincinv
from analysis.witness.cells import accidentals
from analysis.witness.conditions import SMALLEST_P, THIS_RUN, Condition, condition, poisson_p

FEWEST_ACCIDENTALS = 10
LARGEST_BRIGHT_CHANGE = 0.05
"""Change of g² of bright laser light that is a failure; a smaller one only lowers the bound."""
GLARING = 0.9
"""Clicks per trial from which on coincidences are accidental whatever the detectors do."""
_SMALLEST_P_OF_CELL = 2.5e-4
_ALL_ALIKE = 3.0
"""Standard deviations within which all four cells deviate alike: it is not the detectors."""
_ONE_SIDED = 0.05
SAME, CROSSED = ("r1p1", "r2p2"), ("r2p1", "r1p2")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultLimits:
    """95 % upper limits of what detectors, electronics and jitter do to coincidences.

    Attributes
    ----------
    blindness, cross_blindness : float
        Relative loss of coincidences of the same detector, and of crossed ones, in the cell with
        the larger one: the mean over heralds weighs all alike; 1 if unknown.
    crosstalk : float
        Extra crossed coincidences in units of the accidentals.
    gain : float
        Relative gain of crossed coincidences, in the cell with the larger one.
    jitter : float
        Relative gain of all of them: the covariance of the power of pump and read.
    """

    blindness: float = 0.0
    cross_blindness: float = 0.0
    crosstalk: float = 0.0
    gain: float = 0.0
    jitter: float = 0.0


@dataclass(frozen=True, slots=True)
class _Light:
    """A laser-only run; by how much its read gates are brighter than the run's, at least 1."""

    counts: WitnessCounts
    least: float
    most: float

    def lower(self, pairs: Iterable[str]) -> float:
        found, expected = _sum(self.counts, pairs)
        if found == 0.0 or expected == 0.0:
            return 0.0
        return float(gammaincinv(found, _ONE_SIDED)) / expected

    def upper(self, pairs: Iterable[str]) -> float:
        found, expected = _sum(self.counts, pairs)
        if expected == 0.0:
            return float("inf")
        return float(gammaincinv(found + 1.0, 1.0 - _ONE_SIDED)) / expected


def fault_limits(
    dim: WitnessCounts,
    run: WitnessCounts,
    *,
    bright: WitnessCounts | None = None,
    largest_low: tuple[float, float] = (1.2, 1.2),
) -> FaultLimits:
    """Return the limits that laser-only runs set.

    Parameters
    ----------
    dim : WitnessCounts
        Laser light whose read gate is about as bright as in the run.
    run : WitnessCounts
    bright : WitnessCounts, optional
        Laser light with a bright read gate: m itself.
    largest_low : tuple of two float
        Upper limits of the run's g² of the low cells of the same detector (at θ) and of crossed
        ones (at θ + π): what is added per pump click is not more than all of them.
    """
    lights = [_light(one, run) for one in (dim, bright) if one is not None]
    dimmest, brightest = (choose(lights, key=lambda one: one.least) for choose in (min, max))
    extra = max(dimmest.upper(CROSSED) - 1.0, 0.0) * dimmest.most
    return FaultLimits(
        blindness=max(_loss(dimmest, brightest, pair, largest_low[0]) for pair in SAME),
        cross_blindness=max(_loss(dimmest, brightest, pair, largest_low[1]) for pair in CROSSED),
        crosstalk=extra,
        gain=max(0.0, *(brightest.upper([pair]) - 1.0 for pair in CROSSED)),
        jitter=max(brightest.upper(SAME + CROSSED) - 1.0, 0.0),
    )


def _loss(dim: _Light, bright: _Light, pair: str, largest_low: float) -> float:
    """Return the upper limit of 1 - m, from m + a/ρ of both, 0 <= a <= `largest_low`."""
    least = [0.0, bright.lower([pair]) - largest_low / bright.least]
    if bright.least > dim.most:
        seen = bright.lower([pair]) * bright.least - dim.upper([pair]) * dim.most
        least.append(seen / (bright.least - dim.most))
    return 1.0 - min(max(least), 1.0)


def _light(counts: WitnessCounts, run: WitnessCounts) -> _Light:
    ratios = [
        bright / counts.trials * run.trials / dim
        for bright, dim in zip(counts.read, run.read, strict=True)
        if dim > 0
    ]
    least, most = (max(1.0, choose(ratios, default=1.0)) for choose in (min, max))
    return _Light(counts, least, most)


def _sum(counts: WitnessCounts, pairs: Iterable[str]) -> tuple[float, float]:
    pairs = tuple(pairs)
    return (
        float(sum(counts.coincidences[pair] for pair in pairs)),
        sum(accidentals(counts, pair) for pair in pairs),
    )


def null_laser_only(dim: WitnessCounts, bright: WitnessCounts | None = None) -> Condition:
    """Demand g² = 1 of coherent light in the same gates: for low and high cells, and in each cell.

    One cell may lose what another one gains: so each is also asked alone, at p >= 2.5e-4. Of light
    with a bright read gate, whose many counts show changes that hardly matter, those of more than
    5 % fail; the bound takes account of smaller ones.
    """
    if min(_sum(dim, pairs)[1] for pairs in (SAME, CROSSED)) < FEWEST_ACCIDENTALS:
        return condition(
            "null_laser_only", None, met=None, source=THIS_RUN,
            problem=f"laser-only run expects fewer than {FEWEST_ACCIDENTALS} accidentals",
        )  # fmt: skip
    if max(dim.pump) > GLARING * dim.trials:
        return condition(
            "null_laser_only", None, met=None, source=THIS_RUN,
            problem=f"laser light clicks in {100 * max(dim.pump) / dim.trials:.4g} % of the "
            "trials of the pump gate: too bright to tell",
        )  # fmt: skip
    least = 1.0
    for counts, allowed in ((dim, 0.0), (bright, LARGEST_BRIGHT_CHANGE)):
        if counts is None:
            continue
        for demand, cells in (
            (SMALLEST_P, (SAME, CROSSED)),
            (_SMALLEST_P_OF_CELL, [(pair,) for pair in SAME + CROSSED]),
        ):
            for pairs in cells:
                found, expected = _sum(counts, pairs)
                p = poisson_p(found, expected)
                if p < demand and abs(found - expected) > allowed * expected:
                    return _failed_null(p, ">" if found > expected else "<")
                if len(pairs) > 1 and counts is dim:
                    least = min(least, p)
    return condition("null_laser_only", least, met=True, source=THIS_RUN)


def _failed_null(p: float, side: str) -> Condition:
    return condition(
        "null_laser_only", p, met=False, source=THIS_RUN, problem=f"laser-only g2 {side} 1"
    )


def remembering_detectors(
    dim: WitnessCounts, bright: WitnessCounts | None = None
) -> tuple[str, ...]:
    """Say which detector remembers clicks of which one, by the cells of a failed null test.

    A cell speaks if it fails by itself as `null_laser_only` asks it: too many coincidences in light
    with a dim read gate are false clicks, too few with a bright one (with a dim one, if there is
    no other) are lost ones. If all four cells deviate alike, it is the light that does.
    """
    found: list[str] = []
    for counts, allowed, side in (
        (dim, 0.0, 1), (bright or dim, LARGEST_BRIGHT_CHANGE if bright else 0.0, -1),
    ):  # fmt: skip
        cells = {pair: _sum(counts, [pair]) for pair in SAME + CROSSED}
        if min(expected for _, expected in cells.values()) == 0.0 or _alike(cells.values()):
            continue
        for pair, (seen, expected) in cells.items():
            off = (seen - expected) / expected
            if side * off > allowed and poisson_p(seen, expected) < _SMALLEST_P_OF_CELL:
                found.append(_said_of(pair, counts, seen, expected))
    return tuple(found)


def _alike(cells: Iterable[tuple[float, float]]) -> bool:
    """Tell whether all cells deviate, and by the same factor."""
    ratios = [(n / e, math.sqrt(n + 1.0) / e) for n, e in cells]
    if any(abs(ratio - 1.0) <= _ALL_ALIKE * sigma for ratio, sigma in ratios):
        return False
    mean = sum(r / s**2 for r, s in ratios) / sum(s**-2 for _, s in ratios)
    return all(abs(ratio - mean) <= _ALL_ALIKE * sigma for ratio, sigma in ratios)


def _said_of(pair: str, counts: WitnessCounts, seen: float, expected: float) -> str:
    later, earlier = pair[1], pair[3]
    pump = counts.pump[int(earlier) - 1]
    detail = f"laser light gives {seen / expected:.3g} times the accidental coincidences {pair}"
    if seen < expected:
        lost = 1.0 - seen / expected
        if later == earlier:
            return f"detector {later} is blind to {100 * lost:.2g} % after a click: {detail}"
        return f"detector {later} misses {100 * lost:.2g} % after clicks of {earlier}: {detail}"
    # false clicks are among those of the read gate, and so among the accidentals
    false = (seen - expected) / (pump * (1.0 - pump / counts.trials))
    if later == earlier:
        return f"detector {later} has afterpulses, {false:.2g} per pump click: {detail}"
    return (
        f"crosstalk: detector {later} hears detector {earlier}, {false:.2g} false clicks per pump "
        f"click: {detail}"
    )
