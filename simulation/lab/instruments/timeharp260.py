"""A simulated TimeHarp 260 behind the functions of TH260Lib, filling the caller's ctypes memory."""

import ctypes
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.instruments.timeharp260_board import RULES, Rule, State, TimeHarpModel
from simulation.lab.ports.tagger import TaggerPort, TaggerSettings, TriggerInput

OPEN_FAIL, NOT_OPEN, LOCKED, RUNNING = -1, -10, -11, -16
INVALID_ARGUMENT, INVALID_MODE, NOT_INITIALIZED, UNSUPPORTED = -17, -18, -22, -80
DMA_FAIL = -24
MIN_READ, MAX_READ = 128, 131_072
LONGEST_MS = 100 * 3600 * 1000
FIFO_FULL, SYNC_LOST, EVENTS_DROPPED = 2, 4, 8
"""Bits of ``GetFlags``."""


class RefusedError(Exception):
    """A function refuses with an error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class SimulatedTH260Lib:
    """The functions ``TH260_…`` with one board at index 0.

    Error codes for calls in the wrong order, arguments out of range and functions that the model
    lacks are the vendor's. From StartMeas to StopMeas, also after the measuring time has passed,
    settings and another start are refused: the manual forbids them, and what a board then does is
    not known. Times are virtual; records, rates and flags come from the port.

    Parameters
    ----------
    port : TaggerPort, optional
    board : TimeHarpModel, optional

    Attributes
    ----------
    settings : TaggerSettings
        As sent so far.
    faults : InstrumentFaults
        ``disconnect``: every call fails, as of a board that the computer has lost.
    """

    def __init__(self, port: TaggerPort | None = None, board: TimeHarpModel | None = None) -> None:
        self.port = port or TaggerPort()
        self.board = board or TimeHarpModel()
        self.faults = InstrumentFaults(lambda _: False)
        self._state: State = "closed"
        self._mode = 0
        self._is_measuring = False
        self._rates: dict[int | None, float] = {}
        self.settings = self._initial_settings()

    def __getattr__(self, name: str) -> Callable[..., int]:
        function = name.removeprefix("TH260_")
        if function not in RULES or function == name:
            message = f"TH260Lib has no function {name!r}, or the simulation does not know it"
            raise AttributeError(message)
        return partial(self._answer, function)

    def TH260_GetLibraryVersion(self, version: Any) -> int:
        """Tell the version whose behaviour is simulated."""
        version.value = b"3.2"
        return 0

    def _answer(self, function: str, device: int, *arguments: Any) -> int:
        """Let the method ``_<function>`` answer; return 0, or the error code of a refusal."""
        if self.faults.take("disconnect") is not None:
            return DMA_FAIL
        try:
            self._check(RULES[function], device)
            getattr(self, f"_{function}")(*arguments)
        except RefusedError as refused:
            return refused.code
        return 0

    def _check(self, rule: Rule, device: int) -> None:
        """Refuse a call that the board's state or model does not allow."""
        within(device, 0, 3)
        if rule.needs is None:
            return
        if rule.needs == "closed":
            if device != 0:
                raise RefusedError(OPEN_FAIL)
            return
        if device != 0 or self._state == "closed":
            raise RefusedError(NOT_OPEN)
        if rule.needs == "ready" and self._state != "ready":
            raise RefusedError(NOT_INITIALIZED)
        if rule.only not in {None, self.board.model}:
            raise RefusedError(UNSUPPORTED)
        if rule.sets and self._is_measuring:
            raise RefusedError(RUNNING)
        if rule.sets:
            self._rates.clear()

    def _OpenDevice(self, serial: Any) -> None:
        if self._state != "closed":
            raise RefusedError(LOCKED)
        self._state = "open"
        serial.value = self.board.serial.encode()

    def _CloseDevice(self) -> None:
        self._StopMeas()
        self._state = "closed"

    def _Initialize(self, mode: int) -> None:
        if mode not in {0, 2, 3}:
            raise RefusedError(INVALID_MODE)
        self._StopMeas()
        self._rates.clear()
        self._mode = mode
        self._state = "ready"
        self.settings = self._initial_settings()

    def _GetHardwareInfo(self, model: Any, part: Any, version: Any) -> None:
        model.value = self.board.model.encode()
        part.value = self.board.part.encode()
        version.value = self.board.version.encode()

    def _GetFeatures(self, features: Any) -> None:
        features[0] = int(self.board.features)

    def _GetBaseResolution(self, picoseconds: Any, steps: Any) -> None:
        picoseconds[0] = self.board.base_resolution * 1e12
        steps[0] = 22

    def _GetNumOfInputChannels(self, number: Any) -> None:
        number[0] = len(self.settings.inputs)

    def _SetSyncDiv(self, divider: int) -> None:
        self.settings = replace(self.settings, sync_divider=within(divider, 1, 8))

    def _SetSyncEdgeTrg(self, level: int, edge: int) -> None:
        self._change_sync(level=_volts(level, 1200), rising=bool(within(edge, 0, 1)))

    def _SetSyncCFD(self, level: int, zero_crossing: int) -> None:
        within(zero_crossing, -40, 0)
        self._change_sync(level=_volts(level, 0), rising=False)

    def _SetSyncChannelOffset(self, picoseconds: int) -> None:
        self._change_sync(offset=within(picoseconds, -99_999, 99_999) * 1e-12)

    def _SetInputEdgeTrg(self, channel: int, level: int, edge: int) -> None:
        rising = bool(within(edge, 0, 1))
        self._change_input(channel, level=_volts(level, 1200), rising=rising)

    def _SetInputCFD(self, channel: int, level: int, zero_crossing: int) -> None:
        within(zero_crossing, -40, 0)
        self._change_input(channel, level=_volts(level, 0), rising=False)

    def _SetInputChannelOffset(self, channel: int, picoseconds: int) -> None:
        self._change_input(channel, offset=within(picoseconds, -99_999, 99_999) * 1e-12)

    def _SetInputChannelEnable(self, channel: int, enable: int) -> None:
        self._change_input(channel, enabled=bool(within(enable, 0, 1)))

    def _SetBinning(self, binning: int) -> None:
        self.settings = replace(self.settings, binning=within(binning, 0, 21))

    def _SetOffset(self, nanoseconds: int) -> None:
        start = within(nanoseconds, 0, 100_000_000) * 1e-9
        self.settings = replace(self.settings, t3_offset=start)

    def _SetMarkerEnable(self, *enable: int) -> None:
        for value in enable:
            within(value, 0, 1)

    def _StartMeas(self, milliseconds: int) -> None:
        self.port.start(self._effective(), within(milliseconds, 1, LONGEST_MS) * 1e-3)
        self._is_measuring = True

    def _StopMeas(self) -> None:
        self.port.stop()
        self._is_measuring = False

    def _CTCStatus(self, status: Any) -> None:
        status[0] = int(not self.port.running())

    def _GetResolution(self, picoseconds: Any) -> None:
        picoseconds[0] = self._bin() * 1e12

    def _GetSyncRate(self, rate: Any) -> None:
        self._rates[None] = self.port.rates(self._effective()).sync
        rate[0] = round(self._rates[None])

    def _GetCountRate(self, channel: int, rate: Any) -> None:
        within(channel, 0, len(self.settings.inputs) - 1)
        self._rates[channel] = self.port.rates(self._effective()).inputs[channel]
        rate[0] = round(self._rates[channel])

    def _GetSyncPeriod(self, seconds: Any) -> None:
        rate = self.port.rates(self._effective()).sync
        seconds[0] = 1 / rate if rate else 0.0

    def _GetFlags(self, flags: Any) -> None:
        now = self.port.flags()
        raised = {
            FIFO_FULL: now.fifo_full,
            EVENTS_DROPPED: now.dropped_events,
            SYNC_LOST: now.sync_lost and self._mode == 3,
        }
        flags[0] = sum(flag for flag, is_up in raised.items() if is_up)

    def _GetElapsedMeasTime(self, milliseconds: Any) -> None:
        milliseconds[0] = self.port.elapsed() * 1e3

    def _GetWarnings(self, warnings: Any) -> None:
        """Judge by the rates that were read: valid only once all of them were."""
        sync = self._rates.get(None, 0.0)
        inputs = [self._rates.get(index, 0.0) for index in range(len(self.settings.inputs))]
        is_t3 = self._mode == 3
        found = {
            0x0001: sync < 0.5,
            0x0010: min(inputs) < 0.5,
            0x0100: is_t3 and max(inputs) > sync > 0,
            0x0200: self.settings.sync_divider > 1,
            0x0400: is_t3 and 0 < 32_768 * self._bin() * sync < 1,
        }
        warnings[0] = sum(bit for bit, holds in found.items() if holds)

    def _ReadFiFo(self, buffer: Any, count: int, actual: Any) -> None:
        if self._mode == 0:
            raise RefusedError(INVALID_MODE)
        if count % MIN_READ:
            raise RefusedError(INVALID_ARGUMENT)
        records = self.port.records(within(count, MIN_READ, MAX_READ))
        ctypes.memmove(buffer, records.ctypes.data, 4 * len(records))
        actual[0] = len(records)

    def _initial_settings(self) -> TaggerSettings:
        quiet = TriggerInput(level=0.0)
        return TaggerSettings(
            mode="T3" if self._mode == 3 else "T2",
            resolution=self.board.base_resolution,
            sync=quiet,
            inputs=(quiet, quiet),
        )

    def _effective(self) -> TaggerSettings:
        """Return what acts: T2 knows neither bins nor a window."""
        if self._mode == 3:
            return self.settings
        return replace(self.settings, binning=0, t3_offset=0.0)

    def _bin(self) -> float:
        return self.board.base_resolution * (1 << self._effective().binning)

    def _change_sync(self, **changes: Any) -> None:
        self.settings = replace(self.settings, sync=replace(self.settings.sync, **changes))

    def _change_input(self, channel: int, **changes: Any) -> None:
        inputs = list(self.settings.inputs)
        within(channel, 0, len(inputs) - 1)
        inputs[channel] = replace(inputs[channel], **changes)
        self.settings = replace(self.settings, inputs=tuple(inputs))


def within(value: int, low: int, high: int) -> int:
    """Return an argument; refuse one that is out of range."""
    if not low <= value <= high:
        raise RefusedError(INVALID_ARGUMENT)
    return value


def _volts(millivolts: int, highest: int) -> float:
    return within(millivolts, -1200, highest) * 1e-3
