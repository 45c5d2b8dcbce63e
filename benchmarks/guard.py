"""Ratios of the last recorded run, and which of today's have fallen behind them; run by hand."""

import json
from collections.abc import Sequence
from math import isnan
from pathlib import Path

from benchmarks.timing import Row

RECORDED = Path(__file__).with_name("recorded.json")
ALLOWED = 0.8
"""Share of the recorded ratio that is no regression, before the noise of both is taken off."""


def record(rows: Sequence[Row]) -> None:
    """Keep the ratios for later runs; other rooms' stay."""
    kept = _recorded()
    for row in rows:
        noise = None if isnan(row.noise) else round(row.noise, 3)
        kept[row.name] = {"ratio": round(row.ratio, 3), "noise": noise}
    RECORDED.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def fallen(rows: Sequence[Row]) -> list[str]:
    """Say which ratios are lower than recorded by more than the noise explains.

    What cannot be compared is said too: nothing measured, or a ratio that was never recorded.
    """
    if not rows:
        return ["nothing was measured, so nothing can be compared"]
    kept = _recorded()
    said = []
    for row in rows:
        before = kept.get(row.name)
        if before is None or before["ratio"] is None:
            said.append(f"{row.name}: {row.ratio:.3g}, but no ratio was recorded (--record)")
            continue
        noise = (0.0 if isnan(row.noise) else row.noise) + (before["noise"] or 0.0)
        if row.ratio < ALLOWED * (1 - min(noise, 0.5)) * before["ratio"]:
            said.append(f"{row.name}: {row.ratio:.3g}, but {before['ratio']:.3g} when recorded")
    return said


def _recorded() -> dict[str, dict[str, float | None]]:
    if not RECORDED.exists():
        return {}
    return dict(json.loads(RECORDED.read_text(encoding="utf-8")))
