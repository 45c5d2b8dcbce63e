"""Formats of other devices, from files built byte by byte as their descriptions say."""

import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.counting import count
from analysis.gates import Gate, GateSet
from analysis.tagfile import TagFileError, open_tags, summarise, write_ptu
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS, MARKER

CASES = Path(__file__).parents[3].parent / "shared" / "cases" / "tags"


def old_header(ident, version, mode, *, resolution, records, boards=1, tail=()):
    """Header of an old PicoQuant file; the parts that do not matter are zero."""
    head = ident.ljust(16, b"\0") + version.ljust(6, b"\0")
    if ident == b"TimeHarp 200":
        head += bytes(6 + 18 + 2 + 256) + struct.pack("<7i", 4096, 0, 32, 1, boards, 0, mode)
        head += bytes(4 * 4 + 4 * 4 + 16 + 64 + 36 + 16 + 20)
        head += struct.pack("<5if", 76, 20, 50, -300, 0, resolution)
        return head + struct.pack("<i24s6i", 100, b"", 5_000_000, 0, 2000, 1, records, 0)
    head += bytes(18 + 12 + 18 + 2 + 256 + 4) + struct.pack("<i", 32)
    if ident == b"PicoHarp 300":
        head += struct.pack("<4i", 4, boards, 0, mode) + bytes(4 * 4 + 16 + 16 + 64 + 36 + 16 + 20)
        head += bytes(16 + 8 + 4) + struct.pack("<5if2i", 4, 0, 0, 0, 0, resolution, 0, 0)
        head += bytes(96)
        return head + struct.pack("<i8s6i", 0, b"", 20_000, 0, 2000, 1, records, 0)
    head += struct.pack("<4id2i", 0, mode, 0, 0, resolution, 0, 0)
    head += bytes(16 + 16 + 64 + 36 + 16 + 20 + 16 + 8 + 4) + struct.pack("<i80s", 1, b"")
    head += struct.pack("<dq2i4x4x", 1.0, 3, 2, 0) + struct.pack("<4i", 1, 0, 0, 0)
    head += bytes(2 * 16 + 2 * 4)
    return head + struct.pack("<4iq", 20_000, 2000, 1, 0, records)


def encode_hydra_t3(rows):
    return b"".join(struct.pack("<I", c << 25 | d << 10 | n) for c, d, n in rows)


@pytest.mark.parametrize(
    ("name", "version", "record_type", "resolution"),
    [
        ("a.ht2", b"1.0", 0x00010204, 0.5e-12),
        ("a.ht2", b"2.0", 0x01010204, 1e-12),
        ("a.ht3", b"1.0", 0x00010304, 4e-12),
        ("a.ht3", b"2.0", 0x01010304, 4e-12),
    ],
)
def test_hydraharp_files(tmp_path, decode, name, version, record_type, resolution):
    mode = int(name[-1])
    data = encode_hydra_t3([(0, 7, 3), (1, 9, 500), (63 | 64, 0, 1), (1, 2, 4)])
    head = old_header(b"HydraHarp", version, mode, resolution=4.0, records=4)
    (tmp_path / name).write_bytes(head + data)
    source = open_tags(tmp_path / name)
    assert source.layout == LAYOUTS[record_type]
    assert source.resolution == resolution
    assert source.warnings == ()
    assert (source.sync_rate, source.measured_time) == (20_000, 2.0)
    events = decode(source)
    assert events.channel.tolist() == [0, 1, 1]
    if mode == 3:
        assert events.time.tolist() == [3, 500, 1028]
        assert events.dtime.tolist() == [7, 9, 2]


