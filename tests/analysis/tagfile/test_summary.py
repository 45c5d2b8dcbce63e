import json

import numpy as np
import pytest

from analysis.tagfile.codec import encode
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import MARKER, SYNC, TIMEHARP_260N_T2
from analysis.tagfile.ptu import PtuFile
from analysis.tagfile.ptu_writer import PtuWriter, write_ptu
from analysis.tagfile.summary import summarise


def t2_file(path, time, channel, *, seconds=0.0, records=(), sync_rate=None):
    """A T2 file of given tags, with raw records behind them."""
    events = Events(
        time=np.array(time, dtype=np.int64), dtime=None, channel=np.array(channel, dtype=np.uint8)
    )
    with PtuWriter(
        path, layout=TIMEHARP_260N_T2, acquisition_time=seconds, sync_rate=sync_rate
    ) as writer:
        writer.write(encode(events, TIMEHARP_260N_T2))
        writer.write(np.array(records, dtype=np.uint32))
    return PtuFile(path)


def codes(summary):
    return [warning.code for warning in summary.warnings]


@pytest.mark.parametrize(
    ("name", "photons", "overflows"),
    [
        ("hydraharp_t2.ptu", {0: 305_565}, 129_754),
        ("hydraharp_v2_t3.ptu", {0: 45_012, 1: 32_871}, 28_466),
        ("hydraharp_v1_t3.ptu", {0: 48_001, 1: 46_559}, 73_241),
    ],
)
def test_real_recording_has_its_published_counts(recording, name, photons, overflows):
    summary = summarise(PtuFile(recording(name)))
    assert summary.photons == photons
    assert summary.overflow_records == overflows
    assert summary.records == sum(photons.values()) + overflows
    assert (summary.out_of_order, summary.unknown_records, summary.syncs) == (0, 0, 0)
    assert set(codes(summary)) <= {"sync_divider", "resolution"}


def test_syncs_markers_and_photons_are_counted_apart(tmp_path):
    channel = [SYNC, 0, MARKER + 2, 1, 1, SYNC, MARKER + 2, MARKER + 15]
    source = t2_file(tmp_path / "x.ptu", np.arange(8) * 10**8, channel, seconds=0.175)
    summary = summarise(source)
    assert summary.photons == {0: 1, 1: 2}
    assert summary.syncs == 2
    assert summary.markers == {2: 2, 15: 1}
    assert sum(summary.counts.values()) == 8
    assert summary.rates == pytest.approx({0: 1 / 0.175, 1: 2 / 0.175})


def test_doubled_syncs_are_reported_with_number_and_first_record(tmp_path):
    period = 200_000  # ticks of 250 ps at 20 kHz
    time = np.sort(np.r_[np.arange(100) * period, 40 * period + 90_000, 70 * period + 10])
    rates = {"seconds": 100 * 50e-6, "sync_rate": 20_000}
    summary = summarise(t2_file(tmp_path / "x.ptu", time, [SYNC] * 102, **rates))
    assert (summary.syncs, summary.doubled_syncs) == (102, 2)
    (warning,) = (w.message for w in summary.warnings if w.code == "doubled_syncs")
    assert "the first is record 41," in warning
    regular = summarise(t2_file(tmp_path / "y.ptu", time[:41], [SYNC] * 41, **rates))
    assert regular.doubled_syncs == 0


def test_duration_comes_from_the_records_if_the_header_does_not_say(tmp_path):
    summary = summarise(t2_file(tmp_path / "x.ptu", [0, 3_999_999_999], [0, 1]))
    assert summary.duration == pytest.approx(1.0)
    assert summary.duration_source == "records"


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_records_that_do_not_reach_the_measured_time_are_reported(tmp_path, seconds):
    source = t2_file(tmp_path / "x.ptu", [0, 3_999_999_999], [0, 1], seconds=seconds)
    assert codes(summarise(source)) == ["duration"]


def test_lost_overflow_shows_as_time_running_backwards(tmp_path):
    lost = [7, 5]  # the second photon came one wrap later, but the overflow record is gone
    summary = summarise(t2_file(tmp_path / "x.ptu", [3], [0], records=lost))
    assert summary.out_of_order == 1
    assert codes(summary) == ["out_of_order"]


def test_disorder_across_two_blocks_is_seen(tmp_path):
    time = np.arange(300_000)
    time[1 << 18] = 5
    summary = summarise(t2_file(tmp_path / "x.ptu", time, np.zeros(300_000)))
    assert summary.out_of_order == 1


def test_marker_out_of_order_is_by_design(tmp_path):
    summary = summarise(t2_file(tmp_path / "x.ptu", [50, 20, 60], [0, MARKER + 1, 0]))
    assert summary.out_of_order == 0


def test_reserved_codes_are_counted_and_reported(tmp_path):
    records = [0x80000000 | 20 << 25] * 3
    summary = summarise(t2_file(tmp_path / "x.ptu", [3], [0], records=records))
    assert summary.unknown_records == 3
    assert codes(summary) == ["unknown_records"]


def test_file_without_records_has_no_rates(tmp_path):
    summary = summarise(t2_file(tmp_path / "x.ptu", [], []))
    assert (summary.records, summary.duration, summary.rates) == (0, 0.0, {})
    assert codes(summary) == ["no_records"]


def test_progress_reaches_the_number_of_records(tmp_path):
    done = []
    source = t2_file(tmp_path / "x.ptu", np.arange(300_000), np.zeros(300_000))
    summarise(source, progress=done.append)
    assert done == [1 << 18, 300_000]


def test_summary_prints_aligned_lines_and_goes_to_json(tmp_path):
    events = Events(
        time=np.array([5, 2000]), dtime=np.array([1, 2], np.int32), channel=np.array([0, 1], "u1")
    )
    write_ptu(tmp_path / "x.ptu", events, sync_rate=20e3, acquisition_time=0.1, end_time=2000)
    summary = summarise(PtuFile(tmp_path / "x.ptu"))
    lines = str(summary).splitlines()
    assert lines[1] == "records     3 TimeHarp 260 N T3 (0x00010305)"
    assert lines[3] == "sync period 50000 ns"
    assert lines[4] == "duration    0.1 s (from the header)"
    assert lines[5] == "channel 0   1 photons, 10 1/s"
    assert json.loads(json.dumps(summary.to_dict()))["photons"] == {"0": 1, "1": 1}
