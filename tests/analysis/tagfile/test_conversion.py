import struct

import numpy as np
import pytest

from analysis.tagfile.conversion import convert
from analysis.tagfile.events import Events
from analysis.tagfile.formats import open_tags
from analysis.tagfile.layouts import (
    LAYOUTS,
    MARKER,
    SYNC,
    TIMEHARP_260N_T2,
    TIMEHARP_260N_T3,
)
from analysis.tagfile.ptu_writer import PtuWriter, write_ptu
from analysis.tagfile.source import TagFileError
from analysis.tagfile.summary import summarise

SUFFIXES = [".ptu", ".h5", ".hdf5", ".csv", ".npz", ".parquet"]
HYDRAHARP_T2 = LAYOUTS[0x01010204]


@pytest.fixture
def t3_file(tmp_path):
    """T3 photons and markers of a minute, with a longer end than the last tag."""
    rng = np.random.default_rng(5)
    n = 3000
    events = Events(
        time=np.sort(rng.integers(0, 1_000_000, n)),
        dtime=rng.integers(0, 32768, n).astype(np.int32),
        channel=rng.choice([0, 1, MARKER + 1], n).astype(np.uint8),
    )
    path = tmp_path / "t3.ptu"
    write_ptu(path, events, sync_rate=20e3, acquisition_time=60.0, end_time=1_200_000)
    return path


@pytest.fixture
def t2_file(tmp_path):
    """T2 syncs with photons in between."""
    rng = np.random.default_rng(6)
    time = np.concatenate([np.arange(5000) * 200_000, rng.integers(0, 10**9, 700)])
    channel = np.concatenate([np.full(5000, SYNC), rng.integers(0, 2, 700)])
    order = np.argsort(time, kind="stable")
    events = Events(time=time[order], dtime=None, channel=channel[order].astype(np.uint8))
    path = tmp_path / "t2.ptu"
    options = {"sync_rate": 20e3, "acquisition_time": 0.25, "end_time": 10**9}
    write_ptu(path, events, layout=TIMEHARP_260N_T2, **options)
    return path


