"""A row about each run, kept beside it: thousands of runs are listed without reading journals."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.run.lines import framed, read_lines

if TYPE_CHECKING:
    from labkit.run.journal import Block
    from labkit.run.manifest import Manifest

SUMMARY = "summary.json"
"""In a run folder; made anew when one of the files it tells of is no longer what it was."""


def run_paths(out: Path) -> list[Path]:
    """Return the run folders below a folder, oldest first."""
    return [path.parent for path in sorted(out.glob("*/manifest.json"))] if out.is_dir() else []


def kept_summary(folder: Path) -> dict[str, Any] | None:
    """Return the row kept in a run folder; None if there is none, or it is stale or damaged."""
    line = next(read_lines(folder / SUMMARY), None)
    if line is None or line.state != "whole" or line.plain.get("of") != _state(folder):
        return None
    row = line.plain.get("row")
    return row if isinstance(row, dict) else None


def keep_summary(folder: Path, row: dict[str, object]) -> None:
    """Keep a row in a run folder, if one may write there; it can be made anew at any time."""
    part = folder / f".{SUMMARY}.part"
    with contextlib.suppress(OSError):
        part.write_text(framed({"of": _state(folder), "row": row}), encoding="utf-8")
        part.replace(folder / SUMMARY)


def summary_row(name: str, manifest: "Manifest", blocks: "list[Block]") -> dict[str, object]:
    """Return the row about a run."""
    good = [block for block in blocks if block.good]
    return {
        "run": name, "kind": manifest.kind, "status": manifest.status,
        "started": manifest.started[:19], "blocks": len(blocks),
        "left_out": len(blocks) - len(good), "trials": sum(block.trials for block in good),
        "reason": manifest.reason,
        **({"replay_of": manifest.replay_of} if manifest.replay_of else {}),
    }  # fmt: skip


def _state(folder: Path) -> list[list[int]]:
    """Return sizes and times of the files that the row is made of."""
    found = []
    for name in ("manifest.json", "journal.jsonl", "result.json"):
        try:
            stat = (folder / name).stat()
            found.append([stat.st_size, stat.st_mtime_ns])
        except FileNotFoundError:
            found.append([-1, 0])
    return found
