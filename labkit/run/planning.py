"""How long until the witness is decided: expected confidence against trials."""

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.counts_file import PAIRS, WitnessCounts
from analysis.witness import witness
from analysis.witness.estimate import FEW_COINCIDENCES
from simulation.theory.dlcz import DLCZParameters, click_probabilities


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
        P(R_m,sym < bound) that the expected counts reach.
    trials : int
    seconds : float
        Measuring time, with `overhead`.
    overhead : float
        Fraction of time for relocking and filters (0.15 in the paper).
    R_m : float
        Mode of the symmetrised witness at that point.
    """

    confidence: float
    bound: float
    trials: int
    seconds: float
    overhead: float
    R_m: float

    def to_dict(self) -> dict[str, float]:
        """Return plain numbers."""
        return {
            "confidence": self.confidence, "bound": self.bound, "trials": self.trials,
            "seconds": self.seconds, "overhead": self.overhead, "R_m": self.R_m,
        }  # fmt: skip

    def __str__(self) -> str:
        return (
            f"P(R_m < {self.bound:g}) = {100 * self.confidence:g} % is expected after "
            f"{self.trials:.3g} trials, {self.seconds / 3600:.1f} h with "
            f"{100 * self.overhead:g} % overhead (R_m = {self.R_m:.3f})"
        )


def plan_witness(
    rates: ClickRates,
    *,
    confidence: float,
    bound: float = 1.0,
    period: float = 50e-6,
    overhead: float = 0.15,
) -> WitnessPlan:
    """Find the number of trials whose *expected* counts reach a confidence.

    Half of all measurements will need more: the counts fluctuate.

    Parameters
    ----------
    rates : ClickRates
        Of a model, or measured so far.
    confidence : float
        Between 0.5 and 1.
    bound : float
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
    most = max(rates.coincidences.values())
    if most == 0:
        message = "`rates` must have coincidences, but have none; measure longer, then plan again"
        raise ValueError(message)
    low = high = max(1, round(FEW_COINCIDENCES / most))
    while _expected(rates, high, bound)[0] < confidence:
        low, high = high, 4 * high
        if high > 10**14:
            mode = _expected(rates, high, bound)[1]
            message = (
                f"the expected R_m of {mode:.3f} does not lie below {bound:g} clearly enough for "
                f"{100 * confidence:g} % within 1e14 trials; improve the state first"
            )
            raise ValueError(message)
    while high - low > max(1000, high // 1000):
        middle = (low + high) // 2
        enough = _expected(rates, middle, bound)[0] >= confidence
        low, high = (low, middle) if enough else (middle, high)
    return WitnessPlan(
        confidence=confidence, bound=bound, trials=high, overhead=overhead,
        seconds=high * period * (1 + overhead), R_m=_expected(rates, high, bound)[1],
    )  # fmt: skip


def _expected(rates: ClickRates, trials: int, bound: float) -> tuple[float, float]:
    """Return (confidence, mode) of the symmetrised witness at the expected, rounded counts."""
    pump, read = (
        [max(1, round(trials * rate)) for rate in both] for both in (rates.pump, rates.read)
    )
    pairs = {
        pair: min(round(trials * rate), read[int(pair[1]) - 1], pump[int(pair[3]) - 1])
        for pair, rate in rates.coincidences.items()
    }
    try:
        found = witness(pairs, pump, read, trials)
    except ValueError as error:
        message = f"the counts expected of {trials:.3g} trials give no witness: {error}"
        raise ValueError(message) from None
    return found.sym.confidence(bound), found.sym.mode
