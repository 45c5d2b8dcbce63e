"""How long until the witness is decided: expected growth of E, and how chance spreads it.

Nothing is rounded to whole counts, so neighbouring settings can be compared. The always-valid claim
is that of `analysis.witness.anytime`; k σ is the posterior confidence that the paper quotes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.counts_file import PAIRS, WitnessCounts
from analysis.roots import root_between
from analysis.witness import AnytimeTest, Cells, anytime_test, symmetrised_witness
from analysis.witness.estimate import expected_confidence
from simulation.theory.dlcz import DLCZParameters, PairClicks, pair_clicks

Real = NDArray[np.float64]

BLOCK = 10_000_000
LARGEST_PLAN = 1e14

SPREAD = (0.1, 0.5, 0.9)
"""Parts of all measurements that are done by the trials given as low, median, high."""

_LOOKS = 150
"""About how often a simulated measurement is looked at until it is done."""

_FEWEST = 30
"""How often at least, in a bright lab with short blocks."""

_LONGEST = 12.0
"""A simulated measurement ends after this many times the trials of the expected counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickRates:
    """Expected clicks per trial.

    Attributes
    ----------
    pump, read : tuple of float
        Of detectors 1, 2.
    coincidences : Mapping[str, float]
        By pair r{i}p{j}: read pulse at detector i, pump pulse at detector j.
    """

    pump: tuple[float, float]
    read: tuple[float, float]
    coincidences: Mapping[str, float]

    @classmethod
    def of_model(cls, parameters: DLCZParameters) -> "ClickRates":
        """Return what the exact model expects; `parameters` are numbers, no arrays."""
        return cls.of_clicks(pair_clicks(parameters))[0]

    @classmethod
    def of_clicks(cls, clicks: PairClicks, pump_scale: float = 1.0) -> "list[ClickRates]":
        """Return the rates of each point of a model's clicks (batch flattened).

        Parameters
        ----------
        clicks : PairClicks
        pump_scale : float
            As in `simulation.theory.dlcz.sources.NoisyModel`.
        """
        singles = clicks.singles.reshape(-1, 4)
        pairs = clicks.coincidences.reshape(-1, 2, 2) / pump_scale
        return [
            cls(
                pump=(float(p1) / pump_scale, float(p2) / pump_scale),
                read=(float(r1), float(r2)),
                coincidences={p: float(both[int(p[1]) - 1, int(p[3]) - 1]) for p in PAIRS},
            )
            for (p1, p2, r1, r2), both in zip(singles, pairs, strict=True)
        ]

    @classmethod
    def of_counts(cls, counts: WitnessCounts) -> "ClickRates":
        """Return what has been measured, as if it were exact."""
        n = counts.trials
        return cls(
            pump=(counts.pump[0] / n, counts.pump[1] / n),
            read=(counts.read[0] / n, counts.read[1] / n),
            coincidences={pair: count / n for pair, count in counts.coincidences.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessPlan:
    """What a confidence will cost.

    Attributes
    ----------
    confidence, bound : float
        Always-valid confidence that R < bound, which the expected counts reach.
    trials : int
    seconds : float
        Measuring time, with `overhead`.
    overhead : float
        Fraction of time for relocking, filters and calibrations (0.15 in the paper).
    R : float
        Expected symmetrised witness.
    """

    confidence: float
    bound: float
    trials: int
    seconds: float
    overhead: float
    R: float

    def to_dict(self) -> dict[str, float]:
        """Return plain numbers."""
        return {
            "confidence": self.confidence, "bound": self.bound, "trials": self.trials,
            "seconds": self.seconds, "overhead": self.overhead, "R": self.R,
        }  # fmt: skip

    def __str__(self) -> str:
        return (
            f"R < {self.bound:g} at {100 * self.confidence:g} % (any time) is expected after "
            f"{self.trials:.3g} trials, {self.seconds / 3600:.1f} h with "
            f"{100 * self.overhead:g} % overhead (R = {self.R:.3f})"
        )


def plan_witness(
    rates: ClickRates,
    *,
    confidence: float,
    bound: float = 1.0,
    period: float = 50e-6,
    overhead: float = 0.15,
) -> WitnessPlan:
    """Find the number of trials whose *expected* counts reach an always-valid confidence.

    Half of all measurements will need more: the counts fluctuate. Blocks at θ and θ + π alternate;
    every block adds the same to each of the test's processes.

    Parameters
    ----------
    rates : ClickRates
        Of a model, or measured so far, at θ.
    confidence : float
        Between 0.5 and 1.
    bound : float
        Between 0.05 and 1.
    period : float
        Seconds per trial.
    overhead : float

    Raises
    ------
    ValueError
        If there are no coincidences, if the expected witness lies above the bound, so that no
        number of trials suffices, or if `confidence` is outside its range.
    """
    _check_confidence(confidence)
    cells = _expected_block(rates)
    ratio = float(symmetrised_witness(cells.s, cells.c))
    trials = _trials_needed(cells, confidence, bound)
    if math.isinf(trials):
        message = (
            f"the expected R of {ratio:.3f} does not lie below {bound:g} clearly enough for "
            f"{100 * confidence:g} % within 1e14 trials; improve the state first"
        )
        raise ValueError(message)
    return WitnessPlan(
        confidence=confidence, bound=bound, trials=round(trials), overhead=overhead,
        seconds=trials * period * (1 + overhead), R=ratio,
    )  # fmt: skip


def claim_trials(rates: ClickRates, *, confidence: float = 0.99, bound: float = 1.0) -> float:
    """Return the trials whose expected counts reach the always-valid claim; inf if none do.

    Parameters
    ----------
    rates : ClickRates
    confidence, bound : float
        As for `plan_witness`.
    """
    _check_confidence(confidence)
    return _trials_needed(_expected_block(rates), confidence, bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Trials until something is reached, over many measurements.

    Attributes
    ----------
    low, median, high : float
        By when 10 %, 50 %, 90 % of all measurements have reached it; inf if they do not.
    """

    low: float
    median: float
    high: float

    def to_dict(self) -> dict[str, float | None]:
        """Return plain numbers; never is None."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}


def claim_spread(
    rates: Sequence[ClickRates],
    *,
    confidence: float = 0.99,
    bound: float = 1.0,
    runs: int = 400,
    seed: int = 0,
) -> Spread:
    """Return when measurements with Poisson coincidences reach the always-valid claim.

    They are simulated: the test is fed pairs of blocks at θ and θ + π and looked at after each, as
    `labkit run` does: every 20 million trials, but 30 to 150 times until it is done.
    Singles are taken as expected.

    Parameters
    ----------
    rates : sequence of ClickRates
        One, or draws of a posterior, whose spread then enters.
    confidence, bound : float
        As for `plan_witness`.
    runs : int
        Measurements in all.
    seed : int
    """
    _check_confidence(confidence)
    rng = np.random.default_rng(seed)
    each = max(1, -(-runs // len(rates)))
    reached = np.concatenate([_passages(one, confidence, bound, each, rng) for one in rates])
    low, median, high = np.quantile(reached, SPREAD, method="inverted_cdf")
    return Spread(low=float(low), median=float(median), high=float(high))


CLIMBS = 12
"""Steps in which the trials to k σ are found from those to the claim, before they are searched."""


def sigma_trials(rates: ClickRates, k: float, *, bound: float = 1.0) -> float:
    """Return the trials whose expected counts give the paper's confidence of k σ; inf if none do.

    It is the posterior probability of R_m < bound, both heralds multiplied, Φ(k) one-sided, at the
    phase θ alone and for a number of trials fixed before; not the verdict's claim.

    Parameters
    ----------
    rates : ClickRates
    k : float
        Above 0, at most 6.
    bound : float
    """
    if not 0 < k <= 6:
        message = f"`k` must lie above 0 and not above 6, but is {k}"
        raise ValueError(message)
    ratio = symmetrised_witness(*_same_and_crossed(rates))
    if not ratio < bound:
        return math.inf

    def short(log_trials: float) -> float:
        found = expected_confidence(math.exp(log_trials), rates.pump, rates.read,
                                    rates.coincidences, bound)  # fmt: skip
        return float(special.ndtri(min(found, 1 - 1e-15))) - k

    # the normal score grows about as the root of the trials
    found = math.log(claim_trials(rates, bound=bound))
    for _ in range(CLIMBS if math.isfinite(found) else 0):
        step = -2 * math.log(max(1 + short(found) / k, 0.05))
        found += step
        if abs(step) < 1e-4:
            return math.exp(found)
    low = high = math.log(20.0 / max(rates.coincidences.values()))
    while short(high) < 0:
        low, high = high, high + math.log(4.0)
        if high > math.log(LARGEST_PLAN):
            return math.inf
    if low == high:
        return math.exp(high)
    return math.exp(root_between(short, low, high, xtol=1e-4, rtol=1e-4))


def sigma_spread(rates: Sequence[ClickRates], k: float, *, bound: float = 1.0) -> Spread:
    """Return when k σ are reached, for numbers of trials fixed before.

    The confidence's normal score grows as √N with a spread of about 1, so that the part q of
    all measurements has k σ after N (1 + z_q/k)² trials, N those of the expected counts.

    Parameters
    ----------
    rates : sequence of ClickRates
        One, or draws of a posterior.
    k : float
        Above 1.3.
    bound : float
    """
    if not k > -special.ndtri(SPREAD[0]):
        message = (
            f"`k` must be above 1.3 for the 10 % of the luckiest to mean something, but is {k}"
        )
        raise ValueError(message)
    luck = special.ndtri((np.arange(200) + 0.5) / 200)
    needed = np.array([sigma_trials(one, k, bound=bound) for one in rates])
    reached = (needed[:, None] * np.maximum(1 + luck / k, 0.0) ** 2).ravel()
    low, median, high = np.quantile(reached, SPREAD, method="inverted_cdf")
    if len(rates) == 1:
        low, median, high = (
            float(needed[0]) * (1 + float(special.ndtri(q)) / k) ** 2 for q in SPREAD
        )
    return Spread(low=float(low), median=float(median), high=float(high))


def _check_confidence(confidence: float) -> None:
    if not 0.5 < confidence < 1:
        message = f"`confidence` must lie between 0.5 and 1, but is {confidence}"
        raise ValueError(message)


def _trials_needed(cells: Cells, confidence: float, bound: float) -> float:
    """Return the trials at which E of the expected counts is 1/(1 − confidence), or inf.

    Every block adds the same to each process.
    """
    one = anytime_test(bound, limits=False).add(cells)
    wanted = -math.log1p(-confidence)
    logs, weights = one.logs, np.log(one.alternatives.weights)

    def short(log_blocks: float) -> float:
        return float(_mixed(logs * math.exp(log_blocks) + weights).min()) - wanted

    enough = ~(_mixed(logs * _TRIED_BLOCKS + weights).min(axis=-1) < wanted)
    if not enough.any():
        return math.inf
    at = int(enough.argmax())
    found = _TRIED[at]
    if at:
        found = root_between(short, _TRIED[at - 1], found, xtol=1e-6, rtol=1e-9)
    return math.exp(found) * BLOCK


def _tried() -> tuple[float, ...]:
    found = [-math.log(BLOCK)]  # one trial
    while (more := found[-1] + math.log(4.0)) <= math.log(LARGEST_PLAN / BLOCK):
        found.append(more)
    return tuple(found)


_TRIED = _tried()
"""Logarithms of numbers of blocks between which trials are looked for, and these numbers."""
_TRIED_BLOCKS = np.array([math.exp(one) for one in _TRIED])[:, None, None, None]


def _mixed(weighted: Real) -> Real:
    """Log Σ exp over alternatives, and the smallest over the sets of heralds, shape (…, bounds)."""
    top = weighted.max(axis=-1)
    mixed = top + np.log(np.exp(weighted - top[..., np.newaxis]).sum(axis=-1))
    return np.asarray(mixed.min(axis=-1))


def _passages(
    rates: ClickRates, confidence: float, bound: float, runs: int, rng: np.random.Generator
) -> Real:
    """Return the trials after which simulated measurements reach the claim, inf where never."""
    cells = _expected_block(rates)
    expected = _trials_needed(cells, confidence, bound)
    if math.isinf(expected):
        return np.full(runs, np.inf)
    step = max(min(2 * BLOCK, expected / _FEWEST), expected / _LOOKS)
    cells = _scaled(cells, step / BLOCK)
    empty, per_count = _linear_growth(cells, bound)
    weights = np.log(anytime_test(bound, limits=False).alternatives.weights)
    wanted = -math.log1p(-confidence)
    mean = np.concatenate([cells.low.ravel(), cells.high.ravel()])
    logs, largest = np.zeros((runs, *empty.shape)), np.full((runs, empty.shape[0]), -np.inf)
    reached, going = np.full(runs, np.inf), np.arange(runs)
    for look in range(1, int(_LONGEST * expected / step) + 1):
        counts = rng.poisson(mean, (len(going), mean.size))
        logs = logs + empty + np.tensordot(counts, per_count, 1)
        largest = np.maximum(largest, _mixed(logs + weights))
        done = largest.min(axis=-1) >= wanted
        reached[going[done]] = look * step
        logs, largest, going = logs[~done], largest[~done], going[~done]
        if not len(going):
            break
    return reached


def _linear_growth(cells: Cells, bound: float) -> tuple[Real, Real]:
    """Return what a block without coincidences adds to log E's processes, and each count of a cell.

    For given accidentals the processes are linear in the counts.
    """
    start: AnytimeTest = anytime_test(bound, limits=False)
    size = cells.low.size
    nothing = np.zeros_like(cells.low)
    empty = start.add(replace(cells, low=nothing, high=nothing)).logs
    added = []
    for cell in range(2 * size):
        one = np.zeros(size)
        one[cell % size] = 1.0
        counts = one.reshape(nothing.shape)
        low, high = (counts, nothing) if cell < size else (nothing, counts)
        added.append(start.add(replace(cells, low=low, high=high)).logs - empty)
    return empty, np.array(added)


def _scaled(cells: Cells, factor: float) -> Cells:
    """Cells of so many times the trials."""
    values: dict[str, Any] = {x.name: factor * getattr(cells, x.name) for x in fields(cells)}
    return Cells(**values)


def _same_and_crossed(rates: ClickRates) -> Iterator[float]:
    """Mean g² of the same detectors, then of different ones."""
    for names in (("r1p1", "r2p2"), ("r2p1", "r1p2")):
        g2 = [
            rates.coincidences[pair] / (rates.read[int(pair[1]) - 1] * rates.pump[int(pair[3]) - 1])
            for pair in names
        ]
        yield sum(g2) / 2


def _expected_block(rates: ClickRates) -> Cells:
    """Return the cells that `BLOCK` trials are expected to fill, half of them at θ + π."""
    if max(rates.coincidences.values()) == 0:
        message = "`rates` must have coincidences, but have none; measure longer, then plan again"
        raise ValueError(message)
    if not min(*rates.pump, *rates.read) > 0:
        message = "`rates` must have clicks of every detector in both gates, but have none of one"
        raise ValueError(message)
    pairs = (("r1p1", "r2p1"), ("r2p2", "r1p2"))
    found, expected = (
        np.array([[value(pair) for pair in herald] for herald in pairs]) * BLOCK / 2
        for value in (
            rates.coincidences.__getitem__,
            lambda pair: rates.read[int(pair[1]) - 1] * rates.pump[int(pair[3]) - 1],
        )
    )
    low, high = ((found[:, [k]], expected[:, [k]]) for k in (0, 1))
    # at θ + π the read detectors change their roles, and with them the accidentals
    turned = expected[:, ::-1]
    g_low, g_high = low[0] / low[1], high[0] / high[1]
    return Cells(
        low=np.hstack([low[0], g_low * turned[:, [0]]]),
        low_accidentals=np.hstack([low[1], turned[:, [0]]]),
        high=np.hstack([high[0], g_high * turned[:, [1]]]),
        high_accidentals=np.hstack([high[1], turned[:, [1]]]),
    )
