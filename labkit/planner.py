"""How long until the witness is decided: expected confidence against trials."""

from dataclasses import dataclass

from analysis.witness import witness
from analysis.witness.estimate import FEW_COINCIDENCES
from simulation.theory.dlcz import DLCZParameters, click_probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
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

    def __str__(self) -> str:
        return (
            f"P(R_m < {self.bound:g}) = {100 * self.confidence:g} % is expected after "
            f"{self.trials:.3g} trials, {self.seconds / 3600:.1f} h with "
            f"{100 * self.overhead:g} % overhead (R_m = {self.R_m:.3f})"
        )


def plan_witness(
    parameters: DLCZParameters,
    *,
    confidence: float,
    bound: float = 1.0,
    period: float = 50e-6,
    overhead: float = 0.15,
) -> Plan:
    """Find the number of trials whose *expected* counts reach a confidence.

    Half of all measurements will need more: the counts fluctuate.

    Parameters
    ----------
    parameters : DLCZParameters
        Numbers, no arrays.
    confidence : float
        Between 0.5 and 1.
    bound : float
    period : float
        Seconds per trial.
    overhead : float

    Raises
    ------
    ValueError
        If the expected witness lies above the bound, so that no number of trials suffices, or
        `confidence` is outside its range.
    """
    if not 0.5 < confidence < 1:
        message = f"`confidence` must lie between 0.5 and 1, but is {confidence}"
        raise ValueError(message)
    coincidences = float(click_probabilities(parameters).coincidences.max())
    low = high = max(1, round(FEW_COINCIDENCES / coincidences))
    while _expected(parameters, high, bound)[0] < confidence:
        low, high = high, 4 * high
        if high > 10**14:
            mode = _expected(parameters, high, bound)[1]
            message = (
                f"the expected R_m of {mode:.3f} does not lie below {bound:g} clearly enough for "
                f"{100 * confidence:g} % within 1e14 trials; improve the state first"
            )
            raise ValueError(message)
    while high - low > max(1000, high // 1000):
        middle = (low + high) // 2
        enough = _expected(parameters, middle, bound)[0] >= confidence
        low, high = (low, middle) if enough else (middle, high)
    return Plan(
        confidence=confidence, bound=bound, trials=high, overhead=overhead,
        seconds=high * period * (1 + overhead), R_m=_expected(parameters, high, bound)[1],
    )  # fmt: skip


def _expected(parameters: DLCZParameters, trials: int, bound: float) -> tuple[float, float]:
    """Return (confidence, mode) of the symmetrised witness at the expected, rounded counts."""
    model = click_probabilities(parameters)
    singles = [max(1, round(trials * float(p))) for p in model.singles]
    pairs = {
        f"r{i + 1}p{j + 1}": min(
            round(trials * float(model.coincidences[i, j])), singles[j], singles[2 + i]
        )
        for i in (0, 1)
        for j in (0, 1)
    }
    found = witness(pairs, singles[:2], singles[2:], trials)
    return found.sym.confidence(bound), found.sym.mode
