import h5py
import numpy as np
import pytest

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import GENERIC_T2, GENERIC_T3, MARKER, SYNC
from analysis.tagfile.photon_hdf5 import PhotonHdf5File, PhotonHdf5Sink
from analysis.tagfile.source import TagFileError

MANDATORY = [
    "acquisition_duration",
    "description",
    "photon_data/timestamps",
    "photon_data/timestamps_specs/timestamps_unit",
    "setup/num_pixels",
    "setup/num_spots",
    "setup/num_spectral_ch",
    "setup/num_polarization_ch",
    "setup/num_split_ch",
    "setup/modulated_excitation",
    "setup/excitation_alternated",
    "setup/lifetime",
    "identity/format_name",
    "identity/format_version",
    "identity/format_url",
    "identity/software",
    "identity/software_version",
    "identity/creation_time",
]
T3 = Acquisition(
    mode="T3", resolution=250e-12, sync_period=50e-6, sync_rate=2e4, measured_time=1.5, end_time=900
)
T2 = Acquisition(mode="T2", resolution=250e-12, end_time=4000)


def some_events(*, mode):
    return Events(
        time=np.array([0, 5, 700]),
        dtime=np.array([0, 32767, 7], dtype=np.int32) if mode == "T3" else None,
        channel=np.array([1, 0, MARKER + 4 if mode == "T3" else SYNC], dtype=np.uint8),
    )


def write(path, acquisition):
    events = some_events(mode=acquisition.mode)
    counts = {int(channel): 1 for channel in events.channel}
    with PhotonHdf5Sink(path, acquisition, counts=counts) as sink:
        sink.write(events)
        sink.write(events_later(events))
    return PhotonHdf5File(path)


def events_later(events):
    return Events(time=events.time + 1000, dtime=events.dtime, channel=events.channel)


@pytest.mark.parametrize("acquisition", [T2, T3], ids=["T2", "T3"])
def test_tags_and_acquisition_come_back(tmp_path, acquisition, decode, same_events):
    source = write(tmp_path / "x.h5", acquisition)
    first = some_events(mode=acquisition.mode)
    later = events_later(first)
    expected = Events(
        time=np.concatenate([first.time, later.time]),
        dtime=None if first.dtime is None else np.concatenate([first.dtime, later.dtime]),
        channel=np.concatenate([first.channel, later.channel]),
    )
    same_events(decode(source), expected)
    assert source.acquisition == acquisition
    assert source.layout is (GENERIC_T2 if acquisition.mode == "T2" else GENERIC_T3)


@pytest.mark.parametrize("acquisition", [T2, T3], ids=["T2", "T3"])
def test_file_has_every_mandatory_field_with_a_title(tmp_path, acquisition):
    write(tmp_path / "x.h5", acquisition)
    with h5py.File(tmp_path / "x.h5") as file:
        assert [name for name in MANDATORY if name not in file] == []
        untitled = []
        file.visititems(
            lambda name, node: (
                untitled.append(name)
                if "TITLE" not in node.attrs and not name.startswith("user/labkit/")
                else None
            )
        )
        assert untitled == []
        assert file.attrs["format_name"] == b"Photon-HDF5"
        assert file["photon_data/timestamps"].dtype == np.int64


def foreign_file(path, **extra):
    """A minimal file as another program writes it."""
    with h5py.File(path, "w") as file:
        file["photon_data/timestamps"] = np.array([10, 20, 30])
        file["photon_data/timestamps_specs/timestamps_unit"] = 12.5e-9
        file["photon_data/detectors"] = np.array([0, 1, 0], dtype=np.int32)
        for name, value in extra.items():
            name = name.replace("__", "/")
            if name in file:
                del file[name]
            if value is not None:
                file[name] = value
    return path


def test_foreign_file_without_nanotimes_is_t2(tmp_path, decode):
    source = PhotonHdf5File(foreign_file(tmp_path / "x.hdf5", acquisition_duration=3.0))
    assert (source.layout, source.resolution) == (GENERIC_T2, 12.5e-9)
    assert source.measured_time == 3.0
    assert decode(source).time.tolist() == [10, 20, 30]


