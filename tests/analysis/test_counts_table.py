"""Counts as tables with units, and back."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from analysis.counts import Counts, Quality, exact_trials
from analysis.gates import Gate, GateSet
from analysis.questions.table import read_parquet, to_pandas, write_parquet

COUNTS = Counts(
    gates=GateSet(
        period=1e-6, detectors={1: 0, 2: 1}, gates=(Gate(name="read", start=0.0, stop=1e-8),)
    ),
    trials=exact_trials(1000, "made"), singles=np.array([[30, 40]]),
    pairs=np.array([[0, 7], [7, 0]]), repeated=np.array([[2, 0]]),
    histogram=np.array([[32], [40]]), bin_edges=np.array([0.0, 1e-8]),
    gate_of_bin=np.array([0], np.int8), quality=Quality(records=72, warnings=("made by hand",)),
)  # fmt: skip


def test_a_row_stands_for_each_cell_and_each_pair():
    frame = to_pandas(COUNTS)
    pairs = frame.set_index(["gate", "detector", "other_gate", "other_detector"])["together"]
    assert pairs.to_dict() == {
        ("read", 1, "read", 1): 30, ("read", 1, "read", 2): 7, ("read", 2, "read", 2): 40,
    }  # fmt: skip
    assert frame["repeated"].sum() == 2
    assert frame.attrs["units"]["together"] == "trials"


def test_parquet_keeps_everything_and_states_units(tmp_path):
    path = tmp_path / "counts.parquet"
    write_parquet(COUNTS, path)
    assert read_parquet(path) == COUNTS
    table = parquet.read_table(path)
    assert table.schema.field("together").metadata == {b"unit": b"trials"}
    assert table.column("together").to_pylist() == to_pandas(COUNTS)["together"].tolist()


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "other.parquet"
    parquet.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ValueError, match="hold no counts"):
        read_parquet(path)
    path.write_bytes(b"no table")
    with pytest.raises(ValueError, match="must be a Parquet file"):
        read_parquet(path)
