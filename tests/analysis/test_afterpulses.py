"""Afterpulses and dead time of known size are taken out of g² of two gates."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.counts import Counts, Quality, exact_trials
from analysis.gates import Gate, GateSet
from analysis.questions.afterpulses import without_memory

GATES = GateSet(
    period=1e-6, detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=0.0, stop=5e-8), Gate(name="read", start=1e-7, stop=1.5e-7),
           Gate(name="off", start=2e-7, stop=2.5e-7)),
)  # fmt: skip
TRIALS = 1_500_000
PUMP, READ, PAIR, AFTERPULSE = 4e-3, 6e-3, 2e-3, 0.02


def counted(clicked, arrivals=None, gates=GATES):
    """Return the counts of booleans of shape (gates, detectors, trials)."""
    cells = clicked.reshape(-1, clicked.shape[-1]).astype(np.int32)
    pairs = cells @ cells.T
    singles = np.diag(pairs).reshape(clicked.shape[:2])
    edges = np.linspace(0, 2.5e-7, 251)
    return Counts(
        gates=gates, trials=exact_trials(clicked.shape[-1], "made"), singles=singles,
        pairs=pairs - np.diag(np.diag(pairs)), repeated=np.zeros_like(singles),
        histogram=np.ones((2, 250), np.int64) if arrivals is None else arrivals, bin_edges=edges,
        gate_of_bin=np.repeat([0, -1, 1, -1, 2], 50).astype(np.int8), quality=Quality(),
    )  # fmt: skip


def recorded(seed, *, pair=PAIR, dead_part=0.0):
    """Return counts without and with memory of light whose pumps and reads come in pairs."""
    rng = np.random.default_rng(seed)
    together = rng.random((2, 2, TRIALS)) < pair / 2  # (read, pump) detectors
    pump = (rng.random((2, TRIALS)) < PUMP) | together.any(axis=0)
    read = (rng.random((2, TRIALS)) < READ) | together.any(axis=1)
    off = np.zeros_like(read)
    clean = counted(np.stack([pump, read, off]))
    live = read & ~(pump & (rng.random((2, TRIALS)) < dead_part))
    after = (pump[None] & (rng.random((2, 2, TRIALS)) < AFTERPULSE)) | np.stack([live, off])
    return clean, counted(np.stack([pump, after[0], after[1]]))


def g2_of(counts, late, early):
    return (
        counts.coincidence(late, early)
        * counts.trials.number
        / (counts.single(*late) * counts.single(*early))
    )


@pytest.mark.parametrize("early", [1, 2])
@pytest.mark.parametrize("dead_part", [0.0, 0.28])
def test_the_g2_without_memory_comes_back(early, dead_part):
    """28 % of pairs of flat arrivals in gates 100 ns apart are closer than 87.5 ns."""
    clean, seen = recorded(1, dead_part=dead_part)
    late, first = ("read", 1), ("pump", early)
    dead = {1: 87.416e-9} if dead_part else None
    found = without_memory(seen, late, first, calibration=seen, gate="off", dead_times=dead)
    if dead_part:
        assert found.shares[1] == pytest.approx(dead_part, abs=0.005)
    assert found.raw.value == pytest.approx(g2_of(seen, late, first), rel=1e-6)
    sigma = (found.corrected.high - found.corrected.low) / 2
    assert abs(found.corrected.value - g2_of(clean, late, first)) < 3 * sigma
    if early == 1 and not dead_part:
        assert found.raw.low > g2_of(clean, late, first)


def test_coherent_light_in_the_same_gates_is_a_calibration_too():
    clean, seen = recorded(2)
    _, calibration = recorded(3, pair=0.0)
    late, early = ("read", 1), ("pump", 1)
    found = without_memory(seen, late, early, calibration=calibration, gate="read").corrected
    assert abs(found.value - g2_of(clean, late, early)) < 1.5 * (found.high - found.low)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """120 draws of Poisson counts with 2 % afterpulses: 68 % within 4 standard deviations."""
    rng, inside = np.random.default_rng(4), 0
    n, pump, read, g = 10**8, 4e5, 5e5, 6.0
    pairs = np.zeros((3, 2, 3, 2))
    expected = g * pump * read / n
    for _ in range(120):
        made = counted(np.zeros((3, 2, 1), bool))
        after = AFTERPULSE * pump
        singles = rng.poisson([[pump] * 2, [read + after] * 2, [after] * 2])
        pairs[1, 0, 0, 0] = rng.poisson(expected + AFTERPULSE * (pump - expected))
        pairs[2, 0, 0, 0] = singles[2, 0]
        both = (pairs + pairs.transpose(2, 3, 0, 1)).reshape(6, 6).astype(np.int64)
        counts = replace(made, trials=exact_trials(n, "made"), singles=singles, pairs=both)
        found = without_memory(counts, ("read", 1), ("pump", 1), calibration=counts, gate="off")
        inside += found.corrected.low < g < found.corrected.high
    assert abs(inside / 120 - 0.68) < 4 * np.sqrt(0.68 * 0.32 / 120)


def test_a_dead_time_that_covers_the_gate_is_refused():
    _, seen = recorded(5)
    with pytest.raises(ValueError, match=r"dead time of 2e-07 s of detector 1 must leave it live"):
        without_memory(
            seen, ("read", 1), ("pump", 1), calibration=seen, gate="off", dead_times={1: 2e-7}
        )


def test_a_calibration_without_pump_clicks_shows_nothing():
    _, seen = recorded(5)
    dark = counted(np.zeros((3, 2, 10), bool))
    with pytest.raises(ValueError, match="must have clicks of detector 1 in gate pump"):
        without_memory(seen, ("read", 1), ("pump", 1), calibration=dark, gate="off")
