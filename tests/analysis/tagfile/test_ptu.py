import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import ptufile
import pytest

from analysis.tagfile.header import Tag, read_header, write_header
from analysis.tagfile.layouts import TIMEHARP_260N_T2
from analysis.tagfile.ptu import PtuFile
from analysis.tagfile.ptu_writer import PtuWriter, recover
from analysis.tagfile.source import TagFileError

RECORDINGS = {
    "hydraharp_t2.ptu": (435_319, [305_565], 5.0),
    "hydraharp_v2_t3.ptu": (106_349, [45_012, 32_871], 10.0),
    "hydraharp_v1_t3.ptu": (167_801, [48_001, 46_559], 30.0),
}


@pytest.fixture
def photons(tmp_path):
    """A T3 file of 1000 photons on channel 0, one per trial."""
    path = tmp_path / "photons.ptu"
    with PtuWriter(path, sync_rate=20e3, acquisition_time=0.05) as writer:
        writer.write(np.arange(1000, dtype=np.uint32))
    return path


def without(path, key):
    """Rewrite a file without one header tag."""
    header = read_header(path)
    data = path.read_bytes()[header.data_offset :]
    path.write_bytes(write_header([tag for tag in header.tags if tag.key != key]) + data)


def codes(source):
    return [warning.code for warning in source.warnings]


def read(source, **range_):
    return np.concatenate([np.empty(0, np.uint32), *map(np.copy, source.blocks(**range_))])


@pytest.mark.parametrize("name", RECORDINGS)
def test_real_recording_has_its_published_counts(name, recording, decode):
    n_records, photons, duration = RECORDINGS[name]
    source = PtuFile(recording(name))
    events = decode(source)
    assert source.n_records == n_records
    assert np.bincount(events.channel).tolist() == photons
    assert source.measured_time == duration


@pytest.mark.parametrize("name", RECORDINGS)
def test_real_recording_decodes_as_ptufile_decodes_it(name, recording, decode):
    path = recording(name)
    with ptufile.PtuFile(path) as reference:
        records = reference.decode_records()
    records = records[records["channel"] >= 0]
    events = decode(PtuFile(path))
    np.testing.assert_array_equal(events.time, records["time"])
    np.testing.assert_array_equal(events.channel, records["channel"])


def test_header_gives_resolution_and_sync(photons):
    source = PtuFile(photons)
    assert source.resolution == 250e-12
    assert source.sync_period == 50e-6
    assert source.sync_rate == 20_000
    assert source.measured_time == 0.05
    assert source.warnings == ()


@pytest.mark.parametrize("size", [1, 7, 1000, 5000])
def test_blocks_from_anywhere_hold_the_records_in_order(photons, size):
    source = PtuFile(photons)
    np.testing.assert_array_equal(read(source, size=size), np.arange(1000))
    np.testing.assert_array_equal(read(source, start=10, stop=33, size=size), np.arange(10, 33))
    assert max(len(block) for block in source.blocks(size=size)) <= size


def test_many_threads_read_one_file_at_once(photons):
    source = PtuFile(photons)
    with ThreadPoolExecutor(8) as pool:
        sums = list(pool.map(lambda _: int(read(source, size=13).sum()), range(32)))
    assert set(sums) == {999 * 500}


@pytest.mark.parametrize("range_", [{"start": -1}, {"start": 5, "stop": 4}, {"size": 0}])
def test_senseless_range_is_refused(photons, range_):
    with pytest.raises(ValueError, match="0 <= start <= stop"):
        PtuFile(photons).blocks(**range_)


def test_crashed_file_is_read_by_its_size(photons, patch):
    patch(photons, "TTResult_NumberOfRecords", bytes(8))
    source = PtuFile(photons)
    assert source.n_records == 1000
    assert codes(source) == ["record_count"]
    assert "0 records, but the file holds 1000" in str(source.warnings[0])
    assert recover(photons) == 1000
    assert PtuFile(photons).warnings == ()


def test_record_count_of_2_to_the_40_is_not_believed(photons, patch):
    patch(photons, "TTResult_NumberOfRecords", struct.pack("<q", 2**40))
    source = PtuFile(photons)
    assert source.n_records == 1000
    assert codes(source) == ["record_count"]


def test_half_of_the_records_missing_is_reported(photons):
    photons.write_bytes(photons.read_bytes()[:-2000])
    source = PtuFile(photons)
    assert len(read(source)) == source.n_records == 500
    assert "says 1000 records, but the file holds 500" in str(source.warnings[0])


def test_record_cut_by_two_bytes_is_reported(photons):
    photons.write_bytes(photons.read_bytes()[:-2])
    source = PtuFile(photons)
    assert len(read(source)) == 999
    assert codes(source) == ["record_count", "truncated"]
    assert "2 bytes" in str(source.warnings[1])


def test_file_without_records_says_so(tmp_path):
    with PtuWriter(tmp_path / "empty.ptu", sync_rate=20e3):
        pass
    source = PtuFile(tmp_path / "empty.ptu")
    assert codes(source) == ["no_records"]
    assert list(source.blocks()) == []


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("TTResult_StopReason", -2, ["fifo_overrun"]),
        ("TTResult_StopReason", -99, ["stopped_unknown"]),
        ("TTResult_StopReason", 1, []),
        ("TTResult_MDescWarningFlags", 0x80, ["events_dropped"]),
        ("TTResult_MDescWarningFlags", 0x201, ["sync_rate_zero", "sync_divider"]),
        ("TTResult_MDescWarningFlags", 0x8000, ["flag_unknown"]),
        ("HWSync_Divider", 4, ["sync_divider"]),
        ("Measurement_Mode", 2, ["mode"]),
    ],
)
def test_warnings_of_the_header_are_reported(photons, key, value, expected, patch):
    patch(photons, key, struct.pack("<q", value))
    assert codes(PtuFile(photons)) == expected


