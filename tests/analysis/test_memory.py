"""Dead time and afterpulses that were put into clicks are found again."""

from pathlib import Path

import numpy as np
import pytest

from analysis.questions.memory import detector_memory
from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import Events

SECONDS, TICK = 0.5, 1e-9


class Clicks(EncodedSource):
    def __init__(self, time):
        super().__init__(Path("memory"), Acquisition(resolution=TICK, measured_time=SECONDS))
        self.format = "memory"
        self.time = np.sort(np.asarray(time, np.int64))

    def read_events(self):
        yield Events(time=self.time, dtime=None, channel=np.zeros(len(self.time), np.uint8))


def steady(rng, rate):
    return np.sort(rng.integers(0, round(SECONDS / TICK), rng.poisson(rate * SECONDS)))


def with_afterpulses(rng, time, probability):
    after = time[rng.random(len(time)) < probability]
    return np.concatenate([time, after + rng.integers(50, 500, len(after))])


def live(time, dead):
    """Keep what a detector sees that is blind for `dead` ticks after each click it shows."""
    seen, last = [], -(10**9)
    for t in np.sort(time):
        if t - last >= dead:
            seen.append(t)
            last = t
    return seen


def test_steady_light_shows_neither():
    rng = np.random.default_rng(1)
    found = detector_memory(Clicks(steady(rng, 2e5)), 0, reach=1e-6, level=0.9999)
    assert found.chance > 1e-4
    assert found.afterpulse.low < 0 < found.afterpulse.high


def test_afterpulses_are_found_beside_a_dead_time():
    rng = np.random.default_rng(2)
    light = steady(rng, 2e5)
    clicks = live(with_afterpulses(rng, light, 0.03), 40)
    found = detector_memory(Clicks(clicks), 0, reach=1e-6, level=0.9999)
    assert found.dead_time == pytest.approx(40e-9, abs=30e-9)
    assert found.chance < 0.01
    assert found.afterpulse.low < 0.03 * 0.99 < found.afterpulse.high
    assert found.afterpulse.low > 0.01
    shot = 4 / np.sqrt(len(light))  # four σ of the light itself
    assert found.corrected_rate == pytest.approx(len(light) / SECONDS, rel=shot)


def test_dead_time_alone_gives_the_true_rate_back():
    rng = np.random.default_rng(3)
    light = steady(rng, 1e6)
    found = detector_memory(Clicks(live(light, 100)), 0, reach=1e-6, level=0.9999)
    assert found.dead_time == pytest.approx(100e-9, abs=2 * found.dead_time_bin)
    assert found.chance < 1e-6
    bias = (found.rate * found.dead_time) ** 2 / 2
    assert found.afterpulse.low < bias < found.afterpulse.high
    assert found.corrected_rate == pytest.approx(len(light) / SECONDS, rel=0.01)


def test_pulses_are_not_taken_for_afterpulses():
    rng = np.random.default_rng(4)
    pulses = rng.integers(0, 500_000, 25_000) * 1000 + rng.integers(0, 20, 25_000)
    found = detector_memory(Clicks(pulses), 0, reach=5e-6, level=0.9999)
    assert found.afterpulse.low < 0 < found.afterpulse.high
    found = detector_memory(
        Clicks(with_afterpulses(rng, pulses, 0.05)), 0, reach=5e-6, level=0.9999
    )
    assert found.afterpulse.low < 0.05 / 1.05 < found.afterpulse.high
    assert found.afterpulse.low > 0.02


def test_the_gap_between_pulses_is_not_corrected_for():
    found = detector_memory(Clicks(np.arange(5000) * 100_000 + 10), 0, reach=1e-3)
    assert found.dead_time == pytest.approx(1e-4, rel=0.01)
    assert found.corrected_rate is found.to_dict()["corrected_rate"] is None
    assert "so the gap is the light's own" in str(found)


def test_a_channel_with_one_click_says_what_to_do():
    with pytest.raises(ValueError, match="no two clicks within 2e-06 s"):
        detector_memory(Clicks([5]), 0, reach=1e-6)
