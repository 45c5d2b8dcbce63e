"""One opened TimeHarp 260 board: finding and identifying it, and reading its records."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from instruments.bases.recording import Fault
from instruments.picoquant_timeharp260.library import (
    MAX_DEVICES,
    MODES,
    NANO,
    PICO,
    Feature,
    Flag,
    TH260Error,
    TH260Lib,
)

FAULTS: Mapping[int, Fault] = {
    Flag.FIFO_FULL: Fault("fifo_full", "the FIFO ran over; the measurement was stopped", ends=True),
    Flag.SYSTEM_ERROR: Fault("system_error", "the board reports a hardware error", ends=True),
    Flag.SOFT_ERROR: Fault("system_error", "the library reports a software error", ends=True),
    Flag.EVENTS_DROPPED: Fault("dropped_events", "the board dropped events: the rate is too high"),
    Flag.SYNC_LOST: Fault("sync_lost", "triggers are missing at the sync input"),
}


class TimeHarpBoard:
    """A board, open and initialised; also the device's side of a `Recording`.

    Parameters
    ----------
    library : TH260Lib
    mode : {"T2", "T3"}
    serial : str or None
        Which board; None takes the first that can be opened.
    owner : str
        Name of the instrument, for messages.

    Attributes
    ----------
    serial, model, part, version, library_version : str
    base_resolution : float
        s.
    n_binnings, n_inputs : int

    Raises
    ------
    ConnectionError
        If there is no such board.
    RuntimeError
        If the board is no TimeHarp 260, or has no time-tagging option.
    """

    fault_flags: ClassVar[Mapping[int, Fault]] = FAULTS
    max_devices: ClassVar[int] = MAX_DEVICES
    text_sizes: ClassVar[tuple[int, int, int]] = (16, 8, 16)
    """Of model, part number and version."""

    def __init__(
        self, library: TH260Lib, mode: Literal["T2", "T3"], serial: str | None, owner: str
    ) -> None:
        self._library = library
        self._owner = owner
        (self.library_version,) = library.texts("GetLibraryVersion", sizes=[8])
        self.index, self.serial = self._open(serial)
        try:
            self._initialize(MODES[mode])
            self.model, self.part, self.version = library.texts(
                "GetHardwareInfo", self.index, sizes=self.text_sizes
            )
            self._check()
            self.base_resolution, self.n_binnings = library.base_resolution(self.index)
            self.n_inputs = self.integer("GetNumOfInputChannels")
            self.call("SetMarkerEnable", 0, 0, 0, 0)
        except Exception:
            library.call("CloseDevice", self.index)
            raise

    def call(self, function: str, *arguments: int) -> None:
        """Call a function of this board; see `TH260Lib.call`."""
        self._library.call(function, self.index, *arguments)

    def integer(self, function: str, *arguments: int) -> int:
        """Return an integer that a function of this board gives."""
        return self._library.integer(function, self.index, *arguments)

    def number(self, function: str, *arguments: int) -> float:
        """Return a floating-point number that a function of this board gives."""
        return self._library.number(function, self.index, *arguments)

    def faults(self) -> Sequence[Fault]:
        """Return what the board's flags say is wrong."""
        flags = self.integer("GetFlags")
        return [fault for flag, fault in self.fault_flags.items() if flag & flags]

    def read(self, buffer: NDArray[np.uint32]) -> int:
        """Put waiting records into `buffer` and return their number."""
        return self._library.read_fifo(self.index, buffer)

    def ended(self) -> bool:
        """Tell whether the measuring time has passed."""
        return self.integer("CTCStatus") != 0

    def stop(self) -> None:
        """Stop measuring."""
        self.call("StopMeas")

    def _open(self, wanted: str | None) -> tuple[int, str]:
        """Open the wanted board; return its index and serial number."""
        seen = []
        for index in range(self.max_devices):
            try:
                (serial,) = self._library.texts("OpenDevice", index, sizes=[8])
            except TH260Error as error:
                seen.append(f"{index}: {error}")
                continue
            if wanted in {None, serial}:
                return index, serial
            seen.append(f"{index}: serial {serial}")
            self._library.call("CloseDevice", index)
        asked = "a board" if wanted is None else f"the board with serial {wanted}"
        message = (
            f"{self._owner}: {asked} must be present and not in use, but is not "
            f"({'; '.join(seen)}); close other programs, check the board and its driver"
        )
        raise ConnectionError(message)

    def _initialize(self, mode: int) -> None:
        self.call("Initialize", mode)

    def _check(self) -> None:
        self._check_model()
        features = Feature(self.integer("GetFeatures"))
        if Feature.TTTR not in features:
            message = (
                f"{self._owner}: board {self.serial} must have the time-tagging (TTTR) option, "
                f"but has only {features!r}; the vendor sells it"
            )
            raise RuntimeError(message)

    def _check_model(self) -> None:
        if self.model not in {NANO, PICO}:
            message = f"{self._owner}: the board must be a {NANO} or {PICO}, but is {self.model!r}"
            raise RuntimeError(message)
