"""Simulated Agilent 81180A: stateful channel selection, waveform memory, sequences, error queue.

The error numbers are the standard SCPI ones: those of the instrument are not published.
"""

from functools import partial
from math import sqrt
from typing import ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from simulation.lab.clock import VirtualClock
from simulation.lab.instruments.keysight_memory import SegmentMemory
from simulation.lab.ports.drives import PhaseDrive, PhaseDrivePort, Trigger, Volts
from simulation.lab.servers.scpi_grammar import read_block
from simulation.lab.servers.scpi_values import (
    HERTZ,
    SECONDS,
    VOLTS,
    Integer,
    Number,
    ScpiError,
    Switch,
    Value,
    Word,
)
from simulation.lab.servers.simulated_scpi import Call, Held, SimulatedScpi

Coupling = Literal["DC", "AC", "DAC"]
RESET_SECONDS = 1.5
STANDARD_POINTS = 1024
VOLT = partial(Number, units=VOLTS, form=".6E")
GLOBAL = frozenset({"coupled", "couple_offset", "skew"})
"""Settings of the whole instrument; all others belong to the selected channel."""
_EIGHTS = frozenset({"trigger_delay", "timer_delay", "couple_offset"})
_SHAPES = ("SINusoid", "TRIangle", "SQUare", "RAMP", "SINC", "GAUSsian", "EXPonential", "DC")


