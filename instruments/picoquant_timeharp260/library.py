"""TH260Lib, PicoQuant's programming library of the TimeHarp 260, and a board opened through it.

Source: vendor headers ``th260lib.h``, ``th260defin.h``, ``errorcodes.h``. The library itself comes
with the vendor's DLL option and is loaded only when its file name is given.
"""

import ctypes
import sys
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_char_p, c_double, c_int, c_uint
from enum import IntFlag
from threading import RLock
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from instruments.bases.recording import Fault
from instruments.links.undivided import undivided
from instruments.links.vendor_library import load_library

MODES = {"T2": 2, "T3": 3}
EDGES = {"falling": 0, "rising": 1}
MAX_DEVICES = 4
MIN_READ, MAX_READ = 128, 131_072
"""Records that `ReadFiFo` is asked for: a multiple of the first, up to the second."""
INSTALLED = "installed"
"""Instead of a file name: where the vendor's installers put the library."""
FILE_NAMES = {
    "win32": ("th260lib64.dll",),
    "linux": ("libth260.so", "/usr/local/lib64/th260/th260lib.so"),
}
"""File names of the vendor's installers by platform."""
MAX_DURATION_MS = 360_000_000
NANO, PICO = "TimeHarp 260 N", "TimeHarp 260 P"

_ONE, _TWO, _THREE = (c_int,), (c_int,) * 2, (c_int,) * 3
_INT_OUT, _DOUBLE_OUT = POINTER(c_int), POINTER(c_double)

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "GetLibraryVersion": (c_char_p,),
    "OpenDevice": (c_int, c_char_p),
    "CloseDevice": _ONE,
    "Initialize": _TWO,
    "GetHardwareInfo": (c_int, c_char_p, c_char_p, c_char_p),
    "GetFeatures": (c_int, _INT_OUT),
    "GetBaseResolution": (c_int, _DOUBLE_OUT, _INT_OUT),
    "GetNumOfInputChannels": (c_int, _INT_OUT),
    "SetSyncDiv": _TWO,
    "SetSyncCFD": _THREE,
    "SetSyncEdgeTrg": _THREE,
    "SetSyncChannelOffset": _TWO,
    "SetInputCFD": (c_int,) * 4,
    "SetInputEdgeTrg": (c_int,) * 4,
    "SetInputChannelOffset": _THREE,
    "SetInputChannelEnable": _THREE,
    "SetBinning": _TWO,
    "SetOffset": _TWO,
    "SetMarkerEnable": (c_int,) * 5,
    "StartMeas": _TWO,
    "StopMeas": _ONE,
    "CTCStatus": (c_int, _INT_OUT),
    "GetResolution": (c_int, _DOUBLE_OUT),
    "GetSyncRate": (c_int, _INT_OUT),
    "GetCountRate": (c_int, c_int, _INT_OUT),
    "GetFlags": (c_int, _INT_OUT),
    "GetElapsedMeasTime": (c_int, _DOUBLE_OUT),
    "GetWarnings": (c_int, _INT_OUT),
    "ReadFiFo": (c_int, POINTER(c_uint), c_int, _INT_OUT),
}
"""Argument types of the functions used, by name without ``TH260_``; all return an error code."""


class Feature(IntFlag):
    """Options of a board (`GetFeatures`)."""

    DLL = 0x01
    TTTR = 0x02
    MARKERS = 0x04
    LOWRES = 0x08
    TRIGOUT = 0x10
    PROG_TD = 0x20


class Flag(IntFlag):
    """State of a measurement (`GetFlags`)."""

    OVERFLOW = 0x01
    FIFO_FULL = 0x02
    SYNC_LOST = 0x04
    EVENTS_DROPPED = 0x08
    SYSTEM_ERROR = 0x10
    SOFT_ERROR = 0x20


WARNINGS = {
    0x0001: "no triggers at the sync input",
    0x0002: "the sync rate is very low",
    0x0004: "the sync rate is too high",
    0x0010: "no clicks at an input",
    0x0040: "the rate of an input is too high",
    0x0100: "the rate of an input is too high compared with the sync rate",
    0x0200: "the sync divider is greater than 1",
    0x0400: "the time span is shorter than the sync period",
    0x0800: "the offset is not needed",
    0x1000: "the sync divider is too small",
    0x2000: "counts were dropped",
}
"""Meaning of the bits of `GetWarnings`."""

_ERROR_RUNS = {
    -1: "DEVICE_OPEN_FAIL DEVICE_BUSY DEVICE_HEVENT_FAIL DEVICE_CALLBSET_FAIL DEVICE_BARMAP_FAIL "
    "DEVICE_CLOSE_FAIL DEVICE_RESET_FAIL DEVICE_GETVERSION_FAIL DEVICE_VERSION_MISMATCH "
    "DEVICE_NOT_OPEN DEVICE_LOCKED DEVICE_DRIVERVER_MISMATCH",
    -16: "INSTANCE_RUNNING INVALID_ARGUMENT INVALID_MODE INVALID_OPTION INVALID_MEMORY "
    "INVALID_RDATA NOT_INITIALIZED NOT_CALIBRATED DMA_FAIL XTDEVICE_FAIL FPGACONF_FAIL "
    "IFCONF_FAIL FIFORESET_FAIL THREADSTATE_FAIL THREADLOCK_FAIL",
    -32: "USB_GETDRIVERVER_FAIL USB_DRIVERVER_MISMATCH USB_GETIFINFO_FAIL USB_HISPEED_FAIL "
    "USB_VCMD_FAIL USB_BULKRD_FAIL",
    -40: "LANEUP_TIMEOUT DONEALL_TIMEOUT MB_ACK_TIMEOUT MACTIVE_TIMEOUT MEMCLEAR_FAIL "
    "MEMTEST_FAIL CALIB_FAIL REFSEL_FAIL STATUS_FAIL MODNUM_FAIL DIGMUX_FAIL MODMUX_FAIL "
    "MODFWPCB_MISMATCH MODFWVER_MISMATCH MODPROPERTY_MISMATCH INVALID_MAGIC INVALID_LENGTH",
    -64: " ".join(f"EEPROM_F{number:02d}" for number in range(1, 12)),
    -80: "UNSUPPORTED_FUNCTION",
}
ERRORS = {
    first - index: f"TH260_ERROR_{name}"
    for first, names in _ERROR_RUNS.items()
    for index, name in enumerate(names.split())
}
"""Names of the library's error codes."""

