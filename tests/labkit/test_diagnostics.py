"""Sentences about the set-up: silent where all is well, and about the right cause."""

import numpy as np
import pytest

from analysis.counts import Counts, Quality, exact_trials
from analysis.evaluation import evaluate
from analysis.gates import Gate, GateSet
from analysis.published import RIEDINGER_2018
from labkit.report.diagnostics import diagnose, diagnose_blocks
from labkit.run import Block
from simulation.theory.dlcz import click_probabilities, riedinger2018

GATES = GateSet(
    period=50e-6,
    detectors={1: 0, 2: 1},
    gates=(
        Gate(name="pump", start=1e-6, stop=1.06e-6),
        Gate(name="read", start=2e-6, stop=2.06e-6),
    ),
)
EDGES = np.array([0, 0.9, 1, 1.06, 1.5, 1.9, 2, 2.06, 3, 4, 5, 6, 7]) * 1e-6
OF_BIN = np.array([-1, -1, 0, -1, -1, -1, 1, -1, -1, -1, -1, -1], np.int8)


def counts_of(singles, pairs, trials, outside=0.0):
    """Counts with `outside` clicks per µs and detector beside the gates; pairs [read, pump]."""
    cells = np.zeros((4, 4), np.int64)
    cells[2:, :2] = pairs
    histogram = np.round(outside * np.diff(EDGES) * 1e6 * np.ones((2, 1))).astype(np.int64)
    histogram[:, OF_BIN >= 0] += np.asarray(singles).T
    return Counts(
        gates=GATES,
        trials=exact_trials(trials, "test"),
        singles=np.array(singles),
        pairs=cells + cells.T,
        repeated=np.zeros((2, 2), np.int64),
        histogram=histogram,
        bin_edges=EDGES,
        gate_of_bin=OF_BIN,
        quality=Quality(),
    )


GOOD = counts_of([[6500, 9000], [6200, 8800]], [[5, 60], [60, 10]], 10_000_000)


def remarks(counts, **options):
    return diagnose(evaluate(counts), **options)


def test_the_papers_counts_get_no_remark():
    paper = RIEDINGER_2018["optimal"].counts
    pairs = [[paper.coincidences[f"r{i}p{j}"] for j in (1, 2)] for i in (1, 2)]
    assert remarks(counts_of([paper.pump, paper.read], pairs, paper.trials, 100.0)) == ()


def test_false_alarms_are_rare_at_any_number_of_trials():
    """60 draws of the paper's model at 1 % to 300 % of its trials: at most 1 gets a remark."""
    model, rng, alarms = click_probabilities(riedinger2018("optimal")), np.random.default_rng(5), 0
    for share in np.geomspace(0.01, 3, 60):
        trials = int(share * 1.114e9)
        singles = rng.poisson(trials * model.singles).reshape(2, 2)
        pairs = rng.poisson(trials * model.coincidences)
        alarms += bool(remarks(counts_of(singles, pairs, trials)))
    assert alarms <= 1


def test_half_the_contrast_is_called_low_and_none_is_called_no():
    low = counts_of([[6500, 9000], [6200, 8800]], [[400, 800], [800, 400]], 10_000_000)
    none = counts_of([[6500, 9000], [6200, 8800]], [[600, 600], [600, 600]], 10_000_000)
    assert remarks(low)[0].startswith("low (0.36 ± 0.02) contrast")
    assert "Δφ is off by about 0.4 π" in remarks(low)[0]
    assert remarks(none)[0].startswith("no contrast between detectors")


def test_a_locked_phase_is_no_suspect():
    none = counts_of([[6500, 9000], [6200, 8800]], [[600, 600], [600, 600]], 10_000_000)
    assert "the phase is not locked" in remarks(none)[0]
    assert "not locked" not in remarks(none, monitors=[{"locked": 1.0}])[0]
    opened = remarks(none, monitors=[{"locked": 1.0}, {"locked": 0.0}])
    assert opened[0] == "the phase lock was open after 1 of 2 blocks"


def test_background_beside_the_gates_is_measured_inside():
    noisy = counts_of([[6500, 9000], [6200, 8800]], [[5, 60], [60, 10]], 10_000_000, 20_000.0)
    assert remarks(noisy)[0].startswith(
        "18 % of the clicks of detector 1 in the pump gate are back"
    )


def test_gates_with_no_more_than_background_are_dark():
    dark = counts_of([[60, 60], [6200, 8800]], [[0, 0], [0, 0]], 10_000_000, 1000.0)
    assert remarks(dark)[0].startswith("no light in the pump gate")
    nothing = counts_of([[0, 0], [0, 0]], [[0, 0], [0, 0]], 10_000_000)
    assert remarks(nothing)[0].startswith("no light in any gate")


def test_one_dark_detector_is_named_once():
    dark = counts_of([[6500, 1], [6200, 0]], [[60, 0], [0, 0]], 10_000_000)
    assert len(remarks(dark)) == 1
    assert remarks(dark)[0].startswith("detector 2 sees no light: latched")


def test_change_of_rates_is_told_beyond_20_percent_and_3_sigma():
    weaker = counts_of([[6500, 4500], [6200, 8700]], [[5, 30], [60, 10]], 10_000_000)
    assert remarks(weaker, reference=GOOD) == ("the pump rate of detector 2 has changed by -50 %",)
    few = counts_of([[7, 4], [6, 9]], [[0, 0], [0, 0]], 10_000)
    assert not any("rate" in remark for remark in remarks(few, reference=GOOD))


