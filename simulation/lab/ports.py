"""Where simulated instruments touch the world: what each does to it and what each sees of it.

A simulated device keeps its settings as the real one would and publishes their physical effect
through its port; it reads the world through the same port. A port made without a world is
free-standing: it remembers what was published and reads a quiet, empty world. SI units throughout.

What a device publishes is a frozen value that replaces the former one (one assignment, so that no
thread sees half of it). Publish under ``clock.lock`` when several ports change together.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Volts = NDArray[np.float64]
Trigger = Literal["external", "internal", "none"]
"""``external``: one start per trial; ``internal``: own timer, not in step; ``none``: never."""


def _nothing(_: object) -> None:
    """Ignore what is published: the free-standing port's world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaserState:
    """What a laser's head does now.

    Attributes
    ----------
    wavelength : float
        Vacuum wavelength in m.
    power : float
        Optical power at the head in W when emitting.
    emission : bool
    """

    wavelength: float = 1553.8e-9
    power: float = 0.0
    emission: bool = False


@dataclass(slots=True, kw_only=True)
class LaserPort:
    """A laser head: the device publishes `state`; the world may add what the head cannot know.

    Attributes
    ----------
    state : LaserState
    """

    state: LaserState = field(default_factory=LaserState)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivePulse:
    """One pulse per trigger, at the generator's connector into a real 50 Ω load.

    Attributes
    ----------
    delay : float
        From trigger to the middle of the leading edge, s.
    width : float
        Full width at half maximum, s.
    lead, trail : float
        10 % to 90 % edges, s.
    low, high : float
        Levels in V (a 50 Ω load, whatever load was declared).
    """

    delay: float
    width: float
    lead: float
    trail: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriveSamples:
    """A sampled waveform per trigger, at the generator's connector into a real 50 Ω load.

    Attributes
    ----------
    samples : ndarray of float64, shape (n,)
        Volts; zero-order hold. After the last sample the output rests at the first.
    sample_rate : float
        Samples per second.
    delay : float
        From trigger to the first sample, s.
    """

    samples: Volts
    sample_rate: float
    delay: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PulseDrive:
    """What one pulse-generator channel puts out.

    Attributes
    ----------
    shape : DrivePulse or DriveSamples
    trigger : Trigger
    """

    shape: DrivePulse | DriveSamples
    trigger: Trigger = "external"


@dataclass(slots=True, kw_only=True)
class PulseDrivePort:
    """One channel of the AOM drive; ``None`` while its output is off.

    A device that declares a load R other than 50 Ω delivers v·(R + 50 Ω)/(2 R) into the real 50 Ω.
    """

    drive: PulseDrive | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PhaseDrive:
    """What one waveform-generator channel puts out.

    Attributes
    ----------
    steps : tuple of (ndarray of float64, int)
        Samples in V into 50 Ω, and how often they are played; one after the other per trigger.
        Before the trigger and after the last step the output rests at the first sample.
    sample_rate : float
        Samples per second.
    coupling : {"DC", "AC", "DAC"}
        Output path.
    trigger : Trigger
        ``internal``: runs for ever, not in step with the trials.
    delay : float
        From trigger to the first sample, s.
    """

    steps: tuple[tuple[Volts, int], ...]
    sample_rate: float
    coupling: Literal["DC", "AC", "DAC"] = "DC"
    trigger: Trigger = "external"
    delay: float = 0.0


@dataclass(slots=True, kw_only=True)
class PhaseDrivePort:
    """One channel of the EOM drive; ``None`` while its output is off or nothing is loaded."""

    drive: PhaseDrive | None = None


@dataclass(slots=True, kw_only=True)
class ActuatorPort:
    """A voltage on a wire: attenuator, filter, stretcher, EOM bias.

    Attributes
    ----------
    voltage : float
        Present voltage in V; change it with `apply`.
    listener : callable
        Told every voltage that was applied, in order (hysteresis needs the history).
    """

    voltage: float = 0.0
    listener: Callable[[float], None] = _nothing

    def apply(self, voltage: float) -> None:
        """Put `voltage` (V) on the wire; the device clips to its range before."""
        self.voltage = voltage
        self.listener(voltage)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockSettings:
    """A servo: output = clip(P·(ε + I ∫ε dt + D dε/dt) + offset), ε = set-point − measured.

    Attributes
    ----------
    engaged : bool
        Loop closed; open, the output is `manual_output`.
    gain : float
        P with its sign, V/V; 0 for an integrator-only loop is not possible here, as in a SIM960.
    proportional : bool
        Whether ε itself is summed (the P switch).
    integral_rate : float
        I in 1/s, 0 if off; multiplied by `gain`.
    derivative_time : float
        D in s, 0 if off; multiplied by `gain`.
    offset, manual_output, setpoint : float
        V.
    low, high : float
        Output limits, V.
    """

    engaged: bool = False
    gain: float = 1.0
    proportional: bool = True
    integral_rate: float = 0.0
    derivative_time: float = 0.0
    offset: float = 0.0
    manual_output: float = 0.0
    setpoint: float = 0.0
    low: float = -10.0
    high: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReading:
    """What a servo sees and does.

    Attributes
    ----------
    measured : float
        Error signal at the input, V.
    output : float
        V.
    limit : {-1, 0, 1}
        Output at its lower limit, free, or at its upper limit.
    """

    measured: float
    output: float
    limit: Literal[-1, 0, 1]


def _open_loop(settings: LockSettings) -> LockReading:
    """Return the reading of a servo with nothing connected to its input."""
    output = min(max(settings.manual_output, settings.low), settings.high)
    return LockReading(measured=0.0, output=output, limit=0)


