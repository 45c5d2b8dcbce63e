"""Always-valid test of separability: a bet against it that may be looked at after every block.

For given singles each coincidence count is a sum of independent Bernoulli variables of mean gΛ, so
exp(Σ_high C log(1 + G/(nΛ)) + Σ_low C log(1 - mG/(nΛ)) - kG) has an expectation of at most
exp(G (c - m s - k)). That is at most 1 for a separable state if c = m s + k is a tangent of the
concave boundary c*(s). Any tangent is valid; the most powerful one passes through the reverse
information projection of the alternative (Grünwald, de Heide, Koolen, JRSS B 2024).

Where a detector is blind its herald's low cells fall below g² = 1, which no Gaussian state does.
Nobody knows which heralds these are. So there is one process for every set of heralds whose low
cells are taken as 1, and E is the smallest of them: whichever set is the true one, E is below a
process that is valid for it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from analysis.witness.cells import Cells
from analysis.witness.separable import Boundary, largest_separable, lowest_w

Array = NDArray[np.float64]

_ASSUMED = ((False, False), (True, False), (False, True), (True, True))
_NEWTON_STEPS = 9
_LARGEST_BET = 0.9
_SAME_GRID = (1.0, 1.1, 1.25, 1.45, 1.7, 2.1)
_MARGIN = 1.03
_LATTICE = 1.0 / 32.0
_MOST_NODES = 1024
_FEW = range(1, 17)
BOUNDS = tuple(round(0.3 + 0.025 * step, 3) for step in range(29))
"""Values x of R at which separability (R >= x) is tested, for the upper limit of R."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternatives:
    """Entangled states that the test bets on, with weights that sum to 1.

    Attributes
    ----------
    s, c, weights : tuple of float
        Mean g² of the low and of the high cells.
    """

    s: tuple[float, ...]
    c: tuple[float, ...]
    weights: tuple[float, ...]


def alternatives(declared: tuple[float, float] | None = None) -> Alternatives:
    """Return the grid of 60 alternatives with equal weights.

    Parameters
    ----------
    declared : tuple of two float, optional
        (s, c) expected before the run, e.g. from the g² of each device: it gets half the weight.

    Raises
    ------
    ValueError
        If the declared pair is no entangled state (c > c*(s), s >= 1).
    """
    pairs = [*_entangled()]
    weights = [1.0 / len(pairs)] * len(pairs)
    if declared is not None:
        s, c = declared
        if not (math.isfinite(c) and s >= 1.0 and c > largest_separable(s)):
            message = (
                f"`declared` must be an entangled state (s, c) with s >= 1 and c above "
                f"{float(largest_separable(s)):.4g}, but is ({s}, {c})"
            )
            raise ValueError(message)
        pairs.append((float(s), float(c)))
        weights = [weight / 2.0 for weight in weights] + [0.5]
    return Alternatives(
        s=tuple(s for s, _ in pairs), c=tuple(c for _, c in pairs), weights=tuple(weights)
    )


@cache
def _entangled() -> tuple[tuple[float, float], ...]:
    """Return the grid's states."""
    crossed = 6.2 * (14.0 / 6.2) ** (np.arange(12) / 11.0)
    pairs = [(s, float(c)) for s in _SAME_GRID for c in crossed]
    return tuple((s, c) for s, c in pairs if c > _MARGIN * largest_separable(s))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tangent:
    """A bet G along the tangent c = m s + k of the boundary at (s, c).

    Attributes
    ----------
    s, c, slope, bet : ndarray
        Of one shape; `slope` is m.
    """

    s: Array
    c: Array
    slope: Array
    bet: Array


def best_tangent(
    cells: Cells, assumed: tuple[bool, bool], s_1: Array, c_1: Array, x: Array
) -> Tangent:
    """Return the bet that grows fastest if the alternative is true.

    The tangent point maximises L_low(s_1 log s - s) + L_high(c_1 log c - c) along the boundary
    R = x with L = n²/Σ(1/Λ): the reverse information projection.

    Parameters
    ----------
    cells : Cells
    assumed : tuple of two bool
        Heralds whose low cells are taken as g² = 1.
    s_1, c_1 : ndarray
        The alternative.
    x : ndarray
        Bound of R for separable states, in (0, 1].
    """
    exposure, low = _exposures(cells)
    free = [one for one, taken in zip(low, assumed, strict=True) if not taken]
    largest = _LARGEST_BET * cells.n * min((one.least for one in free), default=math.inf)
    w = np.broadcast_to(lowest_w(x), np.broadcast_shapes(x.shape, c_1.shape))
    if free:
        share = len(low) / len(free)
        w = _projection(np.array(_ratio(free, cells.n, share, exposure)), share, s_1, c_1, x)
    entangled = np.asarray(c_1 > largest_separable(s_1, x))
    return _tangent(w, x, exposure, np.array(largest), np.where(entangled, c_1, 0.0))


