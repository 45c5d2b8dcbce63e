"""Write events of any source to a PTU file of their device, changing units where need be."""

import math
from dataclasses import replace

import numpy as np

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.codec import Encoder
from analysis.tagfile.encoded import TagSink
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import GENERIC_T2, GENERIC_T3, LAYOUTS, SYNC, RecordLayout
from analysis.tagfile.picoseconds import from_picoseconds, to_picoseconds
from analysis.tagfile.ptu import PtuFile
from analysis.tagfile.ptu_writer import (
    NANO_BASE_RESOLUTION,
    STOPPED_MANUALLY,
    STOPPED_TIME_OVER,
    PtuWriter,
)
from analysis.tagfile.source import Records, TagSource

WRITTEN_AT_THE_END = frozenset({"TTResult_NumberOfRecords", "TTResult_StopReason"})
"""Header tags that a copy does not take over, because they are written when it is complete."""


class PtuSink(TagSink):
    """A PTU file being written, of the device that took the tags, or of a generic one.

    From a PTU file of the same layout header and records are taken over as they are.

    Raises
    ------
    ValueError
        If the device has no such dtime bin, unless `round_times`.
    """

    def begin(self) -> None:
        """Write the header."""
        acquisition, origin = self.acquisition, self.origin
        self._layout = _layout_for(acquisition)
        is_timeharp = self._layout.device.startswith("TimeHarp 260 N")
        self._device = acquisition
        if is_timeharp:
            self._device = device_units(acquisition, round_times=self.round_times)
        self._encoder = Encoder(self._layout)
        self._ended = False
        tags = _kept_tags(origin, self._layout, self._device)
        over = STOPPED_MANUALLY if acquisition.measured_time is None else STOPPED_TIME_OVER
        header = origin.header if isinstance(origin, PtuFile) else {}
        reason = header.get("TTResult_StopReason", over)
        self._stop_reason = reason if isinstance(reason, int) else over
        doubts = " ".join(str(warning) for warning in acquisition.warnings)
        source = "" if origin is None else f"Converted from {origin.path.name}. "
        self._writer = PtuWriter(
            self.path,
            layout=self._layout,
            resolution=self._device.resolution,
            sync_period=acquisition.sync_period,
            sync_rate=None if acquisition.mode == "T3" else acquisition.sync_rate,
            acquisition_time=acquisition.measured_time or 0.0,
            inputs=max(2, *(channel + 1 for channel in self.counts if channel < SYNC), 0),
            comment=f"{source}{doubts}".strip(),
            tags=tags,
        )

    def takes_records_of(self, source: TagSource) -> bool:
        """Tell whether the source has the same layout and units."""
        same = source.layout == self._layout and source.resolution == self._device.resolution
        return isinstance(source, PtuFile) and same

    def write_records(self, records: Records) -> None:
        """Append records as they are."""
        self._ended = True  # their overflows too
        self._writer.write(records)

    def write(self, events: Events) -> None:
        """Append events given in the units of the acquisition."""
        self._writer.write(self._encoder.encode(self._in_device_units(events)))

    def close(self) -> None:
        """Write the overflows up to the end of the measurement, and complete the header."""
        end_time = self._device.end_time
        if not self._ended and end_time is not None and end_time > self._encoder.overflow:
            self._writer.write(self._encoder.finish(end_time))
        self._writer.close(
            measured_time=self.acquisition.measured_time, stop_reason=self._stop_reason
        )

    def _in_device_units(self, events: Events) -> Events:
        ours, device = self.acquisition.resolution, self._device.resolution
        if ours == device:
            return events
        if events.dtime is not None:
            dtime = np.rint(events.dtime * (ours / device)).astype(np.int32)
            return Events(time=events.time, dtime=dtime, channel=events.channel)
        times = to_picoseconds(events, self.acquisition, round_times=self.round_times)
        return from_picoseconds(times, events.channel, self._device, round_times=self.round_times)


def _layout_for(acquisition: Acquisition) -> RecordLayout:
    """Return the layout of the device that took the tags; a generic one if it has none."""
    for layout in LAYOUTS.values():
        if layout.device == acquisition.device and layout.mode == acquisition.mode:
            return layout
    return GENERIC_T2 if acquisition.mode == "T2" else GENERIC_T3


def _kept_tags(
    origin: TagSource | None, layout: RecordLayout, device: Acquisition
) -> dict[str, object]:
    """Return the header tags that a PTU file hands on to its copy."""
    if not isinstance(origin, PtuFile) or origin.layout != layout:
        return {}
    if origin.resolution != device.resolution:
        return {}
    return {tag.key: tag for tag in origin.header.tags if tag.key not in WRITTEN_AT_THE_END}


def device_units(acquisition: Acquisition, *, round_times: bool) -> Acquisition:
    """Return the acquisition in units that the TimeHarp 260 N has.

    In T2 these are ticks of 250 ps; in T3 bins of 250 ps times a power of two, rounded up from the
    present ones if they are no such bins and `round_times` allows it.

    Raises
    ------
    ValueError
        If they are no such bins, unless `round_times`.
    """
    if acquisition.mode == "T2":
        scale = acquisition.resolution / NANO_BASE_RESOLUTION
        end = acquisition.end_time
        ticks = None if end is None else math.floor(end * scale)
        return replace(acquisition, resolution=NANO_BASE_RESOLUTION, end_time=ticks)
    steps = max(math.log2(acquisition.resolution / NANO_BASE_RESOLUTION), 0.0)
    exact = round(steps)
    resolution = NANO_BASE_RESOLUTION * 2**exact
    if math.isclose(resolution, acquisition.resolution, rel_tol=1e-9):
        return replace(acquisition, resolution=resolution)
    if not round_times:
        message = (
            "the TimeHarp 260 N has dtime bins of 250 ps times a power of two, but the file has "
            f"bins of {acquisition.resolution * 1e12:.9g} ps; pass round_times=True to round them"
        )
        raise ValueError(message)
    return replace(acquisition, resolution=NANO_BASE_RESOLUTION * 2 ** math.ceil(steps))
