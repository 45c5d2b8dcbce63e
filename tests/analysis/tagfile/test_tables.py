import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.tagfile.csv_table import CsvFile
from analysis.tagfile.layouts import GENERIC_T2, GENERIC_T3, MARKER, SYNC
from analysis.tagfile.npz_table import NpzFile
from analysis.tagfile.parquet_table import ParquetFile
from analysis.tagfile.source import TagFileError

T3 = {"mode": "T3", "resolution": "2.5e-10", "sync_period": "5e-05"}


def write_csv(path, time, channel, metadata):
    lines = [f"# {key}: {value}" for key, value in metadata.items()]
    lines += ["time_ps,channel", *(f"{t},{c}" for t, c in zip(time, channel, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return CsvFile(path)


def write_npz(path, time, channel, metadata):
    np.savez(path, time_ps=np.array(time), channel=np.array(channel), **metadata)
    return NpzFile(path)


def write_parquet(path, time, channel, metadata):
    table = pa.table({"time_ps": np.array(time), "channel": np.array(channel)})
    pq.write_table(table.replace_schema_metadata(metadata or None), path)
    return ParquetFile(path)


@pytest.fixture(params=["csv", "npz", "parquet"])
def write(request, tmp_path):
    writers = {"csv": write_csv, "npz": write_npz, "parquet": write_parquet}

    def make(time, channel, metadata=()):
        return writers[request.param](
            tmp_path / f"x.{request.param}", time, channel, dict(metadata)
        )

    return make


def test_table_without_metadata_is_t2_in_picoseconds(write, decode):
    time, channel = [5, 10**12, 10**15], [0, SYNC, MARKER + 3]
    source = write(time, channel)
    assert source.layout is GENERIC_T2
    assert (source.resolution, source.measured_time, source.sync_period) == (1e-12, None, None)
    events = decode(source)
    assert events.time.tolist() == time
    assert events.channel.tolist() == channel


def test_table_with_t3_metadata_becomes_trials_and_bins(write, decode):
    source = write([50_000_250, 10**9 * 50_000_000 + 8_000_000], [0, 1], T3)
    assert source.layout is GENERIC_T3
    assert source.sync_period == 50e-6
    events = decode(source)
    assert events.time.tolist() == [1, 10**9]
    assert events.dtime.tolist() == [1, 32_000]


def test_end_of_the_measurement_is_reached_by_overflows(write):
    source = write([50_000_250], [0], {**T3, "end_time": "1000000", "measured_time": "50.0"})
    assert source.measured_time == 50.0
    records = np.concatenate(list(source.blocks()))
    assert source.n_records == len(records) == 2
    assert records[1] == 0xFE000000 | 1_000_000 // 1024


def test_large_table_streams_in_blocks(write, decode):
    time = np.arange(200_000) * 7_000
    source = write(time, np.arange(200_000) % 3)
    assert max(len(block) for block in source.blocks(size=1000)) == 1000
    np.testing.assert_array_equal(decode(source).time, time)
    everything = np.concatenate(list(source.blocks()))
    part = np.concatenate([block.copy() for block in source.blocks(150, 90_000, size=777)])
    np.testing.assert_array_equal(part, everything[150:90_000])
    assert source.n_records == len(everything)


def test_reading_beyond_the_end_is_an_error(write):
    source = write([1, 2, 3], [0, 0, 0])
    with pytest.raises(TagFileError, match="must hold 4 records, but ends at record 3"):
        list(source.blocks(0, 4))
    with pytest.raises(ValueError, match="0 <= start <= stop"):
        source.blocks(3, 2)


def test_table_without_rows_has_no_records(write):
    source = write(np.empty(0, np.int64), np.empty(0, np.int64))
    assert source.n_records == 0


@pytest.mark.parametrize(
    ("time", "channel", "metadata", "rule"),
    [
        ([1, 2, -3], [0, 0, 0], {}, "time_ps must be 0 to .* but is -3"),
        ([1, 2, 3], [0, 0, 63], {}, "channel must be 0 to 62.* but is 63"),
        ([1, 2, 3], [0, 0, 300], {}, "channel must be .* but is 300"),
        ([1, 10**9, 3], [0, 0, 0], {}, "time must not lie before overflow time .* but is 3; sort"),
        (
            [0, 250, 499],
            [0, 0, 0],
            {"resolution": "2.5e-10"},
            "time_ps must be .* steps of 250 ps, but is 499",
        ),
        ([0, 250, 9_000_000], [0, 0, 0], T3, "dtime must be 0 to 32767, but is 36000"),
    ],
)
def test_bad_row_is_named(write, time, channel, metadata, rule):
    source = write(time, channel, metadata)
    place = f"line {len(metadata) + 4}" if source.format == "csv" else "row 2"
    with pytest.raises(TagFileError, match=f"x.{source.format}: {place}: {rule}"):
        list(source.blocks())


def test_senseless_metadata_is_named(write):
    with pytest.raises(TagFileError, match=r"x.*: `sync_period` must be given"):
        write([1], [0], {"mode": "T3"})


@pytest.mark.parametrize("text", ["", "\n\n", "# mode: T2\n", "time,channel\n1,2\n", "1,2\n3,4\n"])
def test_csv_without_named_columns_is_refused(tmp_path, text):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(TagFileError, match=r"must have the columns 'time_ps' .* and 'channel'"):
        CsvFile(tmp_path / "x.csv")


@pytest.mark.parametrize("bad", ["1.5,0", "x,0", "17", "1e3,0", "99999999999999999999,0", ","])
def test_csv_line_that_is_no_row_is_named(tmp_path, bad):
    path = tmp_path / "x.csv"
    path.write_text(f"# a comment\ntime_ps,channel\n1,0\n\n# another\n{bad}\n2,0\n")
    with pytest.raises(TagFileError, match=f"x.csv: line 6: .* but is '{bad}'"):
        list(CsvFile(path).blocks())


def test_csv_may_have_more_columns_in_any_order_and_windows_line_ends(tmp_path, decode):
    text = "\ufefflabel,channel,time_ps\r\na,1,10\r\nb,0,20\r\n"
    (tmp_path / "x.csv").write_bytes(text.encode())
    events = decode(CsvFile(tmp_path / "x.csv"))
    assert events.time.tolist() == [10, 20]
    assert events.channel.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"time_ps": [1]}, "must have the columns"),
        ({"time_ps": [1, 2], "channel": [0]}, "same length, but have 2 and 1"),
        ({"time_ps": [1.5], "channel": [0]}, "'time_ps' must be one-dimensional and hold integers"),
        ({"time_ps": [[1]], "channel": [[0]]}, "must be one-dimensional"),
    ],
)
def test_npz_with_wrong_arrays_is_refused(tmp_path, arrays, match):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(TagFileError, match=match):
        NpzFile(tmp_path / "x.npz")


