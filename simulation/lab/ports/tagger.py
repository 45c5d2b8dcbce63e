"""A time tagger: how it records, what it recorded, and its port."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerInput:
    """A discriminator of the tagger.

    Attributes
    ----------
    level : float
        V.
    rising : bool
        Edge of the electrical pulse that counts.
    offset : float
        Time added to what it records, s.
    enabled : bool
    """

    level: float = 0.1
    rising: bool = True
    offset: float = 0.0
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerSettings:
    """How a recording is made.

    Attributes
    ----------
    mode : {"T2", "T3", "stream"}
        32-bit records of the TimeHarp 260 NANO (T2, T3), or picosecond times (`TaggerPort.times`).
    resolution : float
        Base resolution, s.
    binning : int
        T3 bins are ``resolution · 2**binning`` wide.
    t3_offset : float
        Start of the T3 histogram window after the sync, s.
    sync_divider : int
    sync : TriggerInput
    inputs : tuple of TriggerInput
        Inputs 1, 2, … (channel codes 0, 1, … in records).
    sync_only_with_clicks : bool
        ``stream``: keep only trigger times followed by a click (conditional filter).
    """

    mode: Literal["T2", "T3", "stream"] = "T2"
    resolution: float = 250e-12
    binning: int = 0
    t3_offset: float = 0.0
    sync_divider: int = 1
    sync: TriggerInput = field(default_factory=TriggerInput)
    inputs: tuple[TriggerInput, ...] = (TriggerInput(), TriggerInput())
    sync_only_with_clicks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerFlags:
    """What went wrong in a recording; set until the next start."""

    fifo_full: bool = False
    dropped_events: bool = False
    sync_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerRates:
    """Events per second over the last 100 ms, after the discriminators.

    Attributes
    ----------
    sync : float
        After the divider is undone, as the library reports it.
    inputs : tuple of float
    """

    sync: float
    inputs: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeTags:
    """Events of a ``stream`` recording: picoseconds since its start, and channels (0: sync)."""

    times_ps: NDArray[np.int64]
    channels: NDArray[np.uint8]


class TaggerPort:
    """The tagger's connectors: here free-standing, where nothing ever arrives.

    The world hands out a subclass with the same methods. Virtual time flows while a recording is
    read: `records` and `times` let the clock advance by a stride when nothing is waiting, so that
    a driver that polls gets data as fast as the world can be computed.
    """

    def rates(self, settings: TaggerSettings) -> TaggerRates:
        """Count rates at the inputs with these settings, recording or not."""
        return TaggerRates(sync=0.0, inputs=tuple(0.0 for _ in settings.inputs))

    def start(self, settings: TaggerSettings, duration: float) -> None:
        """Begin a recording of `duration` s of virtual time; clears FIFO and flags."""

    def stop(self) -> None:
        """End the recording early; what is in the FIFO stays readable."""

    def running(self) -> bool:
        """Tell whether the recording's time is still running (data may be waiting after)."""
        return False

    def elapsed(self) -> float:
        """Return the seconds of the present or last recording."""
        return 0.0

    def records(self, limit: int) -> NDArray[np.uint32]:
        """Return up to `limit` waiting records (T2, T3), oldest first; empty: none waiting."""
        return np.empty(0, np.uint32)

    def times(self, limit: int) -> TimeTags:
        """Return up to `limit` waiting events of a ``stream`` recording."""
        return TimeTags(times_ps=np.empty(0, np.int64), channels=np.empty(0, np.uint8))

    def flags(self) -> TaggerFlags:
        """Return what went wrong since the start."""
        return TaggerFlags()
