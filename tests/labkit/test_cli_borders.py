"""What the command line refuses, and when: before work is done, in one line, on stderr."""

import json
import struct

import numpy as np
import pytest

from analysis.tagfile import LAYOUTS, Events, PtuWriter, read_header, write_ptu

CLICKS = np.array([3, 1 << 25 | 5 << 10 | 3, 0xFE000001], np.uint32)


@pytest.fixture
def tags(tmp_path):
    """A T3 file with two clicks, and its gates file."""
    with PtuWriter(tmp_path / "x.ptu", sync_rate=20e3) as writer:
        writer.write(CLICKS)
    (tmp_path / "x.gates.yaml").write_text(
        "period: 50.0e-6\ndetectors: {1: 0, 2: 1}\ngates: {pump: {start: 0.0, stop: 60.0e-9}}\n"
    )
    return writer.path


@pytest.mark.parametrize("name", ["counts.txt", "nowhere/counts.json"])
def test_counts_that_cannot_be_saved_are_refused_before_counting(labkit, tags, name, monkeypatch):
    monkeypatch.setattr("analysis.counting.count", lambda *_, **__: pytest.fail("it counted"))
    code, out, err = labkit("analyse", tags, "-o", tags.parent / name)
    assert (code, out) == (1, "")
    assert "--output must" in err


@pytest.mark.parametrize("place", ["x.ptu", "x.ptu/deeper"])
def test_report_in_place_of_a_file_is_refused_before_counting(labkit, tags, place, monkeypatch):
    monkeypatch.setattr("analysis.counting.count", lambda *_, **__: pytest.fail("it counted"))
    code, out, err = labkit("analyse", tags, "--out", tags.parent / place)
    assert (code, out) == (1, "")
    assert "x.ptu is a file; choose another name" in err
    assert "--out must be a folder" in labkit("demo", "--out", tags)[2]


@pytest.mark.parametrize("bound", ["nan", "inf", "one"])
def test_bound_must_be_a_finite_number(labkit, tags, bound):
    code, out, err = labkit("analyse", tags, "--bound", bound, "--json")
    assert (code, out) == (2, "")
    assert "finite number" in err


def test_folder_in_place_of_a_tag_file_is_named(labkit):
    code, _, err = labkit("analyse", ".")
    assert code == 1
    assert "is a folder" in err


def test_a_recording_is_added_twice_only_if_forced(labkit, tags, tmp_path):
    copy = tmp_path / "copy.ptu"
    copy.write_bytes(tags.read_bytes())
    for again in (tags, copy):
        code, out, err = labkit("analyse", tags, again, "--json")
        assert (code, out) == (1, "")
        assert "count every click twice" in err
    code, out, _ = labkit("analyse", tags, tags, "--allow-repeats", "--json")
    assert code == 0
    assert json.loads(out)["singles"]["pump"] == {"1": 2, "2": 2}
    assert "a file is counted twice" in out


def test_without_gates_file_a_labelled_proposal_is_run(labkit, tmp_path):
    rng = np.random.default_rng(2)
    n = 4000
    bins = np.concatenate([rng.integers(0, 240, n), rng.integers(492, 732, n)])
    time = rng.integers(0, 100_000, 2 * n)
    order = np.argsort(time, kind="stable")
    channel = rng.integers(0, 2, 2 * n).astype(np.uint8)
    events = Events(time=time[order], dtime=bins[order].astype(np.int32), channel=channel)
    path = tmp_path / "new.ptu"
    write_ptu(path, events, sync_rate=20e3, end_time=100_000)
    code, out, err = labkit("analyse", path, "--json")
    assert code == 0
    assert "PROPOSAL" in err
    found = json.loads(out)
    assert "PROPOSAL" in found["diagnosis"][0]
    assert found["singles"]["pump"]["1"] > 1900
    code, out, _ = labkit("gates", path)
    assert (code, "pump: {start: 0.0, stop: 6.0e-08}" in out) == (0, True)
    assert "read: {start: 1.23e-07, stop: 1.83e-07}" in out
    code, out, _ = labkit("info", path, "--plot")
    assert (code, out.count("pulse ")) == (0, 2)
    assert "rates over" in out


def test_the_file_is_checked_before_the_gates(labkit, tmp_path):
    (tmp_path / "x.ptu").write_bytes(b"PQTTTR\0\0" + bytes(8))
    code, _, err = labkit("analyse", tmp_path / "x.ptu")
    assert code == 1
    assert "the header must end" in err


def test_info_of_a_header_with_nan_is_still_json(labkit, tags):
    offset = read_header(tags).tag("HW_BaseResolution").offset + 40
    content = bytearray(tags.read_bytes())
    content[offset : offset + 8] = struct.pack("<d", np.nan)
    tags.write_bytes(content)
    code, out, _ = labkit("info", tags, "--json")
    assert code == 0
    assert json.loads(out)["header"]["HW_BaseResolution"] == "nan"


def test_info_of_impossible_overflows_names_the_file(labkit, tmp_path):
    with PtuWriter(tmp_path / "wild.ptu", layout=LAYOUTS[0x00010205]) as writer:
        writer.write(np.full(5000, 0xFFFFFFFF, np.uint32))
    code, out, err = labkit("info", writer.path, "--json")
    assert (code, out) == (1, "")
    assert "wild.ptu: overflow records must add up" in err


def test_reserved_records_are_left_out_of_a_conversion_on_request(labkit, tmp_path):
    with PtuWriter(tmp_path / "odd.ptu", sync_rate=20e3) as writer:
        writer.write(np.append(CLICKS, np.uint32(0xA0000000)))
    code, _, err = labkit("convert", writer.path, tmp_path / "odd.npz")
    assert code == 1
    assert "--drop-unknown" in err
    assert labkit("convert", writer.path, tmp_path / "odd.npz", "--drop-unknown")[0] == 0


def test_conversion_into_a_missing_folder_names_it(labkit, tags):
    code, _, err = labkit("convert", tags, tags.parent / "nowhere" / "x.csv")
    assert code == 1
    assert "there is no" in err


def test_every_command_is_described_by_a_whole_sentence(labkit):
    _, out, _ = labkit("--help")
    commands = out.partition("Commands:")[2].strip().splitlines()
    assert len(commands) >= 7
    assert not [line for line in commands if line.endswith(("et al.", "..."))]
