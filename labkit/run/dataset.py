"""A QCoDeS dataset per run, so that QCoDeS's own tools find and plot it."""

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.correlation import G2, g2
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
_SETTINGS = {
    "procedure": ("procedure", "", "text"),
    "block_delta_phi": ("Δφ of the block", "rad", "numeric"),
    "block_delay": ("delay of the block", "s", "numeric"),
}
"""Of every block; `delta_phi` and `delay` themselves are set-points of the sweeps' curves."""

_SWEPT = {"phase_sweep": ("delta_phi", "Δφ", "rad"), "delay_sweep": ("delay", "delay", "s")}
"""By procedure: the set-point of its curves, its label and its unit."""

_CURVES = {"crossed": "different detectors", "same": "same detector"}

_FLAGS = ("good", "pump_defined", "read_defined", "g2_defined", "R_m_defined")
_MONITORS = ("lock_error", "phase_noise", "temperature", "pump_laser_hz", "read_laser_hz")
_CORRELATED = ("witness", "phase_sweep", "delay_sweep", "g2", "bell", "single_phonons")
"""Procedures whose blocks have g²."""

GROWTH = 1.6
"""R_m is computed after the first block, and whenever the trials behind it have grown so much."""


def register_dataset(folder: RunFolder, blocks: list[Block]) -> int:
    """Write a run's blocks as a QCoDeS dataset into ``runs.db`` beside the run folders.

    Everything has the block number as its set-point. The g² of a sweep's good blocks are there once
    more as curves over what was swept: ``phase_sweep_g2_crossed`` and ``phase_sweep_g2_same`` over
    ``delta_phi``, ``delay_sweep_…`` over ``delay``, so that QCoDeS plots the fringe. The
    dataset's snapshot is that of the instruments at the run's end.

    The dataset's sample name is the run folder's name. What a block does not have (a gate, g², a
    witness, a monitor that was not read) is nan there, and ``pump_defined``, ``read_defined``,
    ``g2_defined``, ``R_m_defined`` are 0. R_m stands in few rows of a long run, see `GROWTH`, and
    in the last of each setting.

    Returns
    -------
    int
        The dataset's run id, for ``load_by_id``.

    Raises
    ------
    OSError
        If the database refuses, as one that another program has locked for longer than 5 s.
    """
    database = folder.path.parent / DATABASE
    try:
        with _without_traces():
            return _register(database, folder, blocks)
    except (sqlite3.Error, RuntimeError) as error:  # QCoDeS's own words hide those of the database
        message = f"{database}: {_first_reason(error)}"
        raise OSError(message) from error


def _first_reason(error: BaseException) -> str:
    """Return what the database said, of an error that came of it."""
    while not isinstance(error, sqlite3.Error) and (inner := error.__cause__ or error.__context__):
        error = inner
    return str(error)


@contextmanager
def _without_traces() -> Iterator[None]:
    """Keep QCoDeS from printing traces of errors that are told in a line."""
    logger = logging.getLogger("qcodes.dataset")
    before, handler = logger.propagate, logging.NullHandler()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


def _register(path: Path, folder: RunFolder, blocks: list[Block]) -> int:
    from qcodes.dataset import (
        Measurement,
        connect,
        initialise_or_create_database_at,
        load_or_create_experiment,
    )

    database = str(path)
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
    rows: list[Mapping[str, float | str]] = []
    curves: dict[tuple[str, ...], list[Mapping[str, float | str]]] = {}
    for block in blocks:
        key = str(block.setting)
        if block.good:
            totals[key] = totals[key] + block.counts if key in totals else block.counts
        total, found = totals.get(key), None
        if total is not None and block.setting.get("procedure") == "witness":
            now = total.trials.number
            if now >= GROWTH * known.get(key, 0) or block.number == last[key]:
                known[key], found = now, _witness(total)
        rows.append({"block": block.number} | _row(block, total, found) | _settings(block))
        for point in _curve_points(block):
            curves.setdefault(tuple(point), []).append(point)
    for together in (rows, *curves.values()):
        if together:
            columns = {name: np.array([row[name] for row in together]) for name in together[0]}
            saver.add_result(*columns.items())  # at once: QCoDeS takes 5 ms for each call
    saver.dataset.add_metadata("run_folder", str(Path(folder.path).resolve()))
    saver.dataset.add_snapshot(json.dumps(_snapshot(folder), default=str), overwrite=True)
    return int(saver.run_id)


