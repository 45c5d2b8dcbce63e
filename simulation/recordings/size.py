"""How much disk space a simulated recording takes, known before its first record."""

import shutil
from pathlib import Path

from analysis.tagfile.layouts import RecordLayout
from simulation.theory.dlcz import DLCZParameters, click_probabilities

RECORD_BYTES = 4
HEADER_BYTES = 8192
"""More than the header of a simulated file has."""

_MARGIN = 1.02


def expected_bytes(
    parameters: DLCZParameters, layout: RecordLayout, trials: int, ticks_per_trial: int
) -> int:
    """Estimate a recording's size: clicks, overflows, and in T2 a sync record per trial.

    Parameters
    ----------
    parameters : DLCZParameters
        Numbers only, no arrays.
    layout : RecordLayout
        With counted overflows.
    trials : int
    ticks_per_trial : int
        Units of the records' time per trial: T2 ticks, or 1 in T3.

    Returns
    -------
    int
        Bytes, expected clicks rounded up; in T3 from above, for one overflow record may stand for
        several wraps.
    """
    clicks = int(trials * float(click_probabilities(parameters).singles.sum())) + 1
    wraps = trials * ticks_per_trial // layout.wrap + 1
    if layout.mode == "T2":
        return HEADER_BYTES + RECORD_BYTES * (trials + clicks + wraps)
    return HEADER_BYTES + RECORD_BYTES * (clicks + min(wraps, clicks + 1))


def check_space(path: Path, needed: int, trials: int) -> None:
    """Refuse a recording that the disk cannot hold.

    Raises
    ------
    ValueError
        If fewer than `needed` bytes (and 2 %) are free where `path` will be.
    """
    free = shutil.disk_usage(path.parent).free
    if needed * _MARGIN > free:
        message = (
            f"`trials` must be so few that {path.name} fits on the disk: {trials:.4g} trials need "
            f"about {_gigabytes(needed)}, but {_gigabytes(free)} are free in {path.parent}; "
            "simulate fewer trials, free space, or use T3, which has no record for empty trials"
        )
        raise ValueError(message)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
