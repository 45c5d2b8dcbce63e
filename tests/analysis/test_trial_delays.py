"""Correlations within trials of T3 files: pairs by brute force, expectations by shuffling."""

import numpy as np
import pytest

from analysis.questions.delays import correlate
from analysis.questions.memory import detector_memory
from analysis.tagfile import write_ptu
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS

TICK = 1e-9


def recorded(path, sync, dtime, channel, trials):
    order = np.lexsort((dtime, sync))
    events = Events(
        time=np.asarray(sync, np.int64)[order], dtime=np.asarray(dtime, np.int32)[order],
        channel=np.asarray(channel, np.uint8)[order],
    )  # fmt: skip
    write_ptu(path, events, layout=LAYOUTS[0x00010306], resolution=TICK, sync_rate=20e3,
              end_time=trials)  # fmt: skip
    return path


def pulsed(seed, trials, number, width=10):
    """Clicks of two channels in two pulses, each in a trial of its own choice."""
    rng = np.random.default_rng(seed)
    pulse = rng.integers(0, 2, number)
    dtime = 100 + 300 * pulse + np.abs(rng.normal(0, width, number)).astype(int)
    return rng.integers(0, trials, number), dtime, rng.integers(0, 2, number)


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (1, 0), (1, 1)])
def test_pairs_of_a_trial_are_those_of_two_loops(tmp_path, start, stop):
    sync, dtime, channel = pulsed(1, 150, 900)
    found = correlate(
        recorded(tmp_path / "a.ptu", sync, dtime, channel, 150), start, stop,
        delay=400e-9, width=10e-9,
    )  # fmt: skip
    wanted = np.zeros(80, int)
    for i in range(900):
        for j in range(900):
            if i != j and sync[i] == sync[j] and (channel[i], channel[j]) == (start, stop):
                place = (dtime[j] - dtime[i] + 400) // 10
                if 0 <= place < 80:
                    wanted[place] += 1
    assert found.pairs.tolist() == wanted.tolist()
    assert wanted.max() > 20


def test_independent_trials_are_flat_whatever_the_pulses(tmp_path):
    trials = 20_000
    path = recorded(tmp_path / "a.ptu", *pulsed(2, trials, 40_000), trials)
    found = correlate(path, 0, 1, delay=400e-9, width=20e-9)
    seen = found.expected > 30
    excess = (found.pairs - found.expected)[seen] / np.sqrt(found.expected[seen])
    assert seen.sum() >= 8
    assert np.abs(excess).max() < 4.5  # σ; expected with seed 2
    assert found.expected.sum() == pytest.approx(found.pairs.sum(), rel=0.03)
    assert np.isnan(found.g2[found.expected == 0]).all()


def test_afterpulses_and_dead_time_are_found_in_pulsed_light(tmp_path):
    """3 % of the clicks bring another after 50 to 150 ns; a second within 40 ns is not seen."""
    rng = np.random.default_rng(3)
    trials, number = 60_000, 30_000
    sync, dtime, _ = pulsed(3, trials, number, width=50)
    again = rng.random(number) < 0.03
    sync = np.concatenate([sync, sync[again]])
    dtime = np.concatenate([dtime, dtime[again] + rng.integers(50, 150, again.sum())])
    order = np.lexsort((dtime, sync))
    sync, dtime = sync[order], dtime[order]
    keep = np.ones(len(sync), bool)
    last = (-1, 0)
    for k in range(len(sync)):
        if sync[k] == last[0] and dtime[k] < last[1] + 40:
            keep[k] = False
        else:
            last = (sync[k], dtime[k])
    path = recorded(tmp_path / "a.ptu", sync[keep], dtime[keep], np.zeros(keep.sum()), trials)
    found = detector_memory(path, 0, reach=250e-9)
    assert found.dead_time == pytest.approx(40e-9, abs=2e-9)
    assert found.chance < 1e-6
    assert found.afterpulse.value == pytest.approx(0.03, abs=4 * (0.03 / 30_000) ** 0.5 + 1e-3)
    lost = 1 - keep.sum() / len(sync)
    assert found.blocked == pytest.approx(lost, rel=0.3)
    true_rate = number / (trials * 50e-6)
    assert found.corrected_rate == pytest.approx(true_rate, rel=0.02)
    assert abs(found.rate / true_rate - 1) > 0.002


def test_start_stop_needs_one_clock(tmp_path):
    path = recorded(tmp_path / "a.ptu", [1, 1], [5, 9], [0, 1], 3)
    with pytest.raises(ValueError, match=r"a\.ptu: start–stop needs one clock"):
        correlate(path, 0, 1, delay=10e-9, width=1e-9, kind="start-stop")
