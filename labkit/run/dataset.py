"""A QCoDeS dataset per run, so that QCoDeS's own tools find and plot it."""

from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.counts import Counts
from analysis.counts_file import PAIRS
from analysis.evaluation import evaluate
from labkit.run.folder import RunFolder
from labkit.run.journal import Block

if TYPE_CHECKING:
    from qcodes.dataset import Measurement
    from qcodes.dataset.measurements import DataSaver

DATABASE = "runs.db"
EXPERIMENT = "labkit"

_CELLS = tuple((gate, detector) for gate in ("pump", "read") for detector in (1, 2))

_PER_BLOCK = {
    "trials": ("trials so far", ""),
    **{f"{gate}_{d}": (f"{gate} clicks, detector {d}", "") for gate, d in _CELLS},
    "pump_rate": ("pump clicks per trial", ""),
    "read_rate": ("read clicks per trial", ""),
    **{f"g2_{pair}": (f"g² of {pair} so far", "") for pair in PAIRS},
    "R_m": ("witness R_m so far (mode)", ""),
    "R_m_low": ("witness R_m so far (16 %)", ""),
    "R_m_high": ("witness R_m so far (84 %)", ""),
    "lock_error": ("lock error signal", "V"),
    "phase_noise": ("phase noise of the lock", "rad"),
    "temperature": ("mixing chamber temperature", "K"),
    "pump_laser_hz": ("frequency of the pump laser", "Hz"),
    "read_laser_hz": ("frequency of the read laser", "Hz"),
}
_FLAGS = ("good", "pump_defined", "read_defined", "g2_defined", "R_m_defined")
_MONITORS = ("lock_error", "phase_noise", "temperature", "pump_laser_hz", "read_laser_hz")
_CORRELATED = ("witness", "phase_sweep", "delay_sweep", "g2", "bell", "single_phonons")
"""Procedures whose blocks have g²."""


def register_dataset(folder: RunFolder, blocks: list[Block]) -> int:
    """Write a run's blocks as a QCoDeS dataset into ``runs.db`` beside the run folders.

    The dataset's sample name is the run folder's name. What a block does not have (a gate, g², a
    witness, a monitor that was not read) is nan there, and ``pump_defined``, ``read_defined``,
    ``g2_defined``, ``R_m_defined`` are 0.

    Returns
    -------
    int
        The dataset's run id, for ``load_by_id``.
    """
    from qcodes.dataset import (
        Measurement,
        connect,
        initialise_or_create_database_at,
        load_or_create_experiment,
    )

    database = str(folder.path.parent / DATABASE)
    initialise_or_create_database_at(database, journal_mode="WAL")
    with closing(connect(database)) as connection, redirect_stdout(StringIO()):
        experiment = load_or_create_experiment(
            EXPERIMENT, sample_name=folder.path.name, conn=connection
        )
        measurement = Measurement(exp=experiment, name=folder.manifest().kind)
        _declare(measurement)
        with measurement.run(write_in_background=False) as saver:
            return _fill(saver, folder, blocks)


def _fill(saver: "DataSaver", folder: RunFolder, blocks: list[Block]) -> int:
    """Add a row per block; return the dataset's run id."""
    totals: dict[str, Counts] = {}
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
    for name in _FLAGS:
        measurement.register_custom_parameter(name, setpoints=("block",))


def _row(block: Block, total: Counts | None) -> dict[str, float]:
    """Return a block's values, with `total` the good blocks of its setting so far."""
    counted = total is not None and block.setting.get("procedure") in _CORRELATED
    found = evaluate(total) if counted and total is not None else None
    g2 = {} if found is None else found.g2
    witness = None
    if found is not None and block.setting["procedure"] == "witness":
        witness = found.witness
    row = dict.fromkeys(_PER_BLOCK, np.nan)
    row |= {"trials": float(0 if total is None else total.trials.number), "good": float(block.good)}
    row |= {name: block.monitors[name] for name in _MONITORS if name in block.monitors}
    row |= _clicks(block.counts)
    row |= {f"g2_{pair}": g2[pair].value for pair in PAIRS if pair in g2}
    row |= {"g2_defined": float(all(pair in g2 for pair in PAIRS))}
    row |= {"R_m_defined": float(witness is not None)}
    if witness is not None:
        sym = witness.sym
        row |= {"R_m": sym.mode, "R_m_low": sym.low, "R_m_high": sym.high}
    return row


def _clicks(counts: Counts) -> dict[str, float]:
    """Return clicks by gate and detector, and per trial; of gates that the block has."""
    trials = max(counts.trials.number, 1)
    found: dict[str, float] = {}
    for gate in ("pump", "read"):
        has = gate in counts.gates.names
        found[f"{gate}_defined"] = float(has)
        if has:
            clicks = {d: float(counts.single(gate, d)) for d in counts.gates.detectors}
            found |= {f"{gate}_{d}": clicks[d] for d in clicks if (gate, d) in _CELLS}
            found[f"{gate}_rate"] = sum(clicks.values()) / trials
    return found