@pytest.mark.parametrize("mode", [2, 3])
def test_picoharp_files(tmp_path, decode, mode):
    words = [1 << 28 | 5 << 16 | 9, 15 << 28, 2 << 28 | 6 << 16 | 10]
    head = old_header(b"PicoHarp 300", b"2.0", mode, resolution=0.008, records=3)
    (tmp_path / "a.pt3").write_bytes(head + struct.pack("<3I", *words))
    source = open_tags(tmp_path / "a.pt3")
    events = decode(source)
    assert events.channel.tolist() == [1, 2]
    assert source.warnings == ()
    assert source.sync_divider == 4
    if mode == 3:
        assert source.resolution == 8e-12  # float32 of 0.008 ns
        assert events.time.tolist() == [9, 65546]
        assert events.dtime.tolist() == [5, 6]
    else:
        assert source.resolution == 4e-12
        assert events.time.tolist() == [5 << 16 | 9, 210_698_240 + (6 << 16 | 10)]


def test_timeharp_200_times_count_a_clock_and_make_no_trials(tmp_path, decode):
    valid = 1 << 30
    words = [valid | 100 << 16 | 7, 0x800 << 16, valid | 1 << 28 | 200 << 16 | 8, 2 << 16 | 9]
    head = old_header(b"TimeHarp 200", b"5.0", 2, resolution=0.07, records=4)
    path = tmp_path / "a.t3r"
    path.write_bytes(head + struct.pack("<4I", *words))
    source = open_tags(path)
    events = decode(source)
    assert events.time.tolist() == [7, 65544, 65545]
    assert events.channel.tolist() == [0, 1, MARKER + 2]
    assert events.dtime.tolist() == [100, 200, 0]
    gates = GateSet(period=1e-7, detectors={1: 0}, gates=(Gate(name="a", start=0, stop=1e-8),))
    with pytest.raises(ValueError, match=r"a.t3r: `trial` cannot be sync: .* count a clock"):
        count(path, gates)


def test_the_real_hydraharp_head_has_its_25_syncs():
    path = CASES / "real_v20.ht2"
    if not path.exists():
        pytest.skip("the case is not beside the checkout")
    summary = summarise(open_tags(path))
    assert (summary.records, summary.syncs, summary.photons) == (25, 25, {})
    assert 24e6 < summary.end_time < 25e6
    assert {w.code for w in summary.warnings} == {"record_count", "duration"}


def test_histograms_of_the_same_devices_are_told_from_tags(tmp_path):
    head = bytearray(old_header(b"HydraHarp", b"2.0", 2, resolution=1.0, records=0))
    struct.pack_into("<i", head, 22 + 18 + 12 + 18 + 2 + 256 + 4, 16)
    (tmp_path / "a.hhd").write_bytes(head)
    with pytest.raises(TagFileError, match=r"histogram .* holds no time tags"):
        open_tags(tmp_path / "a.hhd")


def swabian(*rows):
    return b"".join(struct.pack("<BBHiq", kind, 0, missed, *rest) for kind, missed, *rest in rows)


def test_swabian_dump_has_both_edges_and_tells_of_lost_tags(tmp_path, decode):
    path = tmp_path / "a.dump"
    path.write_bytes(
        swabian((0, 0, 1, 10**12), (4, 17, 2, 10**12 + 3), (0, 0, -3, 10**12 + 5)) + b"rest"
    )
    source = open_tags(path)
    events = decode(source)
    assert events.time.tolist() == [10**12, 10**12 + 5]
    assert events.channel.tolist() == [1, 35]
    assert source.resolution == 1e-12
    assert [w.code for w in source.warnings] == ["events_dropped", "truncated"]
    assert "17 tags" in str(source.warnings[0])
    path.write_bytes(swabian((9, 0, 1, 5)))
    with pytest.raises(TagFileError, match="event types must be 0 to 4"):
        open_tags(path)


