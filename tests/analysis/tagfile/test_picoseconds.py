import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.events import EventError, Events
from analysis.tagfile.picoseconds import (
    InexactTimeError,
    Unit,
    from_picoseconds,
    to_picoseconds,
)

DAY = 86_400 * 10**12


def events(time, dtime=None):
    return Events(
        time=np.array(time, dtype=np.int64),
        dtime=None if dtime is None else np.array(dtime, dtype=np.int32),
        channel=np.zeros(len(time), dtype=np.uint8),
    )


def test_fifty_microseconds_are_exactly_fifty_million_picoseconds():
    assert Unit.of(50e-6) == Unit(whole=50_000_000, part=0.0)
    assert Unit.of(6.4e-11) == Unit(whole=64, part=0.0)


@given(
    trials=st.lists(st.integers(0, 10**10), min_size=1, max_size=20),
    bins=st.integers(0, 32767),
    period=st.sampled_from([50e-6, 12.5e-6, 1e-5]),
    resolution=st.sampled_from([250e-12, 1e-12, 25e-12, 64e-12]),
)
def test_trials_of_days_come_back_exactly(trials, bins, period, resolution):
    acquisition = Acquisition(mode="T3", resolution=resolution, sync_period=period)
    tags = events(sorted(trials), [min(bins, int(period / resolution) - 1)] * len(trials))
    times = to_picoseconds(tags, acquisition)
    back = from_picoseconds(times, tags.channel, acquisition)
    np.testing.assert_array_equal(back.time, tags.time)
    np.testing.assert_array_equal(back.dtime, tags.dtime)


@given(
    trials=st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
    bins=st.integers(0, 3000),
    rate=st.floats(1e4, 5e6),
    resolution=st.sampled_from([6.399999974426862e-11, 1.2799999948853724e-10, 2.5e-10]),
)
def test_periods_that_are_no_whole_picoseconds_come_back_exactly(trials, bins, rate, resolution):
    acquisition = Acquisition(mode="T3", resolution=resolution, sync_period=1 / rate)
    last = int(1 / rate / resolution) - 1
    tags = events(sorted(trials), [min(bins, last)] * len(trials))
    times = to_picoseconds(tags, acquisition)
    back = from_picoseconds(times, tags.channel, acquisition)
    np.testing.assert_array_equal(back.time, tags.time)
    np.testing.assert_array_equal(back.dtime, tags.dtime)


def test_absolute_time_is_sync_times_period_plus_bin_times_resolution():
    acquisition = Acquisition(mode="T3", resolution=250e-12, sync_period=50e-6)
    assert to_picoseconds(events([3], [4]), acquisition).tolist() == [3 * 50_000_000 + 1000]


def test_bin_beyond_the_sync_period_is_refused_unless_rounding_is_asked_for():
    acquisition = Acquisition(mode="T3", resolution=250e-12, sync_period=1e-6)
    tags = events([3, 4], [0, 4001])
    with pytest.raises(InexactTimeError, match=r"event 1: .* bin 4001"):
        to_picoseconds(tags, acquisition)
    assert to_picoseconds(tags, acquisition, round_times=True).tolist() == [3_000_000, 5_000_250]


def test_time_between_two_ticks_is_refused_unless_rounding_is_asked_for():
    acquisition = Acquisition(resolution=250e-12)
    times, channel = np.array([250, 374, 375, 499]), np.zeros(4, dtype=np.uint8)
    with pytest.raises(InexactTimeError, match=r"event 1: .* steps of 250 ps, but is 374"):
        from_picoseconds(times, channel, acquisition)
    rounded = from_picoseconds(times, channel, acquisition, round_times=True)
    assert rounded.time.tolist() == [1, 1, 2, 2]


@pytest.mark.parametrize("time", [-1, (1 << 62) + 1])
def test_time_outside_the_range_is_refused(time):
    with pytest.raises(EventError, match="event 0: time_ps must be 0 to"):
        from_picoseconds(np.array([time]), np.zeros(1, dtype=np.uint8), Acquisition())


def test_ticks_too_many_for_picoseconds_are_refused():
    with pytest.raises(EventError, match="event 1: time must be at most"):
        to_picoseconds(events([0, 1 << 60]), Acquisition(resolution=250e-12))
