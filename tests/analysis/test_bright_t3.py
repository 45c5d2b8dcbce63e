"""The compiled T3 loop: its three ways through a chunk count what array operations count."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counting.bright import BrightCounter
from analysis.counting.sparse import SparseCounter
from analysis.counting.tally import S, Tally, make_plan
from analysis.gates import Gate, GateSet
from analysis.tagfile.layouts import LAYOUTS

GATES = GateSet(
    period=50e-9,
    detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=2e-9, stop=10e-9), Gate(name="read", start=15e-9, stop=31e-9)),
)
HYDRA_V1, TIMEHARP, PICOHARP = 0x00010304, 0x00010305, 0x00010303
COMPARED = [S.WRAPPED, S.LAST, S.BACKWARDS, S.UNKNOWN, S.MARKERS, S.CROWDED_TRIALS, S.RECORDS,
            S.HIGHEST]  # fmt: skip


def orderly_t3(n, layout, rng, first=0, same=0.6, channels=3, longest=40):
    """About 1.5 photons per trial in time order, with every overflow record they need."""
    sync = first + np.cumsum(rng.geometric(same, n) - 1)
    dtime, channel = rng.integers(0, longest, n), rng.integers(0, channels, n)
    pico = layout.family == "pico"
    words = channel << (28 if pico else 25) | dtime << (16 if pico else 10) | sync % layout.wrap
    wraps = np.diff(sync // layout.wrap, prepend=0)
    at = np.repeat(np.arange(n), wraps)
    overflow = 0xF0000000 if pico else 0xFE000001
    return np.insert(words.astype(np.uint32), at, np.uint32(overflow))


def tallies(records, layout, block, gates=GATES):
    plan = make_plan(gates, layout, 1e-9)
    both = []
    for Counter in (BrightCounter, SparseCounter):
        both.append(Tally.empty(plan))
        counter = Counter(plan, both[-1])
        for start in range(0, len(records), block):
            counter.count(records[start : start + block])
        counter.finish()
    return both


def assert_equal(bright, sparse):
    assert bright.state[COMPARED].tolist() == sparse.state[COMPARED].tolist()
    for name in ("histogram", "repeated", "pairs"):
        assert np.array_equal(getattr(bright, name), getattr(sparse, name)), name


@pytest.mark.parametrize("record_type", [HYDRA_V1, TIMEHARP, PICOHARP])
def test_long_orderly_files_count_alike(record_type):
    layout = LAYOUTS[record_type]
    records = orderly_t3(60_000, layout, np.random.default_rng(record_type))
    bright, sparse = tallies(records, layout, 25_000)
    assert_equal(bright, sparse)
    assert bright.pairs.sum() > 1000
    assert bright.state[S.BACKWARDS] == 0


def of_cells(number):
    """Gates that make 2 · `number` cells and leave out little of 40 ns."""
    width = 39e-9 / number
    gates = [
        Gate(name=f"g{k}", start=k * width, stop=(k + 1) * width - 0.5e-9) for k in range(number)
    ]
    return GateSet(period=50e-9, detectors={1: 0, 2: 1}, gates=tuple(gates))


@pytest.mark.parametrize("record_type", [HYDRA_V1, TIMEHARP, PICOHARP])
@pytest.mark.parametrize("same", [0.1, 0.5, 0.97, 0.9996])
@pytest.mark.parametrize("gates", [1, 2, 3, 4])
def test_mostly_gated_files_count_alike_however_long_their_trials(record_type, same, gates):
    layout = LAYOUTS[record_type]
    rng = np.random.default_rng(gates)
    records = orderly_t3(30_000, layout, rng, same=same, channels=2)
    bright, sparse = tallies(records, layout, 13_001, of_cells(gates))
    assert_equal(bright, sparse)
    assert bright.pairs.sum() >= 5
    assert bright.state[S.CROWDED_TRIALS] >= 5


@settings(max_examples=60, deadline=None)
@given(
    record_type=st.sampled_from([HYDRA_V1, TIMEHARP, PICOHARP]),
    same=st.floats(0.05, 0.999),
    share=st.floats(0.1, 1.0),
    block=st.integers(4_000, 20_000),
    swaps=st.integers(0, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_files_whose_density_changes_count_alike(record_type, same, share, block, swaps, seed):
    layout, rng = LAYOUTS[record_type], np.random.default_rng(seed)
    records = orderly_t3(20_000, layout, rng, same=same, channels=2, longest=int(40 / share))
    for one, other in rng.integers(0, len(records), (swaps, 2)):
        records[[one, other]] = records[[other, one]]
    assert_equal(*tallies(records, layout, block))


@pytest.mark.parametrize("record_type", [TIMEHARP, PICOHARP])
@pytest.mark.parametrize("fault", ["marker", "reserved", "swapped", "lost overflow"])
def test_one_irregular_chunk_among_orderly_ones_counts_alike(record_type, fault):
    layout = LAYOUTS[record_type]
    pico = layout.family == "pico"
    records = orderly_t3(200_000 if pico else 20_000, layout, np.random.default_rng(7))
    if fault == "lost overflow":
        special = np.flatnonzero(records >= (0xF0000000 if pico else 0x80000000))
        records = np.delete(records, special[1])
    elif fault == "swapped":
        records[[9_000, 9_030]] = records[[9_030, 9_000]]
    else:
        number = 3 if fault == "marker" else 16
        records[9_000] = 15 << 28 | number << 16 if pico else 1 << 31 | number << 25
    bright, sparse = tallies(records, layout, 1 << 18)
    assert_equal(bright, sparse)
    seen = {"marker": S.MARKERS, "reserved": S.UNKNOWN}.get(fault, S.BACKWARDS)
    assert bright.state[seen] >= 1


@settings(max_examples=200, deadline=None)
@given(
    record_type=st.sampled_from([HYDRA_V1, TIMEHARP, PICOHARP]),
    n=st.integers(1, 80),
    block=st.integers(1, 30),
    swaps=st.integers(0, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_cut_into_blocks_counts_alike(record_type, n, block, swaps, seed):
    layout, rng = LAYOUTS[record_type], np.random.default_rng(seed)
    records = orderly_t3(n, layout, rng, first=layout.wrap - n)
    for one, other in rng.integers(0, len(records), (swaps, 2)):
        records[[one, other]] = records[[other, one]]
    assert_equal(*tallies(records, layout, block))
