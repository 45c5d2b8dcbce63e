"""When a run is done: so many trials, so much time, or a confidence."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

from analysis.witness.verdict import SMALLEST_BOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """The first of these that is reached ends the run; at least one must be set.

    A goal of trials alone fixes the number of trials in advance, so that the fixed-sample test
    counts. A confidence is the always-valid one: it holds however often one looks.

    Attributes
    ----------
    trials : float or None
        Good trials.
    seconds : float or None
        Time since the run (or its resumption) began.
    confidence : float or None
        Always-valid confidence that R < bound, between 0 and 1.
    bound : float
        Largest bound of that confidence, above 0 and at most 1; what the set-up demands may lower
        it.
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
        if not SMALLEST_BOUND <= self.bound <= 1:
            message = f"`bound` must lie between {SMALLEST_BOUND:g} and 1, but is {self.bound}"
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
            said.append(f"R < {self.bound:g} at {100 * self.confidence:g} % (any time)")
        return " or ".join(said)

    @property
    def fixed(self) -> bool:
        """Whether the number of trials is fixed in advance: nothing else can end the run."""
        return self.trials is not None and self.seconds is None and self.confidence is None

    def reached(self, trials: int, seconds: float, confidence: float = 0.0) -> str | None:
        """Return why the run is done, or None if it is not.

        Parameters
        ----------
        trials : int
            Good ones so far.
        seconds : float
            Since it began.
        confidence : float
            Always-valid one at the bound.
        """
        if self.seconds is not None and seconds >= self.seconds:
            return f"{seconds:.0f} s have passed"
        if self.trials is not None and trials >= self.trials:
            return f"{trials:,} trials are measured"
        if self.confidence is not None and confidence >= self.confidence:
            return f"the always-valid confidence reached {100 * self.confidence:g} %"
        return None
