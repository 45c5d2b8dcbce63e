"""Simulated Tektronix AFG3152C: coupled levels, declared load, bursts, edit memory, limits."""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import partial
from math import inf, pi
from typing import ClassVar

from simulation.lab.instruments.tektronix_afg3152c_modes import (
    FILES,
    MODES,
    NOISE,
    NOISE_SOURCES,
    OFF,
    SWEPT,
    swept,
)
from simulation.lab.instruments.tektronix_afg3152c_output import ChannelState, drive_of
from simulation.lab.instruments.tektronix_afg3152c_units import AmplitudeUnit
from simulation.lab.instruments.tektronix_memory import MAX_POINTS, USER, UserWaveforms
from simulation.lab.ports.drives import PulseDrivePort, Trigger
from simulation.lab.servers.scpi_grammar import make_block, read_block
from simulation.lab.servers.scpi_values import (
    HERTZ,
    OHMS,
    PERCENTS,
    RADIANS,
    SECONDS,
    VOLTS,
    Integer,
    Number,
    RawText,
    ScpiError,
    Switch,
    Value,
    Word,
)
from simulation.lab.servers.simulated_scpi import Call, Held, SimulatedScpi

TIME = partial(Number, units=SECONDS, form=".9E")
FREQUENCY = Number(low=1e-6, high=150e6, units=HERTZ, form=".11E")
PERCENT = Number(low=0.001, high=99.999, units=PERCENTS)
SYMMETRY = Number(low=0, high=100, units=PERCENTS)
CYCLES_PER_S = {"SIN": (1e-6, 150e6), "SQU": (1e-3, 75e6), "PULS": (1e-3, 75e6)}
IN_MEMORY, ANALYTIC = (1e-3, 75e6), (1e-6, 1.5e6)
"""Frequencies of waveforms in memory, and of the shapes not named above, Hz."""
FAST_MEMORY, SLOW_RATE = 16_384, 250e6
"""From so many points on a waveform is played at up to 250 MS/s only."""
MANY_VOLTS, HALF_WAY = 16.0, 100e6
"""At an open end above 100 MHz."""
EVERYWHERE = frozenset({"levels_coupled", "frequencies_coupled"})
"""Settings that both channels share although their header names one."""


@dataclass(slots=True)
class _Levels:
    """Levels of a channel at an open end (twice those at 50 Ω), V."""

    low: float = -1.0
    high: float = 1.0
    low_limit: float = -10.0
    high_limit: float = 10.0


