"""A QCoDeS dataset per run, so that QCoDeS's own tools find and plot it."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.evaluation import evaluate
from labkit.run.folder import RunFolder
from labkit.run.journal import Block, total_counts

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

    The dataset's sample name is the run folder's name. Values that do not exist for a block (a
    witness before the first coincidence) are left out of that block's row as nan, with
    ``R_m_defined`` = 0.

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
    with measurement.run(write_in_background=False) as saver:
        for index, block in enumerate(blocks):
            row = _row(blocks[: index + 1])
            saver.add_result(("block", block.number), *row.items())
        saver.dataset.add_metadata("run_folder", str(Path(folder.path).resolve()))
        return int(saver.run_id)


def _declare(measurement: "Measurement") -> None:
    measurement.register_custom_parameter("block", label="block number")
    for name, (label, unit) in _PER_BLOCK.items():
        measurement.register_custom_parameter(name, label=label, unit=unit, setpoints=("block",))
    for name in ("good", "R_m_defined"):
        measurement.register_custom_parameter(name, setpoints=("block",))


def _row(blocks: list[Block]) -> dict[str, float]:
    block = blocks[-1]
    trials = max(block.counts.trials.number, 1)
    clicks = block.counts.singles.sum(axis=1) / trials
    total = total_counts(blocks, block.setting)
    found = None if total is None else evaluate(total).witness
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
