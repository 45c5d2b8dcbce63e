"""The laser head of a simulated TLB-6700: what it can do, and the motor that tunes it."""

from dataclasses import dataclass

from simulation.lab.clock import VirtualClock


@dataclass(frozen=True, slots=True, kw_only=True)
class TLBHead:
    """The laser head that is simulated; the numbers are chosen, not the vendor's.

    Attributes
    ----------
    lowest, highest, speed : float
        Wavelength range in nm, and nm/s.
    max_current_ma, threshold_ma, slope_mw_per_ma : float
    piezo_nm : float
        Wavelength change from 0 to 100 % piezo, nm.
    serial : str
    sense_forms : tuple of str
        What may follow a measuring command: public drivers send a question mark, or none.
    """

    lowest: float = 1520.0
    highest: float = 1570.0
    speed: float = 8.0
    max_current_ma: float = 200.0
    threshold_ma: float = 20.0
    slope_mw_per_ma: float = 0.15
    piezo_nm: float = 0.2
    serial: str = "SN1234"
    sense_forms: tuple[str, ...] = ("", "?")


class Motor:
    """The motor that sets a head's wavelength; it moves at a constant speed in virtual time.

    Parameters
    ----------
    clock : VirtualClock
    wavelength : float
        Where it stands, nm.
    speed : float
        nm/s.

    Attributes
    ----------
    arrival : float
        Time at which the last motion ends, s.
    """

    def __init__(self, clock: VirtualClock, wavelength: float, speed: float) -> None:
        self._clock = clock
        self._speed = speed
        self._start = self._target = wavelength
        self._departure = self.arrival = 0.0

    def wavelength(self) -> float:
        """Return where the motor is now, nm."""
        now = self._clock.now()
        if now >= self.arrival:
            return self._target
        done = (now - self._departure) / (self.arrival - self._departure)
        return self._start + (self._target - self._start) * done

    def go_to(self, wavelength: float) -> None:
        """Begin to move to a wavelength (nm) from where the motor is now."""
        self._start, self._target = self.wavelength(), wavelength
        self._departure = self._clock.now()
        self.arrival = self._departure + abs(wavelength - self._start) / self._speed

    def stop(self) -> None:
        """Stay where the motor is now."""
        self.go_to(self.wavelength())
