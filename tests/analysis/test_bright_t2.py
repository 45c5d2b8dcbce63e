"""The compiled T2 loop: strides of syncs, gate edges and faults count as array operations do."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.counting.bright import BrightCounter
from analysis.counting.sparse import SparseCounter
from analysis.counting.tally import S, Tally, make_plan
from analysis.gates import Gate, GateSet, TrialStart
from analysis.tagfile.layouts import LAYOUTS

PERIOD = 50
GATES = GateSet(
    period=PERIOD * 1e-9,
    detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=2e-9, stop=10e-9), Gate(name="read", start=15e-9, stop=31e-9)),
)
COMPARED = [S.TRIALS, S.LAST, S.TRIAL, S.MISSING, S.DOUBLED, S.FIRST_DOUBLED, S.BACKWARDS,
            S.MARKERS, S.EARLY, S.CROWDED_TRIALS]  # fmt: skip


def sync(time):
    return 1 << 31 | time


def marker(time, number=1):
    return 1 << 31 | number << 25 | time


def click(time, channel=0):
    return channel << 25 | time


def counted(records, gates=GATES):
    """The tally of the compiled loop, after a check that array operations make the same."""
    plan = make_plan(gates, LAYOUTS[0x00010205], 1e-9)
    both = []
    for Counter in (BrightCounter, SparseCounter):
        both.append(Tally.empty(plan))
        counter = Counter(plan, both[-1])
        counter.count(np.array(records, np.uint32))
        counter.finish()
    bright, sparse = both
    assert bright.state[COMPARED].tolist() == sparse.state[COMPARED].tolist()
    for name in ("histogram", "repeated", "pairs"):
        assert np.array_equal(getattr(bright, name), getattr(sparse, name)), name
    return bright.state, bright.histogram, plan.timeline


def regular(trials):
    return [sync(PERIOD * k) for k in range(trials)]


@pytest.mark.parametrize("after", range(PERIOD))
def test_gates_and_the_timeline_are_half_open_to_the_tick(after):
    _, histogram, line = counted([sync(0), click(after)])
    (place,) = np.flatnonzero(histogram[0])
    gate = 0 if 2 <= after < 10 else 1 if 15 <= after < 31 else -1
    assert line.gate_of_bin[place] == gate
    assert (place == line.n_bins) == (after >= line.starts[-1])


@pytest.mark.parametrize("after", [96, 97, 396, 397])
def test_gates_are_half_open_where_several_ticks_share_a_bin(after):
    wide = replace(GATES, period=1e-6, gates=(Gate(name="read", start=97e-9, stop=397e-9),))
    _, histogram, line = counted([sync(0), click(after)], wide)
    (place,) = np.flatnonzero(histogram[0])
    assert (line.gate_of_bin[place] == 0) == (97 <= after < 397)


@pytest.mark.parametrize("lost", range(9, 27))
def test_a_sync_missing_anywhere_in_a_stride_is_seen(lost):
    records = regular(40)
    del records[lost]
    state, *_ = counted(records)
    assert (state[S.TRIALS], state[S.MISSING], state[S.DOUBLED]) == (39, 1, 0)


@pytest.mark.parametrize("doubled", range(9, 27))
def test_a_doubled_sync_anywhere_in_a_stride_is_seen(doubled):
    records = regular(40)
    records.insert(doubled, sync(PERIOD * (doubled - 1) + 24))
    state, *_ = counted(records)
    assert (state[S.TRIALS], state[S.DOUBLED], state[S.FIRST_DOUBLED]) == (41, 1, doubled)


@pytest.mark.parametrize(("gap", "doubled"), [(24, 1), (25, 0)])
def test_a_sync_half_a_period_late_is_not_doubled(gap, doubled):
    state, *_ = counted([sync(0), sync(gap)])
    assert state[S.DOUBLED] == doubled


@pytest.mark.parametrize(("gap", "missing"), [(75, 0), (76, 1), (124, 1), (125, 2)])
def test_missing_syncs_are_the_gap_rounded_to_periods(gap, missing):
    state, *_ = counted([sync(0), sync(gap)])
    assert state[S.MISSING] == missing


def test_evenly_spaced_markers_are_no_syncs():
    state, *_ = counted([*regular(8), *(marker(PERIOD * k) for k in range(8, 32))])
    assert (state[S.TRIALS], state[S.MARKERS]) == (8, 24)


@pytest.mark.parametrize(("inputs", "begins"), [(0b01, 0), (0b10, 1), (0b11, 1), (0b1101, 0)])
def test_a_marker_begins_a_trial_by_its_bit_among_others(inputs, begins):
    gates = replace(GATES, trial=TrialStart(kind="marker", number=2))
    state, *_ = counted([marker(5, inputs)], gates)
    assert (state[S.TRIALS], state[S.MARKERS]) == (begins, 1 - begins)


def test_a_click_later_than_the_stride_of_syncs_after_it_is_out_of_order():
    late = [*regular(15), click(15 * PERIOD + 3), *regular(32)[15:]]
    state, *_ = counted(late)
    assert (state[S.TRIALS], state[S.BACKWARDS]) == (32, 1)


@pytest.mark.parametrize("seam", [12, 16, 20])
def test_stretches_join_with_late_clicks_and_doubled_syncs_at_and_behind_the_seam(seam):
    late, doubled = click(PERIOD * (seam - 1) + 2), sync(PERIOD * 31 + 10)
    records = [*regular(32)[: seam - 1], late, *regular(32)[seam - 1 :], doubled]
    plan = make_plan(GATES, LAYOUTS[0x00010205], 1e-9)
    first, second = (Tally.empty(plan) for _ in range(2))
    for tally, part in ((first, records[:seam]), (second, records[seam:])):
        counter = BrightCounter(plan, tally)
        counter.count(np.array(part, np.uint32))
        counter.finish()
    first.append(second, plan)
    state, *_ = counted(records)
    assert first.state[COMPARED].tolist() == state[COMPARED].tolist()
    assert state[S.BACKWARDS] == 1
    assert state[S.FIRST_DOUBLED] == 33
