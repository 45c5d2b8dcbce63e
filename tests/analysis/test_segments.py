"""Counts in segments against counting each segment's tags alone, and against the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counting import count
from analysis.gates import Gate, GateSet, TrialStart
from analysis.questions.segments import count_at_markers, count_between, count_every
from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import MARKER, SYNC
from analysis.tagfile.source import TagFileError

TICK, PERIOD = 1e-9, 50
GATES = (Gate(name="pump", start=2e-9, stop=10e-9), Gate(name="read", start=15e-9, stop=31e-9))


class Memory(EncodedSource):
    """Tags in memory: (trial, ticks after its start, channel), a marker's channel above 64."""

    def __init__(self, path, tags, *, mode, trials):
        acquisition = Acquisition(
            mode=mode, resolution=TICK, sync_period=PERIOD * TICK,
            sync_rate=1 / (PERIOD * TICK), measured_time=trials * PERIOD * TICK,
        )  # fmt: skip
        super().__init__(path, acquisition)
        tags = sorted(tags)
        self.format = "memory"
        trial, ticks, channel = np.array(tags, np.int64).reshape(-1, 3).T
        if mode == "T3":
            self.events = Events(
                time=trial, dtime=ticks.astype(np.int32), channel=channel.astype(np.uint8)
            )
            return
        time = np.concatenate([np.arange(trials) * PERIOD + 1000, trial * PERIOD + ticks + 1000])
        codes = np.concatenate([np.full(trials, SYNC), channel])
        order = np.lexsort((codes != SYNC, time))
        self.events = Events(time=time[order], dtime=None, channel=codes[order].astype(np.uint8))

    def read_events(self):
        yield self.events


def gate_set():
    return GateSet(period=PERIOD * TICK, detectors={1: 0, 2: 1}, gates=GATES, trial=TrialStart())


tags = st.lists(
    st.tuples(st.integers(0, 199), st.integers(1, 40), st.sampled_from([0, 1, 2, MARKER + 2])),
    min_size=1, max_size=80,
)  # fmt: skip


def numbers(counts):
    q = counts.quality
    return (
        counts.singles.tolist(), counts.pairs.tolist(), counts.repeated.tolist(),
        counts.histogram.tolist(), q.foreign_clicks, q.markers,
    )  # fmt: skip


def alone(tmp, tags, mode, first, stop):
    """Count only the tags of trials first … stop - 1, moved to begin at trial 0."""
    kept = [(n - first, t, c) for n, t, c in tags if first <= n < stop]
    return count(Memory(tmp, kept or [(0, 49, 5)], mode=mode, trials=stop - first), gate_set())


@pytest.mark.parametrize("mode", ["T2", "T3"])
@settings(max_examples=15, deadline=None)
@given(tags=tags, length=st.integers(25, 250))
def test_segments_of_equal_length_count_as_their_tags_alone(tmp_path_factory, mode, tags, length):
    path = tmp_path_factory.getbasetemp() / "memory"
    source = Memory(path, tags, mode=mode, trials=200)
    found = count_every(source, gate_set(), length * PERIOD * TICK)
    whole = count(Memory(path, tags, mode=mode, trials=200), gate_set())
    assert numbers(sum(found.counts)) == numbers(whole)
    assert sum(found.counts).trials.number == whole.trials.number
    firsts = range(0, whole.trials.number, length)
    assert len(found) == len(firsts)
    for first, counts in zip(firsts, found.counts, strict=True):
        stop = min(first + length, whole.trials.number)
        assert counts.trials.number == stop - first
        assert numbers(counts)[:3] == numbers(alone(path, tags, mode, first, stop))[:3]
    assert found.edges[:-1] == pytest.approx(np.array(firsts) * PERIOD * TICK)


@pytest.mark.parametrize("mode", ["T2", "T3"])
@settings(max_examples=15, deadline=None)
@given(tags=tags, markers=st.lists(st.integers(0, 198), min_size=1, max_size=5))
def test_segments_begin_with_the_first_trial_after_a_marker(tmp_path_factory, mode, tags, markers):
    path = tmp_path_factory.getbasetemp() / "memory"
    clicks = [tag for tag in tags if tag[2] < SYNC]
    marked = [*clicks, *((n, 20, MARKER + 1) for n in markers)]
    found = count_at_markers(Memory(path, marked, mode=mode, trials=200), gate_set(), 1)
    edges = [0, *(n + 1 for n in sorted(markers)), 200]
    for counts, first, stop in zip(found.counts, edges[:-1], edges[1:], strict=True):
        assert counts.trials.number == stop - first
        if stop > first:
            assert counts.pairs.tolist() == alone(path, clicks, mode, first, stop).pairs.tolist()


@pytest.mark.parametrize("mode", ["T2", "T3"])
def test_counts_between_two_times_are_those_trials(tmp_path, mode):
    rng = np.random.default_rng(1)
    tags = list(zip(rng.integers(0, 200, 300), rng.integers(0, 40, 300), rng.integers(0, 2, 300),
                    strict=True))  # fmt: skip
    source = Memory(tmp_path, tags, mode=mode, trials=200)
    counts = count_between(source, gate_set(), 30 * PERIOD * TICK, 90 * PERIOD * TICK)
    assert numbers(counts) == numbers(alone(tmp_path, tags, mode, 30, 90))
    assert counts.trials.number == 60
    with pytest.raises(ValueError, match=r"has none; it lasts 1e-05 s"):
        count_between(source, gate_set(), 1.0, 2.0)


def test_tags_out_of_order_are_not_cut(tmp_path):
    source = Memory(tmp_path, [(1, 5, 0), (9, 5, 0)], mode="T3", trials=10)
    source.events.time[:] = [9, 1]
    with pytest.raises(TagFileError, match="order of time"):
        count_every(source, gate_set(), 1e-6)


def test_a_file_without_the_marker_is_refused(tmp_path):
    source = Memory(tmp_path, [(1, 5, 0)], mode="T3", trials=10)
    with pytest.raises(ValueError, match="no record of marker 3"):
        count_at_markers(source, gate_set(), 3)
