"""QCoDeS's driver of the Tektronix AWG5014 as waveform generator, or as generator of AOM pulses."""

from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument import Instrument

if TYPE_CHECKING:
    from typing import Self

    from qcodes.instrument import InstrumentBaseKWArgs
    from qcodes.parameters import Parameter
    from typing_extensions import Unpack

    from instruments.roles import PulseShape

Volts = NDArray[np.float64]

AMPLITUDES = (0.02, 4.5)
"""Peak to peak, V into 50 Ω."""
CLOCK = (10e6, 1.2e9)
"""Samples per second."""
LOOPS = 65536
"""Most repetitions of a sequence element."""
QUEUE_DEPTH = 64
"""Errors that are read at most."""


class _OnAWG5014(Instrument):
    """Base: an AWG5014 that QCoDeS's driver opened, and what is programmed through this role.

    Parameters
    ----------
    name : str
    generator : str
        Name of the AWG5014 in the station; nothing else may program it.
    peak_limit : float
        Largest voltage that what hangs on the outputs bears, V into 50 Ω.
    """

    def __init__(
        self,
        name: str,
        generator: str,
        peak_limit: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if not peak_limit > 0:
            message = f"{name}: `peak_limit` must be above 0 V, but is {peak_limit:g} V"
            raise ValueError(message)
        super().__init__(name, **kwargs)
        self._awg: Any = Instrument.find_instrument(generator)
        self._peak_limit = peak_limit
        self.lock = RLock()

    @property
    def n_channels(self) -> int:
        """Number of outputs, numbered from 1."""
        return int(self._awg.num_channels)

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, model, serial number and firmware of the generator."""
        return dict(self._awg.get_idn())

    def output_is_on(self, channel: int) -> bool:
        """Ask the instrument whether an output is on."""
        return bool(self._output(channel).state.get())

    def safe_state(self) -> None:
        """Switch all outputs off and stop, and check."""
        with self.lock:
            channels = range(1, self.n_channels + 1)
            for channel in channels:
                self._output(channel).state.set(0)
            self._awg.stop()
            still = [channel for channel in channels if self.output_is_on(channel)]
        if still:
            message = f"{self.name}: channels {still} must be off, but are on; cut their power"
            raise RuntimeError(message)

    def _output(self, channel: int) -> Any:
        if not 1 <= channel <= self.n_channels:
            message = f"{self.name}: `channel` must be 1 to {self.n_channels}, but is {channel}"
            raise ValueError(message)
        return getattr(self._awg, f"ch{channel}")

    def _switch(self, channel: int, *, on: bool, programmed: bool) -> None:
        with self.lock:
            if on and not programmed:
                message = f"{self.name}: program channel {channel} before switching it on"
                raise RuntimeError(message)
            self._output(channel).state.set(int(on))
            if self.output_is_on(channel) != on:
                message = (
                    f"{self.name}: channel {channel} did not switch {'on' if on else 'off'} when "
                    "told to"
                )
                raise RuntimeError(message)

    def _check(self, waves: Sequence[Volts], sample_rate: float) -> None:
        if not CLOCK[0] <= sample_rate <= CLOCK[1]:
            message = (
                f"{self.name}: `sample_rate` must be {CLOCK[0]:g} to {CLOCK[1]:g} Hz, but is "
                f"{sample_rate:g} Hz"
            )
            raise ValueError(message)
        for wave in waves:
            if wave.ndim != 1 or not np.all(np.abs(wave) <= self._peak_limit):
                message = (
                    f"{self.name}: a waveform must be one row of samples within "
                    f"±{self._peak_limit:g} V, but has shape {wave.shape} and goes to "
                    f"{np.max(np.abs(wave), initial=0.0):g} V"
                )
                raise ValueError(message)

    def _send(self, channel: int, waves: Sequence[Volts]) -> list[str]:
        """Set an output's range to these waves, send them, and return their names."""
        output = self._output(channel)
        low, high = (float(extreme(list(map(extreme, waves)))) for extreme in (min, max))
        offset = round((low + high) / 2, 3)
        half = max(high - offset, offset - low, AMPLITUDES[0] / 2)
        amplitude = round(2 * half + 1e-6, 6)  # the driver sends whole µV
        output.amp.set(amplitude)
        output.offset.set(offset)
        names = [f"{self.name}_{channel}_{index}" for index in range(1, len(waves) + 1)]
        for name, wave in zip(names, waves, strict=True):
            no_marker = np.zeros(len(wave), np.int64)
            self._awg.send_waveform_to_list(
                (wave - offset) / (amplitude / 2), no_marker, no_marker, name
            )
        found = (float(output.amp.get()), float(output.offset.get()))
        if not np.allclose(found, (amplitude, offset), rtol=0, atol=1e-4):
            message = (
                f"{self.name}: amplitude and offset of channel {channel} must be {amplitude:g} and "
                f"{offset:g} V, but read {found[0]:g} and {found[1]:g} V"
            )
            raise RuntimeError(message)
        return names

    def _set_clock(self, sample_rate: float) -> None:
        self._awg.clock_freq.set(sample_rate)
        if not abs((found := self._awg.clock_freq.get()) / sample_rate - 1) < 1e-6:
            message = f"{self.name}: the clock must be {sample_rate:g} Hz, but reads {found:g} Hz"
            raise RuntimeError(message)

    def _errors(self) -> list[str]:
        """Empty the generator's error queue and return its entries, oldest first."""
        found: list[str] = []
        while len(found) < QUEUE_DEPTH and not (told := str(self._awg.get_error())).startswith(
            "0,"
        ):
            found.append(told)
        return found

    def _forget_old_errors(self) -> None:
        """Take out errors from before, of which what follows is innocent."""
        if old := self._errors():
            self.log.warning("%s had errors in its queue: %s", self._awg.name, "; ".join(old))

    def _run(self, mode: str) -> None:
        """Let external triggers play what is loaded; no error may be left."""
        self._awg.trigger_source.set("EXT")
        self._awg.run_mode.set(mode)
        state, told = self._awg.run(), self._errors()
        if told or state != "Waiting for trigger":
            message = (
                f"{self.name}: the generator must wait for a trigger after it was programmed, but "
                f"is {state!r} and says {'; '.join(told) or 'no error'}"
            )
            raise RuntimeError(message)


class AWG5014Waveforms(_OnAWG5014):
    """A sequence per trigger; fulfils `instruments.roles.WaveformGenerator`.

    All channels share one sequence: programming a channel silences the others. Safe state: outputs
    off, stopped. Not verified on hardware.

    Parameters
    ----------
    name : str
    generator : str
        Name of the AWG5014 in the station; nothing else may program it.
    peak_limit : float
        Largest voltage that what hangs on the outputs bears, V into 50 Ω.
    """

    _channel = 0
    _names: Sequence[str] = ()
    _is_loaded = False

    def load_segments(self, channel: int, segments: Sequence[Volts], sample_rate: float) -> None:
        """Replace the channel's segments (V into 50 Ω); numbers follow the order, from 1.

        Raises
        ------
        ValueError
            If rate or voltage are out of range.
        RuntimeError
            If a setting does not read back as it was set.
        """
        waves = [np.asarray(segment, np.float64) for segment in segments]
        self._check(waves, sample_rate)
        with self.lock:
            self._is_loaded = False
            self.safe_state()
            self._forget_old_errors()
            self._awg.sequence_length.set(0)
            self._set_clock(sample_rate)
            self._channel, self._names = channel, self._send(channel, waves)

    def load_sequence(self, channel: int, steps: Sequence[tuple[int, int]]) -> None:
        """Replace the sequence of (segment, loops), started by each external trigger.

        Raises
        ------
        ValueError
            If a step names a segment that is not loaded, or plays it less than once.
        RuntimeError
            If the generator refuses something or does not wait for triggers afterwards.
        """
        known = len(self._names) if channel == self._channel else 0
        for segment, loops in steps:
            if not (1 <= segment <= known and 1 <= loops <= LOOPS):
                message = (
                    f"{self.name}: each step must name a segment, 1 to {known}, and play it 1 to "
                    f"{LOOPS} times, but one is {(segment, loops)}"
                )
                raise ValueError(message)
        with self.lock:
            self._is_loaded = False
            self.safe_state()
            self._forget_old_errors()
            self._awg.sequence_length.set(0)
            self._awg.sequence_length.set(len(steps))
            for number, (segment, loops) in enumerate(steps, start=1):
                self._awg.set_sqel_waveform(self._names[segment - 1], channel, number)
                self._awg.set_sqel_loopcnt(loops, number)
            self._awg.set_sqel_trigger_wait(1, 1)
            self._awg.set_sqel_goto_target_index(len(steps), 1)
            self._awg.set_sqel_goto_state(len(steps), 1)
            self._run("SEQ")
            self._is_loaded = True

    def set_output(self, channel: int, *, on: bool) -> None:
        """Switch an output; refuses to switch on without a sequence."""
        self._switch(channel, on=on, programmed=self._is_loaded and channel == self._channel)


class AWG5014Pulses(_OnAWG5014):
    """Sampled pulses per trigger; fulfils `instruments.roles.PulseGenerator`.

    Safe state: outputs off, stopped. Not verified on hardware.

    Parameters
    ----------
    name : str
    generator : str
        Name of the AWG5014 in the station; nothing else may program it.
    peak_limit : float
        Largest voltage that what hangs on the outputs bears, V into 50 Ω.
    sample_rate : float
        Of all channels, Hz.
    points : int
        Length of every waveform: channels play together. The last sample is held to that length.

    Attributes
    ----------
    triggered : Parameter of bool
        Whether it plays only what a trigger starts; otherwise the light may be steady.
    """

    def __init__(
        self,
        name: str,
        generator: str,
        peak_limit: float,
        sample_rate: float,
        points: int,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        super().__init__(name, generator, peak_limit, **kwargs)
        self._sample_rate, self._points = sample_rate, points
        self._check((), sample_rate)
        self._loaded: set[int] = set()
        self.triggered: Parameter[bool, Self] = self.add_parameter(
            "triggered",
            label="Plays only what a trigger starts",
            get_cmd=lambda: str(self._awg.run_mode.get()).upper().startswith("TRIG"),
        )

    def program_pulse(self, channel: int, pulse: "PulseShape") -> None:
        """Set one pulse, with straight edges, per external trigger; the output stays as it was.

        Raises
        ------
        ValueError
            If it does not fit into the waveform or the limits.
        RuntimeError
            If the generator refuses something or does not wait for triggers afterwards.
        """
        time = np.arange(self._points) / self._sample_rate
        step = max(pulse.edge / 0.8, 1 / self._sample_rate)  # 10 % to 90 % are 0.8 of a ramp
        rise, fall = (
            np.clip((time - at) / step + 0.5, 0.0, 1.0)
            for at in (pulse.delay, pulse.delay + pulse.width)
        )
        if not (rise[0] == 0 and fall[-1] == 1):
            message = (
                f"{self.name}: a pulse must begin after the trigger and end within "
                f"{self._points / self._sample_rate:g} s, but lasts from {pulse.delay:g} s for "
                f"{pulse.width:g} s"
            )
            raise ValueError(message)
        levels = pulse.low + (pulse.high - pulse.low) * (rise - fall)
        self.program_waveform(channel, levels, self._sample_rate)

    def program_waveform(self, channel: int, samples: Volts, sample_rate: float) -> None:
        """Set a waveform (V into 50 Ω) per external trigger; the output stays as it was.

        Raises
        ------
        ValueError
            If rate, length or voltage are out of range.
        RuntimeError
            If the generator refuses something or does not wait for triggers afterwards.
        """
        wave = np.asarray(samples, np.float64)
        if sample_rate != self._sample_rate or not 1 <= len(wave) <= self._points:
            message = (
                f"{self.name}: a waveform must have 1 to {self._points} samples at "
                f"{self._sample_rate:g} Hz, but has {len(wave)} at {sample_rate:g} Hz; `points` "
                "and `sample_rate` of the station file say so"
            )
            raise ValueError(message)
        self._check([wave], sample_rate)
        with self.lock:
            self._forget_old_errors()
            was_on = self.output_is_on(channel)
            self._switch(channel, on=False, programmed=False)
            self._awg.stop()
            self._set_clock(sample_rate)
            held = np.pad(wave, (0, self._points - len(wave)), mode="edge")
            (name,) = self._send(channel, [held])
            self._output(channel).waveform.set(name)
            self._run("TRIG")
            self._loaded.add(channel)
            if was_on:
                self._switch(channel, on=True, programmed=True)

    def set_output(self, channel: int, *, on: bool) -> None:
        """Switch an output; refuses to switch on what was not programmed."""
        self._switch(channel, on=on, programmed=channel in self._loaded)

    def safe_state(self) -> None:
        """Switch all outputs off and stop, and check."""
        super().safe_state()
        self._loaded.clear()