@pytest.mark.parametrize("mode", ["t2", "t3"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_there_and_back_again_gives_the_same_records(request, tmp_path, mode, suffix):
    path = request.getfixturevalue(f"{mode}_file")
    convert(path, tmp_path / f"there{suffix}")
    convert(tmp_path / f"there{suffix}", tmp_path / "back.ptu")
    first, last = open_tags(path), open_tags(tmp_path / "back.ptu")
    np.testing.assert_array_equal(
        np.concatenate(list(map(np.copy, first.blocks()))),
        np.concatenate(list(map(np.copy, last.blocks()))),
    )
    assert last.layout is first.layout
    for name in ("resolution", "sync_period", "sync_rate", "measured_time", "warnings"):
        assert getattr(last, name) == getattr(first, name)


@pytest.mark.parametrize("middle", SUFFIXES[1:])
@pytest.mark.parametrize("target", SUFFIXES[1:])
def test_every_format_converts_to_every_other(
    t3_file, tmp_path, middle, target, decode, same_events
):
    convert(t3_file, tmp_path / f"a{middle}")
    convert(tmp_path / f"a{middle}", tmp_path / f"b{target}")
    same_events(decode(open_tags(tmp_path / f"b{target}")), decode(open_tags(t3_file)))


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
@pytest.mark.parametrize("name", ["hydraharp_t2.ptu", "hydraharp_v1_t3.ptu", "hydraharp_v2_t3.ptu"])
def test_real_recording_survives(recording, tmp_path, name, suffix, decode, same_events):
    source = open_tags(recording(name))
    summary = convert(recording(name), tmp_path / f"x{suffix}")
    target = open_tags(tmp_path / f"x{suffix}")
    same_events(decode(target), decode(source))
    assert summarise(target).end_time == summary.end_time
    assert target.warnings == source.warnings


TIMEHARP_CSV = """# device: TimeHarp 260 N
# mode: {mode}
# resolution: {resolution}
{more}time_ps,channel
{rows}"""


def test_ticks_that_the_device_lacks_are_rounded_only_on_request(tmp_path, decode):
    text = TIMEHARP_CSV.format(mode="T2", resolution=1e-12, more="", rows="250,0\n374,0\n500,0\n")
    (tmp_path / "ps.csv").write_text(text)
    with pytest.raises(ValueError, match=r"ps.csv: event 1: .* 250 ps, but is 374; .*round_times"):
        convert(tmp_path / "ps.csv", tmp_path / "ns.ptu")
    assert [path.name for path in tmp_path.iterdir()] == ["ps.csv"]
    convert(tmp_path / "ps.csv", tmp_path / "ns.ptu", round_times=True)
    assert decode(open_tags(tmp_path / "ns.ptu")).time.tolist() == [1, 1, 2]


def test_bins_that_the_device_lacks_are_rounded_only_on_request(tmp_path, decode):
    more, rows = "# sync_period: 5e-05\n", f"900,0\n{50_000_000 + 32767 * 300},0\n"
    text = TIMEHARP_CSV.format(mode="T3", resolution=300e-12, more=more, rows=rows)
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match="has bins of 300 ps; pass round_times"):
        convert(tmp_path / "a.csv", tmp_path / "b.ptu")
    convert(tmp_path / "a.csv", tmp_path / "b.ptu", round_times=True)
    target = open_tags(tmp_path / "b.ptu")
    assert target.resolution == 500e-12
    assert decode(target).dtime.tolist() == [2, 19660]


@pytest.mark.parametrize("record_type", sorted(LAYOUTS))
@pytest.mark.parametrize("suffix", [".ptu", ".h5", ".npz"])
def test_every_device_keeps_its_layout_resolution_and_tags(
    tmp_path, decode, same_events, record_type, suffix
):
    layout = LAYOUTS[record_type]
    is_t3 = layout.mode == "T3"
    resolution = 250e-12 if layout.device.startswith("TimeHarp 260 N") else 1e-12
    rng = np.random.default_rng(record_type)
    events = Events(
        time=np.sort(rng.integers(0, 3_000_000 if is_t3 else 10**9, 500)),
        dtime=rng.integers(0, 4096, 500).astype(np.int32) if is_t3 else None,
        channel=rng.integers(0, 2, 500).astype(np.uint8),
    )
    first, there, back = tmp_path / "a.ptu", tmp_path / f"b{suffix}", tmp_path / "c.ptu"
    write_ptu(first, events, layout=layout, resolution=resolution, sync_rate=20e3)
    convert(first, there)
    convert(there, back)
    found = open_tags(back)
    assert (found.layout, found.resolution) == (layout, resolution)
    same_events(decode(found), events)


def test_ptu_to_ptu_keeps_every_byte_of_header_and_records(tmp_path, recording):
    path = recording("hydraharp_v2_t3.ptu")
    convert(path, tmp_path / "copy.ptu")
    first, copy = open_tags(path), open_tags(tmp_path / "copy.ptu")
    assert {k: str(v) for k, v in copy.header.items()} == {
        k: str(v) for k, v in first.header.items()
    } | {k: str(v) for k, v in copy.header.items() if k not in first.header}
    for one, other in zip(first.blocks(), copy.blocks(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bin_beyond_the_sync_period_is_no_absolute_time(tmp_path):
    events = Events(
        time=np.arange(2), dtime=np.array([3, 5000], np.int32), channel=np.zeros(2, "u1")
    )
    write_ptu(tmp_path / "a.ptu", events, sync_rate=1e6)
    with pytest.raises(ValueError, match=r"a.ptu: event 1: tag \(sync 1, bin 5000\)"):
        convert(tmp_path / "a.ptu", tmp_path / "b.csv")
    convert(tmp_path / "a.ptu", tmp_path / "b.h5")


def test_reserved_codes_are_dropped_only_on_request(tmp_path):
    with PtuWriter(tmp_path / "a.ptu", sync_rate=20e3) as writer:
        writer.write(np.array([5, 0x80000000 | 20 << 25], dtype=np.uint32))
    with pytest.raises(ValueError, match=r"1 records have a reserved code, .* drop_unknown"):
        convert(tmp_path / "a.ptu", tmp_path / "b.csv")
    convert(tmp_path / "a.ptu", tmp_path / "b.csv", drop_unknown=True)
    assert open_tags(tmp_path / "b.csv").n_records == 1


def test_target_is_replaced_only_on_request(t3_file, tmp_path):
    target = tmp_path / "x.csv"
    target.write_text("precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        convert(t3_file, target)
    assert target.read_text() == "precious"
    convert(t3_file, target, overwrite=True)
    assert open_tags(target).layout.mode == "T3"


def test_what_a_killed_conversion_left_is_no_obstacle(t3_file, tmp_path):
    (tmp_path / "out.ptu.part").write_bytes(b"half of a file")
    convert(t3_file, tmp_path / "out.ptu")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.ptu", "t3.ptu"]
    assert open_tags(tmp_path / "out.ptu").n_records == open_tags(t3_file).n_records


def test_source_and_target_must_differ(t3_file):
    with pytest.raises(ValueError, match="two files"):
        convert(t3_file, t3_file, overwrite=True)


def test_unknown_target_lists_the_formats(t3_file, tmp_path):
    with pytest.raises(TagFileError, match="must be one of ptu"):
        convert(t3_file, tmp_path / "x.xlsx")


def test_doubts_about_the_source_go_with_its_tags(t3_file, tmp_path, patch):
    patch(t3_file, "TTResult_StopReason", struct.pack("<q", -2))
    patch(t3_file, "TTResult_MDescWarningFlags", struct.pack("<q", 0x80))
    for suffix in SUFFIXES:
        target = tmp_path / f"x{suffix}"
        convert(t3_file, target)
        codes = [warning.code for warning in open_tags(target).warnings]
        assert codes == ["fifo_overrun", "events_dropped"]


def test_unsorted_table_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.csv").write_text("time_ps,channel\n50000000,0\n20,0\n")
    with pytest.raises(TagFileError, match=r"a.csv: line 3: time must not lie before .* sort"):
        convert(tmp_path / "a.csv", tmp_path / "b.npz")


def test_progress_goes_from_nothing_to_all(t3_file, tmp_path):
    steps = []
    convert(t3_file, tmp_path / "x.csv", progress=lambda done, total: steps.append(done / total))
    assert steps == [0.5, 1.0]


def test_layout_of_the_target_is_the_one_of_the_lab(t3_file, tmp_path):
    convert(t3_file, tmp_path / "x.npz")
    convert(tmp_path / "x.npz", tmp_path / "y.ptu")
    assert open_tags(tmp_path / "y.ptu").layout is TIMEHARP_260N_T3
