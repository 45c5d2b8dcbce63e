"""Write PTU files that the vendor's software and the established readers accept.

Source of the tags: PicoQuant, "Tag Dictionary" (unified tag file format documentation).
"""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from uuid import UUID, uuid4

import numpy as np

from analysis.tagfile.codec import Encoder
from analysis.tagfile.events import Events
from analysis.tagfile.header import TAG, Tag, TagType, read_header, write_header
from analysis.tagfile.layouts import TIMEHARP_260N_T3, RecordLayout
from analysis.tagfile.source import Records, TagFileError

NANO_BASE_RESOLUTION = 250e-12
"""Base bin of the TimeHarp 260 NANO in s."""

MAX_BIN_STEPS = 22
"""Binning factors of the TimeHarp 260 are ``2**n`` with n from 0 to this minus one."""

STOPPED_TIME_OVER = 0
STOPPED_MANUALLY = 1
STOPPED_UNKNOWN = -1


def typed_tags(values: Mapping[str, object]) -> list[Tag]:
    """Return the tags for plain values, with the types that the vendor's dictionary gives."""
    tags = [
        value if isinstance(value, Tag) else Tag.of(key, value) for key, value in values.items()
    ]
    return [
        replace(tag, type=TagType.BITSET) if tag.name == "TTResult_MDescWarningFlags" else tag
        for tag in tags
    ]


