"""Sampled clicks against the exact probabilities they are drawn from."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.tagfile.layouts import SYNC
from simulation.recordings.clicks import Clicks, sample_clicks, t2_events, t3_events
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import click_probabilities, riedinger2018

TIMING = pulsed_timing()


def sample(parameters, trials, seed=1, timing=TIMING):
    """All runs of a measurement as one."""
    runs = list(sample_clicks(parameters, timing, trials, np.random.default_rng(seed)))
    return Clicks(
        first_trial=0,
        trials=trials,
        trial=np.concatenate([run.trial for run in runs]),
        time=np.concatenate([run.time for run in runs]),
        detector=np.concatenate([run.detector for run in runs]),
    )


def mode_of(clicks, timing=TIMING):
    """0..3 for p1, p2, r1, r2."""
    is_read = clicks.time >= timing.gates.gates[1].start
    return 2 * is_read + clicks.detector - 1


def pattern_counts(clicks):
    """Trials per pattern, index p1 p2 r1 r2 in binary, from the clicks alone."""
    pattern = np.zeros(clicks.trials, np.int64)
    np.bitwise_or.at(pattern, clicks.trial, 8 >> mode_of(clicks))
    return np.bincount(pattern, minlength=16)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_patterns_follow_the_model_in_chi_square(noisy, seed):
    trials = 300_000
    expected = trials * click_probabilities(noisy()).patterns.ravel()
    counts = pattern_counts(sample(noisy(), trials, seed))
    assert expected.min() > 20
    assert stats.chisquare(counts, expected).pvalue > 1e-3


def test_patterns_of_lying_detectors_follow_the_model_in_chi_square(lying):
    trials = 300_000
    expected = trials * click_probabilities(lying()).patterns.ravel()
    counts = pattern_counts(sample(lying(), trials, 4))
    assert expected.min() > 20
    assert stats.chisquare(counts, expected).pvalue > 1e-3
    honest = trials * click_probabilities(lying(blindness=0, afterpulse=0, crosstalk=0)).patterns
    assert stats.chisquare(counts, honest.ravel()).pvalue < 1e-9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_paper_singles_agree_with_the_model_within_4_sigma(seed):
    trials = 200_000_000
    clicks = sample(riedinger2018(), trials, seed)
    counts = np.bincount(mode_of(clicks), minlength=4)
    expected = trials * click_probabilities(riedinger2018()).singles
    assert np.max(np.abs(counts - expected) / np.sqrt(expected)) < 4


def test_paper_coincidences_agree_with_the_model_within_4_sigma():
    trials = 3_000_000_000
    clicks = sample(riedinger2018(), trials, seed=5)
    mode = mode_of(clicks)
    expected = trials * click_probabilities(riedinger2018()).coincidences
    for i, j in itertools.product((0, 1), repeat=2):
        both = np.intersect1d(clicks.trial[mode == 2 + i], clicks.trial[mode == j])
        assert abs(len(both) - expected[i, j]) < 4 * np.sqrt(expected[i, j])


def test_a_detector_clicks_once_per_gate_and_clicks_are_in_time_order(noisy):
    clicks = sample(noisy(), 200_000)
    cell = clicks.trial * 4 + mode_of(clicks)
    assert len(np.unique(cell)) == len(clicks)
    later = np.diff(clicks.trial) + np.diff(clicks.time) / TIMING.gates.period
    assert np.all(later > 0)


def test_trials_with_clicks_are_spread_uniformly():
    clicks = sample(riedinger2018(), 100_000_000)
    assert stats.kstest(clicks.trial / clicks.trials, "uniform").pvalue > 1e-3


def test_dark_clicks_are_uniform_in_the_gate(noiseless):
    clicks = sample(noiseless(eta_1=0, eta_2=0, dark_1=0.1, dark_2=0.2), 50_000)
    pump = clicks.time[mode_of(clicks) < 2]
    assert len(pump) == pytest.approx(50_000 * 0.3, rel=0.05)
    assert stats.kstest(pump / 60e-9, "uniform").pvalue > 1e-3


def test_photons_follow_their_pulse(noiseless):
    times = sample(noiseless(p_pump_A=0.5, eta_A=1.0), 200_000).time
    pump, read = times[times < 60e-9], times[times > 60e-9] - 123e-9
    for inside in (pump, read):
        assert np.mean(inside) == pytest.approx(30e-9, abs=5 * 12e-9 / np.sqrt(len(inside)))
    assert stats.ks_2samp(pump, read).pvalue > 1e-3


def test_no_light_and_no_darks_make_one_run_without_clicks(noiseless):
    runs = list(
        sample_clicks(noiseless(eta_1=0, eta_2=0), TIMING, 10**12, np.random.default_rng(1))
    )
    assert [(run.trials, len(run)) for run in runs] == [(10**12, 0)]


def test_runs_follow_each_other_without_gap(noisy):
    runs = list(sample_clicks(noisy(), TIMING, 300_000, np.random.default_rng(1)))
    assert len(runs) > 2
    assert [run.first_trial for run in runs] == [0, *np.cumsum([run.trials for run in runs])[:-1]]
    for run in runs:
        assert run.trial.min() >= run.first_trial
        assert run.trial.max() < run.first_trial + run.trials


def test_same_seed_same_clicks_other_seed_others():
    first, again, other = (sample(riedinger2018(), 10_000_000, seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.trial, again.trial)
    np.testing.assert_array_equal(first.time, again.time)
    assert len(np.intersect1d(first.trial, other.trial)) < 10


def test_dead_time_hides_reads_after_a_pump_click_of_the_same_detector(noisy):
    alive = sample(noisy(), 100_000)
    blind = sample(noisy(), 100_000, timing=replace(TIMING, dead_time=1e-6))
    counts = pattern_counts(blind).reshape(2, 2, 2, 2)
    assert counts[1, :, 1].sum() == counts[:, 1, :, 1].sum() == 0
    assert counts[1, :, :, 1].sum() > 0
    np.testing.assert_array_equal(blind.time[mode_of(blind) < 2], alive.time[mode_of(alive) < 2])


def test_dead_time_acts_by_the_time_between_the_clicks(noisy):
    partly = sample(noisy(), 100_000, timing=replace(TIMING, dead_time=123e-9))
    gaps = np.concatenate(
        [
            np.diff(partly.time[mine])[np.diff(partly.trial[mine]) == 0]
            for mine in (partly.detector == 1, partly.detector == 2)
        ]
    )
    assert len(gaps) > 100
    assert gaps.min() >= 123e-9


def test_t2_and_t3_hold_the_same_clicks(noisy):
    clicks = sample(noisy(), 5_000)
    t3 = t3_events(clicks, TIMING.gates, 250e-12)
    t2 = list(t2_events(clicks, TIMING.gates, 250e-12))
    time, channel = (np.concatenate([getattr(e, k) for e in t2]) for k in ("time", "channel"))
    is_click = channel != SYNC
    np.testing.assert_array_equal(time[is_click] // 200_000, t3.time)
    np.testing.assert_array_equal(time[is_click] % 200_000, t3.dtime)
    np.testing.assert_array_equal(channel[is_click], t3.channel)
    np.testing.assert_array_equal(time[~is_click], 200_000 * np.arange(5_000))
    assert np.all(np.diff(time) >= 0)


@pytest.mark.parametrize("block", [1, 7, 1000, 10**6])
def test_t2_block_size_does_not_change_the_stream(noisy, block):
    clicks = sample(noisy(), 2_000)
    whole = list(t2_events(clicks, TIMING.gates, 250e-12))
    parts = list(t2_events(clicks, TIMING.gates, 250e-12, block=block))
    for field in ("time", "channel"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(part, field) for part in parts]), getattr(whole[0], field)
        )


def test_bins_lie_in_the_gates(noisy):
    events = t3_events(sample(noisy(), 20_000), TIMING.gates, 1e-9)
    in_pump, in_read = events.dtime < 60, (events.dtime >= 123) & (events.dtime < 183)
    assert np.all(in_pump | in_read)


def test_gates_off_the_grid_are_refused(noiseless):
    clicks = sample(noiseless(), 1000)
    with pytest.raises(ValueError, match="start of gate 'read' must be a multiple of the resolut"):
        t3_events(clicks, TIMING.gates, 2e-9)


@pytest.mark.parametrize(
    ("changes", "trials", "message"),
    [
        ({}, 0, "`trials` must be at least 1, but is 0"),
        ({"delay": np.zeros(3)}, 10, r"must be numbers to sample from, but are arrays \(3,\)"),
    ],
)
def test_what_cannot_be_sampled_is_refused(noisy, changes, trials, message):
    with pytest.raises(ValueError, match=message):
        sample_clicks(noisy(**changes), TIMING, trials, np.random.default_rng(1))
