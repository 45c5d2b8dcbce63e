"""How long until the witness is decided: expected growth of E."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log1p

import numpy as np

from analysis.counts_file import PAIRS, WitnessCounts
from analysis.witness import Cells, anytime_test, symmetrised_witness
from simulation.theory.dlcz import DLCZParameters, click_probabilities

BLOCK = 10_000_000
LARGEST_PLAN = 1e14


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
        model = click_probabilities(parameters)
        p1, p2, r1, r2 = (float(p) for p in model.singles)
        pairs = {p: float(model.coincidences[int(p[1]) - 1, int(p[3]) - 1]) for p in PAIRS}
        return cls(pump=(p1, p2), read=(r1, r2), coincidences=pairs)

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
    if not 0.5 < confidence < 1:
        message = f"`confidence` must lie between 0.5 and 1, but is {confidence}"
        raise ValueError(message)
    if max(rates.coincidences.values()) == 0:
        message = "`rates` must have coincidences, but have none; measure longer, then plan again"
        raise ValueError(message)
    cells = _expected_block(rates)
    if not cells.complete:
        message = "`rates` must have clicks of every detector in both gates, but have none of one"
        raise ValueError(message)
    ratio = float(symmetrised_witness(cells.s, cells.c))
    one = anytime_test(bound, limits=False).add(cells)
    wanted = -log1p(-confidence)

    def enough(blocks: float) -> bool:
        grown = replace(one, logs=one.logs * blocks)
        return min(grown.log_e_at(bound), grown.log_e_at(1.0)) >= wanted

    low = high = 1.0
    while not enough(high):
        low, high = high, 2 * high
        if high > LARGEST_PLAN / BLOCK:
            message = (
                f"the expected R of {ratio:.3f} does not lie below {bound:g} clearly enough for "
                f"{100 * confidence:g} % within 1e14 trials; improve the state first"
            )
            raise ValueError(message)
    while high - low > 1e-4 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    trials = round(high * BLOCK)
    return WitnessPlan(
        confidence=confidence, bound=bound, trials=trials, overhead=overhead,
        seconds=trials * period * (1 + overhead), R=ratio,
    )  # fmt: skip


def _expected_block(rates: ClickRates) -> Cells:
    """Return the cells that `BLOCK` trials are expected to fill, half of them at θ + π."""
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
