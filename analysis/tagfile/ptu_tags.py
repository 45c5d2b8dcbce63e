"""Which tags a new PTU file gets, and with which values.

Source: PicoQuant, "Tag Dictionary" (unified tag file format documentation).
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from analysis.tagfile.layouts import RecordLayout
from analysis.tagfile.tags import Tag, TagType

NANO_BASE_RESOLUTION = 250e-12
"""Base bin of the TimeHarp 260 NANO in s."""

MAX_BIN_STEPS = 22
"""Binning factors of the TimeHarp 260 are ``2**n`` with n from 0 to this minus one."""

STOPPED_TIME_OVER = 0
STOPPED_MANUALLY = 1
STOPPED_UNKNOWN = -1


def typed_tags(values: Mapping[str, object]) -> list[Tag]:
    """Return the tags for plain values, with the types that the vendor's dictionary gives."""
    tags = [Tag.of(key, value) for key, value in values.items()]
    return [
        replace(tag, type=TagType.BITSET) if tag.name == "TTResult_MDescWarningFlags" else tag
        for tag in tags
    ]


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
