"""Tektronix AFG3152C, a two-channel function generator, as the pulse source of the AOMs.

Commands and ranges are those of the programmer manual of the AFG3000 series. Not verified on
hardware: the latency from trigger input to output is not published (it is a mandatory calibration
value here), nor is where an arbitrary waveform rests between bursts.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from qcodes.validators import Numbers

from instruments.bases.two_channel_generator import TwoChannelGenerator
from instruments.roles import PulseShape
from instruments.tektronix_afg3152c.channel import TektronixAFG3152CChannel
from instruments.tektronix_afg3152c.limits import DriveLimits

if TYPE_CHECKING:
    from typing import Unpack

    from qcodes.instrument import VisaInstrumentKWArgs
    from qcodes.parameters import Parameter


class TektronixAFG3152C(TwoChannelGenerator[TektronixAFG3152CChannel]):
    """Tektronix AFG3152C function generator; fulfils `instruments.roles.PulseGenerator`.

    Connecting changes nothing. Safe state: both outputs off. Thread-safe: programming a channel
    holds `lock` from beginning to end.

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
        if not 0 <= trigger_latency < 85:
            message = f"{name}: `trigger_latency` must be 0 to 85 s, but is {trigger_latency}"
            raise ValueError(message)
        super().__init__(name, address, **kwargs)
        self.trigger_latency = trigger_latency
        self.ch1 = self.add_submodule("ch1", TektronixAFG3152CChannel(self, 1, limits[1]))
        self.ch2 = self.add_submodule("ch2", TektronixAFG3152CChannel(self, 2, limits[2]))
        self.trigger_source: Parameter[str, Self] = self.add_parameter(
            "trigger_source",
            label="Trigger source",
            get_cmd="TRIG:SOUR?",
            set_cmd="TRIG:SOUR {}",
            val_mapping={"external": "EXT", "timer": "TIM"},
            docstring="What starts a burst, on both channels.",
        )
        self.trigger_slope: Parameter[str, Self] = self.add_parameter(
            "trigger_slope",
            label="Trigger slope",
            get_cmd="TRIG:SLOP?",
            set_cmd="TRIG:SLOP {}",
            val_mapping={"rising": "POS", "falling": "NEG"},
            docstring="Edge of the trigger input that counts.",
        )
        self.trigger_period: Parameter[float, Self] = self.add_parameter(
            "trigger_period",
            label="Timer period",
            unit="s",
            get_cmd="TRIG:TIM?",
            get_parser=float,
            set_cmd="TRIG:TIM {:.12g}",
            vals=Numbers(1e-6, 500),
            docstring="Period of the internal trigger timer.",
        )

    def program_pulse(self, channel: int, pulse: PulseShape) -> None:
        """Set one pulse per external trigger; the output stays as it was."""
        self.channel(channel).program_pulse(pulse)

    def program_waveform(
        self, channel: int, samples: NDArray[np.float64], sample_rate: float
    ) -> None:
        """Set an arbitrary waveform (V) per external trigger; the output stays as it was."""
        self.channel(channel).program_waveform(samples, sample_rate)

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
