"""PicoQuant files from before PTU: .pt2 and .pt3, .ht2 and .ht3, .t3r, whose headers are C structs.

Source: the vendor's file layouts as two independent public readers have them (libpicoquant by
T. Bischof; phconvert). The records of PicoHarp and HydraHarp files are those of PTU. In a TimeHarp
200 file times count a clock of the device, not syncs; its events are encoded on the way in.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS, MARKER
from analysis.tagfile.record_file import RECORD_BYTES, RecordFile
from analysis.tagfile.resolution import exact_resolution
from analysis.tagfile.source import FileWarning, TagFileError, file_size, open_file

Fields = dict[str, object]

_COMMON = "CreatorName:18s CreatorVersion:12s FileTime:18s CRLF:2s Comment:256s NumberOfCurves:i "
_MEASUREMENT = "StopAt:i StopOnOvfl:i Restart:i DisplayLinLog:i "
_DISPLAY = "Axes:16s Curves:64s Params:36s Repeats:16s ScriptName:20s "
_HYDRA = (
    _COMMON
    + "BitsPerRecord:i ActiveCurve:i MeasurementMode:i SubMode:i Binning:i Resolution:d Offset:i "
    + "AcquisitionTime:i "
    + _MEASUREMENT
    + _DISPLAY
    + "HardwareIdent:16s HardwarePartNo:8s HardwareSerial:i NumberOfModules:i Modules:80s "
    + "BaseResolution:d InputsEnabled:q InputChannelsPresent:i RefClockSource:i ExtDevices:i "
    + "MarkerSettings:i SyncDivider:i SyncCFDLevel:i SyncCFDZeroCross:i SyncOffset:i"
)
_HYDRA_TAIL = "SyncRate:i StopAfter:i StopReason:i ImgHdrSize:i NumRecords:q"
_PICO = (
    _COMMON
    + "BitsPerRecord:i RoutingChannels:i NumberOfBoards:i ActiveCurve:i MeasurementMode:i "
    + "SubMode:i RangeNo:i Offset:i AcquisitionTime:i "
    + _MEASUREMENT
    + _DISPLAY
)
_PICO_BOARD = (
    "HardwareIdent:16s HardwareVersion:8s HardwareSerial:i SyncDivider:i CFDZeroCross0:i "
    "CFDLevel0:i CFDZeroCross1:i CFDLevel1:i Resolution:f RouterModelCode:i RouterEnabled:i "
    "Router:96s"
)
_PICO_TAIL = (
    "ExtDevices:i Reserved:8s SyncRate:i InpRate1:i StopAfter:i StopReason:i NumRecords:i "
    "ImgHdrSize:i"
)
_TIMEHARP = (
    "HardwareVersion:6s FileTime:18s CRLF:2s Comment:256s NumberOfChannels:i NumberOfCurves:i "
    "BitsPerRecord:i RoutingChannels:i NumberOfBoards:i ActiveCurve:i MeasurementMode:i SubMode:i "
    "RangeNo:i Offset:i AcquisitionTime:i " + _MEASUREMENT + _DISPLAY
)
_TIMEHARP_BOARD = (
    "BoardSerial:i CFDZeroCross:i CFDDiscriminatorMin:i SYNCLevel:i CurveOffset:i Resolution:f"
)
_TIMEHARP_TAIL = (
    "TTTRGlobClock:i Reserved:24s SyncRate:i AverageCFDRate:i StopAfter:i StopReason:i "
    "NumRecords:i ImgHdrSize:i"
)
_MAX_SPECIAL_HEADER = 1 << 16
MODES = {2: "T2", 3: "T3"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OldHeader:
    """What stands before the records.

    Attributes
    ----------
    fields : dict
        Header fields by name.
    data_offset : int
        Byte at which the records start.
    """

    fields: Fields
    data_offset: int

    def number(self, name: str) -> float:
        """Return a field that is a number."""
        value = self.fields[name]
        return value if isinstance(value, int | float) else 0


class _Reader:
    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream
        self.fields: Fields = {}

    def read(self, layout: str) -> None:
        """Read the fields of a packed little-endian struct given as ``Name:code Name:code``."""
        names, codes = zip(*(item.split(":") for item in layout.split()), strict=True)
        form = struct.Struct("<" + "".join(codes))
        at = self._stream.tell()
        raw = self._stream.read(form.size)
        if len(raw) < form.size:
            message = (
                f"{self._path}: the header must go on for {form.size} bytes from byte {at}, but "
                f"the file ends at byte {at + len(raw)}; copy it again"
            )
            raise TagFileError(message)
        for name, value in zip(names, form.unpack(raw), strict=True):
            is_text = isinstance(value, bytes)
            self.fields[name] = _text(value) if is_text else value

    def skip(self, size: int, what: str) -> None:
        """Skip a part whose length the header gives."""
        if not 0 <= size <= _MAX_SPECIAL_HEADER:
            message = (
                f"{self._path}: the header's {what} must take 0 to {_MAX_SPECIAL_HEADER} bytes, "
                f"but takes {size}: the header is corrupt"
            )
            raise TagFileError(message)
        at = self._stream.tell()
        if at + size > file_size(self._path):
            message = (
                f"{self._path}: the header's {what} must go on for {size} bytes from byte {at}, "
                f"but the file ends at byte {file_size(self._path)}; copy it again"
            )
            raise TagFileError(message)
        self._stream.seek(size, 1)

    def finish(self) -> OldHeader:
        self.skip(4 * int(_as_int(self.fields["ImgHdrSize"])), "special header")
        return OldHeader(fields=self.fields, data_offset=self._stream.tell())


def _as_int(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("cp1252", errors="replace").strip()


def read_old_header(path: Path) -> OldHeader:
    """Read the header of a PicoHarp, HydraHarp or TimeHarp 200 file.

    Raises
    ------
    TagFileError
        If the file ends within its header, or holds no time tags.
    """
    with open_file(path) as stream:
        reader = _Reader(path, stream)
        reader.read("Ident:16s FormatVersion:6s")
        ident = str(reader.fields["Ident"])
        if ident.startswith("HydraHarp"):
            reader.read(_HYDRA)
            inputs = _as_int(reader.fields["InputChannelsPresent"])
            reader.skip(20 * inputs, "list of inputs")  # 16 bytes of settings and 4 of rate each
            reader.read(_HYDRA_TAIL)
        elif ident.startswith("PicoHarp"):
            reader.read(_PICO)
            _check_boards(path, reader.fields)
            reader.read(_PICO_BOARD)
            reader.read(_PICO_TAIL)
        else:
            reader.read(_TIMEHARP)
            _check_boards(path, reader.fields)
            reader.read(_TIMEHARP_BOARD)
            reader.read(_TIMEHARP_TAIL)
        header = reader.finish()
    if header.fields["BitsPerRecord"] != 32:
        message = (
            f"{path}: must hold records of 32 bits, but its header says "
            f"{header.fields['BitsPerRecord']}: a histogram (.hhd, .phd, .thd) holds no time tags"
        )
        raise TagFileError(message)
    return header


def _check_boards(path: Path, fields: Fields) -> None:
    if fields["NumberOfBoards"] != 1:
        message = (
            f"{path}: must come from one board, but its header says {fields['NumberOfBoards']}"
        )
        raise TagFileError(message)


class OldPicoQuantFile(RecordFile):
    """A .pt2, .pt3, .ht2 or .ht3 file.

    Raises
    ------
    TagFileError
        If the file ends within its header, or the header is not of a known kind.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        header = read_old_header(self.path)
        self.header = header.fields
        self.data_offset = header.data_offset
        is_pico = str(header.fields["Ident"]).startswith("PicoHarp")
        self.format = "picoharp" if is_pico else "hydraharp"
        version = 1 if str(header.fields["FormatVersion"]).startswith("1") else 2
        self.layout = LAYOUTS[_record_type(self.path, header, is_pico=is_pico, version=version)]
        self.sync_rate = _positive(header, "SyncRate")
        self.measured_time = _measured_time(header)
        divider = _as_int(header.fields["SyncDivider"])
        self.sync_divider = max(divider, 1)
        unit = 1e-9 if is_pico else 1e-12
        if self.layout.mode == "T3":
            self.resolution = _resolution(self.path, header.number("Resolution") * unit)
            self.sync_period: float | None = 1 / _needed_rate(self.path, self.sync_rate)
        elif is_pico:
            self.resolution, self.sync_period = 4e-12, None
        else:
            # Files of HydraHarp software 1 count half picoseconds, those of version 2 whole ones.
            self.resolution, self.sync_period = 1e-12 / (2 if version == 1 else 1), None
        self._n_records, rest = divmod(file_size(self.path) - self.data_offset, RECORD_BYTES)
        present = self._n_records
        claimed = int(header.number("NumRecords"))
        if 0 < claimed < present and header.fields["StopReason"] in (0, 1):
            self._n_records = claimed
        self.warnings = tuple(_warnings(header, present, self._n_records, rest))


