"""Tektronix AFG3152C, a two-channel function generator, as the pulse source of the AOMs.

Commands and ranges are those of the programmer manual of the AFG3000 series. Not verified on
hardware: the latency from trigger input to output is not published (it is a mandatory calibration
value here), nor is where an arbitrary waveform rests between bursts.
"""

from collections.abc import Mapping
from functools import partial
from math import inf, isclose, pi
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qcodes.parameters import Parameter
from qcodes.validators import Enum, Numbers

from instruments.bases.parameters import (
    Declared,
    add_parameters,
    choice,
    number,
    number_in,
    reading,
    switch,
)
from instruments.bases.scpi import definite_block
from instruments.bases.two_channel_generator import GeneratorChannel, TwoChannelGenerator
from instruments.roles import PulseShape
from instruments.tektronix_afg3152c.limits import (
    FREQUENCIES,
    MAX_DELAY,
    MAX_EDGE,
    PERIODS,
    WIDTHS,
    DriveLimits,
    burst_delay,
    check_frequency,
    check_pulse,
    check_span,
    check_waveform,
    encode_samples,
)

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs

SHAPES = (
    "SIN", "SQU", "PULS", "RAMP", "PRN", "DC", "SINC", "GAUS", "LOR", "ERIS", "EDEC", "HAV",
    "USER1", "USER2", "USER3", "USER4", "EMEM", "EMEM2",
)  # fmt: skip


def _number_or_inf(reply: str) -> float:
    """Read a number; instruments write infinity as 9.9E+37."""
    value = number_in(reply)
    return inf if value > 9e37 else value


def _within_limits(channel: "TektronixAFG3152CChannel") -> Numbers:
    return Numbers(channel.limits.low, channel.limits.high)


_number = partial(number, form=".12g")
_level = partial(
    reading,
    unit="V",
    vals=_within_limits,
    doc="Level at the declared load, within the limits of what is connected.",
)


