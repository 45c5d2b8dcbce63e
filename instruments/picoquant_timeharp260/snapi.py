"""PicoQuant TimeHarp 260 through the vendor's Python package snAPI (optional dependency).

snAPI reports lost data in its log only, so that `events` stays empty: prefer
`instruments.picoquant_timeharp260.driver` where TH260Lib is licensed. Not verified on hardware.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from instruments.bases.recording import BlockReader, Fault
from instruments.links.vendor_library import optional_package
from instruments.picoquant_timeharp260.driver import DURATION_STEP, RECORD_TYPES, TimeHarpTagger
from instruments.picoquant_timeharp260.library import MODES, NANO
from instruments.roles import RecordSink, TaggerFormat

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

BLOCK_RECORDS = 1 << 24
"""Records that snAPI keeps between two reads; more than that are lost."""

FUNCTIONS = {
    "SetSyncDiv": "setSyncDiv",
    "SetSyncEdgeTrg": "setSyncEdgeTrig",
    "SetSyncChannelOffset": "setSyncChannelOffset",
    "SetInputEdgeTrg": "setInputEdgeTrig",
    "SetInputChannelOffset": "setInputChannelOffset",
    "SetInputChannelEnable": "setInputChannelEnable",
    "SetBinning": "setBinning",
}
"""snAPI's methods by the names of TH260Lib."""


class PicoQuantSnapi(TimeHarpTagger):
    """A TimeHarp 260 NANO behind snAPI.

    Before the first recording the sync input and every input need a trigger level and edge.

    Thread-safe: as far as snAPI is; a recording is read by one thread of its own.

    Parameters
    ----------
    name : str
    mode : {"T2", "T3"}
    serial : str, optional
        Which device; by default the first found.
    binning : int, optional
        T3 bins are the base resolution times 2**binning.
    library : module or object, optional
        By default the installed ``snAPI.Main``; an object needs ``snAPI`` and ``MeasMode``.

    Raises
    ------
    ConnectionError
        If there is no such device.
    RuntimeError
        If it is no TimeHarp 260 NANO, or refuses a setting.
    """

    def __init__(
        self,
        name: str,
        mode: Literal["T2", "T3"],
        serial: str = "",
        binning: int = 0,
        library: Any = None,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if mode not in MODES:
            message = f"{name}: `mode` must be T2 or T3, but is {mode!r}"
            raise ValueError(message)
        if library is None:
            library = optional_package("snAPI.Main", "pip install -e '.[snapi]' (mind its licence)")
        super().__init__(name, **kwargs)
        self.mode = mode
        self._library = library
        self._serial = serial
        self._binning = binning
        self._snapi = self._library.snAPI()
        self._open()
        self._add_inputs(int(self._config["NumChans"]))
        self.connect_message()

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, model, serial number and hardware version."""
        config = self._config
        return {
            "vendor": "PicoQuant",
            "model": str(config["Model"]),
            "serial": str(config["ID"]),
            "firmware": str(config["Version"]),
        }

    def send(self, function: str, *values: int) -> None:
        """Call a setting function, named as in TH260Lib.

        Raises
        ------
        RuntimeError
            If a recording is running, or snAPI refuses.
        """
        self.require_idle(function)
        method: Callable[..., bool] = getattr(self._snapi.device, FUNCTIONS[function])
        if not method(*values):
            message = f"{self.name}: {FUNCTIONS[function]}{values} was refused; see snAPI's log"
            raise RuntimeError(message)

    def count_rate(self, channel: int) -> float:
        """Return the clicks per second on input `channel`, from 0 as in the tag file."""
        self._require_input(channel, len(self.inputs))
        return float(self._snapi.device.getCountRates()[1 + channel])

    def sync_rate(self) -> float:
        """Return the triggers per second."""
        return float(self._snapi.device.getCountRates()[0])

    def record_format(self) -> TaggerFormat:
        """Describe the records that `start` will deliver."""
        config = self._config
        base = float(config["BaseResolution"]) * 1e-12
        factor = 1 << self._binning if self.mode == "T3" else 1
        tags: list[tuple[str, object]] = [
            ("HW_Type", self.model),
            ("HW_SerialNo", str(config["ID"])),
            ("HW_PartNo", str(config["PartNo"])),
            ("HW_Version", str(config["Version"])),
            ("HW_BaseResolution", base),
            ("MeasDesc_BinningFactor", factor),
        ]
        tags += self._input_tags()
        return TaggerFormat(
            record_type=RECORD_TYPES[self.model, self.mode],
            resolution=base * factor,
            sync_rate=self.sync_rate(),
            tags=tuple(tags),
            duration_step=DURATION_STEP,
        )

    def start(self, sink: RecordSink, duration: float) -> None:
        """Begin to record for `duration` seconds (a multiple of 1 ms) into `sink`.

        Raises
        ------
        ValueError
            If `duration` is not 1 ms to 100 h in whole ms.
        RuntimeError
            If a recording is running, trigger settings are missing, or snAPI refuses.
        """
        milliseconds = self._prepare(duration)
        if not self._snapi.raw.startBlock(milliseconds, BLOCK_RECORDS, False):
            message = f"{self.name}: the measurement was refused; see snAPI's log"
            raise RuntimeError(message)
        self._record(_SnapiReader(self._snapi.raw), sink)

    def elapsed(self) -> float:
        """Return the seconds that the last recording measured; valid once it has ended."""
        self._snapi.getMeasDescription()
        return float(self._snapi.measDescription["StopAfter"]) * 1e-3

    def safe_state(self) -> None:
        """Stop measuring at once; the threads finish writing by themselves."""
        self._let_end()
        self._snapi.raw.stopMeasure()

    def reconnect(self) -> None:
        """Open the device again and restore all settings."""
        self._end_recording()
        self._snapi.closeDevice(False)
        self._open()
        self._apply_inputs()

    def close(self) -> None:
        """Stop a recording, and give the device free."""
        if hasattr(self, "_config"):
            self._end_recording()
            self._snapi.closeDevice(False)
        super().close()

    def _open(self) -> None:
        chosen = (self._serial,) if self._serial else ()
        if not self._snapi.getDevice(*chosen):
            message = (
                f"{self.name}: device {self._serial or '(any)'} must be present and not in use, "
                "but could not be opened; see snAPI's log"
            )
            raise ConnectionError(message)
        if not self._snapi.initDevice(getattr(self._library.MeasMode, self.mode)):
            message = f"{self.name}: the device could not be initialised; see snAPI's log"
            raise ConnectionError(message)
        config: dict[str, Any] = self._snapi.deviceConfig
        self.model = str(config["Model"])
        if self.model != NANO:
            self._snapi.closeDevice(False)
            message = f"{self.name}: the device must be a {NANO}, but is {self.model!r}"
            raise RuntimeError(message)
        self._config = config
        if self.mode == "T3":
            self.send("SetBinning", self._binning)


class _SnapiReader(BlockReader):
    """The device's side of a recording: snAPI's raw blocks."""

    def __init__(self, raw: Any) -> None:
        super().__init__()
        self._raw = raw

    def faults(self) -> Sequence[Fault]:
        """Return nothing: snAPI tells only its log."""
        return ()

    def next_block(self) -> NDArray[np.uint32]:
        return np.array(self._raw.getBlock(), dtype=np.uint32)

    def ended(self) -> bool:
        return bool(self._raw.isFinished())

    def stop(self) -> None:
        self._raw.stopMeasure()
