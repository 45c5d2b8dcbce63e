"""Libraries of PicoQuant's USB taggers: how each differs from TH260Lib.

Sources: vendor manuals of MHLib 3.0 and HHLib 3.0, headers of MHLib 3.1 and PH330lib 2.0. The depth
of the devices' FIFOs is not published.
"""

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_char_p, c_double, c_int, c_uint
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from instruments.bases.recording import Fault
from instruments.picoquant_timeharp260.library import SIGNATURES, TH260Error, TH260Lib

_INT_OUT = POINTER(c_int)
_SHARED = {
    name: types
    for name, types in SIGNATURES.items()
    if name not in {"Initialize", "ReadFiFo", "SetSyncCFD", "SetInputCFD"}
} | {"GetErrorString": (c_char_p, c_int), "GetBaseResolution": (c_int, POINTER(c_double), _INT_OUT)}
_FIXED_READ = (c_int, POINTER(c_uint), _INT_OUT)

USB_FAULTS = {
    2: Fault("fifo_full", "the FIFO ran over; the measurement was stopped", ends=True),
    4: Fault("sync_lost", "triggers are missing at the sync input"),
    8: Fault("system_error", "the reference clock was lost"),
    16: Fault("system_error", "the device reports a hardware error", ends=True),
    64: Fault("dropped_events", "the device dropped events: the rate is too high"),
}
"""By bit of ``GetFlags``; bit 32 only says that a measurement is active."""

SOFT_ERROR = {128: Fault("system_error", "the library reports a software error", ends=True)}
"""PicoHarp 330 only."""


class HarpLib(TH260Lib):
    """Base of the libraries; errors are told in the library's own words."""

    fixed_read: ClassVar[int] = 0
    """Records of the one buffer that ``ReadFiFo`` fills; 0: it takes a length."""

    def __init__(self, functions: Any) -> None:
        super().__init__(functions)
        self._block = np.empty(self.fixed_read, np.uint32)
        self._waiting = self._block[:0]

    def read_fifo(self, device: int, buffer: NDArray[np.uint32]) -> int:
        """Read waiting records into `buffer` and return their number."""
        if not self.fixed_read:
            return super().read_fifo(device, buffer)
        if not len(self._waiting):
            target = self._block.ctypes.data_as(POINTER(c_uint))
            count = self.integer("ReadFiFo", device, target)  # type: ignore[arg-type]
            self._waiting = self._block[:count]
        count = min(len(buffer), len(self._waiting))
        buffer[:count] = self._waiting[:count]
        self._waiting = self._waiting[count:]
        return count

    def forget_waiting(self) -> None:
        """Drop what is left of a former measurement."""
        self._waiting = self._block[:0]

    def _error(self, function: str, code: int, arguments: Sequence[object]) -> TH260Error:
        text = ctypes.create_string_buffer(40)
        told = getattr(self._functions, f"{self.prefix}_GetErrorString")(text, code) >= 0
        name = text.value.decode("latin-1") if told else ""
        return TH260Error(function, code, arguments, name=name, prefix=self.prefix)


class MHLib(HarpLib):
    """MHLib of the MultiHarp 150 and 160 (``mhlib64.dll``, ``libmh150.so``)."""

    prefix = "MH"
    file_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "win32": ("mhlib64.dll",),
        "linux": ("libmh150.so",),
    }
    fixed_read = 1_048_576
    signatures = _SHARED | {"Initialize": (c_int,) * 4, "ReadFiFo": _FIXED_READ}


class HHLib(HarpLib):
    """HHLib of the HydraHarp 400 (``hhlib64.dll``, ``libhh400.so``)."""

    prefix = "HH"
    file_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "win32": ("hhlib64.dll",),
        "linux": ("libhh400.so",),
    }
    signatures = {name: t for name, t in _SHARED.items() if "EdgeTrg" not in name} | {
        "Initialize": (c_int,) * 3,
        "Calibrate": (c_int,),
        "SetSyncCFD": (c_int,) * 3,
        "SetInputCFD": (c_int,) * 4,
        "ReadFiFo": (c_int, POINTER(c_uint), c_int, _INT_OUT),
    }


class PH330Lib(HarpLib):
    """PH330Lib of the PicoHarp 330 (``PH330Lib.dll``, ``libph330.so``)."""

    prefix = "PH330"
    file_names: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "win32": ("PH330Lib.dll",),
        "linux": ("libph330.so",),
    }
    fixed_read = 1_048_576
    signatures = _SHARED | {
        "Initialize": (c_int,) * 3,
        "SetSyncTrgMode": (c_int,) * 2,
        "SetInputTrgMode": (c_int,) * 3,
        "ReadFiFo": _FIXED_READ,
    }
