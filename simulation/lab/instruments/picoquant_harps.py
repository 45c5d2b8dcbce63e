"""Simulated MultiHarp 150, HydraHarp 400 and PicoHarp 330 behind their libraries' functions."""

import ctypes
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from simulation.lab.instruments.timeharp260 import RefusedError, SimulatedTH260Lib, within
from simulation.lab.instruments.timeharp260_board import RULES, Rule, TimeHarpModel
from simulation.lab.ports.tagger import TaggerPort, TriggerInput

FIFO_FULL, SYNC_LOST, ACTIVE, DROPPED = 2, 4, 32, 64
"""Bits of ``GetFlags``: other ones than the TimeHarp's."""

LARGEST_BLOCK = 1_048_576
ERROR_NAMES = {-1: "DEVICE_OPEN_FAIL", -10: "DEVICE_NOT_OPEN", -17: "INVALID_ARGUMENT"}
MORE_RULES = RULES | {
    "Calibrate": Rule(),
    "SetSyncTrgMode": Rule(sets=True),
    "SetInputTrgMode": Rule(sets=True),
}


class SimulatedHarpLib(SimulatedTH260Lib):
    """Base of the libraries, with one device at index 0.

    Parameters
    ----------
    port : TaggerPort, optional
    """

    prefix: ClassVar[str]
    lacks: ClassVar[tuple[str, ...]] = ()
    model: ClassVar[TimeHarpModel]
    n_inputs: ClassVar[int] = 4
    edge_reach: ClassVar[int] = 1200
    largest_divider: ClassVar[int] = 16

    def __init__(self, port: TaggerPort | None = None) -> None:
        super().__init__(port, self.model)

    def __getattr__(self, name: str) -> Callable[..., int]:
        function = name.removeprefix(f"{self.prefix}_")
        if function == "GetLibraryVersion":
            return self._library_version
        if function == "GetErrorString":
            return self._error_string
        if function not in MORE_RULES or function == name or function in self.lacks:
            message = f"{self.prefix}Lib has no function {name!r}, or it is not simulated"
            raise AttributeError(message)
        return partial(self._answer_by, MORE_RULES[function], function)

    def _library_version(self, version: Any) -> int:
        version.value = b"3.0"
        return 0

    def _error_string(self, text: Any, code: int) -> int:
        text.value = f"{self.prefix}_ERROR_{ERROR_NAMES.get(code, 'OTHER')}".encode()
        return 0

    def _answer_by(self, rule: Rule, function: str, device: int, *arguments: Any) -> int:
        try:
            self._check(rule._replace(only=None), device)
            getattr(self, f"_{function}")(*arguments)
        except RefusedError as refused:
            return refused.code
        return 0

    def _SetSyncDiv(self, divider: int) -> None:
        within(divider, 1, self.largest_divider)
        self.settings = replace(self.settings, sync_divider=divider)

    def _SetSyncEdgeTrg(self, level: int, edge: int) -> None:
        within(level, -self.edge_reach, self.edge_reach)
        self._change_sync(level=level * 1e-3, rising=bool(within(edge, 0, 1)))

    def _SetInputEdgeTrg(self, channel: int, level: int, edge: int) -> None:
        within(level, -self.edge_reach, self.edge_reach)
        rising = bool(within(edge, 0, 1))
        self._change_input(channel, level=level * 1e-3, rising=rising)

    def _GetFlags(self, flags: Any) -> None:
        now = self.port.flags()
        raised = {
            FIFO_FULL: now.fifo_full,
            SYNC_LOST: now.sync_lost and self._mode == 3,
            ACTIVE: self.port.running(),
            DROPPED: now.dropped_events,
        }
        flags[0] = sum(flag for flag, is_up in raised.items() if is_up)

    def _initial_settings(self) -> Any:
        quiet = TriggerInput(level=0.0)
        return replace(super()._initial_settings(), inputs=(quiet,) * self.n_inputs)

    def _fill(self, buffer: Any, actual: Any, limit: int) -> None:
        records = self.port.records(limit)
        ctypes.memmove(buffer, records.ctypes.data, 4 * len(records))
        actual[0] = len(records)


class SimulatedMHLib(SimulatedHarpLib):
    """MHLib: base resolution 5 ps, a fixed buffer to read into."""

    prefix = "MH"
    lacks = ("Calibrate", "SetSyncCFD", "SetInputCFD", "SetSyncTrgMode", "SetInputTrgMode")
    model = TimeHarpModel(model="MultiHarp 150 4N", base_resolution=5e-12, serial="1000001")

    def _Initialize(  # type: ignore[override]  # its own form
        self, mode: int, reference: int, white_rabbit: int
    ) -> None:
        within(reference, 0, 9)
        within(white_rabbit, 0, 1)
        super()._Initialize(mode)

    def _ReadFiFo(self, buffer: Any, actual: Any) -> None:  # type: ignore[override]  # its own form
        self._fill(buffer, actual, LARGEST_BLOCK)


class SimulatedHHLib(SimulatedHarpLib):
    """HHLib: base resolution 1 ps, constant-fraction inputs with positive levels."""

    prefix = "HH"
    lacks = ("SetSyncEdgeTrg", "SetInputEdgeTrg", "SetSyncTrgMode", "SetInputTrgMode")
    model = TimeHarpModel(model="HydraHarp 400", base_resolution=1e-12, serial="1000002")
    n_inputs = 2
    _calibrated = False

    def _Initialize(self, mode: int, reference: int) -> None:  # type: ignore[override]
        within(reference, 0, 1)
        self._calibrated = False
        super()._Initialize(mode)

    def _Calibrate(self) -> None:
        self._calibrated = True

    def _StartMeas(self, milliseconds: int) -> None:
        if not self._calibrated:
            raise RefusedError(-23)
        super()._StartMeas(milliseconds)

    def _SetSyncCFD(self, level: int, zero_crossing: int) -> None:
        within(zero_crossing, 0, 40)
        self._change_sync(level=within(level, 0, 1000) * 1e-3, rising=True)

    def _SetInputCFD(self, channel: int, level: int, zero_crossing: int) -> None:
        within(zero_crossing, 0, 40)
        self._change_input(channel, level=within(level, 0, 1000) * 1e-3, rising=True)

    def _SetOffset(self, nanoseconds: int) -> None:
        super()._SetOffset(within(nanoseconds, 0, 500_000))

    def _ReadFiFo(self, buffer: Any, count: int, actual: Any) -> None:
        within(count % 128, 0, 0)
        super()._ReadFiFo(buffer, count, actual)


class SimulatedPH330Lib(SimulatedHarpLib):
    """PH330Lib: inputs by edge once they are told so, ±1500 mV, a fixed buffer."""

    prefix = "PH330"
    lacks = ("Calibrate", "SetSyncCFD", "SetInputCFD")
    model = TimeHarpModel(model="PicoHarp 330", base_resolution=1e-12, serial="1000003")
    edge_reach = 1500
    largest_divider = 8

    def _Initialize(self, mode: int, reference: int) -> None:  # type: ignore[override]
        within(reference, 0, 3)
        super()._Initialize(mode)

    def _SetSyncTrgMode(self, mode: int) -> None:
        within(mode, 0, 1)

    def _SetInputTrgMode(self, channel: int, mode: int) -> None:
        within(channel, 0, self.n_inputs - 1)
        within(mode, 0, 1)

    def _ReadFiFo(self, buffer: Any, actual: Any) -> None:  # type: ignore[override]  # its own form
        self._fill(buffer, actual, LARGEST_BLOCK)
