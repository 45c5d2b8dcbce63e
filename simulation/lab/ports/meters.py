"""Meters, which read the world and change nothing: temperature, power, wavelength."""

from collections.abc import Callable
from dataclasses import dataclass


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