@cache
def software_version() -> str:
    """Return the version of labkit that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("labkit")
    except PackageNotFoundError:
        return "unknown"


def file_tags(
    layout: RecordLayout, comment: str, created: datetime, guid: UUID
) -> dict[str, object]:
    """Return the tags that tell which file this is, and where it comes from."""
    return {
        "File_GUID": "{" + str(guid).upper() + "}",
        "File_AssuredContent": f"{layout.device}: HWSETG SWSETG",
        "CreatorSW_ContentVersion": "1.0",
        "CreatorSW_Name": "labkit",
        "CreatorSW_Version": software_version(),
        "File_CreatingTime": created,
        "File_Comment": comment,
        "Measurement_Mode": int(layout.mode[1]),
        "Measurement_SubMode": 0,
        "TTResult_StopReason": STOPPED_UNKNOWN,
        "Fast_Load_End": None,
        "HW_Type": layout.device,
        "HW_PartNo": "",
        "HW_Version": "",
        "HW_SerialNo": "",
    }


def measurement_tags(
    layout: RecordLayout,
    resolution: float,
    sync_period: float | None,
    sync_rate: float | None,
    acquisition_time: float,
) -> dict[str, object]:
    """Return the tags that give the records their meaning; the counts are still 0.

    Raises
    ------
    ValueError
        If a time is not positive, T3 has neither sync period nor rate, or the layout's device has
        no such resolution.
    """
    _check_positive("resolution", resolution)
    period, rate = _sync(sync_period, sync_rate)
    if layout.mode == "T3" and period is None:
        message = "`sync_period` or `sync_rate` must be given in T3, but neither is"
        raise ValueError(message)
    if not 0 <= acquisition_time < math.inf:
        message = f"`acquisition_time` must be 0 or more seconds, but is {acquisition_time}"
        raise ValueError(message)
    base, binning = _binning(layout, resolution)
    return {
        "TTResultFormat_TTTRRecType": layout.record_type,
        "TTResultFormat_BitsPerRecord": 32,
        "HW_BaseResolution": base,
        "MeasDesc_BinningFactor": binning,
        "MeasDesc_Offset": 0,
        "MeasDesc_AcquisitionTime": round(acquisition_time * 1e3),
        "MeasDesc_StopAt": 0xFFFFFFFF,
        "MeasDesc_StopOnOvfl": False,
        "MeasDesc_Restart": False,
        "MeasDesc_Resolution": resolution,
        "MeasDesc_GlobalResolution": resolution if layout.mode == "T2" else period,
        "TTResult_SyncRate": round(rate),
        "TTResult_MDescWarningFlags": 0,
        "TTResult_StopAfter": 0,
        "TTResult_NumberOfRecords": 0,
    }


def hardware_tags(inputs: int) -> dict[str, object]:
    """Return the tags of a device with so many inputs in its neutral settings."""
    tags: dict[str, object] = {
        "HW_Modules": 0,
        "HW_ExternalRefClock": False,
        "HW_InpChannels": inputs,
        "HWSync_Divider": 1,
        "HWSync_Offset": 0,
        "HW_Markers": 4,
        "HWMarkers_HoldOff": 0,
    }
    for index in range(inputs):
        tags[f"HWInpChan_Offset[{index}]"] = 0
        tags[f"HWInpChan_Enabled[{index}]"] = True
        tags[f"TTResult_InputRate[{index}]"] = 0
    for index in range(4):
        tags[f"HWMarkers_RisingEdge[{index}]"] = True
        tags[f"HWMarkers_Enabled[{index}]"] = True
    return tags


def _sync(period: float | None, rate: float | None) -> tuple[float | None, float]:
    """Return sync period and rate, each from the other if need be; rate 0 if unknown."""
    if period is not None:
        _check_positive("sync_period", period)
    if rate is not None:
        _check_positive("sync_rate", rate)
    if period is not None and rate is not None and not math.isclose(period * rate, 1, rel_tol=1e-3):
        message = (
            "`sync_rate` must be the inverse of `sync_period` (within 1e-3), "
            f"but they are {rate} and {period}; give one of them"
        )
        raise ValueError(message)
    if period is None:
        return (None, 0.0) if rate is None else (1 / rate, rate)
    return period, 1 / period if rate is None else rate


def _binning(layout: RecordLayout, resolution: float) -> tuple[float, int]:
    """Return base resolution and binning factor."""
    if not layout.device.startswith("TimeHarp 260 N"):
        return resolution, 1
    factor = resolution / NANO_BASE_RESOLUTION
    binning = round(factor)
    allowed = 1 if layout.mode == "T2" else 1 << (MAX_BIN_STEPS - 1)
    is_power = binning > 0 and binning & (binning - 1) == 0
    if not (is_power and binning <= allowed and math.isclose(factor, binning, rel_tol=1e-9)):
        rule = "250 ps" if allowed == 1 else f"250 ps times 2**n, n = 0 to {MAX_BIN_STEPS - 1}"
        message = f"`resolution` must be {rule} for {layout}, but is {resolution} s"
        raise ValueError(message)
    return NANO_BASE_RESOLUTION, binning


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        message = f"`{name}` must be positive and finite, but is {value}"
        raise ValueError(message)


_VALUE_OFFSET = TAG.size - 8


class PtuWriter:
    """A PTU file being written; use it in a ``with`` statement.

    While the file is open its header says 0 records, as the vendor's own software does, so the
    file can be read at every moment and after a crash (the reader takes the file size). `close`
    puts in the number of records, the measured time and the reason of the end.

    Parameters
    ----------
    path : str or Path
    layout : RecordLayout, optional
    resolution : float, optional
        Seconds per T2 tick, or per T3 dtime bin; for the TimeHarp 260 N in T3, 250 ps times a
        power of two.
    sync_period : float, optional
        Nominal seconds per sync; in T3 this or `sync_rate` is needed.
    sync_rate : float, optional
        Syncs per second; the header rounds it to an integer.
    acquisition_time : float, optional
        Planned duration in s, 0 for open end; the header rounds it to ms.
    comment : str, optional
    inputs : int, optional
        Number of detector inputs of the device.
    created : datetime, optional
        Local time of creation; by default now.
    guid : UUID, optional
        Identity of the file; by default random.
    tags : mapping, optional
        Further header tags by key, as plain values or `Tag`, which also replace those made here.
    overwrite : bool, optional
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If the file exists and `overwrite` is False.
    ValueError
        If resolution, sync period or rate make no sense for the layout.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        layout: RecordLayout = TIMEHARP_260N_T3,
        resolution: float = NANO_BASE_RESOLUTION,
        sync_period: float | None = None,
        sync_rate: float | None = None,
        acquisition_time: float = 0.0,
        comment: str = "",
        inputs: int = 2,
        created: datetime | None = None,
        guid: UUID | None = None,
        tags: Mapping[str, object] | None = None,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        self.layout = layout
        self.n_records = 0
        self._acquisition_time = acquisition_time
        made = {
            **file_tags(layout, comment, created or datetime.now(), guid or uuid4()),
            **measurement_tags(layout, resolution, sync_period, sync_rate, acquisition_time),
            **hardware_tags(inputs),
            **(tags or {}),
        }
        header = write_header(typed_tags(made))
        self._header = read_header(header)
        self._stream = _create(self.path, overwrite=overwrite)
        self._stream.write(header)
        self._stream.flush()

    def write(self, records: Records) -> None:
        """Append raw records of the writer's layout; they are in the file when this returns."""
        if records.dtype != np.uint32 or records.ndim != 1:
            message = (
                "`records` must be a one-dimensional array of uint32, "
                f"but is {records.ndim}-dimensional {records.dtype}"
            )
            raise TypeError(message)
        self._stream.write(np.ascontiguousarray(records, dtype="<u4").data)
        self._stream.flush()
        self.n_records += len(records)

    def sync(self) -> None:
        """Make the operating system put everything written so far on the disk."""
        self._stream.flush()
        os.fsync(self._stream.fileno())

    def close(
        self, *, measured_time: float | None = None, stop_reason: int = STOPPED_TIME_OVER
    ) -> None:
        """Complete the header and close the file; closing again does nothing.

        Parameters
        ----------
        measured_time : float, optional
            Actual duration in s (rounded to ms); by default the acquisition time if
            `stop_reason` says that it had passed, else unknown (0).
        stop_reason : int, optional
            ``TTResult_StopReason``: 0 time over, 1 stopped by the user, negative after an error.
        """
        if self._stream.closed:
            return
        if measured_time is None:
            is_over = stop_reason == STOPPED_TIME_OVER
            measured_time = self._acquisition_time if is_over else 0.0
        try:
            self._put("TTResult_NumberOfRecords", self.n_records)
            self._put("TTResult_StopAfter", round(measured_time * 1e3))
            self._put("TTResult_StopReason", stop_reason)
        finally:  # also if the disk is full
            self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close(stop_reason=STOPPED_TIME_OVER if kind is None else STOPPED_UNKNOWN)

    def _put(self, key: str, value: int) -> None:
        offset = self._header.tag(key).offset
        if offset is None:
            message = f"tag {key!r} has no place in the header of {self.path}"
            raise KeyError(message)
        self._stream.seek(offset + _VALUE_OFFSET)
        self._stream.write(value.to_bytes(8, "little", signed=True))


