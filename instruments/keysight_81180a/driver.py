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

from instruments.bases.scpi import ON_OFF
from instruments.bases.two_channel_generator import TwoChannelGenerator
from instruments.keysight_81180a.channel import Keysight81180AChannel
from instruments.keysight_81180a.waveform import MODEL_A, MODEL_B

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs
    from qcodes.parameters import Parameter


class Keysight81180A(TwoChannelGenerator[Keysight81180AChannel]):
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
        return f":INST:SEL CH{number}", ":OUTP 0", ":ABOR"
