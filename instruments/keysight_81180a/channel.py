"""One channel of an 81180A: output path, segments, sequence; every exchange selects it first."""

from collections.abc import Sequence
from math import ceil, isclose, isfinite, log10
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from qcodes.validators import Multiples, Numbers

from instruments.bases.number_parameter import add_number
from instruments.bases.scpi import ON_OFF
from instruments.bases.two_channel_generator import GeneratorChannel
from instruments.keysight_81180a.waveform import (
    check_segments,
    check_steps,
    data_block,
    encode_words,
)

if TYPE_CHECKING:
    from qcodes.parameters import Parameter

    from instruments.keysight_81180a.driver import Keysight81180A

OutputPath = Literal["DC", "DAC", "AC"]
MIN_AMPLITUDE, MAX_AMPLITUDE = 0.05, 2.0
MAX_DAC_AMPLITUDE = 0.5
"""Peak to peak into 50 Ω, V; of the DC path, and of the DAC path."""


class Keysight81180AChannel(GeneratorChannel["Keysight81180A"]):
    """One channel; every exchange selects it first, because selection is state of the instrument.

    Parameters
    ----------
    parent : Keysight81180A
    number : int
        1 or 2.
    """

    def __init__(self, parent: "Keysight81180A", number: int) -> None:
        super().__init__(parent, number, header=":OUTP", words=("0", "1"))
        self.segment_lengths: tuple[int, ...] = ()
        self.has_sequence = False
        self.path: Parameter[str, Self] = self.add_parameter(
            "path",
            label="Output path",
            get_cmd=":OUTP:COUP?",
            docstring="DC (amplifier), DAC (direct) or AC; changed by `set_path` only.",
        )
        self.mode: Parameter[str, Self] = self.add_parameter(
            "mode", label="Function mode", get_cmd=":FUNC:MODE?", docstring="FIX, USER, SEQ, …"
        )
        self.amplitude = self._span("amplitude", ":VOLT", "DC path", MAX_AMPLITUDE)
        self.dac_amplitude = self._span("dac_amplitude", ":VOLT:DAC", "DAC path", MAX_DAC_AMPLITUDE)
        self.offset: Parameter[float, Self] = self.add_parameter(
            "offset",
            label="Offset into 50 Ω",
            unit="V",
            get_cmd=":VOLT:OFFS?",
            get_parser=float,
            set_cmd=self._set_offset,
            vals=Numbers(-1.5, 1.5),
            docstring="Together with half the amplitude within the peak limit (``:VOLT:OFFS``).",
        )
        self.sample_rate = add_number(
            self, "sample_rate", ":FREQ:RAST", "1/s", "Sample clock, 8 digits", 10e6, 4.2e9
        )
        self.trigger_level = add_number(
            self, "trigger_level", ":TRIG:LEV", "V", "Trigger threshold", -5, 5
        )
        self.trigger_delay: Parameter[int, Self] = self.add_parameter(
            "trigger_delay",
            label="Trigger delay",
            unit="points",
            get_cmd=":TRIG:DEL?",
            get_parser=lambda reply: int(float(reply)),
            set_cmd=":TRIG:DEL {:d}",
            vals=Multiples(8, min_value=0, max_value=8_000_000),
            docstring="A multiple of 8 points (``:TRIG:DEL``).",
        )
        self.trigger_source: Parameter[str, Self] = self.add_parameter(
            "trigger_source",
            label="Trigger source",
            get_cmd=":TRIG:SOUR?",
            set_cmd=":TRIG:SOUR {}",
            val_mapping={"external": "EXT", "bus": "BUS", "timer": "TIM", "event": "EVEN"},
            docstring="What starts the waveform when `continuous` is off.",
        )
        self.trigger_slope: Parameter[str, Self] = self.add_parameter(
            "trigger_slope",
            label="Trigger slope",
            get_cmd=":TRIG:SLOP?",
            set_cmd=":TRIG:SLOP {}",
            val_mapping={"rising": "POS", "falling": "NEG", "either": "EITH"},
            docstring="Edge of the trigger input that counts.",
        )
        self.continuous: Parameter[bool, Self] = self.add_parameter(
            "continuous",
            label="Runs without trigger",
            get_cmd=":INIT:CONT?",
            set_cmd=":INIT:CONT {}",
            val_mapping=ON_OFF,
            docstring="Whether the waveform repeats for ever.",
        )

    def write(self, cmd: str) -> None:
        """Select this channel and send a command."""
        with self.parent.lock:
            self.parent.select(self.number)
            self.parent.write(cmd)

    def ask(self, cmd: str) -> str:
        """Select this channel and send a query."""
        with self.parent.lock:
            self.parent.select(self.number)
            return self.parent.ask(cmd)

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
            If the clock or the amplitude reads back otherwise.
        """
        rows = [np.asarray(samples, dtype=np.float64) for samples in segments]
        peak = min(self.parent.peak_limit, MAX_AMPLITUDE / 2)
        check_segments(self.full_name, rows, peak, self.parent.rules)
        self._check_rate(sample_rate)
        highest = max(float(np.max(np.abs(row))) for row in rows)
        amplitude = max(ceil(2e3 * highest - 1e-6) / 1e3, MIN_AMPLITUDE)
        with self.parent.lock:
            self.forget_programming()
            self.output(False)
            self.write(":FUNC:MODE USER")
            self.write(":TRAC:DEL:ALL")
            self.sample_rate(sample_rate)
            self.write(":VOLT:OFFS 0")  # before the amplitude, so that their sum never overshoots
            self.offset.cache.set(0.0)
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

    def load_sequence(self, steps: Sequence[tuple[int, int]]) -> None:
        """Replace the sequence of (segment, loops); each external trigger plays it once.

        Raises
        ------
        ValueError
            If a segment is not loaded, or no legal sequence plays the same.
        RuntimeError
            If the instrument does not enter sequence mode.
        """
        legal = check_steps(self.full_name, steps, len(self.segment_lengths), self.parent.rules)
        with self.parent.lock:
            self.has_sequence = False
            self.write(":FUNC:MODE USER")  # editing in sequence mode is slow
            self.write(":SEQ:DEL:ALL")
            self.write(":SEQ:SEL 1")
            for number, (segment, loops) in enumerate(legal, 1):
                self.write(f":SEQ:DEF {number},{segment},{loops},0")
            self.write(":SEQ:ADV AUTO")
            self.continuous(False)
            self.trigger_source("external")
            self.write(":FUNC:MODE SEQ")
            if not (mode := self.mode()).startswith("SEQ"):
                message = f"{self.full_name}: the mode must be SEQ, but reads {mode}"
                raise RuntimeError(message)
            self.has_sequence = True

    def _set_span(self, header: str, volts: float) -> None:
        with self.parent.lock:
            self._check_peak(volts, self.offset())
            self.write(f"{header} {volts:.8g}")

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
        self.ask("*OPC?")
        self.parent.write_bytes(data_block(words), f":TRAC:DATA of segment {number}")
        self.parent.ask("*OPC?")
        self.parent.raise_errors(f":TRAC:DATA of segment {number}")

    def _check_rate(self, sample_rate: float) -> None:
        rules = self.parent.rules.segments
        inside = isfinite(sample_rate) and rules.min_rate <= sample_rate <= rules.max_rate
        if not inside or float(f"{sample_rate:.{rules.rate_digits}g}") != sample_rate:
            message = (
                f"{self.full_name}: `sample_rate` must be {rules.min_rate:g} to "
                f"{rules.max_rate:g} per s with {rules.rate_digits} digits, but is {sample_rate!r}"
            )
            raise ValueError(message)

    def _check_reads(self, query: str, wanted: float, tolerance: float) -> None:
        now = float(self.ask(query))
        if not isclose(now, wanted, rel_tol=tolerance):
            message = f"{self.full_name}: {query} must read {wanted:g}, but reads {now:g}"
            raise RuntimeError(message)

    def _span(self, name: str, header: str, path: str, highest: float) -> "Parameter[float, Self]":
        return self.add_parameter(
            name,
            label=f"{path}, peak to peak",
            unit="V",
            get_cmd=f"{header}?",
            get_parser=float,
            set_cmd=lambda volts: self._set_span(header, volts),
            vals=Numbers(MIN_AMPLITUDE, highest),
            docstring=f"{path}, peak to peak into 50 Ω, within the peak limit (``{header}``).",
        )