def write_ptu(
    path: str | Path,
    events: Events,
    *,
    layout: RecordLayout = TIMEHARP_260N_T3,
    resolution: float = NANO_BASE_RESOLUTION,
    sync_period: float | None = None,
    sync_rate: float | None = None,
    acquisition_time: float = 0.0,
    end_time: int | None = None,
    comment: str = "",
    overwrite: bool = False,
) -> None:
    """Write events to a PTU file in one go.

    Parameters
    ----------
    path, layout, resolution, sync_period, sync_rate, acquisition_time, comment, overwrite
        As in `PtuWriter`.
    events : Events
        In time order.
    end_time : int, optional
        T2 ticks or T3 sync number at the end of the measurement, up to which overflow records are
        written.
    """
    encoder = Encoder(layout)
    records = [encoder.encode(events)]
    if end_time is not None:
        records.append(encoder.finish(end_time))
    with PtuWriter(
        path,
        layout=layout,
        resolution=resolution,
        sync_period=sync_period,
        sync_rate=sync_rate,
        acquisition_time=acquisition_time,
        comment=comment,
        overwrite=overwrite,
    ) as writer:
        for block in records:
            writer.write(block)


def recover(path: str | Path) -> int:
    """Put the number of records into the header of a file whose acquisition crashed.

    Nothing else is changed; bytes of a record that was cut off stay where they are.

    Returns
    -------
    int
        Number of whole records in the file.

    Raises
    ------
    TagFileError
        If the file is no PTU file, or its header is damaged or has no record count.
    """
    path = Path(path)
    header = read_header(path)
    if "TTResult_NumberOfRecords" not in header:
        message = f"{path}: the header has no tag 'TTResult_NumberOfRecords' to be corrected"
        raise TagFileError(message)
    offset = header.tag("TTResult_NumberOfRecords").offset or 0
    with path.open("r+b") as stream:
        n_records = (stream.seek(0, os.SEEK_END) - header.data_offset) // 4
        stream.seek(offset + _VALUE_OFFSET)
        stream.write(n_records.to_bytes(8, "little", signed=True))
    return n_records


def _create(path: Path, *, overwrite: bool) -> BinaryIO:
    try:
        return path.open("wb" if overwrite else "xb")
    except FileExistsError:
        message = f"{path} exists; choose another name, or pass overwrite=True to replace it"
        raise FileExistsError(message) from None