def _record_type(path: Path, header: OldHeader, *, is_pico: bool, version: int) -> int:
    mode = header.fields["MeasurementMode"]
    if mode not in MODES:
        message = f"{path}: the header's measurement mode must be 2 or 3, but is {mode}"
        raise TagFileError(message)
    kind = 0x0200 if mode == 2 else 0x0300
    if is_pico:
        return 0x00010003 | kind
    return (0x00010004 if version == 1 else 0x01010004) | kind


def _positive(header: OldHeader, name: str) -> float | None:
    value = header.number(name)
    return float(value) if value > 0 else None


def _measured_time(header: OldHeader) -> float | None:
    milliseconds = header.number("StopAfter")
    if milliseconds <= 0 and header.fields["StopReason"] == 0:
        milliseconds = header.number("AcquisitionTime")
    return milliseconds * 1e-3 if milliseconds > 0 else None


def _resolution(path: Path, seconds: float) -> float:
    if not 1e-15 < seconds < 1:
        message = f"{path}: the header's resolution must be a time, but is {seconds} s"
        raise TagFileError(message)
    return exact_resolution(seconds)


def _needed_rate(path: Path, rate: float | None) -> float:
    if rate is None:
        message = f"{path}: the header must give a sync rate, without which T3 has no period"
        raise TagFileError(message)
    return rate