def test_the_sync_divider_says_what_it_means_in_each_mode(photons, patch, tmp_path):
    patch(photons, "HWSync_Divider", struct.pack("<q", 4))
    (t3,) = PtuFile(photons).warnings
    assert "whether sync numbers count all pulses or only those, the file does not say" in str(t3)
    assert "divider: 4" not in str(t3)
    with PtuWriter(tmp_path / "t2.ptu", layout=TIMEHARP_260N_T2, sync_rate=20e3) as writer:
        writer.write(np.array([5], np.uint32))
    patch(tmp_path / "t2.ptu", "HWSync_Divider", struct.pack("<q", 4))
    (t2,) = PtuFile(tmp_path / "t2.ptu").warnings
    assert "`trial: {sync: {divider: 4}}` counts all trials" in str(t2)


def test_measured_time_is_unknown_after_a_crash(photons, patch):
    patch(photons, "TTResult_StopAfter", bytes(8))
    assert PtuFile(photons).measured_time == 0.05
    patch(photons, "TTResult_StopReason", struct.pack("<q", -1))
    assert PtuFile(photons).measured_time is None


@pytest.mark.parametrize(
    ("key", "value", "match"),
    [
        ("TTResultFormat_BitsPerRecord", struct.pack("<q", 64), "32 bits, but .* is 64"),
        ("TTResultFormat_TTTRRecType", struct.pack("<q", 0x00010399), "0x00010399 is not known"),
        ("MeasDesc_GlobalResolution", struct.pack("<d", 0.0), "must be a positive time, but is 0"),
        ("MeasDesc_Resolution", struct.pack("<d", np.nan), "must be a positive time, but is nan"),
    ],
)
def test_header_that_gives_records_no_meaning_is_refused(photons, key, value, match, patch):
    patch(photons, key, value)
    with pytest.raises(TagFileError, match=f"photons.ptu.*{match}"):
        PtuFile(photons)


@pytest.mark.parametrize(
    "key",
    [
        "TTResult_NumberOfRecords",
        "TTResult_SyncRate",
        "TTResult_StopAfter",
        "TTResultFormat_TTTRRecType",
    ],
)
@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_number_that_is_not_finite_is_refused_with_file_and_tag(photons, key, number):
    header = read_header(photons)
    tags = [Tag.of(key, float(number)) if tag.key == key else tag for tag in header.tags]
    photons.write_bytes(write_header(tags) + photons.read_bytes()[header.data_offset :])
    with pytest.raises(TagFileError, match=f"photons.ptu.*{key}.*must be finite"):
        PtuFile(photons)


def test_negative_sync_rate_is_refused(photons, patch):
    patch(photons, "TTResult_SyncRate", struct.pack("<q", -20_000))
    with pytest.raises(TagFileError, match=r"TTResult_SyncRate.*must not be negative"):
        PtuFile(photons)


@pytest.mark.parametrize(
    "key",
    [
        "MeasDesc_GlobalResolution",
        "MeasDesc_Resolution",
        "TTResultFormat_TTTRRecType",
        "TTResultFormat_BitsPerRecord",
    ],
)
def test_missing_mandatory_tag_is_named(photons, key):
    without(photons, key)
    with pytest.raises(TagFileError, match=f"photons.ptu.*must have tag '{key}'"):
        PtuFile(photons)


def test_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(TagFileError, match="no such file"):
        PtuFile(tmp_path / "none.ptu")
    with pytest.raises(TagFileError, match="is a folder"):
        PtuFile(tmp_path)


def test_file_that_shrinks_while_read_is_detected(photons):
    blocks = PtuFile(photons).blocks(size=100)
    next(blocks)
    with photons.open("r+b") as stream:
        stream.truncate(photons.stat().st_size - 4 * 300)
    with pytest.raises(TagFileError, match="must hold 1000 records, but ends at record 700"):
        list(blocks)


def test_follow_sees_every_record_that_another_thread_writes(tmp_path):
    path = tmp_path / "growing.ptu"
    writer = PtuWriter(path, layout=TIMEHARP_260N_T2)
    done = threading.Event()

    def write():
        for start in range(0, 5000, 100):
            writer.write(np.arange(start, start + 100, dtype=np.uint32))
            time.sleep(0.001)
        writer.close()
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    blocks = [block.copy() for block in PtuFile(path).follow(poll=0.002, stop=done.is_set)]
    thread.join()
    np.testing.assert_array_equal(np.concatenate(blocks), np.arange(5000))


def test_follow_ends_when_nothing_comes(photons):
    source = PtuFile(photons)
    blocks = [block.copy() for block in source.follow(start=990, poll=0.001, idle_timeout=0.02)]
    assert np.concatenate(blocks).tolist() == list(range(990, 1000))


def test_follow_detects_a_file_that_shrinks(photons):
    blocks = PtuFile(photons).follow(poll=0.001, idle_timeout=5)
    next(blocks)
    with photons.open("r+b") as stream:
        stream.truncate(photons.stat().st_size - 4)
    with pytest.raises(TagFileError, match="ends at record 999"):
        next(blocks)
