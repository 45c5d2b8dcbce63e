"""Clicks of one trial against those of later ones, against brute force."""

import numpy as np
import pytest

from analysis.counting import count
from analysis.counting.shifted import shifted_counts
from analysis.tagfile.events import Events
from analysis.tagfile.ptu_writer import write_ptu
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import riedinger2018

GATES = pulsed_timing().gates
BIN, PERIOD = 250e-12, 50e-6


def written(path, trial, gate, channel, trials):
    starts = {g.name: g.start for g in GATES.gates}
    dtime = np.array([round(starts[name] / BIN) + 4 for name in gate], np.int32)
    order = np.lexsort((dtime, trial))
    events = Events(time=trial[order], dtime=dtime[order], channel=channel[order].astype(np.uint8))
    write_ptu(path, events, sync_period=PERIOD, acquisition_time=trials * PERIOD)
    return path


@pytest.mark.parametrize("shifts", [1, 7, 100])
def test_pairs_and_accidentals_are_those_of_brute_force(tmp_path, shifts):
    rng, trials, clicks = np.random.default_rng(2), 500, 400
    trial = np.sort(rng.integers(0, trials, clicks))
    gate = rng.choice(["pump", "read"], clicks)
    channel = rng.integers(0, 2, clicks)
    path = written(tmp_path / "x.ptu", trial, gate, channel, trials)
    found = shifted_counts(path, GATES, trials, shifts=shifts)
    for late in (0, 1):
        for early in (0, 1):
            before = set(trial[(gate == "pump") & (channel == early)].tolist())
            after = set(trial[(gate == "read") & (channel == late)].tolist())
            pairs = sum(n + k in after for n in before for k in range(1, shifts + 1))
            places = sum(trials - k for k in range(1, shifts + 1))
            assert found.pairs[late, early] == pairs
            expected = places * len(before) * len(after) / trials**2
            assert found.accidentals[late, early] == pytest.approx(expected)


def test_light_of_the_model_is_uncorrelated_between_trials(tmp_path):
    """All four cells together within 4 σ, while g² within a trial is far above 1."""
    path, trials = tmp_path / "x.ptu", 40_000_000
    simulate_ptu(path, riedinger2018(), trials, seed=4)
    found = shifted_counts(path, GATES, trials)
    total = found + found.exchanged()
    expected = total.accidentals.sum()
    assert expected > 200
    assert abs(total.pairs.sum() - expected) < 4 * np.sqrt(2 * expected)


def test_rates_that_drift_together_show(tmp_path):
    """Both gates click in the first half of the trials only: g² of shifted trials is 2."""
    rng, trials = np.random.default_rng(3), 100_000
    trial = np.sort(rng.integers(0, trials // 2, 20_000))
    gate = rng.choice(["pump", "read"], len(trial))
    channel = rng.integers(0, 2, len(trial))
    path = written(tmp_path / "x.ptu", trial, gate, channel, trials)
    found = shifted_counts(path, GATES, trials)
    assert found.pairs.sum() / found.accidentals.sum() == pytest.approx(2.0, rel=0.02)


def test_gates_that_are_not_there_are_refused(tmp_path):
    path = tmp_path / "x.ptu"
    simulate_ptu(path, riedinger2018(), 100_000, seed=4)
    with pytest.raises(ValueError, match="`between` must name two of pump, read, but names probe"):
        shifted_counts(path, GATES, 100_000, between=("pump", "probe"))


def test_exchanged_detectors_of_a_gate_change_its_cells_only(tmp_path):
    path = tmp_path / "x.ptu"
    simulate_ptu(path, riedinger2018(), 20_000_000, seed=4)
    counts = count(path, GATES)
    folded = counts.exchanged("read")
    assert folded.single("read", 1) == counts.single("read", 2)
    assert folded.single("pump", 1) == counts.single("pump", 1)
    for name in ("pump", "read"):
        for a in (1, 2):
            other = (name, 3 - a) if name == "read" else (name, a)
            for b in (1, 2):
                if (name, a) != ("pump", b):
                    mine = folded.coincidence((name, a), ("pump", b))
                    assert mine == counts.coincidence(other, ("pump", b))
    assert folded.exchanged("read") == counts
    with pytest.raises(KeyError, match="no gate 'probe'"):
        counts.exchanged("probe")
