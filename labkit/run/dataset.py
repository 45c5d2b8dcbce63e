"""A QCoDeS dataset per run, so that QCoDeS's own tools find and plot it."""

from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.correlation import g2
from analysis.counts import Counts
from analysis.counts_file import PAIRS
from analysis.evaluation import cross_pairs
from analysis.witness import Witness, witness
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

GROWTH = 1.25
"""R_m is computed after the first block, and whenever the trials behind it have grown so much."""


def register_dataset(folder: RunFolder, blocks: list[Block]) -> int:
    """Write a run's blocks as a QCoDeS dataset into ``runs.db`` beside the run folders.

    The dataset's sample name is the run folder's name. What a block does not have (a gate, g², a
    witness, a monitor that was not read) is nan there, and ``pump_defined``, ``read_defined``,
    ``g2_defined``, ``R_m_defined`` are 0. R_m stands in few rows of a long run, see `GROWTH`, and
    in the last of each setting.

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
    known: dict[str, int] = {}
    last = {str(block.setting): block.number for block in blocks if block.good}
    for block in blocks:
        key = str(block.setting)
        if block.good:
            totals[key] = totals[key] + block.counts if key in totals else block.counts
        total, found = totals.get(key), None
        if total is not None and block.setting.get("procedure") == "witness":
            now = total.trials.number
            if now >= GROWTH * known.get(key, 0) or block.number == last[key]:
                known[key], found = now, _witness(total)
        saver.add_result(("block", block.number), *_row(block, total, found).items())
    saver.dataset.add_metadata("run_folder", str(Path(folder.path).resolve()))
    return int(saver.run_id)


def _declare(measurement: "Measurement") -> None:
    measurement.register_custom_parameter("block", label="block number")
    for name, (label, unit) in _PER_BLOCK.items():
        measurement.register_custom_parameter(name, label=label, unit=unit, setpoints=("block",))
    for name in _FLAGS:
        measurement.register_custom_parameter(name, setpoints=("block",))


def _witness(total: Counts) -> Witness | None:
    try:
        return witness(total)
    except ValueError:  # a count is zero: the row says that R_m is not defined
        return None


def _g2(total: Counts) -> dict[str, float]:
    """Return g² of every pair that has accidentals."""
    found = {}
    for name, (a, b) in cross_pairs(total.gates).items():
        singles = total.single(*a), total.single(*b)
        if name in PAIRS and min(singles) > 0:
            found[name] = g2(total.coincidence(a, b), *singles, total.trials.number).value
    return found


def _row(block: Block, total: Counts | None, found: Witness | None) -> dict[str, float]:
    """Return a block's values, with `total` the good blocks of its setting so far."""
    correlated = block.setting.get("procedure") in _CORRELATED
    g2_of = _g2(total) if correlated and total is not None else {}
    row = dict.fromkeys(_PER_BLOCK, np.nan)
    row |= {"trials": float(0 if total is None else total.trials.number), "good": float(block.good)}
    row |= {name: block.monitors[name] for name in _MONITORS if name in block.monitors}
    row |= _clicks(block.counts)
    row |= {f"g2_{pair}": value for pair, value in g2_of.items()}
    row |= {"g2_defined": float(all(pair in g2_of for pair in PAIRS))}
    row |= {"R_m_defined": float(found is not None)}
    if found is not None:
        sym = found.sym
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
