"""PicoQuant MultiHarp 150/160, HydraHarp 400 and PicoHarp 330. Not verified on hardware.

Sources of how their libraries differ from TH260Lib: vendor manuals of MHLib 3.0 and HHLib 3.0,
headers of MHLib 3.1 and PH330lib 2.0. The depth of the devices' FIFOs is not published.
"""

import ctypes
from collections.abc import Mapping, Sequence
from ctypes import POINTER, c_char_p, c_double, c_int, c_uint
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from instruments.bases.recording import Fault
from instruments.picoquant_timeharp260.driver import Discriminator, HarpTagger
from instruments.picoquant_timeharp260.library import (
    SIGNATURES,
    TH260Error,
    TH260Lib,
    TimeHarpBoard,
)
from instruments.roles import RecordSink

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

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


EDGE_MODE = 0
"""Of the PicoHarp 330's inputs; 1 is constant fraction, which this driver does not use."""


class UsbHarpBoard(TimeHarpBoard):
    """Base of one opened USB tagger.

    Attributes
    ----------
    wanted_model : str
        With which the model's name must begin.
    initialize_with : tuple of int
        Reference clock (0: internal) and further arguments of ``Initialize``.
    """

    fault_flags: ClassVar[Mapping[int, Fault]] = USB_FAULTS
    max_devices = 8
    text_sizes = (32, 32, 32)
    wanted_model: ClassVar[str]
    initialize_with: ClassVar[tuple[int, ...]] = (0,)

    def _initialize(self, mode: int) -> None:
        self.call("Initialize", mode, *self.initialize_with)

    def _check_model(self) -> None:
        if not self.model.startswith(self.wanted_model):
            message = (
                f"{self._owner}: the device must be a {self.wanted_model}, but is {self.model!r}"
            )
            raise RuntimeError(message)


class MultiHarpBoard(UsbHarpBoard):
    """A MultiHarp; no White Rabbit."""

    wanted_model = "MultiHarp"
    initialize_with = (0, 0)


class HydraHarpBoard(UsbHarpBoard):
    """A HydraHarp 400, calibrated after it was initialised."""

    wanted_model = "HydraHarp 400"

    def _initialize(self, mode: int) -> None:
        super()._initialize(mode)
        self.call("Calibrate")


class PicoHarp330Board(UsbHarpBoard):
    """A PicoHarp 330 whose inputs go by level and edge."""

    fault_flags: ClassVar[Mapping[int, Fault]] = USB_FAULTS | SOFT_ERROR
    wanted_model = "PicoHarp 330"

    def _initialize(self, mode: int) -> None:
        super()._initialize(mode)
        self.call("SetSyncTrgMode", EDGE_MODE)
        for channel in range(self.integer("GetNumOfInputChannels")):
            self.call("SetInputTrgMode", channel, EDGE_MODE)


class UsbHarpTagger(HarpTagger):
    """Base of the USB taggers; see `HarpTagger`."""

    record_types: ClassVar[dict[str, int]] = {"T2": 0x00010207, "T3": 0x00010307}
    inputs_are: ClassVar[Discriminator]

    def __init__(
        self,
        name: str,
        library: str | Any,
        mode: Literal["T2", "T3"],
        serial: str | None = None,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        super().__init__(name, library, mode, serial, **kwargs)

    @property
    def discriminator(self) -> Discriminator:
        """What its inputs are."""
        return self.inputs_are

    def record_type(self) -> int:
        """Return ``TTResultFormat_TTTRRecType`` of model and mode."""
        return self.record_types[self.mode]

    def start(self, sink: RecordSink, duration: float) -> None:
        """Begin to record for `duration` seconds (a multiple of 1 ms) into `sink`."""
        self.require_idle("start")
        if isinstance(self._library, HarpLib):
            self._library.forget_waiting()
        super().start(sink, duration)


class PicoQuantMultiHarp150(UsbHarpTagger):
    """A MultiHarp 150 or 160; see `HarpTagger`."""

    library_kind = MHLib
    board_kind = MultiHarpBoard
    inputs_are = Discriminator(is_cfd=False, levels=(-1.2, 1.2), max_divider=16)


class PicoQuantHydraHarp400(UsbHarpTagger):
    """A HydraHarp 400 (TTTR format version 2); see `HarpTagger`.

    Its library takes trigger levels as positive numbers.
    """

    library_kind = HHLib
    board_kind = HydraHarpBoard
    record_types: ClassVar[dict[str, int]] = {"T2": 0x01010204, "T3": 0x01010304}
    inputs_are = Discriminator(
        is_cfd=True, levels=(0.0, 1.0), zero_crossings=(0.0, 40e-3), max_divider=16
    )
    longest_window_start = 500e-6


class PicoQuantPicoHarp330(UsbHarpTagger):
    """A PicoHarp 330, its inputs by level and edge; see `HarpTagger`."""

    library_kind = PH330Lib
    board_kind = PicoHarp330Board
    inputs_are = Discriminator(is_cfd=False, levels=(-1.5, 1.5), max_divider=8)