class _Low(NamedTuple):
    """Accidentals of a herald's low cells: Σ(1/Λ), and the smallest Λ."""

    inverse: float
    least: float


def _exposures(cells: Cells) -> tuple[float, tuple[_Low, ...]]:
    """Return n²/Σ(1/Λ) of the high cells, and what is needed of each herald's low cells."""
    low = cells.low_accidentals.tolist()
    high = cells.high_accidentals.ravel().tolist()
    return cells.n**2 / sum(1.0 / one for one in high), tuple(
        _Low(sum(1.0 / one for one in herald), min(herald)) for herald in low
    )


def _ratio(free: Sequence[_Low], n: int, share: float, exposure: float) -> float:
    """Return L_low/L_high, where `free` are the heralds whose low cells are not taken as 1."""
    return (n / share) ** 2 / sum(one.inverse for one in free) * share / exposure


def _tangent(w: Array, x: Array, exposure: float, largest: Array, c_1: Array) -> Tangent:
    """Return the best bet at tangent points w; none where `c_1` is below them.

    `largest` is the largest bet times the slope: no low cell may lose more than it has.
    """
    point = Boundary(w=w, x=x)
    c, slope = point.c, point.slope
    bet = np.minimum(np.maximum(exposure * (c_1 / c - 1.0), 0.0), largest / slope)
    return Tangent(s=point.s, c=c, slope=slope, bet=bet)


def _projection(ratio: Array, share: float, s_1: Array, c_1: Array, x: Array) -> Array:
    """Solve for w by Newton's method from the left of a falling, convex function.

    `ratio` is L_low/L_high and `share` the number of all low cells per free one.
    """
    rest = share - 1.0
    mean = (s_1 + rest) / share
    w = np.sqrt(1.0 + x * (2.0 * mean - 1.0))
    last = np.sqrt(np.maximum(2.0 * x * c_1 + 1.0 - x, 4.0)) - 2.0
    for _ in range(_NEWTON_STEPS):
        point = Boundary(w=w, x=x)
        s, c, slope = share * point.s - rest, point.c, point.slope
        pull, push = s_1 / s, c_1 / c
        value = ratio * (pull - 1.0) + (push - 1.0) * slope
        fall = ratio * pull / s * share * w / x
        fall += push / c * (w + 2.0) / x * slope + (push - 1.0) * 2.0 / w**2
        w = np.clip(w + value / fall, lowest_w(x), np.maximum(last, lowest_w(x)))
    return np.asarray(w)


