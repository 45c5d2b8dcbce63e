"""Write events of any source to a TimeHarp 260 N PTU file, changing units where need be."""

import math
from dataclasses import replace

import numpy as np

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.codec import Encoder
from analysis.tagfile.encoded import TagSink
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import SYNC, TIMEHARP_260N_T2, TIMEHARP_260N_T3
from analysis.tagfile.picoseconds import from_picoseconds, to_picoseconds
from analysis.tagfile.ptu_writer import (
    NANO_BASE_RESOLUTION,
    STOPPED_MANUALLY,
    STOPPED_TIME_OVER,
    PtuWriter,
)

KEPT_TAGS = (
    "File_Comment",
    "HWSync_Divider",
    "HWSync_Offset",
    "TTResult_MDescWarningFlags",
    "TTResult_StopReason",
)
"""Header tags that one PTU file hands on to the next."""


class PtuSink(TagSink):
    """A TimeHarp 260 N file being written from events in other units.

    Raises
    ------
    ValueError
        If the device has no such dtime bin, unless `round_times`.
    """

    def begin(self) -> None:
        """Write the header."""
        acquisition, origin = self.acquisition, self.origin
        self._device = device_units(acquisition, round_times=self.round_times)
        layout = TIMEHARP_260N_T2 if acquisition.mode == "T2" else TIMEHARP_260N_T3
        self._encoder = Encoder(layout)
        header = origin.header if origin is not None and origin.format == "ptu" else {}
        tags = {key: header[key] for key in KEPT_TAGS if key in header}
        over = STOPPED_MANUALLY if acquisition.measured_time is None else STOPPED_TIME_OVER
        reason = tags.get("TTResult_StopReason", over)
        self._stop_reason = reason if isinstance(reason, int) else over
        doubts = " ".join(str(warning) for warning in acquisition.warnings)
        source = "" if origin is None else f"Converted from {origin.path.name}. "
        self._writer = PtuWriter(
            self.path,
            layout=layout,
            resolution=self._device.resolution,
            sync_period=acquisition.sync_period,
            sync_rate=acquisition.sync_rate,
            acquisition_time=acquisition.measured_time or 0.0,
            inputs=max(2, *(channel + 1 for channel in self.counts if channel < SYNC), 0),
            comment=f"{source}{doubts}".strip(),
            tags=tags,
        )

    def write(self, events: Events) -> None:
        """Append events given in the units of the acquisition."""
        self._writer.write(self._encoder.encode(self._in_device_units(events)))

    def close(self) -> None:
        """Write the overflows up to the end of the measurement, and complete the header."""
        end_time = self._device.end_time
        if end_time is not None and end_time > self._encoder.overflow:
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