class SimulatedAFG3152C(SimulatedScpi):
    """The generator behind a SCPI wire.

    Modulation, sweep and added noise keep their settings, but switching one of them on is refused;
    so are waveforms in files, ramps that are no sawtooth, MIN and MAX of levels, and VRMS and DBM
    of other shapes than sine, square, pulse and ramp. Whether the channels are coupled after
    power-on is not published; here they are not.

    Parameters
    ----------
    ports : tuple of PulseDrivePort
        What channels 1 and 2 drive.
    trigger_latency : float
        From trigger input to output at zero delay, s.
    serial : str
    """

    channels = (1, 2)
    settings: ClassVar[tuple[Held, ...]] = (
        Held("OUTPut#[:STATe]", "output", Switch(), False),
        Held("OUTPut#:POLarity", "polarity", Word(("NORMal", "INVerted")), "NORM"),
        Held("OUTPut#:IMPedance", "load", Number(low=1, high=1e4, units=OHMS, infinity=True), 50.0),
        Held(
            "[SOURce#]:FUNCtion[:SHAPe]",
            "shape",
            Word(
                (
                    *("SINusoid", "SQUare", "PULSe", "RAMP", "PRNoise", "DC", "SINC", "GAUSsian"),
                    *("LORentz", "ERISe", "EDECay", "HAVersine", *USER, "EMEMory", "EMEMory2"),
                ),
                aliases={"USER": "USER1", "EMEM1": "EMEM", "EMEMORY1": "EMEM"},
            ),
            "SIN",
        ),
        Held("[SOURce#]:FREQuency:MODE", "frequency_mode", Word(("CW", "FIXed", "SWEep")), "CW"),
        Held("[SOURce#]:FUNCtion:RAMP:SYMMetry", "symmetry", SYMMETRY, 100.0),
        Held("[SOURce#]:FREQuency:CONCurrent[:STATe]", "frequencies_coupled", Switch(), False),
        Held("[SOURce#]:VOLTage:CONCurrent[:STATe]", "levels_coupled", Switch(), False),
        Held("SOURce:ROSCillator:SOURce", "reference", Word(("INTernal", "EXTernal")), "INT"),
        Held("[SOURce#]:PULSe:DCYCle", "duty", PERCENT, 50.0),
        Held("[SOURce#]:FREQuency[:FIXed]", "frequency", FREQUENCY, 1e6),
        Held("[SOURce#]:FREQuency:CW", "frequency", FREQUENCY, 1e6),
        Held("[SOURce#]:PHASe[:ADJust]", "phase", Number(low=-pi, high=pi, units=RADIANS), 0.0),
        Held("[SOURce#]:VOLTage:UNIT", "unit", Word(("VPP", "VRMS", "DBM")), "VPP"),
        Held("[SOURce#]:BURSt[:STATe]", "burst", Switch(), False),
        Held("[SOURce#]:BURSt:MODE", "burst_mode", Word(("TRIGgered", "GATed")), "TRIG"),
        Held("[SOURce#]:BURSt:NCYCles", "cycles", Integer(low=1, high=1_000_000, infinity=True), 5),
        Held("[SOURce#]:BURSt:TDELay", "burst_delay", TIME(low=0, high=85), 0.0),
        Held("[SOURce#]:PULSe:PERiod", "period", TIME(low=1 / 75e6, high=1e3), 1e-6),
        Held("[SOURce#]:PULSe:WIDTh", "width", TIME(low=5e-9, high=999.99), 0.5e-6),
        Held("[SOURce#]:PULSe:DELay", "pulse_delay", TIME(low=0, high=1e6), 0.0),
        Held("[SOURce#]:PULSe:HOLD", "hold", Word(("WIDTh", "DUTY")), "WIDT"),
        Held("[SOURce#]:PULSe:TRANsition[:LEADing]", "lead", TIME(low=0, high=625), 5e-9),
        Held("[SOURce#]:PULSe:TRANsition:TRAiling", "trail", TIME(low=0, high=625), 5e-9),
        Held("OUTPut:TRIGger:MODE", "trigger_out", Word(("TRIGger", "SYNC")), "TRIG"),
        Held("SYSTem:KLOCk[:STATe]", "keys_locked", Switch(), False),
        Held("TRIGger[:SEQuence]:SOURce", "trigger", Word(("TIMer", "EXTernal")), "TIM"),
        Held("TRIGger[:SEQuence]:TIMer", "timer", TIME(low=1e-6, high=500), 1e-3),
        Held("TRIGger[:SEQuence]:SLOPe", "slope", Word(("POSitive", "NEGative")), "POS"),
        *MODES,
    )

    def __init__(
        self,
        ports: tuple[PulseDrivePort, PulseDrivePort] | None = None,
        *,
        trigger_latency: float = 0.0,
        serial: str = "C010001",
    ) -> None:
        self.ports = ports or (PulseDrivePort(), PulseDrivePort())
        self.trigger_latency = trigger_latency
        self.levels: dict[int, _Levels] = {}
        self.memory = UserWaveforms()
        self._saved: dict[int, tuple[dict[Hashable, Value], dict[int, _Levels]]] = {}
        super().__init__(f"TEKTRONIX,AFG3152C,{serial},SCPI:99.0 FV:1.0.1")
        self._register_levels()
        self._register_memory()
        for pattern in (
            *("*TRG", "TRIGger[:SEQuence][:IMMediate]", "[SOURce#]:PHASe:INITiate"),
            *("ABORt", "SYSTem:BEEPer[:IMMediate]"),
        ):
            self.on(pattern, set=lambda call: call.expect(0))
        self.on("*SAV", set=self._save)
        self.on("*RCL", set=self._recall)
        self.on("AFGControl:CSCopy", set=self._copy_channel)
        self.on("SYSTem:VERSion", get=lambda _: "1999.0")

    def channels_of(self, setting: Held) -> tuple[int, ...]:
        """Return the channels that have this setting; 0 stands for the whole instrument."""
        if setting.name == NOISE:
            return NOISE_SOURCES
        return (0,) if setting.name in EVERYWHERE else super().channels_of(setting)

    def channel_of(self, setting: Held, call: Call) -> int:
        """Return the channel that a call acts on."""
        if setting.name not in EVERYWHERE:
            return super().channel_of(setting, call)
        self._channel(call)
        return 0

    def power_on(self) -> None:
        """Take the default setup; waveforms stay in memory."""
        super().power_on()
        self.levels = {channel: _Levels() for channel in self.channels}
        self._publish()

    def check(self, name: str, suffixes: tuple[int, ...], value: Value) -> Value:
        """Keep the bounds between width, edges and period, and of each shape; round delays."""
        if name in ("width", "lead", "trail", "period"):
            self._check_pulse(suffixes[0], self._with_period(suffixes[0], name, float(value)))
        if name == "duty":
            width = float(value) / 100 * self.number("period", suffixes[0])
            self._check_pulse(suffixes[0], {"width": width})
            return round(float(value), 3)
        wrong_ramp = name == "symmetry" and value != SYMMETRY.high
        if (name in OFF and value) or (name, value) == ("frequency_mode", "SWE") or wrong_ramp:
            raise ScpiError(-221)
        if (name in FILES or name == "added") and value:
            raise ScpiError(-224)
        if name == "frequency":
            self._check_frequency(suffixes[0], float(value))
        if name == "burst_delay":
            step = 1e-10 if float(value) < 1e-5 else 1e-5 * float(value)
            return round(float(value) / step) * step
        return value

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Couple what depends on each other, in the channel and between the channels; publish."""
        channel = suffixes[0] if suffixes else 0
        self._couple(name, channel)
        self._publish()

    def _couple(self, name: str, channel: int) -> None:
        match name:
            case "period":
                self._take_frequency(channel, 1 / self.number("period", channel))
            case "frequency":
                self._take_frequency(channel, self.number("frequency", channel))
            case "duty":
                width = self.number("duty", channel) / 100 * self.number("period", channel)
                self.values["width", channel] = width
            case "width":
                self._note_duty(channel)
            case "shape":
                low, high = self._frequencies(channel)
                inside = min(max(self.number("frequency", channel), low), high)
                self._take_frequency(channel, inside)
                self._narrow(channel)
            case "levels_coupled" if self.value(name):
                self._copy_levels(channel)
            case "frequencies_coupled" if self.value(name):
                self._take_frequency(channel, self.number("frequency", channel))
            case _ if name in SWEPT:
                self._take_sweep(name, channel)

    def _take_sweep(self, name: str, channel: int) -> None:
        now = {each: self.number(each, channel) for each in SWEPT}
        for each, hertz in swept(name, now).items():
            self.values[each, channel] = hertz

    def _save(self, call: Call) -> None:
        levels = {channel: replace(each) for channel, each in self.levels.items()}
        self._saved[self._place(call)] = (dict(self.values), levels)

    def _recall(self, call: Call) -> None:
        place = self._place(call)
        if place not in self._saved:
            raise ScpiError(-224)
        values, levels = self._saved[place]
        self.values |= values
        self.levels = {channel: replace(each) for channel, each in levels.items()}
        self._publish()

    @staticmethod
    def _place(call: Call) -> int:
        """Return a place for settings; 0, those when the power went off, is not simulated."""
        call.expect(1)
        return int(float(call.argument(Integer(low=1, high=4))))

    def _copy_channel(self, call: Call) -> None:
        """Copy the settings of one channel to the other; outputs stay on or off."""
        source, target = ({"CH1": 1, "CH2": 2}.get(call.word(index)) for index in (0, 1))
        if source is None or target is None:
            raise ScpiError(-224)
        for setting in self.settings:
            if (setting.name, target) in self.values and setting.name != "output":
                self.values[setting.name, target] = self.values[setting.name, source]
        self.levels[target] = replace(self.levels[source])
        self._publish()

    def _take_frequency(self, channel: int, hertz: float) -> None:
        """Set frequency and period of a channel, and of the other one if they are coupled."""
        for each in self.channels if self.value("frequencies_coupled") else (channel,):
            self.values["frequency", each] = hertz
            self.values["period", each] = 1 / hertz
            if self.value("hold", each) == "DUTY":
                self.values["width", each] = self.number("duty", each) / 100 / hertz
            self._note_duty(each)

    def _narrow(self, channel: int) -> None:
        """Let a pulse fit its period."""
        if self.value("shape", channel) != "PULS":
            return
        edges = self.number("lead", channel) + self.number("trail", channel)
        longest = self.number("period", channel) - 0.8 * edges
        self.values["width", channel] = min(self.number("width", channel), max(longest, 5e-9))
        self._note_duty(channel)

    def _note_duty(self, channel: int) -> None:
        share = self.number("width", channel) / self.number("period", channel)
        self.values["duty", channel] = 100 * share

    def _with_period(self, channel: int, name: str, value: float) -> dict[str, float]:
        """Return a new time of the pulse, and the width that a new period brings with it."""
        if name == "period" and self.value("hold", channel) == "DUTY":
            return {name: value, "width": self.number("duty", channel) / 100 * value}
        return {name: value}

    def _frequencies(self, channel: int) -> tuple[float, float]:
        shape = str(self.value("shape", channel))
        codes = self.memory.played(shape)
        if codes is None:
            return CYCLES_PER_S.get(shape, ANALYTIC)
        low, high = IN_MEMORY
        return low, high if len(codes) < FAST_MEMORY else SLOW_RATE / len(codes)

    def _check_frequency(self, channel: int, hertz: float) -> None:
        low, high = self._frequencies(channel)
        levels = self.levels[channel]
        too_high = hertz > HALF_WAY and levels.high - levels.low > MANY_VOLTS + 1e-9
        if not low <= hertz <= high * (1 + 1e-9) or too_high:
            raise ScpiError(-222)
        if self.value("shape", channel) == "PULS":
            new = self._with_period(channel, "period", 1 / hertz)
            self._check_pulse(channel, new)

    def _check_pulse(self, channel: int, new: dict[str, float]) -> None:
        width, lead, trail, period = (
            new.get(name, self.number(name, channel))
            for name in ("width", "lead", "trail", "period")
        )
        edges = (lead + trail) * (1 - 1e-12)
        if width < 0.625 * edges or width > period - 0.8 * edges:
            raise ScpiError(-221)

    # --- levels -------------------------------------------------------------------------------

    def _register_levels(self) -> None:
        volt = "[SOURce#]:VOLTage"
        level = f"{volt}[:LEVel][:IMMediate]"
        for pattern, name in (
            (f"{level}[:AMPLitude]", "amplitude"),
            (f"{level}:OFFSet", "offset"),
            (f"{level}:HIGH", "high"),
            (f"{level}:LOW", "low"),
            (f"{volt}:LIMit:HIGH", "high_limit"),
            (f"{volt}:LIMit:LOW", "low_limit"),
        ):
            self.on(
                pattern, set=partial(self._put_level, name), get=partial(self._show_level, name)
            )

    def _divider(self, channel: int) -> float:
        """Voltage at the declared load over that at an open end."""
        load = self.number("load", channel)
        return 1.0 if load == inf else load / (load + 50.0)

    def _put_level(self, name: str, call: Call) -> None:
        channel = self._channel(call)
        call.expect(1)
        if name == "amplitude":
            span = self._amplitude_unit(channel).volts(call.argument(RawText()))
            volts = span / self._divider(channel)
        else:
            volts = float(call.argument(Number(units=VOLTS))) / self._divider(channel)
        levels = self.levels[channel]
        low, high = levels.low, levels.high
        match name:
            case "amplitude":
                low, high = (low + high - volts) / 2, (low + high + volts) / 2
            case "offset":
                low, high = volts - (high - low) / 2, volts + (high - low) / 2
            case "high":
                high = volts
            case "low":
                low = volts
            case _:
                self._put_limit(levels, name, volts)
                self._copy_levels(channel)
                return
        most = MANY_VOLTS if self.number("frequency", channel) > HALF_WAY else 20.0
        inside = levels.low_limit - 1e-9 <= low and high <= levels.high_limit + 1e-9
        if not (0.04 - 1e-9 <= high - low <= most + 1e-9 and abs(low + high) <= 20 and inside):
            raise ScpiError(-222)
        levels.low, levels.high = low, high
        self._copy_levels(channel)
        self._publish()

    def _copy_levels(self, channel: int) -> None:
        """Give levels, their limits and their unit to the other channel, if they are coupled."""
        if self.value("levels_coupled"):
            for other in self.channels:
                self.levels[other] = replace(self.levels[channel])
                self.values["unit", other] = self.value("unit", channel)

    def _amplitude_unit(self, channel: int) -> AmplitudeUnit:
        shape, load = str(self.value("shape", channel)), self.number("load", channel)
        return AmplitudeUnit(unit=str(self.value("unit", channel)), shape=shape, load=load)

    @staticmethod
    def _put_limit(levels: _Levels, name: str, volts: float) -> None:
        beyond = volts < levels.high if name == "high_limit" else volts > levels.low
        if abs(volts) > 20 or beyond:
            raise ScpiError(-222)
        setattr(levels, name, volts)

    def _show_level(self, name: str, call: Call) -> str:
        channel = self._channel(call)
        levels = self.levels[channel]
        call.expect(0)
        divider = self._divider(channel)
        match name:
            case "amplitude":
                span = (levels.high - levels.low) * divider
                return format(self._amplitude_unit(channel).shown(span), ".6E")
            case "offset":
                volts = (levels.high + levels.low) / 2
            case _:
                volts = float(getattr(levels, name))
        return format(volts * divider, ".6E")

    def _channel(self, call: Call) -> int:
        if call.channel not in self.channels:
            raise ScpiError(-114)
        return call.channel

    # --- waveform memory ------------------------------------------------------------------------

    def _register_memory(self) -> None:
        self.on("DATA:DEFine", set=self._define)
        self.on(
            "DATA:POINts",
            set=self._define,
            get=lambda call: str(len(self.memory.read(call.word()))),
        )
        self.on("DATA[:DATA]", set=self._put_data, get=self._show_data)
        self.on("DATA:COPY", set=self._copy)
        self.on("DATA:LOCK[:STATe]", set=self._lock, get=self._show_lock)
        self.on("DATA:DELete[:NAME]", set=self._delete)
        self.on("DATA:CATalog", get=lambda _: ",".join(f'"{name}"' for name in self.memory.names()))

    def _define(self, call: Call) -> None:
        points = int(float(call.argument(Integer(low=2, high=MAX_POINTS), 1)))
        self.memory.define(call.word(), points)
        self._publish()

    def _put_data(self, call: Call) -> None:
        data = read_block(call.arguments[1]) if len(call.arguments) > 1 else None
        self.memory.store(call.word(), data)
        self._publish()

    def _show_data(self, call: Call) -> str:
        return make_block(self.memory.read(call.word()).astype(">u2").tobytes()).decode("latin-1")

    def _copy(self, call: Call) -> None:
        self.memory.copy(call.word(), call.word(1))
        self._publish()

    def _lock(self, call: Call) -> None:
        locked = self.memory.locked
        change = locked.add if call.argument(Switch(), 1) else locked.discard
        change(call.word())

    def _show_lock(self, call: Call) -> str:
        return str(int(call.word() in self.memory.locked))

    def _delete(self, call: Call) -> None:
        self.memory.delete(call.word())
        self._publish()

    # --- the world ------------------------------------------------------------------------------

    def _publish(self) -> None:
        for channel, port in zip(self.channels, self.ports, strict=True):
            on = self.value("output", channel)
            port.drive = drive_of(self._state(channel)) if on else None

    def _state(self, channel: int) -> ChannelState:
        levels, shape = self.levels[channel], str(self.value("shape", channel))
        return ChannelState(
            shape=shape,
            codes=self.memory.played(shape),
            low=levels.low / 2,
            high=levels.high / 2,
            inverted=self.value("polarity", channel) == "INV",
            frequency=self.number("frequency", channel),
            phase=self.number("phase", channel),
            width=self.number("width", channel),
            lead=self.number("lead", channel),
            trail=self.number("trail", channel),
            period=self.number("period", channel),
            delay=self._delay(channel),
            cycles=self.number("cycles", channel),
            trigger=self._trigger(channel),
        )

    def _delay(self, channel: int) -> float:
        shape_delay = (
            self.number("pulse_delay", channel) if self.value("shape", channel) == "PULS" else 0.0
        )
        return self.number("burst_delay", channel) + shape_delay + self.trigger_latency

    def _trigger(self, channel: int) -> Trigger:
        waits = self.value("burst", channel) and self.value("burst_mode", channel) == "TRIG"
        return "external" if waits and self.value("trigger") == "EXT" else "internal"