def _declare(measurement: "Measurement") -> None:
    measurement.register_custom_parameter("block", label="block number")
    for name, (label, unit) in _PER_BLOCK.items():
        measurement.register_custom_parameter(name, label=label, unit=unit, setpoints=("block",))
    for name in _FLAGS:
        measurement.register_custom_parameter(name, setpoints=("block",))
    for name, (label, unit, kind) in _SETTINGS.items():
        measurement.register_custom_parameter(
            name, label=label, unit=unit, setpoints=("block",), paramtype=kind
        )
    for procedure, (swept, label, unit) in _SWEPT.items():
        measurement.register_custom_parameter(swept, label=label, unit=unit)
        for curve, text in _CURVES.items():
            name = f"{procedure}_g2_{curve}"
            measurement.register_custom_parameter(name, label=f"g², {text}", setpoints=(swept,))


def _settings(block: Block) -> dict[str, float | str]:
    """Return what a block was measured at; nan where it has no such setting."""
    found: dict[str, float | str] = {"procedure": str(block.setting.get("procedure", ""))}
    for name in ("delta_phi", "delay"):
        value = block.setting.get(name, np.nan)
        found[f"block_{name}"] = value if isinstance(value, int | float) else np.nan
    return found


def _curve_points(block: Block) -> Iterator[dict[str, float]]:
    """Yield set-point and g² of a sweep's good block, of different and of the same detectors."""
    procedure = str(block.setting.get("procedure", ""))
    if procedure not in _SWEPT or not block.good:
        return
    swept = _SWEPT[procedure][0]
    found = _pairs(block.counts)
    for curve, pairs in (("crossed", ("r1p2", "r2p1")), ("same", ("r1p1", "r2p2"))):
        have = [found[pair] for pair in pairs if pair in found]
        expected = sum(pair.accidentals for pair in have)
        if expected > 0:
            value = sum(pair.coincidences for pair in have) / expected
            yield {swept: float(block.setting[swept]), f"{procedure}_g2_{curve}": value}


def _snapshot(folder: RunFolder) -> dict[str, object]:
    """Return the instruments' settings as QCoDeS keeps a station's: by instrument and parameter."""
    manifest = folder.manifest()
    instruments: dict[str, dict[str, Any]] = {}
    for name, value in (manifest.snapshot_after or manifest.snapshot_before).items():
        instrument, _, parameter = name.partition(".")
        one = instruments.setdefault(instrument, {"name": instrument, "parameters": {}})
        one["parameters"][parameter] = {"name": parameter, "value": value}
    return {"station": {"instruments": instruments, "parameters": {}}, "text": manifest.station}


def _witness(total: Counts) -> Witness | None:
    try:
        return witness(total)
    except ValueError:  # a count is zero: the row says that R_m is not defined
        return None


def _pairs(total: Counts) -> dict[str, G2]:
    """Return every pair that has accidentals."""
    found = {}
    for name, (a, b) in cross_pairs(total.gates).items():
        singles = total.single(*a), total.single(*b)
        if name in PAIRS and min(singles) > 0:
            found[name] = g2(total.coincidence(a, b), *singles, total.trials.number)
    return found


def _g2(total: Counts) -> dict[str, float]:
    """Return g² of every pair that has accidentals."""
    return {name: pair.value for name, pair in _pairs(total).items()}


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
