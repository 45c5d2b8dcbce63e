"""PicoQuant TimeHarp 260 time tagger, NANO and PICO, through TH260Lib. Not verified on hardware."""

import time
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from qcodes.instrument import InstrumentChannel
from qcodes.validators import Bool, Enum, Ints, Numbers

from instruments.bases.parameters import Declared, add_parameters, whole_steps
from instruments.bases.recording import RecordingTagger
from instruments.picoquant_timeharp260.library import (
    EDGES,
    MAX_DURATION_MS,
    MODES,
    NANO,
    PICO,
    WARNINGS,
    TH260Error,
    TH260Lib,
    TimeHarpBoard,
)
from instruments.roles import RecordSink, TaggerFormat

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

DURATION_STEP = 1e-3
"""A recording lasts a whole number of these, s."""

MAX_OFFSET = 99_999e-12
"""Largest time offset of an input, s."""

RECORD_TYPES = {
    (NANO, "T2"): 0x00010205,
    (NANO, "T3"): 0x00010305,
    (PICO, "T2"): 0x00010206,
    (PICO, "T3"): 0x00010306,
}
"""``TTResultFormat_TTTRRecType`` by model and mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discriminator:
    """How the inputs of a model tell a pulse.

    Attributes
    ----------
    is_cfd : bool
        Constant fraction, with a zero-crossing level; else level and edge.
    levels, zero_crossings : (float, float)
        V.
    max_divider : int
        Of the sync input.
    """

    is_cfd: bool
    levels: tuple[float, float]
    zero_crossings: tuple[float, float] = (0.0, 0.0)
    max_divider: int = 8


DISCRIMINATORS = {
    NANO: Discriminator(is_cfd=False, levels=(-1.2, 1.2)),
    PICO: Discriminator(is_cfd=True, levels=(-1.2, 0.0), zero_crossings=(-40e-3, 0.0)),
}
"""By model of the TimeHarp 260."""


class TimeHarpTagger(RecordingTagger):
    """Base of the ways to drive a TimeHarp 260, and its relatives.

    Attributes
    ----------
    model : str
        The vendor's name of the model.
    sync : TimeHarpInput
    inputs : tuple of TimeHarpInput
    """

    model: str
    sync: "TimeHarpInput"
    inputs: tuple["TimeHarpInput", ...]

    @property
    def discriminator(self) -> Discriminator:
        """What its inputs are."""
        return DISCRIMINATORS[self.model]

    def _add_inputs(self, n_inputs: int) -> None:
        self.sync = TimeHarpInput(self, "sync", None)
        self.inputs = tuple(
            TimeHarpInput(self, f"input{index + 1}", index) for index in range(n_inputs)
        )
        for channel in (self.sync, *self.inputs):
            self.add_submodule(channel.short_name, channel)

    def _apply_inputs(self) -> None:
        """Send the settings of all inputs again."""
        for channel in (self.sync, *self.inputs):
            channel.apply()

    def _input_tags(self) -> list[tuple[str, object]]:
        """Return the settings of all inputs as tags of the vendor's dictionary."""
        return [tag for channel in (self.sync, *self.inputs) for tag in channel.header_tags()]

    def _prepare(self, duration: float) -> int:
        """Check that a recording may start; return its duration in ms."""
        milliseconds = whole_steps(duration, DURATION_STEP, "duration", "s")
        if not 1 <= milliseconds <= MAX_DURATION_MS:
            message = (
                f"{self.name}: `duration` must be 1 ms to {MAX_DURATION_MS / 1000:g} s, "
                f"but is {duration:g} s"
            )
            raise ValueError(message)
        self.require_idle("start")
        inputs = (self.sync, *self.inputs)
        self._require_settings([name for channel in inputs for name in channel.missing()])
        return milliseconds

    @abstractmethod
    def send(self, function: str, *values: int) -> None:
        """Call a setting function, named as in TH260Lib, of the board."""


