"""Swabian Instruments: the open 16-byte dump, and .ttbin through the vendor's own reader.

Dump records: type (8 bits), reserved (8), missed events (16), channel (32, signed), ps (64).
Types: 0 time tag, 1 error, 2 overflow begins, 3 overflow ends, 4 missed events. Falling edges have
negative channel numbers; here channel -n becomes ``FALLING`` + n.
"""

from abc import abstractmethod
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.encoded import EncodedSource
from analysis.tagfile.events import EventError, Events
from analysis.tagfile.source import FileWarning, TagFileError, file_size, named_damage, open_file

FALLING = 32
"""Input -n (a falling edge) gets channel ``FALLING + n``; inputs 1 to 30 can have both edges."""

RECORD = np.dtype(
    [
        ("type", "u1"),
        ("reserved", "u1"),
        ("missed", "<u2"),
        ("channel", "<i4"),
        ("time", "<i8"),
    ]
)
TYPES = {1: "errors", 2: "overflows", 3: "ends of overflows", 4: "missed events"}
_BLOCK = 1 << 16
_LAST_TYPE = 4


class SwabianSource(EncodedSource):
    """What both formats share: tags in ps by signed channel, and other events to be told."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(Path(path), Acquisition(device="Swabian Time Tagger"))
        self.warnings = tuple(self._event_warnings())

    @abstractmethod
    def read_raw(self) -> Iterator[NDArray[np.void]]:
        """Yield arrays of `RECORD`, some at a time."""

    def read_events(self) -> Iterator[Events]:
        """Yield the time tags."""
        for raw in self.read_raw():
            tags = raw[raw["type"] == 0]
            channel = tags["channel"].astype(np.int64)
            wrong = (channel == 0) | (np.abs(channel) > FALLING - 2)
            if wrong.any():
                index = int(np.argmax(wrong))
                rule = (
                    f"channel must be 1 to {FALLING - 2}, or minus that, but is {channel[index]}; "
                    "this may be no Swabian file"
                )
                raise EventError(index, rule)
            channel = np.where(channel < 0, FALLING - channel, channel)
            yield Events(time=tags["time"], dtime=None, channel=channel.astype(np.uint8))

    def _event_warnings(self) -> Iterator[FileWarning]:
        counts = np.zeros(_LAST_TYPE + 1, np.int64)
        missed = 0
        for raw in self.read_raw():
            wrong = raw["type"] > _LAST_TYPE
            if wrong.any():
                message = (
                    f"{self.path}: event types must be 0 to {_LAST_TYPE}, but one is "
                    f"{raw['type'][wrong][0]}: this is no Swabian file, or it is damaged"
                )
                raise TagFileError(message)
            counts += np.bincount(raw["type"], minlength=_LAST_TYPE + 1)
            missed += int(raw["missed"].sum(dtype=np.int64))
        for number, name in TYPES.items():
            if counts[number] and name != "ends of overflows":
                lost = f" ({missed} tags)" if number == _LAST_TYPE else ""
                message = (
                    f"The file tells of {counts[number]} {name}{lost}: the time tagger lost tags "
                    "there, so rates and coincidences are too low."
                )
                yield FileWarning(code="events_dropped", message=message)


class SwabianDump(SwabianSource):
    """A file of 16-byte records, as the vendor's ``Dump`` writes it."""

    format = "swabian-dump"

    def read_raw(self) -> Iterator[NDArray[np.void]]:
        """Yield the records."""
        with open_file(self.path) as stream:
            while raw := stream.read(_BLOCK * RECORD.itemsize):
                yield np.frombuffer(raw[: len(raw) // RECORD.itemsize * RECORD.itemsize], RECORD)

    def _event_warnings(self) -> Iterator[FileWarning]:
        yield from super()._event_warnings()
        rest = file_size(self.path) % RECORD.itemsize
        if rest:
            message = f"The file ends with {rest} bytes of a record of 16; they are left out."
            yield FileWarning(code="truncated", message=message)


class TtbinFile(SwabianSource):
    """A .ttbin file, read by the vendor's ``TimeTagger.FileReader``, which must be installed.

    Untested against a real file: none was at hand. It rests on the vendor's documentation of
    ``FileReader.getData`` and of the buffer it returns.
    """

    format = "ttbin"

    def read_raw(self) -> Iterator[NDArray[np.void]]:
        """Yield the records, through the vendor's reader."""
        file_size(self.path)
        try:
            vendor: Any = import_module("TimeTagger")
        except ImportError:
            message = (
                f"{self.path}: a .ttbin file is read by the vendor's reader, which is not "
                "installed: install labkit[swabian] (package Swabian-TimeTagger), or convert the "
                "file with the vendor's software to its Dump format and read that as .dump"
            )
            raise TagFileError(message) from None
        with named_damage(self.path, "the vendor's reader refuses the file"):
            reader = vendor.FileReader(str(self.path))
        while True:
            with named_damage(self.path, "the vendor's reader cannot go on"):
                if not reader.hasData():
                    return
                buffer = reader.getData(_BLOCK)
                raw = np.zeros(buffer.size, RECORD)
                raw["type"] = buffer.getEventTypes()
                raw["missed"] = buffer.getMissedEvents()
                raw["channel"] = buffer.getChannels()
                raw["time"] = buffer.getTimestamps()
            yield raw
