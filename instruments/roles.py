"""What the experiment asks of an instrument, whoever made it; drivers fulfil, labkit programs.

Every method takes plain numbers and arrays in SI units. Every role has a safe state that can be
reached from any state, without reading anything first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from qcodes.parameters import Parameter

    AnyFloat = Parameter[float, Any]
    AnyBool = Parameter[bool, Any]
    AnyInt = Parameter[int, Any]


@runtime_checkable
class Device(Protocol):
    """An instrument with a name, an identity and a safe state."""

    @property
    def name(self) -> str:
        """Name in the station."""

    def get_idn(self) -> dict[str, str | None]:
        """Return vendor, model, serial and firmware."""

    def safe_state(self) -> None:
        """Bring the device to its safe state at once: no light, no drive, actuators at rest.

        Never waits for a ramp or a reply longer than the device's time-out; idempotent.
        """


@runtime_checkable
class Laser(Device, Protocol):
    """A tunable continuous-wave laser. Safe state: emission off."""

    @property
    def wavelength(self) -> "AnyFloat":
        """Vacuum wavelength in m; setting it waits for arrival and checks by reading back."""

    @property
    def emission(self) -> "AnyBool":
        """Whether the laser emits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseShape:
    """One electrical pulse per trigger.

    Attributes
    ----------
    width : float
        Full width at half maximum in s.
    delay : float
        From trigger to the middle of the leading edge, in s.
    low, high : float
        Levels in V into the declared load.
    edge : float
        10 % to 90 % rise and fall time in s.
    """

    width: float
    delay: float
    low: float
    high: float
    edge: float


@runtime_checkable
class PulseGenerator(Device, Protocol):
    """A generator of triggered pulses that drive AOMs. Safe state: all outputs off."""

    @property
    def n_channels(self) -> int:
        """Number of output channels, numbered from 1."""

    def program_pulse(self, channel: int, pulse: PulseShape) -> None:
        """Set one pulse per external trigger; the output stays as it was."""

    def program_waveform(
        self, channel: int, samples: NDArray[np.float64], sample_rate: float
    ) -> None:
        """Set an arbitrary waveform (V) per external trigger; the output stays as it was."""

    def set_output(self, channel: int, *, on: bool) -> None:
        """Switch an output; refuses to switch on what was not programmed."""

    def output_is_on(self, channel: int) -> bool:
        """Ask the instrument whether an output is on."""


@runtime_checkable
class WaveformGenerator(Device, Protocol):
    """A sampled waveform generator that drives the EOM. Safe state: outputs off, run stopped."""

    def load_segments(
        self, channel: int, segments: Sequence[NDArray[np.float64]], sample_rate: float
    ) -> None:
        """Replace the channel's segments (V into 50 Ω); numbers follow the order, from 1.

        The output is off afterwards, and there is no sequence.
        """

    def load_sequence(self, channel: int, steps: Sequence[tuple[int, int]]) -> None:
        """Replace the channel's sequence of (segment, loops), started by each trigger."""

    def set_output(self, channel: int, *, on: bool) -> None:
        """Switch an output; refuses to switch on without a sequence."""

    def output_is_on(self, channel: int) -> bool:
        """Ask the instrument whether an output is on."""


LockState = Literal["off", "locked", "saturated"]


@runtime_checkable
class PhaseLock(Device, Protocol):
    """A servo that holds a phase with an actuator. Safe state: released, output at mid-range."""

    @property
    def setpoint(self) -> "AnyFloat":
        """Error-signal voltage to hold, in V."""

    @property
    def error(self) -> "AnyFloat":
        """Measured error signal minus set-point, in V."""

    @property
    def output(self) -> "AnyFloat":
        """Actuator voltage in V; settable only while released."""

    def engage(self, near: float | None = None) -> None:
        """Close the loop without a step of the output.

        Parameters
        ----------
        near : float, optional
            Put the output here before, in V, or as near as the servo can begin.
        """

    def release(self) -> None:
        """Open the loop and hold the output where it is."""

    def lock_state(self) -> LockState:
        """Tell whether the loop is open, holding, or at an output limit."""


@runtime_checkable
class RecordSink(Protocol):
    """Where a tagger's raw 32-bit records go: a tag file open for writing."""

    def write(self, records: NDArray[np.uint32]) -> None:
        """Append records."""

    def sync(self) -> None:
        """Bring everything written so far to the disk."""


