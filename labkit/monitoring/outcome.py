"""What a run was meant to reach and what it found, as its files say it, in a few words."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from analysis.witness.verdict import verdict_sentence
from labkit.monitoring.monitor import goal_of
from labkit.run import RunFolder
from labkit.run.lines import is_there
from labkit.run.summary import keep_summary


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A run in a few words; each is empty if there is nothing to say.

    Attributes
    ----------
    duration : str
        From its beginning to its end, or until now while it goes on.
    goal : str
    witness : str
        R of the verdict, symmetrised, with its 68 % interval; in a folder without a verdict R_m as
        published (mode, and 16 % to 84 %).
    decision, sentence : str
        Verdict in a word, and in a line.
    problem : str
        Why ``result.json`` could not be read.
    """

    duration: str
    goal: str
    witness: str
    decision: str
    sentence: str
    problem: str = ""

    def __str__(self) -> str:
        named = {
            "duration": self.duration, "goal": self.goal, "R_m": self.witness,
            "verdict": self.sentence, "damaged": self.problem,
        }  # fmt: skip
        return "\n".join(f"{name:<10} {text}" for name, text in named.items() if text)


def listed(folder: RunFolder) -> tuple[dict[str, object], str]:
    """Return a run's row with what it was meant to reach and what it found, and what is damaged.

    The row of a run that has ended is kept beside it, as that of `RunFolder.summary` is; it has a
    verdict, if only None.
    """
    row, found = folder.summary(), outcome_of(folder)
    row |= {
        "duration": found.duration or None, "goal": found.goal or None,
        "R_m": found.witness or None, "verdict": found.decision or None,
    }  # fmt: skip
    if row["status"] not in {"running", "died"} and not found.problem:
        keep_summary(folder.path, row)
    return row, found.problem


def outcome_of(folder: RunFolder) -> RunOutcome:
    """Read what a run was meant to reach and what it found."""
    manifest = folder.manifest()
    result, problem = kept_result(folder)
    goal = goal_of(manifest, str(folder.manifest_path))
    verdict = result.get("verdict")
    begun = datetime.fromisoformat(manifest.started) if manifest.started else None
    duration = ""
    if begun is not None:
        over = datetime.fromisoformat(manifest.ended) if manifest.ended else None
        if over is None and manifest.status == "running":
            over = datetime.now(UTC)
        if over is not None and over >= begun:  # else the clock was set back meanwhile
            duration = str(timedelta(seconds=round((over - begun).total_seconds())))
    return RunOutcome(
        duration=duration,
        goal="" if goal is None else str(goal),
        witness=witness_of(result),
        decision=decision_of(result),
        sentence="" if not verdict else _sentence(verdict),
        problem=problem,
    )


def decision_of(result: Mapping[str, Any]) -> str:
    """Return the verdict's word of a result or evaluation in plain types; empty without one."""
    verdict = result.get("verdict")
    return str(verdict["decision"]) if verdict else ""


def witness_of(result: Mapping[str, Any]) -> str:
    """Write R with its interval of a result or evaluation in plain types; null is infinity."""
    verdict, published = result.get("verdict"), result.get("witness")
    decided = verdict.get("R") if verdict else None
    if decided is not None:
        names, found = ("value", "low", "high"), decided
    elif published:
        names, found = ("mode", "low", "high"), published["sym"]
    else:
        return ""
    value, low, high = (math.inf if one is None else one for one in map(found.get, names))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _sentence(verdict: dict[str, Any]) -> str:
    level, kind = verdict.get("level"), verdict.get("kind")
    return verdict_sentence(str(verdict["decision"]), level, kind, verdict.get("reasons", ()))


def kept_result(folder: RunFolder) -> tuple[dict[str, Any], str]:
    """Return what ``result.json`` holds, and why it cannot be read."""
    path = folder.path / "result.json"
    try:
        if not is_there(path):
            return {}, ""
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        return {}, f"{path}: {str(error).removeprefix(f'{path}: ')}"
    return (plain, "") if isinstance(plain, dict) else ({}, f"{path}: holds no object")
