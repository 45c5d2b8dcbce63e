"""When a run is done: so many trials, so much time, or a confidence."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from analysis.counts import Counts
from analysis.evaluation import evaluate


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The first of these that is reached ends the run; at least one must be set.

    Attributes
    ----------
    trials : float or None
        Good trials.
    seconds : float or None
        Time since the run (or its resumption) began.
    confidence : float or None
        P(R_m,sym < bound), between 0 and 1. Stopping at a confidence favours lucky fluctuations;
        the report says that it was used.
    bound : float
        Bound of that confidence.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    trials: float | None = None
    seconds: float | None = None
    confidence: float | None = None
    bound: float = 1.0

    def __post_init__(self) -> None:
        if self.trials is None and self.seconds is None and self.confidence is None:
            message = "a goal must set `trials`, `seconds` or `confidence`, but sets none"
            raise ValueError(message)
        if self.confidence is not None and not 0 < self.confidence < 1:
            message = f"`confidence` must lie between 0 and 1, but is {self.confidence}"
            raise ValueError(message)
        if not isfinite(self.bound):
            message = f"`bound` must be a finite number, but is {self.bound}"
            raise ValueError(message)
        for name in ("trials", "seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                message = f"`{name}` must be > 0, but is {value}"
                raise ValueError(message)

    def __str__(self) -> str:
        said = []
        if self.trials is not None:
            said.append(f"{self.trials:,.0f} trials")
        if self.seconds is not None:
            said.append(f"{self.seconds / 3600:.3g} h")
        if self.confidence is not None:
            said.append(f"P(R_m < {self.bound:g}) = {100 * self.confidence:g} %")
        return " or ".join(said)

    def reached(self, counts: Counts | None, seconds: float) -> str | None:
        """Return why the run is done, or None if it is not."""
        if self.seconds is not None and seconds >= self.seconds:
            return f"{seconds:.0f} s have passed"
        if counts is None:
            return None
        if self.trials is not None and counts.trials.number >= self.trials:
            return f"{counts.trials.number:,} trials are measured"
        if self.confidence is not None:
            found = evaluate(counts).witness
            decided = found is not None and not found.cautions
            if (
                decided
                and found is not None
                and found.sym.confidence(self.bound) >= self.confidence
            ):
                return f"P(R_m < {self.bound:g}) reached {100 * self.confidence:g} %"
        return None