@dataclass(slots=True, kw_only=True)
class LockPort:
    """A servo between the fringe detector and the fibre stretcher; the world integrates the loop.

    Attributes
    ----------
    settings : LockSettings
        Change with `configure`. To engage without a step publish ``engaged=True`` with an integral
        rate above 0: the integrator then starts from the present output. Released, the output
        goes to `manual_output`: publish the present output there to hold it.
    reader, listener : callable
        Set by the world.
    """

    settings: LockSettings = field(default_factory=LockSettings)
    reader: Callable[[LockSettings], LockReading] = _open_loop
    listener: Callable[[LockSettings], None] = _nothing

    def configure(self, settings: LockSettings) -> None:
        """Publish settings; they act from now on."""
        self.settings = settings
        self.listener(settings)

    def read(self) -> LockReading:
        """Read the servo's input and output now."""
        return self.reader(self.settings)


@dataclass(slots=True, kw_only=True)
class BiasPort:
    """Bias of one detector channel.

    Attributes
    ----------
    current : float
        Present current in A; change it with `apply`.
    listener, is_latched : callable
        Set by the world. A detector latches above its switching current and stays latched until
        the current comes close to 0.
    """

    current: float = 0.0
    listener: Callable[[float], None] = _nothing
    is_latched: Callable[[], bool] = bool

    def apply(self, current: float) -> None:
        """Put `current` (A) through the wire."""
        self.current = current
        self.listener(current)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerInput:
    """A discriminator of the tagger.

    Attributes
    ----------
    level : float
        V.
    rising : bool
        Edge of the electrical pulse that counts.
    offset : float
        Time added to what it records, s.
    enabled : bool
    """

    level: float = 0.1
    rising: bool = True
    offset: float = 0.0
    enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerSettings:
    """How a recording is made.

    Attributes
    ----------
    mode : {"T2", "T3", "stream"}
        32-bit records of the TimeHarp 260 NANO (T2, T3), or picosecond times (`TaggerPort.times`).
    resolution : float
        Base resolution, s.
    binning : int
        T3 bins are ``resolution · 2**binning`` wide.
    t3_offset : float
        Start of the T3 histogram window after the sync, s.
    sync_divider : int
    sync : TriggerInput
    inputs : tuple of TriggerInput
        Inputs 1, 2, … (channel codes 0, 1, … in records).
    sync_only_with_clicks : bool
        ``stream``: keep only trigger times followed by a click (conditional filter).
    """

    mode: Literal["T2", "T3", "stream"] = "T2"
    resolution: float = 250e-12
    binning: int = 0
    t3_offset: float = 0.0
    sync_divider: int = 1
    sync: TriggerInput = field(default_factory=TriggerInput)
    inputs: tuple[TriggerInput, ...] = (TriggerInput(), TriggerInput())
    sync_only_with_clicks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerFlags:
    """What went wrong in a recording; set until the next start."""

    fifo_full: bool = False
    dropped_events: bool = False
    sync_lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TaggerRates:
    """Events per second over the last 100 ms, after the discriminators.

    Attributes
    ----------
    sync : float
        After the divider is undone, as the library reports it.
    inputs : tuple of float
    """

    sync: float
    inputs: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeTags:
    """Events of a ``stream`` recording: picoseconds since its start, and channels (0: sync)."""

    times_ps: NDArray[np.int64]
    channels: NDArray[np.uint8]


class TaggerPort:
    """The tagger's connectors: here free-standing, where nothing ever arrives.

    The world hands out a subclass with the same methods. Virtual time flows while a recording is
    read: `records` and `times` let the clock advance by a stride when nothing is waiting, so that
    a driver that polls gets data as fast as the world can be computed.
    """

    def rates(self, settings: TaggerSettings) -> TaggerRates:
        """Count rates at the inputs with these settings, recording or not."""
        return TaggerRates(sync=0.0, inputs=tuple(0.0 for _ in settings.inputs))

    def start(self, settings: TaggerSettings, duration: float) -> None:
        """Begin a recording of `duration` s of virtual time; clears FIFO and flags."""

    def stop(self) -> None:
        """End the recording early; what is in the FIFO stays readable."""

    def running(self) -> bool:
        """Tell whether the recording's time is still running (data may be waiting after)."""
        return False

    def elapsed(self) -> float:
        """Return the seconds of the present or last recording."""
        return 0.0

    def records(self, limit: int) -> NDArray[np.uint32]:
        """Return up to `limit` waiting records (T2, T3), oldest first; empty: none waiting."""
        return np.empty(0, np.uint32)

    def times(self, limit: int) -> TimeTags:
        """Return up to `limit` waiting events of a ``stream`` recording."""
        return TimeTags(times_ps=np.empty(0, np.int64), channels=np.empty(0, np.uint8))

    def flags(self) -> TaggerFlags:
        """Return what went wrong since the start."""
        return TaggerFlags()


@dataclass(slots=True, kw_only=True)
class ThermometerPort:
    """Temperatures of the cryostat, K by channel; ``None`` for a sensor without a valid reading."""

    reader: Callable[[int], float | None] = lambda _: 0.02

    def temperature(self, channel: int) -> float | None:
        """Return a sensor's temperature in K."""
        return self.reader(channel)


@dataclass(slots=True, kw_only=True)
class PowerPort:
    """The optical power on a power meter's head, W."""

    reader: Callable[[], float] = float

    def power(self) -> float:
        """Return the power now, in W, averaged over pulses."""
        return self.reader()


@dataclass(slots=True, kw_only=True)
class WavemeterPort:
    """The light in a wavemeter's fibre, by switch channel; ``None`` without enough light."""

    reader: Callable[[int], float | None] = lambda _: None

    def wavelength(self, channel: int = 1) -> float | None:
        """Return the vacuum wavelength in m."""
        return self.reader(channel)