@pytest.mark.parametrize(
    ("pump", "read", "where"),
    [
        ((1, 0.5), (1, 0.5), "both gates of detector 2 alone: its filters off the line"),
        ((1.6, 1), (2, 1), "both gates of detector 1 alone: stray light or dark counts"),
        ((0.5, 0.6), (1, 1), "the pump gate of both detectors alone: less power of the pump laser"),
        ((1, 1), (1.6, 1.7), "the read gate of both detectors alone: more power of the read laser"),
        ((0.6, 0.6), (0.5, 0.6), "all rates have gone down: an arm loses light"),
    ],
)
def test_rates_that_change_together_tell_where_to_look(pump, read, where):
    singles = [[6500 * pump[0], 9000 * pump[1]], [6200 * read[0], 8800 * read[1]]]
    found = remarks(
        counts_of(np.rint(singles).astype(int), [[5, 60], [60, 10]], 10_000_000), reference=GOOD
    )
    assert [text for text in found if "rate of" not in text][-1].startswith(where)


@pytest.mark.parametrize(
    ("pump", "read", "where"),
    [
        ((1, 1), (1.15, 1.16), "the read rates of both detectors alone have changed by +16 %"),
        ((0.88, 0.87), (1, 1), "the pump rates of both detectors alone have changed by -12 %"),
        ((1, 1), (1.08, 1.08), None),
        ((1.09, 1.09), (1.15, 1.15), None),
        ((1, 1), (1.15, 1), None),
    ],
)
def test_smaller_change_of_both_detectors_in_one_gate_alone_is_told(pump, read, where):
    """A change of every rate by less than 20 % is told if arms, coupler, detectors are no cause."""
    singles = [[6500 * pump[0], 9000 * pump[1]], [6200 * read[0], 8800 * read[1]]]
    found = remarks(
        counts_of(np.rint(singles).astype(int), [[5, 60], [60, 10]], 10_000_000), reference=GOOD
    )
    assert [text for text in found if "alone have changed" in text] == ([where] if where else [])
    assert any("phase noise" in text for text in found) == (where is not None and read[0] > 1)


def test_rates_that_change_against_each_other_tell_no_place():
    mixed = counts_of([[3250, 9000], [6200, 17600]], [[5, 60], [60, 10]], 10_000_000)
    found = remarks(mixed, reference=GOOD)
    assert not any("alone" in text or "all rates" in text for text in found)


def test_exchanged_detectors_are_told_once():
    swapped = counts_of([[9000, 6500], [8800, 6200]], [[10, 60], [60, 5]], 10_000_000)
    found = remarks(swapped, reference=GOOD)
    assert len(found) == 1
    assert "have exchanged their rates" in found[0]


@pytest.mark.parametrize(("kelvin", "told"), [((0.06, 0.065), False), ((0.06, 0.4), True)])
def test_warm_cryostat_is_told_from_the_blocks(kelvin, told):
    blocks = [
        Block(number=n, segment="", counts=GOOD, monitors={"locked": 1.0, "temperature": t})
        for n, t in enumerate(kelvin, 1)
    ]
    found = diagnose_blocks(evaluate(sum(b.counts for b in blocks)), blocks)
    assert any("temperature" in remark for remark in found) == told


def weak(crossed, same, accidentals=50):
    """Counts with these g² at different and at the same detectors, 4 × `accidentals` expected."""
    rate = round((accidentals * 10_000_000) ** 0.5)
    pairs = [
        [same * accidentals, crossed * accidentals],
        [crossed * accidentals, same * accidentals],
    ]
    return counts_of([[rate, rate], [rate, rate]], pairs, 10_000_000)


def test_correlations_too_weak_for_entanglement_are_laid_to_power_heat_or_background():
    """c*(1) = 3 + 2√2: 4.0 ± 0.2 cannot be entangled at any phase; 8 can, and gets no word."""
    (sentence,) = (r for r in remarks(weak(4.0, 1.1)) if "too weakly for entanglement" in r)
    assert "at full contrast 5.83 is needed" in sentence
    assert "too much power of the pump" in sentence
    assert "of either laser (heating)" in sentence
    assert not any("too weakly" in remark for remark in remarks(weak(8.0, 1.1)))


def test_few_counts_of_a_weak_correlation_are_no_evidence_of_too_much_power():
    assert not any("too weakly" in r for r in remarks(weak(4.0, 1.1, accidentals=2)))


def turning(theta, pi):
    """Blocks at θ and θ + π whose g² (crossed, same) are these."""
    return [
        Block(number=n, segment="", counts=weak(*g2), setting={"turn": turn})
        for n, (turn, g2) in enumerate({"theta": theta, "pi": pi}.items(), 1)
    ]


@pytest.mark.parametrize(
    ("theta", "pi", "told"),
    [
        ((1.1, 8.0), (1.1, 8.0), "the same detector correlate"),  # a mirror
        ((8.0, 1.1), (8.0, 1.1), "different detectors correlate"),
        ((8.0, 1.1), (1.1, 8.0), None),  # interference
        ((4.5, 4.5), (4.5, 4.5), None),  # no contrast: another sentence
    ],
)
def test_a_coupler_that_does_not_interfere_is_told_from_both_turns(theta, pi, told):
    blocks = turning(theta, pi)
    found = diagnose_blocks(evaluate(sum((b.counts for b in blocks[1:]), blocks[0].counts)), blocks)
    stuck = [text for text in found if text.startswith("the phase does nothing")]
    assert bool(stuck) is bool(told)
    for text in stuck:
        assert told in text
        assert "combining coupler does not let the arms interfere" in text
        assert "even if the lock finds its fringe" in text
    if told:  # one cause, one sentence
        assert not any(text.startswith("no contrast") for text in found)
