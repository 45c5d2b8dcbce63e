"""Simulated tag files: what is written is what was sampled."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import ptufile
import pytest

from analysis.gates import GateSet
from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import SYNC, TIMEHARP_260N_T2, TIMEHARP_260N_T3
from analysis.tagfile.ptu import PtuFile
from simulation.recordings.clicks import click_model
from simulation.recordings.ptu import expected_bytes, simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import click_probabilities, riedinger2018


def decoded(path):
    source = PtuFile(path)
    decoder = Decoder(source.layout)
    blocks = [decoder.decode(block) for block in source.blocks()]
    return (
        source,
        decoder,
        [
            None
            if blocks[0].dtime is None and name == "dtime"
            else np.concatenate([getattr(block, name) for block in blocks])
            for name in ("time", "dtime", "channel")
        ],
    )


def test_t3_file_holds_clicks_period_and_end(tmp_path):
    recording = simulate_ptu(tmp_path / "x.ptu", riedinger2018(), 20_000_000, seed=3)
    source, decoder, (time, dtime, channel) = decoded(recording.path)
    assert recording.clicks == len(time) > 9000
    assert source.n_records == recording.records
    assert (source.sync_rate, source.measured_time) == (20_000, 1000.0)
    assert 20_000_000 - 1024 < decoder.overflow <= 20_000_000
    assert source.warnings == ()
    assert set(channel) == {0, 1}
    assert dtime.max() < 732


def test_t3_file_is_read_identically_by_ptufile(tmp_path):
    path = simulate_ptu(tmp_path / "x.ptu", riedinger2018(), 5_000_000).path
    _, _, (time, dtime, channel) = decoded(path)
    with ptufile.PtuFile(path) as other:
        records = other.decode_records()
        records = records[records["channel"] >= 0]
        np.testing.assert_array_equal(records["time"], time)
        np.testing.assert_array_equal(records["dtime"], dtime)
        np.testing.assert_array_equal(records["channel"], channel)


def test_t2_file_holds_one_sync_per_trial_and_the_clicks_of_the_t3_file(tmp_path, noisy):
    options = {"trials": 300_000, "seed": 3}
    t3 = simulate_ptu(tmp_path / "t3.ptu", noisy(), **options)
    t2 = simulate_ptu(tmp_path / "t2.ptu", noisy(), **options, mode="T2")
    _, _, (trial, dtime, channel) = decoded(t3.path)
    _, decoder, (time, _, t2_channel) = decoded(t2.path)
    is_sync = t2_channel == SYNC
    np.testing.assert_array_equal(time[is_sync], 200_000 * np.arange(300_000))
    np.testing.assert_array_equal(time[~is_sync], 200_000 * trial + dtime)
    np.testing.assert_array_equal(t2_channel[~is_sync], channel)
    assert decoder.overflow == 300_000 * 200_000 // 2**25 * 2**25


def test_singles_in_the_file_agree_with_the_model_within_4_sigma(tmp_path):
    recording = simulate_ptu(tmp_path / "x.ptu", riedinger2018(), 100_000_000, seed=9)
    _, _, (_, dtime, channel) = decoded(recording.path)
    expected = 100_000_000 * click_probabilities(riedinger2018()).singles
    pump, read = recording.gates.gates
    for mode, (gate, lane) in enumerate([(pump, 0), (pump, 1), (read, 0), (read, 1)]):
        time = dtime[channel == lane] * 250e-12
        inside = np.count_nonzero((time > gate.start - 1e-12) & (time < gate.stop - 1e-12))
        assert abs(inside - expected[mode]) < 4 * np.sqrt(expected[mode])


def test_gates_file_lies_beside_and_reads_back(tmp_path):
    recording = simulate_ptu(tmp_path / "x.ptu", riedinger2018(), 1000)
    assert recording.gates_path == tmp_path / "x.gates.yaml"
    assert GateSet.from_yaml(recording.gates_path) == pulsed_timing().gates


def test_same_seed_same_bytes(tmp_path):
    made = {"created": datetime(2018, 4, 25), "seed": 7}
    files = [
        simulate_ptu(tmp_path / f"{k}.ptu", riedinger2018(), 10_000_000, **made).path
        for k in range(2)
    ]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_channels_and_resolution_are_those_asked_for(tmp_path, noisy):
    timing = pulsed_timing(resolution=1e-9)
    timing = replace(timing, gates=replace(timing.gates, detectors={1: 5, 2: 3}))
    path = simulate_ptu(tmp_path / "x.ptu", noisy(), 1000, timing=timing, resolution=1e-9).path
    source, _, (_, dtime, channel) = decoded(path)
    assert source.resolution == 1e-9
    assert set(channel) == {5, 3}
    assert dtime.max() < 183


def test_progress_reaches_the_end(tmp_path, noisy):
    seen = []
    simulate_ptu(tmp_path / "x.ptu", noisy(), 100_000, progress=lambda *now: seen.append(now))
    assert seen == sorted(seen)
    assert seen[-1] == (100_000, 100_000)


@pytest.mark.parametrize("first", ["x.ptu", "x.gates.yaml"])
def test_existing_files_are_not_replaced_unasked(tmp_path, first):
    (tmp_path / first).write_text("precious")
    with pytest.raises(FileExistsError, match="choose another name"):
        simulate_ptu(tmp_path / "x.ptu", riedinger2018(), 1000)
    assert [path.name for path in tmp_path.iterdir()] == [first]
    simulate_ptu(tmp_path / "x.ptu", riedinger2018(), 1000, overwrite=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "T1"}, "`mode` must be T2 or T3, but is 'T1'"),
        ({"resolution": 2e-9, "timing": pulsed_timing()}, "must be a multiple of the resolution"),
        ({"mode": "T2", "period": 50.0001e-6}, "the period must be a multiple of the resolution"),
        ({"timing": pulsed_timing(delay=9e-6)}, "must stop within the T3 range of 8.192e-06 s"),
        ({"trials": 0}, "`trials` must be at least 1"),
    ],
)
def test_impossible_recordings_are_refused_before_a_file_exists(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        simulate_ptu(tmp_path / "x.ptu", riedinger2018(), **{"trials": 1000, **options})
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_a_ptu_file_in_an_existing_folder(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.ptu, but is 'x.csv'"):
        simulate_ptu(tmp_path / "x.csv", riedinger2018(), 1000)
    with pytest.raises(FileNotFoundError, match="gone; make it"):
        simulate_ptu(tmp_path / "gone" / "x.ptu", riedinger2018(), 1000)


@pytest.mark.parametrize(("mode", "trials"), [("T3", 40_000_000), ("T2", 1_000_000)])
def test_expected_size_is_close_above_the_real_one(tmp_path, mode, trials):
    recording = simulate_ptu(tmp_path / "x.ptu", riedinger2018(), trials, mode=mode)
    layout, ticks = (TIMEHARP_260N_T2, 200_000) if mode == "T2" else (TIMEHARP_260N_T3, 1)
    expected = expected_bytes(click_model(riedinger2018()), layout, trials, ticks)
    size = recording.path.stat().st_size
    assert 0.99 * size < expected < 2.0 * size + 8192
    assert mode == "T3" or expected < 1.01 * size


@pytest.mark.parametrize(("mode", "trials"), [("T2", 10**15), ("T3", 10**18)])
def test_recording_larger_than_the_disk_is_refused_with_the_space_it_needs(tmp_path, mode, trials):
    with pytest.raises(ValueError, match=r"need about [\d,.]+ GB, but [\d,.]+ GB are free"):
        simulate_ptu(tmp_path / "x.ptu", riedinger2018(), trials, mode=mode)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_interrupted_simulation_leaves_what_was_there_and_nothing_else(tmp_path, error):
    def interrupt(done, total):
        raise error

    path = tmp_path / "x.ptu"
    with pytest.raises(error):
        simulate_ptu(path, riedinger2018(), 1_000_000, mode="T2", progress=interrupt)
    assert list(tmp_path.iterdir()) == []
    simulate_ptu(path, riedinger2018(), 1_000_000)
    before = path.read_bytes()
    with pytest.raises(error):
        simulate_ptu(path, riedinger2018(), 2_000_000, overwrite=True, progress=interrupt)
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.gates.yaml", "x.ptu"]