class TektronixAFG3152CChannel(GeneratorChannel["TektronixAFG3152C"]):
    """One output of the generator.

    Parameters
    ----------
    parent : TektronixAFG3152C
    number : int
        1 or 2.
    limits : DriveLimits
    """

    load = Declared[float](
        "Declared load", "Ω", is_setting=True,
        doc="Load by which the generator scales its numbers; asked twice.",
    )  # fmt: skip
    polarity = choice(
        "OUTP{number}:POL",
        "Polarity",
        {"normal": "NORM", "inverted": "INV"},
        doc="Inverted: mirrored about the middle of the levels.",
    )
    function = Declared[str](
        "Waveform",
        get="SOUR{number}:FUNC?",
        set="SOUR{number}:FUNC {}",
        vals=Enum(*SHAPES),
        doc="Waveform, in the instrument's short words.",
    )
    burst = switch(
        "SOUR{number}:BURS:STAT",
        "Burst",
        doc="Whether a trigger starts a burst; off: the waveform repeats for ever.",
    )
    frequency = _number(
        "SOUR{number}:FREQ", "Hz", "Waveform repetitions", *FREQUENCIES,
        doc="Within what the waveform allows, see `instruments.tektronix_afg3152c.limits`.",
    )  # fmt: skip
    phase = _number("SOUR{number}:PHAS", "rad", "Phase", -pi, pi)
    pulse_width = _number("SOUR{number}:PULS:WIDT", "s", "Full width at half maximum", *WIDTHS)
    pulse_period = _number("SOUR{number}:PULS:PER", "s", "Pulse period", *PERIODS)
    leading_edge = _number("SOUR{number}:PULS:TRAN:LEAD", "s", "Rise time", 0, MAX_EDGE)
    trailing_edge = _number("SOUR{number}:PULS:TRAN:TRA", "s", "Fall time", 0, MAX_EDGE)
    trigger_delay = _number(
        "SOUR{number}:BURS:TDEL", "s", "Trigger to burst, without the latency", 0, MAX_DELAY
    )
    burst_cycles = reading(
        "SOUR{number}:BURS:NCYC?",
        "",
        "Cycles per burst",
        get_parser=_number_or_inf,
        set="SOUR{number}:BURS:NCYC {}",
        set_parser=lambda count: "INF" if count == inf else f"{count:.0f}",
        vals=Numbers(1, inf),
        doc="1 to 1 000 000, or inf.",
    )
    high = _level("SOUR{number}:VOLT:HIGH?", label="High level")
    low = _level("SOUR{number}:VOLT:LOW?", label="Low level")
    amplitude = Declared[float](
        "Amplitude, peak to peak",
        "V",
        doc="High minus low, whatever amplitude unit the front panel shows.",
    )
    offset = Declared[float]("Offset", "V", doc="Middle of the levels.")

    def __init__(self, parent: "TektronixAFG3152C", number: int, limits: DriveLimits) -> None:
        super().__init__(parent, number, header=f"OUTP{number}:STAT", words=("OFF", "ON"))
        self.limits = limits
        self.programmed = False
        add_parameters(self)

    def declare_load(self) -> None:
        """Tell the generator the load of the limits, and check by reading back."""
        with self.parent.lock:
            wanted = self.limits.load
            if not isclose(self.load(), wanted, rel_tol=5e-3):
                word = "INF" if wanted == inf else f"{wanted:g}"
                self.write(f"OUTP{self.number}:IMP {word}")
            if not isclose(now := self.load(), wanted, rel_tol=5e-3):
                message = (
                    f"{self.full_name}: the declared load must be {wanted:g} Ω, but reads {now:g} Ω"
                )
                raise RuntimeError(message)

    def set_levels(self, low: float, high: float) -> None:
        """Set both levels (V at the load), load first, and check by reading back.

        Raises
        ------
        ValueError
            If a level lies outside the limits of the channel or of the instrument.
        """
        self.limits.check_levels(self.full_name, low, high)
        self.high.validate(high)
        self.low.validate(low)
        with self.parent.lock:
            self.parent.uncouple()
            self.declare_load()
            self._check_span(high - low, self._ask_number(f"SOUR{self.number}:FREQ?"))
            volt = f"SOUR{self.number}:VOLT"
            old_low, old_high = self._ask_number(f"{volt}:LOW?"), self._ask_number(f"{volt}:HIGH?")
            self._clamp(old_low, old_high)
            order = [("HIGH", high), ("LOW", low)]
            if low < old_low:
                order.reverse()
            for level, volts in order:
                self.write(f"{volt}:{level} {volts:.6g}")
            for level, volts in order:
                self._check_arrived(f"{volt}:{level}", volts, 1e-3)
            self._clamp(low, high)
            self.high.cache.set(high)
            self.low.cache.set(low)
            self.amplitude.cache.set(high - low)
            self.offset.cache.set((high + low) / 2)

    def program_pulse(self, pulse: PulseShape) -> None:
        """Set one pulse per external trigger; the output stays as it was.

        The burst begins half an edge before the middle of the leading edge, and the trigger
        latency earlier.

        Raises
        ------
        ValueError
            If the pulse cannot be made or exceeds the limits.
        """
        start = burst_delay(self.full_name, pulse, self.parent.trigger_latency)
        self.limits.check_levels(self.full_name, pulse.low, pulse.high)
        edges = 2 * pulse.edge
        period = max(2 * (pulse.width + edges), 100e-9)
        with self.parent.lock:
            self.programmed = False
            self.parent.uncouple()
            # Widest first: so no state on the way breaks the bounds between width and period.
            room = max(self.pulse_period(), period, self.pulse_width())
            room += 2 * (edges + self.leading_edge() + self.trailing_edge())
            self.function("PULS")
            self._check_took((self.function, "PULS"))
            self.polarity("normal")
            self.write(f"SOUR{self.number}:PULS:HOLD WIDT")
            self.pulse_period(min(room, PERIODS[1]))
            self.pulse_width(max(self.pulse_width(), pulse.width))
            self.leading_edge(pulse.edge)
            self.trailing_edge(pulse.edge)
            self.pulse_width(pulse.width)
            for header, value in (
                ("PULS:WIDT", pulse.width),
                ("PULS:TRAN:LEAD", pulse.edge),
                ("PULS:TRAN:TRA", pulse.edge),
            ):
                self._check_arrived(f"SOUR{self.number}:{header}", value, 0.11e-9)
            self.pulse_period(period)
            self.write(f"SOUR{self.number}:PULS:DEL 0")
            self._check_arrived(f"SOUR{self.number}:PULS:DEL", 0.0, 0.11e-9)
            self._burst_per_trigger(start)
            self.set_levels(pulse.low, pulse.high)
            self.programmed = True

    def program_waveform(self, samples: NDArray[np.float64], sample_rate: float) -> None:
        """Set an arbitrary waveform (V) per external trigger; the output stays as it was.

        Raises
        ------
        ValueError
            If the waveform has a wrong length or rate or exceeds the limits.
        """
        samples = np.asarray(samples, dtype=np.float64)
        check_waveform(self.full_name, samples, sample_rate)
        low, high = self.limits.code_range(samples)
        self.limits.check_levels(self.full_name, low, high)
        data = encode_samples(samples, low, high)
        with self.parent.lock:
            self.programmed = False
            self.write(f"DATA:DEF EMEM,{len(samples)}")
            block = b"DATA:DATA EMEM," + definite_block(data) + b"\n"
            self.parent.write_block(block, "DATA:DATA EMEM")
            self.write(f"DATA:COPY USER{self.number},EMEM")
            self._check_memory(definite_block(data))
            self.function(f"USER{self.number}")
            self._check_took((self.function, f"USER{self.number}"))
            self.polarity("normal")
            self.frequency(sample_rate / len(samples))
            self._burst_per_trigger(0.0)
            self.set_levels(low, high)
            self.programmed = True

    def _check_memory(self, block: bytes) -> None:
        """Refuse if another program has used the edit memory, which all channels share."""
        if self.parent.ask_bytes("DATA:DATA? EMEM", len(block) + 1) != block + b"\n":
            message = (
                f"{self.full_name}: the edit memory must hold the waveform after its copy, but "
                "does not; let no other program load waveforms, then load it again"
            )
            raise RuntimeError(message)

    def _burst_per_trigger(self, delay: float) -> None:
        self.write(f"SOUR{self.number}:BURS:MODE TRIG")
        self.burst_cycles(1)
        self.trigger_delay(round(delay, 10))
        self.burst(True)
        self.parent.trigger_source("external")
        self._check_took(
            (self.burst_cycles, 1.0), (self.trigger_delay, round(delay, 10)), (self.burst, True),
            (self.parent.trigger_source, "external"), (self.polarity, "normal"),
        )  # fmt: skip
        if not (mode := self.ask(f"SOUR{self.number}:BURS:MODE?")).startswith("TRIG"):
            message = f"{self.full_name}: the burst mode must be TRIG, but reads {mode}"
            raise RuntimeError(message)

    def _check_took(self, *wanted: tuple[Parameter[Any, Any], object]) -> None:
        """Check by reading back what would play another waveform, or at another time, if stuck."""
        for parameter, value in wanted:
            now = parameter.get()
            same = isclose(now, value, abs_tol=1e-10) if isinstance(value, float) else now == value
            if not same:
                message = f"{parameter.full_name} must be {value} after setting it, but reads {now}"
                raise RuntimeError(message)

    def _clamp(self, lowest: float, highest: float) -> None:
        """Set the generator's own level limits, no tighter than two levels."""
        limits, volt = self.limits, f"SOUR{self.number}:VOLT"
        self.write(f"{volt}:LIM:HIGH {max(limits.high, highest):.6g}")
        self.write(f"{volt}:LIM:LOW {min(limits.low, lowest):.6g}")

    def forget_programming(self) -> None:
        """Take pulse or waveform for lost, as behind a link that was opened anew."""
        self.programmed = False

    @load.getter
    def _get_load(self) -> float:
        reply = self.ask(f"OUTP{self.number}:IMP?;IMP?")
        answers = [_number_or_inf(part) for part in reply.split(";")]
        if len(answers) != 2 or answers[0] != answers[1]:
            message = (
                f"{self.load.full_name} must be answered alike twice, but is with {reply!r} Ω; "
                "ask again"
            )
            raise ConnectionError(message)
        return answers[0]

    @function.setter
    def _set_function(self, shape: str) -> None:
        self.write(f"SOUR{self.number}:FUNC {shape}")
        self.frequency.cache.invalidate()  # the instrument fits it to the waveform

    @frequency.setter
    def _set_frequency(self, hertz: float) -> None:
        check_frequency(self.full_name, self.function.get(), hertz)
        with self.parent.lock:
            self.parent.uncouple()
            self._check_span(self.amplitude.get(), hertz)
            self.write(f"SOUR{self.number}:FREQ {hertz:.12g}")
            self.pulse_period.cache.invalidate()

    @pulse_width.setter
    def _set_pulse_width(self, seconds: float) -> None:
        self._set_times(pulse_width=seconds)

    @pulse_period.setter
    def _set_pulse_period(self, seconds: float) -> None:
        self._set_times(pulse_period=seconds)

    @leading_edge.setter
    def _set_leading_edge(self, seconds: float) -> None:
        self._set_times(leading_edge=seconds)

    @trailing_edge.setter
    def _set_trailing_edge(self, seconds: float) -> None:
        self._set_times(trailing_edge=seconds)

    def _set_times(self, **changed: float) -> None:
        """Set one time of the pulse, if it fits the others."""
        ((name, seconds),) = changed.items()
        headers = {
            "pulse_width": "WIDT",
            "pulse_period": "PER",
            "leading_edge": "TRAN:LEAD",
            "trailing_edge": "TRAN:TRA",
        }
        with self.parent.lock:
            times = {each: self.parameters[each].get() for each in headers} | changed
            check_pulse(self.full_name, *(times[each] for each in headers))
            if name == "pulse_period":
                self.parent.uncouple()
                self.frequency.cache.invalidate()
            self.write(f"SOUR{self.number}:PULS:{headers[name]} {seconds:.12g}")

    def _check_span(self, span: float, hertz: float) -> None:
        check_span(self.full_name, span / self.limits.scale, hertz)

    def _require_programmed(self) -> None:
        # Asked first: a link that is opened anew forgets what was programmed.
        low, high, load = self.low.get(), self.high.get(), self.load.get()
        limits = self.limits
        if not self.programmed:
            message = f"{self.full_name}: program a pulse or waveform before switching it on"
            raise RuntimeError(message)
        inside = limits.low - 1e-3 <= low and high <= limits.high + 1e-3
        if not (inside and isclose(load, limits.load, rel_tol=5e-3)):
            message = (
                f"{self.full_name}: levels {low:g} to {high:g} V into {load:g} Ω must lie within "
                f"{limits}; program it again before switching it on"
            )
            raise RuntimeError(message)

    @high.setter
    def _set_high(self, volts: float) -> None:
        self.set_levels(self.low(), volts)

    @low.setter
    def _set_low(self, volts: float) -> None:
        self.set_levels(volts, self.high())

    @amplitude.getter
    def _get_amplitude(self) -> float:
        return self.high() - self.low()

    @amplitude.setter
    def _set_amplitude(self, span: float) -> None:
        self._set_span(span, self.offset())

    @offset.getter
    def _get_offset(self) -> float:
        return (self.high() + self.low()) / 2

    @offset.setter
    def _set_offset(self, middle: float) -> None:
        self._set_span(self.amplitude(), middle)

    def _set_span(self, span: float, middle: float) -> None:
        self.set_levels(middle - span / 2, middle + span / 2)

    def _check_arrived(self, header: str, wanted: float, tolerance: float) -> None:
        now = self._ask_number(f"{header}?")
        if not isclose(now, wanted, rel_tol=1e-4, abs_tol=tolerance):
            message = f"{self.full_name}: {header} must be {wanted:g}, but reads {now:g}"
            raise RuntimeError(message)

    def _ask_number(self, query: str) -> float:
        return number_in(self.ask(query))