def _warnings(header: OldHeader, present: int, used: int, rest: int) -> Iterator[FileWarning]:
    claimed = int(header.number("NumRecords"))
    if claimed != present:
        done = f"the last {present - used} are left out" if used < present else "those are read"
        message = f"The header says {claimed} records, but the file holds {present}; {done}."
        yield FileWarning(code="record_count", message=message)
    if rest:
        message = (
            f"The file ends with {rest} bytes of a record of {RECORD_BYTES}; they are left out."
        )
        yield FileWarning(code="truncated", message=message)
    if header.fields["StopReason"] not in (0, 1):
        message = f"The measurement was stopped for reason {header.fields['StopReason']}."
        yield FileWarning(code="stopped_unknown", message=message)


class TimeHarp200File(EncodedSource):
    """A .t3r file of the TimeHarp 200: a clock of 100 ns, and start-stop times within it.

    The times are given as T3 events whose "syncs" are ticks of that clock, as Photon-HDF5 has
    them. Trials cannot be counted by them.
    """

    format = "timeharp200"
    counts_syncs = False

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        header = read_old_header(path)
        clock = header.number("TTTRGlobClock") * 1e-9
        acquisition = Acquisition(
            mode="T3",
            device="TimeHarp 200",
            resolution=_resolution(path, header.number("Resolution") * 1e-9),
            sync_period=clock if clock > 0 else 100e-9,
            sync_rate=None,
            measured_time=_measured_time(header),
            warnings=(
                FileWarning(
                    code="clock_times",
                    message=(
                        f"Times count a clock of {clock or 100e-9:g} s of the device, not syncs: "
                        "rates and histograms are right, but trials cannot be told apart."
                    ),
                ),
            ),
        )
        super().__init__(path, acquisition)
        self.header = {name: str(value) for name, value in header.fields.items()}
        self._data_offset = header.data_offset

    def read_events(self) -> Iterator[Events]:
        """Yield the photons and markers."""
        wraps = 0
        with open_file(self.path) as stream:
            stream.seek(self._data_offset)
            while raw := stream.read(1 << 18):
                records = np.frombuffer(raw[: len(raw) // 4 * 4], "<u4")
                valid = records >> 30 & 1 == 1
                data = records >> 16 & 0xFFF
                overflow = ~valid & (data & 0x800 != 0)
                time = (records & 0xFFFF).astype(np.int64)
                time += (wraps + np.cumsum(overflow)) * 65536
                wraps += int(np.count_nonzero(overflow))
                kept = ~overflow & (valid | (data & 7 != 0))
                channel = np.where(valid, records >> 28 & 3, MARKER + (data & 7))
                yield Events(
                    time=time[kept],
                    dtime=np.where(valid, data, 0)[kept].astype(np.int32),
                    channel=channel[kept].astype(np.uint8),
                )
