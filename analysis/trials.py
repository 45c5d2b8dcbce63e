"""How many trials were measured, and how sure that is."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Number of trials measured, empty ones included.

    Attributes
    ----------
    number : int
        Best value.
    low, high : int
        Bounds within which the true number lies.
    source : str
        Where the number comes from.
    """

    number: int
    low: int
    high: int
    source: str

    def __add__(self, other: Self) -> "Trials":
        sources = dict.fromkeys((*self.source.split("; "), *other.source.split("; ")))
        return Trials(
            number=self.number + other.number,
            low=self.low + other.low,
            high=self.high + other.high,
            source="; ".join(sources),
        )

    def __str__(self) -> str:
        exact = self.low == self.high
        bounds = "exact" if exact else f"between {self.low:,} and {self.high:,}"
        return f"{self.number:,} ({bounds}; {self.source})"


def exact_trials(number: int, source: str) -> Trials:
    """Return a number of trials that is known exactly."""
    return Trials(number=number, low=number, high=number, source=source)


def trials_from_sync_numbers(
    seen: int, *, wrap: int, measured_time: float | None, sync_rate: float | None
) -> tuple[Trials, str | None]:
    """Infer the trials of a T3 file, which holds no record for an empty trial.

    The records prove that at least `seen` syncs came (largest sync number + 1, or the wraps of a
    trailing overflow record); after the last record up to ``wrap`` - 1 more can have come
    unrecorded. The header's measured time × sync rate is taken where it lies in that range (its
    sync rate is an integer measured once, at the start); otherwise the records decide.

    Parameters
    ----------
    seen : int
        Syncs proven by the records.
    wrap : int
        Sync numbers per overflow record.
    measured_time : float or None
        Seconds, from the header.
    sync_rate : float or None
        1/s, from the header.

    Returns
    -------
    trials : Trials
    warning : str or None
        What disagrees, if header and records differ by more than 1 % and one wrap.
    """
    low, high = seen, seen + wrap - 1
    if not measured_time or not sync_rate:
        return Trials(number=low, low=low, high=high, source="sync numbers in the records"), None
    expected = round(measured_time * sync_rate)
    if low <= expected <= high:
        source = "header's measured time × sync rate, confirmed by the overflow records"
        return Trials(number=expected, low=low, high=high, source=source), None
    trials = Trials(number=low, low=low, high=high, source="sync numbers in the records")
    if abs(expected - low) <= wrap + 0.01 * expected:
        return trials, None
    warning = (
        f"the records prove {low:,} trials, but the header's {measured_time:g} s × "
        f"{sync_rate:g} syncs/s make {expected:,}: overflow records are lost, the file is "
        "truncated, or the sync failed; the records' number is used"
    )
    return trials, warning
