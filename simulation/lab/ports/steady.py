"""What holds from trial to trial: a laser, a voltage, a bias current; and the meters that read."""

from collections.abc import Callable
from dataclasses import dataclass, field


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
    may_emit : callable
        Set by the world: whether the interlock is closed.
    """

    state: LaserState = field(default_factory=LaserState)
    may_emit: Callable[[], bool] = lambda: True

    @property
    def emits(self) -> bool:
        """Whether there is light."""
        return self.state.emission and self.may_emit()


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
    listener: Callable[[float], None] = lambda _: None

    def apply(self, voltage: float) -> None:
        """Put `voltage` (V) on the wire; the device clips to its range before."""
        self.voltage = voltage
        self.listener(voltage)


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
    listener: Callable[[float], None] = lambda _: None
    is_latched: Callable[[], bool] = bool

    def apply(self, current: float) -> None:
        """Put `current` (A) through the wire."""
        self.current = current
        self.listener(current)


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


@dataclass(slots=True, kw_only=True)
class SwitchPort:
    """A fibre switch in a beam.

    Attributes
    ----------
    position, through : int
        Channel that light is led to, and the one from which it goes on; without a switch both
        are 1.
    """

    position: int = 1
    through: int = 1

    @property
    def passes(self) -> bool:
        """Whether the light goes on."""
        return self.position == self.through


@dataclass(slots=True, kw_only=True)
class TriggerPort:
    """What starts the trials.

    Attributes
    ----------
    rate : float or None
        Triggers per s; ``None``: the laboratory's own trigger, once per period of the world.
    """

    rate: float | None = None

    def fires(self, period: float) -> bool:
        """Tell whether a trial begins every `period` seconds, the only rhythm the world knows."""
        return self.rate is None or abs(self.rate * period - 1) < 1e-3