class TimeHarpInput(InstrumentChannel[TimeHarpTagger]):
    """One input's discriminator.

    The library cannot be asked for these settings: the values shown are those last sent. Level
    and edge (NANO) or zero crossing (PICO) are one call, sent once both are known.

    Parameters
    ----------
    parent : TimeHarpTagger
    name : str
    channel : int or None
        Input as in the tag file, from 0; None for the sync input.
    """

    trigger_level = Declared[float](
        "trigger level",
        "V",
        vals=lambda self: Numbers(*self.kind.levels),
        doc="Discriminator level, a multiple of 1 mV; the device has no default.",
    )
    zero_crossing = Declared[float](
        "CFD zero-crossing level",
        "V",
        only=lambda self: self.kind.is_cfd,
        vals=lambda self: Numbers(*self.kind.zero_crossings),
        doc="Zero-crossing level of the constant-fraction discriminator.",
    )
    trigger_edge = Declared[str](
        "trigger edge",
        only=lambda self: not self.kind.is_cfd,
        vals=Enum(*EDGES),
        doc="Edge that counts. Of the TimeHarp 260 NANO library version 3.2 reversed its meaning "
        "against earlier ones: check with a known pulse after an update.",
    )
    offset = Declared[float](
        "time offset",
        "s",
        initial_cache_value=0.0,
        vals=Numbers(-MAX_OFFSET, MAX_OFFSET),
        doc="Time added to what the input records, a multiple of 1 ps.",
    )
    enabled = Declared[bool](
        "enabled",
        only=lambda self: self.channel is not None,
        initial_cache_value=True,
        vals=Bool(),
        doc="Whether the input's clicks are recorded.",
    )
    divider = Declared[int](
        "sync divider",
        only=lambda self: self.channel is None,
        initial_cache_value=1,
        vals=lambda self: Ints(1, self.kind.max_divider),
        doc="Only every n-th trigger is processed; 1 below 40 MHz, and always where each trigger "
        "is a trial.",
    )

    def __init__(self, parent: TimeHarpTagger, name: str, channel: int | None) -> None:
        super().__init__(parent, name)
        self.channel = channel
        self.kind = parent.discriminator
        self._level: int | None = None
        self._second: int | None = None
        add_parameters(self)

    def missing(self) -> list[str]:
        """Return the full names of the settings that must be made before recording.

        An input that is not enabled needs none.
        """
        if self.channel is not None and not self.enabled.cache.get():
            return []
        second = "zero_crossing" if self.kind.is_cfd else "trigger_edge"
        values = {"trigger_level": self._level, second: self._second}
        return [f"{self.full_name}.{name}" for name, value in values.items() if value is None]

    def apply(self) -> None:
        """Send all settings again, as after the device was initialised."""
        self._send_trigger()
        self._set_offset(self.offset.cache.get())
        if self.channel is None:
            self._set_divider(self.divider.cache.get())
        else:
            self._set_enabled(self.enabled.cache.get())

    def header_tags(self) -> list[tuple[str, object]]:
        """Return the settings as tags of the vendor's dictionary."""
        prefix, index = (
            ("HWSync", "") if self.channel is None else ("HWInpChan", f"[{self.channel}]")
        )
        level, second = (
            ("CFDLevel", "CFDZeroCross") if self.kind.is_cfd else ("TrgLevel", "TrgEdge")
        )
        offset = whole_steps(self.offset.cache.get(), 1e-12, self.offset.full_name, "s")
        tags: list[tuple[str, object]] = [(f"{prefix}_Offset{index}", offset)]
        if self._level is not None and self._second is not None:
            tags += [
                (f"{prefix}_{level}{index}", self._level),
                (f"{prefix}_{second}{index}", self._second),
            ]
        if self.channel is None:
            tags.append(("HWSync_Divider", self.divider.cache.get()))
        else:
            tags.append((f"HWInpChan_Enabled{index}", self.enabled.cache.get()))
        return tags

    @trigger_level.setter
    def _set_level(self, level: float) -> None:
        self._level = whole_steps(level, 1e-3, self.trigger_level.full_name, "V")
        self._send_trigger()

    @zero_crossing.setter
    def _set_zero_crossing(self, level: float) -> None:
        self._second = whole_steps(level, 1e-3, self.zero_crossing.full_name, "V")
        self._send_trigger()

    @trigger_edge.setter
    def _set_edge(self, edge: str) -> None:
        self._second = EDGES[edge]
        self._send_trigger()

    def _send_trigger(self) -> None:
        if self._level is not None and self._second is not None:
            kind = "CFD" if self.kind.is_cfd else "EdgeTrg"
            self._send(f"Set{{}}{kind}", self._level, self._second)

    @offset.setter
    def _set_offset(self, offset: float) -> None:
        steps = whole_steps(offset, 1e-12, self.offset.full_name, "s")
        self._send("Set{}ChannelOffset", steps)

    @enabled.setter
    def _set_enabled(self, enabled: bool) -> None:
        self._send("Set{}ChannelEnable", int(enabled))

    @divider.setter
    def _set_divider(self, divider: int) -> None:
        self._send("Set{}Div", divider)

    def _send(self, function: str, *values: int) -> None:
        if self.channel is None:
            self.parent.send(function.format("Sync"), *values)
        else:
            self.parent.send(function.format("Input"), self.channel, *values)


