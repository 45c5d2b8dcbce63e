"""PicoQuant MultiHarp 150/160, HydraHarp 400 and PicoHarp 330. Not verified on hardware."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from instruments.bases.recording import Fault
from instruments.picoquant_harps.library import (
    SOFT_ERROR,
    USB_FAULTS,
    HarpLib,
    HHLib,
    MHLib,
    PH330Lib,
)
from instruments.picoquant_timeharp260.board import TimeHarpBoard
from instruments.picoquant_timeharp260.driver import HarpTagger
from instruments.picoquant_timeharp260.inputs import Discriminator
from instruments.roles import RecordSink

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

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
