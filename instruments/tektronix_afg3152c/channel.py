"""One output of a Tektronix AFG3152C: levels within limits, pulses and waveforms per trigger."""

from collections.abc import Callable
from functools import partial
from math import inf, isclose, pi
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from qcodes.parameters import Parameter
from qcodes.validators import Enum, Numbers

from instruments.bases.number_parameter import add_number
from instruments.bases.scpi import ON_OFF, definite_block
from instruments.bases.two_channel_generator import GeneratorChannel
from instruments.roles import PulseShape
from instruments.tektronix_afg3152c.limits import (
    DriveLimits,
    burst_delay,
    check_waveform,
    encode_samples,
)

if TYPE_CHECKING:
    from instruments.tektronix_afg3152c.driver import TektronixAFG3152C

SHAPES = ("SIN", "SQU", "PULS", "RAMP", "DC", "USER1", "USER2", "USER3", "USER4", "EMEM")


class TektronixAFG3152CChannel(GeneratorChannel["TektronixAFG3152C"]):
    """One output of the generator.

    Parameters
    ----------
    parent : TektronixAFG3152C
    number : int
        1 or 2.
    limits : DriveLimits
    """

    def __init__(self, parent: "TektronixAFG3152C", number: int, limits: DriveLimits) -> None:
        super().__init__(parent, number, header=f"OUTP{number}:STAT", words=("OFF", "ON"))
        self.limits = limits
        self.programmed = False
        number_of = partial(add_number, self, prefix=f"SOUR{number}:", form=".12g")
        self.load: Parameter[float, Self] = self.add_parameter(
            "load",
            label="Declared load",
            unit="Ω",
            get_cmd=f"OUTP{number}:IMP?",
            get_parser=_number_or_inf,
            docstring="Load by which the generator scales its numbers.",
        )
        self.polarity: Parameter[str, Self] = self.add_parameter(
            "polarity",
            label="Polarity",
            get_cmd=f"OUTP{number}:POL?",
            set_cmd=f"OUTP{number}:POL {{}}",
            val_mapping={"normal": "NORM", "inverted": "INV"},
            docstring="Inverted: mirrored about the middle of the levels.",
        )
        self.function: Parameter[str, Self] = self.add_parameter(
            "function",
            label="Waveform",
            get_cmd=f"SOUR{number}:FUNC?",
            set_cmd=f"SOUR{number}:FUNC {{}}",
            vals=Enum(*SHAPES),
            docstring="Waveform, in the instrument's short words.",
        )
        self.burst: Parameter[bool, Self] = self.add_parameter(
            "burst",
            label="Burst",
            get_cmd=f"SOUR{number}:BURS:STAT?",
            set_cmd=f"SOUR{number}:BURS:STAT {{}}",
            val_mapping=ON_OFF,
            docstring="Whether a trigger starts a burst; off: the waveform repeats for ever.",
        )
        self.frequency = number_of("frequency", "FREQ", "Hz", "Waveform repetitions", 1e-6, 150e6)
        self.phase = number_of("phase", "PHAS", "rad", "Phase", -pi, pi)
        self.pulse_width = number_of(
            "pulse_width", "PULS:WIDT", "s", "Full width at half maximum", 5e-9, 999.99
        )
        self.pulse_period = number_of(
            "pulse_period", "PULS:PER", "s", "Pulse period", 1 / 75e6, 1e6
        )
        self.leading_edge = number_of("leading_edge", "PULS:TRAN:LEAD", "s", "Rise time", 0, 625)
        self.trailing_edge = number_of("trailing_edge", "PULS:TRAN:TRA", "s", "Fall time", 0, 625)
        self.trigger_delay = number_of(
            "trigger_delay", "BURS:TDEL", "s", "Trigger to burst, without the latency", 0, 85
        )
        self.burst_cycles: Parameter[float, Self] = self.add_parameter(
            "burst_cycles",
            label="Cycles per burst",
            get_cmd=f"SOUR{number}:BURS:NCYC?",
            get_parser=_number_or_inf,
            set_cmd=f"SOUR{number}:BURS:NCYC {{}}",
            set_parser=lambda count: "INF" if count == inf else f"{count:.0f}",
            vals=Numbers(1, inf),
            docstring="1 to 1 000 000, or inf.",
        )
        self.high = self._level("high", lambda volts: self.set_levels(self.low(), volts))
        self.low = self._level("low", lambda volts: self.set_levels(volts, self.high()))
        self.amplitude: Parameter[float, Self] = self.add_parameter(
            "amplitude",
            label="Amplitude, peak to peak",
            unit="V",
            get_cmd=lambda: self.high() - self.low(),
            set_cmd=lambda span: self._set_span(span, self.offset()),
            docstring="High minus low, whatever amplitude unit the front panel shows.",
        )
        self.offset: Parameter[float, Self] = self.add_parameter(
            "offset",
            label="Offset",
            unit="V",
            get_cmd=lambda: (self.high() + self.low()) / 2,
            set_cmd=lambda middle: self._set_span(self.amplitude(), middle),
            docstring="Middle of the levels.",
        )

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
        with self.parent.lock:
            self.declare_load()
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
            # Widest first: so no state on the way breaks the bounds between width and period.
            room = max(self.pulse_period(), period)
            room += 2 * (edges + self.leading_edge() + self.trailing_edge())
            self.function("PULS")
            self.polarity("normal")
            self.write(f"SOUR{self.number}:PULS:HOLD WIDT")
            self.pulse_period(room)
            self.pulse_width(max(self.pulse_width(), pulse.width))
            self.leading_edge(pulse.edge)
            self.trailing_edge(pulse.edge)
            self.pulse_width(pulse.width)
            self.pulse_period(period)
            self.write(f"SOUR{self.number}:PULS:DEL 0")
            self._burst_per_trigger(start)
            self.set_levels(pulse.low, pulse.high)
            for header, value in (
                ("PULS:WIDT", pulse.width),
                ("PULS:TRAN:LEAD", pulse.edge),
                ("PULS:TRAN:TRA", pulse.edge),
            ):
                self._check_arrived(f"SOUR{self.number}:{header}", value, 0.11e-9)
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
            self.parent.write_bytes(block, "DATA:DATA EMEM")
            self.parent.raise_errors("DATA:DATA EMEM")
            self.write(f"DATA:COPY USER{self.number},EMEM")
            self.function(f"USER{self.number}")
            self.polarity("normal")
            self.frequency(sample_rate / len(samples))
            self._burst_per_trigger(0.0)
            self.set_levels(low, high)
            self.programmed = True

    def _burst_per_trigger(self, delay: float) -> None:
        self.write(f"SOUR{self.number}:BURS:MODE TRIG")
        self.burst_cycles(1)
        self.trigger_delay(round(delay, 10))
        self.burst(True)
        self.parent.trigger_source("external")

    def _clamp(self, lowest: float, highest: float) -> None:
        """Set the generator's own level limits, no tighter than two levels."""
        limits, volt = self.limits, f"SOUR{self.number}:VOLT"
        self.write(f"{volt}:LIM:HIGH {max(limits.high, highest):.6g}")
        self.write(f"{volt}:LIM:LOW {min(limits.low, lowest):.6g}")

    def forget_programming(self) -> None:
        """Take pulse or waveform for lost, as behind a link that was opened anew."""
        self.programmed = False

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

    def _set_span(self, span: float, middle: float) -> None:
        self.set_levels(middle - span / 2, middle + span / 2)

    def _check_arrived(self, header: str, wanted: float, tolerance: float) -> None:
        now = self._ask_number(f"{header}?")
        if not isclose(now, wanted, rel_tol=1e-4, abs_tol=tolerance):
            message = f"{self.full_name}: {header} must be {wanted:g}, but reads {now:g}"
            raise RuntimeError(message)

    def _ask_number(self, query: str) -> float:
        return float(self.ask(query))

    def _level(self, name: str, put: Callable[[float], None]) -> Parameter[float, Self]:
        return self.add_parameter(
            name,
            label=f"{name.capitalize()} level",
            unit="V",
            get_cmd=f"SOUR{self.number}:VOLT:{name.upper()}?",
            get_parser=float,
            set_cmd=put,
            vals=Numbers(self.limits.low, self.limits.high),
            docstring="Level at the declared load, within the limits of what is connected.",
        )


def _number_or_inf(reply: str) -> float:
    """Read a number; instruments write infinity as 9.9E+37."""
    value = float(reply)
    return inf if value > 9e37 else value
