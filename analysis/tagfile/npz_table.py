"""Tags in an NPZ file: arrays ``time_ps`` and ``channel``, and one text array per metadata item."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from analysis.tagfile.acquisition import METADATA
from analysis.tagfile.encoded import (
    BLOCK_EVENTS,
    CHANNEL,
    MOST_EXPANSION,
    TIME,
    Column,
    TableSink,
    TableSource,
    missing_columns,
)
from analysis.tagfile.picoseconds import Times
from analysis.tagfile.source import TagFileError, file_size, named_damage

_MAX_HEAD = 1000
_MAX_ITEM = 1 << 20


class NpzFile(TableSource):
    """An NPZ file of tags (as ``numpy.savez`` or ``savez_compressed`` writes it)."""

    format = "npz"

    def read_metadata(self, path: Path) -> Mapping[str, str]:
        """Read the items that are no columns, and check that the columns fit together."""
        file_size(path)
        with named_damage(path, "this is no complete NPZ file"), zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
            if inside and not any(name.endswith(".npy") for name in inside):
                message = f"{path}: is a zip archive of {inside[0][:80]!r} and the like; unpack it"
                raise TagFileError(message)
            names = [Path(name).stem for name in inside]
            if TIME not in names or CHANNEL not in names:
                raise missing_columns(path, names)
            with _Column(archive, path, TIME) as times, _Column(archive, path, CHANNEL) as channel:
                lengths = (times.length, channel.length)
                self.time_type = times.dtype
            if lengths[0] != lengths[1]:
                message = (
                    f"{path}: {TIME!r} and {CHANNEL!r} must have the same length, "
                    f"but have {lengths[0]} and {lengths[1]}"
                )
                raise TagFileError(message)
            known = [name for name in METADATA if name in names]
            return {name: str(_read_item(archive, path, name)) for name in known}

    def read_rows(self) -> Iterator[tuple[Column, Column]]:
        """Yield both columns side by side, without ever holding them whole."""
        with (
            _open(self.path) as archive,
            _Column(archive, self.path, TIME) as times,
            _Column(archive, self.path, CHANNEL) as channel,
        ):
            for _ in range(0, times.length, BLOCK_EVENTS):
                yield times.read(), channel.read()


class NpzSink(TableSink):
    """An NPZ file being written: times go to the archive at once, channels when it is closed."""

    def begin(self) -> None:
        """Write metadata and head."""
        self._archive = zipfile.ZipFile(self.path, "w", zipfile.ZIP_STORED)
        for key, value in self.acquisition.to_text().items():
            with self._archive.open(f"{key}.npy", "w") as stream:
                npy.write_array(stream, np.array(value))
        self._times = self._begin(TIME, np.dtype("<i8"))
        self._channels: list[NDArray[np.uint8]] = []

    def write_rows(self, times_ps: Times, channel: NDArray[np.uint8]) -> None:
        """Append rows; the channels (one byte each) are kept until the end."""
        self._times.write(times_ps.astype("<i8").tobytes())
        self._channels.append(channel.copy())

    def close(self) -> None:
        """Write the channels and complete the archive."""
        self._times.close()
        with self._begin(CHANNEL, np.dtype("u1")) as stream:
            for channel in self._channels:
                stream.write(channel.tobytes())
        self._archive.close()

    def _begin(self, name: str, dtype: np.dtype[np.integer]) -> IO[bytes]:
        stream = self._archive.open(f"{name}.npy", "w", force_zip64=True)
        head = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False}
        npy.write_array_header_1_0(stream, {**head, "shape": (sum(self.counts.values()),)})
        return stream


class _Column:
    """One array of an open archive, read from front to back."""

    def __init__(self, archive: zipfile.ZipFile, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._stream, self.length, self.dtype = _read_head(archive, path, name)
        self._left = self.length

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def read(self) -> Column:
        count = min(self._left, BLOCK_EVENTS)
        with named_damage(self._path, f"this is no complete NPZ file: array {self._name!r}"):
            data = self._stream.read(count * self.dtype.itemsize)
        if len(data) < count * self.dtype.itemsize:
            raise _damaged(self._path, f"array {self._name!r} ends too early")
        self._left -= count
        return np.frombuffer(data, dtype=self.dtype)


def _open(path: Path) -> zipfile.ZipFile:
    with named_damage(path, "this is no complete NPZ file"):
        return zipfile.ZipFile(path)


def _read_head(
    archive: zipfile.ZipFile, path: Path, name: str
) -> tuple[IO[bytes], int, np.dtype[np.generic]]:
    """Open one array and return its stream behind the head, its length and its type."""
    with named_damage(path, f"the head of array {name!r} cannot be read"):
        packed = archive.getinfo(f"{name}.npy")
        if packed.file_size > MOST_EXPANSION * (packed.compress_size + _MAX_HEAD):
            message = (
                f"array {name!r} would grow {packed.file_size / packed.compress_size:,.0f}-fold"
            )
            raise _damaged(path, message)
        stream = archive.open(packed)
        shape, dtype = _array_head(stream)
    if len(shape) != 1 or dtype.kind not in ("ium" if name == TIME else "iu"):
        message = (
            f"{path}: array {name!r} must be one-dimensional and hold integers, "
            f"but has shape {shape} and type {dtype}"
        )
        raise TagFileError(message)
    return stream, shape[0], dtype


def _array_head(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    version = npy.read_magic(stream)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = reader(stream, max_header_size=_MAX_HEAD)
    return shape, dtype


def _read_item(archive: zipfile.ZipFile, path: Path, name: str) -> object:
    """Read one metadata item: an array without dimensions."""
    with named_damage(path, f"item {name!r} cannot be read"):
        with archive.open(f"{name}.npy") as stream:
            shape, dtype = _array_head(stream)
        if shape != () or dtype.itemsize > _MAX_ITEM or dtype.hasobject:
            message = f"{path}: item {name!r} must be one text, but has shape {shape}, type {dtype}"
            raise TagFileError(message)
        with archive.open(f"{name}.npy") as stream:
            return npy.read_array(stream, max_header_size=_MAX_HEAD)[()]


def _damaged(path: Path, reason: str) -> TagFileError:
    return TagFileError(f"{path}: this is no complete NPZ file: {reason}; copy it again")
