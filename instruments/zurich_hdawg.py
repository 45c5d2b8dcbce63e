"""Zurich Instruments HDAWG through the maker's zhinst-toolkit. Not verified on hardware.

Voltage of a full-scale sample and latency from trigger to output are not in the sources used: the
first is a value of the station file, the latency is part of its ``eom_delay``. Granularity and
shortest waveform are values of the station file too; zhinst-core's compiler has 16 and 32.
"""

from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument import Instrument, InstrumentChannel
from qcodes.validators import Bool

from instruments.bases.parameters import Declared, add_parameters
from instruments.links.vendor_library import optional_package

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

CLOCK = (100e6, 2.4e9)
"""Sample clock, Hz."""

RISING = 1
"""Trigger slope."""

WAVE_MEMORY = 64 * 2**20
"""Samples per channel."""


class HDAWGChannel(InstrumentChannel["ZurichHDAWG"]):
    """One output.

    Parameters
    ----------
    parent : ZurichHDAWG
    number : int
        From 1.
    """

    output = Declared[bool](
        "Output",
        get=lambda self: bool(self.parent.device.sigouts[self.number - 1].on()),
        set=lambda self, on: self.parent.set_output(self.number, on=bool(on)),
        vals=Bool(),
        doc="Only what was programmed is let out.",
    )

    def __init__(self, parent: "ZurichHDAWG", number: int) -> None:
        super().__init__(parent, f"ch{number}")
        self.number = number
        self.segments: list[NDArray[np.float64]] = []
        self.steps: tuple[tuple[int, int], ...] = ()
        add_parameters(self)