class TektronixAFG3152C(TwoChannelGenerator[TektronixAFG3152CChannel]):
    """Tektronix AFG3152C function generator; fulfils `instruments.roles.PulseGenerator`.

    Connecting changes nothing. Before levels, frequency or period of a channel are set, the
    coupling that would copy them to the other channel is switched off. Safe state: both outputs
    off. Thread-safe: programming a channel holds `lock` from beginning to end. All channels and
    clients share one edit memory: it is read back after a waveform was copied from it.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name.
    channels : mapping of int to DriveLimits or mapping
        For channels 1 and 2: ``load`` (Ω) that is really connected, and the ``low`` and ``high``
        voltage that it bears. Numbers of 50 Ω into another load are wrong by up to 6 dB.
    trigger_latency : float
        From trigger input to output at zero delay, in s, measured at the bench.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = "^TEKTRONIX,AFG3152C,"

    levels_coupled = switch(
        "SOUR1:VOLT:CONC:STAT",
        "Levels coupled",
        doc="Whether levels and limits of one channel are copied to the other.",
    )
    frequencies_coupled = switch(
        "SOUR1:FREQ:CONC:STAT",
        "Frequencies coupled",
        doc="Whether frequency and period of one channel are copied to the other.",
    )
    trigger_source = choice(
        "TRIG:SOUR",
        "Trigger source",
        {"external": "EXT", "timer": "TIM"},
        doc="What starts a burst, on both channels.",
    )
    trigger_slope = choice(
        "TRIG:SLOP",
        "Trigger slope",
        {"rising": "POS", "falling": "NEG"},
        doc="Edge of the trigger input that counts.",
    )
    trigger_period = number(
        "TRIG:TIM", "s", "Timer period", 1e-6, 500, form=".12g",
        doc="Period of the internal trigger timer.",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        address: str,
        *,
        channels: Mapping[int | str, DriveLimits | Mapping[str, float]],
        trigger_latency: float,
        **kwargs: "Unpack[VisaInstrumentKWArgs]",
    ) -> None:
        limits = _read_limits(name, channels)
        if not 0 <= trigger_latency < MAX_DELAY:
            message = (
                f"{name}: `trigger_latency` must be 0 to {MAX_DELAY:g} s, but is {trigger_latency}"
            )
            raise ValueError(message)
        super().__init__(name, address, **kwargs)
        self.trigger_latency = trigger_latency
        self.ch1 = self.add_submodule("ch1", TektronixAFG3152CChannel(self, 1, limits[1]))
        self.ch2 = self.add_submodule("ch2", TektronixAFG3152CChannel(self, 2, limits[2]))
        add_parameters(self)

    def program_pulse(self, channel: int, pulse: PulseShape) -> None:
        """Set one pulse per external trigger; the output stays as it was."""
        self.channel(channel).program_pulse(pulse)

    def program_waveform(
        self, channel: int, samples: NDArray[np.float64], sample_rate: float
    ) -> None:
        """Set an arbitrary waveform (V) per external trigger; the output stays as it was."""
        self.channel(channel).program_waveform(samples, sample_rate)

    def uncouple(self) -> None:
        """Switch off what copies levels and frequency of one channel to the other.

        Raises
        ------
        RuntimeError
            If it stays on: a limit of one channel could then be exceeded from the other.
        """
        with self.lock:
            for coupled in (self.levels_coupled, self.frequencies_coupled):
                if not coupled.get():
                    continue
                coupled.set(False)
                if coupled.get():
                    message = (
                        f"{coupled.full_name} must be off, but stays on; set the channels "
                        "independent at the front panel"
                    )
                    raise RuntimeError(message)

    def trigger(self) -> None:
        """Start a burst on both channels now."""
        self.write("*TRG")

    def _off_commands(self, number: int) -> tuple[str, ...]:
        return (f"OUTP{number}:STAT OFF",)


def _read_limits(
    name: str, channels: Mapping[int | str, DriveLimits | Mapping[str, float]]
) -> dict[int, DriveLimits]:
    found = {
        int(number): given if isinstance(given, DriveLimits) else DriveLimits.from_plain(given)
        for number, given in channels.items()
    }
    if set(found) != {1, 2}:
        message = f"{name}: `channels` must give limits of channels 1 and 2, but gives {[*found]}"
        raise ValueError(message)
    return found