RATE_GATE = 0.15
"""Seconds after initialising or changing the divider until count rates are valid."""


class HarpTagger(TimeHarpTagger):
    """Base of PicoQuant's taggers behind a library of the vendor's, in time-tagging mode.

    Before the first recording the sync input and every input need a trigger level and edge (PICO:
    a zero-crossing level). Nothing but the mode is sent when connecting; markers are switched off.

    Thread-safe: settings, rates and `stop` may be used from any thread while a recording runs;
    settings are refused meanwhile.

    Parameters
    ----------
    name : str
    library : str or object
        ``installed`` (the vendor's library where its installer puts it), or its file name; see
        `TH260Lib.load`. Or an object with its functions.
    mode : {"T2", "T3"}
    serial : str, optional
        Which board, if there are several; by default the first that can be opened.

    Raises
    ------
    ConnectionError
        If there is no such board.
    RuntimeError
        If the board is of another model, or has no time-tagging option.
    """

    library_kind: ClassVar[type[TH260Lib]] = TH260Lib
    board_kind: ClassVar[type[TimeHarpBoard]] = TimeHarpBoard
    longest_window_start: ClassVar[float] = 0.1
    """s."""

    resolution = Declared[float](
        "T3 bin, T2 tick",
        "s",
        doc="T3: base resolution times a power of two. T2: base resolution, fixed.",
    )
    window_start = Declared[float](
        "start of the T3 window",
        "s",
        initial_cache_value=0.0,
        vals=lambda self: Numbers(0.0, self.longest_window_start),
        doc="Time after the sync at which T3 bin 0 begins, a multiple of 1 ns.",
    )

    def __init__(
        self,
        name: str,
        library: str | Any,
        mode: Literal["T2", "T3"],
        serial: str | None = None,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if mode not in MODES:
            message = f"{name}: `mode` must be T2 or T3, but is {mode!r}"
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self.mode = mode
        kind = self.library_kind
        self._library = kind.load(library) if isinstance(library, str) else kind(library)
        self._board = self.board_kind(self._library, mode, serial, self.name)
        self._rates_valid_at = time.monotonic() + RATE_GATE
        self.model = self._board.model
        self._add_inputs(self._board.n_inputs)
        self._binning = 0
        add_parameters(self)
        self.connect_message()

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, model, serial number and hardware version."""
        board = self._board
        return {
            "vendor": "PicoQuant",
            "model": board.model,
            "serial": board.serial,
            "firmware": board.version,
        }

    @abstractmethod
    def record_type(self) -> int:
        """Return ``TTResultFormat_TTTRRecType`` of model and mode."""

    def send(self, function: str, *values: int) -> None:
        """Call a setting function of the board.

        Raises
        ------
        RuntimeError
            If a recording is running.
        TH260Error
            If the library refuses.
        """
        self.require_idle(function)
        self._board.call(function, *values)
        if function == "SetSyncDiv":
            self._rates_valid_at = time.monotonic() + RATE_GATE

    def count_rate(self, channel: int) -> float:
        """Return the clicks per second on input `channel`, from 0 as in the tag file."""
        self._require_input(channel, len(self.inputs))
        self._wait_for_rates()
        return float(self._board.integer("GetCountRate", channel))

    def sync_rate(self) -> float:
        """Return the triggers per second."""
        self._wait_for_rates()
        return float(self._board.integer("GetSyncRate"))

    def warnings(self) -> tuple[str, ...]:
        """Return what the library finds wrong with the settings at the present rates."""
        self.sync_rate()
        for channel in range(len(self.inputs)):
            self.count_rate(channel)
        bits = self._board.integer("GetWarnings")
        return tuple(text for bit, text in WARNINGS.items() if bits & bit)

    def record_format(self) -> TaggerFormat:
        """Describe the records that `start` will deliver."""
        board = self._board
        tags: list[tuple[str, object]] = [
            ("HW_Type", board.model),
            ("HW_SerialNo", board.serial),
            ("HW_PartNo", board.part),
            ("HW_Version", board.version),
            ("HW_LibraryVersion", board.library_version),
            ("HW_BaseResolution", board.base_resolution),
            ("MeasDesc_BinningFactor", 1 << self._binning),
            ("MeasDesc_Offset", round(self.window_start.cache.get() * 1e9)),
            *((f"HWMarkers_Enabled[{index}]", False) for index in range(4)),
        ]
        tags += self._input_tags()
        for index in range(len(self.inputs)):
            tags.append((f"TTResult_InputRate[{index}]", round(self.count_rate(index))))
        return TaggerFormat(
            record_type=self.record_type(),
            resolution=self.resolution(),
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
            If a recording is running, or trigger settings are missing.
        """
        milliseconds = self._prepare(duration)
        self._board.call("StartMeas", milliseconds)
        self._record(self._board, sink)

    def elapsed(self) -> float:
        """Return the seconds that the present or last recording measured."""
        return self._board.number("GetElapsedMeasTime") * 1e-3

    def safe_state(self) -> None:
        """Stop measuring at once; the threads finish writing by themselves."""
        self._let_end()
        self._board.stop()

    def reconnect(self) -> None:
        """Open the board again, for instance after a fault, and restore all settings."""
        self._close_board()
        self._board = self.board_kind(self._library, self.mode, self._board.serial, self.name)
        self._rates_valid_at = time.monotonic() + RATE_GATE
        self.send("SetBinning", self._binning)
        self._set_window_start(self.window_start.cache.get())
        self._apply_inputs()

    def close(self) -> None:
        """Stop a recording, and give the board free."""
        if hasattr(self, "_board"):
            self._close_board()
        super().close()

    @resolution.getter
    def _get_resolution(self) -> float:
        return self._board.number("GetResolution") * 1e-12

    @resolution.setter
    def _set_resolution(self, resolution: float) -> None:
        base = self._board.base_resolution
        steps = 1 if self.mode == "T2" else self._board.n_binnings
        match = [n for n in range(steps) if abs(resolution / (base * 2**n) - 1) < 1e-9]
        if not match:
            rule = "" if self.mode == "T2" else f" times 2**n, n = 0 to {steps - 1},"
            message = (
                f"`{self.resolution.full_name}` must be {base:g} s{rule} in {self.mode}, "
                f"but is {resolution:g} s"
            )
            raise ValueError(message)
        self.send("SetBinning", match[0])
        self._binning = match[0]

    @window_start.setter
    def _set_window_start(self, start: float) -> None:
        self.send("SetOffset", whole_steps(start, 1e-9, self.window_start.full_name, "s"))

    def _wait_for_rates(self) -> None:
        time.sleep(max(0.0, self._rates_valid_at - time.monotonic()))

    def _close_board(self) -> None:
        self._end_recording()
        try:
            self._board.call("CloseDevice")
        except TH260Error as error:
            self.log.warning("closing: %s", error)


class PicoQuantTimeHarp260(HarpTagger):
    """A TimeHarp 260 board, NANO or PICO; see `HarpTagger`.

    The library is ``th260lib64.dll`` or ``libth260.so``.
    """

    def record_type(self) -> int:
        """Return ``TTResultFormat_TTTRRecType`` of model and mode."""
        return RECORD_TYPES[self.model, self.mode]
