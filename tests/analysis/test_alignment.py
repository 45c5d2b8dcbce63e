"""Delays move clicks as a table of tags would, across trials too, and are found again."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.counting import count
from analysis.gates import Gate, GateSet
from analysis.questions.alignment import delays_between
from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.delayed import DelayedSource
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import SYNC
from analysis.tagfile.source import TagFileError

TICK, PERIOD, TRIALS = 1e-9, 50, 40
GATES = GateSet(
    period=PERIOD * TICK, detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=2e-9, stop=10e-9), Gate(name="read", start=15e-9, stop=31e-9)),
)  # fmt: skip


class Memory(EncodedSource):
    """Clicks (tick, channel) with a sync every period, as T2 or T3, in blocks of a few records."""

    def __init__(self, clicks, mode, *, block=7):
        super().__init__(
            Path("memory"), Acquisition(mode=mode, resolution=TICK, sync_period=PERIOD * TICK)
        )
        self.format, self.block = "memory", block
        time, channel = np.array(sorted(clicks), np.int64).reshape(-1, 2).T
        if mode == "T3":
            self.events = Events(
                time=time // PERIOD, dtime=(time % PERIOD).astype(np.int32),
                channel=channel.astype(np.uint8),
            )  # fmt: skip
            return
        time = np.concatenate([np.arange(TRIALS) * PERIOD, time])
        channel = np.concatenate([np.full(TRIALS, SYNC), channel])
        order = np.lexsort((channel != SYNC, time))
        self.events = Events(time=time[order], dtime=None, channel=channel[order].astype(np.uint8))

    def read_events(self):
        yield self.events

    def blocks(self, start=0, stop=None, *, size=1 << 18):
        return super().blocks(start, stop, size=self.block)


@pytest.mark.parametrize("mode", ["T2", "T3"])
@settings(max_examples=40, deadline=None)
@given(
    clicks=st.lists(
        st.tuples(st.integers(0, (TRIALS - 4) * PERIOD), st.sampled_from([0, 1])),
        min_size=1, max_size=60,
    ),
    delays=st.tuples(st.integers(0, 140), st.integers(0, 140)),
)  # fmt: skip
def test_delayed_clicks_count_as_clicks_recorded_later(mode, clicks, delays):
    source = DelayedSource(Memory(clicks, mode), {c: d * TICK for c, d in enumerate(delays)})
    found = count(source, GATES)
    expected = count(Memory([(t + delays[c], c) for t, c in clicks], mode), GATES)
    assert found.singles.tolist() == expected.singles.tolist()
    assert found.pairs.tolist() == expected.pairs.tolist()
    assert found.histogram.tolist() == expected.histogram.tolist()
    assert found.quality.out_of_order == 0


@pytest.mark.parametrize("mode", ["T2", "T3"])
def test_a_gate_before_the_trial_start_is_reached_by_a_delay(mode):
    clicks = [(n * PERIOD - 5, 0) for n in range(1, 11)]  # 5 ns before each trial
    moved = DelayedSource(Memory(clicks, mode), {0: 10e-9, 1: 10e-9})
    gates = GateSet(
        period=PERIOD * TICK, detectors={1: 0}, gates=(Gate(name="early", start=4e-9, stop=6e-9),)
    )
    assert count(moved, gates).single("early", 1) == 10


def test_a_delay_is_found_with_its_interval_and_taken_out():
    rng = np.random.default_rng(1)
    clicks = [
        (int(n * PERIOD + t + (4 if c else 0)), c)
        for n in range(TRIALS) for c in (0, 1) for t in rng.normal(20, 1.0, 20).round()
    ]  # fmt: skip
    found = delays_between(count(Memory(clicks, "T3"), GATES), "read", level=0.9999)
    assert found[1].low < 4e-9 < found[1].high
    assert found[1].high - found[1].low < 1e-9
    assert found[2].value == 0.0
    moved = count(DelayedSource(Memory(clicks, "T3"), {0: found[1].value}), GATES)
    assert max(each.value for each in delays_between(moved, "read").values()) < 0.5e-9


def test_delays_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="to advance one detector"):
        DelayedSource(Memory([(5, 0)], "T2"), {0: -1e-9})
    source = Memory([(5, 0), (80, 1)], "T3")
    source.events.time[:] = [3, 1]
    with pytest.raises(TagFileError, match="order of time"):
        count(DelayedSource(source, {0: 1e-9}), GATES)


def test_too_few_clicks_have_no_delay():
    with pytest.raises(ValueError, match="detector 2 has 0"):
        delays_between(count(Memory([(20, 0), (70, 0)], "T2"), GATES), "read")
