"""What runs set and found, side by side: end against end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labkit.monitoring.outcome import outcome_of
from labkit.run import RunFolder
from labkit.run.events import settings_made
from labkit.run.progress import said_setting
from labkit.run.summary import kept_summary, summary_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs side by side.

    Attributes
    ----------
    runs : tuple of str
    facts : dict of str to tuple of str
        What was meant and found, a text per run; empty where a run has none.
    settings : dict of str to tuple
        Parameters that at least one of the runs set and whose last values differ; None where a run
        did not set one.
    """

    runs: tuple[str, ...]
    facts: dict[str, tuple[str, ...]]
    settings: dict[str, tuple[object, ...]]

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""

        def by_run(values: Sequence[object]) -> dict[str, object]:
            return dict(zip(self.runs, values, strict=True))

        return {
            "runs": list(self.runs),
            "facts": {name: by_run(values) for name, values in self.facts.items()},
            "settings": {name: by_run(values) for name, values in self.settings.items()},
        }


def compare_runs(folders: Sequence[RunFolder]) -> Comparison:
    """Compare what runs were meant to do, what they found, and what they set.

    Settings are those that labkit changed itself, as the event log has them, with the value they
    had at the end: how the instruments happened to stand before is no difference between runs.
    """
    facts = [_facts(folder) for folder in folders]
    made = [settings_made(folder.path) for folder in folders]
    names = sorted(set().union(*made))
    last = {name: tuple(one.get(name) for one in made) for name in names}
    return Comparison(
        runs=tuple(folder.path.name for folder in folders),
        facts={name: tuple(one[name] for one in facts) for name in facts[0]},
        settings={n: values for n, values in last.items() if len(set(map(repr, values))) > 1},
    )


def _facts(folder: RunFolder) -> dict[str, str]:
    manifest, found = folder.manifest(), outcome_of(folder)
    row = kept_summary(folder.path) or summary_row(
        folder.path.name, manifest, folder.journal.read()
    )
    sequence = folder.sequence()
    delta_phi = "" if sequence is None else _phase(sequence)
    return {
        "procedure": manifest.kind,
        "status": str(row["status"]),
        "began": manifest.started[:19].replace("T", " "),
        "duration": found.duration,
        "sample": manifest.sample,
        "labkit": manifest.versions.get("labkit", ""),
        "sequence's Δφ": delta_phi,
        "goal": found.goal,
        "good blocks": f"{int(str(row['blocks'])) - int(str(row['left_out'])):,}",
        "left out": f"{row['left_out']:,}",
        "trials": f"{row['trials']:,}",
        "R_m": found.witness,
        "verdict": found.sentence,
    }


def _phase(sequence: Any) -> str:
    phases = [p.phase for p in sequence.pulses if p.name == "read"]
    return said_setting("delta_phi", phases[0]).removeprefix("Δφ = ") if phases else ""
