import struct
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.tagfile.header import TAG, Tag, TagType, read_header, write_header
from analysis.tagfile.source import TagFileError

CP1252 = bytes(b for b in range(32, 256) if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(alphabet=CP1252.decode("cp1252"), max_size=20),
    st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.binary(max_size=30),
)
KEYS = st.from_regex(r"[A-Za-z_]{1,31}(\[[0-9]{1,4}\])?", fullmatch=True).filter(
    lambda key: "Header_End" not in key
)


def raw_tag(name, type_code, value, payload=b""):
    return TAG.pack(name, -1, type_code, value) + payload


@given(st.dictionaries(KEYS, VALUES, max_size=12))
def test_reading_what_was_written_gives_the_same_values(values):
    header = read_header(write_header(values))
    indexed = {Tag.of(key, None).key: value for key, value in values.items()}
    assert dict(header) == indexed


@given(st.dictionaries(KEYS, VALUES, max_size=12))
def test_writing_what_was_read_gives_the_same_bytes(values):
    data = write_header(values)
    header = read_header(data)
    assert write_header(header) == data
    assert header.data_offset == len(data)


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)))
def test_dates_come_back_within_a_few_microseconds(when):
    value = read_header(write_header({"File_CreatingTime": when}))["File_CreatingTime"]
    assert abs(value - when) < timedelta(microseconds=3)


def test_arrays_bit_sets_and_colours_keep_their_type():
    tags = [
        Tag(name="Array", value=np.array([1.5, -2.0]), type=TagType.FLOAT_ARRAY),
        Tag(name="Flags", value=2**63, type=TagType.BITSET),
        Tag(name="Colour", value=0xFF00FF, type=TagType.COLOR),
    ]
    header = read_header(write_header(tags))
    assert header["Array"].tolist() == [1.5, -2.0]
    assert (header["Flags"], header.tag("Flags").type) == (2**63, TagType.BITSET)
    assert (header["Colour"], header.tag("Colour").type) == (0xFF00FF, TagType.COLOR)


def test_missing_tag_names_the_nearest_ones_and_the_file(tmp_path):
    path = tmp_path / "a.ptu"
    path.write_bytes(write_header({"MeasDesc_Resolution": 1.0, "HW_Type": "x"}))
    with pytest.raises(KeyError) as caught:
        read_header(path)["MeasDesc_Resolutoin"]
    assert "a.ptu" in str(caught.value)
    assert "MeasDesc_Resolution" in str(caught.value)


def test_indexed_tags_have_their_index_in_the_key():
    header = read_header(write_header({"HWInpChan_Offset[0]": 3, "HWInpChan_Offset[1]": 4}))
    assert header["HWInpChan_Offset[1]"] == 4
    assert header.get("HWInpChan_Offset") is None


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (
            raw_tag(b"Name", 0x4001FFFF, struct.pack("<q", 2**40)),
            "'Name' at byte 64 .* 1099511627776",
        ),
        (raw_tag(b"Name", 0x4001FFFF, struct.pack("<q", -8)), "'Name' at byte 64 .* -8 bytes"),
        (raw_tag(b"Blob", 0xFFFFFFFF, struct.pack("<q", 2**40)), "'Blob' at byte 64"),
        (raw_tag(b"Odd", 0x12345678, bytes(8)), "'Odd' at byte 64 .* unknown type 0x12345678"),
        (raw_tag(b"Array", 0x2001FFFF, struct.pack("<q", 7), bytes(7)), "'Array' .* no valid"),
        (raw_tag(b"Date", 0x21000008, struct.pack("<d", float("nan"))), "'Date' .* no valid"),
        (raw_tag(b"Date", 0x21000008, struct.pack("<d", 1e300)), "'Date' .* no valid"),
    ],
)
def test_corrupt_tag_is_named_with_its_byte(raw, match):
    header = write_header({"First": 1})
    with pytest.raises(TagFileError, match=match):
        read_header(header[:64] + raw + header[64:])


@pytest.mark.parametrize("length", [16, 20, 63, 64, 100])
def test_truncated_header_says_that_the_end_is_missing(length):
    data = write_header({"First": 1, "Second": 2})[:length]
    with pytest.raises(TagFileError, match=f"'Header_End', but .* byte {length}"):
        read_header(data)


@pytest.mark.parametrize("data", [b"", b"PQT", b"PQHISTO\0" + bytes(50), bytes(4096)])
def test_wrong_magic_is_refused(data):
    with pytest.raises(TagFileError, match="not a PTU file"):
        read_header(data)


def test_garbage_behind_the_magic_is_refused():
    noise = np.random.default_rng(1).bytes(5000)
    with pytest.raises(TagFileError, match="at byte 16"):
        read_header(b"PQTTTR\0\0" + b"1.0.00\0\0" + noise)


@pytest.mark.parametrize(
    ("key", "value", "error", "match"),
    [
        ("x" * 32, 1, ValueError, "at most 31"),
        ("a[b]", 1, ValueError, "'Name\\[index\\]'"),
        ("a", 1j, TypeError, "is complex"),
        ("a", 2**70, ValueError, "cannot hold"),
    ],
)
def test_what_fits_no_tag_is_refused(key, value, error, match):
    with pytest.raises(error, match=match):
        write_header({key: value})


def test_a_corrupt_length_in_a_large_file_asks_for_no_memory(tmp_path):
    """The payload would fit into the file, so only its length says that it is none."""
    path = tmp_path / "large.ptu"
    data = write_header({"File_Comment": "x" * 8})
    at = data.index(b"x" * 8)
    path.write_bytes(data[: at - 8] + (1 << 27).to_bytes(8, "little") + data[at:])
    with path.open("r+b") as stream:
        stream.truncate(1 << 28)
    with pytest.raises(TagFileError, match=r"large\.ptu: header tag 'File_Comment' .* 134217728"):
        read_header(path)
