"""Agilent/Keysight 81180A (and B) arbitrary waveform generator, as the drive of the EOM.

Facts are those of the user guide 9018-03346. Not verified on hardware: download over a socket,
marker timing, transients when the output path changes (keep the amplifier muted), and the error
numbers, which are reported in the instrument's own words. An output that is switched off stays
connected, and a binary download that is interrupted leaves the interface hung until the power is
cycled.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, isclose, isfinite, log10
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from qcodes.validators import Ints, Multiples

from instruments.bases.parameters import (
    Declared,
    add_parameters,
    choice,
    number,
    number_in,
    switch,
)
from instruments.bases.scpi import definite_block
from instruments.bases.two_channel_generator import GeneratorChannel, TwoChannelGenerator
from instruments.keysight_81180a.waveform import (
    AMPLITUDES,
    DAC_AMPLITUDES,
    MODEL_A,
    MODEL_B,
    check_segments,
    check_steps,
    encode_words,
)

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs

OutputPath = Literal["DC", "DAC", "AC"]

LEVEL_STEP = 1e-3
"""V, in which offset and amplitude are set."""


class Keysight81180AChannel(GeneratorChannel["Keysight81180A"]):
    """One channel; every message selects it first, because selection is state of the instrument.

    Selection and command are one message: another client cannot come in between.

    Parameters
    ----------
    parent : Keysight81180A
    number : int
        1 or 2.
    """

    path = Declared[str](
        "Output path",
        get=":OUTP:COUP?",
        doc="DC (amplifier), DAC (direct) or AC; changed by `set_path` only.",
    )
    mode = Declared[str]("Function mode", get=":FUNC:MODE?", doc="FIX, USER, SEQ, …")
    amplitude = number(
        ":VOLT", "V", "DC path, peak to peak", *AMPLITUDES,
        doc="DC path, peak to peak into 50 Ω, within the peak limit (``:VOLT``).",
    )  # fmt: skip
    dac_amplitude = number(
        ":VOLT:DAC", "V", "DAC path, peak to peak", *DAC_AMPLITUDES,
        doc="DAC path, peak to peak into 50 Ω, within the peak limit (``:VOLT:DAC``).",
    )  # fmt: skip
    offset = number(
        ":VOLT:OFFS", "V", "Offset into 50 Ω", -1.5, 1.5,
        doc="Together with half the amplitude within the peak limit (``:VOLT:OFFS``).",
    )  # fmt: skip
    sample_rate = number(
        ":FREQ:RAST", "1/s", "Sample clock, 8 digits", MODEL_A.min_rate, MODEL_A.max_rate
    )
    trigger_level = number(":TRIG:LEV", "V", "Trigger threshold", -5, 5)
    trigger_delay = Declared[int](
        "Trigger delay",
        "points",
        get=":TRIG:DEL?",
        get_parser=lambda reply: int(number_in(reply)),
        set=":TRIG:DEL {:d}",
        vals=Multiples(8, min_value=0, max_value=8_000_000),
        doc="A multiple of 8 points (``:TRIG:DEL``).",
    )
    trigger_source = choice(
        ":TRIG:SOUR",
        "Trigger source",
        {"external": "EXT", "bus": "BUS", "timer": "TIM", "event": "EVEN"},
        doc="What starts the waveform when `continuous` is off.",
    )
    trigger_slope = choice(
        ":TRIG:SLOP",
        "Trigger slope",
        {"rising": "POS", "falling": "NEG", "either": "EITH"},
        doc="Edge of the trigger input that counts.",
    )
    continuous = switch(
        ":INIT:CONT", "Runs without trigger", doc="Whether the waveform repeats for ever."
    )
    gated = switch(
        ":INIT:GATE",
        "Plays while the trigger lasts",
        doc="Instead of once per trigger (``:INIT:GATE``).",
    )
    trigger_count = Declared[int](
        "Times that a trigger plays it",
        get=":TRIG:COUN?",
        get_parser=lambda reply: int(number_in(reply)),
        set=":TRIG:COUN {:d}",
        vals=Ints(1, 1_048_576),
        doc="How often the waveform is played per trigger (``:TRIG:COUN``).",
    )

    def __init__(self, parent: "Keysight81180A", number: int) -> None:
        super().__init__(parent, number, header=":OUTP", words=("0", "1"))
        self.segment_lengths: tuple[int, ...] = ()
        self.has_sequence = False
        add_parameters(self)

    def write(self, cmd: str) -> None:
        """Select this channel and send a command, in one message."""
        self.parent.write(self._addressed(cmd))

    def ask(self, cmd: str) -> str:
        """Select this channel and send a query, in one message."""
        return self.parent.ask(self._addressed(cmd))

    def _addressed(self, cmd: str) -> str:
        return f":INST:SEL CH{self.number};{cmd}"

    def set_path(self, path: OutputPath, amplitude: float) -> None:
        """Choose the output path: its level first, then the path, so that nothing overshoots.

        Parameters
        ----------
        path : {"DC", "DAC", "AC"}
        amplitude : float
            Peak to peak into 50 Ω, V: 0.05 to 2 (DC), 0.05 to 0.5 (DAC), and 0.356 to 1.124 (AC,
            −5 to +5 dBm as a sine).

        Raises
        ------
        ValueError
            If there is no such path, or the amplitude exceeds its range or the peak limit.
        RuntimeError
            If the path reads back otherwise.
        """
        if path not in get_args(OutputPath):
            message = f"{self.full_name}: `path` must be DC, DAC or AC, but is {path!r}"
            raise ValueError(message)
        self._check_peak(amplitude, 0.0)
        with self.parent.lock:
            if path == "DC":
                self.amplitude(amplitude)
            elif path == "DAC":
                self.dac_amplitude(amplitude)
            else:
                watts = (amplitude / 2) ** 2 / 2 / 50
                self.write(f":POW {10 * log10(watts) + 30:.3f}")
            self.write(f":OUTP:COUP {path}")
            if (now := self.path()) != path:
                message = f"{self.full_name}: the path must be {path}, but reads {now}"
                raise RuntimeError(message)

    def load_segments(
        self,
        segments: Sequence[NDArray[np.float64]],
        sample_rate: float,
        markers: Sequence[tuple[NDArray[np.bool_] | None, NDArray[np.bool_] | None]] | None = None,
    ) -> None:
        """Replace all segments (V into 50 Ω); the output is off afterwards, without sequence.

        Parameters
        ----------
        segments : sequence of ndarray of float64
        sample_rate : float
            Samples per second, up to 8 digits.
        markers : sequence of pairs of ndarray of bool, optional
            For each segment its marker outputs by sample.

        Raises
        ------
        ValueError
            If a segment does not fit the memory or the peak limit, or the clock cannot be set.
        RuntimeError
            If clock, amplitude, offset or path read back otherwise.
        """
        rows = [np.asarray(samples, dtype=np.float64) for samples in segments]
        peak = min(self.parent.peak_limit, AMPLITUDES[1] / 2)
        check_segments(self.full_name, rows, peak, self.parent.memory)
        self._check_rate(sample_rate)
        highest = max(float(np.max(np.abs(row))) for row in rows)
        amplitude = max(ceil(2e3 * highest - 1e-6) / 1e3, AMPLITUDES[0])
        with self.parent.lock:
            self.forget_programming()
            self.output(False)
            self.write(":FUNC:MODE USER")
            self.write(":TRAC:DEL:ALL")
            self.sample_rate(sample_rate)
            self.write(":VOLT:OFFS 0")  # before the amplitude, so that their sum never overshoots
            self.write(f":VOLT {amplitude:.8g}")  # codes span it, the samples stay within the peak
            self.amplitude.cache.set(amplitude)
            self.write(":OUTP:COUP DC")
            for number, row in enumerate(rows, 1):
                words = encode_words(
                    row, amplitude, markers[number - 1] if markers else (None, None)
                )
                self._download(number, words)
            self.segment_lengths = tuple(map(len, rows))
            self._check_reads(":FREQ:RAST?", sample_rate, 1e-8)
            self._check_reads(":VOLT?", amplitude, 2e-3)
            self._check_level()

    def load_sequence(self, steps: Sequence[tuple[int, int]]) -> None:
        """Replace the sequence of (segment, loops); each external trigger plays it once.

        Raises
        ------
        ValueError
            If a segment is not loaded, or no legal sequence plays the same.
        RuntimeError
            If the instrument does not enter sequence mode, or would not play the sequence once per
            external trigger.
        """
        legal = check_steps(self.full_name, steps, len(self.segment_lengths), self.parent.memory)
        with self.parent.lock:
            self.has_sequence = False
            self.write(":FUNC:MODE USER")  # editing in sequence mode is slow
            self.write(":SEQ:DEL:ALL")
            self.write(":SEQ:SEL 1")
            for number, (segment, loops) in enumerate(legal, 1):
                self.write(f":SEQ:DEF {number},{segment},{loops},0")
            self.write(":SEQ:ADV AUTO")
            self.continuous(False)
            self.gated(False)
            self.trigger_source("external")
            self.trigger_count(1)
            self.write(":FUNC:MODE SEQ")
            if not (mode := self.mode()).startswith("SEQ"):
                message = f"{self.full_name}: the mode must be SEQ, but reads {mode}"
                raise RuntimeError(message)
            self._check_plays_once()
            self.has_sequence = True

    def _check_plays_once(self) -> None:
        if self.continuous.get() or self.trigger_source.get() != "external":
            message = (
                f"{self.full_name}: the sequence must wait for the external trigger, but runs "
                "continuously or waits for another one"
            )
            raise RuntimeError(message)
        advance = self.ask(":SEQ:ADV?")
        if self.gated.get() or self.trigger_count.get() != 1 or not advance.startswith("AUTO"):
            message = (
                f"{self.full_name}: each trigger must play the sequence once, but :INIT:GATE is "
                f"{self.gated():d}, :TRIG:COUN {self.trigger_count()}, :SEQ:ADV {advance}"
            )
            raise RuntimeError(message)

    def _check_level(self) -> None:
        """Raise unless the samples come as they are: an offset adds to what the amplifier bears."""
        offset, path = self.offset.get(), self.path.get()
        if path != "DC" or not abs(offset) <= LEVEL_STEP:
            message = (
                f"{self.full_name}: the path must be DC without offset, but reads {path} with "
                f"{offset:g} V"
            )
            raise RuntimeError(message)

    @amplitude.setter
    def _set_amplitude(self, volts: float) -> None:
        self._set_span(":VOLT", volts)

    @dac_amplitude.setter
    def _set_dac_amplitude(self, volts: float) -> None:
        self._set_span(":VOLT:DAC", volts)

    def _set_span(self, header: str, volts: float) -> None:
        with self.parent.lock:
            self._check_peak(volts, self.offset())
            self.write(f"{header} {volts:.8g}")

    @offset.setter
    def _set_offset(self, volts: float) -> None:
        with self.parent.lock:
            span = self.dac_amplitude() if self.path() == "DAC" else self.amplitude()
            self._check_peak(span, volts)
            self.write(f":VOLT:OFFS {volts:.8g}")

    def _check_peak(self, span: float, middle: float) -> None:
        """Refuse levels beyond what amplifier and modulator bear."""
        peak, limit = abs(middle) + span / 2, self.parent.peak_limit
        if not peak <= limit + 1e-9:
            message = (
                f"{self.full_name}: |offset| + amplitude / 2 must be up to {limit:g} V, the "
                f"configured `peak_limit`, but is {peak:g} V (amplitude {span:g} V, offset "
                f"{middle:g} V)"
            )
            raise ValueError(message)

    def forget_programming(self) -> None:
        """Take segments and sequence for lost, as behind a link that was opened anew."""
        self.segment_lengths = ()
        self.has_sequence = False

    def _require_programmed(self) -> None:
        mode = self.mode()  # asked first: a link that is opened anew forgets the sequence
        if not (self.has_sequence and mode.startswith("SEQ")):
            message = f"{self.full_name}: load segments and a sequence before switching it on"
            raise RuntimeError(message)

    def _download(self, number: int, words: NDArray[np.uint16]) -> None:
        self.write(f":TRAC:DEF {number},{len(words)}")
        self.write(f":TRAC:SEL {number}")
        self.parent.ask("*OPC?")
        # A block goes to the selection: the guide forbids to chain it with other commands.
        self.parent.write_bytes(
            b":TRAC:DATA " + definite_block(words.astype("<u2").tobytes()) + b"\n",
            f":TRAC:DATA of segment {number}",
        )
        selected = self.parent.ask(":INST:SEL?")[-1:], self.parent.ask(":TRAC:SEL?")
        self.parent.ask("*OPC?")
        self.parent.raise_errors(f":TRAC:DATA of segment {number}")
        if selected != (str(self.number), str(number)):
            message = (
                f"{self.full_name}: another program selected channel {selected[0]}, segment "
                f"{selected[1]} while segment {number} was loaded; end it, then load again"
            )
            raise RuntimeError(message)

    def _check_rate(self, sample_rate: float) -> None:
        memory = self.parent.memory
        inside = isfinite(sample_rate) and memory.min_rate <= sample_rate <= memory.max_rate
        if not inside or float(f"{sample_rate:.{memory.rate_digits}g}") != sample_rate:
            message = (
                f"{self.full_name}: `sample_rate` must be {memory.min_rate:g} to "
                f"{memory.max_rate:g} per s with {memory.rate_digits} digits, "
                f"but is {sample_rate!r}"
            )
            raise ValueError(message)

    def _check_reads(self, query: str, wanted: float, tolerance: float) -> None:
        now = number_in(self.ask(query))
        if not isclose(now, wanted, rel_tol=tolerance):
            message = f"{self.full_name}: {query} must read {wanted:g}, but reads {now:g}"
            raise RuntimeError(message)


class Keysight81180A(TwoChannelGenerator[Keysight81180AChannel]):
    """Agilent/Keysight 81180A or 81180B; fulfils `instruments.roles.WaveformGenerator`.

    Connecting changes nothing. Safe state: both outputs off, runs aborted. Thread-safe: the lock is
    held around a whole download. Other clients may use the other channel meanwhile, but not load
    waveforms: that a download went elsewhere is noticed and raises.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name.
    peak_limit : float
        Largest magnitude into 50 Ω that what follows (amplifier and modulator) bears, V.
    memory_points : int
        Waveform memory of a channel.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`.
    """

    identity = r"^(Agilent|Keysight) Technologies,81180[AB],"

    clock_coupled = switch(
        ":INST:COUP:STAT",
        "Common clock",
        doc="Whether channel 2 follows the sample clock of channel 1.",
    )
    skew = number(
        ":INST:COUP:SKEW", "s", "Skew of channel 2", -3e-9, 3e-9, form=".6g",
        doc="Fine delay between coupled channels.",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        address: str,
        *,
        peak_limit: float,
        memory_points: int = MODEL_A.points,
        **kwargs: "Unpack[VisaInstrumentKWArgs]",
    ) -> None:
        if not 0 < peak_limit <= 2:
            message = f"{name}: `peak_limit` must be above 0 and up to 2 V, but is {peak_limit}"
            raise ValueError(message)
        super().__init__(name, address, **kwargs)
        self.peak_limit = peak_limit
        model = MODEL_B if "81180B" in self.ask("*IDN?") else MODEL_A
        self.memory = replace(model, points=memory_points)
        self.ch1 = self.add_submodule("ch1", Keysight81180AChannel(self, 1))
        self.ch2 = self.add_submodule("ch2", Keysight81180AChannel(self, 2))
        add_parameters(self)

    def load_segments(
        self, channel: int, segments: Sequence[NDArray[np.float64]], sample_rate: float
    ) -> None:
        """Replace the channel's segments (V into 50 Ω); the output is off afterwards."""
        self.channel(channel).load_segments(segments, sample_rate)

    def load_sequence(self, channel: int, steps: Sequence[tuple[int, int]]) -> None:
        """Replace the channel's sequence of (segment, loops), started by each trigger."""
        self.channel(channel).load_sequence(steps)

    def snapshot_base(
        self, update: bool | None = False, params_to_skip_update: Sequence[str] | None = None
    ) -> dict[Any, Any]:
        """Return the state; the selected channel is what it was before."""
        with self.lock:
            if update is False:
                return super().snapshot_base(update, params_to_skip_update)
            selected = self.ask(":INST:SEL?")
            snapshot = super().snapshot_base(update, params_to_skip_update)
            self.write(f":INST:SEL CH{selected[-1]}")
            return snapshot

    def _off_commands(self, number: int) -> tuple[str, ...]:
        return f":INST:SEL CH{number};:OUTP 0", f":INST:SEL CH{number};:ABOR"
