"""The study of planned runs: its labs and its table."""

import numpy as np
import pytest

from benchmarks.inference import simulated
from benchmarks.planned_runs import PlannedRun, autopilot_plan, drawn_lab, table


def test_drawn_labs_are_balanced_and_look_like_the_usual_one():
    labs = [drawn_lab(np.random.default_rng(seed)) for seed in range(200)]
    for lab in labs:
        assert lab["p_pump_A"] * lab["eta_A"] == pytest.approx(lab["p_pump_B"] * lab["eta_B"])
        assert 0.38 < lab["contrast"] < 0.997
    assert np.median([lab["n_0_A"] for lab in labs]) == pytest.approx(0.033, rel=0.15)


def test_simulated_run_has_the_records_of_an_autopilot():
    rng = np.random.default_rng(1)
    records = simulated(drawn_lab(rng), autopilot_plan(), rng, 0.05).records
    assert len(records) == 19
    assert sum(record.trials for record in records if record.data_set == "witness") == 1.114e9
    assert sum(record.kind == "laser" for record in records) == 2


def test_table_counts_hits_and_leaves_hopeless_labs_unplanned():
    found = [
        PlannedRun(R_m=0.7, rank=0.3, ratio=1.5, inside=0.8),
        PlannedRun(R_m=0.8, rank=0.1, ratio=2.5, inside=0.6),
        PlannedRun(R_m=1.7, rank=0.99),
    ]
    _, _, everything, clear = table(found).splitlines()
    assert everything.startswith("| any | 3 | 33 % [")
    assert clear.startswith("| below 0.9 | 2 | 50 % [")
    assert clear.endswith("| 70 % |")
