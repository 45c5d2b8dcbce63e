from datetime import datetime
from uuid import UUID

import numpy as np
import ptufile
import pytest

from analysis.tagfile.codec import Decoder, encode
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS, SYNC, TIMEHARP_260N_T2, TIMEHARP_260N_T3
from analysis.tagfile.ptu import PtuFile
from analysis.tagfile.ptu_writer import PtuWriter, write_ptu

MANDATORY = [
    "File_GUID",
    "Measurement_Mode",
    "Measurement_SubMode",
    "MeasDesc_GlobalResolution",
    "MeasDesc_Resolution",
    "TTResult_NumberOfRecords",
    "TTResult_SyncRate",
    "TTResultFormat_BitsPerRecord",
    "TTResultFormat_TTTRRecType",
    "CreatorSW_Name",
    "CreatorSW_Version",
    "HW_Type",
    "File_CreatingTime",
    "MeasDesc_AcquisitionTime",
    "HW_BaseResolution",
    "MeasDesc_BinningFactor",
    "HWSync_Divider",
]


def random_events(seed, *, mode, n=2000):
    rng = np.random.default_rng(seed)
    return Events(
        time=np.sort(rng.integers(0, 10_000_000, n)),
        dtime=rng.integers(0, 32768, n).astype(np.int32) if mode == "T3" else None,
        channel=rng.integers(0, 2, n).astype(np.uint8),
    )


def test_t3_file_is_read_back_identically_by_ptufile(tmp_path):
    events = random_events(1, mode="T3")
    write_ptu(tmp_path / "x.ptu", events, sync_rate=20e3, end_time=20_000_000)
    with ptufile.PtuFile(tmp_path / "x.ptu") as reference:
        records = reference.decode_records()
        assert reference.record_type == ptufile.PtuRecordType.TimeHarp260NT3
        assert reference.tcspc_resolution == 250e-12
        assert reference.global_resolution == 50e-6
    photons = records[records["channel"] >= 0]
    np.testing.assert_array_equal(photons["time"], events.time)
    np.testing.assert_array_equal(photons["dtime"].astype(np.uint16), events.dtime)
    np.testing.assert_array_equal(photons["channel"], events.channel)


def test_t2_file_is_read_back_identically_by_ptufile(tmp_path):
    events = random_events(2, mode="T2")
    write_ptu(tmp_path / "x.ptu", events, layout=TIMEHARP_260N_T2)
    with ptufile.PtuFile(tmp_path / "x.ptu") as reference:
        records = reference.decode_records()
        assert reference.record_type == ptufile.PtuRecordType.TimeHarp260NT2
        assert reference.global_resolution == 250e-12
    np.testing.assert_array_equal(records["time"], events.time)
    np.testing.assert_array_equal(records["channel"], events.channel)


def test_t2_syncs_come_back_as_syncs_with_our_reader(tmp_path):
    events = Events(
        time=np.arange(0, 2_000_000_000, 200_000),
        dtime=None,
        channel=np.full(10_000, SYNC, dtype=np.uint8),
    )
    write_ptu(tmp_path / "x.ptu", events, layout=TIMEHARP_260N_T2, sync_rate=20e3)
    decoder = Decoder(TIMEHARP_260N_T2)
    back = [decoder.decode(block) for block in PtuFile(tmp_path / "x.ptu").blocks()]
    np.testing.assert_array_equal(np.concatenate([b.time for b in back]), events.time)
    assert set(np.concatenate([b.channel for b in back])) == {SYNC}


def test_header_has_every_tag_that_readers_need(tmp_path):
    guid = UUID("59f88080-a3b0-4764-8693-8b7148a0d3be")
    created = datetime(2018, 3, 7, 12, 0, 0)
    options = {"sync_period": 50e-6, "acquisition_time": 3.0, "created": created, "guid": guid}
    with PtuWriter(tmp_path / "x.ptu", resolution=1e-9, comment="η = 2 %", **options) as writer:
        writer.write(np.zeros(5, dtype=np.uint32))
    header = PtuFile(tmp_path / "x.ptu").header
    assert [key for key in MANDATORY if key not in header] == []
    assert header["HW_Type"] == "TimeHarp 260 N"
    assert header["File_GUID"] == "{59F88080-A3B0-4764-8693-8B7148A0D3BE}"
    assert header["File_Comment"] == "η = 2 %"
    assert header["File_CreatingTime"] == created
    assert header["MeasDesc_BinningFactor"] == 4
    assert header["TTResult_NumberOfRecords"] == 5
    assert header["TTResult_StopAfter"] == header["MeasDesc_AcquisitionTime"] == 3000


