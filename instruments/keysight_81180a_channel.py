"""One channel of an 81180A: output path, segments, sequence; every exchange selects it first."""

from collections.abc import Sequence
from math import ceil, isfinite, log10
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument import InstrumentChannel
from qcodes.validators import Numbers

from instruments.keysight_waveform import check_segments, check_steps, data_block, encode_words

if TYPE_CHECKING:
    from qcodes.parameters import Parameter

    from instruments.keysight_81180a import Keysight81180A

OutputPath = Literal["DC", "DAC", "AC"]
ON_OFF = {True: "1", False: "0"}
MIN_AMPLITUDE, MAX_AMPLITUDE = 0.05, 2.0


class Keysight81180AChannel(InstrumentChannel["Keysight81180A"]):
    """One channel; every exchange selects it first, because selection is state of the instrument.

    Parameters
    ----------
    parent : Keysight81180A
    number : int
        1 or 2.
    """

    def __init__(self, parent: "Keysight81180A", number: int) -> None:
        super().__init__(parent, f"ch{number}")
        self.number = number
        self.segment_lengths: tuple[int, ...] = ()
        self.has_sequence = False
        self.output: Parameter[bool, Self] = self.add_parameter(
            "output",
            label="Output",
            get_cmd=":OUTP?",
            set_cmd=lambda code: self.switch(on=code == "1"),
            val_mapping=ON_OFF,
            docstring="Off leaves the path connected.",
        )
        self.path: Parameter[str, Self] = self.add_parameter(
            "path",
            label="Output path",
            get_cmd=":OUTP:COUP?",
            docstring="DC (amplifier), DAC (direct) or AC; changed by `set_path` only.",
        )
        self.mode: Parameter[str, Self] = self.add_parameter(
            "mode", label="Function mode", get_cmd=":FUNC:MODE?", docstring="FIX, USER, SEQ, …"
        )
        self.amplitude = self._number("amplitude", ":VOLT", "V", "DC path, peak to peak", 0.05, 2)
        self.dac_amplitude = self._number(
            "dac_amplitude", ":VOLT:DAC", "V", "DAC path, peak to peak", 0.05, 0.5
        )
        self.offset = self._number("offset", ":VOLT:OFFS", "V", "Offset into 50 Ω", -1.5, 1.5)
        self.sample_rate = self._number(
            "sample_rate", ":FREQ:RAST", "1/s", "Sample clock, 8 digits", 10e6, 4.2e9
        )
        self.trigger_level = self._number(
            "trigger_level", ":TRIG:LEV", "V", "Trigger threshold", -5, 5
        )
        self.trigger_delay = self._number(
            "trigger_delay", ":TRIG:DEL", "points", "Trigger delay, multiple of 8", 0, 8e6
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

    def switch(self, *, on: bool) -> None:
        """Switch the output and check by reading back; off until a sequence is loaded."""
        with self.parent.lock:
            if on and not self._is_in_sequence_mode():
                message = f"{self.full_name}: load segments and a sequence before switching it on"
                raise RuntimeError(message)
            self.write(f":OUTP {int(on)}")
            if (self.ask(":OUTP?") == "1") != on:
                message = f"{self.full_name}: the output did not switch {'on' if on else 'off'}"
                raise RuntimeError(message)

    def set_path(self, path: OutputPath, amplitude: float) -> None:
        """Choose the output path: its level first, then the path, so that nothing overshoots.

        Parameters
        ----------
        path : {"DC", "DAC", "AC"}
        amplitude : float
            Peak to peak into 50 Ω, V: 0.05 to 2 (DC), 0.05 to 0.5 (DAC), and 0.356 to 1.124 (AC,
            −5 to +5 dBm as a sine).
        """
        if not amplitude / 2 <= self.parent.peak_limit:
            message = (
                f"{self.full_name}: `amplitude` must be up to {2 * self.parent.peak_limit:g} V "
                f"peak to peak, but is {amplitude:g} V"
            )
            raise ValueError(message)
        with self.parent.lock:
            if path == "DC":
                self.amplitude(amplitude)
            elif path == "DAC":
                self.dac_amplitude(amplitude)
            else:
                self.write(f":POW {10 * log10(amplitude**2 / 400) + 30:.3f}")
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
        """
        rows = [np.asarray(samples, dtype=np.float64) for samples in segments]
        peak = min(self.parent.peak_limit, MAX_AMPLITUDE / 2)
        check_segments(self.full_name, rows, peak, self.parent.rules)
        self._check_rate(sample_rate)
        highest = max(float(np.max(np.abs(row))) for row in rows)
        amplitude = max(ceil(2e3 * highest - 1e-6) / 1e3, MIN_AMPLITUDE)
        with self.parent.lock:
            self.has_sequence = False
            self.segment_lengths = ()
            self.output(False)
            self.write(":FUNC:MODE USER")
            self.write(":TRAC:DEL:ALL")
            self.sample_rate(sample_rate)
            self.amplitude(amplitude)
            self.write(":OUTP:COUP DC")
            self.offset(0)
            for number, row in enumerate(rows, 1):
                words = encode_words(
                    row, amplitude, markers[number - 1] if markers else (None, None)
                )
                self._download(number, words)
            self.segment_lengths = tuple(map(len, rows))
            self._check_reads(":FREQ:RAST?", sample_rate, 1e-8)
            self._check_reads(":VOLT?", amplitude, 2e-3)

    def load_sequence(self, steps: Sequence[tuple[int, int]]) -> None:
        """Replace the sequence of (segment, loops); each external trigger plays it once."""
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

    def _is_in_sequence_mode(self) -> bool:
        mode = self.mode()  # asked first: a link that is opened anew forgets the sequence
        return self.has_sequence and mode.startswith("SEQ")

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
        if abs(now - wanted) > tolerance * abs(wanted):
            message = f"{self.full_name}: {query} must read {wanted:g}, but reads {now:g}"
            raise RuntimeError(message)

    def _number(
        self, name: str, header: str, unit: str, label: str, low: float, high: float
    ) -> "Parameter[float, Self]":
        return self.add_parameter(
            name,
            label=label,
            unit=unit,
            get_cmd=f"{header}?",
            get_parser=float,
            set_cmd=f"{header} {{:.8g}}",
            vals=Numbers(low, high),
            docstring=f"{label} (``{header}``).",
        )