TaggerEventKind = Literal["fifo_full", "dropped_events", "sync_lost", "system_error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerEvent:
    """Something that spoils data, seen while recording.

    Attributes
    ----------
    kind : str
        ``"fifo_full"``, ``"dropped_events"``, ``"sync_lost"`` or ``"system_error"``.
    records : int
        Records written before it was seen.
    message : str
    """

    kind: TaggerEventKind
    records: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerFormat:
    """What the records of a tagger mean, for the header of the file they go to.

    Attributes
    ----------
    record_type : int
        ``TTResultFormat_TTTRRecType`` of PicoQuant's tag dictionary.
    resolution : float
        Seconds per T2 tick or T3 bin.
    sync_rate : float
        Measured triggers per second.
    tags : tuple of (str, object)
        Further header facts: device, serial, library version, levels.
    duration_step : float
        A recording lasts a whole number of these, s; 0 if it may last any time.
    """

    record_type: int
    resolution: float
    sync_rate: float
    tags: tuple[tuple[str, object], ...] = ()
    duration_step: float = 0.0


@runtime_checkable
class TimeTagger(Device, Protocol):
    """A recorder of click times. Safe state: no measurement running."""

    def record_format(self) -> TaggerFormat:
        """Describe the records that `start` will deliver."""

    def count_rate(self, channel: int) -> float:
        """Return the clicks per second on an input channel, numbered as in the tag file."""

    def sync_rate(self) -> float:
        """Return the triggers per second."""

    def start(self, sink: RecordSink, duration: float) -> None:
        """Begin to record for `duration` seconds into `sink`; returns at once."""

    def wait(self, timeout: float) -> bool:
        """Wait for the recording's end; tell whether it has ended."""

    def stop(self) -> None:
        """End the recording early; what was recorded is in the sink."""

    def elapsed(self) -> float:
        """Return the seconds that the present or last recording measured, by the tagger's clock."""

    def events(self) -> tuple[TaggerEvent, ...]:
        """Return what spoiled the present or last recording."""


@runtime_checkable
class Attenuator(Device, Protocol):
    """A variable optical attenuator. Safe state: largest attenuation."""

    @property
    def transmission(self) -> "AnyFloat":
        """Power transmission between 0 and 1."""


@runtime_checkable
class TunableFilter(Device, Protocol):
    """A voltage-tuned optical filter. Safe state: the voltage rests where it is."""

    @property
    def voltage(self) -> "AnyFloat":
        """Tuning voltage in V, always approached from the same side."""


@runtime_checkable
class Actuator(Device, Protocol):
    """A voltage-driven actuator: fibre stretcher, EOM bias. Safe state: mid-range or 0 V."""

    @property
    def voltage(self) -> "AnyFloat":
        """Drive voltage in V, ramped and limited."""


@runtime_checkable
class BiasSource(Device, Protocol):
    """Bias currents of superconducting detectors. Safe state: currents ramped to 0."""

    @property
    def n_channels(self) -> int:
        """Number of channels, numbered from 1."""

    def ramp_to(self, channel: int, current: float) -> None:
        """Ramp a channel to a current in A."""

    def current(self, channel: int) -> float:
        """Return the channel's set current in A, without touching the hardware's state."""

    def delatch(self, channel: int) -> None:
        """Bring a latched detector back: ramp to 0, wait, ramp back to its own current."""


@runtime_checkable
class Thermometer(Device, Protocol):
    """A cryostat thermometer. Safe state: unchanged."""

    def temperature_of(self, channel: int | str) -> float:
        """Return a sensor's temperature in K.

        Raises
        ------
        RuntimeError
            If the sensor has no valid reading; never nan.
        """


@runtime_checkable
class PowerMeter(Device, Protocol):
    """An optical power meter. Safe state: unchanged."""

    @property
    def power(self) -> "AnyFloat":
        """Optical power in W."""


@runtime_checkable
class Wavemeter(Device, Protocol):
    """A wavelength meter. Safe state: unchanged."""

    @property
    def wavelength(self) -> "AnyFloat":
        """Vacuum wavelength in m."""


@runtime_checkable
class TriggerSource(Device, Protocol):
    """What starts every trial, and delayed edges for others. Safe state: nothing fires."""

    @property
    def rate(self) -> "AnyFloat":
        """Triggers per second."""

    def set_delay(self, output: str, start: float, width: float) -> None:
        """Let an output rise `start` s after the trigger and fall `width` s later."""

    def set_running(self, *, on: bool) -> None:
        """Start or stop firing."""

    def is_running(self) -> bool:
        """Ask the instrument whether it fires by itself."""

    def missed_triggers(self) -> bool:
        """Tell whether a trigger came while busy since this was last asked."""


@runtime_checkable
class OpticalSwitch(Device, Protocol):
    """A fibre switch. Safe state: its dark position, where no light passes."""

    @property
    def position(self) -> "AnyInt":
        """Channel that light is led to, from 1; setting it checks by reading back."""

    @property
    def dark(self) -> int:
        """Position that blocks the light."""
