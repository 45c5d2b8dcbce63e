"""Delay histograms against all pairs by hand, and g²(τ) of light whose coherence is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.questions.delays import correlate
from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import Events
from analysis.tagfile.source import TagFileError

TICK = 1e-9


class Clicks(EncodedSource):
    """T2 clicks in memory, yielded some records at a time."""

    def __init__(self, time, channel, *, block=5, measured_time=None):
        super().__init__(Path("memory"), Acquisition(resolution=TICK, measured_time=measured_time))
        self.format, self.block = "memory", block
        self.time, self.channel = np.asarray(time, np.int64), np.asarray(channel, np.uint8)

    def read_events(self):
        yield Events(time=self.time, dtime=None, channel=self.channel)

    def blocks(self, start=0, stop=None, *, size=1 << 18):
        return super().blocks(start, stop, size=self.block)


def all_pairs(a, b, ticks, bins, *, same):
    found = np.zeros(2 * bins, int)
    for i, t in enumerate(a):
        for j, u in enumerate(b):
            place = (u - t + bins * ticks) // ticks
            if 0 <= place < 2 * bins and not (same and i == j):
                found[place] += 1
    return found


def first_stops(tags, start, stop, ticks, bins):
    found, waiting = np.zeros(bins, int), None
    for time, channel in tags:
        if channel == stop and waiting is not None:
            if (time - waiting) // ticks < bins:
                found[(time - waiting) // ticks] += 1
            waiting = None
        if channel == start and waiting is None:
            waiting = time
    return found


tags = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from([0, 1])), min_size=1, max_size=60, unique=True
).map(sorted)


@settings(max_examples=80, deadline=None)
@given(tags=tags, block=st.integers(1, 30), ticks=st.integers(1, 7), bins=st.integers(1, 20),
       stop=st.sampled_from([0, 1]))  # fmt: skip
def test_pairs_are_those_found_by_hand(tags, block, ticks, bins, stop):
    time, channel = np.array(tags).T
    a, b = time[channel == 0], time[channel == stop]
    source = Clicks(time, channel, block=block)
    size = {"delay": ticks * bins * TICK, "width": ticks * TICK}
    if not len(a) or not len(b):
        with pytest.raises(ValueError, match="has no click"):
            correlate(source, 0, stop, **size)
        return
    full = correlate(source, 0, stop, **size)
    assert full.pairs.tolist() == all_pairs(a, b, ticks, bins, same=stop == 0).tolist()
    if stop == 0 or not set(a) & set(b):  # ties are told apart by record order alone
        once = correlate(source, 0, stop, kind="start-stop", **size)
        assert once.pairs.tolist() == first_stops(tags, 0, stop, ticks, bins).tolist()


def poisson(rng, rate, seconds):
    return np.sort(rng.integers(0, round(seconds / TICK), rng.poisson(rate * seconds)))


def of_two(a, b, seconds):
    time = np.concatenate([a, b])
    order = np.argsort(time, kind="stable")
    channel = np.repeat([0, 1], [len(a), len(b)])
    return Clicks(time[order], channel[order], block=20_000, measured_time=seconds)


@pytest.mark.parametrize("kind", ["full", "start-stop"])
def test_poisson_light_has_g2_of_one_at_every_delay(kind):
    rng = np.random.default_rng(1)
    source = of_two(poisson(rng, 2e6, 0.05), poisson(rng, 1e6, 0.05), 0.05)
    found = correlate(source, 0, 1, delay=1e-6, width=50e-9, kind=kind)
    assert np.all(np.abs(found.pairs - found.expected) < 4.5 * np.sqrt(found.expected))
    chi2 = ((found.pairs - found.expected) ** 2 / found.expected).sum()
    assert chi2 < len(found.pairs) + 5 * np.sqrt(2 * len(found.pairs))


def test_exponential_bursts_have_their_g2():
    # Pairs of one click in each channel, delay exponential with rate 1/T, on Poisson background:
    # g²(τ > 0) = 1 + e^(−τ/T)/(n T) averaged over a bin, n the rate of pairs.
    rng = np.random.default_rng(2)
    seconds, rate, decay = 0.2, 3e5, 100e-9
    first = poisson(rng, rate, seconds)
    second = np.sort(first + rng.exponential(decay / TICK, len(first)).astype(int) + 1)
    found = correlate(of_two(first, second, seconds), 0, 1, delay=500e-9, width=100e-9)
    edge = found.edges[5:]
    excess = -np.diff(np.exp(-edge / decay)) / (rate * 100e-9)
    expected = np.concatenate([np.ones(5), 1 + excess]) * found.expected
    assert np.all(np.abs(found.pairs - expected) < 4.5 * np.sqrt(expected))


def test_histograms_of_two_files_add_with_their_expectations():
    rng = np.random.default_rng(3)
    parts = [
        correlate(of_two(poisson(rng, r, 0.01), poisson(rng, r, 0.01), 0.01), 0, 1,
                  delay=200e-9, width=20e-9)
        for r in (1e6, 3e6)
    ]  # fmt: skip
    both = parts[0] + parts[1]
    assert both.pairs.sum() == parts[0].pairs.sum() + parts[1].pairs.sum()
    assert both.g2.mean() == pytest.approx(1.0, abs=4 / np.sqrt(both.pairs.sum()))


def test_a_bin_without_pairs_has_a_one_sided_interval():
    found = correlate(Clicks([0, 100], [0, 1]), 0, 1, delay=50e-9, width=10e-9)
    low, high = found.interval(0.68)
    assert low.max() == 0.0
    assert high * found.expected == pytest.approx(-np.log(0.32))


def test_tags_out_of_order_are_not_correlated():
    with pytest.raises(TagFileError, match="order of time"):
        correlate(Clicks([5, 3], [0, 1], block=5), 0, 1, delay=1e-8, width=1e-9)