class ZurichHDAWG(Instrument):
    """HDAWG of four or eight channels; fulfils `instruments.roles.WaveformGenerator`.

    A sequence is a SeqC program that waits for a digital trigger and then plays the segments, in
    an endless loop of its own. Two channels share a sequencer: programming one silences the other.
    Safe state: outputs off, sequencers stopped. Thread-safe: programming holds `lock`.

    Parameters
    ----------
    name : str
    address : str
        Host of the LabOne data server.
    serial : str
        Of the device, ``dev8000``.
    n_channels : int
        4 or 8.
    full_scale : float
        Voltage into 50 Ω of a sample of 1 at the configured output range, V, measured.
    peak_limit : float
        Largest voltage that what hangs on the outputs bears, V into 50 Ω.
    granularity, shortest : int
        Lengths of segments are multiples of the one and not below the other.
    trigger_input : int
        1 to 8: the input whose rising edge starts a sequence.
    library : module or object, optional
        By default the installed ``zhinst.toolkit``; an object needs ``Session`` and ``Waveforms``.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        serial: str,
        n_channels: int,
        full_scale: float,
        peak_limit: float,
        granularity: int,
        shortest: int,
        trigger_input: int,
        library: Any = None,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if n_channels not in (4, 8) or not 1 <= trigger_input <= 8:
            message = (
                f"{name}: `n_channels` must be 4 or 8 and `trigger_input` 1 to 8, but are "
                f"{n_channels} and {trigger_input}"
            )
            raise ValueError(message)
        if not (0 < peak_limit <= full_scale and granularity >= 1 and shortest >= granularity):
            message = (
                f"{name}: `peak_limit` must be above 0 and at most `full_scale`, `shortest` at "
                f"least `granularity`, but are {peak_limit:g} V, {full_scale:g} V, {shortest}, "
                f"{granularity}"
            )
            raise ValueError(message)
        super().__init__(name, **kwargs)
        if library is None:
            library = optional_package("zhinst.toolkit", "pip install -e '.[zurich]'")
        self._library, self._serial = library, serial
        self._scale, self.peak_limit = full_scale, peak_limit
        self._granularity, self._shortest = granularity, shortest
        self._trigger = trigger_input - 1
        self.lock = RLock()
        self.device: Any = self._connect(address)
        self.channels = tuple(HDAWGChannel(self, number) for number in range(1, n_channels + 1))
        for channel in self.channels:
            self.add_submodule(channel.short_name, channel)

    @property
    def n_channels(self) -> int:
        """Number of outputs, numbered from 1."""
        return len(self.channels)

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, model, serial number and firmware."""
        return {
            "vendor": "Zurich Instruments",
            "model": str(self.device.device_type),
            "serial": self._serial,
            "firmware": str(self.device.system.fwrevision()),
        }

    def load_segments(
        self, channel: int, segments: Sequence[NDArray[np.float64]], sample_rate: float
    ) -> None:
        """Replace the channel's segments (V into 50 Ω); numbers follow the order, from 1.

        Raises
        ------
        ValueError
            If rate, length or voltage are out of range.
        """
        one = self._channel(channel)
        if not CLOCK[0] <= sample_rate <= CLOCK[1]:
            message = (
                f"{self.name}: `sample_rate` must be {CLOCK[0]:g} to {CLOCK[1]:g} Hz, "
                f"but is {sample_rate:g} Hz"
            )
            raise ValueError(message)
        waves = [np.asarray(segment, np.float64) for segment in segments]
        for number, wave in enumerate(waves, start=1):
            self._check(number, wave)
        with self.lock:
            self._silence(channel)
            self.device.system.clocks.sampleclock.freq(sample_rate)
            now = float(self.device.system.clocks.sampleclock.freq())
            if not abs(now / sample_rate - 1) < 1e-6:
                message = (
                    f"{self.name}: the sample clock must be {sample_rate:g} Hz, but is {now:g}"
                )
                raise RuntimeError(message)
            one.segments, one.steps = waves, ()

    def load_sequence(self, channel: int, steps: Sequence[tuple[int, int]]) -> None:
        """Replace the channel's sequence of (segment, loops), started by each trigger.

        Raises
        ------
        ValueError
            If a step names a segment that is not loaded, or plays it less than once.
        RuntimeError
            If the sequencer does not start.
        """
        one = self._channel(channel)
        for segment, loops in steps:
            if not (1 <= segment <= len(one.segments) and loops >= 1):
                message = (
                    f"{self.name}: each step must name a segment, 1 to {len(one.segments)}, and "
                    f"play it once or more, but one is {(segment, loops)}"
                )
                raise ValueError(message)
        with self.lock:
            self._silence(channel)
            core = self.device.awgs[(channel - 1) // 2]
            core.auxtriggers[0].channel(self._trigger)
            core.auxtriggers[0].slope(RISING)
            core.load_sequencer_program(self._program(channel, steps))
            waveforms = self._library.Waveforms()
            for index, wave in enumerate(one.segments):
                waveforms.assign_waveform(index, wave / self._scale)
            core.write_to_waveform_memory(waveforms)
            core.enable_sequencer(single=False)
            one.steps = tuple(steps)

    def set_output(self, channel: int, *, on: bool) -> None:
        """Switch an output; refuses to switch on without a sequence."""
        one = self._channel(channel)
        with self.lock:
            if on and not one.steps:
                message = f"{one.full_name}: load a sequence before switching it on"
                raise RuntimeError(message)
            self.device.sigouts[channel - 1].on(int(on))
            if self.output_is_on(channel) != on:
                message = f"{one.full_name}: the output did not switch {'on' if on else 'off'}"
                raise RuntimeError(message)

    def output_is_on(self, channel: int) -> bool:
        """Ask the instrument whether an output is on."""
        return bool(self._channel(channel).output.get())

    def safe_state(self) -> None:
        """Switch all outputs off and stop all sequencers, and check."""
        with self.lock:
            for number in range(self.n_channels):
                self.device.sigouts[number].on(0)
            for core in range(self.n_channels // 2):
                self.device.awgs[core].enable(0)
            still = [n for n in range(1, self.n_channels + 1) if self.output_is_on(n)]
        if still:
            message = f"{self.name}: channels {still} must be off, but are on; cut their power"
            raise RuntimeError(message)

    def _connect(self, address: str) -> Any:
        try:
            return self._library.Session(address).connect_device(self._serial)
        except Exception as error:  # the toolkit's own kinds
            message = (
                f"{self.name}: {self._serial} must be reachable by the data server at {address}, "
                f"but is not: {error}"
            )
            raise ConnectionError(message) from error

    def _silence(self, channel: int) -> None:
        """Switch both outputs of the channel's sequencer off, stop it, forget its sequences."""
        core = (channel - 1) // 2
        for number in (2 * core + 1, 2 * core + 2):
            self.set_output(number, on=False)
            self.channels[number - 1].steps = ()
        self.device.awgs[core].enable(0)

    def _program(self, channel: int, steps: Sequence[tuple[int, int]]) -> str:
        """Return the SeqC text that plays the steps at each trigger."""
        own = (channel - 1) % 2 + 1
        waves = self._channel(channel).segments
        lines = [
            line
            for index, wave in enumerate(waves)
            for line in (
                f"wave w{index} = placeholder({len(wave)}, false, false);",
                f"assignWaveIndex({own}, w{index}, {index});",
            )
        ]
        lines += ["while (true) {", "  waitDigTrigger(1);"]
        for segment, loops in steps:
            lines.append(f"  repeat ({loops}) {{ playWave({own}, w{segment - 1}); }}")
        return "\n".join([*lines, "}", ""])

    def _channel(self, number: int) -> HDAWGChannel:
        if not 1 <= number <= self.n_channels:
            message = f"{self.name}: `channel` must be 1 to {self.n_channels}, but is {number}"
            raise ValueError(message)
        return self.channels[number - 1]

    def _check(self, number: int, wave: NDArray[np.float64]) -> None:
        where = f"{self.name}: segment {number}"
        length = len(wave)
        if length < self._shortest or length % self._granularity or length > WAVE_MEMORY:
            message = (
                f"{where} must have {self._shortest} samples or more, a multiple of "
                f"{self._granularity}, but has {length}"
            )
            raise ValueError(message)
        if not np.all(np.abs(wave) <= self.peak_limit):
            message = (
                f"{where} must stay within ±{self.peak_limit:g} V, but goes to "
                f"{np.max(np.abs(wave)):g} V"
            )
            raise ValueError(message)
