"""Swabian Instruments Time Tagger (20, Ultra, X) as a source of tag files.

Needs the vendor's ``Swabian.TimeTagger`` (optional dependency). Not verified on hardware.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qcodes.instrument import InstrumentChannel
from qcodes.validators import Enum, Numbers

from instruments.bases.parameters import Declared, add_parameters, whole_steps
from instruments.bases.recording import RecordingTagger
from instruments.links.vendor_library import optional_package
from instruments.roles import RecordSink, TaggerFormat
from instruments.swabian.stream import RECORD_TYPE, SwabianStream

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

RATE_GATE_PS = 100_000_000_000
"""Picoseconds over which count rates are averaged."""

RATE_TIMEOUT_MS = 2000


class SwabianInput(InstrumentChannel["SwabianTimeTagger"]):
    """One input; a negative hardware channel counts falling edges.

    Parameters
    ----------
    parent : SwabianTimeTagger
    name : str
    hardware : int
        The vendor's channel number.
    """

    trigger_level = Declared[float](
        "trigger level",
        "V",
        get=lambda self: float(self.parent.device.getTriggerLevel(self.hardware)),
        vals=lambda self: Numbers(*self.parent.level_range(self.hardware)),
        doc="Discriminator level; reads back as rounded to the converter.",
    )
    trigger_edge = Declared[str](
        "trigger edge",
        get=lambda self: "rising" if self.hardware > 0 else "falling",
        vals=Enum("rising", "falling"),
        doc="Edge that counts: the sign of the hardware channel.",
    )
    offset = Declared[float](
        "time offset",
        "s",
        initial_cache_value=0.0,
        doc="Time added to what the input records, a multiple of 1 ps.",
    )

    def __init__(self, parent: "SwabianTimeTagger", name: str, hardware: int) -> None:
        super().__init__(parent, name)
        self.hardware = hardware
        self.is_set = False
        add_parameters(self)

    def apply(self) -> None:
        """Send all settings again, to a tagger that was opened anew."""
        if self.is_set:
            self._set_level(self.trigger_level.cache.get())
        self._set_offset(self.offset.cache.get())

    @trigger_level.setter
    def _set_level(self, level: float) -> None:
        self.parent.require_idle(self.trigger_level.full_name)
        self.parent.device.setTriggerLevel(self.hardware, level)
        self.is_set = True

    @trigger_edge.setter
    def _set_edge(self, edge: str) -> None:
        self.parent.require_idle(self.trigger_edge.full_name)
        self.hardware = abs(self.hardware) if edge == "rising" else -abs(self.hardware)
        self.apply()

    @offset.setter
    def _set_offset(self, offset: float) -> None:
        self.parent.require_idle(self.offset.full_name)
        picoseconds = whole_steps(offset, 1e-12, self.offset.full_name, "s")
        self.parent.device.setInputDelay(self.hardware, picoseconds)


class SwabianTimeTagger(RecordingTagger):
    """A Time Tagger whose stream of tags is recorded as T2 records with 1 ps ticks.

    Before the first recording the sync input and every detector input need a trigger level.

    Thread-safe: rates and `stop` may be used from any thread while a recording runs; settings are
    refused meanwhile.

    Parameters
    ----------
    name : str
    sync_channel : int
        Hardware channel of the trigger.
    input_channels : sequence of int
        Hardware channels of the detectors: inputs 0, 1, … of the tag file.
    serial : str, optional
        Which tagger; by default the first found.
    library : module or object, optional
        By default the installed ``Swabian.TimeTagger``.
    max_events : int, optional
        Size of the vendor's buffer between two reads.

    Raises
    ------
    ConnectionError
        If there is no such tagger.
    ValueError
        If a channel is used twice.
    """

    def __init__(
        self,
        name: str,
        sync_channel: int,
        input_channels: Sequence[int],
        serial: str = "",
        library: Any = None,
        max_events: int = 1_000_000,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        hardware = [sync_channel, *input_channels]
        if len(set(hardware)) < len(hardware) or 0 in hardware:
            message = f"{name}: channels must be different and not 0, but are {hardware}"
            raise ValueError(message)
        if library is None:
            library = optional_package("Swabian.TimeTagger", "pip install -e '.[swabian]'")
        super().__init__(name, **kwargs)
        self._library = library
        self._serial = serial
        self._max_events = max_events
        self._stream: SwabianStream | None = None
        self.device: Any = self._open()
        self.sync = SwabianInput(self, "sync", sync_channel)
        self.add_submodule("sync", self.sync)
        self.inputs = tuple(
            SwabianInput(self, f"input{index}", channel)
            for index, channel in enumerate(input_channels, start=1)
        )
        for submodule in self.inputs:
            self.add_submodule(submodule.short_name, submodule)
        self.connect_message()

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, model and serial number."""
        return {
            "vendor": "Swabian Instruments",
            "model": str(self.device.getModel()),
            "serial": str(self.device.getSerial()),
            "firmware": None,
        }

    def level_range(self, hardware: int) -> tuple[float, float]:
        """Return the lowest and highest trigger level of a hardware channel, V."""
        low, high = self.device.getTriggerLevelRange(hardware)
        return float(low), float(high)

    def count_rate(self, channel: int) -> float:
        """Return the clicks per second on input `channel`, from 0 as in the tag file."""
        self._require_input(channel, len(self.inputs))
        return self._rates()[1 + channel]

    def sync_rate(self) -> float:
        """Return the triggers per second."""
        return self._rates()[0]

    def record_format(self) -> TaggerFormat:
        """Describe the records that `start` will deliver."""
        sync_rate, *rates = self._rates()
        idn = self.get_idn()
        tags: list[tuple[str, object]] = [
            ("HW_Type", f"{idn['vendor']} {idn['model']}"),
            ("HW_SerialNo", idn["serial"]),
            ("HW_InpChannels", len(self.inputs)),
            ("HWSync_TrgLevel", round(1e3 * self.sync.trigger_level())),
            ("HWSync_TrgEdge", int(self.sync.hardware > 0)),
        ]
        for index, (channel, rate) in enumerate(zip(self.inputs, rates, strict=True)):
            tags += [
                (f"HWInpChan_TrgLevel[{index}]", round(1e3 * channel.trigger_level())),
                (f"HWInpChan_TrgEdge[{index}]", int(channel.hardware > 0)),
                (f"HWInpChan_Offset[{index}]", round(1e12 * channel.offset())),
                (f"TTResult_InputRate[{index}]", round(rate)),
            ]
        return TaggerFormat(
            record_type=RECORD_TYPE, resolution=1e-12, sync_rate=sync_rate, tags=tuple(tags)
        )

    def start(self, sink: RecordSink, duration: float) -> None:
        """Begin to record for `duration` seconds into `sink`.

        Raises
        ------
        ValueError
            If `duration` is not positive.
        RuntimeError
            If a recording is running, or trigger levels are missing.
        """
        if not 0 < duration < 9e6:
            message = f"{self.name}: `duration` must be above 0 and below 9e6 s, but is {duration}"
            raise ValueError(message)
        self.require_idle("start")
        inputs = (self.sync, *self.inputs)
        self._require_settings(
            [channel.trigger_level.full_name for channel in inputs if not channel.is_set]
        )
        self._stream = SwabianStream(
            self._library.TimeTagStream(self.device, self._max_events, self._hardware()),
            sync=self.sync.hardware,
            inputs=[channel.hardware for channel in self.inputs],
        )
        self.device.sync()
        self._stream.start(round(duration * 1e12))
        self._record(self._stream, sink)

    def elapsed(self) -> float:
        """Return the seconds that the present or last recording measured."""
        return 0.0 if self._stream is None else self._stream.elapsed()

    def safe_state(self) -> None:
        """Stop measuring at once; the threads finish writing by themselves."""
        self._let_end()
        if self._stream is not None:
            self._stream.stop()

    def reconnect(self) -> None:
        """Open the tagger again and restore all settings."""
        self._free()
        self.device = self._open()
        for channel in (self.sync, *self.inputs):
            channel.apply()

    def close(self) -> None:
        """Stop a recording, and give the tagger free."""
        if hasattr(self, "device"):
            self._free()
        super().close()

    def _hardware(self) -> list[int]:
        return [self.sync.hardware, *(channel.hardware for channel in self.inputs)]

    def _open(self) -> Any:
        try:
            return self._library.createTimeTagger(self._serial)
        except RuntimeError as error:
            present = ", ".join(self._library.scanTimeTagger()) or "none"
            message = (
                f"{self.name}: Time Tagger {self._serial or '(any)'} must be connected and not in "
                f"use, but could not be opened ({error}); those found are: {present}"
            )
            raise ConnectionError(message) from error

    def _free(self) -> None:
        self._end_recording()
        self._library.freeTimeTagger(self.device)

    def _rates(self) -> list[float]:
        """Measure the rates of sync and inputs."""
        counter = self._library.Countrate(self.device, self._hardware())
        counter.startFor(RATE_GATE_PS)
        if not counter.waitUntilFinished(RATE_TIMEOUT_MS):
            message = (
                f"{self.name}: rates must be measured within {RATE_TIMEOUT_MS} ms, but are not; "
                "check the link to the tagger"
            )
            raise TimeoutError(message)
        return [float(rate) for rate in counter.getData()]
