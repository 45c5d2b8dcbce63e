"""N-fold coincidences against trials enumerated by hand."""

from itertools import combinations

import numpy as np
import pytest

from analysis.counting.patterns import Patterns
from analysis.counts import Counts, Quality, exact_trials
from analysis.gates import Gate, GateSet
from analysis.questions.folds import cell_of, fold, heralded

GATES = GateSet(
    period=1e-6, detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=0.0, stop=1e-8), Gate(name="read", start=2e-8, stop=3e-8)),
)  # fmt: skip
P1, P2, R1, R2 = GATES.cells


def patterns(clicked):
    """Make the patterns of trials, given the cells clicked in each; shape (trials, cells)."""
    together = clicked.astype(int).T @ clicked
    several = {}
    for trial in clicked[clicked.sum(axis=1) > 1]:
        cells = frozenset(cell for cell, hit in zip(GATES.cells, trial, strict=True) if hit)
        several[cells] = several.get(cells, 0) + 1
    counts = Counts(
        gates=GATES, trials=exact_trials(len(clicked), "made"),
        singles=together.diagonal().reshape(2, 2), pairs=together - np.diag(together.diagonal()),
        repeated=np.zeros((2, 2), np.int64), histogram=np.zeros((2, 1), np.int64),
        bin_edges=np.array([0.0, 1.0]), gate_of_bin=np.array([0], np.int8), quality=Quality(),
    )  # fmt: skip
    return Patterns(counts=counts, several=several)


def test_folds_of_every_set_of_cells_are_those_counted_by_hand():
    clicked = np.random.default_rng(1).random((3000, 4)) < 0.2
    found = patterns(clicked)
    for size in (2, 3, 4):
        for chosen in combinations(range(4), size):
            each = fold(found, [GATES.cells[i] for i in chosen])
            hits = clicked[:, chosen].all(axis=1)
            assert each.together == hits.sum()
            assert each.exactly == (hits & (clicked.sum(axis=1) == size)).sum()
            shares = clicked[:, chosen].mean(axis=0)
            assert each.accidental == pytest.approx(3000 * shares.prod())
            assert abs(each.g.value - 1) < 4.5 / np.sqrt(each.accidental)


def test_heralded_g2_is_that_of_the_heralded_trials():
    clicked = np.random.default_rng(2).random((20_000, 4)) < 0.2
    kept = clicked[clicked[:, 0]]
    found = heralded(patterns(clicked), P1, R1, R2)
    expected = kept[:, 2:].all(axis=1).mean() / kept[:, 2].mean() / kept[:, 3].mean()
    assert found.value == pytest.approx(expected)
    assert found.low < 1.0 + 4 * (found.high - found.low)


def test_folds_of_two_files_add():
    rng = np.random.default_rng(3)
    parts = [rng.random((1000, 4)) < share for share in (0.1, 0.4)]
    both = fold(patterns(parts[0]) + patterns(parts[1]), GATES.cells)
    assert both == fold(patterns(np.concatenate(parts)), GATES.cells)


def test_a_fold_that_never_happened_has_a_one_sided_interval():
    clicked = np.zeros((100, 4), bool)
    clicked[0, :2] = clicked[1, 2] = True
    found = fold(patterns(clicked), [P1, P2, R1], level=0.9)
    assert (found.together, found.g.value, found.g.low) == (0, 0.0, 0.0)
    assert found.g.high * found.accidental == pytest.approx(-np.log(0.1))
    with pytest.raises(ValueError, match="gate read has no click of detector 2"):
        fold(patterns(clicked), [P1, R2])


def test_cells_are_read_as_they_are_printed():
    assert cell_of("read2", GATES.cells) == R2
    with pytest.raises(ValueError, match="one of pump1, pump2, read1, read2"):
        cell_of("read3", GATES.cells)
