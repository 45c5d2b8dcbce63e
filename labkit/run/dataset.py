"""A QCoDeS dataset per run, so that QCoDeS's own tools find and plot it."""

from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.counts import Counts
from analysis.evaluation import evaluate
from labkit.run.folder import RunFolder
from labkit.run.journal import Block

if TYPE_CHECKING:
    from qcodes.dataset import Measurement

DATABASE = "runs.db"
EXPERIMENT = "labkit"

_PER_BLOCK = {
    "trials": ("trials so far", ""),
    "pump_rate": ("pump clicks per trial", ""),
    "read_rate": ("read clicks per trial", ""),
    "lock_error": ("lock error signal", "V"),
    "temperature": ("mixing chamber temperature", "K"),
    "R_m": ("witness R_m so far (mode)", ""),
    "R_m_low": ("witness R_m so far (16 %)", ""),
    "R_m_high": ("witness R_m so far (84 %)", ""),
}


def register_dataset(folder: RunFolder, blocks: list[Block]) -> int:
    """Write a run's blocks as a QCoDeS dataset into ``runs.db`` beside the run folders.

    The dataset's sample name is the run folder's name. A block without a witness (of another
    procedure, or before the first coincidence) has nan there, and ``R_m_defined`` = 0.

    Returns
    -------
    int
        The dataset's run id, for ``load_by_id``.
    """
    from qcodes.dataset import (
        Measurement,
        initialise_or_create_database_at,
        load_or_create_experiment,
    )

    database = folder.path.parent / DATABASE
    initialise_or_create_database_at(str(database), journal_mode="WAL")
    experiment = load_or_create_experiment(EXPERIMENT, sample_name=folder.path.name)
    measurement = Measurement(exp=experiment, name=folder.manifest().kind)
    _declare(measurement)
    totals: dict[str, Counts] = {}
    with redirect_stdout(StringIO()), measurement.run(write_in_background=False) as saver:
        for block in blocks:
            key = str(block.setting)
            if block.good:
                totals[key] = totals[key] + block.counts if key in totals else block.counts
            row = _row(block, totals.get(key))
            saver.add_result(("block", block.number), *row.items())
        saver.dataset.add_metadata("run_folder", str(Path(folder.path).resolve()))
        return int(saver.run_id)


def _declare(measurement: "Measurement") -> None:
    measurement.register_custom_parameter("block", label="block number")
    for name, (label, unit) in _PER_BLOCK.items():
        measurement.register_custom_parameter(name, label=label, unit=unit, setpoints=("block",))
    for name in ("good", "R_m_defined"):
        measurement.register_custom_parameter(name, setpoints=("block",))


def _row(block: Block, total: Counts | None) -> dict[str, float]:
    """Return a block's values, with `total` the good blocks of its setting so far."""
    trials = max(block.counts.trials.number, 1)
    clicks = block.counts.singles.sum(axis=1) / trials
    counted = total is not None and block.setting.get("procedure") == "witness"
    found = evaluate(total).witness if counted and total is not None else None
    row = {
        "trials": float(0 if total is None else total.trials.number),
        "pump_rate": float(clicks[0]),
        "read_rate": float(clicks[-1]),
        "lock_error": block.monitors.get("lock_error", np.nan),
        "temperature": block.monitors.get("temperature", np.nan),
        "good": float(block.good),
        "R_m_defined": float(found is not None),
    }
    values = (np.nan,) * 3 if found is None else (found.sym.mode, found.sym.low, found.sym.high)
    return row | dict(zip(("R_m", "R_m_low", "R_m_high"), values, strict=True))
