"""Files as labs have them: each is read right, warned about, or refused with a remedy."""

import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.counting import count
from analysis.counting.patterns import count_patterns
from analysis.gates import Gate, GateSet, TrialStart
from analysis.tagfile import open_tags, summarise, write_ptu
from analysis.tagfile.conversion import convert
from analysis.tagfile.events import Events
from analysis.tagfile.header import Tag, read_header, write_header
from analysis.tagfile.layouts import LAYOUTS
from analysis.tagfile.source import TagFileError

TRIALS = 200
PERIOD = 50_000_000
FIRST = np.arange(0, TRIALS, 2, dtype=np.int64) * PERIOD
TIMES = np.stack([FIRST + 10_000, FIRST + 123_000], axis=1).ravel()
CHANNELS = np.tile([0, 1], TRIALS // 2).astype(np.uint8)
T3 = LAYOUTS[0x00010305]


def gates(**trial):
    return GateSet(
        period=50e-6, detectors={1: 0, 2: 1}, trial=TrialStart(**trial),
        gates=(Gate(name="pump", start=0.0, stop=60e-9),
               Gate(name="read", start=123e-9, stop=183e-9)),
    )  # fmt: skip


def t3_events(trials=TRIALS, resolution=250e-12):
    sync = np.repeat(np.arange(0, trials, 2), 2)
    dtime = np.tile([round(10e-9 / resolution), round(123e-9 / resolution)], trials // 2)
    channel = np.tile([0, 1], trials // 2).astype(np.uint8)
    return Events(time=sync, dtime=dtime.astype(np.int32), channel=channel)


def write_t3(path, layout=T3, resolution=250e-12, trials=TRIALS, **changed):
    write_ptu(
        path, t3_events(trials, resolution), layout=layout, resolution=resolution,
        sync_rate=20e3, end_time=trials,
    )  # fmt: skip
    raw, header = path.read_bytes(), read_header(path)
    tags = [
        Tag(name=t.name, value=changed.get(t.name, t.value), type=t.type, index=t.index)
        for t in header.tags
    ]
    path.write_bytes(write_header(tags) + raw[header.data_offset :])
    return path


def found(path, **trial):
    return count(path, gates(**trial)).coincidence(("pump", 1), ("read", 2))


def warned(path):
    return {warning.code for warning in summarise(open_tags(path)).warnings}


@pytest.mark.parametrize("ps", [250, 80, 25, 16, 12.5, 8])
def test_a_resolution_in_single_precision_moves_no_click_at_a_gates_edge(tmp_path, ps):
    stored = {"MeasDesc_Resolution": float(np.float32(ps * 1e-12))}
    path = write_t3(tmp_path / "x.ptu", LAYOUTS[0x00010307], ps * 1e-12, **stored)
    assert found(path) == TRIALS // 2


@pytest.mark.parametrize(
    ("unit", "coarse"), [("ps", False), ("ns", False), ("10ns", True), ("us", True)]
)
def test_durations_of_any_unit_are_converted_and_coarse_ones_told(tmp_path, unit, coarse):
    times = TIMES.astype("timedelta64[ps]").astype(f"timedelta64[{unit}]")
    np.savez(tmp_path / "x.npz", time_ps=times, channel=CHANNELS)
    assert ("coarse_times" in warned(tmp_path / "x.npz")) == coarse
    if not coarse:
        assert found(tmp_path / "x.npz", kind="clock") == TRIALS // 2


@pytest.mark.parametrize(
    "column", [pa.array(TIMES).cast(pa.decimal128(20)), pa.array(TIMES / 1.0),
               pa.array(TIMES.astype("datetime64[ns]")), pa.array(TIMES.astype(str))],
    ids=["decimal", "double", "timestamp", "string"],
)  # fmt: skip
def test_a_parquet_column_of_another_type_is_refused_by_its_name(tmp_path, column):
    pq.write_table(pa.table({"time_ps": column, "channel": CHANNELS}), tmp_path / "x.parquet")
    kind = str(column.type).split("(")[0].split("[")[0]
    with pytest.raises(TagFileError, match=f"must hold integers or durations .* holds {kind}"):
        open_tags(tmp_path / "x.parquet")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_table_of_text_is_read_whatever_wrote_it(tmp_path, mark, encoding, end):
    rows = [f"{time}{mark}{channel}" for time, channel in zip(TIMES, CHANNELS, strict=True)]
    text = end.join(["# Zähler Nº 1", f"time_ps{mark}channel", *rows, ""])
    (tmp_path / "x.csv").write_bytes(text.encode(encoding))
    assert found(tmp_path / "x.csv", kind="clock") == TRIALS // 2


@pytest.mark.parametrize("name", ["x.csv", "x.txt"])
def test_a_line_without_end_is_refused_before_it_fills_the_memory(tmp_path, name):
    (tmp_path / name).write_text("time_ps,channel\n1,0\n" + "9" * 100_000)
    with pytest.raises(TagFileError, match="line 3 is too long"):
        summarise(open_tags(tmp_path / name))


def test_a_bad_line_after_a_whole_block_of_text_is_not_skipped(tmp_path):
    rows = [f"{k};0" for k in range(1 << 16)]
    (tmp_path / "x.txt").write_text("\n".join([*rows, "no row", "99999999;0"]))
    with pytest.raises(TagFileError, match="line 65537: a row must hold"):
        summarise(open_tags(tmp_path / "x.txt"))


def test_what_cannot_be_read_twice_is_refused(tmp_path):
    os.mkfifo(tmp_path / "x.ptu")
    for path in (tmp_path / "x.ptu", Path("/dev/null")):
        with pytest.raises(TagFileError, match="is a pipe or a device"):
            open_tags(path)


def test_tags_that_were_announced_but_never_written_are_not_waited_for(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["photon_data/timestamps_specs/timestamps_unit"] = 1e-12
        for name in ("timestamps", "detectors"):
            file["photon_data"].create_dataset(name, (1 << 44,), "i8", chunks=(1 << 16,))
    with pytest.raises(TagFileError, match=r"17,592,186,044,416 tags, but 0 bytes"):
        open_tags(tmp_path / "x.h5")


def test_an_array_that_grows_beyond_reason_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_LZMA) as archive:
        for name in ("time_ps", "channel"):
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, np.zeros(4_000_000, np.int64))
    with pytest.raises(TagFileError, match=r"array 'time_ps' would grow [\d,]+-fold"):
        open_tags(tmp_path / "x.npz")


def test_a_zip_of_recordings_and_a_zip_of_many_arrays_are_told_shortly(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("run7.ptu", b"")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for k in range(100):
            archive.writestr(f"a{k}.npy", b"")
    with pytest.raises(TagFileError, match=r"zip archive of 'run7.ptu' and the like; unpack it"):
        open_tags(tmp_path / "x.zip")
    with pytest.raises(TagFileError, match=r"'a7' and 92 more$"):
        open_tags(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["x.h5", "x.npz", "x.csv", "x.parquet"])
def test_a_converted_copy_is_the_same_recording(tmp_path, name):
    path = write_t3(tmp_path / "a.ptu")
    convert(path, tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}: must be another .* has the same photons"):
        count([path, tmp_path / name], gates())
    both = count([path, tmp_path / name], gates(), allow_repeats=True)
    assert both.coincidence(("pump", 1), ("read", 2)) == TRIALS


def test_a_converted_copy_full_of_syncs_is_the_same_recording_too(tmp_path):
    sync = np.arange(100_000, dtype=np.int64) * 200_000
    photon = sync[::5000] + 40
    time, channel = np.append(sync, photon), np.repeat([64, 0], [len(sync), len(photon)])
    order = np.argsort(time, kind="stable")
    events = Events(time=time[order], dtime=None, channel=channel[order].astype(np.uint8))
    write_ptu(tmp_path / "a.ptu", events, layout=LAYOUTS[0x00010205], sync_rate=20e3)
    convert(tmp_path / "a.ptu", tmp_path / "a.npz")
    with pytest.raises(ValueError, match=r"a.npz: must be another .* has the same photons"):
        count([tmp_path / "a.ptu", tmp_path / "a.npz"], gates())


def test_recordings_that_only_begin_alike_are_two(tmp_path):
    rows = "\n".join(f"{time},{channel}" for time, channel in zip(TIMES, CHANNELS, strict=True))
    for name, last in (("a.csv", 9), ("b.csv", 7)):
        (tmp_path / name).write_text(f"time_ps,channel\n{rows}\n{TIMES[-1] + last},0\n")
    both = count([tmp_path / "a.csv", tmp_path / "b.csv"], gates(kind="clock"))
    assert both.coincidence(("pump", 1), ("read", 2)) == TRIALS


def test_a_period_and_a_rate_that_contradict_each_other_are_told(tmp_path):
    path = write_t3(tmp_path / "x.ptu", MeasDesc_GlobalResolution=12.5e-9)
    assert "sync_period" in warned(path)
    assert "sync_period" not in warned(write_t3(tmp_path / "y.ptu"))


def test_counted_overflows_under_the_first_hydraharps_label_are_told(tmp_path):
    """Read as version 1 each overflow record would be one wrap: trials would be lost silently."""
    events = t3_events()
    path = tmp_path / "x.ptu"
    write_ptu(
        path, Events(time=events.time * 1000, dtime=events.dtime, channel=events.channel),
        layout=LAYOUTS[0x01010304], resolution=250e-12, sync_rate=20e3, end_time=10**6,
    )  # fmt: skip
    assert "mislabelled" not in warned(path)
    mislabelled = open_tags(path, as_type="0x00010304")
    message = next(w.message for w in summarise(mislabelled).warnings if w.code == "mislabelled")
    assert "--as 0x01010304" in message
    assert any("0x01010304" in text for text in count(mislabelled, gates()).quality.warnings)


def photons_moved(path, order):
    """Put the photons between two overflow records of a file into another order."""
    raw, offset = path.read_bytes(), read_header(path).data_offset
    records = np.frombuffer(raw[offset:], "<u4")
    wrap = np.cumsum(records >> 31)
    moved = records[np.lexsort((order(records), wrap))]
    path.write_bytes(raw[:offset] + moved.tobytes())


def test_channels_written_one_after_the_other_are_joined_again(tmp_path):
    """Each channel is in order by itself, so that no overflow record can be lost."""
    path = write_t3(tmp_path / "x.ptu", trials=20_000)
    photons_moved(path, lambda r: np.where(r >> 31, -1, (r >> 25 & 1).astype(np.int64)))
    patterns = count_patterns(path, gates())
    assert patterns.all_of(("pump", 1), ("read", 2)) == 10_000
    for counts in (count(path, gates()), patterns.counts):
        assert counts.coincidence(("pump", 1), ("read", 2)) == 10_000
        assert "sorted by time" in " ".join(counts.quality.warnings)


def test_tags_without_any_order_are_refused(tmp_path):
    path = write_t3(tmp_path / "x.ptu", trials=20_000)
    mixed = np.random.default_rng(1).permutation(60_000)
    photons_moved(path, lambda r: np.where(r >> 31, -1, mixed[: len(r)]))
    with pytest.raises(TagFileError, match="more than the 19 overflows: coincidences of tags"):
        count(path, gates())
    with pytest.raises(TagFileError, match="earlier than one before it on the same channel"):
        count_patterns(path, gates())


def test_one_lost_overflow_record_is_told_and_counted(tmp_path):
    path = write_t3(tmp_path / "x.ptu", trials=20_000)
    raw, offset = path.read_bytes(), read_header(path).data_offset
    records = np.frombuffer(raw[offset:], "<u4")
    lost = np.flatnonzero(records >> 31)[3]
    path.write_bytes(raw[:offset] + np.delete(records, lost).tobytes())
    counts = count(path, gates())
    assert counts.coincidence(("pump", 1), ("read", 2)) == 10_000
    assert "overflow records are lost" in " ".join(counts.quality.warnings)


def test_a_trial_that_never_ends_is_counted_in_bounded_memory(tmp_path):
    """A clock trial with 3 × 65,536 clicks: at most two clicks of each cell are held back."""
    from analysis.counting.count import plan_for
    from analysis.counting.sparse import SparseCounter
    from analysis.counting.tally import Tally

    number = 3 << 16
    np.savez(tmp_path / "x.npz", time_ps=np.zeros(number, np.int64), channel=np.arange(number) % 2)
    source, plan = plan_for(open_tags(tmp_path / "x.npz"), gates(kind="clock", t0=0.0))
    counter = SparseCounter(plan, Tally.empty(plan))
    for block in source.blocks():
        counter.count(block)
        assert len(counter._held_cells) <= 1 << 16
    counts = count(source, gates(kind="clock", t0=0.0))
    assert counts.coincidence(("pump", 1), ("pump", 2)) == 1
    assert counts.repeated[0].tolist() == [number // 2 - 1] * 2
    assert counts.quality.crowded_trials == 1


def test_trials_after_the_last_tag_are_not_called_known(tmp_path):
    np.savez(tmp_path / "x.npz", time_ps=TIMES, channel=CHANNELS)
    trials = count(tmp_path / "x.npz", gates(kind="clock")).trials
    assert trials.number == trials.low == TRIALS - 1
    assert trials.high == trials.low + 14  # e^(-14) < 10^-6 of one tag per trial


def test_a_table_is_described_by_its_tags_not_by_records_it_does_not_hold(tmp_path):
    np.savez(tmp_path / "x.npz", time_ps=TIMES, channel=CHANNELS)
    convert(write_t3(tmp_path / "a.ptu"), tmp_path / "a.csv")
    nameless, named = (str(summarise(open_tags(tmp_path / name))) for name in ("x.npz", "a.csv"))
    assert "tags        200 T2 of a device that it does not name" in nameless
    assert "tags        200 T3 of a TimeHarp 260 N" in named
    assert "overflows" not in nameless
    assert summarise(open_tags(tmp_path / "x.npz")).to_dict()["layout"] is None
