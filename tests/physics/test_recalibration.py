"""Calibrations for the verdict are repeated when the rates have drifted meanwhile."""

import numpy as np
import pytest

from analysis.counts import Counts, Quality, exact_trials
from labkit.procedures.autopilot import AutopilotOptions, _drifted, autopilot
from labkit.procedures.balance import BalanceOptions
from labkit.procedures.filters import FilterOptions
from labkit.procedures.null_test import NullTestOptions
from labkit.procedures.phase_sweep import PhaseSweepOptions
from labkit.procedures.splitting import SplittingOptions
from labkit.procedures.stray_light import StrayLightOptions
from labkit.procedures.witness import WitnessOptions
from labkit.run import Block, Goal
from labkit.run.progress import Watcher
from simulation.recordings.pulses import pulsed_timing

GATES = pulsed_timing().gates
OPTIONS = AutopilotOptions(
    filters=FilterOptions(points=7, trials=100_000, passes=1),
    balance=BalanceOptions(trials=2_000_000, rounds=2, level=0.5, tolerance=0.015),
    splitting=SplittingOptions(
        trials=400_000, leak_trials=200_000, pump_trials=0, pump_level=0.5, rounds=2
    ),
    stray_light=StrayLightOptions(trials=400_000, bright_trials=100_000),
    null_test=NullTestOptions(accidentals=300, block=500_000),
    phase_sweep=PhaseSweepOptions(points=5, trials=1_000_000),
    witness=WitnessOptions(goal=Goal(trials=6e6), block=500_000),
)


class Weakening(Watcher):
    """Lets the pump laser weaken by 17 % in the middle of the witness: less than a bad block."""

    def __init__(self, world):
        self.world, self.told, self.done = world, [], False

    def say(self, text):
        self.told.append(text)
        if text.startswith("3,000,000 trials") and not self.done:
            self.world.inject({"kind": "laser_gain", "target": "pump", "value": 0.83})
            self.done = True


@pytest.mark.long
def test_a_pump_that_weakens_within_the_witness_has_everything_measured_again(
    tmp_path, dry_lab, quiet
):
    with dry_lab(tmp_path, parameters=quiet) as lab:
        session = lab.session
        session.watcher = watcher = Weakening(lab.world)
        result = autopilot(session, lab.sequence, OPTIONS)
    assert watcher.done
    assert "the rates have drifted: the calibrations are repeated" in watcher.told
    again = {b.setting["procedure"] for b in session.blocks if b.setting.get("when") == "after"}
    assert again == {"splitting", "stray_light", "null_test"}
    verdict = result.evaluation.verdict
    for name in ("pump_balance", "read_balance", "background", "null_laser_only"):
        assert verdict.conditions[name].value is not None
    pump = verdict.conditions["pump_balance"]  # the worse of both, each known to 1 %
    assert pump.high >= pump.value


def witness_blocks(rng, change):
    """16 blocks whose pump rate ends at 1 + `change` of what it was."""
    found = []
    for number in range(16):
        pump = rng.poisson(2600 * (1 + change * (number >= 8)) * np.array([0.4, 0.6]))
        counts = Counts(
            gates=GATES, trials=exact_trials(500_000, "test"),
            singles=np.array([pump, [1000, 1500]]), pairs=np.zeros((4, 4), np.int64),
            repeated=np.zeros((2, 2), np.int64), histogram=np.zeros((2, 1), np.int64),
            bin_edges=np.array([0.0, 1.0]), gate_of_bin=np.array([-1], np.int8), quality=Quality(),
        )  # fmt: skip
        setting = {"procedure": "witness", "delta_phi": 0.0, "delay": 1e-7}
        found.append(Block(number=number + 1, segment="", counts=counts, setting=setting))
    return found


def test_a_steady_pump_is_not_taken_for_a_drifting_one():
    rng = np.random.default_rng(2)
    assert not any(_drifted(witness_blocks(rng, 0.0), 0.1) for _ in range(100))
    assert all(_drifted(witness_blocks(rng, change), 0.1) for change in (-0.2, 0.2))
    assert not _drifted(witness_blocks(rng, -0.5)[:10], 0.1)  # too few to compare