class Simulated81180A(SimulatedScpi):
    """The generator behind a SCPI wire.

    Not simulated, and refused: reference clock and divider, modulation, pulse and
    advanced-sequence modes, combined segment downloads, marker and sync outputs (marker bits are
    kept).

    Parameters
    ----------
    ports : tuple of PhaseDrivePort
        What channels 1 and 2 drive.
    clock : VirtualClock, optional
        On which resets take their time.
    model : {"A", "B"}
    memory_points : int
        Of each channel.
    """

    channels = (1, 2)
    error_depth = 30
    settings: ClassVar[tuple[Held, ...]] = (
        Held("INSTrument:COUPle:STATe", "coupled", Switch(), False),
        Held("INSTrument:COUPle:OFFSet", "couple_offset", Integer(low=0, high=8e6), 0),
        Held("INSTrument:COUPle:SKEW", "skew", VOLT(low=-3e-9, high=3e-9, units=SECONDS), 0.0),
        Held("INITiate:CONTinuous[:STATe]", "continuous", Switch(), True),
        Held("INITiate:CONTinuous:ENABle", "enable", Word(("SELF", "ARMed")), "SELF"),
        Held("INITiate:GATE", "gate", Switch(), False),
        Held(
            "TRIGger:SOURce[:ADVance]",
            "trigger",
            Word(("EXTernal", "BUS", "TIMer", "EVENt")),
            "EXT",
        ),
        Held("TRIGger:LEVel", "trigger_level", VOLT(low=-5, high=5), 1.6),
        Held("TRIGger:SLOPe", "slope", Word(("POSitive", "NEGative", "EITHer")), "POS"),
        Held("TRIGger:COUNt", "count", Integer(low=1, high=1_048_576), 1),
        Held("TRIGger:DELay", "trigger_delay", Integer(low=0, high=8e6), 0),
        Held("TRIGger:MODE", "trigger_mode", Word(("NORMal", "OVERride")), "NORM"),
        Held("TRIGger:TIMer:TIME", "timer", VOLT(low=1e-7, high=20, units=SECONDS), 15e-6),
        Held("TRIGger:TIMer:DELay", "timer_delay", Integer(low=152, high=8e6), 152),
        Held(
            "FREQuency:RASTer", "raster", Number(low=1e7, high=4.2e9, units=HERTZ, form=".7E"), 1e9
        ),
        Held("FREQuency:RASTer:SOURce", "raster_source", Word(("INTernal", "EXTernal")), "INT"),
        Held("FREQuency[:CW]", "frequency", Number(low=1e-2, high=250e6, units=HERTZ), 1e6),
        Held(
            "FUNCtion:MODE",
            "mode",
            Word(("FIXed", "USER", "SEQuence", "ASEQuence", "MODulation", "PULSe")),
            "FIX",
        ),
        Held("FUNCtion:SHAPe", "shape", Word(_SHAPES), "SIN"),
        Held("OUTPut[:STATe]", "output", Switch(), False),
        Held("OUTPut:COUPling", "coupling", Word(("DC", "DAC", "AC")), "DC"),
        Held("VOLTage[:LEVel][:AMPLitude]", "amplitude", VOLT(low=0.05, high=2), 0.5),
        Held("VOLTage:DAC", "dac_amplitude", VOLT(low=0.05, high=0.5), 0.5),
        Held("VOLTage:OFFSet", "offset", VOLT(low=-1.5, high=1.5), 0.0),
        Held("POWer", "power", Number(low=-5, high=5, units={"": 1.0, "dbm": 1.0}), 0.0),
        Held("SEQuence:ADVance", "advance", Word(("AUTO", "ONCE", "STEP")), "AUTO"),
        Held("SEQuence:SELect", "sequence", Integer(low=1, high=1000), 1),
    )

    def __init__(
        self,
        ports: tuple[PhaseDrivePort, PhaseDrivePort] | None = None,
        clock: VirtualClock | None = None,
        *,
        model: Literal["A", "B"] = "A",
        memory_points: int = 16_000_000,
    ) -> None:
        self.ports = ports or (PhaseDrivePort(), PhaseDrivePort())
        self.clock = clock or VirtualClock()
        self.selected = 1
        self.hung = False
        self.memories = {n: SegmentMemory(model=model, points=memory_points) for n in self.channels}
        serial = {"A": "IL50280120,1.64", "B": "IL53C00110,3.10"}[model]
        super().__init__(f"Agilent Technologies,81180{model},{serial}")
        self._register_memory()
        self.on("INSTrument[:SELect]", set=self._select, get=lambda _: f"CH{self.selected}")
        self.on("*RST", set=lambda _: self._reset())
        for pattern in ("ABORt", "ENABle", "TRIGger[:IMMediate]", "*TRG"):
            self.on(pattern, set=lambda call: call.expect(0))
        self.on("*SRE#", set=lambda call: self.enable_service(call.channel))  # as the guide has it

    def channels_of(self, setting: Held) -> tuple[int, ...]:
        """Return the channels that have this setting; 0 stands for the whole instrument."""
        return (0,) if setting.name in GLOBAL else self.channels

    def channel_of(self, setting: Held, call: Call) -> int:
        """Return the selected channel, unless the setting is that of the whole instrument."""
        return 0 if setting.name in GLOBAL else self.selected

    def check(self, name: str, suffixes: tuple[int, ...], value: Value) -> Value:
        """Refuse delays that are no multiple of 8 points and modes that cannot run."""
        if name in _EIGHTS and int(value) % 8:
            raise ScpiError(-222)
        if name == "mode" and value == "SEQ" and not self._memory.can_play(self._sequence()):
            raise ScpiError(-221)
        return value

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Publish."""
        self._publish()

    def power_on(self) -> None:
        """Take the default setup; waveform memory is empty after power-on only."""
        super().power_on()
        self.selected = 1
        self._publish()

    def block_interrupted(self) -> None:
        """Hang: a download that broke off leaves the interface dead until the power is cycled."""
        self.hung = True

    def cycle_power(self) -> None:
        """Switch off and on."""
        with self.lock:
            self.hung = False
            self.errors.clear()
            for memory in self.memories.values():
                memory.clear()
            self.power_on()

    def execute(self, message: bytes) -> bytes | None:
        """Execute a message, unless the interface hangs."""
        return None if self.hung else super().execute(message)

    # --- memory ---------------------------------------------------------------------------------

    @property
    def _memory(self) -> SegmentMemory:
        return self.memories[self.selected]

    def _sequence(self, channel: int | None = None) -> int:
        return int(self.number("sequence", channel or self.selected))

    def _register_memory(self) -> None:
        segment = Integer(low=1, high=32_000)
        self.on("TRACe:DEFine", set=self._define)
        self.on(
            "TRACe:SELect",
            set=lambda call: self._memory.select(int(cast("float", call.argument(segment)))),
            get=lambda _: str(self._memory.selected),
        )
        self.on("TRACe[:DATA]", set=self._download)
        self.on("TRACe:POINts", get=lambda _: str(self._memory.selected_points()))
        self.on("TRACe:DELete", set=self._delete_segment)
        self.on("TRACe:DELete:ALL", set=lambda _: self._forget_all())
        self.on("SEQuence:DEFine", set=self._define_step)
        self.on("SEQuence:LENGth", get=lambda _: str(self._memory.length(self._sequence())))
        self.on("SEQuence:DELete", set=lambda _: self._memory.delete_sequence(self._sequence()))
        self.on("SEQuence:DELete:ALL", set=lambda _: self._memory.sequences.clear())

    def _select(self, call: Call) -> None:
        channel = {"CH1": 1, "1": 1, "CH2": 2, "2": 2}.get(call.word())
        if channel is None:
            raise ScpiError(-224)
        self.selected = channel

    def _define(self, call: Call) -> None:
        number = call.argument(Integer(low=1, high=32_000))
        points = call.argument(Integer(low=1), 1)
        self._memory.define(int(float(number)), int(float(points)))

    def _download(self, call: Call) -> None:
        data = read_block(call.arguments[0]) if call.arguments else None
        if data is None:
            raise ScpiError(-161)
        self._memory.store(data)
        self._publish()

    def _delete_segment(self, call: Call) -> None:
        self._memory.delete(int(float(call.argument(Integer(low=1, high=32_000)))))
        self._publish()

    def _forget_all(self) -> None:
        self._memory.delete_all()
        self._publish()

    def _define_step(self, call: Call) -> None:
        numbers = [int(float(call.argument(Integer(low=0), index))) for index in range(4)]
        self._memory.define_step(self._sequence(), numbers[0], numbers[1], numbers[2])
        self._publish()

    def _reset(self) -> None:
        self.power_on()
        self.clock.advance(RESET_SECONDS)

    # --- the world ------------------------------------------------------------------------------

    def _publish(self) -> None:
        for channel, port in zip(self.channels, self.ports, strict=True):
            port.drive = self._drive(channel) if self.value("output", channel) else None

    def _drive(self, channel: int) -> PhaseDrive | None:
        steps = self._steps(channel)
        if not steps:
            return None
        clock = 1 if self.value("coupled") else channel
        rate = self.number("raster", clock)
        if self.value("mode", channel) == "FIX":
            rate = STANDARD_POINTS * self.number("frequency", channel)
        return PhaseDrive(
            steps=steps,
            sample_rate=rate,
            coupling=cast("Coupling", self.value("coupling", channel)),
            trigger=self._trigger(channel),
            delay=self.number("trigger_delay", channel) / rate,
        )

    def _steps(self, channel: int) -> tuple[tuple[Volts, int], ...]:
        memory, mode = self.memories[channel], self.value("mode", channel)
        if mode == "USER" and (unit := memory.unit(memory.selected)) is not None:
            return ((self._volts(channel, unit), 1),)
        if mode == "SEQ":
            played = memory.steps(self._sequence(channel))
            volts = {
                segment: self._volts(channel, unit)
                for segment in {segment for segment, _ in played}
                if (unit := memory.unit(segment)) is not None
            }
            if all(segment in volts for segment, _ in played):
                return tuple((volts[segment], loops) for segment, loops in played)
        if mode == "FIX":
            return ((self._volts(channel, _standard(str(self.value("shape", channel)))), 1),)
        return ()

    def _volts(self, channel: int, unit: NDArray[np.float64]) -> Volts:
        coupling = self.value("coupling", channel)
        if coupling == "AC":
            span = sqrt(0.4 * 10 ** (self.number("power", channel) / 10))
            without_mean: Volts = unit - unit.mean()
            return span / 2 * without_mean
        span = self.number("dac_amplitude" if coupling == "DAC" else "amplitude", channel)
        return span / 2 * unit + self.number("offset", channel)

    def _trigger(self, channel: int) -> Trigger:
        if self.value("continuous", channel):
            return "internal"
        source = self.value("trigger", channel)
        return {"EXT": "external", "TIM": "internal"}.get(str(source), "none")  # type: ignore[return-value]  # values are Triggers


def _standard(shape: str) -> NDArray[np.float64]:
    """Return one period of a standard waveform between −1 and 1."""
    turn = np.arange(STANDARD_POINTS) / STANDARD_POINTS
    match shape:
        case "SQU":
            return np.where(turn < 0.5, 1.0, -1.0)
        case "TRI":
            return 1 - 4 * np.abs(turn - 0.5)
        case "RAMP":
            return 2 * turn - 1
        case "DC":
            return np.zeros(STANDARD_POINTS)
        case _:
            return np.sin(2 * np.pi * turn)