def test_same_inputs_give_the_same_bytes(tmp_path):
    options = {"sync_rate": 20e3, "created": datetime(2020, 1, 1), "guid": UUID(int=1)}
    for name in ("a", "b"):
        with PtuWriter(tmp_path / name, **options) as writer:
            writer.write(np.arange(9, dtype=np.uint32))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_file_is_readable_while_it_is_written_and_after_a_crash(tmp_path):
    writer = PtuWriter(tmp_path / "x.ptu", sync_rate=20e3, acquisition_time=100.0)
    writer.write(np.arange(9, dtype=np.uint32))
    source = PtuFile(tmp_path / "x.ptu")
    assert source.n_records == 9
    assert [warning.code for warning in source.warnings] == ["record_count", "stopped_unknown"]
    assert source.measured_time is None
    writer.close(measured_time=2.5, stop_reason=1)
    source = PtuFile(tmp_path / "x.ptu")
    assert (source.measured_time, source.warnings) == (2.5, ())


def test_failure_inside_the_with_block_is_noted_in_the_file(tmp_path):
    def fail():
        with PtuWriter(tmp_path / "x.ptu", sync_rate=20e3) as writer:
            writer.write(np.arange(9, dtype=np.uint32))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    source = PtuFile(tmp_path / "x.ptu")
    assert source.n_records == 9
    assert [warning.code for warning in source.warnings] == ["stopped_unknown"]


def test_trailing_overflows_lead_up_to_the_end_of_the_measurement(tmp_path):
    write_ptu(tmp_path / "x.ptu", random_events(5, mode="T3"), sync_rate=20e3, end_time=20_000_000)
    decoder = Decoder(TIMEHARP_260N_T3)
    for block in PtuFile(tmp_path / "x.ptu").blocks():
        decoder.decode(block)
    assert decoder.overflow == 20_000_000 // 1024 * 1024


def test_existing_file_is_replaced_only_on_request(tmp_path):
    path = tmp_path / "x.ptu"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        PtuWriter(path, sync_rate=20e3)
    assert path.read_text() == "precious"
    PtuWriter(path, sync_rate=20e3, overwrite=True).close()
    assert PtuFile(path).n_records == 0


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=str)
def test_every_layout_can_be_written_and_read(tmp_path, layout):
    events = random_events(3, mode=layout.mode, n=50)
    if events.dtime is not None:
        events.dtime[:] %= layout.dtime_bins
    write_ptu(tmp_path / "x.ptu", events, layout=layout, sync_rate=1e6)
    source = PtuFile(tmp_path / "x.ptu")
    assert source.layout is layout
    back = Decoder(layout).decode(next(source.blocks()))
    np.testing.assert_array_equal(back.time, events.time)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({}, "`sync_period` or `sync_rate` must be given"),
        ({"sync_rate": 20e3, "resolution": 300e-12}, "250 ps times 2\\*\\*n"),
        ({"sync_rate": 20e3, "resolution": 750e-12}, "250 ps times 2\\*\\*n"),
        ({"sync_rate": 20e3, "resolution": 0.0}, "`resolution` must be positive"),
        ({"layout": TIMEHARP_260N_T2, "resolution": 500e-12}, "must be 250 ps"),
        ({"sync_rate": -1.0}, "`sync_rate` must be positive"),
        ({"sync_rate": 20e3, "sync_period": 1e-6}, "inverse of `sync_period`"),
        ({"sync_rate": 20e3, "acquisition_time": -1.0}, "`acquisition_time`"),
    ],
)
def test_senseless_settings_are_refused_before_a_file_is_made(tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        PtuWriter(tmp_path / "x.ptu", **options)
    assert not (tmp_path / "x.ptu").exists()


def test_records_of_another_type_are_refused(tmp_path):
    events = random_events(4, mode="T3")
    with PtuWriter(tmp_path / "x.ptu", sync_rate=20e3) as writer:
        writer.write(encode(events, TIMEHARP_260N_T3))
        writer.sync()
        with pytest.raises(TypeError, match="uint32"):
            writer.write(np.arange(3))