class _Grid:
    """Alternatives (last axis) at bounds (first axis), once for all blocks.

    The middle axis, one or four, is for the sets of heralds whose low cells are taken as 1.
    """

    def __init__(self, alternatives: Alternatives, bounds: tuple[float, ...]) -> None:
        self.x = np.array(bounds)[:, np.newaxis, np.newaxis]
        self._s_1, self._c_1 = np.array(alternatives.s), np.array(alternatives.c)
        self.c_1 = np.where(self._c_1 > largest_separable(self._s_1, self.x), self._c_1, 0.0)
        self.lowest = lowest_w(self.x)
        self._shape = len(bounds), 1, len(alternatives.s)
        self._nodes: dict[tuple[int, float], Array] = {}

    def projected(self, low: Sequence[_Low], n: int, exposure: float) -> Array:
        """Return the projections of a block, shape (X, 4, K), cubic between nodes of log(ratio).

        Any tangent is a valid bet; between nodes these are the best to a few parts in 10⁸.
        """
        found = []
        for assumed in _ASSUMED:
            free = [one for one, taken in zip(low, assumed, strict=True) if not taken]
            if free:
                share = len(low) / len(free)
                found.append(self._between(math.log(_ratio(free, n, share, exposure)), share))
            else:
                found.append(np.broadcast_to(self.lowest, self._shape))
        return np.maximum(np.concatenate(found, axis=1), self.lowest)

    def _between(self, log_ratio: float, share: float) -> Array:
        number = math.floor(log_ratio / _LATTICE)
        t = log_ratio / _LATTICE - number
        w = (-t * (t - 1.0) * (t - 2.0) / 6.0) * self._node(number - 1, share)
        w += ((t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0) * self._node(number, share)
        w -= ((t + 1.0) * t * (t - 2.0) / 2.0) * self._node(number + 1, share)
        w += ((t + 1.0) * t * (t - 1.0) / 6.0) * self._node(number + 2, share)
        return w

    def _node(self, number: int, share: float) -> Array:
        if (number, share) not in self._nodes:
            if len(self._nodes) >= _MOST_NODES:
                self._nodes.clear()
            ratio = np.exp(np.array(number * _LATTICE))
            self._nodes[number, share] = _projection(ratio, share, self._s_1, self._c_1, self.x)
        return self._nodes[number, share]


_grid = lru_cache(maxsize=8)(_Grid)


def _growth(cells: Cells, alternatives: Alternatives, bounds: tuple[float, ...]) -> Array:
    """Return what one block adds to the logarithm of every process, shape (X, 4, K)."""
    n, grid = cells.n, _grid(alternatives, bounds)
    exposure, low = _exposures(cells)
    w = grid.projected(low, n, exposure)
    least = [
        min((one.least for one, taken in zip(low, assumed, strict=True) if not taken),
            default=math.inf)
        for assumed in _ASSUMED
    ]  # fmt: skip
    largest = _LARGEST_BET * n * np.array(least)[:, np.newaxis]
    tangent = _tangent(w, grid.x, exposure, largest, grid.c_1)
    bet, per_low = tangent.bet, tangent.slope * tangent.bet / n
    grown = _Grown((tangent.slope * tangent.s - tangent.c) * bet)
    for count, accidental in zip(cells.high.flat, cells.high_accidentals.flat, strict=True):
        grown.add(slice(None), count, bet, n * accidental)
    for herald, (counts, expected) in enumerate(zip(cells.low, cells.low_accidentals, strict=True)):
        for number, assumed in enumerate(_ASSUMED):
            if assumed[herald]:
                grown.total[:, number] -= counts.size * per_low[:, number]
                continue
            for count, accidental in zip(counts, expected, strict=True):
                grown.add(number, count, per_low[:, number], -accidental)
    return grown.logarithm()


class _Grown:
    """A sum of count · log(1 + bet/exposure); few counts share one logarithm, that of a product."""

    def __init__(self, total: Array) -> None:
        self.total = total
        self._product: Array | None = None

    def add(self, sets: int | slice, count: float, bet: Array, exposure: float) -> None:
        """Add what a cell's count gives to the processes of some sets of heralds."""
        if not count:
            return
        factor = 1.0 + bet / exposure
        if count in _FEW:
            if self._product is None:
                self._product = np.ones_like(self.total)
            for _ in range(int(count)):
                self._product[:, sets] *= factor
        else:
            self.total[:, sets] += count * np.log(factor)

    def logarithm(self) -> Array:
        """Return the sum."""
        return self.total if self._product is None else self.total + np.log(self._product)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnytimeTest:
    """State of the always-valid test; `add` returns the next one.

    Attributes
    ----------
    bounds : tuple of float
        Values x, rising, at which R >= x is tested.
    alternatives : Alternatives
    logs : ndarray, shape (bounds, 4, alternatives)
        Logarithm of each process: by set of heralds whose low cells are taken as 1.
    largest : ndarray, shape (bounds,)
        Largest log E so far.
    blocks, skipped : int
        Blocks added, and those left out because a cell expected no accidentals.
    """

    bounds: tuple[float, ...]
    alternatives: Alternatives
    logs: Array
    largest: Array
    blocks: int
    skipped: int

    def add(self, cells: Cells) -> "AnytimeTest":
        """Return the test after one more block.

        A block in which a cell has Λ = 0 is skipped: its singles decide, so no bias arises.
        """
        if not cells.complete:
            return replace(self, skipped=self.skipped + 1)
        logs = self.logs + _growth(cells, self.alternatives, self.bounds)
        after = replace(self, logs=logs, blocks=self.blocks + 1)
        return replace(after, largest=np.maximum(self.largest, after.log_e))

    @property
    def log_e(self) -> Array:
        """Logarithm of E now, shape (bounds,)."""
        weighted = self.logs + np.log(self.alternatives.weights)
        top = weighted.max(axis=-1)
        mixed = top + np.log(np.exp(weighted - top[..., np.newaxis]).sum(axis=-1))
        return np.asarray(mixed.min(axis=1))

    def log_e_at(self, bound: float) -> float:
        """Return log E now against R >= bound."""
        return self._at(self.log_e, bound)

    def log_evidence(self, bound: float) -> float:
        """Return the largest log E so far that holds against R >= x for every x >= bound.

        So a bound that became known only from the data may be used.
        """
        above = self.largest[np.array(self.bounds) >= bound]
        return float(min(self._at(self.largest, bound), *above.tolist()))

    def confidence(self, bound: float = 1.0) -> float:
        """Return the always-valid confidence max(0, 1 - 1/E) that R < bound."""
        return -math.expm1(-max(self.log_evidence(bound), 0.0))

    def upper_limit(self, alpha: float = 0.05) -> float:
        """Return U: R < U with confidence 1 - alpha at every time; infinite if U exceeds 1.

        It is the largest x at which the largest E so far is below 1/alpha, linear in log E between
        `bounds`, and at least the first of them.
        """
        if not 0.0 < alpha < 1.0:
            message = f"`alpha` must lie between 0 and 1, but is {alpha}"
            raise ValueError(message)
        wanted = -math.log(alpha)
        below = np.flatnonzero(self.largest < wanted)
        if below.size == 0:
            return self.bounds[0]
        i = int(below[-1])
        if i == len(self.bounds) - 1:
            return math.inf
        share = (wanted - self.largest[i]) / (self.largest[i + 1] - self.largest[i])
        return float(self.bounds[i] + share * (self.bounds[i + 1] - self.bounds[i]))

    def _at(self, values: Array, bound: float) -> float:
        if not self.bounds[0] <= bound <= self.bounds[-1]:
            message = (
                f"`bound` must lie between {self.bounds[0]:g} and {self.bounds[-1]:g}, "
                f"the values tested, but is {bound:g}"
            )
            raise ValueError(message)
        return float(np.interp(bound, self.bounds, values))

    def to_dict(self) -> dict[str, object]:
        """Return plain types; `from_dict` restores the state exactly."""
        return {
            "bounds": list(self.bounds),
            "alternatives": {
                "s": list(self.alternatives.s),
                "c": list(self.alternatives.c),
                "weights": list(self.alternatives.weights),
            },
            "logs": self.logs.tolist(),
            "largest": self.largest.tolist(),
            "blocks": self.blocks,
            "skipped": self.skipped,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, object]) -> "AnytimeTest":
        """Read what `to_dict` returned."""
        missing = [name for name in cls.__slots__ if name not in plain]
        if missing:
            message = f"the state of a test must hold `{missing[0]}`, but does not"
            raise ValueError(message)
        pairs = cast("Mapping[str, list[float]]", plain["alternatives"])
        return cls(
            bounds=tuple(cast("list[float]", plain["bounds"])),
            alternatives=Alternatives(**{name: tuple(values) for name, values in pairs.items()}),
            logs=np.array(plain["logs"], float),
            largest=np.array(plain["largest"], float),
            blocks=cast("int", plain["blocks"]),
            skipped=cast("int", plain["skipped"]),
        )


def anytime_test(
    *bounds: float, declared: tuple[float, float] | None = None, limits: bool = True
) -> AnytimeTest:
    """Start an always-valid test.

    Parameters
    ----------
    *bounds : float
        Bounds of interest in (0, 1], tested exactly beside x = 1.
    declared : tuple of two float, optional
        Expected (s, c), see `alternatives`.
    limits : bool
        Also test the values `BOUNDS`, which the upper limit needs.

    Raises
    ------
    ValueError
        If a bound is outside (0, 1] or the declared pair is no entangled state.
    """
    wrong = [bound for bound in bounds if not 0.0 < bound <= 1.0]
    if wrong:
        message = f"`bounds` must lie above 0 and not above 1, but one is {wrong[0]}"
        raise ValueError(message)
    tested = tuple(sorted({*bounds, 1.0, *(BOUNDS if limits else ())}))
    states = alternatives(declared)
    shape = len(tested), len(_ASSUMED), len(states.s)
    return AnytimeTest(
        bounds=tested,
        alternatives=states,
        logs=np.zeros(shape),
        largest=np.zeros(len(tested)),
        blocks=0,
        skipped=0,
    )
