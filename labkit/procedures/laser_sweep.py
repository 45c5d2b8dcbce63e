"""A laser swept while its own filter follows it; drive light strong enough for a power meter."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from analysis.resonance import ResonanceFit, fit_resonance
from analysis.separable_fit import Estimate
from instruments.roles import PulseShape
from labkit.procedures.session import Session, setting_back

Array = NDArray[np.float64]
LaserName = Literal["pump", "read"]

FIRST_STEP_HZ = 12.5e6
"""What is known of a filter's tuning at first: eight times this is still within its scan."""

GROWTH = 8.0
"""Beyond what is known of the tuning, so many times as far is the next step."""

SCAN_POINTS = 61


def wavelength_at(home: float, detuning_hz: float) -> float:
    """Return the vacuum wavelength (m) whose frequency lies `detuning_hz` above that of `home`."""
    return constants.c / (constants.c / home + detuning_hz)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SweptLine:
    """A line of one device over the frequency of a laser.

    Attributes
    ----------
    frequency_hz : ndarray, shape (n,)
        Of the laser, by its wavemeter.
    origin_hz : float
        From which the fit counts.
    fit : ResonanceFit
        Over detuning from `origin_hz`, Hz.
    """

    frequency_hz: Array
    origin_hz: float
    fit: ResonanceFit

    @property
    def centre_hz(self) -> Estimate:
        """Laser frequency at the line's centre, Hz."""
        centre = self.fit.centre
        return Estimate(value=self.origin_hz + centre.value, sigma=centre.sigma)


def distance_hz(first: SweptLine, second: SweptLine) -> Estimate:
    """Return how far the second line lies above the first, Hz."""
    a, b = first.centre_hz, second.centre_hz
    return Estimate(value=b.value - a.value, sigma=float(np.hypot(a.sigma, b.sigma)))


