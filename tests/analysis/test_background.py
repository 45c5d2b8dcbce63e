"""Background of known size is taken out of g², and its uncertainty stays in."""

import numpy as np
import pytest

from analysis.correlation import g2
from analysis.counts import Counts, Quality, exact_trials
from analysis.gates import Gate, GateSet
from analysis.questions.background import without_background

GATES = GateSet(
    period=1e-6, detectors={1: 0},
    gates=(Gate(name="pump", start=0.0, stop=5e-8), Gate(name="read", start=1e-7, stop=1.5e-7),
           Gate(name="off", start=2e-7, stop=4e-7)),
)  # fmt: skip
A, B = ("read", 1), ("pump", 1)


def made(trials, pump, read, off, both):
    pairs = np.zeros((3, 3), np.int64)
    pairs[0, 1] = pairs[1, 0] = both
    return Counts(
        gates=GATES, trials=exact_trials(trials, "made"),
        singles=np.array([[pump], [read], [off]]), pairs=pairs,
        repeated=np.zeros((3, 1), np.int64), histogram=np.zeros((1, 3), np.int64),
        bin_edges=np.array([0.0, 5e-8, 1e-7, 3e-7]), gate_of_bin=np.array([0, 1, 2], np.int8),
        quality=Quality(),
    )  # fmt: skip


def test_expected_counts_give_the_signals_own_g2():
    # signal 1,000 and 2,000 of 10**6 trials with g² = 8, background 500 in each gate (2,000 off)
    pairs = 8 * 1000 * 2000 / 10**6 + (1000 * 500 + 500 * 2000 + 500 * 500) / 10**6
    found = without_background(made(10**6, 1500, 2500, 2000, round(pairs)), A, B, "off")
    assert found.corrected.value == pytest.approx(8.0, abs=0.2)  # rounding of 17.75 pairs
    assert found.shares == pytest.approx((0.2, 1 / 3))
    assert found.raw.value < found.corrected.value < found.corrected.high


def test_without_background_the_interval_is_that_of_g2():
    found = without_background(made(10**9, 10**6, 10**6, 0, 4000), A, B, "off")
    expected = g2(4000, 10**6, 10**6, 10**9)
    for each in (found.raw, found.corrected):
        assert each.value == pytest.approx(expected.value, rel=1e-5)
        assert (each.low, each.high) == pytest.approx((expected.low, expected.high), rel=3e-3)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    n, s, b, g = 10**6, 3000.0, 1000.0, 5.0
    pairs = g * s * s / n + (2 * s * b + b * b) / n
    inside = 0
    for _ in range(200):
        counts = made(n, rng.poisson(s + b), rng.poisson(s + b), rng.poisson(4 * b),
                      rng.poisson(pairs))  # fmt: skip
        found = without_background(counts, A, B, "off").corrected
        inside += found.low < g < found.high
    assert abs(inside / 200 - 0.68) < 4 * np.sqrt(0.68 * 0.32 / 200)


def test_no_coincidence_gives_an_upper_limit():
    found = without_background(made(10**6, 1500, 2500, 400, 0), A, B, "off", level=0.9)
    assert found.corrected.low <= found.corrected.value <= 0 < found.corrected.high


def test_a_gate_that_holds_background_only_is_refused():
    with pytest.raises(ValueError, match="no signal is left"):
        without_background(made(10**6, 500, 2500, 2000, 3), A, B, "off")
