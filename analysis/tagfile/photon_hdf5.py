"""Photon-HDF5 files: T3-like with nanotimes, T2-like without.

Source: Photon-HDF5 format definition, version 0.5. In T3 ``timestamps`` are sync numbers with the
sync period as unit and ``nanotimes`` are dtime bins; in T2 ``timestamps`` are ticks. Detector
numbers above 63 are a sync record (64) or 64 plus marker bits, as elsewhere in this package. What
the format has no field for is kept in ``/user/labkit``.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from analysis.tagfile.acquisition import METADATA, Acquisition
from analysis.tagfile.encoded import (
    BLOCK_EVENTS,
    MOST_EXPANSION,
    EncodedSource,
    TagSink,
    as_channel,
)
from analysis.tagfile.events import Events
from analysis.tagfile.ptu_writer import software_version
from analysis.tagfile.resolution import exact_resolution
from analysis.tagfile.source import TagFileError, file_size, named_damage

_OVERFLOW = 127
"""Detector number that phconvert gives to overflow records, which are no tags."""

_LEAST_BYTES = 1024

_MAX_CHUNK = 1 << 24
"""Bytes of the largest chunk that is read."""

FORMAT_URL = "http://photon-hdf5.org/"
FORMAT_VERSION = "0.5"
TITLES = {
    "/acquisition_duration": "Measurement duration in seconds.",
    "/description": "What the file holds.",
    "/photon_data": "Arrays with one element per tag.",
    "/photon_data/timestamps": "Time of each tag, in timestamps_unit.",
    "/photon_data/timestamps_specs": "Specifications of timestamps.",
    "/photon_data/timestamps_specs/timestamps_unit": "Seconds per unit of timestamps.",
    "/photon_data/detectors": "Detector of each tag.",
    "/photon_data/nanotimes": "Start-stop bin of each tag.",
    "/photon_data/nanotimes_specs": "Specifications of nanotimes.",
    "/photon_data/nanotimes_specs/tcspc_unit": "Seconds per unit of nanotimes.",
    "/photon_data/nanotimes_specs/tcspc_num_bins": "Number of nanotimes bins.",
    "/setup": "Experimental setup.",
    "/setup/num_pixels": "Number of detectors.",
    "/setup/num_spots": "Number of detection spots.",
    "/setup/num_spectral_ch": "Number of spectral bands.",
    "/setup/num_polarization_ch": "Number of polarisations.",
    "/setup/num_split_ch": "Number of detectors per band and polarisation.",
    "/setup/modulated_excitation": "Whether the excitation wavelength is modulated.",
    "/setup/excitation_alternated": "Whether each source is alternated.",
    "/setup/excitation_cw": "Whether each source is continuous.",
    "/setup/lifetime": "Whether nanotimes are there.",
    "/setup/detectors": "Detectors by number.",
    "/setup/detectors/id": "Number in /photon_data/detectors.",
    "/setup/detectors/id_hardware": "Number in the hardware.",
    "/setup/detectors/counts": "Number of tags.",
    "/identity": "About this file.",
    "/identity/format_name": "Name of the format.",
    "/identity/format_version": "Version of the format.",
    "/identity/format_url": "Where the format is defined.",
    "/identity/software": "Software that wrote the file.",
    "/identity/software_version": "Version of that software.",
    "/identity/creation_time": "When the file was written.",
    "/user": "Fields outside the format.",
    "/user/labkit": "What labkit knows about the acquisition.",
}
"""Every field written, with the title that the format demands."""


class PhotonHdf5File(EncodedSource):
    """A Photon-HDF5 file with one group of photon data.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    TagFileError
        If this is no HDF5 file, or fields that give the tags a meaning are missing.
    """

    format = "photon-hdf5"

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        with _open(path) as file, named_damage(path, "a field cannot be read"):
            _check_fields(path, file)
            acquisition = _read_acquisition(path, file)
        super().__init__(path, acquisition)

    def read_events(self) -> Iterator[Events]:
        """Yield the tags some at a time."""
        with _open(self.path) as file:
            with named_damage(self.path, "/photon_data cannot be read"):
                data = file["photon_data"]
                number = len(data["timestamps"])
                names = _columns(data)
            for start in range(0, number, BLOCK_EVENTS):
                part = slice(start, start + BLOCK_EVENTS)
                with named_damage(self.path, f"tags from {start} cannot be read"):
                    columns = [data[name][part] for name in names]
                if names[1:] and _OVERFLOW in columns[1]:
                    kept = columns[1] != _OVERFLOW
                    columns = [column[kept] for column in columns]
                yield Events(
                    time=columns[0].astype(np.int64),
                    channel=as_channel(columns[1]),
                    dtime=columns[2].astype(np.int32) if len(columns) == 3 else None,
                )

    def row_name(self, row: int) -> str:
        """Name an event by its place in the arrays."""
        return f"photon_data[{row}]"


class PhotonHdf5Sink(TagSink):
    """A Photon-HDF5 file being written."""

    def begin(self) -> None:
        """Write all fields but the tags themselves."""
        self._file: Any = h5py.File(self.path, "w")
        origin = self.origin
        description = "Time tags" if origin is None else f"Tags of {origin.path.name}"
        self._write_head(self.counts, description)

    def write(self, events: Events) -> None:
        """Append events given in the units of the acquisition."""
        data = self._file["photon_data"]
        values: dict[str, Any] = {"timestamps": events.time, "detectors": events.channel}
        if events.dtime is not None:
            values["nanotimes"] = events.dtime.astype(np.uint16)
        for name, column in values.items():
            before = data[name].shape[0]
            data[name].resize(before + len(column), axis=0)
            data[name][before:] = column

    def close(self) -> None:
        """Put in the titles and complete the file."""
        if not self._file:
            return
        for name, title in TITLES.items():
            if name in self._file:
                self._file[name].attrs["TITLE"] = np.bytes_(title.encode())
        self._file.close()

    def _write_head(self, counts: Mapping[int, int], description: str) -> None:
        acquisition, file = self.acquisition, self._file
        is_t3 = acquisition.mode == "T3"
        unit = (acquisition.sync_period if is_t3 else None) or acquisition.resolution
        fields: dict[str, object] = {
            "description": description,
            "acquisition_duration": acquisition.measured_time or (acquisition.end_time or 0) * unit,
            "photon_data/timestamps_specs/timestamps_unit": unit,
            **_setup_fields(counts, is_t3=is_t3),
            "identity/format_name": "Photon-HDF5",
            "identity/format_version": FORMAT_VERSION,
            "identity/format_url": FORMAT_URL,
            "identity/software": "labkit",
            "identity/software_version": software_version(),
            "identity/creation_time": datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
        }
        if is_t3:
            fields["photon_data/nanotimes_specs/tcspc_unit"] = acquisition.resolution
            fields["photon_data/nanotimes_specs/tcspc_num_bins"] = acquisition.layout.dtime_bins
        for key, text in acquisition.to_text().items():
            fields[f"user/labkit/{key}"] = text
        for name, value in fields.items():
            file[name] = np.bytes_(value.encode()) if isinstance(value, str) else value
        file.attrs["format_name"] = np.bytes_(b"Photon-HDF5")
        file.attrs["format_version"] = np.bytes_(FORMAT_VERSION.encode())
        columns = {"timestamps": "i8", "detectors": "u1", **({"nanotimes": "u2"} if is_t3 else {})}
        for name, dtype in columns.items():
            options = {"maxshape": (None,), "chunks": (BLOCK_EVENTS,), "compression": "gzip"}
            file["photon_data"].create_dataset(name, shape=(0,), dtype=dtype, **options)


def _setup_fields(counts: Mapping[int, int], *, is_t3: bool) -> dict[str, object]:
    numbers = np.array(sorted(counts), dtype=np.uint8)
    return {
        "setup/num_pixels": len(counts),
        "setup/num_spots": 1,
        "setup/num_spectral_ch": 1,
        "setup/num_polarization_ch": 1,
        "setup/num_split_ch": 1,
        "setup/modulated_excitation": False,
        "setup/excitation_alternated": [False],
        "setup/excitation_cw": [not is_t3],
        "setup/lifetime": is_t3,
        "setup/detectors/id": numbers,
        "setup/detectors/id_hardware": numbers,
        "setup/detectors/counts": np.array([counts[int(n)] for n in numbers], dtype=np.int64),
    }


def _open(path: Path) -> Any:
    file_size(path)
    with named_damage(path, "this is no complete HDF5 file"):
        return h5py.File(path, "r")


def _columns(data: Any) -> list[str]:
    return ["timestamps", "detectors", *(["nanotimes"] if "nanotimes" in data else [])]


def _check_fields(path: Path, file: Any) -> None:
    """Check that the fields are there that give the tags a meaning."""
    needed = [
        "photon_data/timestamps",
        "photon_data/timestamps_specs/timestamps_unit",
        "photon_data/detectors",
    ]
    if "photon_data/nanotimes" in file:
        needed.append("photon_data/nanotimes_specs/tcspc_unit")
    missing = [name for name in needed if name not in file]
    if missing:
        several = "photon_data0" in file
        remedy = "it has several spots; split it" if several else "it is no Photon-HDF5 file"
        message = f"{path}: field /{missing[0]} must be there, but is missing: {remedy}"
        raise TagFileError(message)
    data = file["photon_data"]
    for name in _columns(data):
        column = data[name]
        if not isinstance(column, h5py.Dataset):
            message = f"{path}: /photon_data/{name} must be an array, but is a group"
            raise TagFileError(message)
        is_integer = np.issubdtype(column.dtype, np.integer)
        if column.shape != data["timestamps"].shape or column.ndim != 1 or not is_integer:
            message = (
                f"{path}: /photon_data/{name} must hold one integer per tag, "
                f"but has shape {column.shape} and type {column.dtype}"
            )
            raise TagFileError(message)
        stored = column.id.get_storage_size()
        if column.size * column.dtype.itemsize > MOST_EXPANSION * max(stored, _LEAST_BYTES):
            message = (
                f"{path}: /photon_data/{name} says {column.size:,} tags, but {stored:,} bytes of "
                "them are in the file: most were never written"
            )
            raise TagFileError(message)
        chunk = int(np.prod(column.chunks or (1,))) * column.dtype.itemsize
        if chunk > _MAX_CHUNK:
            message = (
                f"{path}: /photon_data/{name} must have chunks of at most {_MAX_CHUNK} bytes, but "
                f"has {chunk}; rewrite it with smaller ones (h5repack)"
            )
            raise TagFileError(message)


def _read_acquisition(path: Path, file: Any) -> Acquisition:
    group: Any = file.get("user/labkit", {})
    kept = {name: _text(path, group[name]) for name in METADATA if name in group}
    unit = _positive(path, file["photon_data/timestamps_specs/timestamps_unit"])
    if "photon_data/nanotimes" in file:
        bin_width = exact_resolution(
            _positive(path, file["photon_data/nanotimes_specs/tcspc_unit"])
        )
        found = {"mode": "T3", "resolution": repr(bin_width), "sync_period": repr(unit)}
        rate = "photon_data/measurement_specs/laser_repetition_rate"
        if rate in file:
            found["sync_rate"] = repr(_number(path, file[rate]))
    else:
        found = {"mode": "T2", "resolution": repr(exact_resolution(unit))}
    named = "acquisition_duration" in file
    duration = _number(path, file["acquisition_duration"]) if named else 0.0
    if duration > 0 and not kept:
        found["measured_time"] = repr(duration)
    return Acquisition.from_text({**kept, **found})


def _scalar(path: Path, item: Any) -> Any:
    """Return the one value of a field, which some writers give as an array of one.

    Raises
    ------
    TagFileError
        If there are several.
    """
    if not isinstance(item, h5py.Dataset):
        message = f"{path}: field {item.name} must hold one value, but is a group"
        raise TagFileError(message)
    if item.size != 1:
        message = f"{path}: field {item.name} must hold one value, but holds {item.size}"
        raise TagFileError(message)
    return np.asarray(item[()]).reshape(-1)[0]


def _number(path: Path, item: Any) -> float:
    """Return the number in a field.

    Raises
    ------
    TagFileError
        If it holds none.
    """
    value = _scalar(path, item)
    if not isinstance(value, np.number | np.bool_) or not np.isfinite(value):
        message = f"{path}: field {item.name} must be a number, but is {value!r}"
        raise TagFileError(message)
    return float(value)


def _positive(path: Path, item: Any) -> float:
    value = _number(path, item)
    if value <= 0:
        message = f"{path}: field {item.name} must be positive, but is {value}"
        raise TagFileError(message)
    return value


def _text(path: Path, item: Any) -> str:
    value = _scalar(path, item)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