class FilterFollower:
    """Keeps a laser's own filter on the laser.

    The filter is found by scans at growing distances, so that its tuning need not be known before;
    between those places its voltage is interpolated, and it is found again where less than half of
    the light comes through (a piezo is not linear).

    Parameters
    ----------
    session : Session
    laser : {"pump", "read"}
    meter : callable
        Returns the power behind the filter in W.
    scan_volts : float
        Full width of a scan.
    """

    def __init__(
        self, session: Session, laser: LaserName, meter: Callable[[], float], scan_volts: float
    ) -> None:
        self._session, self._name, self._meter, self._scan = session, laser, meter, scan_volts
        self._laser = session.lab.lasers[laser]
        self._filter = session.lab.filters[laser]
        self._home, self._rest = float(self._laser.wavelength()), float(self._filter.voltage())
        self._known: list[tuple[float, float]] = []
        self._brightest = 0.0

    @property
    def hz_per_volt(self) -> float:
        """Tuning of the filter between the outermost places where it was found."""
        frequencies, volts = np.array(sorted(self._known)).T
        return float(np.ptp(frequencies) / (volts[-1] - volts[0]))

    def explore(self, *ends_hz: float) -> None:
        """Find the filter where the laser is, and at these detunings from there."""
        for end in (0.0, *ends_hz):
            self.go(end)
        self._session.say(f"filter {self._name}: {self.hz_per_volt * 1e-9:.3g} GHz/V")

    def passed(self) -> float:
        """Return the power behind the filter, relative to the most that was seen."""
        return self._meter() / self._brightest

    def go_unwatched(self, detuning_hz: float) -> float:
        """As `go`, without a look at the power: for explored ranges, while the meter is dark."""
        frequency = self._tune_laser(detuning_hz)
        self._filter.voltage(self._volts_at(frequency))
        return frequency

    def go(self, detuning_hz: float) -> float:
        """Bring laser and filter `detuning_hz` from home; return the optical frequency, Hz."""
        home_hz = self._known[0][0] if self._known else 0.0
        reach = max((abs(frequency - home_hz) for frequency, _ in self._known), default=0.0)
        if abs(detuning_hz) > GROWTH * max(reach, FIRST_STEP_HZ):
            self.go(detuning_hz / GROWTH)
        frequency = self.go_unwatched(detuning_hz)
        if not self._between(frequency) or self.passed() < 0.5:
            self._find(frequency, self._volts_at(frequency))
        return frequency

    def go_home(self) -> None:
        """Set laser and filter back to where they were."""
        self._laser.wavelength(self._home)
        self._filter.voltage(self._rest)

    def _tune_laser(self, detuning_hz: float) -> float:
        self._laser.wavelength(wavelength_at(self._home, detuning_hz))
        return self._session.lab.laser_frequency(self._name)

    def _between(self, frequency_hz: float) -> bool:
        known = [frequency for frequency, _ in self._known]
        return bool(known) and min(known) <= frequency_hz <= max(known)

    def _volts_at(self, frequency_hz: float) -> float:
        """Straight line through the two places around, or through the two nearest."""
        if len(self._known) < 2:
            return self._known[0][1] if self._known else self._rest
        nearest = sorted(self._known, key=lambda place: abs(place[0] - frequency_hz))
        below = [place for place in nearest if place[0] <= frequency_hz]
        above = [place for place in nearest if place[0] > frequency_hz]
        pair = (below[0], above[0]) if below and above else (nearest[0], nearest[1])
        (first_hz, first), (second_hz, second) = pair
        return first + (second - first) * (frequency_hz - first_hz) / (second_hz - first_hz)

    def _find(self, frequency_hz: float, around: float) -> None:
        volts = around + np.linspace(-0.5, 0.5, SCAN_POINTS) * self._scan
        power = []
        for volt in volts:
            self._filter.voltage(float(volt))
            power.append(self._meter())
        try:
            centre = fit_resonance(volts, power).centre.value
        except ValueError as error:
            message = (
                f"filter {self._name}: must pass the {self._name} laser at "
                f"{frequency_hz * 1e-12:.6f} THz between {volts[0]:.3f} and {volts[-1]:.3f} V, "
                f"but {error}; scan a wider range, or tune the filter first"
            )
            raise ValueError(message) from None
        self._known.append((frequency_hz, centre))
        self._filter.voltage(centre)
        self._brightest = max(self._brightest, max(power))


@contextmanager
def following(
    session: Session, laser: LaserName, meter: Callable[[], float], scan_volts: float
) -> Iterator[FilterFollower]:
    """Give a `FilterFollower`; laser and filter are set back (see `setting_back`)."""
    follower = FilterFollower(session, laser, meter, scan_volts)
    with setting_back(session, follower.go_home):
        yield follower


@contextmanager
def meter_light(
    session: Session, laser: LaserName, *, period: float, level: float, part: float = 0.4
) -> Iterator[None]:
    """Let one laser through its AOM for a good part of every trial, with detectors unbiased.

    At the end light is off, the detectors have their bias again, and no sequence is loaded; after
    an error all is safe (see `setting_back`).

    Parameters
    ----------
    session : Session
    laser : {"pump", "read"}
    period : float
        Of the trials, s.
    level : float
        Drive of the AOM as a fraction of the full level, 0 to 1.
    part : float
        Of the period, up to 0.9.
    """
    lab = session.lab
    currents = {n: lab.detector_bias.current(n) for n in range(1, lab.detector_bias.n_channels + 1)}

    def bias_again() -> None:
        session.disarm()  # light off before the detectors are biased again
        for number, current in currents.items():
            lab.detector_bias.ramp_to(number, current)

    session.disarm()
    with setting_back(session, bias_again):
        for number in currents:
            lab.detector_bias.ramp_to(number, 0.0)
        lab.check_interlocks()
        shape = PulseShape(
            width=part * period, delay=0.1 * period, low=0.0,
            high=level * lab.calibration.aom_full, edge=50e-9,
        )  # fmt: skip
        channel = lab.channel(f"{laser}_drive")
        lab.pulse_generator.program_pulse(channel, shape)
        lab.pulse_generator.set_output(channel, on=True)
        yield
