"""Agilent/Keysight 81180A (and B) arbitrary waveform generator, as the drive of the EOM.

Facts are those of the user guide 9018-03346. Not verified on hardware: download over a socket,
marker timing, transients when the output path changes (keep the amplifier muted), and the error
numbers, which are reported in the instrument's own words. An output that is switched off stays
connected, and a binary download that is interrupted leaves the interface hung until the power is
cycled.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from qcodes.validators import Numbers

from instruments.keysight_81180a_channel import ON_OFF, Keysight81180AChannel
from instruments.keysight_waveform import MODEL_A, MODEL_B
from instruments.scpi import ScpiInstrument

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs
    from qcodes.parameters import Parameter


class Keysight81180A(ScpiInstrument):
    """Agilent/Keysight 81180A or 81180B; fulfils `instruments.roles.WaveformGenerator`.

    Connecting changes nothing. Safe state: both outputs off, runs aborted. Thread-safe: the lock is
    held around channel selection and command, and around a whole download.

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

    identity = r"^Agilent Technologies,81180[AB],"
    n_channels = 2

    def __init__(
        self,
        name: str,
        address: str,
        *,
        peak_limit: float,
        memory_points: int = 16_000_000,
        **kwargs: "Unpack[VisaInstrumentKWArgs]",
    ) -> None:
        if not 0 < peak_limit <= 2:
            message = f"{name}: `peak_limit` must be above 0 and up to 2 V, but is {peak_limit}"
            raise ValueError(message)
        super().__init__(name, address, **kwargs)
        self.peak_limit = peak_limit
        model = MODEL_B if "81180B" in self.ask("*IDN?") else MODEL_A
        self.rules = replace(model, memory_points=memory_points)
        self.ch1 = self.add_submodule("ch1", Keysight81180AChannel(self, 1))
        self.ch2 = self.add_submodule("ch2", Keysight81180AChannel(self, 2))
        self.clock_coupled: Parameter[bool, Self] = self.add_parameter(
            "clock_coupled",
            label="Common clock",
            get_cmd=":INST:COUP:STAT?",
            set_cmd=":INST:COUP:STAT {}",
            val_mapping=ON_OFF,
            docstring="Whether channel 2 follows the sample clock of channel 1.",
        )
        self.skew: Parameter[float, Self] = self.add_parameter(
            "skew",
            label="Skew of channel 2",
            unit="s",
            get_cmd=":INST:COUP:SKEW?",
            get_parser=float,
            set_cmd=":INST:COUP:SKEW {:.6g}",
            vals=Numbers(-3e-9, 3e-9),
            docstring="Fine delay between coupled channels.",
        )

    def channel(self, number: int) -> Keysight81180AChannel:
        """Return channel 1 or 2."""
        if number not in (1, 2):
            message = f"{self.name}: `channel` must be 1 or 2, but is {number}"
            raise ValueError(message)
        return self.ch1 if number == 1 else self.ch2

    def select(self, channel: int) -> None:
        """Make a channel the one that commands act on; hold `lock` until they are sent."""
        self.write_unchecked(f":INST:SEL CH{channel}")

    def load_segments(
        self, channel: int, segments: Sequence[NDArray[np.float64]], sample_rate: float
    ) -> None:
        """Replace the channel's segments (V into 50 Ω); the output is off afterwards."""
        self.channel(channel).load_segments(segments, sample_rate)

    def load_sequence(self, channel: int, steps: Sequence[tuple[int, int]]) -> None:
        """Replace the channel's sequence of (segment, loops), started by each trigger."""
        self.channel(channel).load_sequence(steps)

    def set_output(self, channel: int, *, on: bool) -> None:
        """Switch an output; refuses to switch on without a sequence."""
        self.channel(channel).output(on)

    def safe_state(self) -> None:
        """Switch both outputs off and abort the runs at once, and check.

        Raises
        ------
        OSError, RuntimeError
            If an output may still be on.
        """
        with self.lock:
            for number in (1, 2):
                self.send_blindly(f":INST:SEL CH{number}", ":OUTP 0", ":ABOR")
            try:
                self._switch_off()
            except OSError:
                self._switch_off()  # on a fresh link

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

    def _switch_off(self) -> None:
        still_on = []
        for channel in (self.ch1, self.ch2):
            self.select(channel.number)
            self.write_unchecked(":OUTP 0")
            self.write_unchecked(":ABOR")
        for channel in (self.ch1, self.ch2):
            on = channel.ask(":OUTP?") != "0"
            channel.output.cache.set(on)
            still_on += [channel.number] * on
        if still_on:
            message = f"{self.name}: channels {still_on} must be off, but are on; cut their power"
            raise RuntimeError(message)

    def _link_was_opened_anew(self) -> None:
        for channel in (self.ch1, self.ch2):
            channel.segment_lengths = ()
            channel.has_sequence = False