_LOCK = RLock()
"""The library is not thread safe, whichever of its boards is meant."""


class TH260Error(RuntimeError):
    """A function of the vendor's library refused.

    Attributes
    ----------
    function : str
    code : int
        The library's (negative) error code.
    """

    def __init__(
        self,
        function: str,
        code: int,
        arguments: Sequence[object] = (),
        *,
        name: str = "",
        prefix: str = "TH260",
    ) -> None:
        self.function = function
        self.code = code
        name = name or ERRORS.get(code, "an error the vendor's header does not list")
        given = ", ".join(str(value) for value in arguments if isinstance(value, int))
        super().__init__(f"{prefix}_{function}({given}) must return 0, but returns {code} ({name})")


class TH260Lib:
    """The library's functions; out parameters become return values, error codes exceptions.

    Thread-safe: one lock for all boards of the process is held during each call.

    Parameters
    ----------
    functions : object
        Has the functions of `SIGNATURES` as attributes ``TH260_…``: the loaded library, or an
        object with the same functions, which get integers, ctypes pointers and character arrays.
    """

    prefix: ClassVar[str] = "TH260"
    signatures: ClassVar[Mapping[str, tuple[Any, ...]]] = SIGNATURES
    file_names: ClassVar[Mapping[str, tuple[str, ...]]] = FILE_NAMES

    def __init__(self, functions: Any) -> None:
        self._functions = functions

    @classmethod
    def load(cls, file_name: str) -> Self:
        """Load the vendor's 64-bit library.

        Parameters
        ----------
        file_name : str
            ``installed``: where the vendor's installers put it, that is ``th260lib64.dll``
            (Windows), or ``libth260.so`` and then ``/usr/local/lib64/th260/th260lib.so`` (Linux).
            Else a file name or path; snAPI's package has it as ``libth260lib.so``.

        Raises
        ------
        OSError
            If it cannot be loaded.
        """
        signatures = {
            f"{cls.prefix}_{name}": (c_int, types) for name, types in cls.signatures.items()
        }
        names = cls.file_names.get(sys.platform, ()) if file_name == INSTALLED else (file_name,)
        failures = []
        for name in names:
            try:
                return cls(load_library(name, "PicoQuant", signatures))
            except OSError as error:
                failures.append(str(error))
        message = "; ".join(failures) or f"PicoQuant has no {cls.prefix}Lib for {sys.platform}"
        raise OSError(message)

    def call(self, function: str, *arguments: Any) -> None:
        """Call ``TH260_<function>``.

        Raises
        ------
        TH260Error
            If it returns an error code.
        """
        with undivided(), _LOCK:
            code = getattr(self._functions, f"{self.prefix}_{function}")(*arguments)
        if code < 0:
            raise self._error(function, code, arguments)

    def _error(self, function: str, code: int, arguments: Sequence[object]) -> TH260Error:
        return TH260Error(function, code, arguments)

    def integer(self, function: str, *arguments: int) -> int:
        """Return what the function puts into its last argument, an int pointer."""
        value = c_int()
        self.call(function, *arguments, ctypes.pointer(value))
        return value.value

    def number(self, function: str, *arguments: int) -> float:
        """Return what the function puts into its last argument, a double pointer."""
        value = c_double()
        self.call(function, *arguments, ctypes.pointer(value))
        return value.value

    def texts(self, function: str, *arguments: int, sizes: Sequence[int]) -> tuple[str, ...]:
        """Return what the function puts into its last arguments, character arrays."""
        buffers = [ctypes.create_string_buffer(size) for size in sizes]
        self.call(function, *arguments, *buffers)
        return tuple(buffer.value.decode("latin-1").strip() for buffer in buffers)

    def base_resolution(self, device: int) -> tuple[float, int]:
        """Return the base resolution in s and the number of binnings."""
        picoseconds, steps = c_double(), c_int()
        self.call("GetBaseResolution", device, ctypes.pointer(picoseconds), ctypes.pointer(steps))
        return picoseconds.value * 1e-12, steps.value

    def read_fifo(self, device: int, buffer: NDArray[np.uint32]) -> int:
        """Read waiting records into `buffer`, of at least 128, and return their number."""
        target = buffer.ctypes.data_as(POINTER(c_uint))
        count = min(len(buffer), MAX_READ) // MIN_READ * MIN_READ
        return self.integer("ReadFiFo", device, target, count)  # type: ignore[arg-type]


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
        if not flags:  # asked with every read
            return ()
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
