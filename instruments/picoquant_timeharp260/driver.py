"""PicoQuant TimeHarp 260 time tagger, NANO and PICO, through TH260Lib. Not verified on hardware."""

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from qcodes.validators import Numbers

from instruments.bases.parameters import Declared, add_parameters, whole_steps
from instruments.picoquant_timeharp260.board import TimeHarpBoard
from instruments.picoquant_timeharp260.inputs import DURATION_STEP, RECORD_TYPES, TimeHarpTagger
from instruments.picoquant_timeharp260.library import (
    MODES,
    WARNINGS,
    TH260Error,
    TH260Lib,
)
from instruments.roles import RecordSink, TaggerFormat

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

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
