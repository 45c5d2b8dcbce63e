"""Write events of any source to a TimeHarp 260 N PTU file, changing units where need be."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.codec import Encoder
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import TIMEHARP_260N_T2, TIMEHARP_260N_T3
from analysis.tagfile.picoseconds import from_picoseconds, to_picoseconds
from analysis.tagfile.ptu_tags import (
    NANO_BASE_RESOLUTION,
    STOPPED_MANUALLY,
    STOPPED_TIME_OVER,
)
from analysis.tagfile.ptu_writer import PtuWriter
from analysis.tagfile.sink import TagSink


class PtuSink(TagSink):
    """A TimeHarp 260 N file being written from events in other units.

    Parameters
    ----------
    path : Path
    acquisition : Acquisition
        Units in which the events will be given.
    inputs : int
        Number of detector inputs.
    comment : str
    tags : mapping
        Header tags to take over from the source.
    round_times : bool
        Round times to the device's ticks or bins where they lie between.

    Raises
    ------
    ValueError
        If the device has no such dtime bin, unless `round_times`.
    """

    def __init__(
        self,
        path: Path,
        acquisition: Acquisition,
        *,
        inputs: int,
        comment: str,
        tags: Mapping[str, object],
        round_times: bool = False,
    ) -> None:
        self.acquisition = acquisition
        self.round_times = round_times
        self._device = device_units(acquisition, round_times=round_times)
        layout = TIMEHARP_260N_T2 if acquisition.mode == "T2" else TIMEHARP_260N_T3
        self._encoder = Encoder(layout)
        over = STOPPED_MANUALLY if acquisition.measured_time is None else STOPPED_TIME_OVER
        reason = tags.get("TTResult_StopReason", over)
        self._stop_reason = reason if isinstance(reason, int) else over
        self._writer = PtuWriter(
            path,
            layout=layout,
            resolution=self._device.resolution,
            sync_period=acquisition.sync_period,
            sync_rate=acquisition.sync_rate,
            acquisition_time=acquisition.measured_time or 0.0,
            inputs=inputs,
            comment=comment,
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