def test_overflow_records_of_another_converter_are_no_clicks(tmp_path, decode):
    path = foreign_file(
        tmp_path / "x.hdf5", photon_data__detectors=np.array([0, 127, 1], dtype=np.uint8)
    )
    events = decode(PhotonHdf5File(path))
    assert events.channel.tolist() == [0, 1]
    assert events.time.tolist() == [10, 30]


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_numbers_may_be_arrays_of_one(tmp_path, shape):
    path = foreign_file(
        tmp_path / "x.hdf5",
        acquisition_duration=np.full(shape, 3.0),
        photon_data__timestamps_specs__timestamps_unit=np.full(shape, 12.5e-9),
        photon_data__nanotimes=np.array([1, 2, 3], dtype=np.uint16),
        photon_data__nanotimes_specs__tcspc_unit=np.full(shape, 16e-12),
    )
    source = PhotonHdf5File(path)
    assert (source.resolution, source.sync_period) == (16e-12, 12.5e-9)
    assert source.measured_time == 3.0


def test_several_numbers_where_one_is_meant_are_refused(tmp_path):
    path = foreign_file(tmp_path / "x.hdf5", acquisition_duration=np.array([3.0, 4.0]))
    with pytest.raises(
        TagFileError, match=r"acquisition_duration must hold one value, but holds 2"
    ):
        PhotonHdf5File(path)


def test_foreign_file_with_nanotimes_is_t3(tmp_path, decode):
    path = foreign_file(
        tmp_path / "x.hdf5",
        photon_data__nanotimes=np.array([1, 2, 3], dtype=np.uint16),
        photon_data__nanotimes_specs__tcspc_unit=16e-12,
        photon_data__measurement_specs__laser_repetition_rate=8e7,
    )
    source = PhotonHdf5File(path)
    assert (source.resolution, source.sync_period, source.sync_rate) == (16e-12, 12.5e-9, 8e7)
    assert decode(source).dtime.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ({"photon_data__timestamps": None}, "/photon_data/timestamps must be there"),
        ({"photon_data__detectors": None}, "/photon_data/detectors must be there"),
        ({"photon_data__timestamps_specs__timestamps_unit": None}, "timestamps_unit must be there"),
        ({"photon_data__nanotimes": [1, 2, 3]}, "tcspc_unit must be there"),
        ({"photon_data__detectors": [0]}, "must hold one integer per tag"),
        ({"photon_data__timestamps": [0.5, 1.0, 2.0]}, "must hold one integer per tag"),
        (
            {"photon_data__timestamps_specs__timestamps_unit": -1.0},
            "timestamps_unit must be positive",
        ),
        ({"photon_data__timestamps": None, "photon_data0__x": 1}, "several spots"),
    ],
)
def test_file_without_meaning_is_refused(tmp_path, extra, match):
    path = foreign_file(tmp_path / "x.h5", **extra)
    with pytest.raises(TagFileError, match=f"x.h5: .*{match}"):
        PhotonHdf5File(path)


@pytest.mark.parametrize(
    ("extra", "match"),
    [
        ({"photon_data__detectors": [0, 0, 300]}, r"photon_data\[2\]: channel .* is 300"),
        ({"photon_data__timestamps": [0, -4, 9]}, r"photon_data\[1\]: time must be 0 to .* is -4"),
    ],
)
def test_bad_tag_is_named(tmp_path, extra, match):
    path = foreign_file(tmp_path / "x.h5", **extra)
    with pytest.raises(TagFileError, match=match):
        list(PhotonHdf5File(path).blocks())


def test_damaged_file_is_named(tmp_path):
    path = foreign_file(tmp_path / "x.h5")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(TagFileError, match=r"x.h5: this is no complete HDF5 file"):
        PhotonHdf5File(path)
