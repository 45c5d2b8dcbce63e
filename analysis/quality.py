"""What went wrong or was left out while counting: every number adds up over files."""

from dataclasses import dataclass, field, fields
from typing import Self

DOUBLED_GAP = 0.5
"""A trial start less than this many periods after the one before is one too many."""

_MEANING = {
    "records": "records read",
    "missing_syncs": "trial starts missing (gap of more than 1.5 periods)",
    "doubled_syncs": "trial starts less than half a period after the one before",
    "out_of_order": "tags whose time runs backwards (lost overflow or disorder)",
    "unknown_records": "records with a reserved special code, skipped",
    "early_clicks": "clicks before the first trial, not counted",
    "foreign_clicks": "clicks on channels that are no detector, not counted",
    "ungated_clicks": "clicks outside all gates, not counted",
    "markers": "marker records that start no trial",
    "repeated_clicks": "further clicks of one detector in one gate of one trial, counted once",
    "crowded_trials": "trials with such repeated clicks",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Data-quality record of a count: integers that add, and the files' own warnings.

    ``missing_syncs`` counts trial starts that a regular period calls for but the file lacks;
    ``doubled_syncs`` counts those that follow the one before much too early, which the number of
    trials includes; ``out_of_order`` counts tags earlier than their predecessor. The other fields
    say what was read and not counted. `warnings` holds sentences about whole files (truncation,
    FIFO overrun, dropped events, sync divider, doubtful trial number).
    """

    records: int = 0
    missing_syncs: int = 0
    doubled_syncs: int = 0
    out_of_order: int = 0
    unknown_records: int = 0
    early_clicks: int = 0
    foreign_clicks: int = 0
    ungated_clicks: int = 0
    markers: int = 0
    repeated_clicks: int = 0
    crowded_trials: int = 0
    warnings: tuple[str, ...] = field(default=())

    def __add__(self, other: Self) -> "Quality":
        sums = {name: getattr(self, name) + getattr(other, name) for name in _MEANING}
        return Quality(**sums, warnings=self.warnings + other.warnings)

    def to_dict(self) -> dict[str, object]:
        """Return all fields as plain types."""
        return {f.name: getattr(self, f.name) for f in fields(self)} | {
            "warnings": list(self.warnings)
        }

    def __str__(self) -> str:
        rows = [
            f"{getattr(self, name):>13,}  {meaning}"
            for name, meaning in _MEANING.items()
            if getattr(self, name) or name == "records"
        ]
        return "\n".join([*rows, *(f"{'warning':>13}  {text}" for text in self.warnings)])


def doubled_syncs_warning(number: int, first_record: int) -> str:
    """Say how many trial starts came too early, and where to look for the first."""
    return (
        f"{number:,} trial starts (syncs) follow the one before within half a period (the first is "
        f"record {first_record:,}, counted from 0): noise or reflections at the sync input; each "
        "of them counts as a trial and ends the one before"
    )