def test_ttbin_goes_through_the_vendors_reader(tmp_path, decode, monkeypatch):
    path = tmp_path / "a.ttbin"
    path.write_bytes(b"proprietary")
    monkeypatch.setitem(sys.modules, "TimeTagger", None)
    with pytest.raises(TagFileError, match=r"install labkit\[swabian\]"):
        open_tags(path)

    class Reader:
        def __init__(self, name):
            assert name == str(path)
            self.left = [[5, 6], [7]]

        def hasData(self):
            return bool(self.left)

        def getData(self, n_events):
            times = self.left.pop(0)
            return SimpleNamespace(
                size=len(times),
                getEventTypes=lambda: np.zeros(len(times), np.uint8),
                getMissedEvents=lambda: np.zeros(len(times), np.uint16),
                getChannels=lambda: np.full(len(times), 2, np.int32),
                getTimestamps=lambda: np.array(times, np.int64),
            )

    monkeypatch.setitem(sys.modules, "TimeTagger", SimpleNamespace(FileReader=Reader))
    events = decode(open_tags(path))
    assert (events.time.tolist(), events.channel.tolist()) == ([5, 6, 7], [2, 2, 2])


def test_qutag_binary_and_text_are_the_same(tmp_path, decode, same_events):
    rows = [(10, 1), (20, 2), (20, 1)]
    (tmp_path / "a.bin").write_bytes(bytes(40) + b"".join(struct.pack("<qH", *r) for r in rows))
    text = "timestamp; channel\n" + "".join(f"{t};{c}\n" for t, c in rows)
    (tmp_path / "a.txt").write_text(text)
    binary, lines = open_tags(tmp_path / "a.bin", as_type="qutag"), open_tags(tmp_path / "a.txt")
    same_events(decode(binary), decode(lines))
    assert decode(lines).time.tolist() == [10, 20, 20]
    assert [w.code for w in binary.warnings] == ["time_unit"]
    (tmp_path / "a.txt").write_text(text + "30;x\n")
    with pytest.raises(TagFileError, match=r"a.txt: line 5: a row must hold .* but is '30;x'"):
        decode(open_tags(tmp_path / "a.txt"))


def test_becker_hickl_needs_its_settings(tmp_path, decode):
    path = tmp_path / "a.spc"
    words = [0x80000000 | 95, 3 << 12 | 100 << 16 | 9, 0xC0000002, 1 << 30 | 4095 << 16 | 7]
    path.write_bytes(struct.pack("<4I", *words))
    with pytest.raises(TagFileError, match=r"a.spc: needs the settings file a.set"):
        open_tags(path)
    settings = b"\x8d\x02" + bytes(40) + b"#SP [SP_TAC_R,F,5e-08]\n#SP [SP_TAC_G,I,5]\n"
    (tmp_path / "a.set").write_bytes(settings)
    source = open_tags(path)
    assert source.sync_period == pytest.approx(9.5e-9)
    assert source.resolution == pytest.approx(5e-8 / 5 / 4096)
    events = decode(source)
    assert events.time.tolist() == [9, 3 * 4096 + 7]  # two counted overflows and one in a photon
    assert events.channel.tolist() == [3, 0]
    assert events.dtime.tolist() == [3995, 0]
    (tmp_path / "a.set").write_bytes(b"\x1d\x02" + settings[2:])
    with pytest.raises(TagFileError, match="module code 0x21"):
        open_tags(path)


def test_a_mislabelled_file_is_suspected_and_read_by_another_record_type(tmp_path, patch):
    path = tmp_path / "a.ptu"
    rng = np.random.default_rng(3)
    events = Events(
        time=np.sort(rng.integers(0, 10**7, 5000)),
        dtime=rng.integers(0, 4000, 5000).astype(np.int32),
        channel=rng.integers(0, 2, 5000).astype(np.uint8),
    )
    write_ptu(path, events, layout=LAYOUTS[0x00010303], resolution=4e-12, sync_rate=20e3)
    patch(path, "TTResultFormat_TTTRRecType", struct.pack("<q", 0x00010305))
    (warning,) = [w for w in summarise(open_tags(path)).warnings if w.code == "mislabelled"]
    assert "--as 0x00010303" in str(warning)
    summary = summarise(open_tags(path, as_type="0x00010303"))
    assert sum(summary.photons.values()) == 5000
    with pytest.raises(ValueError, match="but not as 'PicoHarp'"):
        open_tags(path, as_type="PicoHarp")