def test_npz_may_be_compressed_and_hold_other_arrays(tmp_path, decode):
    time = np.arange(100_000, dtype=np.uint64)
    odd = np.array([{"a": 1}], dtype=object)
    channel = np.zeros(100_000, dtype=np.int8)
    np.savez_compressed(tmp_path / "x.npz", time_ps=time, channel=channel, odd=odd)
    np.testing.assert_array_equal(decode(NpzFile(tmp_path / "x.npz")).time, time)


def test_damaged_npz_is_named(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, time_ps=np.arange(1000), channel=np.zeros(1000, dtype=np.uint8))
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-50])
    with pytest.raises(TagFileError, match=r"x.npz: this is no complete NPZ file"):
        NpzFile(path)
    data[3000] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(TagFileError, match=r"x.npz: this is no complete NPZ file"):
        list(NpzFile(path).blocks())


def test_npz_array_shorter_than_its_head_says_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, channel=np.zeros(1000, dtype=np.uint8))
    np.save(tmp_path / "time.npy", np.arange(1000))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("time_ps.npy", (tmp_path / "time.npy").read_bytes()[:-80])
    with pytest.raises(TagFileError, match="array 'time_ps' ends too early"):
        list(NpzFile(path).blocks())


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"time_ps": [1]}, "must have the columns"),
        ({"time_ps": [1.5], "channel": [0]}, "'time_ps' must hold integers"),
        ({"time_ps": [1, None], "channel": [0, 0]}, "row 1: 'time_ps' must not be empty"),
    ],
)
def test_parquet_with_wrong_columns_is_refused(tmp_path, columns, match):
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(TagFileError, match=match):
        list(ParquetFile(tmp_path / "x.parquet").blocks())


def test_damaged_parquet_is_named(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"time_ps": [1], "channel": [0]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(TagFileError, match=r"x.parquet: this is no complete Parquet file"):
        ParquetFile(path)
